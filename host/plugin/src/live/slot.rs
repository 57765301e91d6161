//! One plugin's place in the live set, whatever build is in it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use crate::live::check::Stamp;
use crate::{Plugin, PluginSpec};

/// How many judgements on bytes are remembered for one plugin.
const REMEMBERED: usize = 32;

/// One plugin's place.
pub(crate) struct Slot {
    pub(crate) spec: PluginSpec,
    /// Whether it stands for a file of the folder and goes with it, rather than for a table of the config.
    pub(crate) drop_in: bool,
    pub(crate) serving: Option<Arc<Plugin>>,
    /// What served before, until the new build has shown that it works.
    pub(crate) previous: Option<Arc<Plugin>>,
    /// What is wrong with the file, if it does not serve.
    pub(crate) problem: Option<String>,
    /// The file as it was last looked at.
    pub(crate) stamp: Option<Stamp>,
    /// When to look at the file.
    pub(crate) due: Option<Instant>,
    /// A look or a proof is under way; anything else waits for its end.
    pub(crate) busy: bool,
    /// Hashes of refused bytes, with the reason.
    pub(crate) refused: VecDeque<(String, String)>,
}

/// The hashes that need no proof, for a look under way.
pub(crate) struct Known {
    hashes: Vec<String>,
}

impl Known {
    pub(crate) fn has(&self, sha256: &str) -> bool {
        self.hashes.iter().any(|hash| hash == sha256)
    }
}

impl Slot {
    pub(crate) fn new(spec: PluginSpec, drop_in: bool) -> Self {
        Slot {
            spec,
            drop_in,
            serving: None,
            previous: None,
            problem: None,
            stamp: None,
            due: None,
            busy: false,
            refused: VecDeque::new(),
        }
    }

    /// Whether `sha256` is the build that serves.
    pub(crate) fn serves(&self, sha256: &str) -> bool {
        self.serving.as_ref().is_some_and(|plugin| plugin.about.sha256 == sha256)
    }

    pub(crate) fn known(&self) -> Known {
        let serving = self.serving.iter().map(|plugin| plugin.about.sha256.clone());
        Known { hashes: serving.chain(self.refused.iter().map(|(hash, _)| hash.clone())).collect() }
    }

    /// Why `sha256` was refused before.
    pub(crate) fn refusal(&self, sha256: &str) -> Option<&str> {
        self.refused.iter().find(|(hash, _)| hash == sha256).map(|(_, reason)| reason.as_str())
    }

    pub(crate) fn refuse(&mut self, sha256: String, reason: String) {
        if self.refused.len() == REMEMBERED {
            self.refused.pop_front();
        }
        self.refused.push_back((sha256, reason));
    }
}
