//! `belfry plugin`.

mod add;
mod inspect;
mod list;
mod pack;
mod remove;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use belfry_plugin_host::{About, Handler};

use super::words::size;
use crate::cli::PluginCommand;
use crate::package::source;

pub(super) async fn run(command: PluginCommand) -> anyhow::Result<ExitCode> {
    match command {
        PluginCommand::Check { file } => check(&file).await,
        PluginCommand::Inspect(args) => inspect::run(args).await,
        PluginCommand::Pack(args) => pack::pack(args).await,
        PluginCommand::Push(args) => pack::push(args).await,
        PluginCommand::Add(args) => add::run(args).await,
        PluginCommand::List(args) => list::run(&args),
        PluginCommand::Remove(args) => remove::run(&args),
    }
}

async fn check(file: &Path) -> anyhow::Result<ExitCode> {
    let name = file.file_stem().map_or_else(|| "plugin".into(), |stem| stem.to_string_lossy());
    let plugin = source::prove(&name, &file.display().to_string(), source::read(file)?).await?;
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
        Handler::Event => "events and schedules (event-handler)",
        Handler::Action => "card actions and AI calls (action-handler)",
        Handler::Transform => "events on their way (transform)",
        _ => "something newer than this command",
    }
}
