//! Messages to the robot (topics `messages/get` and `messages/delegate`), read leniently.

use crate::SessionWebhook;

mod content;
mod parse;
mod redact;

#[cfg(test)]
use redact::redacted_raw;

/// A message that somebody sent to the robot.
#[derive(Debug, Clone)]
pub struct BotMessage {
    /// Id of the message, stable over redeliveries. The same id reaches every robot mentioned in one group message, so a
    /// dedupe key needs the app beside it. `None` only in malformed payloads.
    pub msg_id: Option<String>,
    /// The robot addressed, usually the app's ClientID. `None` for custom robots.
    pub robot_code: Option<String>,
    /// `msgtype` as sent; an open set.
    pub kind: String,
    /// When the message was written, in ms since 1970.
    pub created_at: Option<u64>,
    /// Where it was written.
    pub conversation: Conversation,
    /// Who wrote it.
    pub sender: Sender,
    /// What was written.
    pub content: MessageContent,
    /// The message this one replies to.
    pub quoted: Option<Quoted>,
    /// The people (and robots) mentioned; empty in private chats. Includes the robot itself.
    pub at_users: Vec<AtUser>,
    /// Whether the robot was mentioned. `None` in private chats.
    pub is_in_at_list: Option<bool>,
    /// Encrypted id of the robot.
    pub chatbot_user_id: Option<String>,
    /// Organisation of the robot.
    pub chatbot_corp_id: Option<String>,
    /// Key of the card this message refers to (`originalProcessQueryKey`).
    pub original_process_query_key: Option<String>,
    /// `originalMsgId`. Present on ordinary messages too: not a sign of a reply.
    pub original_msg_id: Option<String>,
    /// For delegated messages: the staff id of the member in whose name the robot reads.
    pub hosting_user_id: Option<String>,
    /// Where replies go. `None` if the payload has none or one that is no URL.
    pub webhook: Option<SessionWebhook>,
    /// Set when the organisation's push quota is used up: the message then has no content.
    pub quota_error: Option<QuotaError>,
}

/// The conversation of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Full id. Never shorten it: private conversations with one robot share their last characters.
    pub id: String,
    /// Private or group.
    pub kind: ConversationKind,
    /// Name of the group.
    pub title: Option<String>,
}

/// Private chat or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversationKind {
    /// One person and the robot (`conversationType` 1).
    Private,
    /// A group (`conversationType` 2).
    Group,
    /// Neither was said.
    Unknown,
}

/// The author of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sender {
    /// Encrypted id (`senderId`), the only one that external people have.
    pub id: Option<String>,
    /// Staff id in the organisation. `None` for external people, and for everybody before the app is published.
    pub staff_id: Option<String>,
    /// Union id.
    pub union_id: Option<String>,
    /// Display name.
    pub nick: String,
    /// Organisation of the sender.
    pub corp_id: Option<String>,
    /// Client platform, for example `Mac`, `Win`, `iOS`.
    pub platform: Option<String>,
    /// Whether the sender administers the organisation.
    pub is_admin: Option<bool>,
}

/// A mention.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtUser {
    /// Encrypted id.
    pub dingtalk_id: Option<String>,
    /// Staff id; `None` for external people.
    pub staff_id: Option<String>,
    /// Union id.
    pub union_id: Option<String>,
}

