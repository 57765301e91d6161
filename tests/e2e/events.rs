//! What comes in besides messages: organisation events, ticks, emitted events, callbacks; and who gets which.

use belfry_simulator::{Happening, Push};
use serde_json::{Value, json};

use crate::bot::{Bot, PATIENCE, Setup, courier, echo, private, wait_for};

/// A courier that takes the events whose type begins with `prefix`.
fn on(prefix: &str) -> String {
    format!(
        "[plugins.courier]\npath = \"plugins/courier.wasm\"\nchat = {{ users = [\"kim\"], groups = [\"ops\"] }}\n\
         on = {{ type = [{{ prefix = \"{prefix}\" }}] }}\n"
    )
}

async fn courier_with(tables: &str) -> Bot {
    Setup::with(&[("courier.wasm", courier().await)]).tables(tables).start().await
}

fn order(order: &str) -> Push {
    Push::event("user_add_org", json!({ "order": order }))
}

/// What the registrations subscribed, last first.
fn subscribed(bot: &Bot) -> Vec<String> {
    let page = bot.simulator.records(0, usize::MAX);
    let topics = page.records.iter().rev().find_map(|record| match &record.what {
        Happening::Registered { subscriptions, .. } => Some(subscriptions.clone()),
        _ => None,
    });
    let mut topics: Vec<String> = topics.unwrap_or_default().into_iter().map(|one| one.topic).collect();
    topics.sort();
    topics
}

/// Pushes an event and waits for its acknowledgement.
async fn push(bot: &Bot, push: Push) -> Option<String> {
    bot.simulator.call(push, PATIENCE).await.unwrap().status()
}

/// Waits until so many replies were sent since `since`.
async fn sent(bot: &Bot, since: u64, count: usize) -> Vec<String> {
    let wanted = || (bot.answers(since).len() >= count).then_some(());
    wait_for(&format!("{count} messages"), wanted)
        .await
        .unwrap_or_else(|problem| panic!("{problem}\n{}", bot.log()));
    bot.answers(since)
}

#[tokio::test]
async fn an_organisation_event_is_handled_once_and_its_effects_follow() {
    let mut bot = courier_with(&on("dingtalk.")).await;
    assert!(subscribed(&bot).contains(&"*".to_owned()), "{:?}", subscribed(&bot));
    let since = bot.simulator.now();
    let event = order("say user/kim welcome;say group/ops one more");
    assert_eq!(push(&bot, event.clone()).await.as_deref(), Some("SUCCESS"));
    let mut texts = sent(&bot, since, 2).await;
    texts.sort();
    assert_eq!(texts, ["one more", "welcome"]);
    // The same event again, before and after a kill: it is acknowledged, and nothing comes of it.
    assert_eq!(push(&bot, event.clone()).await.as_deref(), Some("SUCCESS"));
    bot.kill_and_restart().await;
    bot.connected(1).await;
    assert_eq!(push(&bot, event).await.as_deref(), Some("SUCCESS"));
    assert_eq!(push(&bot, order("say user/kim the end")).await.as_deref(), Some("SUCCESS"));
    wait_for("the end", || (bot.replies(since, "the end") == 1).then_some(())).await.unwrap();
    assert_eq!(bot.replies(since, "welcome"), 1);
}

#[tokio::test]
async fn an_event_is_tried_again_and_one_that_fails_is_a_dead_letter() {
    let bot = courier_with(&on("dingtalk.")).await;
    let since = bot.simulator.now();
    push(&bot, order("until 2;say user/kim at last")).await;
    assert_eq!(sent(&bot, since, 1).await, ["at last"]);
    bot.logged(&["an event will be tried again", "not yet"]).await;
    push(&bot, order("say user/kim never;fail no such person")).await;
    bot.logged(&["an event could not be handled", "no such person"]).await;
    // A refusal says what to add.
    push(&bot, order("say user/eve psst")).await;
    bot.logged(&["an event could not be handled", "users = [", "eve", "[plugins.courier]"]).await;
    push(&bot, order("emit dingtalk.forged")).await;
    bot.logged(&["an event could not be handled", "is reserved"]).await;
    assert_eq!(bot.answers(since), ["at last"]);
}

#[tokio::test]
async fn emitted_events_go_on_and_chains_end() {
    let tables = "[plugins.courier]\npath = \"plugins/courier.wasm\"\nchat = { users = [\"kim\"] }\n\
                  on = { type = [{ prefix = \"dingtalk.\" }, \"courier.next\", \"courier.loop\"] }\n";
    let bot = courier_with(tables).await;
    let since = bot.simulator.now();
    push(&bot, order("emit courier.next say user/kim from the second")).await;
    assert_eq!(sent(&bot, since, 1).await, ["from the second"]);
    // Nobody takes it.
    push(&bot, order("emit courier.unknown;say user/kim still here")).await;
    assert_eq!(sent(&bot, since, 2).await.last().map(String::as_str), Some("still here"));
    // Each of them emits the next, with the order it has itself.
    let chain =
        (0..12).fold("say user/kim too far".to_owned(), |inner, _| format!("emit courier.loop {inner}"));
    push(&bot, order(&chain)).await;
    bot.logged(&["an event could not be handled", "chain of 8 events"]).await;
    assert_eq!(bot.replies(since, "too far"), 0);
}

