//! Forwards messages to an HTTP service and answers with its answer: for logic that lives elsewhere.

mod answer;

use belfry_plugin::prelude::*;
use belfry_plugin::types::RichTextPart;
use serde::Serialize;

struct Relay;

belfry_plugin::export!(Relay: MessageHandler, Describe);

impl Describe for Relay {
    fn describe() -> Info {
        belfry_plugin::describe!()
    }
}

/// What the service gets.
#[derive(Serialize)]
struct Forwarded<'a> {
    id: &'a str,
    app: &'a str,
    attempt: u32,
    sent_at: u64,
    kind: &'a str,
    text: &'a str,
    conversation: Conversation<'a>,
    sender: Sender<'a>,
    mentions: Vec<&'a str>,
    /// The message as DingTalk sent it, where the config asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct Conversation<'a> {
    id: &'a str,
    group: bool,
    title: Option<&'a str>,
}

#[derive(Serialize)]
struct Sender<'a> {
    id: &'a str,
    staff_id: Option<&'a str>,
    nick: &'a str,
    admin: bool,
}

impl MessageHandler for Relay {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let url = config::require("url")?;
        let text = message.text();
        let body = Forwarded {
            id: &message.id,
            app: &message.app,
            attempt: message.attempt,
            sent_at: message.sent_at,
            kind: kind(&message.content),
            text: &text,
            conversation: Conversation {
                id: &message.conversation.id,
                group: message.in_group(),
                title: message.conversation.title.as_deref(),
            },
            sender: Sender {
                id: &message.sender.id,
                staff_id: message.sender.staff_id.as_deref(),
                nick: &message.sender.nick,
                admin: message.sender.admin,
            },
            mentions: message.mentions.iter().filter_map(|mention| mention.staff_id.as_deref()).collect(),
            raw: match config::parse::<bool>("raw")?.unwrap_or_default() {
                true => Some(serde_json::from_str(&message.raw)?),
                false => None,
            },
        };
        let timeout = config::parse::<u32>("timeout_ms")?.unwrap_or(10_000);
        // The same for every try of one message, so that the service can tell a repeat.
        let request = fetch::request("POST", url).header("idempotency-key", message.id.as_str());
        let response = request.json(&body)?.within(timeout).send()?.ok()?;
        answer::read(&response)
    }
}

/// The name of a content's kind.
fn kind(content: &Content) -> &str {
    match content {
        Content::Text(_) => "text",
        Content::Picture(_) => "picture",
        Content::RichText(parts) if parts.iter().all(|part| matches!(part, RichTextPart::Text(_))) => "text",
        Content::RichText(_) => "rich-text",
        Content::Audio(_) => "audio",
        Content::Video(_) => "video",
        Content::File(_) => "file",
        Content::Markdown(_) => "markdown",
        Content::InteractiveCard(_) => "interactive-card",
        Content::ChatRecord(_) => "chat-record",
        Content::Unknown(kind) => kind,
    }
}

#[cfg(test)]
mod tests {
    use belfry_plugin::testing::{self, response, say};

    use super::*;

    #[test]
    fn the_service_gets_the_message_and_its_answer_is_the_reply() {
        testing::set_config("url", "https://svc.test/bot");
        testing::on_fetch(|_| Ok(response(200, r#"{"markdown":"**yes**","title":"Answer"}"#)));
        let said = say::<Relay>("is it there?");
        assert_eq!(said.replies(), [markdown("**yes**").titled("Answer")]);
        let requests = testing::requests();
        let sent: serde_json::Value = serde_json::from_slice(requests[0].body.as_deref().unwrap()).unwrap();
        assert_eq!(sent["text"], "is it there?");
        assert_eq!(sent["sender"]["staff_id"], "liwei");
        assert!(sent.get("raw").is_none());
        assert!(requests[0].headers.contains(&("idempotency-key".into(), "msg1".into())));
    }

    #[test]
    fn a_busy_service_is_tried_again_and_a_refusal_is_not() {
        testing::set_config("url", "https://svc.test/bot");
        testing::on_fetch(|_| Ok(response(503, "")));
        assert!(matches!(say::<Relay>("a").0, Err(Failure::Temporary(_))));
        testing::on_fetch(|_| Ok(response(400, "")));
        assert!(matches!(say::<Relay>("a").0, Err(Failure::Permanent(_))));
    }
}
