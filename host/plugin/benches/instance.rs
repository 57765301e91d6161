//! What a fresh instance per message costs, and where the time goes.
//!
//! ```sh
//! cargo build --release --target wasm32-wasip2 --manifest-path plugins/Cargo.toml
//! cargo bench -p belfry-plugin-host --bench instance -- plugins/target/wasm32-wasip2/release/echo.wasm
//! ```

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belfry_plugin_host::types::{Content, Conversation, ConversationKind, Message, Sender};
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

    let context = CallContext { plugins: Arc::from([plugin.info()]) };
    let message = Arc::new(message());
    for _ in 0..WARM_UP {
        plugin.on_message(Arc::clone(&message), &context).await.unwrap();
    }

    let mut whole = Vec::with_capacity(CALLS);
    let cpu = cpu_time();
    for _ in 0..CALLS {
        let start = Instant::now();
        plugin.on_message(Arc::clone(&message), &context).await.unwrap();
        whole.push(start.elapsed());
    }
    let cpu = (cpu_time() - cpu) / u32::try_from(CALLS).unwrap();

    let mut phases = [const { Vec::new() }; 4];
    for _ in 0..CALLS {
        let timed = plugin.time_call(&message, &context).await.unwrap();
        let times = [timed.store, timed.instantiate, timed.call, timed.drop];
        phases.iter_mut().zip(times).for_each(|(phase, time)| phase.push(time));
    }
    row("on_message", &mut whole);
    let names = ["  store", "  instantiate", "  call", "  drop"];
    names.iter().zip(&mut phases).for_each(|(name, phase)| row(name, phase));
    println!("  process CPU per call {:.1} µs, resident {} MB\n", micros(cpu), resident_kb() / 1024);
    offload.shutdown_background();
}

fn row(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| micros(times[times.len() * percent / 100]);
    println!("  {name:14} p50 {:6.2} µs   p99 {:6.2} µs", at(50), at(99));
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// User and system time of all threads.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let mut total = stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        if task.file_name().to_str() == Some(&std::process::id().to_string()) {
            continue;
        }
        let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        total += stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    Duration::from_nanos(total)
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

/// A private text message as the pipeline makes it.
fn message() -> Message {
    Message {
        id: "msgbVp1Fa0Hk1tBbMNzVT6Hwg==".into(),
        app: "default".into(),
        conversation: Conversation {
            id: "cidKq2SFcpXgQXcXu5XgXWqxRjVwPQkrkvVMCWE7C9HVq4=".into(),
            kind: ConversationKind::Private,
            title: None,
        },
        sender: Sender {
            id: "$:LWCP_v1:$lzxB7pTkvSzWgyiuyzXv0Q==".into(),
            staff_id: Some("manager1234".into()),
            nick: "Ann".into(),
            corp_id: Some("ding8a7ee1b5d3e4d3e4".into()),
            union_id: None,
            admin: true,
        },
        content: Content::Text("hello".into()),
        mentions: Vec::new(),
        quoted: None,
        sent_at: 1_763_000_000_000,
        attempt: 1,
        attributes: Vec::new(),
        raw: format!("{{{}}}", "\"key\":\"value\",".repeat(60)),
    }
}
