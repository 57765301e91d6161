//! What the model says, from the bytes of the response.

use belfry_plugin::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::sse::Sse;

/// The longest that is shown of what an endpoint says about an error, in characters.
const LONGEST_WORDS: usize = 300;

/// The answer as far as it came.
#[derive(Default)]
pub(crate) struct Answer {
    sse: Sse,
    /// Why the model stopped: `stop`, `length`, `content_filter`, ….
    pub(crate) finish: Option<String>,
    /// The stream said that it ends.
    pub(crate) done: bool,
    pub(crate) usage: Option<Usage>,
}

/// What an answer cost.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Usage {
    #[serde(default)]
    pub(crate) prompt_tokens: u64,
    #[serde(default)]
    pub(crate) completion_tokens: u64,
}

/// One event of a stream, or a whole answer.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default, alias = "message")]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    /// A text, or a list of parts as some models send.
    #[serde(default)]
    content: Option<Value>,
}

impl Answer {
    /// Takes a piece of an event stream and returns the text that came with it.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<String, Failure> {
        let events = self.sse.push(piece);
        let events = events.map_err(|_| Failure::permanent("the endpoint sent an event without end"))?;
        self.events(events)
    }

    /// The text that was left when the stream ended.
    pub(crate) fn rest(&mut self) -> Result<String, Failure> {
        let event = self.sse.finish();
        self.events(event.into_iter().collect())
    }

    /// Takes an answer that came whole, from an endpoint that does not stream.
    pub(crate) fn whole(&mut self, body: &[u8]) -> Result<String, Failure> {
        let text = self.event(&String::from_utf8_lossy(body))?;
        self.done = true;
        Ok(text)
    }

    /// Whether nothing is missing.
    pub(crate) fn complete(&self) -> bool {
        self.done || self.finish.is_some()
    }

    fn events(&mut self, events: Vec<String>) -> Result<String, Failure> {
        let mut text = String::new();
        for event in events {
            if event.trim() == "[DONE]" {
                self.done = true;
            } else if !self.done && !event.trim().is_empty() {
                text.push_str(&self.event(&event)?);
            }
        }
        Ok(text)
    }

    fn event(&mut self, event: &str) -> Result<String, Failure> {
        let chunk: Chunk = serde_json::from_str(event).map_err(|error| {
            Failure::permanent(format!("the endpoint sent `{}`, which is no answer: {error}", short(event)))
        })?;
        if let Some(error) = chunk.error {
            // The status was 200: something broke while the model spoke, which another try may not see.
            return Err(Failure::temporary(format!("the endpoint reports an error: {}", words(&error))));
        }
        self.usage = chunk.usage.or(self.usage);
        let mut text = String::new();
        // One answer is asked for. The last event of a stream has none, but the usage.
        if let Some(choice) = chunk.choices.into_iter().next() {
            self.finish = choice.finish_reason.or(self.finish.take());
            text.push_str(&content(choice.delta.and_then(|delta| delta.content)));
        }
        Ok(text)
    }
}

fn content(content: Option<Value>) -> String {
    match content {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

/// What an endpoint says about an error, in whichever shape.
pub(crate) fn words(error: &Value) -> String {
    let said = [error.get("message"), error.get("error"), Some(error)].into_iter().flatten();
    let text = said.into_iter().find_map(Value::as_str).map_or_else(|| error.to_string(), str::to_owned);
    short(&text)
}

/// One line, not too long.
pub(crate) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_WORDS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(text: &str) -> String {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    }

    #[test]
    fn text_usage_and_the_end_are_read() {
        let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n";
        let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n\
                   data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n";
        let stream = format!("{role}{}: ping\n\n{}{end}data: [DONE]\n\n", delta("牛"), delta("奶"));
        for size in [1, 3, 7, stream.len()] {
            let mut answer = Answer::default();
            let text: String =
                stream.as_bytes().chunks(size).map(|piece| answer.push(piece).unwrap()).collect();
            assert_eq!(text + &answer.rest().unwrap(), "牛奶");
            assert!(answer.done && answer.finish.as_deref() == Some("stop"));
            assert_eq!(answer.usage, Some(Usage { prompt_tokens: 9, completion_tokens: 2 }));
        }
    }

    #[test]
    fn errors_within_the_stream_are_told_and_nothing_after_the_end_counts() {
        let mut answer = Answer::default();
        assert_eq!(answer.push(delta("a").as_bytes()).unwrap(), "a");
        let failed = answer.push(b"data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n");
        assert_eq!(failed, Err(Failure::temporary("the endpoint reports an error: overloaded")));
        let broken = Answer::default().push(b"data: <html>\n\n").unwrap_err();
        assert!(broken.reason().contains("`<html>`, which is no answer"), "{broken}");
        let after = format!("data: [DONE]\n\n{}", delta("more"));
        assert_eq!(Answer::default().push(after.as_bytes()).unwrap(), "");
    }

    #[test]
    fn a_stream_that_breaks_off_is_not_complete() {
        let mut answer = Answer::default();
        answer.push(delta("a").as_bytes()).unwrap();
        assert!(!answer.complete());
    }

    #[test]
    fn other_shapes_are_read_too() {
        let mut answer = Answer::default();
        let body = r#"{"choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
        assert_eq!(answer.whole(body.as_bytes()).unwrap(), "hi");
        let parts =
            "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}}]}\n\n";
        assert_eq!(Answer::default().push(parts.as_bytes()).unwrap(), "x");
        assert_eq!(words(&serde_json::json!({"error": "model not found"})), "model not found");
        assert_eq!(words(&serde_json::json!("gone")), "gone");
    }
}
