//! `belfry plugin remove`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use belfry_plugin_host::PluginSpec;

use crate::building::put_in_place;
use crate::cli::RemoveArgs;
use crate::config::{self, edit, nearest};

pub(super) fn run(args: &RemoveArgs) -> anyhow::Result<ExitCode> {
    let path = &args.config.config;
    let name = args.name.as_str();
    let config = config::load_without_secrets(path)?.config;
    let table = config.plugins.iter().find(|plugin| plugin.name == name);
    let dropped = config.plugins_dir.join(format!("{name}.wasm"));
    let is_dropped = PluginSpec::drop_in(&dropped).is_some_and(|spec| spec.name == name) && dropped.is_file();
    if table.is_none() && !is_dropped {
        let near = match nearest(name, config.plugins.iter().map(|plugin| plugin.name.as_str())) {
            Some(near) => format!("did you mean {near}?"),
            None => "`belfry plugin list` shows what there is".to_owned(),
        };
        bail!(
            "remove the plugin {name}: neither the config nor the plugin folder has one of this name; {near}"
        );
    }
    let mut text = format!("removed {name}\n\n");
    if table.is_some() {
        let target = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
        let before = std::fs::read_to_string(&target).with_context(|| format!("read {}", path.display()))?;
        if let Some(after) = edit::remove(path, &before, name)? {
            put_in_place(after.as_bytes(), &target)?;
            let _ = writeln!(text, "  table   [plugins.{name}] is gone from {}", path.display());
        }
    }
    let file = table.map_or(dropped, |plugin| plugin.path.clone());
    // A file elsewhere may be the author's own.
    let ours = file.parent() == Some(config.plugins_dir.as_path());
    if ours && !args.keep_file {
        match std::fs::remove_file(&file) {
            Ok(()) => {
                let _ = writeln!(text, "  file    {} is gone", file.display());
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(cause) => return Err(cause).with_context(|| format!("remove {}", file.display())),
        }
    } else if file.exists() {
        let _ = writeln!(text, "  file    {} was left where it is", file.display());
    }
    for (app, settings) in &config.dingtalk.apps {
        if settings.plugins.as_ref().is_some_and(|names| names.iter().any(|other| other == name)) {
            let _ = writeln!(text, "\nThe app {app} still names it in `plugins`.");
        }
    }
    crate::commands::print(&text)
}
