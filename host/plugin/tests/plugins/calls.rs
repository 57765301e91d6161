//! Calls that go well, and failures the guest itself returns.

use std::sync::Arc;
use std::time::Duration;

use belfry_plugin_host::types::Outcome;
use belfry_plugin_host::{Allocator, CallContext, CallError, Handler, Host, HostConfig, PluginInfo};

use crate::support::{ask, fail, load, message, naughty, say, spec};

#[tokio::test]
async fn a_guest_answers_passes_or_stays_silent() {
    let plugin = load(spec()).await;
    assert!(plugin.handles(Handler::Message));
    assert_eq!(ask(&plugin, "say hello").await, "hello");
    assert_eq!(say(&plugin, "pass").await.unwrap(), Outcome::Pass);
    assert_eq!(say(&plugin, "silence").await.unwrap(), Outcome::Reply(Vec::new()));
}

#[tokio::test]
async fn nothing_lives_from_one_message_to_the_next() {
    let plugin = load(spec()).await;
    assert_eq!(ask(&plugin, "count").await, "1");
    assert_eq!(ask(&plugin, "count").await, "1");
}

#[tokio::test]
async fn both_allocators_run_guests() {
    for allocator in [Allocator::Pooling, Allocator::OnDemand] {
        let host = Host::new(HostConfig { allocator, ..HostConfig::default() }).unwrap();
        let plugin = host.load_bytes(spec(), naughty().await.to_vec()).await.unwrap();
        assert_eq!(ask(&plugin, "say hello").await, "hello", "{allocator:?}");
    }
}

#[tokio::test]
async fn failures_keep_their_kind_and_reason() {
    let plugin = load(spec()).await;
    let temporary = CallError::Temporary("plugin `naughty` failed: the shop is closed".into());
    assert_eq!(say(&plugin, "temporary the shop is closed").await.unwrap_err(), temporary);
    assert_eq!(fail(&plugin, "permanent no such shop").await, "plugin `naughty` failed: no such shop");
    assert_eq!(fail(&plugin, "permanent").await, "plugin `naughty` failed and did not say why");
}

#[tokio::test]
async fn a_hostile_reason_is_cleaned_and_cut() {
    let reason = fail(&*load(spec()).await, "hostile").await;
    assert!(reason.starts_with("plugin `naughty` failed: gone\nxxx"), "{reason:.60}");
    assert!(reason.len() < 5_000, "{}", reason.len());
}

#[tokio::test]
async fn settings_and_the_list_of_plugins_can_be_read() {
    let mut spec = spec();
    spec.config = [("greeting", "hi"), ("size", "3")].map(|(k, v)| (k.into(), v.into())).into();
    spec.commands = vec!["/naughty".into()];
    let plugin = load(spec).await;
    assert_eq!(ask(&plugin, "config greeting").await, "hi");
    assert_eq!(ask(&plugin, "config absent").await, "none");
    assert_eq!(ask(&plugin, "config-all").await, r#"[("greeting", "hi"), ("size", "3")]"#);

    let other = PluginInfo { name: "other".into(), description: String::new(), commands: Vec::new() };
    let context = CallContext { plugins: Arc::from([plugin.info(), other]), ..CallContext::default() };
    let outcome = plugin.on_message(Arc::new(message("plugins")), &context).await.unwrap().value;
    assert!(format!("{outcome:?}").contains(r#"naughty [\"/naughty\"]; other []"#), "{outcome:?}");
}

#[tokio::test]
async fn calls_run_side_by_side_and_wait_for_a_slot() {
    let host = Host::new(HostConfig { max_instances: 2, ..HostConfig::default() }).unwrap();
    let plugin = host.load_bytes(spec(), naughty().await.to_vec()).await.unwrap();
    let calls = (0..10).map(|_| {
        let plugin = Arc::clone(&plugin);
        tokio::spawn(async move { ask(&plugin, "sleep 5").await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), "slept");
    }
}

#[tokio::test]
async fn a_long_computation_leaves_the_callers_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let config = HostConfig { offload: Some(runtime.handle().clone()), ..HostConfig::default() };
    let plugin = Host::new(config).unwrap().load_bytes(spec(), naughty().await.to_vec()).await.unwrap();

    // While one guest computes without end, this single thread still answers other messages.
    let looping = tokio::spawn({
        let plugin = Arc::clone(&plugin);
        async move { fail(&plugin, "loop").await }
    });
    for _ in 0..20 {
        assert_eq!(ask(&plugin, "say hello").await, "hello");
        tokio::task::yield_now().await;
    }
    assert!(looping.await.unwrap().contains("limits.cpu"));
    runtime.shutdown_background();
}

#[tokio::test]
async fn a_dropped_call_gives_its_slot_back() {
    let host = Host::new(HostConfig { max_instances: 1, ..HostConfig::default() }).unwrap();
    let plugin = host.load_bytes(spec(), naughty().await.to_vec()).await.unwrap();
    let call = tokio::time::timeout(Duration::from_millis(20), say(&plugin, "sleep 20000"));
    assert!(call.await.is_err());
    assert_eq!(ask(&plugin, "say hello").await, "hello");
}
