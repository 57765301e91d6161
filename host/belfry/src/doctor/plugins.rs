//! The plugins: those of the config's tables and those dropped into the folder.

use std::path::{Path, PathBuf};

use belfry_plugin_host::{Allocator, Host, HostConfig, PluginSpec};

use super::finding::{Check, Finding};
use crate::config::Config;

pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let specs = specs(config, &mut findings);
    if specs.is_empty() {
        findings.push(Finding::warning(
            Check::Plugin,
            "there is no plugin: the bot answers nothing",
            format!("put a .wasm component into {}", config.plugins_dir.display()),
        ));
        return findings;
    }
    let host = HostConfig {
        cache_dir: config.cache_dir.clone(),
        // A few instances, one after the other.
        allocator: Allocator::OnDemand,
        ..HostConfig::default()
    };
    let host = match Host::new(host) {
        Ok(host) => host,
        Err(error) => {
            findings.push(Finding::error(
                Check::Plugin,
                format!("failed to {error}"),
                "set `cache_dir` in [host] to a folder that can be written",
            ));
            return findings;
        }
    };
    for spec in specs {
        let (name, path) = (spec.name.clone(), spec.path.clone());
        findings.push(match host.load(spec).await {
            Ok(plugin) => {
                let commands = match plugin.commands() {
                    [] => "sees what no command matched".to_owned(),
                    commands => format!("takes {}", commands.join(", ")),
                };
                Finding::ok(Check::Plugin, format!("{name} can be loaded; {commands}"))
            }
            Err(error) => Finding::error(
                Check::Plugin,
                format!("failed to load plugin `{name}` from {}: {error}", path.display()),
                "Belfry runs without it; `belfry plugin check FILE` tells more",
            ),
        });
    }
    findings
}

/// The names of all plugins there are, whether or not they can be loaded.
pub(crate) fn names(config: &Config) -> Vec<String> {
    specs(config, &mut Vec::new()).into_iter().map(|spec| spec.name).collect()
}

/// The config's tables, then the files of the folder that no table names.
fn specs(config: &Config, findings: &mut Vec<Finding>) -> Vec<PluginSpec> {
    let mut specs: Vec<PluginSpec> = config.plugins.iter().map(PluginSpec::from).collect();
    let folder = &config.plugins_dir;
    match components(folder) {
        Ok(files) => {
            let count = match files.len() {
                0 => "no .wasm file".to_owned(),
                1 => "one .wasm file".to_owned(),
                count => format!("{count} .wasm files"),
            };
            findings.push(Finding::ok(Check::PluginFolder, format!("{} holds {count}", folder.display())));
            for spec in files.iter().filter_map(|file| PluginSpec::drop_in(file)) {
                if !specs.iter().any(|table| table.name == spec.name || same_file(&table.path, &spec.path)) {
                    specs.push(spec);
                }
            }
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => findings.push(Finding::warning(
            Check::PluginFolder,
            format!("the plugin folder {} does not exist", folder.display()),
            "create it and put .wasm components into it, or name another one by `plugins_dir` in [host]",
        )),
        Err(cause) => findings.push(Finding::error(
            Check::PluginFolder,
            format!("the plugin folder {} cannot be read: {cause}", folder.display()),
            "let the user that runs Belfry list and read it",
        )),
    }
    specs
}

fn components(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}
