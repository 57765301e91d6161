//! What belongs to one call: the store's data.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::call::Call;
use crate::guest_log::{GuestStream, Stream};
use crate::imports::WasiHttp;
use crate::memory::MemoryLimit;
use crate::outbound::Outbound;
use crate::{CallContext, Fetch, PluginSpec};

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
    /// The plugin's own way to granted hosts.
    pub(crate) outbound: Arc<Outbound>,
    /// Made when a guest first uses WASI: seeding its random generators costs more than a whole call of a small guest.
    wasi: Option<Box<WasiCtx>>,
    /// Made when a guest first uses `wasi:http`.
    pub(crate) http: Option<Box<WasiHttp>>,
}

impl State {
    pub(crate) fn new(
        call: Arc<Call>,
        spec: Arc<PluginSpec>,
        outbound: Arc<Outbound>,
        context: CallContext,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        State {
            call,
            memory: MemoryLimit::new(spec.limits.memory),
            spec,
            context,
            table,
            outbound,
            wasi: None,
            http: None,
        }
    }

    /// Counts a download, an upload or an HTTP request.
    ///
    /// # Errors
    ///
    /// There were as many as `limits.requests` allows.
    #[allow(dead_code, reason = "downloads come next")]
    pub(crate) fn take_request(&mut self) -> Result<(), String> {
        self.call.take_request(&self.spec)
    }

    /// What carries the requests that are granted.
    pub(crate) fn carrier(&self) -> Arc<dyn Fetch> {
        match &self.context.fetch {
            Some(fetch) => Arc::clone(fetch),
            None => Arc::clone(&self.outbound) as Arc<dyn Fetch>,
        }
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
