use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A private message as DingTalk sends it, changed by `change` (members set to null are removed).
fn message(change: Value) -> BotMessage {
    BotMessage::parse(&payload(change).to_string()).unwrap()
}

fn payload(change: Value) -> Value {
    let mut data = json!({
        "chatbotCorpId": "dinge19e25", "chatbotUserId": "$:LWCP_v1:$robot",
        "conversationId": "cidh6ezDLHQau9V23Es=", "conversationType": "1", "createAt": 1_774_080_994_334_u64,
        "isAdmin": false, "msgId": "msgBjXREkdlZkfTfrIiQomjAw==", "msgtype": "text",
        "openThreadId": "cidh6ezDLHQau9V23Es=", "robotCode": "dingf0apw4ibx5u5ktba", "senderCorpId": "dinge19e25",
        "senderId": "$:LWCP_v1:$gzXDEXQDiM8piyLH4HRRcg==", "senderNick": "Tom", "senderPlatform": "Mac",
        "senderStaffId": "03264423",
        "sessionWebhook": "https://oapi.dingtalk.com/robot/sendBySession?session=5ec2e7",
        "sessionWebhookExpiredTime": 1_774_086_394_522_u64, "text": {"content": "hello"}
    });
    for (key, value) in change.as_object().unwrap() {
        if value.is_null() {
            data.as_object_mut().unwrap().remove(key);
        } else {
            data[key] = value.clone();
        }
    }
    data
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_private_text() {
    let message = message(json!({}));
    assert_eq!(message.content, MessageContent::Text("hello".into()));
    assert_eq!(message.conversation.kind, ConversationKind::Private);
    assert_eq!(message.msg_id, some("msgBjXREkdlZkfTfrIiQomjAw=="));
    assert_eq!(message.robot_code, some("dingf0apw4ibx5u5ktba"));
    assert_eq!(message.created_at, Some(1_774_080_994_334));
    assert_eq!(message.sender.staff_id, some("03264423"));
    assert_eq!((message.sender.nick.as_str(), message.sender.is_admin), ("Tom", Some(false)));
    let webhook = message.webhook.as_ref().unwrap();
    assert_eq!(webhook.expires_at, Some(1_774_086_394_522));
    assert!(webhook.expose().ends_with("session=5ec2e7"));
    assert!(message.quoted.is_none() && message.quota_error.is_none() && !message.is_own());
    assert!(!format!("{message:?}").contains("5ec2e7"), "Debug shows the session");
}

#[test]
fn a_group_text_from_an_external_person() {
    let message = message(json!({
        "conversationType": "2", "conversationTitle": "测试群", "isInAtList": true, "senderStaffId": "",
        "atUsers": [{"dingtalkId": "d1", "staffId": "", "unionId": "u1"}, {"dingtalkId": "d2", "staffId": "s2"}, 7],
        "text": {"content": " hi"}
    }));
    assert_eq!(message.conversation.kind, ConversationKind::Group);
    assert_eq!(message.conversation.title, some("测试群"));
    assert_eq!(message.is_in_at_list, Some(true));
    assert_eq!(message.sender.staff_id, None);
    assert_eq!(message.at_users.len(), 2);
    assert_eq!(message.at_users[0].staff_id, None);
    assert_eq!(message.content.as_text().unwrap(), " hi");
}

#[test]
fn numbers_and_strings_are_interchangeable_and_wrong_types_are_missing() {
    let message = message(json!({
        "conversationType": 2, "createAt": "1774080994334", "sessionWebhookExpiredTime": "1774086394522",
        "isAdmin": "true", "isInAtList": 1, "msgId": 17, "senderStaffId": {"a": 1}, "atUsers": "nobody",
        "senderNick": ["x"]
    }));
    assert_eq!(message.conversation.kind, ConversationKind::Group);
    assert_eq!(message.created_at, Some(1_774_080_994_334));
    assert_eq!(message.webhook.unwrap().expires_at, Some(1_774_086_394_522));
    assert_eq!((message.sender.is_admin, message.is_in_at_list), (Some(true), Some(true)));
    assert_eq!(message.msg_id, some("17"));
    assert_eq!((message.sender.staff_id, message.sender.nick), (None, String::new()));
    assert!(message.at_users.is_empty());
}

#[test]
fn only_the_conversation_is_indispensable() {
    let message = BotMessage::parse(r#"{"conversationId":"c"}"#).unwrap();
    assert_eq!(message.content, MessageContent::Missing);
    assert_eq!(message.conversation.kind, ConversationKind::Unknown);
    assert_eq!(BotMessage::parse("{}").unwrap_err(), PayloadError::Missing("conversationId"));
    for bad in
        ["", "null", "[]", "\"x\"", "{", "{\"conversationId\":\"hunter2\",", "{\"conversationId\":hunter2}"]
    {
        let error = BotMessage::parse(bad).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn every_kind_of_content() {
    let content = |kind: &str, content: Value| {
        message(json!({"msgtype": kind, "text": null, "content": content})).content
    };
    assert_eq!(
        content("picture", json!({"downloadCode": "d", "pictureDownloadCode": "p"})),
        MessageContent::Picture { download_code: some("d"), picture_download_code: some("p") }
    );
    let runs = json!({"richText": [{"text": "a"}, {"text": "\n"}, {"type": "picture", "downloadCode": "d"},
        {"type": "at", "atName": "Tom", "atUserId": "u"}, {"type": "emoji"}, {"text": "b"}]});
    let MessageContent::RichText(parts) = content("richText", runs) else { panic!() };
    assert_eq!(
        parts,
        [
            RichPart::Text("a".into()),
            RichPart::Text("\n".into()),
            RichPart::Picture { download_code: some("d"), picture_download_code: None },
            RichPart::At { name: some("Tom"), user_id: some("u") },
            RichPart::Other { kind: "emoji".into(), raw: r#"{"type":"emoji"}"#.into() },
            RichPart::Text("b".into()),
        ]
    );
    assert_eq!(MessageContent::RichText(parts).as_text().unwrap(), "a\nb");
    for duration in [json!(4000), json!("4000")] {
        assert_eq!(
            content("audio", json!({"duration": duration, "downloadCode": "d", "recognition": "说"})),
            MessageContent::Audio {
                duration_ms: Some(4000),
                download_code: some("d"),
                recognition: some("说")
            }
        );
    }
    assert_eq!(
        content("video", json!({"duration": 4000, "downloadCode": "d", "videoType": "mp4"})),
        MessageContent::Video { duration_ms: Some(4000), download_code: some("d"), video_type: some("mp4") }
    );
    assert_eq!(
        content(
            "file",
            json!({"downloadCode": "d", "fileId": 214_980_176_385_u64, "fileName": "a.pdf", "spaceId": "2"})
        ),
        MessageContent::File {
            download_code: some("d"),
            file_id: some("214980176385"),
            file_name: some("a.pdf"),
            space_id: some("2")
        }
    );
    assert_eq!(content("markdown", json!({"text": "# x"})), MessageContent::Markdown("# x".into()));
    assert_eq!(
        content("interactiveCard", json!({"biz_custom_action_url": "dtalk://x"})),
        MessageContent::InteractiveCard { action_url: some("dtalk://x") }
    );
    assert_eq!(
        content("chatRecord", json!({"summary": "s", "chatRecord": "[{\"a\":1}]"})),
        MessageContent::ChatRecord { summary: some("s"), record: some("[{\"a\":1}]") }
    );
    assert_eq!(
        content("unknownMsgType", json!({"unknownMsgType": "vote"})),
        MessageContent::Unknown { kind: "unknownMsgType".into(), raw: r#"{"unknownMsgType":"vote"}"#.into() }
    );
    // The content as a string, as JSON in a string, and as nothing useful.
    assert_eq!(content("markdown", json!("# y")), MessageContent::Markdown("# y".into()));
    assert_eq!(content("markdown", json!("{\"text\":\"# z\"}")), MessageContent::Markdown("# z".into()));
    assert_eq!(content("text", json!([1])), MessageContent::Missing);
}

#[test]
fn quoted_messages_in_the_present_shape() {
    let quote = |replied: Value, change: Value| {
        let mut change = change;
        change["text"] = json!({"content": "当前消息", "isReplyMsg": true, "repliedMsg": replied});
        let message = message(change);
        assert_eq!(message.content, MessageContent::Text("当前消息".into()));
        message.quoted.unwrap()
    };
    let text = json!({"msgType": "text", "msgId": "q2", "senderId": "s", "createdAt": 1_772_817_989_679_u64,
        "content": {"text": "被引用文字"}});
    let quoted = quote(text, json!({}));
    assert_eq!(quoted.content, MessageContent::Text("被引用文字".into()));
    assert_eq!((quoted.kind, quoted.msg_id, quoted.sender_id), (some("text"), some("q2"), some("s")));
    assert_eq!(quoted.created_at, Some(1_772_817_989_679));

    let picture = quote(json!({"msgType": "picture", "content": {"downloadCode": "d"}}), json!({}));
    assert_eq!(
        picture.content,
        MessageContent::Picture { download_code: some("d"), picture_download_code: None }
    );
    let rich = json!({"msgType": "richText", "content": {"richText": [
        {"msgType": "text", "content": "a"}, {"msgType": "picture", "downloadCode": "d"}]}});
    let MessageContent::RichText(parts) = quote(rich, json!({})).content else { panic!() };
    assert_eq!(parts[0], RichPart::Text("a".into()));
    assert!(matches!(&parts[1], RichPart::Picture { download_code: Some(code), .. } if code == "d"));

    let file = quote(json!({"msgType": "unknownMsgType", "msgId": "q", "createdAt": 1}), json!({}));
    assert_eq!((file.content, file.msg_id), (MessageContent::Missing, some("q")));
    let card = quote(json!({"msgType": "interactiveCard"}), json!({"originalProcessQueryKey": "carrier"}));
    assert_eq!(card.process_query_key, some("carrier"));
    assert_eq!(card.content, MessageContent::InteractiveCard { action_url: None });
    let untyped = quote(json!({"msgId": "q", "content": {"text": "x"}}), json!({}));
    assert_eq!((untyped.kind, untyped.content), (None, MessageContent::Text("x".into())));
}

#[test]
fn quoted_messages_elsewhere() {
    // Under `content` of a rich text.
    let rich = message(json!({"msgtype": "richText", "text": null, "content": {"richText": [{"text": "a"}],
        "isReplyMsg": true, "repliedMsg": {"msgType": "markdown", "content": {"text": "# q"}}}}));
    assert_eq!(rich.quoted.unwrap().content, MessageContent::Markdown("# q".into()));
    // Legacy: top level, and as bare text.
    let legacy =
        message(json!({"quoteMessage": {"msgtype": "text", "senderNick": "Ann", "text": {"content": "q"}}}));
    let quoted = legacy.quoted.unwrap();
    assert_eq!((quoted.content, quoted.sender_nick), (MessageContent::Text("q".into()), some("Ann")));
    let bare =
        message(json!({"msgtype": "markdown", "text": null, "content": {"text": "x", "quoteContent": "q"}}));
    assert_eq!(bare.quoted.unwrap().content, MessageContent::Text("q".into()));
    // A reply whose quoted message is not repeated.
    let ids = message(json!({"text": {"content": "x", "isReplyMsg": true}, "originalMsgId": "o"}));
    assert_eq!(ids.quoted.unwrap().msg_id, some("o"));
    // An ordinary message may carry originalMsgId.
    assert!(message(json!({"originalMsgId": "o"})).quoted.is_none());
}

#[test]
fn an_exhausted_quota_is_surfaced() {
    for code in [json!(20001), json!("20001")] {
        let message = message(json!({"text": null, "errorCode": code, "errorMessage": "受调用量超量影响"}));
        assert_eq!(message.content, MessageContent::Missing);
        assert_eq!(message.quota_error, Some(QuotaError { code: 20001, message: some("受调用量超量影响") }));
    }
}

#[test]
fn a_name_cut_within_an_emoji_does_not_spoil_the_message() {
    let data = payload(json!({"senderNick": "NICK"})).to_string().replace("NICK", r"Tom\ud83d");
    let message = BotMessage::parse(&data).unwrap();
    assert_eq!(
        (message.sender.nick.as_str(), message.content.as_text().as_deref()),
        ("Tom\u{fffd}", Some("hello"))
    );
}

#[test]
fn delegated_and_own_messages() {
    let delegated = message(json!({"hostingContext": {"userId": "h1", "nick": "x"}}));
    assert_eq!(delegated.hosting_user_id, some("h1"));
    assert!(message(json!({"senderId": "$:LWCP_v1:$robot"})).is_own());
}

#[test]
fn the_raw_payload_loses_only_the_webhook() {
    let data = r#"{ "a" : 1.50, "sessionWebhook":"https://x?session=hunter2","b":{"c":[1e3]},"s":"\u4f60" }"#;
    assert_eq!(redacted_raw(data), r#"{"a":1.50,"b":{"c":[1e3]},"s":"\u4f60"}"#);
    let escaped = r#"{"session\u0057ebhook":"hunter2","x":1}"#;
    assert_eq!(redacted_raw(escaped), r#"{"x":1}"#);
    let nested = r#"{"q":{"sessionWebhook":"hunter2","k":1},"t":"{\"sessionWebhook\":\"sendBySession?session=hunter2\"}"}"#;
    assert_eq!(redacted_raw(nested), r#"{"q":{"k":1},"t":""}"#);
    // Somebody may well talk about it.
    let talk = r#"{"text":{"content":"what is a sessionWebhook?"}}"#;
    assert_eq!(redacted_raw(talk), talk);
    assert_eq!(redacted_raw("hunter2"), "{}");
}

#[test]
fn the_webhook_is_cut_out_wherever_it_stands() {
    let raw = |data: &str| BotMessage::parse_and_redact(data).unwrap().1;
    for (data, expected) in [
        (r#"{"conversationId":"c","sessionWebhook":"hunter2"}"#, r#"{"conversationId":"c"}"#),
        (r#"{"sessionWebhook":"hunter2","conversationId":"c"}"#, r#"{"conversationId":"c"}"#),
        (r#" { "conversationId":"c" , "sessionWebhook" : "hunter2" } "#, r#"{ "conversationId":"c" }"#),
        (
            r#"{"a":1.50,"sessionWebhook":"h\u0075nter2,\"}" ,"conversationId":"c"}"#,
            r#"{"a":1.50,"conversationId":"c"}"#,
        ),
        // The blanks show that it was cut and not written anew, in spite of the name that begins alike.
        (
            r#"{"sessionWebhookExpiredTime": 5, "sessionWebhook": "hunter2", "conversationId": "c"}"#,
            r#"{"sessionWebhookExpiredTime": 5, "conversationId": "c"}"#,
        ),
        (r#"{"sessionWebhook":{"x":["hunter2"]},"conversationId":"c"}"#, r#"{"conversationId":"c"}"#),
        (r#"{"sessionWebhook":null,"conversationId":"c"}"#, r#"{"conversationId":"c"}"#),
        (r#"{"session\u0057ebhook":"hunter2","conversationId":"c"}"#, r#"{"conversationId":"c"}"#),
        ("{\n\"sessionWebhook\":\"hunter2\",\n\"conversationId\":\"c\"}", "{\n\"conversationId\":\"c\"}"),
        (
            r#"{"conversationId":"c","senderNick":"a\ud83d"}"#,
            r#"{"conversationId":"c","senderNick":"a\ufffd"}"#,
        ),
        (
            r#"{"conversationId":"c","q":{"sessionWebhook":"hunter2","k":1},"sessionWebhook":"hunter2"}"#,
            r#"{"conversationId":"c","q":{"k":1}}"#,
        ),
    ] {
        assert_eq!(raw(data), expected, "{data}");
    }
    // Two of a name are no payload of DingTalk's.
    let twice = r#"{"conversationId":"c","sessionWebhook":"hunter2","sessionWebhook":"hunter2"}"#;
    assert!(BotMessage::parse_and_redact(twice).is_err());
}

#[test]
fn deep_nesting_is_harmless() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_object = format!("{}1{}", r#"{"repliedMsg":"#.repeat(50_000), "}".repeat(50_000));
    for text in [
        format!(r#"{{"conversationId":"c","x":{deep}}}"#),
        format!(r#"{{"conversationId":"c","text":{deep}}}"#),
        format!(r#"{{"conversationId":"c","text":{deep_object}}}"#),
        format!(r#"{{"conversationId":"c","atUsers":{deep},"senderNick":{deep}}}"#),
        deep,
    ] {
        let _ = BotMessage::parse(&text);
        let _ = (redacted_raw(&text), BotMessage::parse_and_redact(&text));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("{\"text\":\"x\"}")),
    ];
    let key = prop_oneof![
        "[a-zA-Z]{1,8}",
        proptest::sample::select(vec![
            "content",
            "text",
            "msgType",
            "repliedMsg",
            "isReplyMsg",
            "richText",
            "quoteContent",
            "downloadCode",
            "duration",
            "sessionWebhook",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), cut in 0usize..600) {
        let _ = (BotMessage::parse(&text), redacted_raw(&text));
        let full = payload(json!({"senderNick": text})).to_string();
        let cut: String = full.chars().take(cut).collect();
        let _ = (BotMessage::parse_and_redact(&cut), redacted_raw(&cut));
    }

    #[test]
    fn any_value_in_any_field_is_survived(
        field in proptest::sample::select(vec![
            "text", "content", "msgtype", "atUsers", "quoteMessage", "createAt", "senderStaffId", "isAdmin",
            "hostingContext", "errorCode", "sessionWebhook", "conversationType", "originalMsgId",
        ]),
        kind in proptest::sample::select(vec!["text", "richText", "audio", "file", "chatRecord", "reply", "new"]),
        value in any_json(),
    ) {
        let mut change = json!({"msgtype": kind});
        change[field] = value;
        let text = payload(change).to_string();
        prop_assert!(BotMessage::parse(&text).is_ok(), "{}", text);
        let raw = redacted_raw(&text);
        prop_assert!(!raw.contains("\"sessionWebhook\":"), "{}", raw);
        prop_assert!(serde_json::from_str::<Value>(&raw).is_ok());
        // Both ways give the same, of compact and of spread-out text.
        let spread = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&text).unwrap()).unwrap();
        for text in [text, spread] {
            let (message, cut) = BotMessage::parse_and_redact(&text).unwrap();
            let value = |json: &str| serde_json::from_str::<Value>(json).unwrap();
            prop_assert_eq!(value(&cut), value(&redacted_raw(&text)));
            prop_assert_eq!(format!("{message:?}"), format!("{:?}", BotMessage::parse(&text).unwrap()));
        }
    }
}
