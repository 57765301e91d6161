use std::sync::atomic::{AtomicU64, Ordering};

/// What happened to the messages of one app since the start.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "read by its Debug, for the log")]
pub(crate) struct Counters {
    /// Messages taken into the journal.
    pub received: u64,
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
    /// Messages that a plugin handled.
    pub handled: u64,
    /// Messages that no plugin wanted.
    pub unclaimed: u64,
    /// Messages that ended as dead letters.
    pub failed: u64,
    /// Tries of a handler beyond the first.
    pub retries: u64,
    /// Replies that arrived.
    pub delivered: u64,
    /// Replies that ended as dead letters.
    pub undelivered: u64,
}

/// The same, counting.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub received: Count,
    pub duplicates: Count,
    pub denied: Count,
    pub empty: Count,
    pub unreadable: Count,
    pub over_quota: Count,
    pub handled: Count,
    pub unclaimed: Count,
    pub failed: Count,
    pub retries: Count,
    pub delivered: Count,
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
    pub(crate) fn read(&self) -> Counters {
        Counters {
            received: self.received.get(),
            duplicates: self.duplicates.get(),
            denied: self.denied.get(),
            empty: self.empty.get(),
            unreadable: self.unreadable.get(),
            over_quota: self.over_quota.get(),
            handled: self.handled.get(),
            unclaimed: self.unclaimed.get(),
            failed: self.failed.get(),
            retries: self.retries.get(),
            delivered: self.delivered.get(),
            undelivered: self.undelivered.get(),
        }
    }
}
