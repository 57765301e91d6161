//! Starting with cached plugins, reloading, and the use of several cores.
//!
//! ```sh
//! cargo build --release --target wasm32-wasip2 --manifest-path plugins/Cargo.toml
//! cargo build --release --target wasm32-wasip2 --manifest-path host/plugin/tests/guests/Cargo.toml
//! cargo bench -p belfry-plugin-host --bench live
//! ```

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "common/mod.rs"]
mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belfry_plugin_host::types::{Content, Message};
use belfry_plugin_host::{CallContext, Host, HostConfig, Plugin, PluginSpec, Plugins, PluginsConfig};

const ECHO: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/target/wasm32-wasip2/release/echo.wasm");
const NAUGHTY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/target/wasm32-wasip2/release/naughty.wasm");

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(start());
    runtime.block_on(reload());
    runtime.block_on(cores());
}

/// A host with 20 plugins whose code is in the cache.
async fn start() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("plugins");
    std::fs::create_dir(&folder).unwrap();
    let echo = std::fs::read(ECHO).unwrap();
    for number in 0..20 {
        // Distinct bytes, as 20 real plugins would have.
        std::fs::write(folder.join(format!("echo{number}.wasm")), marked(&echo, number)).unwrap();
    }
    for round in ["first, compiling", "cached"] {
        let started = Instant::now();
        let config = HostConfig { cache_dir: Some(dir.path().join("cache")), ..HostConfig::default() };
        let host = Host::new(config).unwrap();
        let config = PluginsConfig { specs: Vec::new(), folder: Some(folder.clone()) };
        let plugins = Plugins::start(host, config).await.unwrap();
        assert_eq!(plugins.current().plugins.len(), 20);
        println!("start with 20 plugins ({round}): {:?}", started.elapsed());
    }
    println!("  resident at most {} MB\n", common::resident_kb() / 1024);
}

/// From the rename of a new build to the first answer it gives.
async fn reload() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("echo.wasm");
    let echo = std::fs::read(ECHO).unwrap();
    std::fs::write(&path, &echo).unwrap();
    let config = HostConfig { cache_dir: Some(dir.path().join("cache")), ..HostConfig::default() };
    let config =
        (Host::new(config).unwrap(), PluginsConfig { specs: vec![], folder: Some(dir.path().into()) });
    let plugins = Plugins::start(config.0, config.1).await.unwrap();
    let mut changed = plugins.changed();
    let mut times = Vec::new();
    for number in 0..50 {
        let temporary = dir.path().join("echo.tmp");
        std::fs::write(&temporary, marked(&echo, number)).unwrap();
        changed.mark_unchanged();
        let renamed = Instant::now();
        std::fs::rename(&temporary, &path).unwrap();
        changed.changed().await.unwrap();
        call(plugins.current().get("echo").unwrap(), "hello").await;
        times.push(renamed.elapsed());
    }
    println!("reload of {} KB, rename to first answer:", echo.len() / 1000);
    common::row("50 reloads", &mut times);
    println!("  resident at most {} MB\n", common::resident_kb() / 1024);
}

/// A guest that computes for about 5 ms a message, with one and with two threads for it.
async fn cores() {
    let naughty = std::fs::read(NAUGHTY).unwrap();
    let mut rates = Vec::new();
    for threads in [1, 2] {
        let offload = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build().unwrap();
        let config = HostConfig { offload: Some(offload.handle().clone()), ..HostConfig::default() };
        let host = Host::new(config).unwrap();
        let plugin = host.load_bytes(PluginSpec::new("naughty", ""), naughty.clone()).await.unwrap();
        let work = calibrate(&plugin).await;
        let started = Instant::now();
        let calls = 400;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (plugin, work) = (Arc::clone(&plugin), work.clone());
                tokio::spawn(async move {
                    for _ in 0..calls / 8 {
                        call(&plugin, &work).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let rate = f64::from(calls) / started.elapsed().as_secs_f64();
        println!("`{work}` with {threads} thread(s): {rate:.0} messages/s");
        rates.push(rate);
        offload.shutdown_background();
    }
    println!("  two threads do {:.2} times as much as one", rates[1] / rates[0]);
}

/// The message that makes the guest compute for 5 ms.
async fn calibrate(plugin: &Plugin) -> String {
    let mut rounds = 1_000_000_u64;
    for _ in 0..5 {
        let text = format!("work {rounds}");
        let started = Instant::now();
        for _ in 0..20 {
            call(plugin, &text).await;
        }
        let took = started.elapsed() / 20;
        rounds = rounds * 5_000_000 / u64::try_from(took.as_nanos()).unwrap().max(1);
    }
    assert!(rounds > 0 && Path::new(NAUGHTY).exists());
    format!("work {rounds}")
}

async fn call(plugin: &Plugin, text: &str) {
    let context = CallContext { plugins: Arc::from([]), ..CallContext::default() };
    let message = Message { content: Content::Text(text.into()), ..common::message() };
    let call = plugin.on_message(Arc::new(message), &context);
    tokio::time::timeout(Duration::from_secs(20), call).await.unwrap().unwrap();
}

/// `component` with a custom section that holds `number`.
fn marked(component: &[u8], number: u32) -> Vec<u8> {
    let mut bytes = component.to_vec();
    bytes.extend_from_slice(&[0, 6, 1, b'n']);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes
}
