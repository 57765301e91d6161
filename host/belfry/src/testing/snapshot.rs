//! Transcripts that were accepted before, in `.snap` files beside the test files.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Outcome;
use super::expect::difference;

/// A transcript that is not what was accepted.
pub(crate) struct Verdict {
    /// Where the accepted one is kept.
    file: PathBuf,
    /// What happened now.
    text: String,
    /// Where the two differ.
    difference: Option<String>,
}

/// Compares what happened with what was accepted.
pub(super) fn compare(test: &Path, text: String) -> Verdict {
    let file = test.with_extension("snap");
    let difference = match std::fs::read_to_string(&file) {
        Ok(accepted) if accepted == text => None,
        Ok(accepted) => Some(difference("the snapshot", accepted.trim_end(), text.trim_end())),
        Err(_) => Some(difference("a new snapshot", "", text.trim_end())),
    };
    Verdict { file, text, difference }
}

/// Accepts what differs if the person says so; what is not accepted is a problem of its test.
pub(super) fn settle(mut outcomes: Vec<Outcome>, accept: bool, review: bool) -> anyhow::Result<Vec<Outcome>> {
    if review && !std::io::stdin().is_terminal() {
        bail!("review snapshots: standard input is no terminal; --accept takes them all");
    }
    for outcome in &mut outcomes {
        let Some(Verdict { file, text, difference: Some(difference) }) = &outcome.snapshot else { continue };
        if accept || (review && asked(&outcome.name, difference)?) {
            std::fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
        } else {
            outcome.problems.push(format!(
                "{difference}\n`belfry test --review` asks about each, `belfry test --accept` takes all as they are"
            ));
        }
    }
    Ok(outcomes)
}

/// Shows the difference and asks.
fn asked(name: &str, difference: &str) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    write!(out, "\n{name}: {difference}\naccept? [y/N] ").context("ask")?;
    out.flush().context("ask")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
