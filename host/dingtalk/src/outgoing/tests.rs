use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn body(message: &OutMessage) -> Value {
    serde_json::from_str(&message.to_body(None)).unwrap()
}

fn button(title: &str) -> CardButton {
    CardButton { title: title.to_owned(), url: format!("https://x/{title}") }
}

#[test]
fn every_kind_has_the_documented_shape() {
    assert_eq!(body(&OutMessage::text("hi")), json!({"msgtype": "text", "text": {"content": "hi"}}));
    assert_eq!(
        body(&OutMessage::markdown("T", "**x**")),
        json!({"msgtype": "markdown", "markdown": {"title": "T", "text": "**x**"}})
    );
    let link = OutMessage::Link {
        title: "T".into(),
        text: "x".into(),
        message_url: "https://m".into(),
        pic_url: Some("https://p".into()),
    };
    assert_eq!(
        body(&link),
        json!({"msgtype": "link",
            "link": {"title": "T", "text": "x", "messageUrl": "https://m", "picUrl": "https://p"}})
    );
    let card = |buttons, horizontal| {
        OutMessage::ActionCard(ActionCard {
            title: "T".into(),
            text: "x".into(),
            buttons,
            horizontal,
            hide_avatar: false,
        })
    };
    assert_eq!(
        body(&card(Buttons::Single(button("a")), false)),
        json!({"msgtype": "actionCard", "actionCard": {"title": "T", "text": "x", "singleTitle": "a",
            "singleURL": "https://x/a", "btnOrientation": "0", "hideAvatar": "0"}})
    );
    assert_eq!(
        body(&card(Buttons::Multi(vec![button("a"), button("b")]), true)),
        json!({"msgtype": "actionCard", "actionCard": {"title": "T", "text": "x", "btnOrientation": "1",
            "hideAvatar": "0", "btns": [{"title": "a", "actionURL": "https://x/a"},
                {"title": "b", "actionURL": "https://x/b"}]}})
    );
    let feed = FeedLink { title: "T".into(), message_url: "https://m".into(), pic_url: "https://p".into() };
    assert_eq!(
        body(&OutMessage::FeedCard { links: vec![feed] }),
        json!({"msgtype": "feedCard",
            "feedCard": {"links": [{"title": "T", "messageURL": "https://m", "picURL": "https://p"}]}})
    );
    assert_eq!(body(&OutMessage::Empty), json!({"msgtype": "empty"}));
    let with_uuid: Value = serde_json::from_str(&OutMessage::text("x").to_body(Some("u-1"))).unwrap();
    assert_eq!(with_uuid["msgUuid"], "u-1");
}

#[test]
fn missing_mentions_are_appended_to_the_text() {
    let at = At {
        user_ids: vec!["user1".into(), "user12".into()],
        mobiles: vec!["180123".into()],
        dingtalk_ids: vec!["$:LWCP_v1:$x".into()],
        all: true,
    };
    let message = OutMessage::Text { content: "hello @user12, bye".into(), at: at.clone() };
    assert_eq!(
        body(&message),
        json!({"msgtype": "text", "text": {"content": "hello @user12, bye @user1 @180123 @$:LWCP_v1:$x"},
            "at": {"atUserIds": ["user1", "user12"], "atMobiles": ["180123"], "atDingtalkIds": ["$:LWCP_v1:$x"],
                "isAtAll": true}})
    );
    let message = OutMessage::Markdown { title: "T".into(), text: String::new(), at };
    assert_eq!(body(&message)["markdown"]["text"], "@user1 @user12 @180123 @$:LWCP_v1:$x");
}

#[test]
fn at_most_fifty_are_mentioned() {
    let ids = |prefix: &str| (0..40).map(|n| format!("{prefix}{n}")).collect();
    let at = At { user_ids: ids("u"), mobiles: ids("1"), ..At::default() };
    let body = body(&OutMessage::Text { content: "x".into(), at });
    assert_eq!(body["at"]["atUserIds"].as_array().unwrap().len(), 40);
    assert_eq!(body["at"]["atMobiles"].as_array().unwrap().len(), 10);
}

/// Short texts with what mentions and JSON could stumble over.
fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c@ _\"\\\\\n\u{1}\u{4f60}\u{1f431}]{0,12}", any::<String>()]
}

fn people() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(words(), 0..30)
}

fn mentions() -> impl Strategy<Value = At> {
    (people(), people(), people(), any::<bool>()).prop_map(|(user_ids, mobiles, dingtalk_ids, all)| At {
        user_ids,
        mobiles,
        dingtalk_ids,
        all,
    })
}

fn buttons() -> impl Strategy<Value = Buttons> {
    let button = || (words(), words()).prop_map(|(title, url)| CardButton { title, url });
    prop_oneof![
        button().prop_map(Buttons::Single),
        prop::collection::vec(button(), 0..7).prop_map(Buttons::Multi),
    ]
}

fn messages() -> impl Strategy<Value = OutMessage> {
    let link = || {
        (words(), words(), words()).prop_map(|(title, message_url, pic_url)| FeedLink {
            title,
            message_url,
            pic_url,
        })
    };
    prop_oneof![
        (words(), mentions()).prop_map(|(content, at)| OutMessage::Text { content, at }),
        (words(), words(), mentions()).prop_map(|(title, text, at)| OutMessage::Markdown { title, text, at }),
        (words(), words(), words(), prop::option::of(words())).prop_map(
            |(title, text, message_url, pic_url)| { OutMessage::Link { title, text, message_url, pic_url } }
        ),
        (words(), words(), buttons(), any::<bool>(), any::<bool>()).prop_map(
            |(title, text, buttons, horizontal, hide_avatar)| {
                OutMessage::ActionCard(ActionCard { title, text, buttons, horizontal, hide_avatar })
            }
        ),
        prop::collection::vec(link(), 0..4).prop_map(|links| OutMessage::FeedCard { links }),
        Just(OutMessage::Empty),
    ]
}

proptest! {
    #[test]
    fn a_body_is_read_back(message in messages(), uuid in prop::option::of(words())) {
        let body = message.to_body(uuid.as_deref());
        let (read, read_uuid) = OutMessage::from_body(&body).unwrap();
        prop_assert_eq!(&read_uuid, &uuid);
        prop_assert_eq!(read.to_body(uuid.as_deref()), body);
        // Without mentions nothing is added, so it is the message itself.
        match message {
            OutMessage::Text { ref at, .. } | OutMessage::Markdown { ref at, .. } if *at != At::default() => {}
            message => prop_assert_eq!(read, message),
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        OutMessage::from_body(&text);
    }
}

#[test]
fn what_is_no_body_is_not_read() {
    for text in [
        "",
        "[]",
        r#"{"msgtype":"image"}"#,
        r#"{"msgtype":"text"}"#,
        r#"{"msgtype":"text","text":{"content":1}}"#,
        r#"{"msgtype":"actionCard","actionCard":{"title":"t","text":"x"}}"#,
    ] {
        assert_eq!(OutMessage::from_body(text), None, "{text}");
    }
}
