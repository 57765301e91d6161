//! `belfry.toml`: what it may hold, how it is read, and what is said when it is wrong.
//!
//! - [`file`]: the tables as an operator writes them; the JSON Schema is generated from these types.
//! - `document`: the parsed TOML with positions, so that every problem names its line and column.
//! - `check`: unknown keys and wrong types, found by walking the document along the schema, all at once.
//! - `edit`: changes of the file by commands.
//! - `expand`: `${env:NAME}` and `${file:PATH}`.
//! - `units`: `"64MiB"` and `"500ms"`.
//! - `resolve`: from the tables to [`Config`], with every rule that a type cannot state.

mod check;
mod document;
pub(crate) mod edit;
mod error;
mod expand;
pub mod file;
mod resolve;
mod schema;
pub(crate) mod units;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub use belfry_event::Pattern;
pub use belfry_pipeline::{Quota, Schedule};
pub use belfry_plugin_host::{ChatGrant, Grants, HttpGrant, Lifetime};
pub(crate) use check::nearest;
pub use error::{ConfigError, Position, Problem};
pub use file::{JournalEngine, LogFormat, LogLevel};
use resolve::Secrets;
pub use schema::schema;

/// The name of the app in the plain `[channels_config.dingtalk]` table.
pub const DEFAULT_APP: &str = "default";

/// What a person is told whose message was given up, unless the config says otherwise.
pub const FAILURE_REPLY: &str = "抱歉，这条消息处理失败了。 Sorry, this message could not be handled.";

/// The largest config that is read, in bytes: a thousand plugins fit in a tenth of it.
const LARGEST: u64 = 1 << 20;

/// The smallest file that runs, shown when there is no file or no app in it.
pub const MINIMAL: &str = r#"[channels_config.dingtalk]
client_id = "dingxxxxxxxx"                         # the app's page on open.dingtalk.com: Credentials
client_secret = "${env:DINGTALK_CLIENT_SECRET}"    # taken from the environment
allowed_users = ["*"]                              # staff ids; "*" lets everybody in, empty nobody
"#;

/// Everything Belfry takes from its file, checked: secrets expanded, units converted, paths resolved against
/// the folder of the file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The `[channels_config.dingtalk]` table: at least one app.
    pub dingtalk: DingTalk,
    /// The `[plugins.NAME]` tables, by name. Files in [`Config::plugins_dir`] without a table come on top.
    pub plugins: Vec<Plugin>,
    /// The drop-in folder. It need not exist.
    pub plugins_dir: PathBuf,
    /// Where compiled plugins are kept, or `None` where the system names no folder for caches.
    pub cache_dir: Option<PathBuf>,
    /// Where a running host takes commands, or `None` for nowhere.
    pub control_socket: Option<PathBuf>,
    /// Where messages are kept between receiving and answering.
    pub journal: Journal,
    /// Bounds of the path from a message to its answer.
    pub pipeline: Pipeline,
    /// What the organisation may use of DingTalk in a month.
    pub quota: Quota,
    /// What is logged and how.
    pub log: Log,
}

/// The DingTalk channel: its apps and how they reach DingTalk.
#[derive(Debug, Clone)]
pub struct DingTalk {
    /// By name; the app of the plain table is [`DEFAULT_APP`]. Never empty.
    pub apps: BTreeMap<String, App>,
    /// Shared by all apps.
    pub transport: Transport,
}

/// One DingTalk app.
#[derive(Debug, Clone)]
pub struct App {
    /// The app's ClientID.
    pub client_id: String,
    /// The app's ClientSecret.
    pub client_secret: SecretString,
    /// Staff ids that may talk to the bot. Empty denies all, `"*"` allows all.
    pub allowed_users: Vec<String>,
    /// Base of the new API (registration), without a trailing slash in its path.
    pub api_base: Url,
    /// Base of the old API.
    pub oapi_base: Url,
    /// The plugins that see this app's messages, or `None` for all.
    pub plugins: Option<Vec<String>>,
    /// What a denied private sender is told, once; `None` for nothing.
    pub denied_reply: Option<String>,
}

