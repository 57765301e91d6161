//! What goes into a journal and what comes out.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::JournalFuture;

/// The place of an event in a journal: later events have higher numbers. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// An event on its way into the journal.
#[derive(Clone)]
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

/// A change of state. It counts at once, and is written soon after without anybody waiting: a process that is killed
/// before loses it, which repeats work, and loses none. Who cannot have that waits with
/// [`commit`](crate::Journal::commit).
///
/// Every record is complete in itself and idempotent: applied twice, or to something already ended, it changes nothing.
#[derive(Debug, Clone)]
pub enum Record {
    /// The event is handled, and this is what comes of it.
    Done(Completion),
    /// The event is handled, and besides its deliveries it changed key-values: all of it, or nothing.
    DoneWriting(Completion, Vec<KeyValueWrite>),
    /// A delivery that leaves before its event is handled. Added if the event is pending and never had a delivery of this
    /// index since it was appended: whoever handles the event again, after a failure or a crash, sends nothing twice. It is
    /// delivered even if the event is given up.
    Send {
        /// The event, which must be pending.
        event: Position,
        /// Its place among the event's deliveries, from [`EARLY`] on and before [`NOTICE`].
        index: u32,
        /// What is to be delivered.
        payload: Bytes,
    },
    /// A delivery arrived.
    Delivered {
        /// The event it came of.
        event: Position,
        /// Its place among the event's deliveries.
        index: u32,
    },
    /// The event, or one of its deliveries, is given up and kept.
    Dead {
        /// What is given up, and why.
        letter: DeadLetter,
        /// The plugin at whose hands it failed, if it was one.
        culprit: Option<Culprit>,
        /// A delivery that tells the person, at index [`NOTICE`]. Added if handling the event itself is what is given
        /// up, and it was pending. It takes the place of an earlier notice of the event, whatever became of that one.
        notice: Option<Bytes>,
    },
    /// A try begins. Lower numbers than the one known change nothing.
    Attempt {
        /// The event.
        event: Position,
        /// Which of its deliveries; none for handling the event itself.
        delivery: Option<u32>,
        /// Counted from 1.
        attempt: u32,
    },
    /// A dead letter is pending again, with no attempts. A delivery is as old as that from then on.
    Retry {
        /// The event.
        event: Position,
        /// Which of its deliveries; none for the event itself.
        delivery: Option<u32>,
    },
    /// A dead letter is forgotten.
    Drop {
        /// The event.
        event: Position,
        /// Which of its deliveries; none for the event itself.
        delivery: Option<u32>,
    },
    /// How a conversation can be reached. Of several, the one that expires last stays.
    Route(Route),
    /// A key-value outside a completion.
    Write(KeyValueWrite),
    /// What a counter has reached. Lower numbers than the one known change nothing.
    Count(Counter),
}

/// Everything that handling an event brought about, in one record: it is there whole or not at all.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The event.
    pub event: Position,
    /// What is to be delivered, in order; a delivery's index is its place here.
    pub deliveries: Vec<Bytes>,
    /// Events that come of it. Repeats are left out. They may exceed [`Limits::pending`](crate::Limits::pending) and
    /// [`Limits::pending_bytes`](crate::Limits::pending_bytes) by half; beyond that the record is refused with
    /// [`JournalError::NoRoom`], since waiting for room could be waiting for itself.
    pub events: Vec<NewEvent>,
}

impl Completion {
    /// One that brings deliveries and no events.
    pub fn new(event: Position, deliveries: Vec<Bytes>) -> Self {
        Self { event, deliveries, events: Vec::new() }
    }
}

/// The index of the first delivery that leaves before its event is handled.
pub const EARLY: u32 = 1 << 31;

/// The index of the delivery that tells a person that their event was given up.
pub const NOTICE: u32 = u32::MAX;

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

/// The plugin at whose hands something failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// Its name.
    pub plugin: String,
    /// The generation it ran in.
    pub generation: u64,
}

/// One key of a plugin's bucket changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValueWrite {
    /// The bucket.
    pub bucket: String,
    /// The key within it.
    pub key: String,
    /// What becomes of it.
    pub change: ValueChange,
    /// What the bucket may hold with it, in bytes as [`Limits::bucket_bytes`](crate::Limits::bucket_bytes) counts them,
    /// which is the most whatever is said here. Deleting is never refused.
    pub limit: Option<usize>,
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueChange {
    /// It has this value.
    Set(Bytes),
    /// It has none.
    Delete,
    /// Its number, decimal text of at most 20 bytes, grows by this, to the ends of its range at most. No value counts as 0.
    Add(i64),
}

/// What a record that was taken has changed.
#[must_use = "it may not be written yet"]
pub struct Committed {
    /// Whether it changed anything: a repeated record does not.
    pub changed: bool,
    /// Which of a completion's events were appended, by their place in it, and where. The others are repeats.
    pub appended: Vec<(usize, Position)>,
    /// Resolves when the end of the process would not lose the change any more. After an error it counts all the same, and is
    /// written as soon as the engine can.
    pub written: JournalFuture<'static, Result<(), JournalError>>,
}

