//! The settings, checked.

use std::ops::RangeInclusive;

use belfry_plugin::prelude::*;

use crate::http;
use crate::words::Words;

/// The settings of the plugin's `config`.
pub(crate) struct Settings {
    /// Where answers are asked for, `…/chat/completions`.
    pub(crate) url: String,
    pub(crate) model: String,
    /// The system prompt; empty sends none.
    pub(crate) system: String,
    pub(crate) temperature: Option<f64>,
    /// The most tokens of an answer, under the name the model knows it by.
    pub(crate) max_tokens: Option<(&'static str, u32)>,
    /// How many turns are remembered.
    pub(crate) history: usize,
    /// How many characters all of them may have.
    pub(crate) history_chars: usize,
    /// After how many milliseconds of silence a conversation begins anew; 0 is never.
    pub(crate) forget_after: u64,
    /// Whether everybody in a group has a conversation of their own.
    pub(crate) per_person: bool,
    /// The command before questions, if one routes to the plugin.
    pub(crate) command: Option<String>,
    /// Whether the endpoint is asked what an answer cost.
    pub(crate) usage: bool,
    /// How long to wait for the endpoint, at first and between two pieces, in milliseconds.
    pub(crate) timeout: u32,
    pub(crate) title: String,
    pub(crate) words: &'static Words,
}

impl Settings {
    /// Reads them.
    pub(crate) fn read() -> Result<Self, Failure> {
        let tokens = number("max_tokens", 1..=1_000_000)?.map(|most| ("max_tokens", most));
        let completion = number("max_completion_tokens", 1..=1_000_000)?;
        let completion = completion.map(|most| ("max_completion_tokens", most));
        if tokens.is_some() && completion.is_some() {
            return Err(Failure::permanent("set one of `max_tokens` and `max_completion_tokens`, not both"));
        }
        let words = Words::of(&config::get_or("language", "en"));
        Ok(Settings {
            url: endpoint(&config::require("url")?)?,
            model: config::require("model")?.trim().to_owned(),
            system: config::get_or("system", "").trim().to_owned(),
            temperature: temperature()?,
            max_tokens: tokens.or(completion),
            history: number("history", 0..=100)?.unwrap_or(10) as usize,
            history_chars: number("history_chars", 100..=200_000)?.unwrap_or(8_000) as usize,
            forget_after: u64::from(number("forget_after_hours", 0..=8_760)?.unwrap_or(24)) * 3_600_000,
            per_person: per_person()?,
            command: config::get("command")
                .map(|word| word.trim().to_owned())
                .filter(|word| !word.is_empty()),
            usage: config::parse::<bool>("usage")?.unwrap_or(true),
            timeout: number("timeout_ms", 100..=600_000)?.unwrap_or(60_000),
            title: config::get_or("title", words.title),
            words,
        })
    }
}

fn endpoint(url: &str) -> Result<String, Failure> {
    let url = url.trim().trim_end_matches('/');
    if http::parts(url).is_none() || url.contains(char::is_whitespace) {
        return Err(Failure::Permanent(format!(
            "the setting `url` is `{url}`, which is not right: it is what comes before `/chat/completions`, such as \
             `https://api.openai.com/v1`"
        )));
    }
    let ends = url.split(['?', '#']).next().is_some_and(|path| path.ends_with("/chat/completions"));
    Ok(if ends { url.to_owned() } else { format!("{url}/chat/completions") })
}

fn temperature() -> Result<Option<f64>, Failure> {
    let Some(temperature) = config::parse::<f64>("temperature")? else { return Ok(None) };
    match (0.0..=2.0).contains(&temperature) {
        true => Ok(Some(temperature)),
        false => Err(wrong("temperature", temperature, "it goes from 0 to 2")),
    }
}

fn per_person() -> Result<bool, Failure> {
    match config::get_or("groups", "shared").trim() {
        "shared" => Ok(false),
        "person" => Ok(true),
        other => Err(wrong("groups", other, "it is `shared` or `person`")),
    }
}

fn number(key: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, Failure> {
    let Some(number) = config::parse::<u32>(key)? else { return Ok(None) };
    match range.contains(&number) {
        true => Ok(Some(number)),
        false => Err(wrong(key, number, &format!("it goes from {} to {}", range.start(), range.end()))),
    }
}

fn wrong(key: &str, value: impl std::fmt::Display, why: &str) -> Failure {
    Failure::Permanent(format!("the setting `{key}` is `{value}`, which is not right: {why}"))
}

#[cfg(test)]
mod tests {
    use belfry_plugin::testing::set_config;

    use super::*;

    fn failure() -> String {
        Settings::read().err().unwrap().reason().to_owned()
    }

    #[test]
    fn url_and_model_are_needed() {
        assert!(failure().contains("`url` is missing"), "{}", failure());
        set_config("url", "api.openai.com/v1");
        assert!(failure().contains("such as `https://api.openai.com/v1`"), "{}", failure());
        set_config("url", "https://api.openai.com/v1/");
        assert!(failure().contains("`model` is missing"), "{}", failure());
        set_config("model", "gpt");
        assert_eq!(Settings::read().unwrap().url, "https://api.openai.com/v1/chat/completions");
        set_config("url", "https://x.example/deploy/chat/completions?api-version=1");
        let url = Settings::read().unwrap().url;
        assert_eq!(url, "https://x.example/deploy/chat/completions?api-version=1");
    }

    #[test]
    fn what_is_out_of_range_is_told_with_the_range() {
        set_config("url", "https://a.example/v1");
        set_config("model", "m");
        let cases = [
            ("temperature", "3", "from 0 to 2"),
            ("temperature", "NaN", "from 0 to 2"),
            ("history", "101", "from 0 to 100"),
            ("history_chars", "1", "from 100 to 200000"),
            ("max_tokens", "many", "`max_tokens` is `many`"),
            ("groups", "all", "`shared` or `person`"),
            ("usage", "yes", "`usage` is `yes`"),
            ("timeout_ms", "0", "from 100 to 600000"),
        ];
        for (key, value, part) in cases {
            let before = config::get(key);
            set_config(key, value);
            assert!(failure().contains(part), "{key}: {}", failure());
            let right = match key {
                "groups" => "person",
                "usage" => "false",
                _ => "1000",
            };
            let right = if key.starts_with("temp") { "0.5" } else { right };
            let right = if key == "history" { "5" } else { right };
            set_config(key, before.as_deref().unwrap_or(right));
        }
        set_config("max_completion_tokens", "5");
        assert!(failure().contains("not both"), "{}", failure());
    }
}
