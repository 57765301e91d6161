//! Chats with a language model behind any OpenAI-compatible endpoint. Answers grow while they come, as a live card.

mod http;
mod memory;
mod question;
mod settings;
mod sse;
mod stream;
#[cfg(test)]
mod tests;
mod words;

use belfry_plugin::prelude::*;

use http::Response as HttpResponse;
use memory::Memory;
use question::Wish;
use settings::Settings;
use stream::Answer;

/// The longest answer, in bytes: what a live card can show.
const LONGEST: usize = 200 << 10;

/// The most that is read of a response that is no event stream, in bytes.
const LONGEST_WHOLE: usize = 1 << 20;

struct Assistant;

belfry_plugin::export!(Assistant: MessageHandler, Describe);

impl Describe for Assistant {
    // No command of its own routes to it: it answers whatever nobody else took.
    fn describe() -> Info {
        belfry_plugin::describe!(; help = "Write to me as to a colleague. `/reset` (or 重置) makes me forget what was said.")
    }
}

impl MessageHandler for Assistant {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let settings = Settings::read()?;
        let words = settings.words;
        let key = memory::key(&message, &settings);
        match Wish::of(&message, &settings) {
            Wish::Reset => {
                memory::forget(&key)?;
                Ok(text(words.forgotten).into())
            }
            Wish::Nothing => Ok(markdown(words.ask_me).into()),
            Wish::Unreadable => Ok(text(words.only_text).into()),
            Wish::Ask(question) => answer(&message, &question, &key, &settings),
        }
    }
}

fn answer(message: &Message, question: &str, key: &str, settings: &Settings) -> Result<Outcome, Failure> {
    let mut memory = Memory::recall(key, message, settings)?;
    let question = question::named(question, message, settings);
    let body = question::request(&question, &memory, settings)?;
    let mut response = http::post(&settings.url, &body, settings.timeout)?;
    if !(200..300).contains(&response.status()) {
        return Err(refused(&mut response, settings));
    }
    let (mut answer, mut shown) = (Answer::default(), Shown::default());
    if let Err(failure) = read(&mut response, &mut answer, &mut shown, settings) {
        // Until something was shown, nobody minds another try.
        if shown.text.is_empty() {
            return Err(failure);
        }
        log::warn!("an answer broke off: {failure}");
        return Ok(shown.fail(settings));
    }
    let cost = answer.usage.unwrap_or_default();
    let (spent, made, turns) = (cost.prompt_tokens, cost.completion_tokens, memory.turns.len());
    log::info!("{}: {spent} tokens read, {made} written, {turns} turns remembered", settings.model);
    if shown.text.trim().is_empty() {
        log::warn!(
            "the model gave no answer; it ended with `{}`",
            answer.finish.as_deref().unwrap_or_default()
        );
        return Ok(text(settings.words.no_answer).into());
    }
    memory.add(message, &question, &shown.text, settings);
    memory.store(key, settings)?;
    match answer.finish.as_deref() {
        Some("length") => shown.append(&format!("\n\n{}", settings.words.cut_off), settings),
        Some("content_filter") => shown.append(&format!("\n\n{}", settings.words.filtered), settings),
        _ => {}
    }
    Ok(shown.finish(message, settings))
}

/// Reads the answer and shows it as it comes.
fn read(
    response: &mut HttpResponse,
    answer: &mut Answer,
    shown: &mut Shown,
    settings: &Settings,
) -> Result<(), Failure> {
    if response.content_type().to_ascii_lowercase().starts_with("application/json") {
        let body = whole(response, LONGEST_WHOLE)?;
        shown.append(&answer.whole(&body)?, settings);
        return Ok(());
    }
    while let Some(piece) = response.next()? {
        shown.append(&answer.push(&piece)?, settings);
        if answer.done {
            return Ok(());
        }
        if shown.text.len() > LONGEST {
            answer.finish = Some("length".to_owned());
            return Ok(());
        }
    }
    shown.append(&answer.rest()?, settings);
    match answer.complete() {
        true => Ok(()),
        false => Err(Failure::temporary("the endpoint ended its answer in the middle")),
    }
}

