//! Builds the plugin, and again on every save.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use belfry_toolchain::{BuildError, Built, Progress};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{sync::mpsc, time::timeout};

use super::terminal::Terminal;
use crate::config::Plugin;

/// Editors save in several steps; a build starts when there was none for this long.
const QUIET: Duration = Duration::from_millis(50);

/// A plugin's source folder, its builds, and the file from which the host serves them.
pub struct Workshop {
    source: PathBuf,
    plugin: Plugin,
    terminal: Terminal,
    saves: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Workshop {
    /// Builds the plugin in `source` for the first time, into `serving`.
    ///
    /// # Errors
    /// When it cannot be built.
    pub async fn open(source: &Path, serving: &Path, terminal: Terminal) -> Result<Self> {
        let source = source
            .canonicalize()
            .with_context(|| format!("open the plugin's folder {}", source.display()))?;
        // Before the first build, which takes long enough for a person to save again.
        let (saves, watcher) = watch(&source)?;
        let built = build(&source, &terminal).await?;
        let path = serving.join(format!("{}.wasm", built.name));
        put_in_place(&built.wasm, &path)?;
        let plugin = Plugin { description: built.description, ..Plugin::new(built.name, path) };
        Ok(Self { source, plugin, terminal, saves, _watcher: watcher })
    }

    /// The plugin, as a table of the config would name it.
    pub fn plugin(&self) -> Plugin {
        self.plugin.clone()
    }

    /// Builds whenever the source changes, for ever. A save during a build starts the next one.
    pub async fn rebuild_on_save(&mut self) {
        while self.saves.recv().await.is_some() {
            while let Ok(Some(())) = timeout(QUIET, self.saves.recv()).await {}
            if let Err(error) = self.rebuild().await {
                self.terminal.note(&format!("not built, the old build keeps answering: {error:#}"));
            }
        }
        // Without a watcher there is nothing to build, but the chat goes on.
        std::future::pending().await
    }

    async fn rebuild(&self) -> Result<()> {
        let built = build(&self.source, &self.terminal).await?;
        put_in_place(&built.wasm, &self.plugin.path)
    }
}

async fn build(source: &Path, terminal: &Terminal) -> Result<Built, BuildError> {
    terminal.note(&format!("building {}", source.display()));
    let started = Instant::now();
    let mut progress = |progress: Progress<'_>| match progress {
        Progress::Step(step) => terminal.note(step),
        Progress::Output(line) => terminal.line(line),
        _ => {}
    };
    let built = belfry_toolchain::build(source, &mut progress).await?;
    terminal.note(&format!("built {} in {:.1} s", built.name, started.elapsed().as_secs_f32()));
    Ok(built)
}

/// A copy under another name, renamed into place: the host never sees half a file.
fn put_in_place(component: &Path, place: &Path) -> Result<()> {
    let copy = place.with_extension("wasm.new");
    std::fs::copy(component, &copy).with_context(|| format!("copy {}", component.display()))?;
    std::fs::rename(&copy, place).with_context(|| format!("write {}", place.display()))
}

fn watch(source: &Path) -> Result<(mpsc::Receiver<()>, RecommendedWatcher)> {
    // One waiting save is enough: it makes a build of everything there is.
    let (sender, saves) = mpsc::channel(1);
    let root = source.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !matches!(event.kind, EventKind::Access(_))
            && event.paths.iter().any(|path| is_source(&root, path))
        {
            let _ = sender.try_send(());
        }
    })
    .context("watch the plugin's folder")?;
    watcher
        .watch(source, RecursiveMode::Recursive)
        .with_context(|| format!("watch the plugin's folder {}", source.display()))?;
    Ok((saves, watcher))
}

/// Whether a change of this file calls for a build: not what a build writes, and nothing hidden.
fn is_source(root: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(root) else { return false };
    let hidden = |part: &std::ffi::OsStr| part.to_string_lossy().starts_with('.');
    !inside.components().any(|part| part.as_os_str() == "target" || hidden(part.as_os_str()))
        && inside
            .file_name()
            .is_some_and(|name| name != "Cargo.lock" && !name.to_string_lossy().ends_with('~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_or_an_editor_writes_is_no_source() {
        let root = Path::new("/p");
        for path in ["/p/src/lib.rs", "/p/Cargo.toml", "/p/wit/types.wit"] {
            assert!(is_source(root, Path::new(path)), "{path}");
        }
        for path in [
            "/p/target/x.wasm",
            "/p/Cargo.lock",
            "/p/src/.lib.rs.swp",
            "/p/src/lib.rs~",
            "/p",
            "/q/src/lib.rs",
        ] {
            assert!(!is_source(root, Path::new(path)), "{path}");
        }
    }
}