/// What a message says, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageContent {
    /// Plain text, untrimmed: in groups it starts with the space left of the mention.
    Text(String),
    /// A picture.
    Picture {
        /// Exchanged for a download address by the OpenAPI.
        download_code: Option<String>,
        /// A second code with the same purpose.
        picture_download_code: Option<String>,
    },
    /// Text and pictures in sequence.
    RichText(Vec<RichPart>),
    /// A voice message (private chats only).
    Audio {
        /// Length; 4000 in DingTalk's sample, so presumably ms.
        duration_ms: Option<u64>,
        /// Exchanged for a download address by the OpenAPI.
        download_code: Option<String>,
        /// DingTalk's transcription.
        recognition: Option<String>,
    },
    /// A video (private chats only).
    Video {
        /// Length; 4000 in DingTalk's sample, so presumably ms.
        duration_ms: Option<u64>,
        /// Exchanged for a download address by the OpenAPI.
        download_code: Option<String>,
        /// Container, for example `mp4`.
        video_type: Option<String>,
    },
    /// A file (private chats only).
    File {
        /// Exchanged for a download address by the OpenAPI.
        download_code: Option<String>,
        /// Id in DingTalk's drive.
        file_id: Option<String>,
        /// Name with extension.
        file_name: Option<String>,
        /// Space in DingTalk's drive.
        space_id: Option<String>,
    },
    /// Markdown source.
    Markdown(String),
    /// An interactive card.
    InteractiveCard {
        /// `biz_custom_action_url`.
        action_url: Option<String>,
    },
    /// A forwarded chat.
    ChatRecord {
        /// One-line summary.
        summary: Option<String>,
        /// The record as JSON text.
        record: Option<String>,
    },
    /// No content at all: quota used up, or a quoted file, whose content DingTalk does not repeat.
    Missing,
    /// A kind this crate does not know.
    Unknown {
        /// The kind as sent.
        kind: String,
        /// The content as JSON text.
        raw: String,
    },
}

/// One run of a rich text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RichPart {
    /// Text.
    Text(String),
    /// A picture.
    Picture {
        /// Exchanged for a download address by the OpenAPI.
        download_code: Option<String>,
        /// A second code with the same purpose.
        picture_download_code: Option<String>,
    },
    /// A mention.
    At {
        /// Display name.
        name: Option<String>,
        /// Id of the person.
        user_id: Option<String>,
    },
    /// Anything else, for example `emoji`.
    Other {
        /// The type as sent.
        kind: String,
        /// The run as JSON text.
        raw: String,
    },
}

/// The message that another one replies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// `msgType` as sent; may be missing. Quoted files, videos and voice messages come as `unknownMsgType`.
    pub kind: Option<String>,
    /// Id of the quoted message. The robot's own webhook replies have none that we could know.
    pub msg_id: Option<String>,
    /// Encrypted id of its author.
    pub sender_id: Option<String>,
    /// Display name of its author, in legacy shapes.
    pub sender_nick: Option<String>,
    /// When it was written, in ms since 1970.
    pub created_at: Option<u64>,
    /// What it says.
    pub content: MessageContent,
    /// For a quoted card of the robot: its key (`originalProcessQueryKey` of the replying message).
    pub process_query_key: Option<String>,
}

/// The organisation's quota of pushes is used up (`errorCode` 20001).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaError {
    /// `errorCode`.
    pub code: i64,
    /// DingTalk's explanation.
    pub message: Option<String>,
}

/// Why a payload could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// Not JSON, or not a JSON object.
    #[error("read the payload as a JSON object: {0}")]
    Json(String),
    /// A field without which nothing can be done is missing.
    #[error("read the payload: field `{0}` is missing")]
    Missing(&'static str),
}

impl BotMessage {
    /// Whether the robot wrote this itself; such messages are to be ignored.
    pub fn is_own(&self) -> bool {
        matches!((&self.sender.id, &self.chatbot_user_id), (Some(sender), Some(robot)) if sender == robot)
    }
}

impl MessageContent {
    /// The text of a text or markdown message, of a rich text's text runs, or of a transcription.
    pub fn as_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            MessageContent::Text(text) | MessageContent::Markdown(text) => Some(text.into()),
            MessageContent::RichText(parts) => {
                let texts = parts.iter().filter_map(|part| match part {
                    RichPart::Text(text) => Some(text.as_str()),
                    _ => None,
                });
                Some(texts.collect::<String>().into())
            }
            MessageContent::Audio { recognition, .. } => recognition.as_deref().map(Into::into),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
