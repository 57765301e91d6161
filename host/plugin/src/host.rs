//! The engine and everything plugins share.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{HostError, LoadError, Plugin, PluginSpec};

/// How a [`Host`] is made.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Where compiled code is kept between runs; none keeps it in memory only.
    pub cache_dir: Option<PathBuf>,
    /// Where instances live.
    pub allocator: Allocator,
    /// How many calls may run at the same time, over all plugins; more wait for their turn.
    pub max_instances: u32,
    /// The largest component file that is compiled, in bytes.
    pub max_component: u64,
    /// A multi-thread runtime for guests that compute for long. With none, all of a guest runs on the caller's thread,
    /// yielding every few milliseconds.
    pub offload: Option<tokio::runtime::Handle>,
}

impl Default for HostConfig {
    fn default() -> Self {
        HostConfig {
            cache_dir: None,
            allocator: Allocator::Pooling,
            max_instances: 128,
            max_component: 64 << 20,
            offload: None,
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

/// The WebAssembly engine, one per process.
pub struct Host {}

impl Host {
    /// Makes the engine.
    pub fn new(_config: HostConfig) -> Result<Arc<Host>, HostError> {
        unimplemented!()
    }

    /// The allocator in use, after a fall-back.
    pub fn allocator(&self) -> Allocator {
        unimplemented!()
    }

    /// Reads, compiles and proves the component at `spec.path`, off the async threads.
    pub async fn load(self: &Arc<Self>, _spec: PluginSpec) -> Result<Arc<Plugin>, LoadError> {
        unimplemented!()
    }

    /// As [`load`](Host::load), from bytes; `spec.path` is only named in messages.
    pub async fn load_bytes(
        self: &Arc<Self>,
        _spec: PluginSpec,
        _component: Vec<u8>,
    ) -> Result<Arc<Plugin>, LoadError> {
        unimplemented!()
    }
}
