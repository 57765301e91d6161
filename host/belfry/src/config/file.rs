//! The tables of `belfry.toml` as they are written.
//!
//! These types are the one place where keys are named and described: the JSON Schema, the search for unknown
//! keys and the reader all come from them. Values with a notation of their own (secrets, units, URLs) are text
//! here; `resolve` reads them.

mod plugin;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use plugin::{
    ChatTable, HttpEntry, HttpScheme, HttpTable, LimitsTable, MissedTicks, PerInstance, PluginTable,
    ScheduleTable,
};

/// The configuration of Belfry, a bot host for DingTalk.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "belfry.toml")]
pub struct ConfigFile {
    /// The channels that messages come from.
    pub channels_config: Channels,
    /// Plugins by name. A `.wasm` file in the plugin folder needs no table: it is loaded without commands and
    /// sees every message that no other plugin took.
    pub plugins: BTreeMap<String, PluginTable>,
    /// Where Belfry keeps its files.
    pub host: HostTable,
    /// Where messages are kept between receiving and answering.
    pub journal: JournalTable,
    /// Bounds of the path from a message to its answer.
    pub pipeline: PipelineTable,
    /// What the organisation may use of DingTalk in a month, with all its apps. Nothing is refused beyond it: `belfry
    /// status` shows what was used, and the log warns at 80 %.
    pub quota: QuotaTable,
    /// What is logged and how.
    pub log: LogTable,
}

/// The channels that messages come from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Channels {
    /// DingTalk in Stream Mode. The keys `client_id`, `client_secret`, `allowed_users`, `plugins` and
    /// `denied_reply` here are the app named "default"; they may be left out when `apps` has one.
    pub dingtalk: Option<DingTalkTable>,
}

/// The DingTalk channel.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DingTalkTable {
    /// The app's ClientID (formerly AppKey), from the app's page on open.dingtalk.com. `${env:NAME}` and
    /// `${file:PATH}` are expanded.
    #[schemars(example = &"dingxxxxxxxx")]
    pub client_id: Option<String>,
    /// The app's ClientSecret (formerly AppSecret). `${env:NAME}` and `${file:PATH}` are expanded.
    #[schemars(example = "${env:DINGTALK_CLIENT_SECRET}")]
    pub client_secret: Option<String>,
    /// Staff ids (`senderStaffId`) that may talk to the bot. Empty denies all; "*" allows all, people outside
    /// the organisation too.
    #[schemars(example = ["manager1234"])]
    pub allowed_users: Option<Vec<String>>,
    /// Base of DingTalk's new API, for all apps that set none of their own. Default
    /// `https://api.dingtalk.com`; `https://api.dingtalk.io` outside China, `http://127.0.0.1:PORT` for a
    /// simulator. `${env:NAME}` and `${file:PATH}` are expanded.
    #[schemars(example = "https://api.dingtalk.io")]
    pub api_base: Option<String>,
    /// Base of DingTalk's old API, for all apps that set none of their own. Default
    /// `https://oapi.dingtalk.com`. `${env:NAME}` and `${file:PATH}` are expanded.
    #[schemars(example = "https://oapi.dingtalk.io")]
    pub oapi_base: Option<String>,
    /// Names of the plugins that see this app's messages. Left out: all of them.
    #[schemars(example = ["todo", "help"])]
    pub plugins: Option<Vec<String>>,
    /// Told once to a private sender who is not in `allowed_users`. Left out: such a sender gets no answer.
    #[schemars(example = "Sorry, this bot is for the finance team.")]
    pub denied_reply: Option<String>,
    /// A PEM file with certificates to trust beside the system's, relative to this file.
    #[schemars(example = "company-ca.pem")]
    pub ca_file: Option<String>,
    /// The proxy for HTTP and WebSocket: "env" (default; `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), "none", or
    /// its URL, with credentials if it wants them. `${env:NAME}` and `${file:PATH}` are expanded.
    #[schemars(example = "http://proxy.example.com:8080")]
    pub proxy: Option<String>,
    /// Hosts reached without the `proxy` given as a URL, in the notation of `NO_PROXY`.
    #[schemars(example = ["oapi.dingtalk.com", ".internal"])]
    pub no_proxy: Option<Vec<String>>,
    /// Further apps by name. Each has its own connection, credentials, allow-list and choice of plugins.
    pub apps: BTreeMap<String, AppTable>,
}

/// A further DingTalk app.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AppTable {
    /// The app's ClientID (formerly AppKey), from the app's page on open.dingtalk.com. `${env:NAME}` and
    /// `${file:PATH}` are expanded.
    #[schemars(example = &"dingxxxxxxxx")]
    pub client_id: Option<String>,
    /// The app's ClientSecret (formerly AppSecret). `${env:NAME}` and `${file:PATH}` are expanded.
    #[schemars(example = "${file:secrets/sales}")]
    pub client_secret: Option<String>,
    /// Staff ids (`senderStaffId`) that may talk to the bot. Empty denies all; "*" allows all, people outside
    /// the organisation too. Not taken over from the channel's table.
    #[schemars(example = ["manager1234"])]
    pub allowed_users: Option<Vec<String>>,
    /// Base of DingTalk's new API. Default: that of the channel's table. `${env:NAME}` and `${file:PATH}` are
    /// expanded.
    #[schemars(example = "https://api.dingtalk.io")]
    pub api_base: Option<String>,
    /// Base of DingTalk's old API. Default: that of the channel's table. `${env:NAME}` and `${file:PATH}` are
    /// expanded.
    #[schemars(example = "https://oapi.dingtalk.io")]
    pub oapi_base: Option<String>,
    /// Names of the plugins that see this app's messages. Left out: all of them.
    #[schemars(example = ["todo", "help"])]
    pub plugins: Option<Vec<String>>,
    /// Told once to a private sender who is not in `allowed_users`. Left out: such a sender gets no answer.
    #[schemars(example = "Sorry, this bot is for the sales team.")]
    pub denied_reply: Option<String>,
}

