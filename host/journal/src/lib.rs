//! The store between receiving an event and being done with it.
//!
//! An event is appended, and only then acknowledged to its sender. From there on the journal owes it an end: handled,
//! with every delivery that came of it delivered, or kept as a dead letter. What is stored is opaque to the journal:
//! bytes with an id, a key and a state.
//!
//! The state is a fold over idempotent [`Record`]s, each complete in itself: applying one twice, or one about an event
//! already forgotten, changes nothing. No operation needs a transaction over several records, so that a log without
//! transactions can carry a journal as well.
//!
//! - [`Journal`]: what an engine does.
//! - [`MemoryJournal`]: the engine for `belfry dev` and for tests. It forgets everything when the process ends.
//! - [`NewEvent`], [`Appended`], [`Record`], [`Completion`], [`DeadLetter`]: what goes in and comes out.

mod dedupe;
mod memory;

use std::{future::Future, pin::Pin};

use bytes::Bytes;

pub use memory::{MemoryJournal, MemoryLimits};

/// The place of an event in a journal: later events have higher numbers. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// An event on its way into the journal.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What must be handled in order: events of one key are, those of different keys are not ordered.
    pub key: String,
    /// The names under which a repeat of this event would come. If any of them is known, the event is a repeat.
    pub dedupe: Vec<String>,
    /// The event itself.
    pub payload: Bytes,
    /// What only the host may know about it, such as the address for replies.
    pub private: Bytes,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, here.
    New(Position),
    /// It was stored before; nothing was written.
    Duplicate,
}

/// A change of state. Written at once, without waiting: losing one repeats work, and loses none.
#[derive(Debug, Clone)]
pub enum Record {
    /// The event is handled, and this is what comes of it.
    Done(Completion),
    /// A delivery arrived.
    Delivered {
        /// The event it came of.
        event: Position,
        /// Its place among the event's deliveries.
        index: u32,
    },
    /// The event, or one of its deliveries, is given up and kept.
    Dead(DeadLetter),
}

/// Everything that handling an event brought about, in one record: it is there whole or not at all.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The event.
    pub event: Position,
    /// What is to be delivered, in order; a delivery's index is its place here.
    pub deliveries: Vec<Bytes>,
}

/// Something that was given up, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event.
    pub event: Position,
    /// Which of its deliveries; none if handling the event itself failed.
    pub delivery: Option<u32>,
    /// Why, in words.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// What a journal holds at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Events that are not handled yet.
    pub pending_events: usize,
    /// Deliveries that have not arrived yet.
    pub pending_deliveries: usize,
    /// Bytes of both.
    pub pending_bytes: usize,
    /// Dead letters kept.
    pub dead_letters: usize,
}

/// Why a journal could not do what was asked. Reads after "failed to write to the journal: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// One event is larger than the journal takes.
    #[error("the event has {size} bytes; the journal takes events of up to {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The most the journal takes, in bytes.
        limit: usize,
    },
}

/// A future that borrows the journal.
pub type JournalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an engine does.
pub trait Journal: Send + Sync {
    /// Stores an event unless it is a repeat. Resolves when it would survive what the engine promises to survive; at
    /// the journal's bound it waits until there is room. Appends are stored in the order in which the returned
    /// futures were first polled.
    fn append(&self, event: NewEvent) -> JournalFuture<'_, Result<Appended, JournalError>>;

    /// Writes a change of state. Never waits: what it adds belongs to an event that is already counted.
    fn record(&self, record: Record) -> Result<(), JournalError>;

    /// Whether an append would have to wait for room now.
    fn is_full(&self) -> bool;

    /// What it holds.
    fn stats(&self) -> JournalStats;

    /// The dead letters kept, oldest first.
    fn dead_letters(&self) -> Vec<DeadLetter>;
}
