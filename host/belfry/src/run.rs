//! `belfry run`.

use std::{process::ExitCode, time::Instant};

use anyhow::Result;
use tracing::{info, warn};

use crate::{
    cli::{Global, RunArgs},
    config::{self, Config},
    logging,
    signals::StopSignals,
    wiring::{Running, Runtimes},
};

/// Runs until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the config cannot be used or the host cannot be set up.
pub fn run(args: &RunArgs, global: Global) -> Result<ExitCode> {
    let started = Instant::now();
    let loaded = config::load(&args.config.config)?;
    logging::start(global.log(loaded.config.log))?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    Runtimes::new()?.block_on(async |guests| serve(&loaded.config, guests, started).await)
}

async fn serve(config: &Config, guests: tokio::runtime::Handle, started: Instant) -> Result<ExitCode> {
    let mut stop = StopSignals::new()?;
    let running = Running::start(config, guests).await?;
    let plugins = running.plugins.current().plugins.len();
    let apps = config.dingtalk.apps.len();
    info!(apps, plugins, took_ms = started.elapsed().as_millis() as u64, "running; Ctrl-C stops");
    stop.wait().await;
    info!(grace = ?config.pipeline.shutdown_grace, "stopping: no more messages are taken, running ones may finish");
    let left = tokio::select! {
        left = running.shutdown(config.pipeline.shutdown_grace) => left,
        () = stop.wait() => {
            warn!("stopped at once");
            return Ok(ExitCode::FAILURE);
        }
    };
    if left.events > 0 || left.deliveries > 0 {
        warn!(messages = left.events, replies = left.deliveries, "stopped with work left undone");
    } else {
        info!("stopped");
    }
    Ok(ExitCode::SUCCESS)
}
