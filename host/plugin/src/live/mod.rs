//! The live set: which builds of which plugins serve right now.
//!
//! One task ([`set`]) owns the state and puts everything that happens in a line: changed files, builds handed over by
//! a program, builds that keep failing. Reading, compiling and proving happen beside it; it only decides and publishes.

mod check;
mod set;
mod shared;
mod slot;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio::task::AbortHandle;

use crate::live::shared::Shared;
use crate::{Host, Plugin, PluginSpec, PluginsError};

/// What the live set starts from.
#[derive(Clone, Debug, Default)]
pub struct PluginsConfig {
    /// The `[plugins.NAME]` tables.
    pub specs: Vec<PluginSpec>,
    /// The drop-in folder. It need not exist.
    pub folder: Option<PathBuf>,
}

/// The loaded plugins at one moment. A call made on it finishes on it, whatever is published meanwhile.
#[derive(Default)]
pub struct Generation {
    /// Counts up with every change.
    pub number: u64,
    /// By order, then name.
    pub plugins: Vec<Arc<Plugin>>,
}

impl Generation {
    /// The plugin called `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.plugins.iter().find(|plugin| plugin.name() == name)
    }
}

/// Something that happened to the live set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginEvent {
    /// A build serves, its first or a new one.
    Loaded {
        /// The plugin.
        name: String,
        /// The generation that has it.
        generation: u64,
        /// Hex SHA-256 of the file.
        sha256: String,
        /// What compiling took.
        compile: Duration,
        /// Whether it took the place of another build.
        replaced: bool,
    },
    /// A build was refused; what served before goes on. Told once for the same bytes.
    Rejected {
        /// The plugin.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// The file is gone and so is the plugin.
    Removed {
        /// The plugin.
        name: String,
        /// The generation that lacks it.
        generation: u64,
    },
    /// A new build kept failing: the one before it serves again, and those bytes are not taken again.
    RolledBack {
        /// The plugin.
        name: String,
        /// The generation that has the old build back.
        generation: u64,
        /// What happened.
        reason: String,
    },
}

/// A plugin file that does not serve, for the doctor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The plugin.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What is wrong and how to mend it.
    pub reason: String,
}

/// The live set. Dropping it stops the watching; generations in hand stay usable.
pub struct Plugins {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What the task is told.
enum Command {
    /// The build has returned a result: nobody needs the one before it any more.
    Settled { name: String, sha256: String },
    /// The build has struck out.
    GiveUp { name: String, sha256: String, reason: String },
}

impl Plugins {
    /// Loads everything, publishes the first generation and watches from then on. A plugin that cannot be loaded is
    /// no error here: see [`problems`](Plugins::problems).
    ///
    /// # Errors
    ///
    /// Two specs have one name.
    pub async fn start(host: Arc<Host>, config: PluginsConfig) -> Result<Plugins, PluginsError> {
        let shared = Arc::new(Shared::new());
        let (commands, inbox) = mpsc::unbounded_channel();
        let mut set = set::Set::new(host, config, Arc::clone(&shared), commands)?;
        set.load_all().await;
        let task = tokio::spawn(set.run(inbox)).abort_handle();
        Ok(Plugins { shared, task })
    }

    /// What serves now.
    pub fn current(&self) -> Arc<Generation> {
        self.shared.current()
    }

    /// Wakes with the number of each new generation.
    pub fn changed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.shared.changed()
    }

    /// What happens from now on. A receiver that lags loses the oldest of 64 events.
    pub fn events(&self) -> broadcast::Receiver<PluginEvent> {
        self.shared.events()
    }

    /// Files that do not serve at this moment, and why.
    pub fn problems(&self) -> Vec<Problem> {
        self.shared.problems()
    }
}

impl Drop for Plugins {
    fn drop(&mut self) {
        self.task.abort();
    }
}
