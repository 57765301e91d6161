//! Registration, tickets, pushes, acks, redelivery, disconnect.

mod support;

use std::collections::HashSet;

use belfry_simulator::{
    ClosedBy, Content, Credential, Credentials, Cut, Happening, Person, Push, Quoted, QuotedContent, Say,
    SimulatorConfig, topic,
};
use serde_json::json;
use support::*;
use tokio_tungstenite::tungstenite::{Error, Message};

fn hello() -> Say {
    Say::private("cidA==", Person::default(), "hello")
}

#[tokio::test]
async fn credentials_are_checked_with_the_documented_error() {
    let list = Credentials::List(vec![Credential::new("app", "secret")]);
    let simulator = start(SimulatorConfig { credentials: list, ..quiet() }).await;
    assert_eq!(register(&simulator, "app", &everything()).await.unwrap().status, 200);
    let refused = register(&simulator, "other", &everything()).await.unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["code"], "authFailed");
    assert!(refused.json()["requestid"].is_string());
    let empty = register(&real().await, "", &everything()).await.unwrap();
    assert_eq!(empty.status, 401);
    let garbage =
        http(&simulator, "POST", "/v1.0/gateway/connections/open", "text/plain", "{").await.unwrap();
    assert_eq!(garbage.status, 400);
    let wrong = http(&simulator, "GET", "/v1.0/gateway/connections/open", "", "").await.unwrap();
    assert_eq!(wrong.status, 404);
}

/// The HTTP status of a refused handshake, 0 if it failed otherwise.
fn refused_with(error: Error) -> u16 {
    match error {
        Error::Http(response) => response.status().as_u16(),
        _ => 0,
    }
}

#[tokio::test]
async fn a_ticket_serves_one_connection_and_not_for_long() {
    let simulator = real().await;
    let used = ticket(&simulator, "app", &everything()).await;
    let _bot = Bot::open(&simulator, &used).await.unwrap();
    assert_eq!(refused_with(Bot::open(&simulator, &used).await.err().unwrap()), 401);
    assert_eq!(refused_with(Bot::open(&simulator, "nonsense").await.err().unwrap()), 401);

    // 90 s pass in 0.9 ms.
    let simulator = start(SimulatorConfig { speed: 100_000.0, ..quiet() }).await;
    let late = ticket(&simulator, "app", &everything()).await;
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(refused_with(Bot::open(&simulator, &late).await.err().unwrap()), 401);
    let why = simulator.wait_for(1, PATIENCE, |what| match what {
        Happening::Refused { reason, .. } if reason.contains("expired") => Some(()),
        _ => None,
    });
    why.await.unwrap();
}

#[tokio::test]
async fn a_message_looks_like_dingtalks() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "dingapp").await;
    let msg_id = simulator.say(hello());
    let frame = bot.frame().await;
    assert_eq!(frame.0["specVersion"], "1.0");
    assert_eq!(frame.0["type"], "CALLBACK");
    for (name, value) in frame.0["headers"].as_object().unwrap() {
        assert!(value.is_string(), "header {name} is no string");
    }
    for name in ["appId", "connectionId", "contentType", "messageId", "time", "topic"] {
        assert!(!frame.header(name).is_empty(), "header {name} is missing");
    }
    let data = frame.data();
    assert_eq!(data["msgId"], msg_id);
    assert_eq!(data["msgtype"], "text");
    assert_eq!(data["text"]["content"], "hello");
    assert_eq!(data["conversationType"], "1");
    assert_eq!(data["robotCode"], "dingapp");
    assert_eq!(data["senderStaffId"], "manager1234");
    assert!(data.get("isInAtList").is_none());
    let created = data["createAt"].as_u64().unwrap();
    let expires = data["sessionWebhookExpiredTime"].as_u64().unwrap();
    assert!((5_399_000..=5_401_000).contains(&(expires - created)), "{}", expires - created);
    let session = frame.webhook(&simulator);
    let session = session.strip_prefix("/robot/sendBySession?session=").unwrap();
    assert!(session.len() == 32 && session.bytes().all(|b| b.is_ascii_hexdigit()));

    simulator.say(Say::group("cidG==", Person::external("Eve"), "hi"));
    let data = bot.frame().await.data();
    assert_eq!(data["conversationType"], "2");
    assert_eq!(data["text"]["content"], " hi");
    assert_eq!(data["isInAtList"], true);
    assert_eq!(data["atUsers"][0]["dingtalkId"], data["chatbotUserId"]);
    assert!(data["conversationTitle"].is_string());
    assert!(data.get("senderStaffId").is_none());
}

