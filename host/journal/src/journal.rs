use std::{future::Future, pin::Pin};

use bytes::Bytes;

use crate::{
    Appended, Counter, DeadLetter, JournalError, JournalStats, NewEvent, Position, Record, Route,
    StoredDeadLetter, StoredDelivery, StoredEvent, TracedEvent,
};

/// A future that borrows the journal.
pub type JournalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an engine does.
///
/// Pages are asked for by the last thing seen: `after` is none at first. A page shorter than its limit is the last one.
/// What is read includes every record written before the question.
pub trait Journal: Send + Sync {
    /// Stores an event unless it is a repeat. Resolves when it would survive what the engine promises to survive; at
    /// the journal's bound it waits until there is room. Appends are stored in the order in which the returned
    /// futures were first polled. After an error nothing is stored: the event must not be acknowledged.
    fn append(&self, event: NewEvent) -> JournalFuture<'_, Result<Appended, JournalError>>;

    /// Writes a change of state. Never waits: what it adds belongs to an event that is already counted.
    fn record(&self, record: Record) -> Result<(), JournalError>;

    /// Whether an append would have to wait for room now.
    fn is_full(&self) -> bool;

    /// What it holds.
    fn stats(&self) -> JournalStats;

    /// Events not handled yet, oldest first. A host asks for them once, when it starts.
    fn pending_events(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> JournalFuture<'_, Result<Vec<StoredEvent>, JournalError>>;

    /// Deliveries not arrived yet, by event and index. A host asks for them once, when it starts.
    fn pending_deliveries(
        &self,
        after: Option<(Position, u32)>,
        limit: usize,
    ) -> JournalFuture<'_, Result<Vec<StoredDelivery>, JournalError>>;

    /// Events whatever became of them, newest first and before `before`, as far as they are kept.
    fn events(
        &self,
        before: Option<Position>,
        limit: usize,
    ) -> JournalFuture<'_, Result<Vec<TracedEvent>, JournalError>>;

    /// The dead letters kept, oldest first.
    fn dead_letters(&self) -> Vec<DeadLetter>;

    /// A dead letter with what it is about; none if there is no such.
    fn dead_letter(
        &self,
        event: Position,
        delivery: Option<u32>,
    ) -> JournalFuture<'_, Result<Option<StoredDeadLetter>, JournalError>>;

    /// How a conversation can be reached, as far as the journal knows. It may have expired.
    fn route(&self, conversation: &str) -> Option<Route>;

    /// The counters kept, by month and name.
    fn counters(&self) -> Vec<Counter>;

    /// A value of a plugin's bucket.
    fn value(&self, bucket: &str, key: &str) -> JournalFuture<'_, Result<Option<Bytes>, JournalError>>;

    /// The keys of a bucket in order, after `after`.
    fn keys(&self, bucket: &str, after: Option<&str>, limit: usize) -> Vec<String>;

    /// What a bucket holds, in bytes as [`Limits::bucket_bytes`](crate::Limits::bucket_bytes) counts them.
    fn bucket_bytes(&self, bucket: &str) -> usize;
}
