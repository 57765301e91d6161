//! What each command does. `belfry run` and `belfry dev` have modules of their own.

mod build;
mod config;
mod dead_letter;
mod doctor;
mod event;
mod new;
mod plugin;
mod replay;
mod simulate;
mod status;
mod table;
mod words;

use std::future::Future;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::cli::{ChannelCommand, Cli, Command, ConfigCommand, EventCommand};
use crate::config::{Log, LogLevel};
use crate::logging;
use crate::signals::StopSignals;

/// Runs what the command line asks for.
///
/// # Errors
/// When it failed; a config that cannot be used is a [`ConfigError`](crate::config::ConfigError) in the chain.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let global = cli.global;
    let log = || logging::start(global.log(Log::default()));
    // A damaged journal is told; what a command does is not.
    let at_warn = global.log(Log { level: LogLevel::Warn, ..Log::default() });
    let quiet = || logging::start(at_warn);
    match cli.command {
        Command::Run(args) => crate::run::run(&args, global),
        Command::Dev(args) => crate::dev::run(&args, global),
        Command::Test(args) => {
            quiet()?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.context("start the async runtime")?.block_on(crate::testing::run(args))
        }
        Command::Simulate(args) => {
            log()?;
            block_on(simulate::run(args))
        }
        Command::Status(args) => {
            quiet()?;
            block_on(status::run(args))
        }
        Command::Event(EventCommand::Replay(args)) => {
            // What the plugins say on the way is what one replays for.
            logging::start_with_plugins(at_warn, at_warn.level.max(LogLevel::Info))?;
            block_on(replay::run(args))
        }
        Command::Event(command) => {
            quiet()?;
            block_on(event::run(command))
        }
        Command::DeadLetter(command) => {
            quiet()?;
            block_on(dead_letter::run(command))
        }
        Command::Channel(ChannelCommand::Doctor(args)) => {
            // The findings say it all; log lines are for who asks for them.
            if global.verbose > 0 {
                log()?;
            }
            block_on(doctor::run(args))
        }
        Command::New(args) => new::run(&args),
        Command::Build(args) => {
            quiet()?;
            block_on(until_stopped(build::run(args)))
        }
        Command::Plugin(command) => {
            // What a trial instance says is of interest.
            log()?;
            block_on(until_stopped(plugin::run(command)))
        }
        Command::Config(ConfigCommand::Check(args)) => config::check(&args.config),
        Command::Config(ConfigCommand::Schema) => print(&crate::config::schema()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "belfry", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

/// Runs a command that waits for one thing after the other.
fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("start the async runtime")?.block_on(command)
}

/// Ends a command with Ctrl-C; a compiler that it runs ends too.
async fn until_stopped(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let mut stop = StopSignals::new()?;
    tokio::select! {
        done = command => done,
        () = stop.wait() => Ok(ExitCode::FAILURE),
    }
}

/// Prints `value` as JSON.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<ExitCode> {
    let text = serde_json::to_string_pretty(value).context("write the answer as JSON")?;
    print(&format!("{text}\n"))
}

/// Writes to standard output. A reader that has seen enough (`belfry … | head`) is no error.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(cause).context("write to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
