//! A stored event in a few words.

use belfry_dingtalk::{BotMessage, MessageContent, RichPart};
use belfry_event::CloudEvent;
use serde_json::value::RawValue;

use super::protocol::Words;

/// The type of messages to a bot. Of other events the type and the data are shown.
const MESSAGE_RECEIVED: &str = "dingtalk.message.received.v1";

/// Of what was said so many characters are shown in a list.
const SHOWN: usize = 200;

/// Of a name or an id; those of DingTalk's are shorter.
const LONGEST_NAME: usize = 200;

/// What can be told of an event. What cannot be read is left empty, so that it can be looked at all the same.
pub(super) fn words(key: &str, payload: &[u8]) -> Words {
    let mut words = Words { conversation: conversation(key).to_owned(), ..Words::default() };
    let Ok(event) = CloudEvent::from_json(payload) else { return words };
    words.app = cut(app(&event.source), LONGEST_NAME);
    words.id = cut(&event.id, LONGEST_NAME);
    if event.kind != MESSAGE_RECEIVED {
        words.kind = cut(&event.kind, LONGEST_NAME);
        words.text = cut(event.json_data().unwrap_or_default(), SHOWN);
        return words;
    }
    let Some(message) = event.json_data().and_then(|data| BotMessage::parse(data).ok()) else { return words };
    words.text = cut(&text(&message.content), SHOWN);
    words.kind = cut(&message.kind, LONGEST_NAME);
    words.sender = cut(&message.sender.nick, LONGEST_NAME);
    words.staff_id = message.sender.staff_id.as_deref().map(|id| cut(id, LONGEST_NAME));
    words
}

/// An answer with many of them must stay small, whoever wrote them.
fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// The conversation's id: what follows the ClientID in the key of its events.
pub(super) fn conversation(key: &str) -> &str {
    key.split_once('/').map_or(key, |(_, conversation)| conversation)
}

/// The app in the source of its events.
fn app(source: &str) -> &str {
    source.strip_prefix("/dingtalk/").unwrap_or(source)
}

fn text(content: &MessageContent) -> String {
    match content {
        MessageContent::Text(text) | MessageContent::Markdown(text) => text.trim().to_owned(),
        MessageContent::RichText(parts) => parts.iter().map(part).collect(),
        MessageContent::Audio { recognition, .. } => recognition.clone().unwrap_or_default(),
        MessageContent::File { file_name, .. } => file_name.clone().unwrap_or_default(),
        MessageContent::ChatRecord { summary, .. } => summary.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

fn part(part: &RichPart) -> &str {
    match part {
        RichPart::Text(text) => text,
        RichPart::At { name, .. } => name.as_deref().unwrap_or_default(),
        _ => "",
    }
}

/// Bytes that are JSON as they are but on one line, others as text.
pub(super) fn json(bytes: &[u8]) -> Box<RawValue> {
    // Within a JSON text a line break is white space: in a string it is escaped.
    let text = String::from_utf8_lossy(bytes);
    serde_json::from_str(&text.replace(['\n', '\r'], " "))
        .or_else(|_| serde_json::value::to_raw_value(&text))
        // A string always has a JSON form.
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}
