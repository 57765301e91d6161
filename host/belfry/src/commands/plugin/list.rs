//! `belfry plugin list`.

use std::path::Path;
use std::process::ExitCode;

use belfry_plugin_host::PluginSpec;
use serde::Serialize;

use crate::cli::ListArgs;
use crate::commands::table::{Table, terminal_width};
use crate::commands::words::line;
use crate::config::{self, Config};
use crate::package::registry::sha256;
use crate::package::sections::Metadata;
use crate::package::source::read;

/// One plugin.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    version: Option<String>,
    description: Option<String>,
    state: State,
    /// That of the file, if it can be read.
    sha256: Option<String>,
    source: Option<String>,
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// The file has the SHA-256 that the config wants.
    Pinned,
    /// The config wants none.
    Open,
    /// The file has another one.
    Changed,
    /// There is no file that can be read.
    Missing,
    /// It is in the plugin folder, without a table.
    NoTable,
}

impl State {
    fn in_words(self) -> &'static str {
        match self {
            State::Pinned => "pinned",
            State::Open => "not pinned",
            State::Changed => "changed",
            State::Missing => "no file",
            State::NoTable => "no table",
        }
    }
}

pub(super) fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = config::load_without_secrets(&args.config.config)?.config;
    let list = list(&config);
    if args.json {
        return crate::commands::print_json(&list);
    }
    if list.is_empty() {
        let folder = config.plugins_dir.display();
        return crate::commands::print(&format!("no plugins, neither in the config nor in {folder}\n"));
    }
    let mut table = Table::new(["NAME", "VERSION", "STATE", "SHA256", "SOURCE"]);
    for plugin in &list {
        let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), line);
        table.row([
            line(&plugin.name),
            text(&plugin.version),
            plugin.state.in_words().to_owned(),
            plugin.sha256.as_ref().and_then(|hex| hex.get(..12)).unwrap_or("-").to_owned(),
            plugin.source.as_deref().map_or_else(|| plugin.path.clone(), line),
        ]);
    }
    crate::commands::print(&table.to_text(terminal_width()))
}

fn list(config: &Config) -> Vec<Listed> {
    let tables = config.plugins.iter().map(|plugin| {
        listed(&plugin.name, &plugin.path, plugin.source.clone(), |hash| match &plugin.sha256 {
            Some(wanted) if wanted == hash => State::Pinned,
            Some(_) => State::Changed,
            None => State::Open,
        })
    });
    let mut list: Vec<Listed> = tables.collect();
    let files = std::fs::read_dir(&config.plugins_dir).into_iter().flatten().flatten();
    let mut dropped: Vec<PluginSpec> = files
        .filter_map(|file| PluginSpec::drop_in(&file.path()))
        .filter(|spec| {
            !config.plugins.iter().any(|plugin| plugin.name == spec.name || plugin.path == spec.path)
        })
        .collect();
    dropped.sort_by(|a, b| a.name.cmp(&b.name));
    list.extend(dropped.iter().map(|spec| listed(&spec.name, &spec.path, None, |_| State::NoTable)));
    list
}

fn listed(name: &str, path: &Path, source: Option<String>, state: impl FnOnce(&str) -> State) -> Listed {
    let wasm = read(path).ok();
    let hash = wasm.as_deref().map(sha256);
    let metadata = wasm.as_deref().map(Metadata::read).unwrap_or_default();
    Listed {
        name: name.to_owned(),
        version: metadata.version,
        description: metadata.description,
        state: hash.as_deref().map_or(State::Missing, state),
        sha256: hash,
        source,
        path: path.display().to_string(),
    }
}
