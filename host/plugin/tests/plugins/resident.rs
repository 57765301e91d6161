//! Instances that live over many calls: what they remember, hand over, and lose.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use belfry_plugin_host::{Lifetime, Plugin, PluginEvent, PluginSpec, Plugins, PluginsConfig};
use tempfile::TempDir;

use crate::fakes::{Notes, Store};
use crate::support::{ask, ask_in, call, fail, host, keeper_build, keeper_spec, load_keeper};

fn resident(recycle_after: u32) -> PluginSpec {
    PluginSpec { lifetime: Lifetime::Resident { recycle_after }, ..keeper_spec() }
}

#[tokio::test]
async fn state_lives_from_call_to_call_and_is_handed_over() {
    let plugin = load_keeper(resident(3)).await;
    assert_eq!(ask(&plugin, "remember a").await, "init,a");
    assert_eq!(ask(&plugin, "remember b").await, "init,a,b");
    assert_eq!(ask(&plugin, "recite").await, "init,a,b");
    // The fourth call meets an instance that was told.
    assert_eq!(ask(&plugin, "remember c").await, "(init,a,b),c");
}

#[tokio::test]
async fn calls_come_one_after_the_other_each_with_its_own_limits() {
    let mut spec = resident(1_000);
    spec.limits.sends = 2;
    let plugin = load_keeper(spec).await;
    let notes = Notes::default();
    let calls = (0..8).map(|number| {
        let (plugin, context) = (Arc::clone(&plugin), notes.context());
        tokio::spawn(async move { ask_in(&plugin, &format!("send current {number}"), &context).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), "message 0");
    }
    assert_eq!(notes.take().len(), 8);
}

#[tokio::test]
async fn key_values_belong_to_the_call() {
    let plugin = load_keeper(resident(1_000)).await;
    let store = Arc::new(Store::default());
    let first = call(&plugin, "set k v", &store.context()).await.unwrap();
    assert_eq!(ask_in(&plugin, "get k", &store.context()).await, "none");
    store.commit("keeper", first.writes);
    assert_eq!(ask_in(&plugin, "get k", &store.context()).await, "v");
    assert_eq!(ask(&plugin, "open default").await, "access denied");
}

#[tokio::test]
async fn a_live_card_ends_with_its_call() {
    let plugin = load_keeper(resident(1_000)).await;
    let notes = Notes::default();
    ask_in(&plugin, "live-keep word", &notes.context()).await;
    assert_eq!(notes.take()[1], "drop `word`");
    let said = ask_in(&plugin, "live-again more", &notes.context()).await;
    assert_eq!(said, "invalid: this live card has ended");
}

#[tokio::test]
async fn a_trap_or_a_limit_ends_the_instance() {
    let mut spec = resident(1_000);
    spec.limits.deadline = Duration::from_millis(2_000);
    let plugin = load_keeper(spec).await;
    ask(&plugin, "remember a").await;
    fail(&plugin, "trap").await;
    assert_eq!(ask(&plugin, "remember b").await, "init,b");
    fail(&plugin, "sleep 60000").await;
    assert_eq!(ask(&plugin, "remember c").await, "init,c");
}

#[tokio::test]
async fn an_instance_that_keeps_its_state_to_itself_goes_on() {
    let plugin = host().load_bytes(resident(2), keeper_build("NOS").await).await.unwrap();
    for word in ["a", "b", "c", "d"] {
        ask(&plugin, &format!("remember {word}")).await;
    }
    assert_eq!(ask(&plugin, "recite").await, "init,a,b,c,d");
}

#[tokio::test]
async fn a_refusal_to_begin_refuses_the_build() {
    let error = host().load_bytes(resident(9), keeper_build("NOI").await).await.err().unwrap().to_string();
    assert!(error.contains("could not begin: its `init` said: nothing to begin with"), "{error}");
}

/// A live set with one resident plugin.
struct Fixture {
    path: PathBuf,
    plugins: Plugins,
    events: tokio::sync::broadcast::Receiver<PluginEvent>,
    _dir: TempDir,
}

impl Fixture {
    async fn start() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keeper.wasm");
        std::fs::write(&path, keeper_build("AAA").await).unwrap();
        let spec = PluginSpec { path: path.clone(), ..resident(1_000) };
        let plugins =
            Plugins::start(host(), PluginsConfig { specs: vec![spec], folder: None }).await.unwrap();
        let events = plugins.events();
        Fixture { path, plugins, events, _dir: dir }
    }

    async fn replace(&mut self, mark: &str) -> PluginEvent {
        let temporary = self.path.with_extension("tmp");
        std::fs::write(&temporary, keeper_build(mark).await).unwrap();
        std::fs::rename(temporary, &self.path).unwrap();
        tokio::time::timeout(Duration::from_secs(60), self.events.recv()).await.unwrap().unwrap()
    }

    fn plugin(&self) -> Arc<Plugin> {
        Arc::clone(self.plugins.current().get("keeper").unwrap())
    }
}

#[tokio::test]
async fn a_new_build_takes_over() {
    let mut fixture = Fixture::start().await;
    let old = fixture.plugin();
    ask(&old, "remember a").await;
    assert!(matches!(fixture.replace("BBB").await, PluginEvent::Loaded { replaced: true, .. }));
    let new = fixture.plugin();
    assert_eq!(ask(&new, "build").await, "BBB");
    assert_eq!(ask(&new, "remember b").await, "(init,a),b");
    // Whoever still holds the old build talks to the new one: there is one memory.
    assert_eq!(ask(&old, "build").await, "BBB");
    assert_eq!(ask(&old, "recite").await, "(init,a),b");
}

#[tokio::test]
async fn a_build_that_does_not_take_over_changes_nothing() {
    let mut fixture = Fixture::start().await;
    ask(&fixture.plugin(), "remember a").await;
    let PluginEvent::Rejected { reason, .. } = fixture.replace("NOR").await else { panic!() };
    assert_eq!(
        reason,
        "it does not take over the state of the build before: its `restore` said: what a mess"
    );
    assert_eq!(ask(&fixture.plugin(), "build").await, "AAA");
    let PluginEvent::Rejected { reason, .. } = fixture.replace("NOI").await else { panic!() };
    assert!(reason.contains("nothing to begin with"), "{reason}");
    assert_eq!(ask(&fixture.plugin(), "recite").await, "init,a");
}

#[tokio::test]
async fn a_build_that_is_taken_back_leaves_the_old_memory() {
    let mut fixture = Fixture::start().await;
    let old = fixture.plugin();
    ask(&old, "remember a").await;
    fixture.replace("BBB").await;
    for _ in 0..3 {
        fail(&fixture.plugin(), "trap").await;
    }
    let event = tokio::time::timeout(Duration::from_secs(60), fixture.events.recv()).await.unwrap().unwrap();
    assert!(matches!(event, PluginEvent::RolledBack { .. }), "{event:?}");
    assert_eq!(ask(&fixture.plugin(), "build").await, "AAA");
    assert_eq!(ask(&fixture.plugin(), "recite").await, "init,a");
}

#[tokio::test]
async fn there_is_room_for_so_many_residents() {
    let host = host();
    let mut kept = Vec::new();
    let refused = loop {
        match host.load_bytes(resident(9), keeper_build("AAA").await).await {
            Ok(plugin) => kept.push(plugin),
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(kept.len(), 8);
    assert!(refused.contains("too many plugins have `per = \"resident\"`"), "{refused}");
    drop(kept);
    host.load_bytes(resident(9), keeper_build("AAA").await).await.unwrap();
}
