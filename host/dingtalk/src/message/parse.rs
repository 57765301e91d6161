//! From the `data` of a push to a [`BotMessage`].

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    AtUser, BotMessage, Conversation, ConversationKind, MessageContent, PayloadError, QuotaError, Quoted,
    Sender,
    content::{self, Body},
    redact,
};
use crate::{SessionWebhook, json};

/// `errorCode` of a message whose content DingTalk left out because the monthly quota is used up.
const OVER_QUOTA: i64 = 20_001;

/// The payload's envelope (DingTalk's page "receive message", and captures). Everything may be missing.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Envelope<'a> {
    #[serde(deserialize_with = "json::id")]
    conversation_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    conversation_type: Option<String>,
    #[serde(deserialize_with = "json::id")]
    conversation_title: Option<String>,
    #[serde(deserialize_with = "json::id")]
    chatbot_corp_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    chatbot_user_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    robot_code: Option<String>,
    #[serde(deserialize_with = "json::id")]
    msg_id: Option<String>,
    #[serde(rename = "msgtype", deserialize_with = "json::id")]
    kind: Option<String>,
    #[serde(deserialize_with = "json::unsigned")]
    create_at: Option<u64>,
    /// The specification's sample has this typo.
    #[serde(rename = "createA", deserialize_with = "json::unsigned")]
    create_at_typo: Option<u64>,
    #[serde(deserialize_with = "json::id")]
    sender_id: Option<String>,
    #[serde(deserialize_with = "json::text")]
    sender_nick: Option<String>,
    #[serde(deserialize_with = "json::id")]
    sender_staff_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    sender_union_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    sender_corp_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    sender_platform: Option<String>,
    #[serde(deserialize_with = "json::flag")]
    is_admin: Option<bool>,
    #[serde(deserialize_with = "json::flag")]
    is_in_at_list: Option<bool>,
    #[serde(borrow, deserialize_with = "json::raw")]
    at_users: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "json::raw")]
    session_webhook: Option<&'a RawValue>,
    #[serde(deserialize_with = "json::unsigned")]
    session_webhook_expired_time: Option<u64>,
    #[serde(borrow, deserialize_with = "json::raw")]
    text: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "json::raw")]
    content: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "json::raw")]
    quote_message: Option<&'a RawValue>,
    #[serde(deserialize_with = "json::id")]
    original_msg_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    original_process_query_key: Option<String>,
    #[serde(borrow, deserialize_with = "json::raw")]
    hosting_context: Option<&'a RawValue>,
    #[serde(deserialize_with = "json::signed")]
    error_code: Option<i64>,
    #[serde(deserialize_with = "json::text")]
    error_message: Option<String>,
}

impl BotMessage {
    /// Reads the `data` of a push.
    ///
    /// Numbers may be strings and the other way round, unknown fields are ignored, fields of the wrong type count as
    /// missing.
    ///
    /// # Errors
    ///
    /// If `data` is not a JSON object or has no `conversationId`.
    pub fn parse(data: &str) -> Result<BotMessage, PayloadError> {
        Self::of(json::from_object(&json::mend(data))?)
    }

