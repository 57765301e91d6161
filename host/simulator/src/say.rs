//! What a simulated person says to a bot.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message to a bot: topic `/v1.0/im/bot/messages/get`, or `…/delegate` when [`delegate`](Self::delegate) is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Say {
    /// The app whose bot is meant. `None`: the first app of [`Credentials::List`](crate::Credentials::List), else the
    /// first that ever registered; with none yet, the message waits for it.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The conversation id, passed on as it is. [`conversation_id`] makes a realistic one.
    pub conversation: String,
    /// A group chat (`conversationType` 2, with title, mention list and `isInAtList`) or a private one.
    #[serde(default)]
    pub group: bool,
    /// Title of the group.
    #[serde(default)]
    pub title: Option<String>,
    /// Who says it.
    #[serde(default)]
    pub sender: Person,
    /// People mentioned beside the bot (groups only).
    #[serde(default)]
    pub mentions: Vec<Person>,
    /// What is said.
    pub content: Content,
    /// The message this one answers.
    #[serde(default)]
    pub quoted: Option<Quoted>,
    /// `msgId` to use. `None`: a fresh one. Saying the same id twice is how a second delivery of one message is made.
    #[serde(default)]
    pub msg_id: Option<String>,
    /// Delegated message: sent on the delegate topic with the host's id and nick and the conversation's context.
    #[serde(default)]
    pub delegate: Option<Delegate>,
}

impl Say {
    /// A text in a private chat.
    pub fn private(conversation: impl Into<String>, sender: Person, text: impl Into<String>) -> Self {
        Self {
            client_id: None,
            conversation: conversation.into(),
            group: false,
            title: None,
            sender,
            mentions: Vec::new(),
            content: Content::text(text),
            quoted: None,
            msg_id: None,
            delegate: None,
        }
    }

    /// A text in a group, mentioning the bot.
    pub fn group(conversation: impl Into<String>, sender: Person, text: impl Into<String>) -> Self {
        Self { group: true, ..Self::private(conversation, sender, text) }
    }

    /// The same with other content.
    #[must_use]
    pub fn content(self, content: Content) -> Self {
        Self { content, ..self }
    }

    /// The same to the bot of one app.
    #[must_use]
    pub fn to(self, client_id: impl Into<String>) -> Self {
        Self { client_id: Some(client_id.into()), ..self }
    }

    /// The same as an answer to another message.
    #[must_use]
    pub fn quoting(self, quoted: Quoted) -> Self {
        Self { quoted: Some(quoted), ..self }
    }

    /// The same with a given `msgId`.
    #[must_use]
    pub fn with_msg_id(self, msg_id: impl Into<String>) -> Self {
        Self { msg_id: Some(msg_id.into()), ..self }
    }
}

/// A conversation id in DingTalk's form (`cid…==`), the same one for the same name.
pub fn conversation_id(name: &str) -> String {
    format!("cid{}", STANDARD.encode(format!("belfry-simulator/{name:>8}")))
}

/// Somebody who talks to a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Person {
    /// The organisation's staff id. `None`: an external user, whose messages carry no `senderStaffId`.
    #[serde(default)]
    pub staff_id: Option<String>,
    /// The displayed name. The encrypted `senderId` is derived from it and the staff id.
    pub nick: String,
    /// Whether the person administers the organisation.
    #[serde(default)]
    pub admin: bool,
}

impl Person {
    /// A member of the organisation.
    pub fn staff(staff_id: impl Into<String>, nick: impl Into<String>) -> Self {
        Self { staff_id: Some(staff_id.into()), nick: nick.into(), admin: false }
    }

    /// Somebody from outside, without a staff id.
    pub fn external(nick: impl Into<String>) -> Self {
        Self { staff_id: None, nick: nick.into(), admin: false }
    }

    /// The encrypted id DingTalk gives this person, `$:LWCP_v1:$…`; the same one for the same staff id and nick.
    pub fn dingtalk_id(&self) -> String {
        let name = format!("{}/{}", self.staff_id.as_deref().unwrap_or("external"), self.nick);
        format!("$:LWCP_v1:${}", STANDARD.encode(name))
    }
}

impl Default for Person {
    fn default() -> Self {
        Self::staff("manager1234", "Alex")
    }
}

