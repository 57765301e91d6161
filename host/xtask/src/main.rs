//! What contributors run: `cargo xtask test`, `lint`, `soak`, `bench`, `schemas`.

mod command;
mod peers;
mod tasks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The tasks of a contributor to Belfry.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test, setting up what the tests need. What cannot be set up here is named and skipped.
    Test {
        /// Fail when something has to be skipped.
        #[arg(long)]
        require_all: bool,
        /// Only tests whose name contains this.
        filter: Option<String>,
    },
    /// Check the formatting, run clippy with warnings as errors, and cargo-deny where it is installed.
    Lint,
    /// Run the faults of `tests/faults` mixed, for minutes in place of seconds: kills, cut connections, failing webhooks and
    /// plugins, reloads. Ends with what was proved, or with what went wrong and the seed.
    Soak {
        /// How long messages are said.
        #[arg(long, default_value_t = 10.0)]
        minutes: f64,
        /// Makes the choices of an earlier run again.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Measure, in release builds: a fresh instance, then Belfry beside a bare loop and the official SDKs.
    Bench {
        /// Passed on to the load benchmark; `cargo xtask bench -- --help` lists what there is.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Write the files that are generated from the code: the config's JSON Schema.
    Schemas,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test { require_all, filter } => tasks::test(require_all, filter.as_deref()),
        Task::Lint => tasks::lint(),
        Task::Soak { minutes, seed } => tasks::soak(minutes, seed),
        Task::Bench { arguments } => tasks::bench(&arguments),
        Task::Schemas => tasks::schemas(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
