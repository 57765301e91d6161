//! `belfry build`.

use std::process::ExitCode;

use anyhow::Context as _;

use super::new::quoted;
use super::words::size;
use crate::building;
use crate::cli::BuildArgs;
use crate::dev::Terminal;
use crate::package::source::read;

pub(super) async fn run(args: BuildArgs) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::open(false);
    let built = building::build(&args.dir, None, &terminal).await?;
    let wasm = match &args.out {
        Some(out) => {
            building::put_in_place(&read(&built.wasm)?, out)?;
            out
        }
        None => &built.wasm,
    };
    let bytes = std::fs::metadata(wasm).with_context(|| format!("look at {}", wasm.display()))?.len();
    super::print(&format!(
        "{} ({})\n\nnext: belfry dev {} to talk with it, belfry plugin add {} to use it\n",
        wasm.display(),
        size(bytes),
        quoted(&args.dir),
        quoted(wasm),
    ))
}
