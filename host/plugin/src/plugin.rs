//! One loaded plugin and its calls.

use std::sync::Arc;
use std::time::Duration;

use crate::types::{Message, Outcome};
use crate::{CallError, PluginInfo, PluginSpec};

/// An interface of `wit/` that a plugin may export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Handler {
    /// `message-handler`: answers messages.
    Message,
}

/// Facts about a loaded component, for `belfry plugin check` and the log.
#[derive(Clone, Debug)]
pub struct About {
    /// Hex SHA-256 of the file.
    pub sha256: String,
    /// The file's length.
    pub bytes: u64,
    /// What it took to compile it, or to take it from the cache.
    pub compile: Duration,
    /// What it takes to start one instance (the trial one).
    pub instantiate: Duration,
    /// The handlers it exports.
    pub handlers: Vec<Handler>,
    /// Names of all its imports.
    pub imports: Vec<String>,
    /// Names of all its exports.
    pub exports: Vec<String>,
}

/// What the guest may ask about the call it serves.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The answer of `host.plugins()`.
    pub plugins: Arc<[PluginInfo]>,
}

/// One build of one plugin, ready to be called.
pub struct Plugin {}

impl Plugin {
    /// What the config says about it.
    pub fn spec(&self) -> &PluginSpec {
        unimplemented!()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec().name
    }

    /// What other plugins are told about it.
    pub fn info(&self) -> PluginInfo {
        unimplemented!()
    }

    /// Facts about the component.
    pub fn about(&self) -> &About {
        unimplemented!()
    }

    /// Whether it exports `handler`.
    pub fn handles(&self, _handler: Handler) -> bool {
        unimplemented!()
    }

    /// Calls `message-handler.on-message` in a fresh instance.
    ///
    /// The first milliseconds run on the calling thread, the rest of a long computation on the host's `offload`
    /// runtime. Dropping the future stops the guest.
    pub async fn on_message(&self, _message: &Message, _context: &CallContext) -> Result<Outcome, CallError> {
        unimplemented!()
    }
}
