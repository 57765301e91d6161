//! The command line: what can be asked for, and the exit code.

mod author;
mod journal;
mod plugin;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use author::{BuildArgs, DevArgs, NewArgs};
pub use journal::{
    DeadLetterCommand, DeadLetterFilter, DeadLetterListArgs, EventCommand, EventListArgs, ReplayArgs,
    SelectionArgs, ShowArgs, StatusArgs,
};

pub use plugin::{
    AboutArgs, AddArgs, InspectArgs, ListArgs, PackArgs, PluginCommand, PushArgs, RegistryArgs, RemoveArgs,
};

use crate::config::{self, ConfigError, Log, LogFormat, LogLevel};

/// Exit code for a wrong command line or a config that cannot be used, as clap's own.
const USAGE: u8 = 2;

/// A bot host for DingTalk: the bot's logic is a WebAssembly component, swapped while it runs.
#[derive(Debug, Parser)]
#[command(name = "belfry", version, arg_required_else_help = true)]
#[command(after_help = "\
Begin without a DingTalk account:   belfry new todo --lang rust && belfry dev todo
Then, with belfry.toml filled in:   belfry channel doctor dingtalk && belfry run

Exit codes: 0 done, 1 failed, 2 wrong command line or config.")]
pub struct Cli {
    /// Settings for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Settings for every command.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Logging")]
pub struct Global {
    /// How log lines are written to standard error [default: the config's, else human]
    #[arg(long, global = true, value_name = "human|json", hide_possible_values = true)]
    pub log_format: Option<LogFormat>,
    /// Log more: -v each message's way, -vv each frame; RUST_LOG overrides it
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Global {
    /// The config's `[log]` table (or its default) with what the command line says on top.
    #[must_use]
    pub fn log(self, config: Log) -> Log {
        let level = match self.verbose {
            0 => config.level,
            1 => config.level.max(LogLevel::Debug),
            _ => LogLevel::Trace,
        };
        Log { format: self.log_format.unwrap_or(config.format), level }
    }
}

/// What `belfry` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the bot: connect to DingTalk and answer with the plugins
    ///
    /// Connects every app of the config, loads the plugins and answers until Ctrl-C or SIGTERM; then it takes no more
    /// messages, lets running handlers finish (at most `pipeline.shutdown_grace`) and closes the connection. A plugin
    /// file that is added, replaced or removed takes effect while it runs.
    Run(RunArgs),
    /// Make a new plugin's project in the language you like
    New(NewArgs),
    /// Build a plugin's project: from its folder to a component
    ///
    /// Finds out the language, and says what is missing to build it and how to get it.
    Build(BuildArgs),
    /// Develop plugins: build them, chat with them in the terminal, swap them on every save
    ///
    /// Needs no DingTalk account: a simulated DingTalk runs in the same process. A build that fails shows the
    /// compiler's message and the old build keeps answering. Key-values are kept in memory.
    Dev(DevArgs),
    /// Test a plugin: hold the conversations of its tests folder with it
    ///
    /// Builds the plugin in DIR and runs every DIR/tests/*.toml against it, in parallel, with no network, a clock that stands
    /// still and random numbers that repeat. The exit code is 1 if a test failed.
    Test(TestArgs),
    /// Run a simulated DingTalk on this machine, for bots built on any Stream SDK
    ///
    /// Listens on 127.0.0.1 only and takes every ClientID and secret. Prints how to point a bot at it, then what the
    /// bot does, until Ctrl-C.
    Simulate(SimulateArgs),
    /// Say how the bot does: connections, plugins, what is pending, quotas
    ///
    /// Asks the running host, or reads the journal when no host runs. The exit code is 0 if a host runs and 1 if not.
    Status(StatusArgs),
    /// Look at the messages that came
    #[command(subcommand, arg_required_else_help = true)]
    Event(EventCommand),
    /// Look after messages and replies that were given up
    #[command(subcommand, arg_required_else_help = true)]
    DeadLetter(DeadLetterCommand),
    /// Look after the channels that messages come from
    #[command(subcommand, arg_required_else_help = true)]
    Channel(ChannelCommand),
    /// Look after plugins: look into them, pack, add, list and remove them
    #[command(subcommand, arg_required_else_help = true)]
    Plugin(PluginCommand),
    /// Look at the config
    #[command(subcommand, arg_required_else_help = true)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    ///
    /// For example in ~/.bashrc:  source <(belfry completions bash)
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where the config is.
#[derive(Debug, Clone, Args)]
pub struct ConfigArg {
    /// The config file
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "belfry.toml",
        env = "BELFRY_CONFIG",
        hide_env_values = true
    )]
    pub config: PathBuf,
}

/// Arguments of `belfry run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
}

/// Arguments of `belfry test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The plugin's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Only files whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Test this component in place of building the folder's
    #[arg(long, value_name = "FILE")]
    pub plugin: Option<PathBuf>,
    /// Take what happened as right, where a turn expects nothing else
    #[arg(long)]
    pub accept: bool,
    /// Ask about each snapshot that is new or differs
    #[arg(long, conflicts_with = "accept")]
    pub review: bool,
    /// Write the outcome as JUnit XML to this file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// Arguments of `belfry simulate`.
#[derive(Debug, Clone, Copy, Args)]
pub struct SimulateArgs {
    /// The port on 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 7171)]
    pub port: u16,
    /// Simulated seconds per second: at 60, what is resent after a minute comes again after a second
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub speed: f64,
}

/// What can be done with channels.
#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// Find out why a channel does not work, and how to mend it
    ///
    /// Checks the config, the way to DingTalk (proxy, DNS, TLS), the clock, the registration of every app, a
    /// connection, the allow-lists and the plugins. Changes nothing. The exit code is 1 if there is an error, 0 if
    /// there are warnings only.
    Doctor(DoctorArgs),
}

/// Arguments of `belfry channel doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// The channel
    pub channel: Channel,
    /// Check this app only; the one in the plain table is named default
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// The channels there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
pub enum Channel {
    /// DingTalk in Stream Mode.
    DingTalk,
}

/// What can be done with the config.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the config can be used, with every mistake at its line
    Check(ConfigArg),
    /// Print the JSON Schema of the config, for editors
    Schema,
}

fn time(text: &str) -> Result<Duration, String> {
    config::units::time(text).map_err(|expected| format!("expected {expected}"))
}

/// Runs `belfry` with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match crate::commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", Shown(&error));
            let is_usage = error.chain().any(|cause| cause.is::<ConfigError>() || cause.is::<Usage>());
            if is_usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// A command line that says too little, in a sentence of its own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// An error with its causes, as people read it.
struct Shown<'a>(&'a anyhow::Error);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut above = self.0.to_string();
        // Errors are fragments that fit after these words; what is wrong with a config is a page of its own.
        let lead = if self.0.is::<ConfigError>() || self.0.is::<Usage>() || above.starts_with("failed to") {
            ""
        } else {
            "failed to "
        };
        write!(f, "error: {lead}{above}")?;
        for cause in self.0.chain().skip(1) {
            let text = cause.to_string();
            // Many errors repeat their source in their own text.
            if !above.contains(&text) {
                write!(f, "\n  because: {text}")?;
            }
            above = text;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
