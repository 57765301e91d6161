//! Builds a plugin, and again on every save.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use belfry_toolchain::{Language, WatchPaths, watch_paths};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{sync::mpsc, time::timeout};

use super::terminal::Terminal;
use crate::building::{self, put_in_place};
use crate::config::{ChatGrant, Grants, Plugin};
use crate::package::source::read;

/// Editors save in several steps; a build starts when there was none for this long.
const QUIET: Duration = Duration::from_millis(50);

/// A plugin's source folder, its builds, and the file from which the host serves them.
pub struct Workshop {
    source: PathBuf,
    name: String,
    description: String,
    path: PathBuf,
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
        // Before the first build, which takes long enough for a person to save again. Without a known language there is
        // none: the build says so.
        let language = Language::detect(&source).unwrap_or(Language::Rust);
        let (saves, watcher) = watch(watch_paths(&source, language))?;
        let built = building::build(&source, None, &terminal).await?;
        let path = serving.join(format!("{}.wasm", built.name));
        anyhow::ensure!(
            !path.exists(),
            "develop {}: another of the plugins is named {} too",
            source.display(),
            built.name
        );
        put_in_place(&read(&built.wasm)?, &path)?;
        Ok(Self {
            source,
            name: built.name,
            description: built.description,
            path,
            terminal,
            saves,
            _watcher: watcher,
        })
    }

    /// The plugin's name, that of its project.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plugin with what a table of the config says, but for its file.
    pub fn plugin(&self, table: Option<&Plugin>) -> Plugin {
        let here = Plugin {
            description: self.description.clone(),
            ..Plugin::new(self.name.clone(), self.path.clone())
        };
        let Some(table) = table.cloned() else { return here };
        let description = Some(table.description.clone()).filter(|text| !text.is_empty());
        Plugin {
            path: here.path,
            sha256: None,
            description: description.unwrap_or(here.description),
            // There is one app, the simulated one.
            grants: Grants {
                chat: ChatGrant { app: None, ..table.grants.chat.clone() },
                ..table.grants.clone()
            },
            ..table
        }
    }

    /// Builds whenever the source changes, for ever. A save during a build starts the next one.
    pub async fn rebuild_on_save(&mut self) {
        while self.saves.recv().await.is_some() {
            while let Ok(Some(())) = timeout(QUIET, self.saves.recv()).await {}
            if let Err(error) = self.rebuild().await {
                let name = &self.name;
                self.terminal.note(&format!("{name} not built, the old build keeps answering: {error:#}"));
            }
        }
        // Without a watcher there is nothing to build, but the chat goes on.
        std::future::pending().await
    }

    async fn rebuild(&self) -> Result<()> {
        let built = building::build(&self.source, None, &self.terminal).await?;
        put_in_place(&read(&built.wasm)?, &self.path)
    }
}

fn watch(paths: WatchPaths) -> Result<(mpsc::Receiver<()>, RecommendedWatcher)> {
    // One waiting save is enough: it makes a build of everything there is.
    let (sender, saves) = mpsc::channel(1);
    let watched = paths.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(|path| paths.is_source(path))
        {
            let _ = sender.try_send(());
        }
    })
    .context("watch the plugin's folder")?;
    for root in watched.roots() {
        watcher
            .watch(root, RecursiveMode::Recursive)
            .with_context(|| format!("watch the plugin's folder {}", root.display()))?;
    }
    Ok((saves, watcher))
}
