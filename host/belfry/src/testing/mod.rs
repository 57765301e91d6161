//! `belfry test`: conversations in files, held with a plugin under a fixed clock, with no network.
//!
//! - [`file`]: what a test file may hold
//! - `doubles`: key-values, chat and HTTP that live in memory
//! - `conversation`: one file against one plugin, turn by turn
//! - `transcript`: what happened, as people read it and as snapshots keep it
//! - `expect`: what a turn should have brought about
//! - `snapshot`: transcripts that were accepted before
//! - `report`: the outcome on the terminal and as JUnit

mod conversation;
mod doubles;
mod expect;
pub mod file;
mod report;
mod snapshot;
mod transcript;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use belfry_plugin_host::{Allocator, Host, HostConfig};
use belfry_toolchain::Progress;
use futures_util::StreamExt as _;

use crate::cli::TestArgs;
use conversation::Component;
use snapshot::Verdict;

/// The folder of a plugin that holds its test files.
const FOLDER: &str = "tests";

/// More files than this are no tests of one plugin.
const MOST_FILES: usize = 1_000;

/// What came of one file.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// What is wrong, each a block of lines; empty if it passed.
    pub(crate) problems: Vec<String>,
    /// The key-values at the end of a test that failed.
    pub(crate) key_values: Vec<(String, String)>,
    pub(crate) took: Duration,
    pub(crate) snapshot: Option<Verdict>,
}

/// Builds the plugin and holds every conversation of its `tests` folder.
///
/// # Errors
/// When it cannot be built or loaded, or there are no tests. A test that fails is an exit code.
pub async fn run(args: TestArgs) -> anyhow::Result<ExitCode> {
    let files = find(&args.dir.join(FOLDER), args.filter.as_deref())?;
    let component = Arc::new(component(&args).await?);
    let settings = HostConfig {
        // Every file loads the component anew, with its own config: it is compiled once.
        cache_dir: crate::config::default_cache_dir(),
        allocator: Allocator::OnDemand,
        offload: Some(tokio::runtime::Handle::current()),
        ..HostConfig::default()
    };
    let host = Host::new(settings).context("run plugins")?;
    // The first load compiles; the others find the code in the cache.
    component.load(&host, &file::Test::default()).await?;
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let outcomes = futures_util::stream::iter(files)
        .map(|file| one(host.clone(), component.clone(), file))
        .buffered(at_once)
        .collect::<Vec<Outcome>>()
        .await;
    let outcomes = snapshot::settle(outcomes, args.accept, args.review)?;
    if let Some(path) = &args.junit {
        report::junit(path, &component.name, &outcomes, started.elapsed())?;
    }
    Ok(report::print(&outcomes))
}

/// Holds one conversation.
async fn one(host: Arc<Host>, component: Arc<Component>, path: PathBuf) -> Outcome {
    let started = Instant::now();
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut outcome = Outcome {
        name,
        file: path.clone(),
        problems: Vec::new(),
        key_values: Vec::new(),
        took: Duration::ZERO,
        snapshot: None,
    };
    match held(&host, &component, &path).await {
        Ok(held) => {
            outcome.problems = held.problems;
            outcome.key_values = held.key_values;
            if let Some(name) = held.name {
                outcome.name = name;
            }
            outcome.snapshot = held.transcript.map(|text| snapshot::compare(&path, text));
        }
        Err(error) => outcome.problems.push(format!("{error:#}")),
    }
    outcome.took = started.elapsed();
    outcome
}

async fn held(host: &Arc<Host>, component: &Component, path: &Path) -> anyhow::Result<conversation::Held> {
    let test = file::read(path)?;
    conversation::hold(host, component, &test).await
}

/// The test files of `folder`, by name.
fn find(folder: &Path, filter: Option<&str>) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| {
        format!("find tests in {}: put a conversation there, such as tests/hello.toml", folder.display())
    })?;
    let is_test = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_test).take(MOST_FILES).collect();
    files.sort_unstable();
    if files.is_empty() {
        bail!("find tests: {} holds no .toml file with a conversation", folder.display());
    }
    if let Some(filter) = filter {
        files.retain(|file| file.file_stem().is_some_and(|stem| stem.to_string_lossy().contains(filter)));
        if files.is_empty() {
            bail!("find tests: no file name in {} contains `{filter}`", folder.display());
        }
    }
    Ok(files)
}

/// The component to be tested: the one given, or the folder's, built now.
async fn component(args: &TestArgs) -> anyhow::Result<Component> {
    let (name, path) = match &args.plugin {
        Some(file) => {
            let name = file.file_stem().map_or("plugin".into(), |stem| stem.to_string_lossy());
            (name.into_owned(), file.clone())
        }
        None => {
            // Its words are of interest only if it fails.
            let mut said = String::new();
            let mut progress = |progress: Progress<'_>| {
                if let Progress::Step(line) | Progress::Output(line) = progress {
                    said.push_str(line);
                    said.push('\n');
                }
            };
            match belfry_toolchain::build(&args.dir, &mut progress).await {
                Ok(built) => (built.name, built.wasm),
                Err(error) => {
                    eprint!("{said}");
                    return Err(error.into());
                }
            }
        }
    };
    let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(Component { name, path, bytes })
}
