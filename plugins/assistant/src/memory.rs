//! What was said before, one key-value for each conversation.

use belfry_plugin::kv::{self, Bucket};
use belfry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

const BUCKET: &str = "memory";

/// A conversation, oldest turn first. The default is one that has not begun.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    #[serde(default)]
    pub(crate) turns: Vec<Turn>,
    /// When the last one was, in milliseconds since 1970.
    #[serde(default)]
    at: u64,
}

/// A question and its answer.
#[derive(Serialize, Deserialize)]
pub(crate) struct Turn {
    /// The message's id: a message that is handled again does not come twice.
    id: String,
    pub(crate) question: String,
    pub(crate) answer: String,
}

/// Whose conversation it is.
pub(crate) fn key(message: &Message, settings: &Settings) -> String {
    let conversation = &message.conversation.id;
    match settings.per_person && message.in_group() {
        true => format!("{conversation} {}", message.sender.id),
        false => conversation.clone(),
    }
}

impl Memory {
    /// What is remembered at the time of this message, without the message itself.
    pub(crate) fn recall(key: &str, message: &Message, settings: &Settings) -> Result<Self, Failure> {
        let mut memory: Memory = kv::bucket(BUCKET)?.get_json(key)?.unwrap_or_default();
        if settings.forget_after > 0 && message.sent_at.saturating_sub(memory.at) > settings.forget_after {
            memory.turns.clear();
        }
        memory.turns.retain(|turn| turn.id != message.id);
        memory.fit(settings);
        Ok(memory)
    }

    /// Remembers a turn, and forgets what is too much.
    pub(crate) fn add(&mut self, message: &Message, question: &str, answer: &str, settings: &Settings) {
        // With the mark of what is cut, a turn alone never is too much.
        let half = (settings.history_chars / 2).saturating_sub(1);
        let (question, answer) = (cut(question, half), cut(answer, half));
        self.turns.push(Turn { id: message.id.clone(), question, answer });
        self.at = message.sent_at;
        self.fit(settings);
    }

    /// Stores it. Where there is no room, conversations that are over make some; a memory that cannot be kept is no reason to
    /// fail, since the answer is there.
    pub(crate) fn store(&self, key: &str, settings: &Settings) -> Result<(), Failure> {
        let bucket = kv::bucket(BUCKET)?;
        if self.turns.is_empty() {
            return Ok(bucket.delete(key)?);
        }
        if bucket.set_json(key, self).is_ok() {
            return Ok(());
        }
        sweep(&bucket, self.at, settings)?;
        if let Err(failure) = bucket.set_json(key, self) {
            log::warn!("this conversation is not remembered, raise `kv` in the plugin's table: {failure}");
            bucket.delete(key)?;
        }
        Ok(())
    }

    /// The last turns within both bounds.
    fn fit(&mut self, settings: &Settings) {
        let mut room = settings.history_chars;
        let kept = self.turns.iter().rev().take(settings.history).take_while(|turn| {
            let size = turn.question.chars().count() + turn.answer.chars().count();
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        });
        let forgotten = self.turns.len() - kept.count();
        self.turns.drain(..forgotten);
    }
}

/// Forgets a conversation.
pub(crate) fn forget(key: &str) -> Result<(), Failure> {
    Ok(kv::bucket(BUCKET)?.delete(key)?)
}

/// Deletes what would be forgotten anyway, or else the oldest half.
fn sweep(bucket: &Bucket, now: u64, settings: &Settings) -> Result<(), Failure> {
    let mut ages = Vec::new();
    for key in bucket.keys("")? {
        // What cannot be read is of no use, and counts as the oldest.
        let at = bucket.get_json::<Memory>(&key).ok().flatten().map_or(0, |memory| memory.at);
        ages.push((at, key));
    }
    ages.sort();
    let over = |at: u64| settings.forget_after > 0 && now.saturating_sub(at) > settings.forget_after;
    let expired = ages.iter().filter(|(at, _)| over(*at)).count();
    let count = if expired > 0 { expired } else { ages.len().div_ceil(2) };
    for (_, key) in ages.iter().take(count) {
        bucket.delete(key)?;
    }
    log::info!("the key-values are full: forgot {count} of {} conversations", ages.len());
    Ok(())
}

/// At most so many characters, the end left out.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use belfry_plugin::testing::{message, set_config, set_value, value};

    use super::*;

    fn settings(history: &str, chars: &str) -> Settings {
        set_config("url", "https://a.example/v1");
        set_config("model", "m");
        set_config("history", history);
        set_config("history_chars", chars);
        Settings::read().unwrap()
    }

    fn questions(memory: &Memory) -> Vec<&str> {
        memory.turns.iter().map(|turn| turn.question.as_str()).collect()
    }

    #[test]
    fn turns_and_characters_are_bounded() {
        let settings = settings("3", "100");
        let mut memory = Memory::default();
        for (id, question) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let mut message = message("");
            message.id = id.to_string();
            memory.add(&message, question, "牛", &settings);
        }
        assert_eq!(questions(&memory), ["b", "c", "d"]);
        memory.add(&message(""), "e", &"长".repeat(1000), &settings);
        assert_eq!(questions(&memory), ["c", "d", "e"], "the answer is cut to half of the room");
        memory.add(&message(""), &"问".repeat(70), &"长".repeat(70), &settings);
        assert_eq!(memory.turns.len(), 1, "a turn alone always fits");
    }

    #[test]
    fn a_message_that_comes_again_and_a_long_silence_are_noticed() {
        let settings = settings("3", "1000");
        let mut memory = Memory::default();
        memory.add(&message(""), "q", "a", &settings);
        memory.store("k", &settings).unwrap();
        let mut next = message("");
        assert_eq!(Memory::recall("k", &next, &settings).unwrap().turns.len(), 0, "msg1 itself");
        next.id = "msg2".into();
        assert_eq!(questions(&Memory::recall("k", &next, &settings).unwrap()), ["q"]);
        next.sent_at += settings.forget_after + 1;
        assert_eq!(Memory::recall("k", &next, &settings).unwrap().turns.len(), 0);
        forget("k").unwrap();
        assert_eq!(value(BUCKET, "k"), None);
    }

    #[test]
    fn a_sweep_takes_what_is_over_first() {
        let settings = settings("3", "1000");
        let bucket = kv::bucket(BUCKET).unwrap();
        for (key, at) in [("old", 1), ("new", 90_000_000), ("newer", 90_000_001)] {
            set_value(BUCKET, key, format!("{{\"turns\":[],\"at\":{at}}}"));
        }
        set_value(BUCKET, "broken", "x");
        sweep(&bucket, 90_000_002, &settings).unwrap();
        assert_eq!(bucket.keys("").unwrap(), ["new", "newer"]);
        sweep(&bucket, 90_000_002, &settings).unwrap();
        assert_eq!(bucket.keys("").unwrap(), ["newer"]);
    }
}
