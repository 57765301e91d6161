//! The live set: which builds of which plugins serve right now.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};

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
#[derive(Clone, Debug, PartialEq)]
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
    /// A new build kept trapping: the one before it serves again, and those bytes are not taken again.
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
pub struct Plugins {}

impl Plugins {
    /// Loads everything, publishes the first generation and watches from then on. A plugin that cannot be loaded is
    /// no error here: see [`problems`](Plugins::problems).
    pub async fn start(_host: Arc<Host>, _config: PluginsConfig) -> Result<Plugins, PluginsError> {
        unimplemented!()
    }

    /// What serves now.
    pub fn current(&self) -> Arc<Generation> {
        unimplemented!()
    }

    /// Wakes with the number of each new generation.
    pub fn changed(&self) -> watch::Receiver<u64> {
        unimplemented!()
    }

    /// What happens from now on. A receiver that lags loses the oldest of 64 events.
    pub fn events(&self) -> broadcast::Receiver<PluginEvent> {
        unimplemented!()
    }

    /// Files that do not serve at this moment, and why.
    pub fn problems(&self) -> Vec<Problem> {
        unimplemented!()
    }

    /// Proves `component` and puts it in the place of `name` (one of the config's specs), as a changed file would.
    /// Returns the generation that has it. Unchanged bytes change nothing.
    pub async fn replace(&self, _name: &str, _component: Vec<u8>) -> Result<Arc<Generation>, PluginsError> {
        unimplemented!()
    }
}
