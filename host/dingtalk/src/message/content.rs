//! The content of a message by its kind, and the message it quotes.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{MessageContent, Quoted, RichPart};
use crate::json;

/// All fields that the content of any kind has; those of other kinds are simply absent.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body<'a> {
    #[serde(deserialize_with = "json::text")]
    content: Option<String>,
    #[serde(deserialize_with = "json::text")]
    text: Option<String>,
    #[serde(deserialize_with = "json::id")]
    download_code: Option<String>,
    #[serde(deserialize_with = "json::id")]
    picture_download_code: Option<String>,
    #[serde(deserialize_with = "json::unsigned")]
    duration: Option<u64>,
    #[serde(deserialize_with = "json::text")]
    recognition: Option<String>,
    #[serde(deserialize_with = "json::id")]
    video_type: Option<String>,
    #[serde(deserialize_with = "json::id")]
    file_id: Option<String>,
    #[serde(deserialize_with = "json::id")]
    file_name: Option<String>,
    #[serde(deserialize_with = "json::id")]
    space_id: Option<String>,
    #[serde(borrow, deserialize_with = "json::raw")]
    rich_text: Option<&'a RawValue>,
    #[serde(rename = "biz_custom_action_url", deserialize_with = "json::id")]
    action_url: Option<String>,
    #[serde(deserialize_with = "json::text")]
    summary: Option<String>,
    #[serde(borrow, deserialize_with = "json::raw")]
    chat_record: Option<&'a RawValue>,
    #[serde(deserialize_with = "json::flag")]
    is_reply_msg: Option<bool>,
    #[serde(borrow, deserialize_with = "json::raw")]
    replied_msg: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "json::raw")]
    quote_content: Option<&'a RawValue>,
}

impl<'a> Body<'a> {
    /// Reads a content object. A content that is a plain string counts as an object with that text.
    pub(super) fn read(object: Option<&'a str>, plain: Option<String>) -> Body<'a> {
        match object.and_then(|text| serde_json::from_str(text).ok()) {
            Some(body) => body,
            None => Body { text: plain, ..Body::default() },
        }
    }

    /// Whether this content says that the message is a reply.
    pub(super) fn is_reply(&self) -> bool {
        self.is_reply_msg == Some(true)
    }

    /// The quoted message this content carries, in its present or its legacy place.
    pub(super) fn quoted(&self) -> Option<&'a RawValue> {
        self.replied_msg.or(self.quote_content)
    }

    /// The content as a message of `kind` has it; `raw` is where it was read from.
    pub(super) fn into_content(self, kind: &str, raw: Option<&RawValue>) -> MessageContent {
        let text = |body: Body<'_>| body.content.or(body.text);
        match kind {
            "text" => text(self).map_or(MessageContent::Missing, MessageContent::Text),
            "markdown" => {
                self.text.or(self.content).map_or(MessageContent::Missing, MessageContent::Markdown)
            }
            "picture" => MessageContent::Picture {
                download_code: self.download_code,
                picture_download_code: self.picture_download_code,
            },
            "richText" => MessageContent::RichText(rich_parts(self.rich_text)),
            "audio" => MessageContent::Audio {
                duration_ms: self.duration,
                download_code: self.download_code,
                recognition: self.recognition,
            },
            "video" => MessageContent::Video {
                duration_ms: self.duration,
                download_code: self.download_code,
                video_type: self.video_type,
            },
            "file" => MessageContent::File {
                download_code: self.download_code,
                file_id: self.file_id,
                file_name: self.file_name,
                space_id: self.space_id,
            },
            "interactiveCard" => MessageContent::InteractiveCard { action_url: self.action_url },
            "chatRecord" => MessageContent::ChatRecord {
                summary: self.summary,
                record: self.chat_record.map(|record| {
                    json::as_text(record)
                        .map_or_else(|| record.get().to_owned(), std::borrow::Cow::into_owned)
                }),
            },
            _ => match raw {
                Some(raw) => MessageContent::Unknown { kind: kind.to_owned(), raw: raw.get().to_owned() },
                None => MessageContent::Missing,
            },
        }
    }

