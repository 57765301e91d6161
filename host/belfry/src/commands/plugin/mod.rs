//! `belfry plugin check`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use belfry_plugin_host::{About, Allocator, Handler, Host, HostConfig, PluginSpec};

use super::words::size;

pub(super) async fn check(file: &Path) -> anyhow::Result<ExitCode> {
    // Nothing is cached: what is checked is mostly checked once, and the time to compile is of interest.
    let host = Host::new(HostConfig { allocator: Allocator::OnDemand, ..HostConfig::default() })
        .context("check the plugin")?;
    let name =
        file.file_stem().map_or_else(|| "plugin".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let plugin = host
        .load(PluginSpec::new(name, file))
        .await
        .with_context(|| format!("use {} as a plugin", file.display()))?;
    super::print(&describe(file, plugin.about()))
}

fn describe(file: &Path, about: &About) -> String {
    let mut text = format!("{} can be used as a plugin\n\n", file.display());
    let handles: Vec<&str> = about.handlers.iter().map(|handler| handler_name(*handler)).collect();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    row("handles", &if handles.is_empty() { "nothing".to_owned() } else { handles.join(", ") });
    row("size", &size(about.bytes));
    row("sha256", &about.sha256);
    row("compiled", &format!("in {:.1?}", about.compile));
    row("started", &format!("in {:.1?}", about.instantiate));
    for (name, list) in [("exports", &about.exports), ("imports", &about.imports)] {
        if list.is_empty() {
            row(name, "nothing");
        }
        for (place, item) in list.iter().enumerate() {
            row(if place == 0 { name } else { "" }, item);
        }
    }
    text
}

fn handler_name(handler: Handler) -> &'static str {
    match handler {
        Handler::Message => "messages (message-handler)",
        _ => "something newer than this command",
    }
}
