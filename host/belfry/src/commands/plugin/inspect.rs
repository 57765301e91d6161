//! `belfry plugin inspect`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use belfry_plugin_host::Plugin;
use serde::Serialize;

use super::handler_name;
use crate::cli::InspectArgs;
use crate::commands::words::{line, size};
use crate::package::needs::{self, Need};
use crate::package::sections::Metadata;
use crate::package::{Package, source};

/// What the host looks for among the exports.
const USED: [&str; 6] = [
    "belfry:bot/message-handler",
    "belfry:bot/event-handler",
    "belfry:bot/action-handler",
    "belfry:bot/transform",
    "belfry:bot/describe",
    "belfry:bot/resident",
];

/// What a component is.
#[derive(Debug, Serialize)]
struct Inspection<'a> {
    file: String,
    name: String,
    version: Option<&'a str>,
    description: Option<&'a str>,
    licence: Option<&'a str>,
    commands: Vec<Command<'a>>,
    handles: Vec<&'a str>,
    bytes: u64,
    sha256: &'a str,
    /// Exports the host uses.
    exports: Vec<&'a str>,
    /// Exports it does not know.
    not_used: Vec<&'a str>,
    /// What is linked, needed or not.
    imports: &'a [String],
    /// A table for the config.
    table: String,
}

#[derive(Debug, Serialize)]
struct Command<'a> {
    name: &'a str,
    help: &'a str,
}

pub(super) async fn run(args: InspectArgs) -> anyhow::Result<ExitCode> {
    let shown = args.file.display().to_string();
    let wasm = source::read(&args.file)?;
    let stem = args.file.file_stem().map_or_else(|| "plugin".into(), |stem| stem.to_string_lossy());
    let plugin = source::prove(&stem, &shown, wasm.clone()).await?;
    let package = source::package(stem.into_owned(), Metadata::default(), &plugin, wasm);
    let inspection = inspect(&args.file, &plugin, &package);
    if args.json {
        return crate::commands::print_json(&inspection);
    }
    crate::commands::print(&to_text(&inspection))
}

fn inspect<'a>(file: &Path, plugin: &'a Plugin, package: &'a Package) -> Inspection<'a> {
    let about = plugin.about();
    let described = plugin.description();
    let (exports, not_used) = about
        .exports
        .iter()
        .map(String::as_str)
        .partition(|export| USED.iter().any(|name| needs::is_named(export, name)));
    let commands = described.map(|said| {
        said.commands.iter().map(|command| Command { name: &command.name, help: &command.help }).collect()
    });
    Inspection {
        file: file.display().to_string(),
        name: described.map_or_else(|| package.name.clone(), |said| said.name.clone()),
        version: package.metadata.version.as_deref(),
        description: package.metadata.description.as_deref(),
        licence: package.metadata.licenses.as_deref(),
        commands: commands.unwrap_or_default(),
        handles: about.handlers.iter().map(|handler| handler_name(*handler)).collect(),
        bytes: about.bytes,
        sha256: &about.sha256,
        exports,
        not_used,
        imports: &about.imports,
        table: table(file, &package.name, &about.sha256, &needs::of(about)),
    }
}

fn table(file: &Path, name: &str, sha256: &str, needs: &[Need]) -> String {
    let key = super::add::config_name(name);
    let path = toml::Value::from(file.display().to_string());
    format!("[plugins.{key}]\n{}path = {path}\nsha256 = \"{sha256}\"\n", needs::comments(needs))
}

fn to_text(inspection: &Inspection<'_>) -> String {
    let mut text = line(&inspection.name);
    if let Some(version) = inspection.version {
        let _ = write!(text, " {}", line(version));
    }
    if let Some(description) = inspection.description {
        let _ = write!(text, ": {}", line(description));
    }
    text.push_str("\n\n");
    let mut rows = |name: &str, values: &[String]| {
        for (place, value) in values.iter().enumerate() {
            let _ = writeln!(text, "  {:<9} {value}", if place == 0 { name } else { "" });
        }
    };
    let lines = |list: &[&str]| list.iter().map(|item| line(item)).collect::<Vec<_>>();
    let handles = lines(&inspection.handles);
    rows("handles", &if handles.is_empty() { vec!["nothing".to_owned()] } else { handles });
    let commands = inspection.commands.iter();
    let commands: Vec<String> =
        commands.map(|command| line(&format!("{}  {}", command.name, command.help))).collect();
    rows("commands", &commands);
    rows("licence", &lines(&inspection.licence.into_iter().collect::<Vec<_>>()));
    rows("size", &[size(inspection.bytes)]);
    rows("sha256", &[inspection.sha256.to_owned()]);
    rows("exports", &lines(&inspection.exports));
    rows("not used", &lines(&inspection.not_used));
    rows("linked", &inspection.imports.iter().map(|item| line(item)).collect::<Vec<_>>());
    let _ = write!(
        text,
        "\nWhat is linked need not be called. A table for the config, with what it may want as comments; nothing is granted\n\
         that is not there:\n\n{}",
        inspection.table
    );
    text
}