#[tokio::test]
async fn every_kind_has_its_body() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let mut seen = HashSet::new();
    for content in Content::samples() {
        simulator.say(hello().content(content));
        let data = bot.frame().await.data();
        assert!(data.get("text").is_none());
        seen.insert(data["msgtype"].as_str().unwrap().to_owned());
    }
    let kinds =
        "picture richText audio video file markdown interactiveCard chatRecord unknownMsgType hologram";
    assert_eq!(seen, kinds.split(' ').map(str::to_owned).collect());

    simulator.say(hello().content(Content::QuotaExhausted));
    let data = bot.frame().await.data();
    assert_eq!(data["errorCode"], 20_001);
    assert!(data.get("text").is_none() && data.get("content").is_none());

    let quoted = Quoted {
        msg_id: "msgQ==".into(),
        sender_id: None,
        content: QuotedContent::Unknown,
        process_query_key: Some("key".into()),
    };
    simulator.say(hello().quoting(quoted));
    let data = bot.frame().await.data();
    assert_eq!(data["text"]["isReplyMsg"], true);
    assert_eq!(data["text"]["repliedMsg"]["msgType"], "unknownMsgType");
    assert!(data["text"]["repliedMsg"].get("content").is_none());
    assert_eq!(data["originalProcessQueryKey"], "key");
}

#[tokio::test]
async fn only_subscribed_topics_are_pushed() {
    let simulator = real().await;
    let mut bot = Bot::connect_for(&simulator, "app", &[callback(topic::BOT_MESSAGE)]).await;
    let since = simulator.now();
    let event = simulator.push(Push::event("user_add_org", json!({})));
    let dropped = simulator.wait_for(since, PATIENCE, |what| match what {
        Happening::Dropped { push, reason, .. } if *push == event.push => Some(reason.clone()),
        _ => None,
    });
    assert!(dropped.await.unwrap().contains("subscribed"));
    simulator.push(Push::callback("/unknown", json!({})).unsubscribed());
    assert_eq!(bot.frame().await.topic(), "/unknown");
    simulator.say(hello());
    assert_eq!(bot.frame().await.topic(), topic::BOT_MESSAGE);
}

#[tokio::test]
async fn pushes_are_spread_over_the_connections_of_one_app() {
    let simulator = real().await;
    let _first = Bot::connect(&simulator, "app").await;
    let _second = Bot::connect(&simulator, "app").await;
    let _other = Bot::connect(&simulator, "other").await;
    let since = simulator.now();
    for _ in 0..100 {
        simulator.say(hello().to("app"));
    }
    let page = simulator.records(since, 1_000);
    let sent = page.records.iter().filter_map(|r| match &r.what {
        Happening::Sent(sent) => Some((sent.client_id.clone(), sent.connection.clone())),
        _ => None,
    });
    let targets: HashSet<_> = sent.collect();
    assert_eq!(targets.len(), 2);
    assert!(targets.iter().all(|(app, _)| &**app == "app"));
}

