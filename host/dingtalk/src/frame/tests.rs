use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ALL: Subscriptions = Subscriptions {
    bot_messages: true,
    delegate: true,
    card_callbacks: true,
    card_dynamic_data: true,
    graph: true,
    ipaas: true,
    events: true,
};

fn frame(kind: &str, topic: &str, id: &str, data: Value) -> Vec<u8> {
    let frame = json!({"specVersion": "1.0", "type": kind, "data": data,
        "headers": {"topic": topic, "messageId": id, "contentType": "application/json", "time": "1690362102194"}});
    serde_json::to_vec(&frame).unwrap()
}

fn answer(message: &[u8]) -> (Value, Note) {
    match classify(message, &ALL) {
        Inbound::Answer { ack, note } => (serde_json::from_str(&ack).unwrap(), note),
        other => panic!("expected an answer, got {other:?}"),
    }
}

#[test]
fn a_ping_gets_its_data_back() {
    let (ack, note) = answer(&frame("SYSTEM", "ping", "m1", json!("{\"opaque\":\"123-dsfs\"}")));
    assert_eq!(note, Note::System);
    assert_eq!(
        ack,
        json!({"code": 200, "message": "OK", "data": "{\"opaque\":\"123-dsfs\"}",
            "headers": {"contentType": "application/json", "messageId": "m1"}})
    );
}

#[test]
fn unknown_system_topics_are_answered_200() {
    let (ack, _) = answer(&frame("SYSTEM", "CONNECTED", "m1", json!("x")));
    assert_eq!(ack["code"], 200);
}

#[test]
fn disconnect_without_message_id_is_understood() {
    let text = br#"{"type":"SYSTEM","headers":{"topic":"disconnect"},"data":"{\"reason\":\"connection is expired\"}"}"#;
    let Inbound::Disconnect { ack, reason } = classify(text, &ALL) else { panic!("no disconnect") };
    assert_eq!(reason, "connection is expired");
    assert!(serde_json::from_str::<Value>(&ack).unwrap()["headers"].get("messageId").is_none());
}

#[test]
fn unknown_and_unsubscribed_topics_get_404() {
    assert_eq!(answer(&frame("CALLBACK", "/v9/new", "m1", json!("{}"))).0["code"], 404);
    assert_eq!(answer(&frame("TELEPATHY", "x", "m1", json!("{}"))).0["code"], 404);
    let message = frame("EVENT", "*", "m1", json!("{}"));
    let Inbound::Answer { ack, .. } = classify(&message, &Subscriptions::bot_messages()) else { panic!() };
    assert!(ack.contains("404"), "{ack}");
}

#[test]
fn incomplete_frames_with_an_id_get_400() {
    for text in [
        r#"{"headers":{"messageId":"m"}}"#,
        r#"{"type":"SYSTEM","headers":{"messageId":"m"}}"#,
        r#"{"type":"CALLBACK","headers":{"messageId":"m"}}"#,
        r#"{"type":"CALLBACK","headers":{"messageId":"m","topic":"/v1.0/im/bot/messages/get"}}"#,
        r#"{"type":"CALLBACK","headers":{"messageId":"m","topic":"/v1.0/im/bot/messages/get"},"data":5}"#,
        r#"{"type":"CALLBACK","headers":{"messageId":"m","topic":"/v1.0/im/bot/messages/get"},"data":"{"#,
        r#"{"type":"CALLBACK","headers":{"messageId":"m"},"data":"{}"} and more"#,
    ] {
        let (ack, note) = answer(text.as_bytes());
        assert_eq!(ack["code"], 400, "{text}");
        assert_eq!(ack["headers"]["messageId"], "m", "{text}");
        assert!(matches!(note, Note::Malformed(_) | Note::Garbage(_)), "{text}: {note:?}");
    }
}

