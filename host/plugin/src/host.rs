//! The engine and everything plugins share.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use crate::outbound::Exit;
use crate::state::State;
use crate::ticker::Ticker;
use crate::{HostError, LoadError, OutboundConfig, Plugin, PluginSpec, imports, load};

/// Elements a guest's table may have. CPython, the largest guest seen, has about 12 000 functions.
pub(crate) const MAX_TABLE: usize = 64 << 10;

/// The most one linear memory can hold, whatever the limits say: all a 32-bit guest can address.
const MAX_MEMORY: usize = 4 << 30;

/// How many components compile at the same time. Each compilation uses all cores by itself.
const COMPILERS: usize = 2;

/// How a [`Host`] is made.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Where compiled code is kept between runs; none compiles anew each time.
    pub cache_dir: Option<PathBuf>,
    /// Where instances live.
    pub allocator: Allocator,
    /// How many calls may be under way at the same time, over all plugins; more wait for their turn. One plugin gets at
    /// most three quarters of them.
    pub max_instances: u32,
    /// The largest component file that is compiled, in bytes.
    pub max_component: u64,
    /// A multi-thread runtime for guests that compute for long. With none, all of a guest runs on the caller's thread,
    /// yielding every few milliseconds.
    pub offload: Option<tokio::runtime::Handle>,
    /// How HTTP requests of plugins leave the machine.
    pub outbound: OutboundConfig,
}

impl Default for HostConfig {
    fn default() -> Self {
        HostConfig {
            cache_dir: None,
            allocator: Allocator::Pooling,
            max_instances: 128,
            max_component: 64 << 20,
            offload: None,
            outbound: OutboundConfig::default(),
        }
    }
}

/// Where instances live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocator {
    /// In slots reserved once. Falls back to [`OnDemand`](Allocator::OnDemand) where the address space is too small.
    Pooling,
    /// Each in memory mapped for it.
    OnDemand,
}

/// The WebAssembly engine and what all plugins share: the linked host functions, the epoch clock, the slots for
/// instances. One per process.
pub struct Host {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    pub(crate) ticker: Arc<Ticker>,
    /// One permit for each call under way: the pool of slots is sized by it.
    pub(crate) slots: Arc<Semaphore>,
    /// How many of them one plugin may hold.
    pub(crate) share: usize,
    /// One permit for each resident instance: it keeps its slot between calls.
    pub(crate) residents: Arc<Semaphore>,
    pub(crate) compilers: Semaphore,
    pub(crate) max_component: u64,
    pub(crate) offload: Option<tokio::runtime::Handle>,
    /// The way out for HTTP requests.
    pub(crate) exit: Arc<Exit>,
    allocator: Allocator,
}

impl Host {
    /// Makes the engine.
    ///
    /// # Errors
    ///
    /// The cache directory cannot be written, or the runtime does not work on this machine.
    pub fn new(config: HostConfig) -> Result<Arc<Host>, HostError> {
        let cache = config.cache_dir.as_deref().map(open_cache).transpose()?;
        let slots = config.max_instances.max(1);
        let (engine, allocator) = match config.allocator {
            Allocator::OnDemand => (engine(cache, None)?, Allocator::OnDemand),
            Allocator::Pooling => match engine(cache.clone(), Some(slots)) {
                Ok(engine) => (engine, Allocator::Pooling),
                Err(error) => {
                    tracing::warn!(
                        "plugins run about twice as slow: the address space is too small for the pooling allocator \
                         ({error:#}); raise the limit on virtual memory (`ulimit -v`)"
                    );
                    (engine(cache, None)?, Allocator::OnDemand)
                }
            },
        };
        let linker = imports::linker(&engine).map_err(HostError::Runtime)?;
        let ticker = Ticker::start(engine.weak()).map_err(|error| HostError::Runtime(error.into()))?;
        Ok(Arc::new(Host {
            engine,
            linker,
            ticker: Arc::new(ticker),
            slots: Arc::new(Semaphore::new(slots as usize)),
            share: (slots - slots / 4) as usize,
            residents: Arc::new(Semaphore::new(residents(slots) as usize)),
            compilers: Semaphore::new(COMPILERS),
            max_component: config.max_component,
            offload: config.offload,
            exit: Arc::new(Exit::new(config.outbound)),
            allocator,
        }))
    }

    /// The allocator in use, after a fall-back.
    pub fn allocator(&self) -> Allocator {
        self.allocator
    }

    /// Reads, compiles and proves the component at `spec.path`, off the async threads.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no component this host can run; the error says how to mend it.
    pub async fn load(self: &Arc<Self>, spec: PluginSpec) -> Result<Arc<Plugin>, LoadError> {
        let component = load::read(spec.path.clone(), self.max_component).await?;
        self.load_bytes(spec, component).await
    }

    /// As [`load`](Host::load), from bytes; `spec.path` is only named in messages.
    ///
    /// # Errors
    ///
    /// As [`load`](Host::load).
    pub async fn load_bytes(
        self: &Arc<Self>,
        spec: PluginSpec,
        component: Vec<u8>,
    ) -> Result<Arc<Plugin>, LoadError> {
        load::prove(self, spec, component).await
    }
}

/// How many resident instances there may be beside `slots` calls.
fn residents(slots: u32) -> u32 {
    (slots / 2).max(4)
}

fn open_cache(dir: &Path) -> Result<Cache, HostError> {
    let refuse = |reason: String| HostError::Cache { path: dir.to_owned(), reason };
    std::fs::create_dir_all(dir).map_err(|error| refuse(error.to_string()))?;
    let dir = dir.canonicalize().map_err(|error| refuse(error.to_string()))?;
    let mut config = CacheConfig::new();
    config.with_directory(dir);
    Cache::new(config).map_err(|error| refuse(format!("{error:#}")))
}

fn engine(cache: Option<Cache>, slots: Option<u32>) -> Result<Engine, HostError> {
    let mut config = Config::new();
    config.epoch_interruption(true).cache(cache).wasm_backtrace_max_frames(NonZeroUsize::new(8));
    // Halves the cost of a call; WASI 0.3 would need it.
    config.concurrency_support(false);
    if let Some(slots) = slots {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
    }
    Engine::new(&config).map_err(HostError::Runtime)
}

/// Slots for `slots` calls at a time, and for the resident instances.
///
/// With them a fresh instance of echo, its call and its end take 7 µs, with memory mapped on demand 41 µs
/// (`benches/instance.rs`; two cores of a cloud machine, Linux 6.18). All of it is address space; what is resident
/// depends on how many calls really run at the same time.
fn pool(slots: u32) -> PoolingAllocationConfig {
    let slots = slots.saturating_add(residents(slots));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(64))
        .max_core_instances_per_component(256)
        .total_memories(slots.saturating_mul(2))
        .max_memories_per_component(16)
        .max_memories_per_module(4)
        .max_memory_size(MAX_MEMORY)
        .total_tables(slots.saturating_mul(4))
        .max_tables_per_component(64)
        .max_tables_per_module(16)
        .table_elements(MAX_TABLE)
        .total_stacks(slots)
        .max_unused_warm_slots(slots.min(16))
        // A small guest touches less than this: its memory is set back by copying instead of by system calls.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10)
        // Where the kernel has it (6.7), only what was written is set back.
        .pagemap_scan(Enabled::Auto);
    pool
}
