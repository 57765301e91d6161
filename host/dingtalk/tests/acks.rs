//! One answer for every frame, and a socket that stays up whatever it carries.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use belfry_dingtalk::{AckHandle, Topic};
use common::{ALL, BOT, CARD, Gateway, bot, eventually, frame, quick};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

fn data(ack: &Value) -> Value {
    serde_json::from_str(ack["data"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn every_topic_gets_its_ack() {
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(quick(), ALL);
    let mut peer = gateway.accept().await;
    for topic in Topic::ALL {
        let kind = if topic == Topic::Event { "EVENT" } else { "CALLBACK" };
        peer.send(frame(kind, topic.as_str(), "m1", json!({"a": 1}))).await;
        let push = client.push().await;
        assert_eq!((push.topic, push.data.as_str()), (topic, r#"{"a":1}"#));
        push.ack.success();
        let ack = peer.ack().await;
        assert_eq!((ack["code"].as_u64(), ack["headers"]["messageId"].as_str()), (Some(200), Some("m1")));
        let expected = if topic == Topic::Event {
            json!({"status": "SUCCESS", "message": "success"})
        } else {
            json!({"response": null})
        };
        assert_eq!(data(&ack), expected);
    }
    let stats = client.client.stats();
    assert_eq!((stats.pushes, stats.pushes_received, stats.acks, stats.unacked), (7, 7, 7, 0));
    assert!(stats.last_frame_ms > 0);
}

#[tokio::test]
async fn answers_of_handlers() {
    type Answering = fn(AckHandle);
    let cases: [(&str, &str, Answering, u64, Value); 4] = [
        (
            "CALLBACK",
            CARD,
            |ack| ack.respond(&json!({"cardData": {"cardParamMap": {"k": "v"}}})),
            200,
            json!({"response": {"cardData": {"cardParamMap": {"k": "v"}}}}),
        ),
        ("EVENT", "*", |ack| ack.event_later("busy"), 200, json!({"status": "LATER", "message": "busy"})),
        ("CALLBACK", BOT, |ack| ack.error(500, "broken"), 500, json!({})),
        ("CALLBACK", BOT, drop, 500, json!({})),
    ];
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(quick(), ALL);
    let mut peer = gateway.accept().await;
    for (kind, topic, answer, code, expected) in cases {
        peer.send(frame(kind, topic, "m", "{}")).await;
        answer(client.push().await.ack);
        let ack = peer.ack().await;
        assert_eq!((ack["code"].as_u64().unwrap(), data(&ack)), (code, expected));
    }
}

#[tokio::test]
async fn the_read_path_answers_what_no_handler_takes() {
    let mut gateway = Gateway::start().await;
    let client = gateway.connect(quick(), belfry_dingtalk::Subscriptions::bot_messages());
    let mut peer = gateway.accept().await;
    peer.send(frame("SYSTEM", "ping", "p", r#"{"opaque":"0f-x"}"#)).await;
    let ack = peer.ack().await;
    assert_eq!((ack["code"].as_u64(), data(&ack)), (Some(200), json!({"opaque": "0f-x"})));
    for (frame, code) in [
        (frame("SYSTEM", "KEEPALIVE", "m1", "{}"), 200),
        (frame("CALLBACK", "/v9/new", "m2", "{}"), 404),
        (frame("CALLBACK", CARD, "m3", "{}"), 404),
        (frame("EVENT", "*", "m4", "{}"), 404),
        (json!({"type": "CALLBACK", "headers": {"messageId": "m5"}, "data": "{}"}), 400),
        (json!({"headers": {"messageId": "m6", "topic": "ping"}}), 400),
        (json!({"type": "CALLBACK", "headers": {"messageId": "m7", "topic": BOT}}), 400),
    ] {
        let id = frame["headers"]["messageId"].as_str().unwrap().to_owned();
        peer.send(frame).await;
        assert_eq!(peer.code().await, (code, id));
    }
    let stats = client.client.stats();
    assert_eq!((stats.unknown_topics, stats.malformed, stats.pushes), (3, 3, 0));
}

#[tokio::test]
async fn bad_input_leaves_the_socket_up() {
    let mut settings = quick();
    settings.max_message = 100_000;
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(settings, ALL);
    let mut peer = gateway.accept().await;
    let deep = "[".repeat(90_000);
    for text in ["", "garbage", "{", "[]", "null", r#"{"type":"CALLBACK","data":"{}"}"#, deep.as_str()] {
        peer.send_text(text).await;
    }
    peer.ws.send(Message::binary(vec![0xff, 0xfe, 0x00])).await.unwrap();
    // A text message that is not UTF-8; the library would not let us send it as one.
    let raw = Frame::message(&b"{\"type\":\"\xff\"}"[..], OpCode::Data(Data::Text), true);
    peer.ws.send(Message::Frame(raw)).await.unwrap();
    // Twice the limit, in one piece and in many.
    let text = common::big_bot("big", 200_000);
    peer.send_text(text.as_str()).await;
    assert_eq!(peer.code().await, (400, "big".to_owned()));
    let (first, rest) = text.split_at(60_000);
    let first = Frame::message(first.to_owned(), OpCode::Data(Data::Text), false);
    peer.ws.send(Message::Frame(first)).await.unwrap();
    for piece in rest.as_bytes().chunks(50_000) {
        let piece = Frame::message(piece.to_vec(), OpCode::Data(Data::Continue), piece.len() < 50_000);
        peer.ws.send(Message::Frame(piece)).await.unwrap();
    }
    assert_eq!(peer.code().await, (400, "big".to_owned()));
    // Right at the limit.
    let mut full = bot("full");
    full["data"] = Value::String(String::new());
    full["data"] = Value::String("x".repeat(100_000 - full.to_string().len()));
    peer.send(full).await;
    let push = client.push().await;
    assert_eq!(push.headers.message_id, "full");
    push.ack.success();
    assert_eq!(peer.code().await, (200, "full".to_owned()));
    let stats = client.client.stats();
    assert_eq!((stats.garbage, stats.malformed, stats.oversize), (8, 1, 2));
    assert_eq!((stats.opened, stats.lost), (1, 0));
}

#[tokio::test]
async fn a_redelivery_is_handed_over_again() {
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(quick(), ALL);
    let mut peer = gateway.accept().await;
    for id in ["first", "second"] {
        let mut again = bot(id);
        again["data"] = Value::String(json!({"conversationId": "c", "msgId": "same"}).to_string());
        peer.send(again).await;
    }
    for id in ["first", "second"] {
        let push = client.push().await;
        assert_eq!(push.headers.message_id, id);
        push.ack.success();
        assert_eq!(peer.code().await, (200, id.to_owned()));
    }
}

#[tokio::test]
async fn unanswered_pushes_are_bounded_and_system_frames_before_the_bound_are_answered() {
    let mut settings = quick();
    settings.unacked = 2;
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(settings, ALL);
    let mut peer = gateway.accept().await;
    for id in ["a", "b"] {
        peer.send(bot(id)).await;
    }
    let (a, b) = (client.push().await, client.push().await);
    // The bound is reached, but nobody waits behind it: pings and callbacks pass.
    peer.send(frame("SYSTEM", "ping", "p1", "{}")).await;
    assert_eq!(peer.code().await, (200, "p1".to_owned()));
    peer.send(frame("CALLBACK", CARD, "card", "{}")).await;
    client.push().await.ack.success();
    assert_eq!(peer.code().await, (200, "card".to_owned()));
    // The third push waits, and what comes after it stays unread.
    peer.send(bot("c")).await;
    peer.send(frame("SYSTEM", "ping", "p2", "{}")).await;
    eventually("the stall", || client.client.stats().stalls == 1).await;
    assert!(client.pushes.try_recv().is_err());
    assert_eq!(client.client.stats().unacked, 2);
    b.ack.success();
    assert_eq!(peer.code().await, (200, "b".to_owned()));
    let c = client.push().await;
    assert_eq!(c.headers.message_id, "c");
    assert_eq!(peer.code().await, (200, "p2".to_owned()));
    a.ack.success();
    c.ack.success();
    assert_eq!(peer.code().await.0, 200);
    assert_eq!(peer.code().await.0, 200);
}

#[tokio::test]
async fn too_many_callbacks_are_refused_at_once() {
    let mut settings = quick();
    settings.unacked = 1;
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(settings, ALL);
    let mut peer = gateway.accept().await;
    for id in ["a", "b"] {
        peer.send(frame("CALLBACK", CARD, id, "{}")).await;
    }
    assert_eq!(peer.code().await, (500, "b".to_owned()));
    client.push().await.ack.success();
    assert_eq!(peer.code().await, (200, "a".to_owned()));
    assert_eq!(client.client.stats().overloaded, 1);
}

#[tokio::test]
async fn a_burst_is_answered_once_each() {
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(quick(), ALL);
    let mut peer = gateway.accept().await;
    let handler = tokio::spawn(async move {
        let mut waiting = Vec::new();
        while let Some(push) = client.pushes.recv().await {
            waiting.push(push.ack);
            if waiting.len() == 7 {
                waiting.drain(..).for_each(AckHandle::success);
            }
        }
    });
    let mut seen = std::collections::HashSet::new();
    for round in 0..100 {
        for id in 0..35 {
            peer.ws.feed(Message::text(bot(&format!("{round}-{id}")).to_string())).await.unwrap();
        }
        peer.ws.flush().await.unwrap();
        for _ in 0..35 {
            assert!(seen.insert(peer.code().await.1));
        }
    }
    handler.abort();
}
