//! DingTalk's message as an event, and as the record that plugins get.

use std::time::{SystemTime, UNIX_EPOCH};

use belfry_dingtalk::{self as dingtalk, BotMessage, MessageContent};
use belfry_event::{AttributeValue, CloudEvent, Data};
use belfry_plugin_host::types;
use time::OffsetDateTime;

/// The event type of a message to a bot.
pub(crate) const MESSAGE_RECEIVED: &str = "dingtalk.message.received.v1";

/// The event type of an action on a card.
pub(crate) const CARD_ACTION: &str = "dingtalk.card.action";

/// The event type of a call of an AI assistant.
pub(crate) const AI_PLUGIN_CALL: &str = "dingtalk.ai-plugin.call";

/// The source of an app's events, before its name.
const SOURCE: &str = "/dingtalk/";

/// The event of a message: what the journal keeps and rules see. `raw` is the payload without the session webhook, known to
/// be JSON.
pub(crate) fn to_event(app: &str, id: &str, message: &BotMessage, raw: String) -> CloudEvent {
    event_of(app, id, &message.conversation.id, message.created_at, raw)
}

/// The event of a message that plugins got, as JSON for patterns: the same as the journal's.
pub(crate) fn as_json(message: &types::Message) -> serde_json::Value {
    let sent_at = Some(message.sent_at).filter(|time| *time > 0);
    let raw = message.raw.clone();
    let event = event_of(&message.app, &message.id, &message.conversation.id, sent_at, raw);
    serde_json::from_slice(&event.to_json()).unwrap_or_default()
}

fn event_of(app: &str, id: &str, conversation: &str, sent_at: Option<u64>, raw: String) -> CloudEvent {
    let mut event = CloudEvent::new(id, source(app), MESSAGE_RECEIVED);
    event.subject = Some(conversation.to_owned());
    event.time = sent_at.and_then(time_of);
    event.datacontenttype = Some("application/json".to_owned());
    let key = AttributeValue::String(conversation.to_owned());
    event.extensions.insert("partitionkey".to_owned(), key);
    event.data = Some(Data::parsed_json(raw));
    event
}

/// The source of an app's events.
pub(crate) fn source(app: &str) -> String {
    format!("{SOURCE}{app}")
}

/// The app that received an event's message.
pub(crate) fn app_of(event: &CloudEvent) -> Option<&str> {
    event.source.strip_prefix(SOURCE)
}

/// The time by this machine's clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn time_of(milliseconds: u64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()
}

/// What plugins get.
pub(crate) fn to_plugin(app: &str, id: &str, message: BotMessage, raw: String) -> types::Message {
    let robot = message.chatbot_user_id;
    types::Message {
        id: id.to_owned(),
        app: app.to_owned(),
        conversation: types::Conversation {
            id: message.conversation.id,
            kind: match message.conversation.kind {
                dingtalk::ConversationKind::Private => types::ConversationKind::Private,
                // Where DingTalk does not say, an answer may be read by others: plugins must count on that.
                dingtalk::ConversationKind::Group | dingtalk::ConversationKind::Unknown => {
                    types::ConversationKind::Group
                }
            },
            title: message.conversation.title,
        },
        sender: types::Sender {
            id: message.sender.id.unwrap_or_default(),
            staff_id: message.sender.staff_id,
            nick: message.sender.nick,
            corp_id: message.sender.corp_id,
            union_id: message.sender.union_id,
            admin: message.sender.is_admin.unwrap_or(false),
        },
        content: content(message.content, message.kind),
        mentions: message
            .at_users
            .into_iter()
            .filter(|user| user.dingtalk_id.is_none() || user.dingtalk_id != robot)
            .map(|user| types::Mention { id: user.dingtalk_id.unwrap_or_default(), staff_id: user.staff_id })
            .collect(),
        quoted: message.quoted.map(quoted),
        sent_at: message.created_at.unwrap_or(0),
        attempt: 1,
        attributes: Vec::new(),
        raw,
    }
}

fn content(content: MessageContent, kind: String) -> types::Content {
    match content {
        MessageContent::Text(text) => types::Content::Text(trimmed(text)),
        MessageContent::Picture { download_code, .. } => types::Content::Picture(media(download_code)),
        MessageContent::RichText(parts) => {
            types::Content::RichText(parts.into_iter().map(rich_part).collect())
        }
        MessageContent::Audio { duration_ms, download_code, recognition } => {
            types::Content::Audio(types::Audio {
                media: media(download_code),
                duration: duration_ms.unwrap_or(0),
                recognition: recognition.unwrap_or_default(),
            })
        }
        MessageContent::Video { duration_ms, download_code, video_type } => {
            types::Content::Video(types::Video {
                media: media(download_code),
                duration: duration_ms.unwrap_or(0),
                video_type: video_type.unwrap_or_default(),
            })
        }
        MessageContent::File { download_code, file_id, file_name, space_id } => {
            types::Content::File(types::File {
                media: media(download_code),
                name: file_name.unwrap_or_default(),
                file_id,
                space_id,
            })
        }
        MessageContent::Markdown(text) => types::Content::Markdown(text),
        MessageContent::InteractiveCard { action_url } => {
            types::Content::InteractiveCard(types::InteractiveCard { url: action_url })
        }
        MessageContent::ChatRecord { summary, record } => types::Content::ChatRecord(types::ChatRecord {
            summary: summary.unwrap_or_default(),
            records: record.unwrap_or_default(),
        }),
        MessageContent::Missing => types::Content::Unknown(kind),
        MessageContent::Unknown { kind, .. } => types::Content::Unknown(kind),
    }
}

fn trimmed(text: String) -> String {
    let kept = text.trim();
    if kept.len() == text.len() { text } else { kept.to_owned() }
}

fn media(download_code: Option<String>) -> types::Media {
    types::Media { download_code: download_code.unwrap_or_default() }
}

fn rich_part(part: dingtalk::RichPart) -> types::RichTextPart {
    match part {
        dingtalk::RichPart::Text(text) => types::RichTextPart::Text(text),
        dingtalk::RichPart::Picture { download_code, .. } => {
            types::RichTextPart::Picture(media(download_code))
        }
        dingtalk::RichPart::At { name, user_id } => {
            types::RichTextPart::Mention(name.or(user_id).unwrap_or_default())
        }
        dingtalk::RichPart::Other { kind, .. } => types::RichTextPart::Unknown(kind),
    }
}

fn quoted(quoted: dingtalk::Quoted) -> types::Quoted {
    let (text, pictures) = match quoted.content {
        MessageContent::Text(text) | MessageContent::Markdown(text) => (Some(text), Vec::new()),
        MessageContent::Picture { download_code, .. } => (None, vec![media(download_code)]),
        MessageContent::RichText(parts) => {
            let mut text = String::new();
            let mut pictures = Vec::new();
            for part in parts {
                match part {
                    dingtalk::RichPart::Text(run) => text.push_str(&run),
                    dingtalk::RichPart::Picture { download_code, .. } => pictures.push(media(download_code)),
                    dingtalk::RichPart::At { .. } | dingtalk::RichPart::Other { .. } => {}
                }
            }
            ((!text.is_empty()).then_some(text), pictures)
        }
        _ => (None, Vec::new()),
    };
    types::Quoted {
        id: quoted.msg_id,
        sender_id: quoted.sender_id,
        sent_at: quoted.created_at.unwrap_or(0),
        kind: quoted.kind.unwrap_or_default(),
        text,
        pictures,
    }
}