/// How a conversation can be reached for a while.
#[derive(Clone, PartialEq, Eq)]
pub struct Route {
    /// The conversation.
    pub conversation: String,
    /// The address, opaque to the journal.
    pub address: Bytes,
    /// When it ends, in milliseconds since 1970.
    pub expires_at_ms: u64,
}

/// Something counted by the month, such as API calls against a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// The month, as year times 100 plus month: 202611.
    pub month: u32,
    /// What is counted.
    pub name: String,
    /// How many there were so far.
    pub total: u64,
}

/// An event that is not handled yet, in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEvent {
    /// Where it is.
    pub position: Position,
    /// What it is ordered by. Events of one key share it.
    pub key: Arc<str>,
}

/// A delivery that has not arrived yet, in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingDelivery {
    /// The event it came of.
    pub event: Position,
    /// Its place among the event's deliveries; [`NOTICE`] comes last.
    pub index: u32,
    /// What the event is ordered by. Events of one key share it.
    pub key: Arc<str>,
}

/// An event that is not handled yet.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Where it is.
    pub position: Position,
    /// What it is ordered by.
    pub key: String,
    /// The event itself.
    pub payload: Bytes,
    /// What only the host may know about it.
    pub private: Bytes,
    /// How often handling it was begun.
    pub attempts: u32,
}

/// A delivery that has not arrived yet.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    /// The event it came of.
    pub event: Position,
    /// Its place among the event's deliveries.
    pub index: u32,
    /// What the event is ordered by.
    pub key: String,
    /// The delivery itself.
    pub payload: Bytes,
    /// What only the host may know about the event.
    pub private: Bytes,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was completed or, of a dead letter, put back to work last, in milliseconds since 1970 by the clock of
    /// this machine.
    pub created_at_ms: u64,
    /// How long ago that is, by the journal's own clock, which goes evenly while the journal is open.
    pub age: Duration,
}

/// A dead letter in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterHead {
    /// What failed, and why.
    pub letter: DeadLetter,
    /// At whose hands, if that is known.
    pub culprit: Option<Culprit>,
    /// When it was given up, in milliseconds since 1970 by the clock of this machine.
    pub at_ms: u64,
}

/// A dead letter with what it is about.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// What failed, and why.
    pub letter: DeadLetter,
    /// At whose hands, if that is known.
    pub culprit: Option<Culprit>,
    /// When it was given up, in milliseconds since 1970 by the clock of this machine.
    pub at_ms: u64,
    /// What the event is ordered by.
    pub key: String,
    /// The event itself.
    pub payload: Bytes,
    /// What only the host may know about the event.
    pub private: Bytes,
    /// The delivery that did not arrive, if it is one.
    pub delivery: Option<Bytes>,
}

/// An event from the trace, whatever became of it.
#[derive(Clone, PartialEq, Eq)]
pub struct TracedEvent {
    /// Where it is.
    pub position: Position,
    /// What it is ordered by.
    pub key: String,
    /// The event itself.
    pub payload: Bytes,
    /// What only the host may know about it.
    pub private: Bytes,
    /// When it was appended, in milliseconds since 1970 by the clock of this machine.
    pub appended_at_ms: u64,
    /// What it is at.
    pub state: EventState,
}

/// What an event is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    /// Not handled yet.
    Pending,
    /// Handled; so many of its deliveries have not arrived yet.
    Delivering(usize),
    /// Handled and delivered, but for what became a dead letter.
    Done,
    /// Given up before it was handled.
    Dead,
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
    /// Dead letters forgotten since the journal was opened, because there were more than it keeps.
    pub evicted_dead_letters: u64,
}

/// Why a journal could not do what was asked. Reads after "failed to use the journal: ".
#[derive(Debug, Clone, thiserror::Error)]
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
    /// A bucket would hold more than it may. Nothing of the record was applied.
    #[error("the bucket {bucket:?} would hold {size} bytes; it may hold {limit}: delete keys")]
    BucketFull {
        /// The bucket.
        bucket: String,
        /// What it would hold, in bytes.
        size: usize,
        /// The most it may hold, in bytes.
        limit: usize,
    },
    /// A value that was to be added to is no number. Nothing of the record was applied.
    #[error("the value of {key:?} in the bucket {bucket:?} is no whole number")]
    NotANumber {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A completion would bring more events than there is room for. Nothing of the record was applied.
    #[error("{events} more events have no room: {pending} are pending")]
    NoRoom {
        /// The events it would bring.
        events: usize,
        /// Events and deliveries pending.
        pending: usize,
    },
    /// The disk took no more. What was stored before is unharmed; the journal goes on when there is room.
    #[error("the disk is full: free space where {path} is")]
    DiskFull {
        /// The journal.
        path: String,
    },
    /// The disk or the folder refuses.
    #[error("{path} cannot be used: {reason}")]
    Storage {
        /// The journal.
        path: String,
        /// What the system or the engine said.
        reason: String,
    },
    /// What is stored is not what was written.
    #[error("{path} is damaged ({what}): the next start sets the damaged files aside")]
    Damaged {
        /// The journal.
        path: String,
        /// What does not fit.
        what: String,
    },
    /// The journal is being closed.
    #[error("the journal is closed")]
    Closed,
}