/// The body of a response, no more than so many bytes of it.
fn whole(response: &mut HttpResponse, most: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(piece) = response.next()? {
        body.extend_from_slice(&piece);
        if body.len() > most {
            break;
        }
    }
    Ok(body)
}

/// Why an endpoint gives no answer, from its status and what it says.
fn refused(response: &mut HttpResponse, settings: &Settings) -> Failure {
    let status = response.status();
    let (url, model) = (&settings.url, &settings.model);
    let body = whole(response, 64 << 10).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let error = json.get("error").unwrap_or(&json);
    let said = match error.is_null() {
        true => stream::short(&String::from_utf8_lossy(&body)),
        false => stream::words(error),
    };
    let used_up = error.get("code").and_then(serde_json::Value::as_str) == Some("insufficient_quota");
    match status {
        // What it says here may hold a part of the key.
        401 | 403 => Failure::permanent(format!(
            "{url} refuses the key ({status}): check `headers = {{ Authorization = \"Bearer ${{env:KEY}}\" }}` of the \
             plugin's `http` grant, and that the key may use `{model}`"
        )),
        404 => Failure::permanent(format!(
            "{url} answered 404: check the settings `url` and `model` (`{model}`); it says: {said}"
        )),
        429 if used_up => Failure::permanent(format!("the account at {url} has no credit left: {said}")),
        408 | 409 | 425 | 429 | 500.. => Failure::temporary(format!("{url} answered {status}: {said}")),
        300..=399 => {
            Failure::permanent(format!("{url} answered {status}: it has moved; correct the setting `url`"))
        }
        _ => Failure::permanent(format!("{url} answered {status}: {said}")),
    }
}

/// The answer as far as it is shown.
#[derive(Default)]
struct Shown {
    text: String,
    /// Begun with the first words, so that an endpoint that gives none leaves no empty card behind.
    card: Option<live::Card>,
    /// No card can be had: the text is the reply.
    without: bool,
}

impl Shown {
    fn append(&mut self, more: &str, settings: &Settings) {
        if more.is_empty() {
            return;
        }
        self.text.push_str(more);
        if self.card.is_none() && !self.without && !self.text.trim().is_empty() {
            match live::Card::create(&Target::Current, &settings.title) {
                Ok(card) => {
                    self.card = Some(card);
                    // White space that came before the first word, too.
                    self.show(&self.text);
                }
                Err(error) => {
                    log::warn!("no live card, the answer is sent whole: {}", error.reason());
                    self.without = true;
                }
            }
        } else {
            self.show(more);
        }
    }

    fn show(&self, more: &str) {
        if let Some(Err(error)) = self.card.as_ref().map(|card| card.append(more)) {
            log::warn!("the live card does not grow: {}", error.reason());
        }
    }

    fn finish(self, message: &Message, settings: &Settings) -> Outcome {
        let Some(card) = self.card else {
            return markdown(self.text).titled(&settings.title).into();
        };
        match card.finish() {
            Ok(()) => Outcome::silent(),
            Err(error) => {
                log::warn!("the live card could not be finished: {}", error.reason());
                // The call before may have finished it, then the reader has the answer.
                match message.attempt {
                    1 => markdown(self.text).titled(&settings.title).into(),
                    _ => Outcome::silent(),
                }
            }
        }
    }

    fn fail(self, settings: &Settings) -> Outcome {
        let reason = settings.words.broke_off;
        let whole = markdown(format!("{}\n\n{reason}", self.text)).titled(&settings.title);
        match self.card.map(|card| card.fail(reason)) {
            Some(Ok(())) => Outcome::silent(),
            Some(Err(error)) => {
                log::warn!("the live card could not be ended: {}", error.reason());
                Outcome::silent()
            }
            None => whole.into(),
        }
    }
}
