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
//! - [`DurableJournal`]: the engine for one host on one machine, in a folder on its disk.
//! - [`NewEvent`], [`Appended`], [`Record`], [`Completion`], [`DeadLetter`], [`KeyValueWrite`], [`Route`], [`Counter`]:
//!   what goes in.
//! - [`Committed`]: what becomes of a record that is waited for.
//! - [`PendingEvent`], [`PendingDelivery`], [`DeadLetterHead`]: what is listed.
//! - [`StoredEvent`], [`StoredDelivery`], [`StoredDeadLetter`], [`TracedEvent`]: what comes out.

mod debug;
mod dedupe;
mod durable;
mod fold;
mod front;
mod journal;
mod ledger;
mod letters;
mod limits;
mod memory;
mod record;
mod tables;

pub use durable::{Damage, DurableJournal, DurableSettings, OpenError};
pub use journal::{Journal, JournalFuture};
pub use limits::Limits;
pub use memory::MemoryJournal;
pub use record::{
    Appended, Committed, Completion, Counter, Culprit, DeadLetter, DeadLetterHead, EARLY, EventState,
    JournalError, JournalStats, KeyValueWrite, NOTICE, NewEvent, PendingDelivery, PendingEvent, Position,
    Record, Route, StoredDeadLetter, StoredDelivery, StoredEvent, TracedEvent, ValueChange,
};
