//! What belongs to an instance and to the call it runs: the store's data.

use std::sync::Arc;

use arc_swap::ArcSwap;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::call::Call;
use crate::fixed::{self, Clock};
use crate::guest_log::{GuestStream, Stream};
use crate::imports::WasiHttp;
use crate::imports::live_card::Live;
use crate::memory::MemoryLimit;
use crate::outbound::Outbound;
use crate::overlay::Overlay;
use crate::{CallContext, Fetch, PluginSpec};

/// Handles (streams, pollables, buckets, cards, …) a guest may hold at one time.
const MAX_HANDLES: usize = 1_000;

/// Random bytes a guest may ask for in one call of the host function.
const MAX_RANDOM: u64 = 1 << 20;

/// The data of one store.
pub(crate) struct State {
    pub(crate) call: Arc<Call>,
    /// Counts the calls of this instance.
    pub(crate) number: u64,
    pub(crate) memory: MemoryLimit,
    /// The plugin's settings, limits and grants.
    pub(crate) spec: Arc<PluginSpec>,
    pub(crate) context: CallContext,
    pub(crate) table: ResourceTable,
    /// The key-values of this call.
    pub(crate) overlay: Overlay,
    /// Bytes behind open `cas` handles.
    pub(crate) cas_bytes: usize,
    /// Messages and cards this call has sent.
    pub(crate) sends: u32,
    /// Growing messages of this call; those that have not ended do with it.
    pub(crate) live: Vec<Live>,
    /// The clocks, where they are fixed.
    pub(crate) clock: Option<Arc<Clock>>,
    /// Made when a guest first uses WASI: seeding its random generators costs more than a whole call of a small guest.
    wasi: Option<Box<WasiCtx>>,
    /// Where the standard outputs of `wasi` lead.
    output: Option<Arc<ArcSwap<Call>>>,
    /// The plugin's own way to granted hosts.
    pub(crate) outbound: Arc<Outbound>,
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
            number: 0,
            memory: MemoryLimit::new(spec.limits.memory),
            clock: context.fixed.map(Clock::new),
            overlay: Overlay::new(context.key_value.clone(), Arc::clone(&spec)),
            spec,
            context,
            table,
            cas_bytes: 0,
            sends: 0,
            live: Vec::new(),
            wasi: None,
            output: None,
            outbound,
            http: None,
        }
    }

    /// Makes it the data of another call of the same instance.
    pub(crate) fn begin(&mut self, call: Arc<Call>, context: CallContext) {
        self.end();
        self.number += 1;
        self.memory.refused = None;
        self.overlay = Overlay::new(context.key_value.clone(), Arc::clone(&self.spec));
        self.sends = 0;
        match (&self.clock, context.fixed) {
            (Some(clock), Some(fixed)) => clock.set_wall(fixed.now_ms),
            (None, Some(fixed)) => {
                // Started by a call with real clocks: WASI is made anew with these.
                self.clock = Some(Clock::new(fixed));
                self.wasi = None;
            }
            (_, None) => {}
        }
        if let Some(output) = &self.output {
            output.store(Arc::clone(&call));
        }
        self.call = call;
        self.context = context;
    }

    /// Lets go of what belongs to the call alone.
    pub(crate) fn end(&mut self) {
        self.live.clear();
        self.context = CallContext::default();
    }

    /// Counts a download, an upload, a change of a card or an HTTP request.
    ///
    /// # Errors
    ///
    /// There were as many as `limits.requests` allows, or this call may make none.
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

/// What is said when a guest holds as many handles as it may.
pub(crate) fn too_many_handles() -> String {
    format!("more than {MAX_HANDLES} handles (streams, buckets, cards, …) at one time; drop some")
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let State { wasi, table, call, output, clock, context, .. } = self;
        let ctx = wasi.get_or_insert_with(|| {
            let call = output.get_or_insert_with(|| Arc::new(ArcSwap::new(Arc::clone(call))));
            let mut wasi = WasiCtx::builder();
            wasi.stdout(GuestStream { call: Arc::clone(call), stream: Stream::Stdout })
                .stderr(GuestStream { call: Arc::clone(call), stream: Stream::Stderr })
                .allow_tcp(false)
                .allow_udp(false)
                .allow_ip_name_lookup(false)
                .max_random_size(MAX_RANDOM);
            if let (Some(clock), Some(fixed)) = (clock, context.fixed) {
                fixed::apply(&mut wasi, clock, fixed.seed);
            }
            Box::new(wasi.build())
        });
        WasiCtxView { ctx, table }
    }
}
