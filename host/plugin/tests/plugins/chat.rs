//! Chat, cards and live cards through a guest: grants, limits, and how cards end.

use belfry_plugin_host::{LiveSettings, PluginSpec};

use crate::fakes::Notes;
use crate::support::{ask, ask_in, call, keeper_spec, load_keeper};

fn granted() -> PluginSpec {
    let mut spec = keeper_spec();
    spec.grants.chat.users = vec!["manager1234".into()];
    spec.grants.chat.groups = vec!["*".into()];
    spec
}

#[tokio::test]
async fn the_current_conversation_needs_no_grant() {
    let plugin = load_keeper(keeper_spec()).await;
    let notes = Notes::default();
    assert_eq!(ask_in(&plugin, "send current hello you", &notes.context()).await, "message 0");
    assert_eq!(ask_in(&plugin, "card current x", &notes.context()).await, "card 0");
    assert_eq!(ask_in(&plugin, "update card-7 y", &notes.context()).await, "updated");
    assert_eq!(ask_in(&plugin, "download c0de", &notes.context()).await, "7");
    assert_eq!(ask_in(&plugin, "upload report.pdf 10", &notes.context()).await, "@media");
    assert_eq!(
        notes.take(),
        [
            "0 to current: hello you",
            r#"0 card t.schema to current: [("a", "x")]"#,
            r#"update card-7: [("a", "y")]"#,
            "download c0de up to 8388608",
            "upload MediaKind::File report.pdf 10"
        ]
    );
}

#[tokio::test]
async fn a_refusal_says_which_line_to_add() {
    let plugin = load_keeper(keeper_spec()).await;
    let notes = Notes::default();
    for (verb, words) in [
        (
            "send user:manager1234 hi",
            "not granted: plugin `keeper` may not write to the user \"manager1234\"; add \
             `chat = { users = [\"manager1234\"] }` to [plugins.keeper]",
        ),
        (
            "card group:cid9== x",
            "not granted: plugin `keeper` may not write to the group \"cid9==\"; add \
             `chat = { groups = [\"cid9==\"] }` to [plugins.keeper]",
        ),
        (
            "live user:x a b",
            "not granted: plugin `keeper` may not write to the user \"x\"; add `chat = { users = [\"x\"] }` to \
             [plugins.keeper]",
        ),
        ("recall m1", "not granted: plugin `keeper` may recall only"),
        ("upload ../x 1", "invalid: a file's name has 1 to 256 bytes"),
    ] {
        let said = match call(&plugin, verb, &notes.context()).await {
            Ok(done) => format!("{:?}", done.value).replace("\\\"", "\""),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(words), "{verb}: {said}");
    }
    assert!(notes.take().is_empty());

    let plugin = load_keeper(granted()).await;
    let said = ask_in(&plugin, "send user:other hi", &notes.context()).await;
    assert!(said.ends_with("add \"other\" to `users` of `chat` in [plugins.keeper]"), "{said}");
    assert_eq!(ask_in(&plugin, "send user:manager1234 hi", &notes.context()).await, "message 0");
    assert_eq!(ask_in(&plugin, "send group:cid1 hi", &notes.context()).await, "message 0");
    assert_eq!(ask_in(&plugin, "recall m1", &notes.context()).await, "recalled");
    assert_eq!(notes.take(), ["0 to user manager1234: hi", "0 to group cid1: hi", "recall m1"]);
}

#[tokio::test]
async fn live_cards_grow_and_end() {
    let mut spec = granted();
    spec.grants.chat.live = LiveSettings { template: Some("ai.schema".into()), ..LiveSettings::default() };
    let plugin = load_keeper(spec).await;
    let notes = Notes::default();
    let said = ask_in(&plugin, "live user:manager1234 one two", &notes.context()).await;
    assert_eq!(said, "invalid: this live card has ended");
    assert_eq!(
        notes.take(),
        ["0 live `a title` to user manager1234 as Some(\"ai.schema\")", "finish `onetwo`"]
    );
    ask_in(&plugin, "live-drop half a", &notes.context()).await;
    assert_eq!(notes.take()[1], "drop `half a`");
    call(&plugin, "live-trap thought", &notes.context()).await.unwrap_err();
    assert_eq!(notes.take()[1], "drop `thought`");
    ask_in(&plugin, "live-keep word", &notes.context()).await;
    assert_eq!(notes.take()[1], "drop `word`");
}

#[tokio::test]
async fn without_a_chat_it_is_unavailable() {
    let plugin = load_keeper(keeper_spec()).await;
    assert!(ask(&plugin, "send current hi").await.starts_with("unavailable: "));
}
