//! Guests that want too much: each fails alone, with a reason that names the plugin and the key to raise.

use std::sync::Arc;
use std::time::Duration;

use belfry_plugin_host::{Host, HostConfig, LoadError, PluginSpec};

use crate::support::{ask, fail, host, load, naughty, say, spec};

fn limited(change: impl FnOnce(&mut belfry_plugin_host::Limits)) -> PluginSpec {
    let mut spec = spec();
    change(&mut spec.limits);
    spec
}

#[tokio::test]
async fn an_endless_loop_is_stopped() {
    let plugin = load(limited(|limits| limits.cpu = Duration::from_millis(30))).await;
    let reason = fail(&plugin, "loop").await;
    assert_eq!(
        reason,
        "plugin `naughty` computed for longer than 30ms; raise `limits.cpu` in [plugins.naughty]"
    );
    assert_eq!(ask(&plugin, "say still here").await, "still here");
}

#[tokio::test]
async fn waiting_is_not_billed_as_computing() {
    let plugin = load(limited(|limits| limits.cpu = Duration::from_millis(100))).await;
    assert_eq!(ask(&plugin, "sleep 300").await, "slept");
}

#[tokio::test]
async fn an_hour_of_sleep_ends_at_the_deadline() {
    let plugin = load(limited(|limits| limits.deadline = Duration::from_millis(50))).await;
    let reason = fail(&plugin, "sleep 3600000").await;
    assert!(
        reason.starts_with("plugin `naughty` was not done after 50ms, of which it computed "),
        "{reason}"
    );
    assert!(reason.ends_with("raise `limits.deadline` in [plugins.naughty]"), "{reason}");
}

#[tokio::test]
async fn memory_without_end_is_refused() {
    let plugin = load(limited(|limits| limits.memory = 8 << 20)).await;
    let reason = fail(&plugin, "allocate").await;
    assert!(reason.contains("it may have 8 MiB; raise `limits.memory` in [plugins.naughty]"), "{reason}");
    // A guest that looks before it leaps is told no and goes on.
    assert_eq!(ask(&plugin, "try-allocate 100000000").await, "too little");
    assert_eq!(ask(&plugin, "try-allocate 1000000").await, "enough");
}

#[tokio::test]
async fn a_guest_larger_than_its_limit_is_not_loaded() {
    let spec = limited(|limits| limits.memory = 64 << 10);
    let error = host().load_bytes(spec, naughty().await.to_vec()).await.err().unwrap();
    let LoadError::Rejected(reason) = error else { panic!("{error:?}") };
    assert!(reason.starts_with("a trial instance does not start: "), "{reason}");
    assert!(reason.contains("raise `limits.memory` in [plugins.naughty]"), "{reason}");
}

#[tokio::test]
async fn a_hundred_megabytes_of_answer_are_refused() {
    let plugin = load(limited(|limits| limits.memory = 512 << 20)).await;
    let reason = fail(&plugin, "big 100000000").await;
    assert!(reason.contains("raise `limits.output` in [plugins.naughty] (now 1 MiB)"), "{reason}");
    let reason = fail(&plugin, "many 1000000").await;
    assert!(reason.contains("raise `limits.output` in [plugins.naughty]"), "{reason}");
}

#[tokio::test]
async fn a_little_too_much_answer_is_refused_exactly() {
    let plugin = load(limited(|limits| limits.output = 1_000)).await;
    assert_eq!(
        fail(&plugin, "big 1000").await,
        "plugin `naughty` returned 1 KiB, it may return 1000 bytes; raise `limits.output` in [plugins.naughty]"
    );
    assert_eq!(ask(&plugin, "big 900").await.len(), 900);
}

#[tokio::test]
async fn a_host_function_takes_only_so_much() {
    let plugin = load(limited(|limits| {
        limits.host_bytes = 64 << 10;
        limits.output = 1;
        limits.transfer = 1;
    }))
    .await;
    let reason = fail(&plugin, "log-big 10000000").await;
    assert!(reason.contains("`limits.host_bytes` (now 64 KiB)"), "{reason}");
}

#[tokio::test]
async fn ends_of_a_guest_are_told_apart() {
    let plugin = load(spec()).await;
    let abort = "plugin `naughty` stopped itself (a panic, an abort or an uncaught exception)";
    assert_eq!(fail(&plugin, "trap").await, abort);
    assert_eq!(fail(&plugin, "exit 3").await, "plugin `naughty` called exit(1) instead of returning");
    assert_eq!(
        fail(&plugin, "recurse").await,
        "plugin `naughty` left its memory: a stray pointer, or a function that calls itself without end"
    );
    let reason = fail(&plugin, "panic out of milk").await;
    assert!(reason.starts_with(&format!("{abort}\nit last wrote to stderr:\n")), "{reason}");
    assert!(reason.contains("out of milk"), "{reason}");
    assert_eq!(ask(&plugin, "say still here").await, "still here");
}

#[tokio::test]
async fn a_plugin_that_only_waits_leaves_slots_to_others() {
    let host = Host::new(HostConfig { max_instances: 4, ..HostConfig::default() }).unwrap();
    let spec = limited(|limits| limits.deadline = Duration::from_secs(3_600));
    let sleeper = host.load_bytes(spec, naughty().await.to_vec()).await.unwrap();
    let other = host.load_bytes(PluginSpec::new("other", "x"), naughty().await.to_vec()).await.unwrap();
    let mut sleepers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let sleeper = Arc::clone(&sleeper);
        sleepers.spawn(async move { say(&sleeper, "sleep 3600000").await });
    }
    // On this one thread the sleepers begin first.
    tokio::task::yield_now().await;
    let answer = tokio::time::timeout(Duration::from_secs(60), ask(&other, "say hello")).await;
    assert_eq!(answer.as_deref(), Ok("hello"));
}
