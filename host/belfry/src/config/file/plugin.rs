//! The tables of one plugin.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// One plugin. What is not granted here, it cannot do.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginTable {
    /// The component file, relative to this file. Default: `NAME.wasm` in the plugin folder.
    #[schemars(example = "plugins/todo.wasm")]
    pub path: Option<String>,
    /// The SHA-256 that the file must have, in hex. A file with another one is refused. Left out: any file is taken.
    #[schemars(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sha256: Option<String>,
    /// Where the file came from, as `belfry plugin add` wrote it. Nothing is fetched from there while the host runs.
    #[schemars(example = "oci://ghcr.io/example/todo:1.2.0")]
    pub source: Option<String>,
    /// One line that says what the plugin does; a help command shows it. Default: what the plugin says itself.
    #[schemars(example = "keeps a list of things to do")]
    pub description: Option<String>,
    /// Commands the plugin takes: a message whose first word is one of them goes to this plugin first. Default: those the
    /// plugin names itself.
    #[schemars(example = ["/todo"])]
    pub commands: Vec<String>,
    /// Plugins with a lower number are asked first. Default 0; equal numbers go by name.
    #[schemars(example = 10)]
    pub order: i32,
    /// Whether the plugin looks on: it is called after a message was handled, never takes one, and its replies are
    /// dropped. Default false.
    pub observe: bool,
    /// Which events the plugin gets: a pattern over the event, by EventBridge's grammar. A key of the pattern is a key of
    /// the event, its value a list, one entry of which must match. It narrows the messages too that the plugin is asked
    /// about. Left out: all messages, and no events but the ticks of `schedule`.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    #[schemars(example = serde_json::json!({ "type": ["dingtalk.chat_add_member"] }))]
    pub on: Option<toml::Table>,
    /// When the plugin is called by the clock.
    #[schemars(example = serde_json::json!([{ "name": "daily", "cron": "0 9 * * 1-5", "tz": "Asia/Shanghai" }]))]
    pub schedule: Vec<ScheduleTable>,
    /// Settings the plugin reads through `wasi:config`. Nothing is expanded here.
    pub config: BTreeMap<String, String>,
    /// Settings whose values are the content of files, relative to this file; read when Belfry starts, at most 1 MiB each.
    #[schemars(example = serde_json::json!({ "answers": "faq.md" }))]
    pub config_files: BTreeMap<String, String>,
    /// Where the plugin may send HTTP requests to: a base such as "https://api.example.com", or a table where more is to
    /// be said. Left out: nowhere. `${env:NAME}` and `${file:PATH}` are expanded in bases and in the values of headers.
    #[schemars(example = ["https://api.example.com"])]
    pub http: Vec<HttpEntry>,
    /// Whom the plugin may write to besides the conversation it answers in, and how its live cards look.
    pub chat: ChatTable,
    /// What the plugin may keep, keys and values of all its buckets together and 64 bytes for each key, at most
    /// 64MiB. Default 1MiB.
    #[schemars(example = "16MiB")]
    pub kv: Option<String>,
    /// "message" (default): a fresh instance for every call, in which nothing of others can be left. "resident": one
    /// instance for many calls, one after the other.
    pub per: PerInstance,
    /// A resident instance hands over to a fresh one after so many calls. Default 1000.
    #[schemars(example = 1000, range(min = 1, max = 1_000_000_000))]
    pub recycle_after: Option<u32>,
    /// What a person is told whose message this plugin failed at, in one line. Default: that of `[pipeline]`; "" tells
    /// nothing.
    #[schemars(example = "Sorry, the list of things to do is broken.")]
    pub failure_reply: Option<String>,
    /// What one call may use.
    pub limits: LimitsTable,
}

