//! What became of the messages: shown by the monitor, told in the log at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Counts what becomes of the messages of one app.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub received: Count,
    pub handled: Count,
    pub delivered: Count,
    pub unclaimed: Count,
    pub duplicates: Count,
    pub denied: Count,
    pub empty: Count,
    pub unreadable: Count,
    pub over_quota: Count,
    pub retries: Count,
    pub failed: Count,
    pub undelivered: Count,
    pub repeated: Count,
    pub through_open_api: Count,
}

/// What became of the messages of one app since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages taken into the journal.
    pub received: u64,
    /// Messages that a plugin handled.
    pub handled: u64,
    /// Replies that arrived.
    pub delivered: u64,
    /// Messages that no plugin wanted.
    pub unclaimed: u64,
    /// Repeats of messages that were taken before.
    pub duplicates: u64,
    /// Messages of people who are not allowed.
    pub denied: u64,
    /// Messages without content, and the bot's own.
    pub empty: u64,
    /// Payloads that could not be read.
    pub unreadable: u64,
    /// Messages that came without content because the organisation's monthly quota is used up.
    pub over_quota: u64,
    /// Tries of a handler beyond the first.
    pub retries: u64,
    /// Messages that ended as dead letters.
    pub failed: u64,
    /// Replies that ended as dead letters.
    pub undelivered: u64,
    /// Replies sent again that may have arrived: the answer to the try before was lost, or the process before ended.
    pub repeated: u64,
    /// Replies that arrived through the OpenAPI, because the session webhook had expired.
    pub through_open_api: u64,
}

/// One number that goes up.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// One more; the new number.
    pub(crate) fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counting {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            received: self.received.get(),
            handled: self.handled.get(),
            delivered: self.delivered.get(),
            unclaimed: self.unclaimed.get(),
            duplicates: self.duplicates.get(),
            denied: self.denied.get(),
            empty: self.empty.get(),
            unreadable: self.unreadable.get(),
            over_quota: self.over_quota.get(),
            retries: self.retries.get(),
            failed: self.failed.get(),
            undelivered: self.undelivered.get(),
            repeated: self.repeated.get(),
            through_open_api: self.through_open_api.get(),
        }
    }

    /// Tells an operator, at the end.
    pub(crate) fn tell(&self, app: &str) {
        let counts = self.counts();
        tracing::info!(
            app,
            received = counts.received,
            handled = counts.handled,
            delivered = counts.delivered,
            unclaimed = counts.unclaimed,
            duplicates = counts.duplicates,
            denied = counts.denied,
            empty = counts.empty,
            unreadable = counts.unreadable,
            over_quota = counts.over_quota,
            retries = counts.retries,
            failed = counts.failed,
            undelivered = counts.undelivered,
            repeated = counts.repeated,
            through_open_api = counts.through_open_api,
            "what became of the messages"
        );
    }
}
