//! How one build has been doing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::plugin::Stop;

/// Failures in a row, before any success, after which a new build is given up.
const STRIKES: u32 = 3;

/// What guests print when a function they promised is not there: QuickJS, StarlingMonkey, CPython.
const MISSING: [&str; 4] = ["is not a function", "not a function", "is not defined", "has no attribute"];

/// How one build has been doing.
#[derive(Default)]
pub(crate) struct Health {
    /// A call has come back with a result: no roll-back any more.
    worked: AtomicBool,
    strikes: AtomicU32,
    /// Running average of the time a call computes, in nanoseconds.
    average: AtomicU64,
    give_up: OnceLock<Box<dyn Fn(String) + Send + Sync>>,
}

impl Health {
    /// Has `give_up` called, once, with what happened, when the build has struck out.
    pub(crate) fn on_give_up(&self, give_up: impl Fn(String) + Send + Sync + 'static) {
        // Set by the live set before the build serves; a second call would be a second live set's.
        let _ = self.give_up.set(Box::new(give_up));
    }

    pub(crate) fn average(&self) -> Duration {
        Duration::from_nanos(self.average.load(Ordering::Relaxed))
    }

    /// A call computed for `spent`.
    pub(crate) fn ran(&self, spent: Duration) {
        let spent = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX / 8);
        let average = self.average.load(Ordering::Relaxed);
        self.average.store(average - average / 8 + spent / 8, Ordering::Relaxed);
    }

    pub(crate) fn worked(&self) {
        if !self.worked.load(Ordering::Relaxed) {
            self.worked.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn trapped(&self, stop: &Stop) {
        if !stop.guest || self.worked.load(Ordering::Relaxed) {
            return;
        }
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed) + 1;
        let reason = stop.error.reason();
        let missing = strikes == 1 && MISSING.iter().any(|words| reason.contains(words));
        if !missing && strikes != STRIKES {
            return;
        }
        if let Some(give_up) = self.give_up.get() {
            let first = reason.lines().next().unwrap_or_default();
            give_up(match missing {
                true => format!("its first call did not find its function: {first}"),
                false => format!("its first {STRIKES} calls failed, the last one so: {first}"),
            });
        }
    }
}
