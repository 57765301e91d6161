//! Key-values through a guest: what it reads back, what is committed, and what is not.

use std::sync::Arc;

use belfry_plugin_host::types::Outcome;
use belfry_plugin_host::{CallContext, Change, Seen};

use crate::fakes::Store;
use crate::support::{ask, ask_in, call, keeper_spec, load_keeper};

#[tokio::test]
async fn writes_are_read_back_at_once_and_come_back_with_the_outcome() {
    let plugin = load_keeper(keeper_spec()).await;
    let store = Arc::new(Store::default());
    let context = store.context();
    let done = call(&plugin, "set greeting hello", &context).await.unwrap();
    assert_eq!(ask_in(&plugin, "get greeting", &context).await, "none");
    store.commit("keeper", done.writes);
    assert_eq!(ask_in(&plugin, "get greeting", &context).await, "hello");
    assert_eq!(ask_in(&plugin, "exists greeting", &context).await, "true");
    assert_eq!(ask_in(&plugin, "exists other", &context).await, "false");
    assert_eq!(ask_in(&plugin, "keys", &context).await, "greeting");
    assert_eq!(ask_in(&plugin, "batch", &context).await, r#"[Some(("y", 1)), None]"#);
    let done = call(&plugin, "delete greeting", &context).await.unwrap();
    assert_eq!(done.writes.changes[0].change, Change::Delete);
}

#[tokio::test]
async fn a_pass_keeps_its_writes_and_a_failure_does_not() {
    let plugin = load_keeper(keeper_spec()).await;
    let context = Arc::new(Store::default()).context();
    let done = call(&plugin, "set-and-pass k v", &context).await.unwrap();
    assert_eq!((done.value, done.writes.changes.len()), (Outcome::Pass, 1));
    for verb in ["set-and-fail", "set-and-trap"] {
        call(&plugin, &format!("{verb} k v"), &context).await.unwrap_err();
        assert_eq!(ask_in(&plugin, "get k", &context).await, "none");
    }
}

#[tokio::test]
async fn additions_made_at_the_same_time_all_count() {
    let plugin = load_keeper(keeper_spec()).await;
    let store = Arc::new(Store::default());
    let context = store.context();
    let first = call(&plugin, "add n 5", &context).await.unwrap();
    let second = call(&plugin, "add n 7", &context).await.unwrap();
    assert_eq!(second.writes.changes[0].change, Change::Add(7));
    store.commit("keeper", first.writes);
    store.commit("keeper", second.writes);
    assert_eq!(ask_in(&plugin, "get n", &context).await, "12");
    assert_eq!(ask_in(&plugin, "add n -2", &context).await, "10");
}

#[tokio::test]
async fn a_swap_tells_what_it_was_built_upon() {
    let plugin = load_keeper(keeper_spec()).await;
    let store = Arc::new(Store::default());
    let context = store.context();
    store.commit("keeper", call(&plugin, "set k one", &context).await.unwrap().writes);
    let done = call(&plugin, "swap k two", &context).await.unwrap();
    assert_eq!(done.writes.seen, [Seen { bucket: "default".into(), key: "k".into(), version: 1 }]);
    assert_eq!(ask_in(&plugin, "swap k two", &context).await, "swapped one");
    assert_eq!(ask_in(&plugin, "swap-late k two", &context).await, "done after meanwhile");
}

#[tokio::test]
async fn without_a_store_it_is_denied() {
    let plugin = load_keeper(keeper_spec()).await;
    assert_eq!(ask(&plugin, "open default").await, "access denied");
    assert_eq!(ask_in(&plugin, "open default", &CallContext::default()).await, "access denied");
}
