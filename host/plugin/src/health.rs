//! How one build has been doing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::plugin::Stop;

/// Failures in a row, before any success, after which a new build is given up.
const STRIKES: u32 = 3;

/// What guests print when the function they promised is not there, which their tools do not check: the two mistakes
/// of jco's QuickJS (seen with 1.35.0), StarlingMonkey's, and the two of CPython.
const MISSING: [&str; 17] = [
    "function 'onMessage' not found",
    "function 'onEvent' not found",
    "function 'onAction' not found",
    "function 'transform' not found",
    "/message-handler@0.1.0' not found",
    "/event-handler@0.1.0' not found",
    "/action-handler@0.1.0' not found",
    "/transform@0.1.0' not found",
    "onMessage is not a function",
    "onEvent is not a function",
    "onAction is not a function",
    "has no attribute 'MessageHandler'",
    "has no attribute 'EventHandler'",
    "has no attribute 'ActionHandler'",
    "has no attribute 'on_message'",
    "has no attribute 'on_event'",
    "has no attribute 'on_action'",
];

/// What is decided about a new build, once.
pub(crate) enum Verdict {
    /// It has returned a result.
    Settled,
    /// It never worked; the reason says what it did instead.
    GiveUp(String),
}

/// How one build has been doing.
#[derive(Default)]
pub(crate) struct Health {
    /// A call has come back with a result: no roll-back any more.
    worked: AtomicBool,
    strikes: AtomicU32,
    /// Running average of the time a call computes, in nanoseconds.
    average: AtomicU64,
    on_verdict: OnceLock<Box<dyn Fn(Verdict) + Send + Sync>>,
}

impl Health {
    /// Has `on_verdict` called with what is decided about the build.
    pub(crate) fn on_verdict(&self, on_verdict: impl Fn(Verdict) + Send + Sync + 'static) {
        // Set by the live set before the build serves; there is only one.
        let _ = self.on_verdict.set(Box::new(on_verdict));
    }

    /// The running average of the time a call computes.
    pub(crate) fn average(&self) -> Duration {
        Duration::from_nanos(self.average.load(Ordering::Relaxed))
    }

    /// A call computed for `spent`.
    pub(crate) fn ran(&self, spent: Duration) {
        let spent = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX / 8);
        let average = self.average.load(Ordering::Relaxed);
        self.average.store(average - average / 8 + spent / 8, Ordering::Relaxed);
    }

    /// A call came back with a result, be it a failure of the guest's own.
    pub(crate) fn worked(&self) {
        if !self.worked.load(Ordering::Relaxed) && !self.worked.swap(true, Ordering::Relaxed) {
            self.decide(Verdict::Settled);
        }
    }

    /// A call was stopped.
    pub(crate) fn trapped(&self, stop: &Stop) {
        if !stop.guest || self.worked.load(Ordering::Relaxed) {
            return;
        }
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed) + 1;
        let reason = stop.error.reason();
        let missing = strikes == 1 && MISSING.iter().any(|words| reason.contains(words));
        let first = reason.lines().next().unwrap_or_default();
        if missing {
            self.decide(Verdict::GiveUp(format!("its first call did not find its function: {first}")));
        } else if strikes == STRIKES {
            self.decide(Verdict::GiveUp(format!(
                "its first {STRIKES} calls failed, the last one so: {first}"
            )));
        }
    }

    fn decide(&self, verdict: Verdict) {
        if let Some(on_verdict) = self.on_verdict.get() {
            on_verdict(verdict);
        }
    }
}
