//! What the live set shows to the outside.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, watch};

use crate::Plugin;
use crate::live::{Generation, PluginEvent, Problem};

/// Events a slow listener can fall behind.
const EVENTS: usize = 64;

/// What the live set shows: written by its task, read by everybody.
pub(crate) struct Shared {
    current: ArcSwap<Generation>,
    number: watch::Sender<u64>,
    events: broadcast::Sender<PluginEvent>,
    problems: Mutex<Vec<Problem>>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Shared {
            current: ArcSwap::from_pointee(Generation::default()),
            number: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENTS),
            problems: Mutex::default(),
        }
    }

    pub(crate) fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    pub(crate) fn number(&self) -> u64 {
        self.current.load().number
    }

    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.number.subscribe()
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<PluginEvent> {
        self.events.subscribe()
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_problems(&self, problems: Vec<Problem>) {
        *self.problems.lock().unwrap_or_else(PoisonError::into_inner) = problems;
    }

    /// Makes `plugins` the current generation, and returns its number.
    pub(crate) fn publish(&self, mut plugins: Vec<Arc<Plugin>>) -> u64 {
        plugins.sort_by(|a, b| (a.spec().order, a.name()).cmp(&(b.spec().order, b.name())));
        let number = self.number() + 1;
        self.current.store(Arc::new(Generation { number, plugins }));
        self.number.send_replace(number);
        number
    }

    /// The one place where a change of the set becomes a log line and an event.
    pub(crate) fn tell(&self, event: PluginEvent) {
        match &event {
            PluginEvent::Loaded { name, generation, sha256, compile, replaced } => {
                let what = if *replaced { "plugin replaced" } else { "plugin loaded" };
                // Enough of the digest to tell builds apart; `belfry plugin check` prints all of it.
                let sha256 = sha256.get(..12).unwrap_or(sha256);
                let compile_ms = compile.as_millis() as u64;
                tracing::info!(plugin = name, generation, sha256, compile_ms, "{what}");
            }
            PluginEvent::Rejected { name, path, reason } => {
                tracing::error!(plugin = name, path = %path.display(), "plugin not loaded: {reason}");
            }
            PluginEvent::Removed { name, generation } => {
                tracing::info!(plugin = name, generation, "plugin removed");
            }
            PluginEvent::RolledBack { name, generation, reason } => {
                tracing::error!(plugin = name, generation, "plugin went back to the build before: {reason}");
            }
        }
        // Nobody may be listening.
        let _ = self.events.send(event);
    }
}
