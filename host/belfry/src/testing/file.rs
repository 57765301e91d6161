//! A test file: a conversation with what it stands on.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The largest test file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The clock of a test that sets none: 2026-01-01, 00:00 UTC.
const NEW_YEAR: i64 = 1_767_225_600_000;

/// One test file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Test {
    /// Its name in reports; the file's name if there is none.
    pub name: Option<String>,
    /// What the plugin's clock shows at first, RFC 3339.
    pub clock: Option<String>,
    /// The seed of the plugin's random numbers.
    pub seed: u64,
    /// What the plugin reads through `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// Key-values there are at first: `KEY` of the default bucket, or `BUCKET/KEY`.
    pub key_values: BTreeMap<String, String>,
    /// What downloads bring, by download code.
    pub downloads: BTreeMap<String, String>,
    /// Answers to HTTP requests. A request that none fits fails.
    pub http: Vec<Stub>,
    /// What is said and what should come of it, in order.
    pub turn: Vec<Turn>,
}

/// An answer to an HTTP request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stub {
    /// The method; none fits all.
    pub method: Option<String>,
    /// The whole URL.
    pub url: String,
    /// Text that the request's body must contain.
    #[serde(default)]
    pub sent: Option<String>,
    /// The status of the answer.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers of the answer.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body of the answer, as text.
    #[serde(default)]
    pub body: Option<String>,
    /// The body of the answer, as JSON.
    #[serde(default)]
    pub json: Option<toml::Value>,
    /// Fails in place of an answer, with this reason.
    #[serde(default)]
    pub error: Option<String>,
    /// How often it answers; none is any number of times.
    #[serde(default)]
    pub times: Option<u32>,
}

fn ok() -> u16 {
    200
}

/// Something that happens, and what should come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// What happens.
    pub given: Given,
    /// What should come of it; none leaves that to the snapshot.
    #[serde(default)]
    pub expect: Option<Expect>,
}

/// What happens: one of `message`, `content`, `event` and `action`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// A person says this text.
    pub message: Option<String>,
    /// A person sends something that is no plain text.
    pub content: Option<Content>,
    /// Who: a staff id, the nick too. Default `alex`.
    pub from: Option<String>,
    /// Whether that person is an administrator.
    pub admin: bool,
    /// In which group; none is a private chat.
    pub group: Option<String>,
    /// Which try this is.
    pub attempt: Option<u32>,
    /// An event arrives.
    pub event: Option<Event>,
    /// DingTalk asks for an answer.
    pub action: Option<Action>,
    /// How much later than the turn before: `"90s"`, `"1h"`.
    pub later: Option<String>,
}

/// Content that is no plain text.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Content {
    /// A picture, by its download code.
    Picture(String),
    /// A file, by its name; the download code is the same.
    File(String),
    /// A voice message, by what was heard; the download code is `audio`.
    Audio(String),
    /// Markdown.
    Markdown(String),
}

/// An event.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// `type`, such as `dingtalk.user_add_org` or `belfry.schedule.tick.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `id`; one of its own if there is none.
    #[serde(default)]
    pub id: Option<String>,
    /// `source`; `/test` if there is none.
    #[serde(default)]
    pub source: Option<String>,
    /// `subject`.
    #[serde(default)]
    pub subject: Option<String>,
    /// `data`, as JSON.
    #[serde(default)]
    pub data: Option<toml::Value>,
}

/// A request that DingTalk waits for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// `card` or `ai-plugin`; `card` if there is none.
    #[serde(default = "card")]
    pub kind: String,
    /// The card's id, or the path that is called. `$card` is the card sent last.
    #[serde(default)]
    pub subject: String,
    /// The ids of the actions.
    #[serde(default)]
    pub actions: Vec<String>,
    /// Parameters or body, as JSON.
    #[serde(default)]
    pub params: Option<toml::Value>,
}

fn card() -> String {
    "card".to_owned()
}

