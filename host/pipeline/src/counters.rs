use std::sync::atomic::{AtomicU64, Ordering};

/// What became of the messages of one app since the start.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    /// Messages taken into the journal.
    pub received: Count,
    /// Repeats of messages that were taken before.
    pub duplicates: Count,
    /// Messages of people who are not allowed.
    pub denied: Count,
    /// Messages without content, and the bot's own.
    pub empty: Count,
    /// Payloads that could not be read.
    pub unreadable: Count,
    /// Messages that came without content because the organisation's monthly quota is used up.
    pub over_quota: Count,
    /// Messages that a plugin handled.
    pub handled: Count,
    /// Messages that no plugin wanted.
    pub unclaimed: Count,
    /// Messages that ended as dead letters.
    pub failed: Count,
    /// Tries of a handler beyond the first.
    pub retries: Count,
    /// Replies that arrived.
    pub delivered: Count,
    /// Replies that ended as dead letters.
    pub undelivered: Count,
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
    /// Tells an operator, at the end.
    pub(crate) fn tell(&self, app: &str) {
        tracing::info!(
            app,
            received = self.received.get(),
            handled = self.handled.get(),
            delivered = self.delivered.get(),
            unclaimed = self.unclaimed.get(),
            duplicates = self.duplicates.get(),
            denied = self.denied.get(),
            empty = self.empty.get(),
            unreadable = self.unreadable.get(),
            over_quota = self.over_quota.get(),
            retries = self.retries.get(),
            failed = self.failed.get(),
            undelivered = self.undelivered.get(),
            "what became of the messages"
        );
    }
}
