use std::{future::Future, pin::Pin};

use bytes::Bytes;

use crate::{
    Appended, Committed, Counter, DeadLetterHead, JournalError, JournalStats, NewEvent, PendingDelivery,
    PendingEvent, Position, Record, Route, StoredDeadLetter, StoredDelivery, StoredEvent, TracedEvent,
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

    /// Takes a change of state, which counts from the call on and is written soon. Never waits: what it adds belongs to an
    /// event that is already counted.
    fn record(&self, record: Record) -> Result<(), JournalError>;

    /// As [`record`](Self::record), for who wants to know when it is written. The change counts from the call on.
    ///
    /// # Errors
    ///
    /// Nothing of it was applied.
    fn commit(&self, record: Record) -> Result<Committed, JournalError>;

    /// Whether what it holds outlives the process.
    fn is_durable(&self) -> bool;

    /// What it holds.
    fn stats(&self) -> JournalStats;

    /// What keeps it from storing at present, if anything does.
    fn trouble(&self) -> Option<JournalError>;

    /// Events not handled yet, by position. A host asks for them once, when it starts, and reads each with
    /// [`pending_event`](Self::pending_event) when its turn comes: a long list takes little memory.
    fn pending_events(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> JournalFuture<'_, Result<Vec<PendingEvent>, JournalError>>;

    /// Deliveries not arrived yet, by event and index; as with events, each is read when its turn comes.
    fn pending_deliveries(
        &self,
        after: Option<(Position, u32)>,
        limit: usize,
    ) -> JournalFuture<'_, Result<Vec<PendingDelivery>, JournalError>>;

    /// An event that is not handled yet; none if there is no such, or no more.
    fn pending_event(
        &self,
        position: Position,
    ) -> JournalFuture<'_, Result<Option<StoredEvent>, JournalError>>;

    /// A delivery that has not arrived yet; none if there is no such, or no more.
    fn pending_delivery(
        &self,
        event: Position,
        index: u32,
    ) -> JournalFuture<'_, Result<Option<StoredDelivery>, JournalError>>;

    /// An event whatever became of it, as long as it is kept.
    fn event(&self, position: Position) -> JournalFuture<'_, Result<Option<TracedEvent>, JournalError>>;

    /// Events whatever became of them, newest first and before `before`, as far as they are kept.
    fn events(
        &self,
        before: Option<Position>,
        limit: usize,
    ) -> JournalFuture<'_, Result<Vec<TracedEvent>, JournalError>>;

    /// The dead letters kept, oldest first. What each is about is read with [`dead_letter`](Self::dead_letter).
    fn dead_letters(&self) -> Vec<DeadLetterHead>;

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
