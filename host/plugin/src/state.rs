//! What belongs to one call: the store's data.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::call::Call;
use crate::guest_log::{GuestStream, Stream};
use crate::memory::MemoryLimit;
use crate::{CallContext, PluginSpec};

/// Handles (streams, pollables, buckets, cards, …) a guest may hold at one time.
const MAX_HANDLES: usize = 1_000;

/// Random bytes a guest may ask for in one call of the host function.
const MAX_RANDOM: u64 = 1 << 20;

/// The data of one call's store.
pub(crate) struct State {
    pub(crate) call: Arc<Call>,
    pub(crate) memory: MemoryLimit,
    /// The plugin's settings, limits and grants.
    pub(crate) spec: Arc<PluginSpec>,
    pub(crate) context: CallContext,
    pub(crate) table: ResourceTable,
    /// Downloads, uploads and HTTP requests so far.
    #[allow(dead_code, reason = "downloads and fetch come next")]
    pub(crate) requests: u32,
    /// Made when a guest first uses WASI: seeding its random generators costs more than a whole call of a small guest.
    wasi: Option<Box<WasiCtx>>,
}

impl State {
    pub(crate) fn new(call: Arc<Call>, spec: Arc<PluginSpec>, context: CallContext) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        State {
            call,
            memory: MemoryLimit::new(spec.limits.memory),
            spec,
            context,
            table,
            requests: 0,
            wasi: None,
        }
    }

    /// Counts a download, an upload or an HTTP request.
    ///
    /// # Errors
    ///
    /// There were as many as `limits.requests` allows.
    #[allow(dead_code, reason = "downloads and fetch come next")]
    pub(crate) fn take_request(&mut self) -> Result<(), String> {
        let most = self.spec.limits.requests;
        if self.requests >= most {
            let name = &self.spec.name;
            return Err(format!(
                "one call may make {most} requests (HTTP, downloads and uploads together); raise `limits.requests` in \
                 [plugins.{name}]"
            ));
        }
        self.requests += 1;
        Ok(())
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let State { wasi, table, call, .. } = self;
        let ctx = wasi.get_or_insert_with(|| {
            let mut wasi = WasiCtx::builder();
            wasi.stdout(GuestStream { call: Arc::clone(call), stream: Stream::Stdout })
                .stderr(GuestStream { call: Arc::clone(call), stream: Stream::Stderr })
                .allow_tcp(false)
                .allow_udp(false)
                .allow_ip_name_lookup(false)
                .max_random_size(MAX_RANDOM);
            Box::new(wasi.build())
        });
        WasiCtxView { ctx, table }
    }
}
