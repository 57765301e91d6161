//! `belfry channel doctor`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use crate::cli::{Channel, DoctorArgs};
use crate::doctor::{Examination, examine};
use crate::logging::colours;

pub(super) async fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let report = match args.channel {
        Channel::DingTalk => examine(&Examination { config: args.config.config, app: args.app }).await,
    };
    let text =
        if args.json { report.to_json() } else { report.to_text(colours(std::io::stdout().is_terminal())) };
    super::print(&text)?;
    Ok(if report.is_healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
