//! From the tables as written to [`Config`]: expansion, units, URLs, paths, and the rules between keys.

mod channel;
mod grants;
mod plugins;
mod schedules;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::{Document, KeyPath};
use super::error::{ConfigError, Problem};
use super::expand::{self, Sources};
use super::file::{
    ConfigFile, DingTalkTable, HostTable, JournalEngine, JournalTable, PipelineTable, QuotaTable,
};
use super::{Config, DEFAULT_APP, Journal, Loaded, Log, Pipeline, Quota, units};

const JOURNAL: &str = "belfry.journal";
const CONTROL_SOCKET: &str = "control.sock";
/// DingTalk's patience with an ack ends after 3 s.
const LONGEST_WINDOW: Duration = Duration::from_secs(1);

/// Whether secrets are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// References to them are expanded.
    Expanded,
    /// References to them stay as they are written, and the channel is not checked.
    LeftOut,
    /// As left out, but expanded in the tables of plugins.
    OfPlugins,
}

pub(super) fn resolve(
    document: &Document<'_>,
    file: ConfigFile,
    env: &dyn Fn(&str) -> Option<String>,
    secrets: Secrets,
) -> Result<Loaded, ConfigError> {
    let folder =
        document.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut resolver = Resolver {
        document,
        folder,
        sources: Sources { env, folder },
        secrets: if secrets == Secrets::OfPlugins { Secrets::LeftOut } else { secrets },
        apps: file.channels_config.dingtalk.as_ref().map(app_names).unwrap_or_default(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let dingtalk = resolver.dingtalk(file.channels_config.dingtalk);
    if secrets != Secrets::Expanded {
        // What a secret stands for is not known: nothing can be said about it.
        resolver.problems.clear();
    }
    if secrets == Secrets::OfPlugins {
        resolver.secrets = Secrets::Expanded;
    }
    let plugins_dir = resolver.plugins_dir(&file.host);
    let journal = resolver.journal(&file.journal);
    let config = Config {
        dingtalk,
        plugins: resolver.plugins(file.plugins, &plugins_dir),
        plugins_dir,
        cache_dir: resolver.cache_dir(&file.host, env),
        control_socket: resolver.control_socket(&file.host, &journal),
        journal,
        pipeline: resolver.pipeline(file.pipeline),
        quota: quota(&file.quota),
        log: Log { format: file.log.format, level: file.log.level },
    };
    if resolver.problems.is_empty() {
        Ok(Loaded { config, path: document.path.to_owned(), warnings: resolver.warnings })
    } else {
        Err(ConfigError::new(document.path, resolver.problems))
    }
}

/// The folder for caches as the system's habits have it, with `belfry` below it.
pub(super) fn cache_dir_from(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let from = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = from("XDG_CACHE_HOME")
        .or_else(|| from("LOCALAPPDATA"))
        .or_else(|| from("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("belfry"))
}

fn quota(table: &QuotaTable) -> Quota {
    let default = Quota::default();
    Quota {
        api_calls: table.api_calls.map_or(default.api_calls, u64::from),
        stream_pushes: table.stream_pushes.map_or(default.stream_pushes, u64::from),
    }
}

fn app_names(table: &DingTalkTable) -> Vec<String> {
    let plain = table.client_id.as_ref().or(table.client_secret.as_ref());
    plain.map(|_| DEFAULT_APP.to_owned()).into_iter().chain(table.apps.keys().cloned()).collect()
}

struct Resolver<'a> {
    document: &'a Document<'a>,
    folder: &'a Path,
    sources: Sources<'a>,
    secrets: Secrets,
    /// The names of the apps, whether they can be used or not.
    apps: Vec<String>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Resolver<'_> {
    fn problem(&mut self, path: &KeyPath, what: impl Into<String>, mend: impl Into<String>) {
        self.problems.push(self.document.problem(path, what, mend));
    }

    /// Names end up in log fields, file names and commands.
    fn name(&mut self, path: &KeyPath, name: &str) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            self.problem(path, "a name has 1 to 64 letters, digits, - or _", "");
        }
    }

    fn size(&mut self, path: &KeyPath, text: Option<&str>) -> Option<u64> {
        units::size(text?).map_err(|expected| self.problem(path, format!("expected {expected}"), "")).ok()
    }

    fn time(&mut self, path: &KeyPath, text: Option<&str>) -> Option<Duration> {
        units::time(text?).map_err(|expected| self.problem(path, format!("expected {expected}"), "")).ok()
    }

    fn pipeline(&mut self, table: PipelineTable) -> Pipeline {
        let default = Pipeline::default();
        let at = KeyPath::of(&["pipeline"]);
        let count = |given: Option<u32>| given.and_then(|given| usize::try_from(given).ok());
        let bytes = self.size(&at.then("pending_bytes"), table.pending_bytes.as_deref());
        let mut time = |key: &str, text: &Option<String>, default: Duration| {
            self.time(&at.then(key), text.as_deref()).unwrap_or(default)
        };
        Pipeline {
            pending: count(table.pending),
            pending_bytes: bytes.and_then(|bytes| usize::try_from(bytes).ok()),
            handle_within: time("handle_within", &table.handle_within, default.handle_within),
            deliver_within: time("deliver_within", &table.deliver_within, default.deliver_within),
            shutdown_grace: time("shutdown_grace", &table.shutdown_grace, default.shutdown_grace),
            failure_reply: match table.failure_reply {
                Some(text) => Some(text).filter(|text| !text.trim().is_empty()),
                None => default.failure_reply,
            },
            replies_per_minute: match table.replies_per_minute {
                Some(count) => NonZeroU32::new(count),
                None => default.replies_per_minute,
            },
        }
    }

    fn journal(&mut self, table: &JournalTable) -> Journal {
        let at = KeyPath::of(&["journal"]);
        let given = table.path.as_deref().and_then(|folder| self.path(&at.then("path"), folder));
        if table.engine == JournalEngine::Memory {
            let keys = [
                ("path", &table.path),
                ("commit_window", &table.commit_window),
                ("keep_for", &table.keep_for),
                ("keep_size", &table.keep_size),
            ];
            for (key, _) in keys.into_iter().filter(|(_, value)| value.is_some()) {
                let mend = format!("leave `{key}` out, or set engine = \"disk\"");
                self.problem(&at.then(key), "has no effect on a journal in memory", mend);
            }
            return Journal::in_memory();
        }
        let default = Journal::on_disk(given.unwrap_or_else(|| self.folder.join(JOURNAL)));
        Journal {
            commit_window: self
                .commit_window(&at.then("commit_window"), table)
                .unwrap_or(default.commit_window),
            keep_for: self.time(&at.then("keep_for"), table.keep_for.as_deref()).unwrap_or(default.keep_for),
            keep_size: self
                .size(&at.then("keep_size"), table.keep_size.as_deref())
                .unwrap_or(default.keep_size),
            ..default
        }
    }

    /// The one time that may be zero.
    fn commit_window(&mut self, path: &KeyPath, table: &JournalTable) -> Option<Duration> {
        let text = table.commit_window.as_deref()?;
        if text.trim() == "0ms" {
            return Some(Duration::ZERO);
        }
        let window = self.time(path, Some(text))?;
        if window > LONGEST_WINDOW {
            self.problem(
                path,
                "a message cannot wait longer than 1s to be acknowledged",
                "DingTalk waits for about 3 s; 10ms to 50ms are good values",
            );
        }
        Some(window)
    }

    fn control_socket(&mut self, table: &HostTable, journal: &Journal) -> Option<PathBuf> {
        match (table.control_socket.as_deref(), journal.engine) {
            (Some(socket), _) => self.path(&KeyPath::of(&["host", "control_socket"]), socket),
            (None, JournalEngine::Disk) => Some(journal.path.join(CONTROL_SOCKET)),
            (None, JournalEngine::Memory) => None,
        }
    }

    fn plugins_dir(&mut self, table: &HostTable) -> PathBuf {
        let path = KeyPath::of(&["host", "plugins_dir"]);
        let given = table.plugins_dir.as_deref().and_then(|folder| self.path(&path, folder));
        given.unwrap_or_else(|| self.folder.join("plugins"))
    }

    fn cache_dir(&mut self, table: &HostTable, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        if let Some(folder) = table.cache_dir.as_deref() {
            return self.path(&KeyPath::of(&["host", "cache_dir"]), folder);
        }
        cache_dir_from(env)
    }

    /// A path beside the config file.
    fn path(&mut self, path: &KeyPath, text: &str) -> Option<PathBuf> {
        if text.trim().is_empty() {
            self.problem(path, "expected a path, found empty text", "leave the key out for the default");
            return None;
        }
        self.warn_unexpanded(path, text);
        Some(self.folder.join(text))
    }

    fn expanded(&mut self, path: &KeyPath, text: &str) -> Option<String> {
        if self.secrets == Secrets::LeftOut {
            return Some(text.to_owned());
        }
        expand::expand(text, &self.sources)
            .map_err(|failure| self.problem(path, failure.what, failure.mend))
            .ok()
    }

    fn warn_unexpanded(&mut self, path: &KeyPath, text: &str) {
        if text.contains("${env:") || text.contains("${file:") {
            self.warnings.push(self.document.problem(
                path,
                "`${…}` is left as it is here",
                "it is expanded only in client_id, client_secret, api_base, oapi_base and proxy, and in `http` of a plugin",
            ));
        }
    }
}
