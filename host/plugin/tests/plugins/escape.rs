//! Guests that want out, or everything: each is refused with words, and the host serves the next call.

use std::sync::Arc;

use belfry_plugin_host::{CallContext, Plugin, PluginSpec};

use crate::fakes::{Notes, Store};
use crate::support::{Log, ask, ask_in, call, host, keeper, keeper_spec, load, load_keeper, spec};

/// Everything a call can have.
fn context(store: &Arc<Store>) -> CallContext {
    CallContext { chat: Notes::default().context().chat, ..store.context() }
}

/// What a guest was told when it wanted too much, be it that it was stopped. The next call must work.
async fn told(plugin: &Plugin, text: &str) -> String {
    let store = Arc::new(Store::default());
    let told = match call(plugin, text, &context(&store)).await {
        Ok(done) => format!("{:?}", done.value),
        Err(error) => error.to_string(),
    };
    assert_eq!(ask_in(plugin, "get nothing", &context(&store)).await, "none", "after {text}");
    told
}

#[tokio::test]
async fn files_and_sockets_are_out_of_reach() {
    let plugin = load(spec()).await;
    for verb in [
        "read /etc/passwd",
        "read ../../etc/passwd",
        "read /proc/self/environ",
        "read .",
        "write /tmp/belfry-escape",
        "tcp 22",
        "udp",
        "resolve localhost",
    ] {
        let answer = ask(&plugin, verb).await;
        assert!(answer.starts_with("refused: "), "{verb}: {answer}");
    }
    assert_eq!(ask(&plugin, "environment").await, "[] Args { inner: [] }");
    assert_eq!(ask(&plugin, "say still here").await, "still here");
}

#[tokio::test]
async fn handles_are_bounded() {
    let plugin = load_keeper(keeper_spec()).await;
    for (verb, words) in [
        ("buckets", "more than 1000 handles"),
        ("cas 1", "more than 1000 handles"),
        ("cas 1000000", "the open `cas` handles hold 16 MiB of values"),
        ("streams", "held more than 1000 handles"),
        ("cards", "raise `limits.sends` in [plugins.keeper]"),
    ] {
        let told = told(&plugin, verb).await;
        assert!(told.contains(words), "{verb}: {told}");
    }
}

#[tokio::test]
async fn key_values_are_bounded() {
    let plugin = load_keeper(keeper_spec()).await;
    for (verb, words) in [
        ("fill", "raise `kv` in [plugins.keeper]"),
        ("many-keys", "1000: one call may change 1000 keys"),
        ("multiply 1000000", "these values have more than 16 MiB"),
        ("long-key 1025", "the key has 1025 bytes, a key may have 1024"),
        ("set-big k 1048577", "a value may have 1 MiB"),
        ("huge-key 50000000", "limits.host_bytes"),
    ] {
        let told = told(&plugin, verb).await;
        assert!(told.contains(words), "{verb}: {told}");
    }
}

#[tokio::test]
async fn chat_is_bounded() {
    let plugin = load_keeper(keeper_spec()).await;
    for (verb, words) in [
        ("sends", "32: limit: one call may send 32 messages and cards; raise `limits.sends`"),
        ("downloads", "32: limit: one call may make 32 requests"),
        ("card-text", "1048000: limit: it has 1 MiB, a message may have 1 MiB"),
        ("upload x.bin 8388609", "8 MiB are allowed; raise `limits.transfer` in [plugins.keeper]"),
        ("upload x.bin 30000000", "limits.host_bytes"),
    ] {
        let told = told(&plugin, verb).await;
        assert!(told.contains(words), "{verb}: {told}");
    }
}

#[tokio::test]
async fn memory_random_bytes_and_log_space_are_bounded() {
    let plugin = load_keeper(keeper_spec()).await;
    assert!(told(&plugin, "random 1048576").await.contains("1048576"));
    let said = told(&plugin, "random 1048577").await;
    assert!(said.contains("plugin `keeper` stopped: "), "{said}");

    let mut spec = spec();
    spec.limits.log_bytes = 1_000;
    let plugin = load(spec).await;
    let (log, guard) = Log::start();
    assert_eq!(ask(&plugin, "print-much 5000").await, "printed");
    drop(guard);
    assert!(log.all().len() < 50_000 && log.all().contains("`limits.log_bytes`"), "{}", log.all().len());
    for verb in ["allocate", "recurse", "loop"] {
        crate::support::fail(&plugin, verb).await;
        assert_eq!(ask(&plugin, "say still here").await, "still here", "after {verb}");
    }
}

#[tokio::test]
async fn another_plugins_bucket_is_out_of_reach() {
    let host = host();
    let bytes = keeper().await.to_vec();
    let victim =
        host.load_bytes(PluginSpec { name: "other".into(), ..keeper_spec() }, bytes.clone()).await.unwrap();
    let thief = host.load_bytes(PluginSpec { name: "keeper".into(), ..keeper_spec() }, bytes).await.unwrap();
    let store = Arc::new(Store::default());
    store.commit("other", call(&victim, "set secret 42", &store.context()).await.unwrap().writes);
    for name in ["../other", "other\0x", "other/default", "plugin/other", "..\\other", "ötherwise", "a b"] {
        assert_eq!(
            ask_in(&thief, &format!("open {name}"), &store.context()).await,
            "no such store",
            "{name:?}"
        );
    }
    // A name that happens to be another plugin's is a bucket of one's own.
    assert_eq!(ask_in(&thief, "open other", &store.context()).await, "opened");
    assert_eq!(ask_in(&thief, "get secret", &store.context()).await, "none");
    for key in ["../other/secret", "other\0secret", "\0secret"] {
        assert_eq!(ask_in(&thief, &format!("get {key}"), &store.context()).await, "none");
        let writes = call(&thief, &format!("set {key} mine"), &store.context()).await.unwrap().writes;
        store.commit("keeper", writes);
    }
    assert_eq!(store.get("other", "default", "secret").unwrap(), "42");
    assert_eq!(ask_in(&victim, "get secret", &store.context()).await, "42");
}
