//! The JSON that DingTalk sends: the frame, and the bot message inside it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::{Map, Value, json};

use crate::clock::wall_ms;
use crate::say::{Content, Person, Quoted, QuotedContent, RichRun, Say};

pub(crate) const CORP_ID: &str = "ding9f50b15bccd16741";
pub(crate) const UNIFIED_APP_ID: &str = "bbb381b6-f015-4a8e-9f5c-5f5c4e58daac";

/// The message of DingTalk when the organisation's quota is used up.
const QUOTA_MESSAGE: &str = "受调用量超量影响，当前我的消息服务已经暂停";

/// One frame. All header values are strings: Go's SDK fails on any other.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Frame<'a> {
    pub spec_version: &'static str,
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub headers: FrameHeaders<'a>,
    pub data: &'a str,
}

pub(crate) struct FrameHeaders<'a> {
    /// `appId` and `connectionId`, on EVENT and CALLBACK only.
    pub app: Option<(&'a str, &'a str)>,
    pub message_id: &'a str,
    pub time_ms: u64,
    pub topic: &'a str,
    pub further: Option<&'a BTreeMap<String, String>>,
}

impl Serialize for FrameHeaders<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some((app_id, connection_id)) = self.app {
            map.serialize_entry("appId", app_id)?;
            map.serialize_entry("connectionId", connection_id)?;
        }
        map.serialize_entry("contentType", "application/json")?;
        map.serialize_entry("messageId", self.message_id)?;
        map.serialize_entry("time", &self.time_ms.to_string())?;
        map.serialize_entry("topic", self.topic)?;
        for (name, value) in self.further.into_iter().flatten() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Frame<'_> {
    pub(crate) fn to_text(&self) -> String {
        // Serialising strings and maps with string keys into memory cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A `SYSTEM` frame as text.
pub(crate) fn system_frame(topic: &str, message_id: &str, data: &Value) -> String {
    let headers = FrameHeaders { app: None, message_id, time_ms: wall_ms(), topic, further: None };
    Frame { spec_version: "1.0", kind: "SYSTEM", headers, data: &data.to_string() }.to_text()
}

/// Where the replies to a message go.
pub(crate) struct Route<'a> {
    pub webhook: &'a str,
    pub expires_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BotMessage<'a> {
    conversation_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    at_users: Vec<AtUser>,
    chatbot_corp_id: &'static str,
    chatbot_user_id: &'a str,
    msg_id: &'a str,
    sender_nick: &'a str,
    is_admin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_staff_id: Option<&'a str>,
    session_webhook_expired_time: u64,
    create_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_corp_id: Option<&'static str>,
    conversation_type: &'static str,
    sender_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_in_at_list: Option<bool>,
    session_webhook: &'a str,
    robot_code: &'a str,
    sender_platform: &'static str,
    open_thread_id: &'a str,
    msgtype: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_msg_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_process_query_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosting_context: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_msg_context: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AtUser {
    dingtalk_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    staff_id: Option<String>,
}

impl From<&Person> for AtUser {
    fn from(person: &Person) -> Self {
        Self { dingtalk_id: person.dingtalk_id(), staff_id: person.staff_id.clone() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Text<'a> {
    content: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_reply_msg: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replied_msg: Option<Value>,
}

/// The encrypted id of an app's bot.
pub(crate) fn bot_user_id(client_id: &str) -> String {
    format!("$:LWCP_v1:${}", STANDARD.encode(client_id))
}

/// A fresh `msgId`.
pub(crate) fn new_msg_id() -> String {
    format!("msg{}", STANDARD.encode(rand::random::<[u8; 16]>()))
}

/// The `data` of a bot message's frame.
pub(crate) fn bot_message(say: &Say, msg_id: &str, client_id: &str, bot: &str, route: &Route<'_>) -> String {
    let mut at_users = Vec::new();
    if say.group {
        at_users.push(AtUser { dingtalk_id: bot.to_owned(), staff_id: None });
        at_users.extend(say.mentions.iter().map(AtUser::from));
    }
    let (msgtype, mut text, mut content) = body(say);
    let quota = say.content == Content::QuotaExhausted;
    if let Some(quoted) = &say.quoted {
        let replied = replied_message(quoted);
        if let Some(text) = &mut text {
            text.is_reply_msg = Some(true);
            text.replied_msg = Some(replied);
        } else if let Some(Value::Object(content)) = &mut content {
            content.insert("isReplyMsg".into(), Value::Bool(true));
            content.insert("repliedMsg".into(), replied);
        }
    }
    let message = BotMessage {
        conversation_id: &say.conversation,
        at_users,
        chatbot_corp_id: CORP_ID,
        chatbot_user_id: bot,
        msg_id,
        sender_nick: &say.sender.nick,
        is_admin: say.sender.admin,
        sender_staff_id: say.sender.staff_id.as_deref(),
        session_webhook_expired_time: route.expires_ms,
        create_at: wall_ms(),
        sender_corp_id: say.sender.staff_id.as_ref().map(|_| CORP_ID),
        conversation_type: if say.group { "2" } else { "1" },
        sender_id: say.sender.dingtalk_id(),
        conversation_title: say.group.then(|| say.title.as_deref().unwrap_or("simulated group")),
        is_in_at_list: say.group.then_some(true),
        session_webhook: route.webhook,
        robot_code: client_id,
        sender_platform: "Mac",
        open_thread_id: &say.conversation,
        msgtype,
        text,
        content,
        original_msg_id: say.quoted.as_ref().map(|quoted| quoted.msg_id.as_str()),
        original_process_query_key: say.quoted.as_ref().and_then(|q| q.process_query_key.as_deref()),
        hosting_context: say.delegate.as_ref().map(|host| json!({"userId": host.user_id, "nick": host.nick})),
        conversation_msg_context: say.delegate.as_ref().map(|_| {
            let sender = say.sender.staff_id.as_deref().unwrap_or_default();
            json!([{"readStatus": "1", "senderUserId": sender, "sendTime": wall_ms()}])
        }),
        error_code: quota.then_some(20_001),
        error_message: quota.then_some(QUOTA_MESSAGE),
    };
    // Serialising strings, numbers and JSON values into memory cannot fail.
    serde_json::to_string(&message).unwrap_or_default()
}

fn body(say: &Say) -> (&str, Option<Text<'_>>, Option<Value>) {
    let content = |value: Value| (None, Some(value));
    let (msgtype, (text, content)) = match &say.content {
        Content::Text { text } => {
            let text = if say.group { format!(" {text}").into() } else { text.as_str().into() };
            ("text", (Some(Text { content: text, is_reply_msg: None, replied_msg: None }), None))
        }
        Content::Picture { download_code } => (
            "picture",
            content(
                json!({"downloadCode": download_code, "pictureDownloadCode": picture_code(download_code)}),
            ),
        ),
        Content::RichText { runs } => {
            ("richText", content(json!({"richText": runs.iter().map(rich_run).collect::<Vec<_>>()})))
        }
        Content::Audio { download_code, duration_ms, recognition } => (
            "audio",
            content(
                json!({"duration": duration_ms, "downloadCode": download_code, "recognition": recognition}),
            ),
        ),
        Content::Video { download_code, duration_ms, video_type } => (
            "video",
            content(json!({"duration": duration_ms, "downloadCode": download_code, "videoType": video_type})),
        ),
        Content::File { download_code, file_name } => (
            "file",
            content(json!({"downloadCode": download_code, "fileId": "214980176385", "fileName": file_name,
                "spaceId": "28455378906"})),
        ),
        Content::Markdown { text } => ("markdown", content(json!({"text": text}))),
        Content::InteractiveCard { url } => {
            ("interactiveCard", content(json!({"biz_custom_action_url": url})))
        }
        Content::ChatRecord { summary, record } => {
            ("chatRecord", content(json!({"summary": summary, "chatRecord": record})))
        }
        Content::Unknown { text } => ("unknownMsgType", content(json!({"unknownMsgType": text}))),
        Content::QuotaExhausted => ("text", (None, None)),
        Content::Other { msgtype, content } => {
            (msgtype.as_str(), (None, (!content.is_null()).then(|| content.clone())))
        }
    };
    (msgtype, text, content)
}

/// How the second code of a picture begins.
pub(crate) const PICTURE_CODE: &str = "9hSK";

pub(crate) fn picture_code(download_code: &str) -> String {
    format!("{PICTURE_CODE}{download_code}")
}

fn rich_run(run: &RichRun) -> Value {
    match run {
        RichRun::Text { text } => json!({"text": text}),
        RichRun::Picture { download_code } => json!({"type": "picture", "downloadCode": download_code,
            "pictureDownloadCode": picture_code(download_code)}),
        RichRun::At { name, user_id } => json!({"type": "at", "atName": name, "atUserId": user_id}),
        RichRun::Emoji => json!({"type": "emoji"}),
    }
}

fn replied_message(quoted: &Quoted) -> Value {
    let mut replied = Map::new();
    replied.insert("msgId".into(), quoted.msg_id.clone().into());
    replied.insert("createdAt".into(), wall_ms().saturating_sub(60_000).into());
    if let Some(sender) = &quoted.sender_id {
        replied.insert("senderId".into(), sender.clone().into());
    }
    let (msgtype, content) = match &quoted.content {
        QuotedContent::Text { text } => (Some("text"), Some(json!({"text": text}))),
        QuotedContent::Picture { download_code } => {
            (Some("picture"), Some(json!({"downloadCode": download_code})))
        }
        QuotedContent::RichText { runs } => {
            let runs: Vec<Value> = runs.iter().map(quoted_run).collect();
            (Some("richText"), Some(json!({"richText": runs})))
        }
        QuotedContent::Markdown { text } => (Some("markdown"), Some(json!({"text": text}))),
        QuotedContent::Unknown => (Some("unknownMsgType"), None),
        QuotedContent::InteractiveCard => (Some("interactiveCard"), None),
        QuotedContent::Untyped { text } => (None, Some(json!({"text": text}))),
    };
    if let Some(msgtype) = msgtype {
        replied.insert("msgType".into(), msgtype.into());
    }
    if let Some(content) = content {
        replied.insert("content".into(), content);
    }
    Value::Object(replied)
}

fn quoted_run(run: &RichRun) -> Value {
    match run {
        RichRun::Text { text } => json!({"msgType": "text", "content": text}),
        RichRun::Picture { download_code } => json!({"msgType": "picture", "downloadCode": download_code}),
        RichRun::At { name, .. } => json!({"msgType": "text", "content": format!("@{name}")}),
        RichRun::Emoji => json!({"msgType": "text", "content": "[emoji]"}),
    }
}