/// What one call of a plugin may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// Memory of one instance, at most 4GiB. Default 64MiB.
    #[schemars(example = "128MiB")]
    pub memory: Option<String>,
    /// CPU time of one call; waiting does not count. Default 1s.
    #[schemars(example = "2s")]
    pub cpu: Option<String>,
    /// Time from the start of a call to its answer, waiting included. Default 30s.
    #[schemars(example = "30s")]
    pub deadline: Option<String>,
    /// Bytes the plugin may hand over in one call of a host function, never less than `output` needs.
    /// Default 4MiB.
    #[schemars(example = "8MiB")]
    pub host_bytes: Option<String>,
    /// Bytes that one call may answer with. Default 1MiB.
    #[schemars(example = "1MiB")]
    pub output: Option<String>,
    /// Bytes that one call may log, standard output and standard error included; more is dropped. Default 64KiB.
    #[schemars(example = "64KiB")]
    pub log_bytes: Option<String>,
    /// Bytes of one HTTP response, one download or one upload. Default 8MiB.
    #[schemars(example = "32MiB")]
    pub transfer: Option<String>,
    /// HTTP requests, downloads, uploads and changes of cards of one call. Default 32.
    #[schemars(example = 32, range(min = 0, max = 100_000))]
    pub requests: Option<u32>,
    /// Messages and cards that one call may send before it returns. Default 32.
    #[schemars(example = 32, range(min = 0, max = 100_000))]
    pub sends: Option<u32>,
}

/// Where a plugin may send HTTP requests to.
// Which of the two it is was settled along the schema, with words of our own, before this is read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HttpEntry {
    /// Scheme, host, and port if it is not the scheme's own; `*.` in front of the host stands for one label.
    Base(String),
    /// The same by its parts, with what a base cannot say.
    Table(HttpTable),
}

/// A host that a plugin may send HTTP requests to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpTable {
    /// A host name, an IP address, or `*.` and a name: any one label before it.
    #[schemars(example = "api.example.com")]
    pub host: Option<String>,
    /// "https" (default) or "http".
    pub scheme: HttpScheme,
    /// Default: the scheme's own.
    #[schemars(example = 8443, range(min = 1, max = 65_535))]
    pub port: Option<u16>,
    /// Whether the host may be in a private network or on this machine. Default false.
    pub private: bool,
    /// Headers set on every request, whatever the plugin says; it never sees them. `${env:NAME}` and `${file:PATH}` are
    /// expanded.
    #[schemars(example = serde_json::json!({ "Authorization": "Bearer ${env:API_KEY}" }))]
    pub headers: BTreeMap<String, String>,
}

/// The scheme of a URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HttpScheme {
    /// Encrypted.
    #[default]
    Https,
    /// In the clear.
    Http,
}

/// Whom a plugin may write to besides the conversation it answers in, and how its live cards look.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChatTable {
    /// The app that sends where a call belongs to none, such as a tick of a schedule. Default: the app "default", or the
    /// only one.
    #[schemars(example = &"sales")]
    pub app: Option<String>,
    /// Staff ids; "*" is anybody. Left out: nobody.
    #[schemars(example = ["manager1234"])]
    pub users: Vec<String>,
    /// Conversation ids of groups; "*" is any. Left out: none.
    #[schemars(example = ["cidxxxxxxxx=="])]
    pub groups: Vec<String>,
    /// The template of live cards, from DingTalk's card builder. Left out: a live card is one markdown message, sent at
    /// its end.
    #[schemars(example = "00000000-0000-0000-0000-000000000000.schema")]
    pub card_template: Option<String>,
    /// The template's variable that takes the markdown. Default `content`.
    #[schemars(example = &"content")]
    pub card_key: Option<String>,
    /// The least time between two updates of a live card, from 100ms to 1m. Default 800ms.
    #[schemars(example = "800ms")]
    pub card_interval: Option<String>,
}

/// How long an instance of a plugin lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PerInstance {
    /// For one call.
    #[default]
    Message,
    /// For many calls, one after the other.
    Resident,
}

/// When a plugin is called by the clock.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleTable {
    /// Its name, the subject of the tick's event.
    #[schemars(example = &"daily")]
    pub name: Option<String>,
    /// When: minute, hour, day of the month, month, day of the week; the second in front if there are six.
    #[schemars(example = "0 9 * * 1-5")]
    pub cron: Option<String>,
    /// The time zone of `cron`, by its IANA name. Default Asia/Shanghai.
    #[schemars(example = "Asia/Shanghai")]
    pub tz: Option<String>,
    /// What becomes of ticks that fell into a time when no host ran: "skip" (default) or "once", one tick for all of them.
    pub missed: MissedTicks,
}

/// What becomes of ticks that fell into a time when no host ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissedTicks {
    /// Nothing.
    #[default]
    Skip,
    /// One tick for all of them.
    Once,
}
