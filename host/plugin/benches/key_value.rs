//! Key-values through a guest against the same overlay called natively, and the memory of 100 loaded plugins.
//!
//! ```sh
//! cargo build --release --target wasm32-wasip2 --manifest-path host/plugin/tests/guests/Cargo.toml
//! cargo bench -p belfry-plugin-host --bench key_value
//! ```

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use belfry_plugin_host::types::{Content, Message};
use belfry_plugin_host::{
    CallContext, Host, HostConfig, KeyValue, Overlay, Plugin, PluginSpec, ServiceFuture,
};
use bytes::Bytes;

const KEEPER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/target/wasm32-wasip2/release/keeper.wasm");

/// Pairs of a set and a get in one call.
const PAIRS: u32 = 2_000;

const CALLS: usize = 50;

const PLUGINS: u32 = 100;

/// Set for the process that only fills the cache, to its directory.
const FILL: &str = "BELFRY_BENCH_FILL";

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path =
        std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_else(|| KEEPER.to_owned());
    let keeper = std::fs::read(&path).unwrap();
    if let Some(cache) = std::env::var_os(FILL) {
        runtime.block_on(load_all(&keeper, cache.into()));
        return;
    }
    runtime.block_on(pairs(&keeper));
    // Compiled by another process, as after a restart: what the compiler leaves behind is no cost of a loaded plugin.
    let dir = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    assert!(Command::new(this).arg(path).env(FILL, dir.path()).status().unwrap().success());
    runtime.block_on(hundred(&keeper, dir.path().to_owned()));
}

async fn pairs(keeper: &[u8]) {
    let host = Host::new(HostConfig::default()).unwrap();
    let spec = PluginSpec::new("keeper", "");
    let plugin = host.load_bytes(spec.clone(), keeper.to_vec()).await.unwrap();
    let (spec, store) = (Arc::new(spec), Arc::new(Stored::default()));
    store.0.lock().unwrap().extend((0..50).map(|key| (format!("key{key}"), Bytes::from_static(b"old"))));
    let context = CallContext { key_value: Some(Arc::clone(&store) as _), ..CallContext::default() };

    let (mut through, mut empty, mut native) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CALLS {
        through.push(timed(&plugin, PAIRS, &context).await / PAIRS);
        empty.push(timed(&plugin, 0, &context).await);
        let start = Instant::now();
        let mut overlay = Overlay::new(Some(Arc::clone(&store) as _), Arc::clone(&spec));
        for round in 0..PAIRS {
            let key = format!("key{}", round % 100);
            overlay.set("default", &key, Bytes::copy_from_slice(b"0123456789abcdef")).await.unwrap();
            std::hint::black_box(overlay.get("default", &key).await.unwrap());
        }
        native.push(start.elapsed() / PAIRS);
    }
    println!("one set and one get of one of 100 keys:");
    common::row("guest", &mut through);
    common::row("native", &mut native);
    common::row("a whole call without any", &mut empty);
    let middle = |times: &[Duration]| times.get(times.len() / 2).unwrap().as_secs_f64();
    println!("  the guest takes {:.2} times as long\n", middle(&through) / middle(&native));
}

async fn timed(plugin: &Plugin, pairs: u32, context: &CallContext) -> Duration {
    let message = Message { content: Content::Text(format!("rounds {pairs}")), ..common::message() };
    let start = Instant::now();
    plugin.on_message(Arc::new(message), context).await.unwrap();
    start.elapsed()
}

async fn hundred(keeper: &[u8], cache: PathBuf) {
    let before = common::resident_now_kb();
    let (_host, plugins) = load_all(keeper, cache).await;
    let grown = common::resident_now_kb().saturating_sub(before) / 1024;
    let code: u64 = plugins.iter().map(|plugin| plugin.about().code).sum();
    println!("{} plugins of {} KB from the cache:", plugins.len(), keeper.len() / 1000);
    println!("  resident {grown} MB more, of which at most {} MB code", code >> 20);
}

async fn load_all(keeper: &[u8], cache: PathBuf) -> (Arc<Host>, Vec<Arc<Plugin>>) {
    let host = Host::new(HostConfig { cache_dir: Some(cache), ..HostConfig::default() }).unwrap();
    let mut plugins = Vec::new();
    for number in 0..PLUGINS {
        // Distinct bytes, as real plugins would have.
        let mut bytes = keeper.to_vec();
        bytes.extend_from_slice(&[0, 6, 1, b'n']);
        bytes.extend_from_slice(&number.to_le_bytes());
        plugins.push(host.load_bytes(PluginSpec::new(format!("keeper{number}"), ""), bytes).await.unwrap());
    }
    (host, plugins)
}

/// Stored key-values of one plugin.
#[derive(Default)]
struct Stored(Mutex<BTreeMap<String, Bytes>>);

impl KeyValue for Stored {
    fn get<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        key: &'a str,
    ) -> ServiceFuture<'a, Result<Option<Bytes>, String>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().get(key).cloned()) })
    }

    fn keys<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<&'a str>,
        _: usize,
    ) -> ServiceFuture<'a, Result<Vec<String>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn used(&self, _: &str) -> u64 {
        1_000
    }

    fn version(&self, _: &str, _: &str, _: &str) -> u64 {
        1
    }
}