    /// The kind that the fields speak for, where none is written.
    fn likely_kind(&self) -> &'static str {
        if self.rich_text.is_some() {
            "richText"
        } else if self.content.is_some() || self.text.is_some() {
            "text"
        } else if self.file_name.is_some() || self.file_id.is_some() {
            "file"
        } else if self.download_code.is_some() {
            "picture"
        } else if self.action_url.is_some() {
            "interactiveCard"
        } else {
            ""
        }
    }
}

/// The runs of a rich text. Received ones are `{text}` or `{type, …}`, quoted ones `{msgType, content}`.
fn rich_parts(raw: Option<&RawValue>) -> Vec<RichPart> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Run {
        #[serde(rename = "type", deserialize_with = "json::id")]
        kind: Option<String>,
        #[serde(deserialize_with = "json::id")]
        msg_type: Option<String>,
        #[serde(deserialize_with = "json::text")]
        text: Option<String>,
        #[serde(deserialize_with = "json::text")]
        content: Option<String>,
        #[serde(deserialize_with = "json::id")]
        download_code: Option<String>,
        #[serde(deserialize_with = "json::id")]
        picture_download_code: Option<String>,
        #[serde(deserialize_with = "json::id")]
        at_name: Option<String>,
        #[serde(deserialize_with = "json::id")]
        at_user_id: Option<String>,
    }
    let part = |raw: &RawValue| {
        let run: Run = serde_json::from_str(raw.get()).ok()?;
        let kind = run.kind.or(run.msg_type);
        Some(match (kind.as_deref(), run.text.or(run.content)) {
            (None | Some("text"), Some(text)) => RichPart::Text(text),
            (Some("picture"), _) => RichPart::Picture {
                download_code: run.download_code,
                picture_download_code: run.picture_download_code,
            },
            (None, None) if run.download_code.is_some() => RichPart::Picture {
                download_code: run.download_code,
                picture_download_code: run.picture_download_code,
            },
            (Some("at"), _) => RichPart::At { name: run.at_name, user_id: run.at_user_id },
            (kind, _) => {
                RichPart::Other { kind: kind.unwrap_or_default().to_owned(), raw: raw.get().to_owned() }
            }
        })
    };
    json::list::<&RawValue>(raw).into_iter().filter_map(part).collect()
}

/// Reads a quoted message: an object, a string holding one, or in the oldest shape just the quoted text.
pub(super) fn quoted(raw: &RawValue, process_query_key: Option<String>) -> Option<Quoted> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Message<'a> {
        #[serde(deserialize_with = "json::id")]
        msg_type: Option<String>,
        #[serde(rename = "msgtype", deserialize_with = "json::id")]
        legacy_type: Option<String>,
        #[serde(deserialize_with = "json::id")]
        msg_id: Option<String>,
        #[serde(deserialize_with = "json::id")]
        sender_id: Option<String>,
        #[serde(deserialize_with = "json::id")]
        sender_nick: Option<String>,
        #[serde(deserialize_with = "json::unsigned")]
        created_at: Option<u64>,
        #[serde(rename = "createAt", deserialize_with = "json::unsigned")]
        legacy_created_at: Option<u64>,
        #[serde(borrow, deserialize_with = "json::raw")]
        content: Option<&'a RawValue>,
        #[serde(borrow, deserialize_with = "json::raw")]
        text: Option<&'a RawValue>,
    }
    let text = json::object_text(raw);
    let Some(message) = text.as_deref().and_then(|text| serde_json::from_str::<Message<'_>>(text).ok())
    else {
        let text = json::as_text(raw)?.into_owned();
        return Some(Quoted {
            kind: None,
            msg_id: None,
            sender_id: None,
            sender_nick: None,
            created_at: None,
            content: MessageContent::Text(text),
            process_query_key,
        });
    };
    let raw = message.content.or(message.text);
    let object = raw.and_then(json::object_text);
    let body = Body::read(object.as_deref(), raw.and_then(json::as_text).map(std::borrow::Cow::into_owned));
    let kind = message.msg_type.or(message.legacy_type);
    let likely = body.likely_kind();
    let content = body.into_content(kind.as_deref().unwrap_or(likely), raw);
    Some(Quoted {
        kind,
        msg_id: message.msg_id,
        sender_id: message.sender_id,
        sender_nick: message.sender_nick,
        created_at: message.created_at.or(message.legacy_created_at),
        content,
        process_query_key,
    })
}
