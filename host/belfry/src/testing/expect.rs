//! What a turn should have brought about.

use anyhow::{Context as _, bail};
use belfry_plugin_host::types::{Reply, Response};

use super::doubles::MemoryKeyValue;
use super::file::{Expect, to_json};
use super::transcript::{Happened, body, plain};

/// Whether expectations can be understood.
pub(super) fn check(expect: &Expect) -> anyhow::Result<()> {
    for reply in expect.replies.iter().flatten() {
        wanted(reply)?;
    }
    for (name, value) in expect.key_values.iter().flatten() {
        match value {
            toml::Value::String(_) | toml::Value::Boolean(false) => {}
            _ => bail!("`key_values.{name}` must be a text, or false for none"),
        }
    }
    Ok(())
}

/// A reply that is wanted.
enum Wanted<'a> {
    /// The plain text, exactly.
    Plain(&'a str),
    /// A text message with this text.
    Text(&'a str),
    /// A markdown message with this text.
    Markdown(&'a str),
    /// The plain text contains this.
    Contains(&'a str),
    /// The body for the session webhook has at least these members.
    Json(&'a toml::Value),
}

fn wanted(value: &toml::Value) -> anyhow::Result<Wanted<'_>> {
    const FORMS: &str = "a text, or a table with one of `text`, `markdown`, `contains` and `json`";
    let table = match value {
        toml::Value::String(text) => return Ok(Wanted::Plain(text)),
        toml::Value::Table(table) => table,
        _ => bail!("each of `expect.replies` must be {FORMS}"),
    };
    let mut members = table.iter();
    let (Some((key, value)), None) = (members.next(), members.next()) else {
        bail!("each of `expect.replies` must be {FORMS}");
    };
    let text = || value.as_str().with_context(|| format!("`{key}` must be a text"));
    Ok(match key.as_str() {
        "text" => Wanted::Text(text()?),
        "markdown" => Wanted::Markdown(text()?),
        "contains" => Wanted::Contains(text()?),
        "json" => Wanted::Json(value),
        _ => bail!("`{key}` is no way to expect a reply; write {FORMS}"),
    })
}

impl Wanted<'_> {
    fn fits(&self, reply: &Reply) -> bool {
        match self {
            Self::Plain(text) => plain(reply) == *text,
            Self::Text(text) => matches!(reply, Reply::Text(reply) if reply.text == *text),
            Self::Markdown(text) => matches!(reply, Reply::Markdown(reply) if reply.text == *text),
            Self::Contains(text) => plain(reply).contains(text),
            Self::Json(value) => {
                let found = serde_json::from_str(&body(reply)).unwrap_or_default();
                contains(&found, &to_json(value))
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Plain(text) => (*text).to_owned(),
            Self::Text(text) => format!("(text) {text}"),
            Self::Markdown(text) => format!("(markdown) {text}"),
            Self::Contains(text) => format!("(contains) {text}"),
            Self::Json(value) => to_json(value).to_string(),
        }
    }
}

/// Whether `found` has all members of `wanted`, to any depth.
fn contains(found: &serde_json::Value, wanted: &serde_json::Value) -> bool {
    match (found, wanted) {
        (serde_json::Value::Object(found), serde_json::Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| contains(found, wanted)))
        }
        _ => found == wanted,
    }
}

/// Everything in which a turn differs from what was expected.
pub(super) fn compare(expect: &Expect, happened: &Happened, values: &MemoryKeyValue) -> Vec<String> {
    let mut problems = Vec::new();
    match (&expect.failure, &happened.failure) {
        (None, Some(failure)) => problems.push(format!("it failed: {failure}")),
        (Some(wanted), None) => problems.push(format!("it should have failed with: {wanted}")),
        (Some(wanted), Some(failure)) if !failure.contains(wanted) => {
            problems.push(difference("the reason of the failure", wanted, failure));
        }
        _ => {}
    }
    if let Some(pass) = expect.pass
        && pass != happened.pass
    {
        problems.push(if pass { "it should have passed".into() } else { "it should not have passed".into() });
    }
    if let Some(replies) = &expect.replies {
        let wanted: Vec<Wanted<'_>> = replies.iter().filter_map(|reply| wanted(reply).ok()).collect();
        let fits = wanted.len() == happened.replies.len()
            && wanted.iter().zip(&happened.replies).all(|(wanted, reply)| wanted.fits(reply));
        if !fits {
            let wanted: Vec<String> = wanted.iter().map(Wanted::words).collect();
            let found: Vec<String> = happened.replies.iter().map(plain).collect();
            problems.push(difference("replies", &wanted.join("\n"), &found.join("\n")));
        }
    }
    if let Some(wanted) = &expect.sent {
        let found: Vec<String> = happened.sent.iter().map(|(to, what)| format!("{to}: {what}")).collect();
        if *wanted != found {
            problems.push(difference("what was sent", &wanted.join("\n"), &found.join("\n")));
        }
    }
    if let Some(wanted) = &expect.emitted {
        let found: Vec<String> = happened.emitted.iter().map(|event| event.type_.clone()).collect();
        if *wanted != found {
            problems.push(difference("emitted events", &wanted.join("\n"), &found.join("\n")));
        }
    }
    problems.extend(answer(expect, happened));
    for (name, wanted) in expect.key_values.iter().flatten() {
        match (wanted.as_str(), values.value(name)) {
            (Some(wanted), Some(found)) if wanted == found => {}
            (None, None) => {}
            (wanted, found) => problems.push(difference(
                &format!("key-value `{name}`"),
                wanted.unwrap_or("(none)"),
                found.as_deref().unwrap_or("(none)"),
            )),
        }
    }
    problems
}

fn answer(expect: &Expect, happened: &Happened) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(wanted) = &expect.card {
        let found = match &happened.response {
            Some(Response::Card(update)) => update.data.clone(),
            _ => Vec::new(),
        };
        for (name, wanted) in wanted {
            let found = found.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
            if found != Some(wanted.as_str()) {
                let what = format!("the card's `{name}`");
                problems.push(difference(&what, wanted, found.unwrap_or("(not set)")));
            }
        }
    }
    if let Some(wanted) = &expect.json {
        let wanted = to_json(wanted);
        let found: serde_json::Value = match &happened.response {
            Some(Response::Json(json)) => serde_json::from_str(json).unwrap_or_else(|_| json.as_str().into()),
            _ => serde_json::Value::Null,
        };
        if !contains(&found, &wanted) {
            problems.push(difference("the answer", &format!("{wanted:#}"), &format!("{found:#}")));
        }
    }
    problems
}

/// Two texts, line by line.
pub(super) fn difference(what: &str, wanted: &str, found: &str) -> String {
    let mut text = format!("{what} (- expected, + found):");
    let (wanted, found) = (format!("{wanted}\n"), format!("{found}\n"));
    for change in similar::TextDiff::from_lines(&wanted, &found).iter_all_changes() {
        text.push_str(&format!("\n  {}{}", change.tag(), change.value().trim_end_matches('\n')));
    }
    text
}