#[tokio::test]
async fn a_schedule_ticks_and_needs_no_subscription() {
    let tables = "[plugins.courier]\npath = \"plugins/courier.wasm\"\nchat = { groups = [\"ops\"] }\n\
                  schedule = [{ name = \"often\", cron = \"* * * * * *\", tz = \"UTC\" }]\n";
    let bot = courier_with(tables).await;
    assert!(!subscribed(&bot).contains(&"*".to_owned()), "{:?}", subscribed(&bot));
    let texts = sent(&bot, 0, 2).await;
    assert!(texts.iter().all(|text| text == "tick often"), "{texts:?}");
    // A plugin that is gone gets no ticks, and one that is back does.
    let component = std::fs::read(courier().await).unwrap();
    std::fs::remove_file(bot.plugin_file("courier.wasm")).unwrap();
    bot.logged(&["plugin removed"]).await;
    let seen = bot.log();
    bot.put_plugin("courier.wasm", &component);
    bot.logged_after(&seen, &["plugin loaded"]).await;
    let since = bot.simulator.now();
    sent(&bot, since, 1).await;
}

#[tokio::test]
async fn a_callback_is_answered_in_its_acknowledgement() {
    let bot = courier_with(&on("dingtalk.")).await;
    let since = bot.simulator.now();
    let press = |action: &str| Push::card_action("card-1", "kim", &[action], json!({ "n": 1 }));
    let answer = async |push: Push| bot.simulator.call(push, PATIENCE).await.unwrap().response().unwrap();
    let expected = json!({
        "cardUpdateOptions": { "updateCardDataByKey": true, "updatePrivateDataByKey": true },
        "cardData": { "cardParamMap": { "state": "accept" } },
        "userPrivateData": { "cardParamMap": { "params": "{\"n\":1}" } },
    });
    assert_eq!(answer(press("accept")).await, expected);
    // What fails or takes too long leaves the card as it is, and others do not wait for it.
    let slow = answer(press("slow"));
    let others = async {
        assert_eq!(answer(press("fail")).await, json!({}));
        assert_eq!(answer(press("send")).await, json!({}));
        assert_eq!(answer(press("accept")).await, expected);
    };
    let (slow, ()) = tokio::join!(slow, others);
    assert_eq!(slow, json!({}));
    bot.logged(&["a callback gets no answer", "no such thing"]).await;
    bot.logged(&["a callback gets no answer", "courier", "waits no longer"]).await;
    assert_eq!(sent(&bot, since, 1).await, ["pressed by kim"]);
    // An AI assistant's call has the form of HTTP.
    let called = answer(Push::graph("POST", "/orders", &json!({ "q": 1 }))).await;
    assert_eq!((&called["statusLine"]["code"], &called["body"]), (&json!(200), &json!("{\"q\":1}")));
    let failed = answer(Push::graph("POST", "/fail", &Value::Null)).await;
    assert_eq!(failed["statusLine"]["code"], 500);
}

#[tokio::test]
async fn a_callback_is_not_run_again_after_a_kill() {
    let mut bot = courier_with(&on("dingtalk.")).await;
    let since = bot.simulator.now();
    bot.simulator.push(Push::card_action("card-1", "kim", &["slow"], json!({})));
    let running = || {
        let records = bot.simulator.records(since, usize::MAX).records;
        records.iter().any(|record| matches!(record.what, Happening::Sent(_))).then_some(())
    };
    wait_for("the callback", running).await.unwrap();
    // It is in the journal when one that came later was answered.
    push(&bot, order("say user/kim meanwhile")).await;
    sent(&bot, since, 1).await;
    bot.kill_and_restart().await;
    bot.connected(1).await;
    bot.logged(&["a callback was left without an answer"]).await;
}

#[tokio::test]
async fn a_pattern_narrows_the_messages_and_an_observer_takes_none() {
    let tables = "[plugins.courier]\npath = \"plugins/courier.wasm\"\norder = -1\n\
                  on = { data = { text = { content = [{ contains = \"parcel\" }] } } }\n\
                  [plugins.watcher]\npath = \"plugins/watcher.wasm\"\nobserve = true\n";
    let component = courier().await;
    let plugins =
        [("courier.wasm", component.clone()), ("echo.wasm", echo().await), ("watcher.wasm", component)];
    let bot = Setup::with(&plugins).tables(tables).start().await;
    let since = bot.simulator.now();
    bot.ask(private("a parcel"), "courier: a parcel").await;
    bot.ask(private("a letter"), "a letter").await;
    bot.logged(&["replies of a plugin that observes are dropped", "watcher"]).await;
    assert_eq!(bot.answers(since), ["courier: a parcel", "a letter"]);
}
