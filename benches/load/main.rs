//! Belfry under load, beside a bare loop without a sandbox and the official SDKs.
//!
//! The gateway (the simulator) and the load run in this process; every bot runs in a process of its own, so that its
//! CPU time and memory can be read from the system. `cargo xtask bench` sets up the SDKs and runs this.
//!
//! - `bots`: how each bot is started.
//! - `bare`: the bare loop, the least that any bot in Rust has to do.
//! - `load`: messages at a rate, and what came back.
//! - `process`: CPU time and memory of a process.
//! - `scenarios`: what is measured.

mod bare;
mod bots;
mod load;
mod process;
mod scenarios;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use bots::Bot;

/// Measures bots under load.
#[derive(Parser)]
#[command(name = "load")]
struct Cli {
    /// What to measure, may be given several times [default: everything]
    #[arg(long, value_enum)]
    scenario: Vec<Scenario>,
    /// Which bots: belfry, belfry-in-memory, bare-current-thread, bare-multi-thread, python, node [default: all that can be run]
    #[arg(long)]
    bot: Vec<String>,
    /// A bot of your own: NAME=COMMAND, started by `sh -c` with the gateway's address in $BELFRY_SIMULATOR
    #[arg(long, value_name = "NAME=COMMAND")]
    custom: Vec<String>,
    /// Messages per second of the steady scenario
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// Seconds of the steady scenario
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Runs of the steady scenario; the median counts
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// `cargo bench` adds this.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the bare loop, for the process that measures it.
    #[arg(long, hide = true, value_name = "GATEWAY")]
    be_bare: Option<String>,
    /// With --be-bare: on tokio's multi-thread runtime.
    #[arg(long, hide = true)]
    multi_thread: bool,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// An echo at a steady rate: CPU per message, latency, memory
    Steady,
    /// The same echo with several commit windows of the journal
    Windows,
    /// A start with 1 000, 10 000 and 100 000 messages left behind
    Backlog,
    /// 20 000 messages at 4 000/s: every one answered exactly once
    Burst,
    /// A guest that computes 5 ms per message, on one core and on two
    Cores,
    /// 50 reloads under 300 messages/s
    Reload,
    /// From start to ready with 20 plugins in the cache
    Start,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if let Some(gateway) = &cli.be_bare {
        return bare::run(gateway, cli.multi_thread);
    }
    let bots = chosen_bots(&cli)?;
    let scenarios = if cli.scenario.is_empty() { Scenario::value_variants() } else { &cli.scenario };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(async {
        println!("{}\n", process::machine());
        for scenario in scenarios {
            match scenario {
                Scenario::Steady => scenarios::steady(&bots, cli.rate, cli.seconds, cli.runs).await?,
                Scenario::Windows => scenarios::windows(cli.rate, cli.seconds, cli.runs).await?,
                Scenario::Backlog => scenarios::backlog().await?,
                Scenario::Burst => scenarios::burst(&bots).await?,
                Scenario::Cores => scenarios::cores().await?,
                Scenario::Reload => scenarios::reload().await?,
                Scenario::Start => scenarios::start().await?,
            }
        }
        Ok(())
    })
}

fn chosen_bots(cli: &Cli) -> Result<Vec<Bot>> {
    let mut bots = Bot::available();
    if !cli.bot.is_empty() {
        bots.retain(|bot| cli.bot.contains(&bot.name));
    }
    for custom in &cli.custom {
        let (name, command) = custom.split_once('=').context("--custom takes NAME=COMMAND")?;
        bots.push(Bot::custom(name, command));
    }
    Ok(bots)
}
