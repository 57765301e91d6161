//! The handlers besides `on-message`, what a plugin says about itself, and pinned bytes.

use std::sync::Arc;
use std::time::Duration;

use belfry_plugin_host::types::{Effect, Event, Request, Response};
use belfry_plugin_host::{CallContext, CallError, Fixed, Handler};

use crate::fakes::{Notes, Store};
use crate::support::{ask_in, host, keeper, keeper_build, keeper_spec, load, load_keeper, spec};

fn event(kind: &str, data: &str) -> Arc<Event> {
    Arc::new(Event {
        id: "e1".into(),
        source: "/dingtalk/default".into(),
        type_: kind.into(),
        subject: None,
        time: Some(1_763_000_000_000),
        data_content_type: None,
        data: Some(data.into()),
        extensions: Vec::new(),
        attempt: 1,
    })
}

fn request(kind: &str) -> Arc<Request> {
    Arc::new(Request {
        id: "r1".into(),
        kind: kind.into(),
        app: "default".into(),
        subject: "card 1".into(),
        actions: vec!["agree".into()],
        user: None,
        conversation: None,
        params: "{}".into(),
        attributes: Vec::new(),
        raw: "{}".into(),
    })
}

#[tokio::test]
async fn events_become_effects_and_writes() {
    let plugin = load_keeper(keeper_spec()).await;
    let context = Arc::new(Store::default()).context();
    let done = plugin.on_event(event("todo.done.v1", "{}"), &context).await.unwrap();
    assert!(matches!(&done.value[..], [Effect::Emit(emit), Effect::Send(_)] if emit.type_ == "todo.done.v1"));
    assert_eq!(done.writes.changes[0].key, "event");
    let later = plugin.on_event(event("x", "later"), &context).await.unwrap_err();
    assert_eq!(later, CallError::Temporary("plugin `keeper` failed: not yet".into()));
    assert!(
        plugin.on_event(event("x", "trap"), &context).await.unwrap_err().reason().contains("stopped itself")
    );
    let big = Event { subject: Some("2000000".into()), ..(*event("x", "{}")).clone() };
    let reason = plugin.on_event(Arc::new(big), &context).await.unwrap_err().to_string();
    assert!(reason.contains("raise `limits.output` in [plugins.keeper]"), "{reason}");
}

#[tokio::test]
async fn actions_are_answered_in_time_or_not_at_all() {
    let mut spec = keeper_spec();
    spec.limits.deadline = Duration::from_millis(500);
    let plugin = load_keeper(spec).await;
    let nothing = CallContext::default();
    let Response::Card(update) = plugin.on_action(request("card"), &nothing).await.unwrap().value else {
        panic!()
    };
    assert_eq!(update.data, [("pressed".to_owned(), "agree".to_owned())]);
    assert_eq!(
        plugin.on_action(request("ai-plugin"), &nothing).await.unwrap().value,
        Response::Json("{}".into())
    );
    let reason = plugin.on_action(request("slow"), &nothing).await.unwrap_err().to_string();
    assert!(reason.contains("within the 2 s that DingTalk waits"), "{reason}");
}

#[tokio::test]
async fn a_transform_reaches_nothing() {
    let plugin = load_keeper(keeper_spec()).await;
    let context =
        CallContext { chat: Notes::default().context().chat, ..Arc::new(Store::default()).context() };
    let out = plugin.transform(event("keep", "{}"), &context).await.unwrap().unwrap();
    let data = out.data.unwrap();
    assert!(data.starts_with("access denied; unavailable: there is no chat in this call"), "{data}");
    assert!(data.contains("Err("), "{data}");
    assert_eq!(plugin.transform(event("drop", "{}"), &context).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_not_exported_is_said() {
    let plugin = load(spec()).await;
    let nothing = CallContext::default();
    let reason = plugin.on_event(event("x", "{}"), &nothing).await.unwrap_err().to_string();
    assert_eq!(reason, "plugin `naughty` does not export `event-handler`");
    let reason = plugin.on_action(request("card"), &nothing).await.unwrap_err().to_string();
    assert_eq!(reason, "plugin `naughty` does not export `action-handler`");
    let reason = plugin.transform(event("x", "{}"), &nothing).await.unwrap_err().to_string();
    assert_eq!(reason, "plugin `naughty` does not export `transform`");
    assert!(plugin.description().is_none() && plugin.commands().is_empty());
}

#[tokio::test]
async fn a_plugin_describes_itself_and_the_config_has_the_last_word() {
    let plugin = load_keeper(keeper_spec()).await;
    assert_eq!(plugin.description().unwrap().version, "1.2.0");
    assert_eq!(plugin.commands(), ["/keep"]);
    assert_eq!(plugin.info().description, "keeps what it is given");
    for handler in [Handler::Message, Handler::Event, Handler::Action, Handler::Transform] {
        assert!(plugin.handles(handler), "{handler:?}");
    }
    let about = plugin.about();
    assert_eq!(about.used_exports.len(), 6, "{about:?}");
    assert_eq!(about.ignored_exports().count(), 0);
    assert!(about.own_imports().any(|import| import == "belfry:bot/live-card@0.1.0"), "{about:?}");
    assert!(about.wasi_imports().any(|import| import == "wasi:keyvalue/atomics@0.2.0-draft2"), "{about:?}");
    assert!(about.initial_memory.unwrap() >= 64 << 10);

    let mut spec = keeper_spec();
    spec.commands = vec!["/other".into()];
    spec.description = "mine".into();
    let plugin = load_keeper(spec).await;
    assert_eq!((plugin.commands(), plugin.info().description.as_str()), (&["/other".to_owned()][..], "mine"));
}

#[tokio::test]
async fn a_description_that_fails_refuses_the_build() {
    for (mark, words) in [
        ("DTR", "its `describe` fails: plugin `keeper` stopped itself"),
        ("DKV", "its `describe` fails: plugin `keeper` stopped itself"),
        ("DCM", "its `describe` names the command `no-slash`; a command is a slash and a word"),
    ] {
        let error =
            host().load_bytes(keeper_spec(), keeper_build(mark).await).await.err().unwrap().to_string();
        assert!(error.contains(words), "{mark}: {error}");
    }
}

#[tokio::test]
async fn other_bytes_than_the_pinned_ones_are_refused() {
    let digest = load_keeper(keeper_spec()).await.about().sha256.clone();
    let mut spec = keeper_spec();
    spec.sha256 = Some(digest.to_uppercase());
    host().load_bytes(spec.clone(), keeper().await.to_vec()).await.unwrap();
    let error = host().load_bytes(spec, keeper_build("BBB").await).await.err().unwrap().to_string();
    assert!(error.starts_with("its SHA-256 is "), "{error}");
    assert!(error.contains(&format!("[plugins.keeper] expects {}", digest.to_uppercase())), "{error}");
}

#[tokio::test]
async fn fixed_clocks_and_random_numbers_repeat() {
    let plugin = load_keeper(keeper_spec()).await;
    let fixed =
        |seed| CallContext { fixed: Some(Fixed { now_ms: 86_400_000, seed }), ..CallContext::default() };
    let first = ask_in(&plugin, "clock", &fixed(1)).await;
    assert!(first.starts_with("86400000 20 "), "{first}");
    assert_eq!(ask_in(&plugin, "clock", &fixed(1)).await, first);
    assert_ne!(ask_in(&plugin, "clock", &fixed(2)).await, first);
    assert!(!ask_in(&plugin, "clock", &CallContext::default()).await.starts_with("86400000 "));
}