#[tokio::test]
async fn a_message_waits_for_the_first_app_and_its_connection() {
    let simulator = real().await;
    let msg_id = simulator.say(hello());
    assert_eq!(simulator.stats().pending, 1);
    let mut bot = Bot::connect(&simulator, "app").await;
    let frame = bot.frame().await;
    assert_eq!(frame.data()["msgId"], msg_id);
    bot.ack(&frame, 200, r#"{"response":null}"#).await;
    simulator.wait_for_ack(1, 1, PATIENCE).await.unwrap();
    assert_eq!(simulator.stats().pending, 0);
}

#[tokio::test]
async fn what_is_not_acked_comes_again_under_a_new_message_id() {
    let simulator = fast().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let since = simulator.now();
    let said = simulator.say_tracked(hello());
    let first = bot.frame().await;
    let second = bot.frame().await;
    assert_ne!(first.message_id(), second.message_id());
    assert_eq!(first.0["data"], second.0["data"]);
    assert_eq!(second.data()["msgId"], &*said.id);
    bot.ack(&second, 200, r#"{"response":null}"#).await;
    let acked = simulator.wait_for_ack(since, said.push, PATIENCE).await.unwrap();
    assert_eq!((acked.attempt, acked.nth), (2, 1));
    // A late ack of the first delivery is matched, and a second one of the same frame is noticed.
    bot.ack(&first, 200, r#"{"response":null}"#).await;
    bot.ack(&first, 200, r#"{"response":null}"#).await;
    let again = simulator.wait_for(since, PATIENCE, |what| match what {
        Happening::Acked(acked) if acked.nth == 2 => Some(acked.attempt),
        _ => None,
    });
    assert_eq!(again.await.unwrap(), 1);
    let stats = simulator.stats();
    assert!(stats.redelivered >= 1);
    assert_eq!((stats.acked, stats.acked_again), (2, 1));
}

#[tokio::test]
async fn a_push_nobody_acks_is_given_up() {
    let simulator = start(SimulatorConfig { speed: 6_000.0, max_deliveries: 3, ..quiet() }).await;
    let mut bot = Bot::connect(&simulator, "app").await;
    simulator.say(hello());
    for _ in 0..3 {
        bot.frame().await;
    }
    let dropped = simulator.wait_for(1, PATIENCE, |what| match what {
        Happening::Dropped { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert!(dropped.await.unwrap().contains("3 deliveries"));
    assert_eq!(simulator.stats().pending, 0);
}

#[tokio::test]
async fn an_event_answered_later_comes_again() {
    let simulator = fast().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    simulator.push(Push::event("user_add_org", json!({"userId": ["0151"]})));
    let first = bot.frame().await;
    assert_eq!(first.header("eventType"), "user_add_org");
    bot.ack(&first, 200, r#"{"status":"LATER"}"#).await;
    let second = bot.frame().await;
    assert_eq!(first.header("eventId"), second.header("eventId"));
    bot.ack(&second, 200, r#"{"status":"SUCCESS"}"#).await;
    let done = simulator.wait_for(1, PATIENCE, |what| match what {
        Happening::Acked(acked) if acked.attempt == 2 => acked.status(),
        _ => None,
    });
    assert_eq!(done.await.unwrap(), "SUCCESS");
    assert_eq!(simulator.stats().pending, 0);
}

#[tokio::test]
async fn a_call_waits_for_the_response_in_the_ack() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let caller = tokio::spawn({
        let simulator = simulator.clone();
        async move { simulator.call(Push::ipaas("http", json!({"url": "/orders"})), PATIENCE).await }
    });
    let frame = bot.frame().await;
    assert_eq!(frame.topic(), topic::IPAAS);
    assert_eq!(frame.data()["pluginName"], "http");
    bot.ack(&frame, 200, r#"{"response":{"statusCode":200}}"#).await;
    let acked = caller.await.unwrap().unwrap();
    assert_eq!(acked.response(), Some(json!({"statusCode": 200})));
    let late =
        simulator.call(Push::graph("POST", "/v1/actions", &json!({})), std::time::Duration::ZERO).await;
    assert!(late.is_err());
}

#[tokio::test]
async fn pings_are_sent_and_answered() {
    let simulator = start(SimulatorConfig { speed: 500.0, ..Default::default() }).await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let frame = bot.frame().await;
    assert_eq!((frame.0["type"].as_str(), frame.topic()), (Some("SYSTEM"), "ping"));
    let data = frame.0["data"].as_str().unwrap().to_owned();
    bot.ack(&frame, 200, &data).await;
    let second = bot.frame().await;
    bot.ack(&second, 200, "").await;
    for expected in [true, false] {
        let echoed = simulator.wait_for(1, PATIENCE, |what| match what {
            Happening::SystemAcked { echoed, .. } if *echoed == expected => Some(()),
            _ => None,
        });
        echoed.await.unwrap();
    }
    futures_util::SinkExt::send(&mut bot.socket, Message::Ping("x".into())).await.unwrap();
    loop {
        if let Some(Ok(Message::Pong(payload))) = bot.next().await {
            break assert_eq!(&payload[..], b"x");
        }
    }
}

#[tokio::test]
async fn after_disconnect_nothing_more_comes_and_the_socket_closes() {
    let simulator = start(SimulatorConfig { speed: 5.0, ..quiet() }).await;
    let mut old = Bot::connect(&simulator, "app").await;
    simulator.say(hello());
    let unfinished = old.frame().await;
    assert_eq!(simulator.disconnect(Some("app"), "connection is expired"), 1);
    let frame = old.frame().await;
    assert_eq!(frame.topic(), "disconnect");
    assert_eq!(frame.data()["reason"], "connection is expired");

    // Held, although the old socket is still open.
    let since = simulator.now();
    let held = simulator.say_tracked(hello());
    assert_eq!(simulator.connections(Some("app")), 0);
    let mut new = Bot::connect(&simulator, "app").await;
    assert_eq!(simulator.stats().max_open, 2);
    let message = new.frame().await;
    assert_eq!(message.data()["msgId"], &*held.id);
    new.ack(&message, 200, "{}").await;

    // Late acks on the old socket count.
    old.ack(&unfinished, 200, "{}").await;
    simulator.wait_for_ack(since, 1, PATIENCE).await.unwrap();
    match old.next().await {
        Some(Ok(Message::Close(_))) => {}
        other => panic!("not closed but {other:?}"),
    }
    let by = simulator.wait_for(since, PATIENCE, |what| match what {
        Happening::Closed { by, .. } => Some(*by),
        _ => None,
    });
    assert_eq!(by.await.unwrap(), ClosedBy::Gateway);
}

#[tokio::test]
async fn sockets_are_cut_in_every_way() {
    let simulator = real().await;
    for (how, clean) in [(Cut::Reset, false), (Cut::Abrupt, false), (Cut::Clean, true)] {
        let mut bot = Bot::connect(&simulator, "app").await;
        assert_eq!(simulator.drop_sockets(None, how), 1);
        match bot.next().await {
            Some(Ok(Message::Close(_))) if clean => {}
            Some(Err(error)) if !clean => {
                let reset = matches!(&error, Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionReset);
                assert_eq!(reset, how == Cut::Reset, "{error}");
            }
            other => panic!("{how:?} ended with {other:?}"),
        }
        drop(bot);
        until(|| simulator.stats().open == 0).await;
    }
}

#[tokio::test]
async fn a_silent_socket_takes_pushes_and_gives_nothing() {
    let simulator = fast().await;
    let mut dead = Bot::connect(&simulator, "app").await;
    assert_eq!(simulator.drop_sockets(None, Cut::Silence), 1);
    simulator.say(hello());
    futures_util::SinkExt::send(&mut dead.socket, Message::Ping("x".into())).await.unwrap();
    // Sent into the void until another connection is chosen.
    let mut alive = Bot::connect(&simulator, "app").await;
    let frame = alive.frame().await;
    assert!(simulator.stats().redelivered > 0);
    alive.ack(&frame, 200, "{}").await;
    let nothing = tokio::time::timeout(std::time::Duration::from_millis(50), dead.next()).await;
    assert!(nothing.is_err());
    // Its end is still noticed.
    drop(dead);
    until(|| simulator.stats().open <= 1).await;
}

#[tokio::test]
async fn strange_texts_are_strays() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let strays =
        ["", "[]", "{\"code\":200}", r#"{"code":200,"headers":{"messageId":"x"},"data":"{}"}"#, "\u{0}"];
    for text in strays {
        bot.send(text).await;
    }
    futures_util::SinkExt::send(&mut bot.socket, Message::binary(vec![0xff, 0xfe])).await.unwrap();
    let mut seen = 0;
    let all = simulator.wait_for(1, PATIENCE, |what| {
        seen += usize::from(matches!(what, Happening::Stray { .. }));
        (seen > strays.len()).then_some(())
    });
    all.await.unwrap();
    assert_eq!(simulator.stats().strays, strays.len() as u64 + 1);
    simulator.push_raw(None, "not json");
    assert!(matches!(bot.next().await, Some(Ok(Message::Text(text))) if text == "not json"));
}

#[tokio::test]
async fn the_oldest_push_goes_at_the_limit() {
    let simulator = start(SimulatorConfig { max_pending: 2, ..quiet() }).await;
    let mut bot = Bot::connect(&simulator, "app").await;
    for _ in 0..3 {
        simulator.say(hello());
        bot.frame().await;
    }
    let stats = simulator.stats();
    assert_eq!((stats.pending, stats.dropped), (2, 1));
}

#[tokio::test]
async fn shutdown_closes_everything() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    simulator.shutdown().await;
    assert_eq!(simulator.stats().open, 0);
    assert!(matches!(bot.next().await, None | Some(Err(_) | Ok(Message::Close(_)))));
    assert!(register(&simulator, "app", &[]).await.is_err());
    let mut watch = simulator.watch(simulator.now());
    assert!(watch.next().await.is_none());
}