/// Where Belfry keeps its files.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostTable {
    /// The folder whose `.wasm` files are loaded, relative to this file. Default `plugins`.
    #[schemars(example = &"plugins")]
    pub plugins_dir: Option<String>,
    /// The folder for compiled plugins, relative to this file. Default: `belfry` in the user's cache folder.
    #[schemars(example = "/var/cache/belfry")]
    pub cache_dir: Option<String>,
    /// The socket on which a running host takes commands such as `belfry status`, relative to this file; at most about
    /// 100 bytes with its folder. Default: `control.sock` in the journal's folder, or none if that is in memory.
    #[schemars(example = "/run/belfry/control.sock")]
    pub control_socket: Option<String>,
}

/// Where messages are kept between receiving and answering.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JournalTable {
    /// "disk" (default): a message is acknowledged when it is on the disk, and what was not answered yet is taken up at
    /// the next start. "memory": a process that is killed loses what it had not answered.
    pub engine: JournalEngine,
    /// The journal's folder, relative to this file. One running host has it to itself. Default `belfry.journal`.
    #[schemars(example = &"belfry.journal")]
    pub path: Option<String>,
    /// How long a message waits for others to share its write to the disk, from "0ms" to "1s": longer takes less CPU and
    /// acknowledges and answers later. After a quiet time a message waits for nobody. Default 20ms.
    #[schemars(example = "20ms")]
    pub commit_window: Option<String>,
    /// How long messages that are over are kept for `belfry event`. Default 7d.
    #[schemars(example = "30d")]
    pub keep_for: Option<String>,
    /// What the journal may hold on the disk before the oldest of those go earlier. Default 256MiB.
    #[schemars(example = "1GiB")]
    pub keep_size: Option<String>,
}

/// Where messages are kept between receiving and answering.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JournalEngine {
    /// On the disk.
    #[default]
    Disk,
    /// In memory.
    Memory,
}

/// Bounds of the path from a message to its answer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineTable {
    /// Messages not yet handled plus replies not yet delivered, over all conversations. At the bound Belfry stops
    /// acknowledging, so DingTalk keeps what comes and sends it again. Default 100000 on the
    /// disk, 10000 in memory.
    #[schemars(example = 10_000, range(min = 1, max = 10_000_000))]
    pub pending: Option<u32>,
    /// The bytes of them, with the same effect. Default 512 MiB on the disk, 32 MiB in memory.
    #[schemars(example = "32MiB")]
    pub pending_bytes: Option<String>,
    /// How long a handler that fails temporarily may hold its conversation back before the message is given up.
    /// Default 30 s.
    #[schemars(example = "30s")]
    pub handle_within: Option<String>,
    /// How long a reply may take to arrive, waits for DingTalk's limits included, before it is given up. Default
    /// 30 min.
    #[schemars(example = "30m")]
    pub deliver_within: Option<String>,
    /// How long running handlers may go on after Ctrl-C or SIGTERM. Default 15 s.
    #[schemars(example = "15s")]
    pub shutdown_grace: Option<String>,
    /// What a person is told whose message was given up, in one line. Default: one in Chinese and English; "" tells
    /// nothing.
    #[schemars(example = "Sorry, that did not work.")]
    pub failure_reply: Option<String>,
    /// Replies sent to one conversation within a minute; more wait for their turn. DingTalk takes 20 and refuses the
    /// conversation for a while beyond it. 0 is any number. Default 20.
    #[schemars(example = 20, range(min = 0, max = 1_000_000))]
    pub replies_per_minute: Option<u32>,
}

/// What the organisation may use of DingTalk in a month, with all its apps.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaTable {
    /// Calls of the OpenAPI; 0 if it is not known. Default 5000, what a standard organisation has.
    #[schemars(example = 10_000, range(min = 0, max = 1_000_000_000))]
    pub api_calls: Option<u32>,
    /// Messages and events pushed over the Stream connection; 0 if it is not known. Default 3000, what a standard
    /// organisation has.
    #[schemars(example = 10_000, range(min = 0, max = 1_000_000_000))]
    pub stream_pushes: Option<u32>,
}

/// What is logged and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogTable {
    /// "human" (default) for people, "json" for machines: one object a line.
    pub format: LogFormat,
    /// The least important line that is written. Default "info". `RUST_LOG` overrides it.
    pub level: LogLevel,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// For machines: one JSON object a line.
    Json,
}

/// How important a line must be to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something failed and somebody must act.
    Error,
    /// Something is wrong, Belfry goes on.
    Warn,
    /// What Belfry does.
    #[default]
    Info,
    /// Each message's way.
    Debug,
    /// Each frame.
    Trace,
}
