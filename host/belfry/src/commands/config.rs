//! `belfry config check`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::config;

pub(super) fn check(path: &Path) -> anyhow::Result<ExitCode> {
    let loaded = config::load(path)?;
    let mut text = String::new();
    for warning in &loaded.warnings {
        let _ = writeln!(text, "warning: {}\n", warning.display(path));
    }
    let names: Vec<&str> = loaded.config.dingtalk.apps.keys().map(String::as_str).collect();
    let plugins: Vec<&str> = loaded.config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    let plugins = if plugins.is_empty() { "none".to_owned() } else { plugins.join(", ") };
    let _ = writeln!(
        text,
        "{} can be used; apps: {}; plugin tables: {plugins}",
        path.display(),
        names.join(", ")
    );
    super::print(&text)
}