/// How DingTalk is reached.
#[derive(Debug, Clone, Default)]
pub struct Transport {
    /// A PEM file with certificates trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy for HTTP and WebSocket alike.
    pub proxy: Proxy,
    /// Hosts reached without the proxy of [`Proxy::Url`], in the notation of `NO_PROXY`.
    pub no_proxy: Vec<String>,
}

/// Which proxy is used.
#[derive(Debug, Clone, Default)]
pub enum Proxy {
    /// `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment.
    #[default]
    Environment,
    /// None, whatever the environment says.
    None,
    /// This one.
    Url(ProxyUrl),
}

/// The address of a proxy. It may hold a password, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// The address, password included.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (host, port) =
            (self.0.host_str().unwrap_or_default(), self.0.port_or_known_default().unwrap_or(80));
        write!(f, "ProxyUrl({host}:{port})")
    }
}

/// One `[plugins.NAME]` table.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// The table's name.
    pub name: String,
    /// The component file.
    pub path: PathBuf,
    /// The SHA-256 the file must have, in lower-case hex.
    pub sha256: Option<String>,
    /// Where the file came from, if `belfry plugin add` fetched it.
    pub source: Option<String>,
    /// One line for the help command.
    pub description: String,
    /// Commands this plugin takes, each with its slash. Empty: those it names itself.
    pub commands: Vec<String>,
    /// Plugins with a lower number are asked first.
    pub order: i32,
    /// What the plugin reads through `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// What the plugin may reach.
    pub grants: Grants,
    /// How long an instance lives.
    pub lifetime: Lifetime,
    /// Limits that differ from the plugin host's defaults.
    pub limits: Limits,
    /// Whether it looks on only.
    pub observe: bool,
    /// The events it takes besides its own schedules.
    pub on: Option<Pattern>,
    /// When it is called by the clock.
    pub schedules: Vec<Schedule>,
    /// What a person is told whose message it failed at; "" is nothing, `None` what [`Pipeline`] says.
    pub failure_reply: Option<String>,
}

impl Plugin {
    /// A plugin as a file without a table is one: no commands, no grants, default limits.
    #[must_use]
    pub fn new(name: impl Into<String>, path: PathBuf) -> Self {
        Self {
            name: name.into(),
            path,
            sha256: None,
            source: None,
            description: String::new(),
            commands: Vec::new(),
            order: 0,
            config: BTreeMap::new(),
            grants: Grants::default(),
            lifetime: Lifetime::default(),
            limits: Limits::default(),
            observe: false,
            on: None,
            schedules: Vec::new(),
            failure_reply: None,
        }
    }
}

/// Limits of one plugin; `None` leaves the plugin host's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, in bytes.
    pub memory: Option<u64>,
    /// CPU time of one call.
    pub cpu: Option<Duration>,
    /// Wall-clock time of one call.
    pub deadline: Option<Duration>,
    /// Bytes handed over in one call of a host function.
    pub host_bytes: Option<u64>,
    /// Bytes returned by one call.
    pub output: Option<u64>,
    /// Bytes logged by one call.
    pub log_bytes: Option<u64>,
    /// Bytes of one HTTP response, download or upload.
    pub transfer: Option<u64>,
    /// HTTP requests, downloads and uploads of one call.
    pub requests: Option<u32>,
    /// Messages and cards sent by one call before it returns.
    pub sends: Option<u32>,
}

/// Where messages are kept between receiving and answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// On the disk or in memory.
    pub engine: JournalEngine,
    /// The journal's folder. Without meaning for [`JournalEngine::Memory`].
    pub path: PathBuf,
    /// How long a message waits for others to share its write to the disk; may be zero.
    pub commit_window: Duration,
    /// How long messages that are over are kept for `belfry event`.
    pub keep_for: Duration,
    /// What the journal may hold on the disk, in bytes, before the oldest of those go earlier.
    pub keep_size: u64,
}

impl Journal {
    /// On the disk, in this folder, with the defaults of everything else.
    #[must_use]
    pub fn on_disk(path: PathBuf) -> Self {
        Self {
            engine: JournalEngine::Disk,
            path,
            commit_window: Duration::from_millis(20),
            keep_for: Duration::from_secs(7 * 24 * 60 * 60),
            keep_size: 256 << 20,
        }
    }

