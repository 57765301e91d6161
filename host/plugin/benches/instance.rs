//! What a fresh instance per message costs, and where the time goes.
//!
//! ```sh
//! cargo build --release --target wasm32-wasip2 --manifest-path plugins/Cargo.toml
//! cargo bench -p belfry-plugin-host --bench instance -- plugins/target/wasm32-wasip2/release/echo.wasm
//! ```

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "common/mod.rs"]
mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use belfry_plugin_host::{Allocator, CallContext, Host, HostConfig, PluginSpec};

const WARM_UP: usize = 2_000;
const CALLS: usize = 20_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let default =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/target/wasm32-wasip2/release/echo.wasm");
    let path = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let path = PathBuf::from(path.as_deref().unwrap_or(default));
    for allocator in [Allocator::Pooling, Allocator::OnDemand] {
        measure(allocator, path.clone()).await;
    }
}

async fn measure(allocator: Allocator, path: PathBuf) {
    let offload = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let config = HostConfig { allocator, offload: Some(offload.handle().clone()), ..HostConfig::default() };
    let host = Host::new(config).unwrap();
    let plugin = host.load(PluginSpec::new("echo", path)).await.unwrap();
    println!("{:?}: compiled in {:?}", host.allocator(), plugin.about().compile);

    let context = CallContext { plugins: Arc::from([plugin.info()]), ..CallContext::default() };
    let message = Arc::new(common::message());
    for _ in 0..WARM_UP {
        plugin.on_message(Arc::clone(&message), &context).await.unwrap();
    }

    let mut whole = Vec::with_capacity(CALLS);
    let cpu = common::cpu_time();
    for _ in 0..CALLS {
        let start = Instant::now();
        plugin.on_message(Arc::clone(&message), &context).await.unwrap();
        whole.push(start.elapsed());
    }
    let cpu = (common::cpu_time() - cpu) / u32::try_from(CALLS).unwrap();

    let mut phases = [const { Vec::new() }; 4];
    for _ in 0..CALLS {
        let timed = plugin.time_call(&message, &context).await.unwrap();
        let times = [timed.store, timed.instantiate, timed.call, timed.drop];
        phases.iter_mut().zip(times).for_each(|(phase, time)| phase.push(time));
    }
    common::row("on_message", &mut whole);
    let names = ["  store", "  instantiate", "  call", "  drop"];
    names.iter().zip(&mut phases).for_each(|(name, phase)| common::row(name, phase));
    println!(
        "  process CPU per call {:.1} µs, resident {} MB\n",
        common::micros(cpu),
        common::resident_kb() / 1024
    );
    offload.shutdown_background();
}
