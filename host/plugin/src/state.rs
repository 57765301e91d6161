//! What a guest can reach during one call: the store's data and the host functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, ResourceLimiter};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::PluginInfo;
use crate::bindings::belfry::bot::{host, types};
use crate::bindings::wasi::config::store;
use crate::bindings::wasi::logging::logging;
use crate::call::Call;
use crate::guest_log::{GuestStream, Stream};

/// Handles (streams, pollables, sockets, …) a guest may hold at one time.
const MAX_HANDLES: usize = 1_000;

/// Random bytes a guest may ask for in one call of the host function.
const MAX_RANDOM: u64 = 1 << 20;

/// The data of one call's store.
pub(crate) struct State {
    pub(crate) call: Arc<Call>,
    pub(crate) memory: MemoryLimit,
    config: Arc<BTreeMap<String, String>>,
    plugins: Arc<[PluginInfo]>,
    table: ResourceTable,
    /// Made when a guest first uses WASI: seeding its random generators costs more than a whole call of a small guest.
    wasi: Option<Box<WasiCtx>>,
}

impl State {
    pub(crate) fn new(
        call: Arc<Call>,
        memory: u64,
        config: Arc<BTreeMap<String, String>>,
        plugins: Arc<[PluginInfo]>,
    ) -> Self {
        State {
            call,
            memory: MemoryLimit::new(memory),
            config,
            plugins,
            table: ResourceTable::new(),
            wasi: None,
        }
    }
}

/// Links everything a plugin may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    store::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    logging::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl types::Host for State {}

impl host::Host for State {
    fn plugins(&mut self) -> Vec<PluginInfo> {
        self.plugins.to_vec()
    }
}

impl store::Host for State {
    fn get(&mut self, key: String) -> Result<Option<String>, store::Error> {
        Ok(self.config.get(&key).cloned())
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, store::Error> {
        Ok(self.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl logging::Host for State {
    fn log(&mut self, level: logging::Level, context: String, message: String) {
        self.call.log.log(level, &context, &message);
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let State { wasi, table, call, .. } = self;
        let ctx = wasi.get_or_insert_with(|| {
            table.set_max_capacity(MAX_HANDLES);
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

/// Counts a store's linear memory and refuses more than the limit.
pub(crate) struct MemoryLimit {
    limit: u64,
    used: u64,
    /// What the guest would have had with the first growth that was refused.
    pub(crate) refused: Option<u64>,
}

impl MemoryLimit {
    fn new(limit: u64) -> Self {
        MemoryLimit { limit, used: 0, refused: None }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.used.saturating_add(desired.saturating_sub(current) as u64);
        if total > self.limit {
            self.refused.get_or_insert(total);
            return Ok(false);
        }
        self.used = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= crate::host::MAX_TABLE)
    }

    // These three cost the host memory of its own. CPython's component, the most intricate one seen, has some 40
    // instances, one memory and two tables.
    fn instances(&self) -> usize {
        256
    }

    fn memories(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        64
    }
}