#[test]
fn frames_without_an_id_are_only_counted() {
    for (text, expect_malformed) in [
        (&b"garbage"[..], false),
        (b"", false),
        (b"[]", false),
        (b"\xff\xfe{}", false),
        (b"{\"headers\":{\"topic\":\"x", false),
        (br#"{"type":"CALLBACK","headers":{},"data":"{}"}"#, true),
        (br#"{"type":"EVENT","headers":[1,2],"data":"{}"}"#, true),
        (br#"{}"#, true),
    ] {
        match classify(text, &ALL) {
            Inbound::Ignore { malformed, .. } => assert_eq!(malformed, expect_malformed),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn non_utf8_inside_a_string_is_garbage_that_still_gets_its_400() {
    let mut text = br#"{"type":"CALLBACK","headers":{"messageId":"m"},"data":""#.to_vec();
    text.extend_from_slice(b"\xff\xfe\"}");
    assert_eq!(answer(&text).0["code"], 400);
}

#[test]
fn headers_may_be_numbers_and_data_an_object() {
    let text = br#"{"type":"CALLBACK","header":{"messageId":17,"time":1690362102194,"topic":"/v1.0/im/bot/messages/get",
        "x-new":"y","nested":{"a":1}},"data":{"a" : 1.50,"b":"\u4f60"}}"#;
    let Inbound::Push(push) = classify(text, &ALL) else { panic!("not pushed") };
    assert_eq!((push.topic, push.headers.message_id.as_str()), (Topic::BotMessage, "17"));
    assert_eq!(push.headers.time, Some(1_690_362_102_194));
    assert_eq!(push.headers.other, [("x-new".to_owned(), "y".to_owned())]);
    assert_eq!(push.data, r#"{"a":1.50,"b":"\u4f60"}"#);
}

#[test]
fn an_event_carries_its_headers() {
    let text = br#"{"specVersion":"1.0","type":"EVENT","headers":{"topic":"*","messageId":"m","eventType":"user_add_org",
        "eventId":"e1","eventCorpId":"ding9","eventBornTime":"1683533823336","eventUnifiedAppId":"app"}}"#;
    let Inbound::Push(push) = classify(text, &ALL) else { panic!("not pushed") };
    assert_eq!(push.topic, Topic::Event);
    assert_eq!(push.headers.event_type.as_deref(), Some("user_add_org"));
    assert_eq!(push.headers.event_born_time, Some(1_683_533_823_336));
    assert_eq!(push.headers.app_id.as_deref(), Some("app"));
    assert_eq!(push.data, "{}");
}

#[test]
fn deep_nesting_is_harmless() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for text in [
        deep.clone(),
        format!(r#"{{"headers":{{"messageId":"m","x":{deep}}},"type":"CALLBACK"}}"#),
        format!(r#"{{"headers":{{"messageId":"m","topic":"*"}},"type":"EVENT","data":{{"a":{deep}}}}}"#),
        format!(r#"{{"headers":{{"messageId":"m","topic":"*"}},"type":"EVENT","data":{deep}}}"#),
    ] {
        let _ = classify(text.as_bytes(), &ALL);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = classify(&bytes, &ALL);
    }

    #[test]
    fn no_damage_makes_it_panic_or_answer_twice(
        cut in 0usize..400, at in 0usize..400, byte in any::<u8>(), data in ".{0,40}", id in "[a-z0-9_\"\\\\]{1,12}"
    ) {
        let mut text = frame("CALLBACK", "/v1.0/im/bot/messages/get", &id, Value::String(data));
        text.truncate(cut.max(1));
        if let Some(hit) = text.get_mut(at) {
            *hit = byte;
        }
        if let Inbound::Answer { ack, .. } = classify(&text, &ALL) {
            let ack: Value = serde_json::from_str(&ack).unwrap();
            prop_assert!(ack["headers"]["messageId"].is_string());
        }
    }

    #[test]
    fn data_arrives_unchanged(data in any::<String>()) {
        let text = frame("CALLBACK", "/v1.0/im/bot/messages/get", "m", Value::String(data.clone()));
        let Inbound::Push(push) = classify(&text, &ALL) else { panic!("not pushed") };
        prop_assert_eq!(push.data, data);
    }
}
