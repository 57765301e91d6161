//! What a person wants, and the request that is made of it.

use belfry_plugin::prelude::*;
use belfry_plugin::types::RichTextPart;
use serde::Serialize;

use crate::memory::Memory;
use crate::settings::Settings;

/// The longest that is taken of a quoted message, in characters.
const LONGEST_QUOTE: usize = 4_000;

/// The longest name, in characters, that is shown to the model.
const LONGEST_NICK: usize = 40;

/// What somebody wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To start anew.
    Reset,
    /// An answer to this.
    Ask(String),
    /// Nothing was asked.
    Nothing,
    /// An answer to what cannot be read.
    Unreadable,
}

impl Wish {
    pub(crate) fn of(message: &Message, settings: &Settings) -> Self {
        let said = said(&message.content, settings);
        let said = match &settings.command {
            Some(command) => message.command(command).unwrap_or(said),
            None => said,
        };
        if said == "重置" || said.eq_ignore_ascii_case("/reset") {
            return Wish::Reset;
        }
        if said.is_empty() {
            return if is_words(&message.content) { Wish::Nothing } else { Wish::Unreadable };
        }
        let quoted = message.quoted.as_ref().and_then(|quoted| quoted.text.as_deref());
        Wish::Ask(match quoted.map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => {
                let lines: Vec<String> = text.lines().map(|line| format!("> {line}")).collect();
                let quote: String = lines.join("\n").chars().take(LONGEST_QUOTE).collect();
                format!("{quote}\n\n{said}")
            }
            None => said,
        })
    }
}

/// Whether this kind of message holds nothing but words.
fn is_words(content: &Content) -> bool {
    match content {
        Content::Text(_) | Content::Markdown(_) => true,
        Content::RichText(parts) => {
            parts.iter().all(|part| matches!(part, RichTextPart::Text(_) | RichTextPart::Mention(_)))
        }
        _ => false,
    }
}

/// The words of a message. A picture alone has none; among words its place is marked.
fn said(content: &Content, settings: &Settings) -> String {
    let text = match content {
        Content::Text(text) | Content::Markdown(text) => text.clone(),
        Content::Audio(audio) => audio.recognition.clone(),
        Content::RichText(parts) => {
            let has_words =
                parts.iter().any(|part| matches!(part, RichTextPart::Text(text) if !text.trim().is_empty()));
            let run = |part: &RichTextPart| match part {
                RichTextPart::Text(text) => text.clone(),
                RichTextPart::Picture(_) if has_words => settings.words.picture.to_owned(),
                RichTextPart::Mention(name) if has_words => format!("@{} ", name.trim_start_matches('@')),
                _ => String::new(),
            };
            parts.iter().map(run).collect()
        }
        _ => String::new(),
    };
    text.trim().to_owned()
}

/// The question as the model gets it: where a group shares one conversation, with the name of who asks.
pub(crate) fn named(question: &str, message: &Message, settings: &Settings) -> String {
    if settings.per_person || !message.in_group() {
        return question.to_owned();
    }
    let nick: String = message.sender.nick.split_whitespace().collect::<Vec<_>>().join(" ");
    let nick: String = nick.chars().take(LONGEST_NICK).collect();
    format!("{nick}: {question}")
}

/// The body of a request to `/chat/completions`.
#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'a str,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// The request for an answer to `question`, as JSON.
pub(crate) fn request(question: &str, memory: &Memory, settings: &Settings) -> Result<Vec<u8>, Failure> {
    let mut messages = Vec::new();
    if !settings.system.is_empty() {
        messages.push(Said { role: "system", content: &settings.system });
    }
    for turn in &memory.turns {
        messages.push(Said { role: "user", content: &turn.question });
        messages.push(Said { role: "assistant", content: &turn.answer });
    }
    messages.push(Said { role: "user", content: question });
    let most = |name: &str| settings.max_tokens.filter(|(of, _)| *of == name).map(|(_, most)| most);
    let request = Request {
        model: &settings.model,
        messages,
        stream: true,
        stream_options: settings.usage.then_some(StreamOptions { include_usage: true }),
        temperature: settings.temperature,
        max_tokens: most("max_tokens"),
        max_completion_tokens: most("max_completion_tokens"),
    };
    Ok(serde_json::to_vec(&request)?)
}