/// What should come of a turn. What is left out is not looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The replies, all of them in order: each a text, or a table with one of `text`, `markdown`, `contains`, `json`.
    pub replies: Option<Vec<toml::Value>>,
    /// Whether the handler passes.
    pub pass: Option<bool>,
    /// Text within the reason of the failure; without it a failure fails the test.
    pub failure: Option<String>,
    /// What was sent otherwise (`chat`, effects, live cards), all of it in order: `TO: TEXT`, where `TO` is `current`,
    /// `user ID` or `group ID`.
    pub sent: Option<Vec<String>>,
    /// The types of emitted events, in order.
    pub emitted: Option<Vec<String>>,
    /// Variables of the card, as the answer to an action sets them.
    pub card: Option<BTreeMap<String, String>>,
    /// The JSON that answers an action.
    pub json: Option<toml::Value>,
    /// Key-values afterwards: a text, or false for none.
    pub key_values: Option<BTreeMap<String, toml::Value>>,
}

/// Reads a test file.
///
/// # Errors
/// In words that name the line, for anything that is wrong with it.
pub fn read(path: &Path) -> anyhow::Result<Test> {
    let size = std::fs::metadata(path).with_context(|| format!("read {}", path.display()))?.len();
    if size > LARGEST {
        bail!("read {}: a test file has at most {LARGEST} bytes", path.display());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let test = parse(&text).with_context(|| format!("read {}", path.display()))?;
    Ok(test)
}

/// Reads the text of a test file.
pub(crate) fn parse(text: &str) -> anyhow::Result<Test> {
    let test: Test = toml::from_str(text)?;
    test.start_ms()?;
    if test.turn.is_empty() {
        bail!("it has no turn; add one:\n[[turn]]\ngiven.message = \"hello\"\nexpect.replies = [\"hello\"]");
    }
    for (number, turn) in (1..).zip(&test.turn) {
        turn.given.check().with_context(|| format!("turn {number}"))?;
        if let Some(expect) = &turn.expect {
            super::expect::check(expect).with_context(|| format!("turn {number}"))?;
        }
    }
    for (number, stub) in (1..).zip(&test.http) {
        let at = || format!("http answer {number}");
        url::Url::parse(&stub.url).with_context(|| format!("`{}` is no URL", stub.url)).with_context(at)?;
        if !(100..600).contains(&stub.status) {
            bail!("{}: {} is no HTTP status", at(), stub.status);
        }
        if [stub.body.is_some(), stub.json.is_some(), stub.error.is_some()].iter().filter(|is| **is).count()
            > 1
        {
            bail!("{}: give one of `body`, `json` and `error`", at());
        }
    }
    Ok(test)
}

impl Test {
    /// What the clock shows at first, in milliseconds since 1970.
    pub(crate) fn start_ms(&self) -> anyhow::Result<u64> {
        let ms = match &self.clock {
            None => NEW_YEAR,
            Some(clock) => {
                let time = OffsetDateTime::parse(clock, &Rfc3339).with_context(|| {
                    format!("`clock = {clock:?}` is no time; write one such as \"2026-11-20T09:00:00+08:00\"")
                })?;
                i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
            }
        };
        u64::try_from(ms).context("`clock` must not be before 1970")
    }
}

impl Given {
    fn check(&self) -> anyhow::Result<()> {
        let kinds =
            [self.message.is_some(), self.content.is_some(), self.event.is_some(), self.action.is_some()];
        if kinds.iter().filter(|given| **given).count() != 1 {
            bail!("`given` needs exactly one of `message`, `content`, `event` and `action`");
        }
        self.later_ms().map(drop)
    }

    /// How much later than the turn before, in milliseconds.
    pub(crate) fn later_ms(&self) -> anyhow::Result<u64> {
        let Some(later) = &self.later else { return Ok(0) };
        let time = crate::config::units::time(later)
            .map_err(|expected| anyhow::anyhow!("`later = {later:?}`: expected {expected}"))?;
        Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

/// TOML as JSON. Dates become text.
pub(crate) fn to_json(value: &toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.iter().map(to_json).collect(),
        toml::Value::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), to_json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
