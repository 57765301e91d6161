//! The tables of the plugins: files, commands, settings, limits.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use super::Resolver;
use crate::config::document::KeyPath;
use crate::config::file::{LimitsTable, PerInstance, PluginTable};
use crate::config::{Lifetime, Limits, Plugin};

/// Components address their memory with 32 bits.
const MOST_MEMORY: u64 = 4 << 30;
const RECYCLE_AFTER: u32 = 1000;

/// The largest file that becomes a setting, in bytes.
const LARGEST_SETTING: u64 = 1 << 20;

/// The content of a file for a setting, or what is wrong with it.
fn read_setting(path: &Path) -> Result<String, String> {
    let unreadable = |cause: std::io::Error| format!("`{}` cannot be read: {cause}", path.display());
    // Opening a named pipe would wait for ever.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(format!("`{}` is not a file", path.display()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LARGEST_SETTING + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_SETTING {
        return Err(format!("`{}` has more than 1 MiB", path.display()));
    }
    String::from_utf8(bytes).map_err(|_| format!("`{}` is not UTF-8 text", path.display()))
}

impl Resolver<'_> {
    pub(super) fn plugins(
        &mut self,
        tables: BTreeMap<String, PluginTable>,
        plugins_dir: &Path,
    ) -> Vec<Plugin> {
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        let mut plugins = Vec::new();
        for (name, table) in tables {
            let at = KeyPath::of(&["plugins"]).then(name.as_str());
            self.name(&at, &name);
            self.commands(&at.then("commands"), &name, &table, &mut owners);
            for (key, value) in &table.config {
                self.warn_unexpanded(&at.then("config").then(key.as_str()), value);
            }
            let path = match &table.path {
                Some(path) => self.path(&at.then("path"), path).unwrap_or_default(),
                None => plugins_dir.join(format!("{name}.wasm")),
            };
            plugins.push(Plugin {
                path,
                sha256: table.sha256.as_deref().and_then(|hex| self.sha256(&at.then("sha256"), hex)),
                source: table.source.clone(),
                grants: self.grants(&at, &table),
                lifetime: self.lifetime(&at, &table),
                limits: self.limits(&at.then("limits"), &table.limits),
                observe: table.observe,
                on: table.on.and_then(|on| self.pattern(&at.then("on"), on)),
                schedules: self.schedules(&at, &table.schedule),
                description: table.description.unwrap_or_default(),
                commands: table.commands,
                order: table.order,
                config: self.settings(&at, table.config, &table.config_files),
                failure_reply: table.failure_reply.map(|text| text.trim().to_owned()),
                name,
            });
        }
        plugins
    }

    /// The settings, those from files among them.
    fn settings(
        &mut self,
        at: &KeyPath,
        mut config: BTreeMap<String, String>,
        files: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let at = at.then("config_files");
        for (key, file) in files {
            let at = at.then(key.as_str());
            if config.contains_key(key) {
                self.problem(
                    &at,
                    format!("`config` has the setting `{key}` too"),
                    "take it from one of the two",
                );
                continue;
            }
            let Some(path) = self.path(&at, file) else { continue };
            match read_setting(&path) {
                Ok(text) => drop(config.insert(key.clone(), text)),
                Err(what) => self.problem(&at, what, "name a text file, relative to this one"),
            }
        }
        config
    }

    fn commands(
        &mut self,
        at: &KeyPath,
        name: &str,
        table: &PluginTable,
        owners: &mut BTreeMap<String, String>,
    ) {
        if table.observe && !table.commands.is_empty() {
            self.problem(
                at,
                "has no effect with observe = true: an observer takes no message",
                "leave one of the two out",
            );
        }
        for (index, command) in table.commands.iter().enumerate() {
            let path = at.then(index);
            self.command(&path, command);
            if let Some(other) = owners.insert(command.to_ascii_lowercase(), name.to_owned()) {
                let what = if other == name {
                    format!("`{command}` is listed twice")
                } else {
                    format!("the plugins `{other}` and `{name}` both take the command `{command}`")
                };
                self.problem(&path, what, "a command belongs to one plugin: take it from one of the two");
            }
        }
    }

    fn command(&mut self, path: &KeyPath, command: &str) {
        let mend = |fixed: &str| format!("write \"/{}\"", fixed.trim().trim_start_matches('/'));
        if !command.starts_with('/') || command.len() < 2 {
            let mend =
                if command.trim_matches(['/', ' ']).is_empty() { String::new() } else { mend(command) };
            self.problem(path, "a command is a slash and a word, such as \"/todo\"", mend);
        } else if command.contains(char::is_whitespace) {
            let word: String = command.split_whitespace().collect::<Vec<_>>().join("-");
            self.problem(path, "a command has no white space: it is the message's first word", mend(&word));
        }
    }

    fn sha256(&mut self, path: &KeyPath, hex: &str) -> Option<String> {
        if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(hex.to_ascii_lowercase());
        }
        self.problem(
            path,
            "expected the 64 hex digits of a SHA-256",
            "`belfry plugin inspect FILE` and `sha256sum FILE` print it",
        );
        None
    }

    fn lifetime(&mut self, at: &KeyPath, table: &PluginTable) -> Lifetime {
        match (table.per, table.recycle_after) {
            (PerInstance::Resident, after) => {
                Lifetime::Resident { recycle_after: after.unwrap_or(RECYCLE_AFTER) }
            }
            (PerInstance::Message, None) => Lifetime::Call,
            (PerInstance::Message, Some(_)) => {
                self.problem(
                    &at.then("recycle_after"),
                    "has no effect on instances that live for one message",
                    "leave it out, or set per = \"resident\"",
                );
                Lifetime::Call
            }
        }
    }

    fn limits(&mut self, at: &KeyPath, table: &LimitsTable) -> Limits {
        let memory = self.size(&at.then("memory"), table.memory.as_deref());
        if memory.is_some_and(|bytes| bytes > MOST_MEMORY) {
            self.problem(&at.then("memory"), "a plugin has at most 4GiB of memory", "");
        }
        Limits {
            memory,
            cpu: self.time(&at.then("cpu"), table.cpu.as_deref()),
            deadline: self.time(&at.then("deadline"), table.deadline.as_deref()),
            host_bytes: self.size(&at.then("host_bytes"), table.host_bytes.as_deref()),
            output: self.size(&at.then("output"), table.output.as_deref()),
            log_bytes: self.size(&at.then("log_bytes"), table.log_bytes.as_deref()),
            transfer: self.size(&at.then("transfer"), table.transfer.as_deref()),
            requests: table.requests,
            sends: table.sends,
        }
    }
}