/// The body of a message, by `msgtype`. DingTalk sends audio, video and file in private chats only; the
/// simulator does not enforce that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Content {
    /// Plain text. In groups a leading space stands for the mention that DingTalk cut out; the simulator adds it.
    Text {
        /// The text.
        text: String,
    },
    /// One picture.
    Picture {
        /// Code for the download API.
        download_code: String,
    },
    /// Text and pictures mixed.
    RichText {
        /// The runs, in order.
        runs: Vec<RichRun>,
    },
    /// A voice message.
    Audio {
        /// Code for the download API.
        download_code: String,
        /// Length in milliseconds.
        duration_ms: u64,
        /// What DingTalk understood.
        recognition: String,
    },
    /// A video.
    Video {
        /// Code for the download API.
        download_code: String,
        /// Length in milliseconds.
        duration_ms: u64,
        /// Container, such as `mp4`.
        video_type: String,
    },
    /// A file.
    File {
        /// Code for the download API.
        download_code: String,
        /// Name as the sender had it.
        file_name: String,
    },
    /// Markdown (`content.text`).
    Markdown {
        /// The source.
        text: String,
    },
    /// An interactive card forwarded to the bot.
    InteractiveCard {
        /// `content.biz_custom_action_url`.
        url: String,
    },
    /// A forwarded chat record.
    ChatRecord {
        /// The summary shown.
        summary: String,
        /// The record, a JSON text.
        record: String,
    },
    /// What DingTalk itself could not pass on: msgtype `unknownMsgType`.
    Unknown {
        /// `content.unknownMsgType`.
        text: String,
    },
    /// The message of an organisation whose quota is used up: neither `text` nor `content`, but `errorCode` 20001.
    QuotaExhausted,
    /// Any msgtype with any `content`, for kinds not listed here.
    Other {
        /// The `msgtype`.
        msgtype: String,
        /// The value of `content`; absent when null.
        #[serde(default)]
        content: Value,
    },
}

impl Content {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// One of every kind but plain text and [`Content::QuotaExhausted`], for "does it survive" tests.
    pub fn samples() -> Vec<Content> {
        let code = |name: &str| format!("mIofN681YE3f%2Fm%2BNntqpTg{name}");
        vec![
            Content::Picture { download_code: code("Picture") },
            Content::RichText {
                runs: vec![
                    RichRun::Text { text: "look: ".into() },
                    RichRun::Picture { download_code: code("Rich") },
                    RichRun::Text { text: "\n".into() },
                    RichRun::At { name: "Tom".into(), user_id: "manager5678".into() },
                    RichRun::Emoji,
                ],
            },
            Content::Audio {
                download_code: code("Audio"),
                duration_ms: 4_000,
                recognition: "钉钉，让进步发生".into(),
            },
            Content::Video { download_code: code("Video"), duration_ms: 4_000, video_type: "mp4".into() },
            Content::File { download_code: code("File"), file_name: "a.pdf".into() },
            Content::Markdown { text: "# heading".into() },
            Content::InteractiveCard { url: "https://example.com/card".into() },
            Content::ChatRecord { summary: "two messages".into(), record: "[]".into() },
            Content::Unknown { text: "the client is too old for this message".into() },
            Content::Other { msgtype: "hologram".into(), content: Value::Null },
        ]
    }
}

/// One run of a rich text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum RichRun {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// A picture.
    Picture {
        /// Code for the download API.
        download_code: String,
    },
    /// A mention.
    At {
        /// The displayed name.
        name: String,
        /// The person's id.
        user_id: String,
    },
    /// An emoji; DingTalk does not say which.
    Emoji,
}

/// The message that a message answers (`repliedMsg`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quoted {
    /// Its `msgId`.
    pub msg_id: String,
    /// Its sender's encrypted id; absent for cards.
    #[serde(default)]
    pub sender_id: Option<String>,
    /// What it was.
    pub content: QuotedContent,
    /// `originalProcessQueryKey` of the new message, by which a quoted bot card is found.
    #[serde(default)]
    pub process_query_key: Option<String>,
}

/// The content of a quoted message, in the shapes seen in the field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum QuotedContent {
    /// A text.
    Text {
        /// The words.
        text: String,
    },
    /// A picture.
    Picture {
        /// Code for the download API.
        download_code: String,
    },
    /// A rich text; the runs have other keys here than at the top level (`msgType`, `content`).
    RichText {
        /// The runs; mentions and emoji come as text.
        runs: Vec<RichRun>,
    },
    /// Markdown.
    Markdown {
        /// The source.
        text: String,
    },
    /// A file, video or audio: `unknownMsgType`, without content.
    Unknown,
    /// A card.
    InteractiveCard,
    /// `msgType` missing altogether.
    Untyped {
        /// The words.
        text: String,
    },
}

/// What a delegated message carries beside the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delegate {
    /// `hostingContext.userId`: the person the bot stands in for.
    pub user_id: String,
    /// `hostingContext.nick`.
    pub nick: String,
}