    /// In memory: what is pending ends with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { engine: JournalEngine::Memory, ..Self::on_disk(PathBuf::new()) }
    }
}

/// Bounds of the path from a message to its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// Messages not yet handled plus replies not yet delivered; at the bound acks are withheld. `None`: the engine's bound.
    pub pending: Option<usize>,
    /// The bytes of them; at the bound acks are withheld. `None`: the engine's bound.
    pub pending_bytes: Option<usize>,
    /// How long a handler that fails temporarily may hold its conversation back.
    pub handle_within: Duration,
    /// How long a reply may take to arrive, waits included.
    pub deliver_within: Duration,
    /// How long running handlers may go on after Ctrl-C or SIGTERM.
    pub shutdown_grace: Duration,
    /// What a person is told whose message was given up; `None` for nothing.
    pub failure_reply: Option<String>,
    /// Replies sent to one conversation within a minute, more wait; `None` for any number.
    pub replies_per_minute: Option<NonZeroU32>,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            pending: None,
            pending_bytes: None,
            handle_within: Duration::from_secs(30),
            deliver_within: Duration::from_secs(30 * 60),
            shutdown_grace: Duration::from_secs(15),
            failure_reply: Some(FAILURE_REPLY.to_owned()),
            replies_per_minute: NonZeroU32::new(20),
        }
    }
}

/// What is logged and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// The least important line that is written. `RUST_LOG` overrides it.
    pub level: LogLevel,
}

/// A config that can be used, and what its author should know all the same.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// The file it came from.
    pub path: PathBuf,
    /// Things that are allowed but probably not meant.
    pub warnings: Vec<Problem>,
}

/// Reads and checks the config at `path`, taking `${env:NAME}` from the process's environment.
///
/// # Errors
/// When the file cannot be read, is not TOML, or breaks a rule; all broken rules are listed at once.
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    load_with(path, &|name| std::env::var(name).ok())
}

/// As [`load`], for a command that looks into the journal: the secrets, which may be in the environment of the host alone,
/// are not looked up, and the channel's table is not checked.
///
/// # Errors
/// As [`load`], for the rest of the file.
pub fn load_without_secrets(path: &Path) -> Result<Loaded, ConfigError> {
    parse_as(path, &read(path)?, &|name| std::env::var(name).ok(), Secrets::LeftOut)
}

/// As [`load`], for trying plugins with their tables: secrets are looked up in these alone, and the channel's table is not
/// checked.
///
/// # Errors
/// As [`load`], for the rest of the file.
pub fn load_for_dev(path: &Path) -> Result<Loaded, ConfigError> {
    parse_as(path, &read(path)?, &|name| std::env::var(name).ok(), Secrets::OfPlugins)
}

/// Where compiled plugins are kept when the config names no folder: `belfry` in the user's cache folder, if the
/// environment tells where that is.
#[must_use]
pub fn default_cache_dir() -> Option<PathBuf> {
    resolve::cache_dir_from(&|name| std::env::var(name).ok())
}

/// [`load`] with another source of environment variables.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
    parse(path, &read(path)?, env)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|cause| ConfigError::unreadable(path, &cause))?;
    if bytes.len() as u64 > LARGEST {
        return Err(ConfigError::too_large(path, LARGEST));
    }
    String::from_utf8(bytes).map_err(|cause| ConfigError::not_utf8(path, &cause))
}

/// Checks `text` as the content of the config file `path`; files it names are looked up beside `path`.
///
/// # Errors
/// As [`load`], without the errors of reading the file itself.
pub fn parse(path: &Path, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
    parse_as(path, text, env, Secrets::Expanded)
}

fn parse_as(
    path: &Path,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    secrets: Secrets,
) -> Result<Loaded, ConfigError> {
    let document = document::Document::parse(path, text)?;
    let problems = check::against_schema(&document);
    if !problems.is_empty() {
        return Err(ConfigError::new(path, problems));
    }
    let file: file::ConfigFile =
        toml::from_str(text).map_err(|error| document.problem_of(&error).into_error(path))?;
    resolve::resolve(&document, file, env, secrets)
}
