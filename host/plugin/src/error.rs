//! What can go wrong, in words for the person who can mend it.

use std::path::PathBuf;

/// Why a call of a plugin gave no outcome. Displays as the reason, which names the plugin and, at a limit, the config
/// key that raises it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The guest returned `temporary`: worth trying again.
    #[error("{0}")]
    Temporary(String),
    /// The guest returned `permanent`, trapped, ran into a limit or returned too much: never worth trying again. After
    /// a trap the reason ends with the last 4 KB the guest wrote to stderr.
    #[error("{0}")]
    Permanent(String),
}

impl CallError {
    /// The reason in words.
    pub fn reason(&self) -> &str {
        match self {
            CallError::Temporary(reason) | CallError::Permanent(reason) => reason,
        }
    }

    /// Whether the call is worth repeating.
    pub fn is_temporary(&self) -> bool {
        matches!(self, CallError::Temporary(_))
    }
}

/// Why a [`Host`](crate::Host) could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The runtime refused its configuration.
    #[error("start the WebAssembly runtime: {0:#}")]
    Runtime(wasmtime::Error),
    /// The directory for compiled code cannot be used.
    #[error("use `{}` for compiled code: {reason}", .path.display())]
    Cache {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a component cannot be put into service. Displays as a fragment that fits after "failed to load plugin `x`: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{0}")]
    Read(String),
    /// The bytes are no usable component.
    #[error("{0}")]
    Rejected(String),
    /// The bytes look like the beginning of a component; the rest may be still to come.
    #[error("{0}")]
    Incomplete(String),
}

/// Why the live set could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginsError {
    /// Two tables have one name.
    #[error("two plugins are called `{0}`; rename one of the [plugins.{0}] tables")]
    DuplicateName(String),
}
