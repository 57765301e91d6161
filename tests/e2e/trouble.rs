//! A gateway that misbehaves.

use std::time::Duration;

use belfry_simulator::{Cut, Fault, Place, SimulatorConfig};

use crate::bot::{Setup, private, wait_for};

#[tokio::test]
async fn garbage_costs_nothing() {
    let bot = Setup::echo().await.start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let frames = [
        "",
        "not json",
        "{\"type\":\"CALLBACK\"",
        "{}",
        "[1,2,3]",
        "null",
        "{\"type\":\"CALLBACK\",\"headers\":{}}",
        "{\"type\":7,\"headers\":[],\"data\":null}",
        "{\"type\":\"SYSTEM\",\"headers\":{\"topic\":\"ping\"},\"data\":\"{\"}",
        "{\"type\":\"CALLBACK\",\"headers\":{\"topic\":\"/v1.0/im/bot/messages/get\",\"messageId\":\"m1\"},\"data\":\"not json\"}",
        "{\"type\":\"CALLBACK\",\"headers\":{\"topic\":\"/v1.0/im/bot/messages/get\",\"messageId\":\"m2\"},\"data\":\"{}\"}",
        &deep,
    ];
    for frame in frames {
        bot.simulator.push_raw(None, frame);
    }
    bot.ask(private("still there?"), "still there?").await;
    assert_eq!(bot.simulator.stats().opened, 1, "the socket stayed up:\n{}", bot.log());
}

#[tokio::test]
async fn a_webhook_elsewhere_is_not_called() {
    let bot = Setup::echo().await.start().await;
    let frame = r#"{"specVersion":"1.0","type":"CALLBACK","headers":{"topic":"/v1.0/im/bot/messages/get","messageId":"m1","contentType":"application/json"},"data":"{\"conversationId\":\"cid1\",\"conversationType\":\"1\",\"msgId\":\"msg1\",\"msgtype\":\"text\",\"text\":{\"content\":\"hi\"},\"senderId\":\"$:1\",\"sessionWebhook\":\"http://169.254.169.254/latest?session=abc\"}"}"#;
    bot.simulator.push_raw(None, frame);
    let line = bot.logged(&["a reply did not arrive", "http://169.254.169.254:80", "not allowed"]).await;
    assert!(!line.contains("session=abc"), "{line}");
    bot.ask(private("and me?"), "and me?").await;
}

#[tokio::test]
async fn cut_connections_come_back() {
    let bot = Setup::echo().await.start().await;
    for (round, cut) in [Cut::Reset, Cut::Abrupt, Cut::Clean].into_iter().enumerate() {
        let opened = bot.simulator.stats().opened;
        bot.simulator.drop_sockets(None, cut);
        wait_for("a new connection", || (bot.simulator.stats().opened > opened).then_some(())).await.unwrap();
        bot.connected(1).await;
        bot.ask(private(&format!("round {round}")), &format!("round {round}")).await;
    }
}

#[tokio::test]
async fn an_announced_end_is_overlapped() {
    let bot = Setup::echo().await.start().await;
    for round in 0..3 {
        let since = bot.simulator.now();
        bot.simulator.disconnect(None, "connection is expired");
        bot.simulator.say(private(&format!("during {round}")));
        let conversation = private("").conversation;
        let part = format!("during {round}");
        bot.simulator.wait_for_reply(since, &conversation, &part, Duration::from_secs(60)).await.unwrap();
        assert_eq!(bot.replies(since, &part), 1);
    }
    assert!(bot.simulator.stats().max_open >= 2, "the next socket was open before the old one closed");
}

#[tokio::test]
async fn webhook_faults_are_retried_or_given_up() {
    let bot = Setup::echo().await.start().await;
    bot.simulator.add_fault(Fault::status(Place::Webhook, 500, "{}").times(1)).unwrap();
    bot.ask(private("after a 500"), "after a 500").await;
    bot.simulator.add_fault(Fault::errcode(-1, "busy").times(1)).unwrap();
    bot.ask(private("after busy"), "after busy").await;
    bot.simulator.add_fault(Fault::errcode(430_104, "unsafe content").times(1)).unwrap();
    bot.simulator.say(private("unsafe"));
    bot.logged(&["a reply did not arrive", "430104"]).await;
    bot.ask(private("next"), "next").await;
}

#[tokio::test]
async fn refused_credentials_are_said_in_words() {
    let bot = Setup::echo();
    let simulator = SimulatorConfig {
        credentials: belfry_simulator::Credentials::List(vec![belfry_simulator::Credential::new(
            "dingtest", "another",
        )]),
        ..SimulatorConfig::default()
    };
    let bot = bot.await.start_unconnected(simulator).await;
    let line = bot.logged(&["DingTalk refuses the app"]).await;
    assert!(line.contains("hint"), "{line}");
}

/// Each conversation has its reply sent on a connection of its own; at the bound they take turns, so that there are files
/// left for the WebSocket.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_slow_webhook_does_not_use_up_the_files() {
    let bot = Setup::echo().await.start().await;
    bot.simulator.add_fault(Fault::slow(Place::Webhook, crate::bot::PATIENCE)).unwrap();
    for person in 0..400 {
        let mut say = private("hello");
        say.conversation = format!("cid{person}==");
        bot.simulator.say(say);
    }
    let files = || std::fs::read_dir(format!("/proc/{}/fd", bot.child.id().unwrap())).unwrap().count();
    wait_for("the acks", || (bot.simulator.stats().acked == 400).then_some(())).await.unwrap();
    wait_for("many connections", || (files() > 100).then_some(())).await.unwrap();
    assert!(files() < 200, "{} files are open", files());
}
