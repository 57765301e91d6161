//! The commands that look into the journal.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ConfigArg, time};
use crate::control::protocol::{Id, State};

/// Arguments of `belfry status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// List the messages that came, newest first
    List(EventListArgs),
    /// Show one with what became of it
    Show(ShowArgs),
    /// Hand one to the plugins again and print what they would reply; nothing is sent
    ///
    /// Runs in this process, on a fresh instance, as often as you like: nothing in the journal changes. Without --plugin
    /// the plugins of the config are asked as for a message that has just come. What the plugin logs goes to standard
    /// error. The exit code is 1 if the plugin failed.
    Replay(ReplayArgs),
}

/// Arguments of `belfry event list`.
#[derive(Debug, Clone, Args)]
pub struct EventListArgs {
    /// Those of this app only
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// Those of this conversation only, by its full id
    #[arg(long, value_name = "ID")]
    pub conversation: Option<String>,
    /// Those in this state only
    #[arg(long)]
    pub state: Option<State>,
    /// So many at most
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of the commands that show one thing.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// Its id in the list
    pub id: Id,
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `belfry event replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Its id in the list
    pub id: Id,
    /// Ask this component only, a .wasm file; a [plugins.NAME] table of its name or path gives its config and limits
    #[arg(long, value_name = "FILE")]
    pub plugin: Option<PathBuf>,
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLetterCommand {
    /// List the messages and replies that were given up, oldest first
    List(DeadLetterListArgs),
    /// Show one with its reason and what it is about
    Show(ShowArgs),
    /// Try them again: a message is handled anew, a reply is sent anew
    ///
    /// The exit code is 1 if one of them could not be; the others are all the same.
    Retry(SelectionArgs),
    /// Forget them
    ///
    /// The exit code is 1 if one of them could not be; the others are all the same.
    Drop(SelectionArgs),
}

/// Which dead letters, by what they have in common.
#[derive(Debug, Clone, Default, Args)]
pub struct DeadLetterFilter {
    /// Those that failed at the hands of this plugin
    #[arg(long, value_name = "NAME")]
    pub plugin: Option<String>,
    /// Those given up longer ago than this, such as 30m, 2h or 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub older_than: Option<Duration>,
    /// Those given up within this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub newer_than: Option<Duration>,
}

/// Arguments of `belfry dead-letter list`.
#[derive(Debug, Clone, Args)]
pub struct DeadLetterListArgs {
    /// Which of them.
    #[command(flatten)]
    pub filter: DeadLetterFilter,
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of the commands that change dead letters.
#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["ids", "plugin", "older_than", "newer_than", "all"])))]
pub struct SelectionArgs {
    /// Their ids in the list
    #[arg(value_name = "ID", conflicts_with_all = ["plugin", "older_than", "newer_than", "all"])]
    pub ids: Vec<Id>,
    /// Which of them, if not by id.
    #[command(flatten)]
    pub filter: DeadLetterFilter,
    /// All of them
    #[arg(long, conflicts_with_all = ["plugin", "older_than", "newer_than"])]
    pub all: bool,
    /// Say which it would be, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
}