    /// As [`parse`](Self::parse), with the payload as JSON text without `sessionWebhook`, which is a secret: fit for plugins and
    /// the journal. The rest is kept as sent, but that halves of surrogate pairs, which strict readers refuse, are replaced by
    /// U+FFFD. It costs little more than reading alone.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_and_redact(data: &str) -> Result<(BotMessage, String), PayloadError> {
        let data = json::mend(data);
        let envelope: Envelope<'_> = json::from_object(&data)?;
        let redacted = redact::without_webhook(&data, envelope.session_webhook)
            .unwrap_or_else(|| redact::redacted_raw(&data));
        Ok((Self::of(envelope)?, redacted))
    }

    fn of(envelope: Envelope<'_>) -> Result<BotMessage, PayloadError> {
        let conversation = conversation(&envelope)?;
        let (content, quoted) = content(&envelope);
        let is_missing = content == MessageContent::Missing;
        Ok(BotMessage {
            conversation,
            content,
            quoted,
            at_users: at_users(envelope.at_users),
            hosting_user_id: envelope.hosting_context.and_then(hosting_user),
            webhook: envelope
                .session_webhook
                .and_then(json::id_of)
                .map(|url| SessionWebhook::new(url, envelope.session_webhook_expired_time)),
            quota_error: envelope
                .error_code
                .filter(|code| *code == OVER_QUOTA || (*code != 0 && is_missing))
                .map(|code| QuotaError { code, message: envelope.error_message }),
            msg_id: envelope.msg_id,
            robot_code: envelope.robot_code,
            kind: envelope.kind.unwrap_or_default(),
            created_at: envelope.create_at.or(envelope.create_at_typo),
            sender: Sender {
                id: envelope.sender_id,
                staff_id: envelope.sender_staff_id,
                union_id: envelope.sender_union_id,
                nick: envelope.sender_nick.unwrap_or_default(),
                corp_id: envelope.sender_corp_id,
                platform: envelope.sender_platform,
                is_admin: envelope.is_admin,
            },
            is_in_at_list: envelope.is_in_at_list,
            chatbot_user_id: envelope.chatbot_user_id,
            chatbot_corp_id: envelope.chatbot_corp_id,
            original_process_query_key: envelope.original_process_query_key,
            original_msg_id: envelope.original_msg_id,
        })
    }
}

fn conversation(envelope: &Envelope<'_>) -> Result<Conversation, PayloadError> {
    let kind = match envelope.conversation_type.as_deref() {
        Some("1") => ConversationKind::Private,
        Some("2") => ConversationKind::Group,
        _ => ConversationKind::Unknown,
    };
    let id = envelope.conversation_id.clone().ok_or(PayloadError::Missing("conversationId"))?;
    Ok(Conversation { id, kind, title: envelope.conversation_title.clone() })
}

fn content(envelope: &Envelope<'_>) -> (MessageContent, Option<Quoted>) {
    let kind = envelope.kind.as_deref().unwrap_or("text");
    // Texts stand under `text`, everything else under `content`.
    let raw =
        if kind == "text" { envelope.text.or(envelope.content) } else { envelope.content.or(envelope.text) };
    let object = raw.and_then(json::object_text);
    let body = Body::read(object.as_deref(), raw.and_then(json::as_text).map(std::borrow::Cow::into_owned));
    let key = &envelope.original_process_query_key;
    let quoted = body
        .quoted()
        .or(envelope.quote_message)
        .and_then(|raw| content::quoted(raw, key.clone()))
        .or_else(|| body.is_reply().then(|| unrepeated(envelope)));
    (body.into_content(kind, raw), quoted)
}

/// A reply whose quoted message is not repeated: only ids lead to it.
fn unrepeated(envelope: &Envelope<'_>) -> Quoted {
    Quoted {
        kind: None,
        msg_id: envelope.original_msg_id.clone(),
        sender_id: None,
        sender_nick: None,
        created_at: None,
        content: MessageContent::Missing,
        process_query_key: envelope.original_process_query_key.clone(),
    }
}

fn at_users(raw: Option<&RawValue>) -> Vec<AtUser> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct User {
        #[serde(deserialize_with = "json::id")]
        dingtalk_id: Option<String>,
        #[serde(deserialize_with = "json::id")]
        staff_id: Option<String>,
        #[serde(deserialize_with = "json::id")]
        union_id: Option<String>,
    }
    let user = |user: User| AtUser {
        dingtalk_id: user.dingtalk_id,
        staff_id: user.staff_id,
        union_id: user.union_id,
    };
    json::list::<User>(raw).into_iter().map(user).collect()
}

fn hosting_user(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Context {
        #[serde(default, deserialize_with = "json::id")]
        user_id: Option<String>,
    }
    serde_json::from_str::<Context>(&json::object_text(raw)?).ok()?.user_id
}
