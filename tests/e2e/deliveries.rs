//! How replies end: the ways to a conversation, DingTalk's limits, and what a person is told.

use std::time::Duration;

use belfry_simulator::{Fault, Person, Say, SimulatorConfig, Via, conversation_id};

use crate::bot::{Setup, in_chat, naughty, private, wait_for};

#[tokio::test]
async fn after_the_webhook_the_open_api_answers() {
    let bot = Setup::echo().await.start().await;
    // DingTalk says so, whatever the message said of its webhook.
    bot.simulator.add_fault(Fault::session_gone().times(2)).unwrap();
    let reply = bot.ask(private("expired"), "expired").await;
    assert_eq!((reply.via, reply.msgtype()), (Via::People, "sampleText"));
    let group = Say::group(conversation_id("group"), Person::default(), "expired for all");
    let reply = bot.ask(group, "expired for all").await;
    assert_eq!(reply.via, Via::Group);
    // A token that ends early is fetched anew.
    bot.simulator.expire_tokens(None);
    bot.simulator.add_fault(Fault::session_gone().times(1)).unwrap();
    assert_eq!(bot.ask(private("with a new token"), "with a new token").await.via, Via::People);
    // Nobody outside the organisation can be reached that way.
    bot.simulator.add_fault(Fault::session_gone().times(1)).unwrap();
    bot.simulator.say(Say::private(conversation_id("eve"), Person::external("Eve"), "hello"));
    bot.logged(&["a reply did not arrive", "without a staff id"]).await;
}

#[tokio::test]
async fn a_webhook_that_is_about_to_expire_is_not_tried() {
    let simulator = SimulatorConfig { webhook_ttl: Duration::from_secs(30), ..SimulatorConfig::default() };
    let bot = Setup::echo().await.start_unconnected(simulator).await;
    bot.connected(1).await;
    assert_eq!(bot.ask(private("hello"), "hello").await.via, Via::People);
    assert!(!bot.log().contains("expired before its time"), "{}", bot.log());
}

#[tokio::test]
async fn quotas_are_said_as_such_and_kept_over_a_restart() {
    let mut bot = Setup::echo().await.tables("[quota]\nstream_pushes = 5\n").start().await;
    bot.simulator.add_fault(Fault::errcode(90_020, "ApiCountLimitForOrg").times(1)).unwrap();
    bot.simulator.say(private("one"));
    bot.logged(&["a reply did not arrive", "quota"]).await;
    for text in ["two", "three"] {
        bot.ask(private(text), text).await;
    }
    bot.terminate().await;
    assert!(!bot.log().contains("four fifths"), "{}", bot.log());
    bot.restart();
    bot.connected(1).await;
    bot.ask(private("four"), "four").await;
    bot.logged(&["four fifths", "\"used\":4", "\"budget\":5"]).await;
    bot.ask(private("five"), "five").await;
    bot.logged(&["should be used up", "\"used\":5"]).await;
}

#[tokio::test]
async fn a_conversation_gets_no_more_than_dingtalk_allows_and_the_rest_is_left_to_the_next_run() {
    let mut bot = Setup::echo().await.tables("[pipeline]\nreplies_per_minute = 2\n").start().await;
    let since = bot.simulator.now();
    for text in ["first", "second", "third"] {
        bot.simulator.say(in_chat("busy", text));
    }
    bot.ask(in_chat("quiet", "elsewhere"), "elsewhere").await;
    wait_for("three replies", || (bot.answers(since).len() >= 3).then_some(())).await.unwrap();
    // What waits for its turn does not hold up the end.
    assert!(bot.terminate().await.success());
    let mut before = bot.answers(since);
    before.retain(|text| text != "elsewhere");
    assert_eq!(before, ["first", "second"]);
    let since = bot.simulator.now();
    bot.restart();
    wait_for("the third", || (bot.answers(since).len() == 1).then_some(())).await.unwrap();
    assert_eq!(bot.answers(since), ["third"]);
}

#[tokio::test]
async fn a_person_is_told_that_it_failed_and_the_next_message_is_handled() {
    let tables = "[pipeline]\nfailure_reply = \"that went wrong\"\n";
    let mut bot = Setup::with(&[("naughty.wasm", naughty().await)]).tables(tables).start().await;
    let since = bot.simulator.now();
    bot.simulator.say(private("permanent no such order"));
    bot.simulator.say(private("say next"));
    wait_for("two replies", || (bot.answers(since).len() >= 2).then_some(())).await.unwrap();
    assert_eq!(bot.answers(since), ["that went wrong", "next"]);
    // The reason is for the operator.
    bot.logged(&["a message could not be handled", "no such order"]).await;
    bot.terminate().await;
    bot.logged(&["what became of the messages", "\"failed\":1", "\"delivered\":2"]).await;
}

#[tokio::test]
async fn what_runs_at_the_end_finishes_and_the_rest_is_left_to_the_next_run() {
    let mut bot = Setup::with(&[("naughty.wasm", naughty().await)]).start().await;
    let since = bot.simulator.now();
    bot.simulator.say(private("sleep 1500"));
    bot.simulator.say(private("say later"));
    bot.simulator.say(in_chat("failing", "temporary not yet"));
    bot.logged(&["a message will be tried again"]).await;
    wait_for("three acks", || (bot.simulator.stats().acked == 3).then_some(())).await.unwrap();
    assert!(bot.terminate().await.success());
    assert_eq!(bot.answers(since), ["slept"]);
    let since = bot.simulator.now();
    bot.restart();
    wait_for("the next", || (!bot.answers(since).is_empty()).then_some(())).await.unwrap();
    assert_eq!(bot.answers(since), ["later"]);
}

#[tokio::test]
async fn a_second_sigterm_ends_at_once_and_loses_nothing() {
    let mut bot = Setup::with(&[("naughty.wasm", naughty().await)]).start().await;
    let since = bot.simulator.now();
    bot.simulator.say(private("sleep 20000"));
    wait_for("the ack", || (bot.simulator.stats().acked == 1).then_some(())).await.unwrap();
    bot.signal("TERM");
    bot.logged(&["stopping"]).await;
    let asked = std::time::Instant::now();
    assert!(!bot.terminate().await.success());
    // The handler would have needed far longer.
    assert!(asked.elapsed() < Duration::from_secs(15), "{}", bot.log());
    bot.restart();
    wait_for("the answer", || (!bot.answers(since).is_empty()).then_some(())).await.unwrap();
    assert_eq!(bot.answers(since), ["slept"]);
}
