use std::time::Duration;

/// The bounds of a journal, the same for every engine.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Events not yet handled plus deliveries not yet arrived. At this bound an append waits.
    pub pending: usize,
    /// Their bytes. At this bound an append waits. A larger event is refused.
    pub pending_bytes: usize,
    /// Dedupe keys; beyond it the oldest are forgotten. Each takes about 50 bytes of memory.
    pub dedupe_keys: usize,
    /// How long a dedupe key is kept.
    pub dedupe_for: Duration,
    /// Dead letters kept; beyond it the oldest are forgotten, and
    /// [counted](crate::JournalStats::evicted_dead_letters).
    pub dead_letters: usize,
    /// Routes kept; beyond it those that expire first are forgotten.
    pub routes: usize,
    /// Bytes of the keys and values of one bucket, with 64 more for each key. A write beyond it is refused; a write can say
    /// less ([`KeyValueWrite::limit`](crate::KeyValueWrite::limit)).
    pub bucket_bytes: usize,
    /// Counters kept; beyond it those of the oldest months are forgotten.
    pub counters: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending: 10_000,
            pending_bytes: 32 << 20,
            dedupe_keys: 100_000,
            dedupe_for: Duration::from_secs(24 * 60 * 60),
            dead_letters: 1_000,
            routes: 10_000,
            bucket_bytes: 64 << 20,
            counters: 1_000,
        }
    }
}
