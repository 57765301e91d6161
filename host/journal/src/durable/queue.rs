//! The line of what the writer has to do. Unlike a channel it wakes the writer only when it must: while the writer
//! waits for company within a window, what arrives lets it sleep.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::store::Store;
use crate::{JournalError, NewEvent, Position, fold::Change};

/// The most operations in one transaction.
pub(super) const MAX_GROUP: usize = 1024;

type Read = Box<dyn FnOnce(Result<&Store, JournalError>) + Send>;

/// A question.
pub(super) struct Reading {
    /// What is read from the store, and who gets it.
    pub(super) read: Read,
    /// It is about events only, which no change that could not be written yet has anything to do with.
    pub(super) of_events: bool,
}

pub(super) enum Op {
    Append {
        position: Position,
        at_ms: u64,
        event: NewEvent,
        answer: Answer,
    },
    /// A repeat of an event that may not be on the disk yet. If an append fails in between, it may have been that one.
    Repeat {
        failures: u64,
        answer: Answer,
    },
    /// What one record changes. Answered, if somebody waits for it, when a killed process would not lose it.
    Changes {
        changes: Vec<Change>,
        answer: Option<Answer>,
    },
    Read(Reading),
    Close,
}

impl Op {
    /// Somebody waits for it, and it shares nothing with others.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Close)
    }
}

pub(super) type Answer = oneshot::Sender<Result<(), JournalError>>;

#[derive(Default)]
pub(super) struct Queue {
    line: Mutex<Line>,
    wake: Condvar,
}

#[derive(Default)]
struct Line {
    ops: VecDeque<Op>,
    sleeping: Sleeping,
    closed: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Sleeping {
    #[default]
    Awake,
    /// Anything wakes the writer.
    Idle,
    /// Only a question does, or the end, or enough for a group.
    InWindow { room: usize },
}

impl Queue {
    pub(super) fn push(&self, op: Op) -> Result<(), JournalError> {
        let mut line = self.lock();
        if line.closed {
            return Err(JournalError::Closed);
        }
        let wake = match line.sleeping {
            Sleeping::Awake => false,
            Sleeping::Idle => true,
            Sleeping::InWindow { room } => op.is_urgent() || line.ops.len() + 1 >= room,
        };
        line.ops.push_back(op);
        if wake {
            line.sleeping = Sleeping::Awake;
            drop(line);
            self.wake.notify_one();
        }
        Ok(())
    }

    pub(super) fn pop(&self) -> Option<Op> {
        self.lock().ops.pop_front()
    }

    /// Waits until there is something, for so long at most.
    pub(super) fn wait(&self, at_most: Duration) {
        self.sleep(Sleeping::Idle, at_most, |line| line.ops.is_empty());
    }

    /// Waits so long for others, unless there is something that must not wait, or `room` others.
    pub(super) fn wait_for_company(&self, so_long: Duration, room: usize) {
        self.sleep(Sleeping::InWindow { room }, so_long, |line| {
            line.ops.len() < room && !line.ops.iter().any(Op::is_urgent)
        });
    }

    /// Takes nothing more; what is left is dropped, and with it the answers that are waited for.
    pub(super) fn close(&self) {
        let mut line = self.lock();
        line.closed = true;
        let left = std::mem::take(&mut line.ops);
        drop(line);
        drop(left);
    }

    fn sleep(&self, how: Sleeping, at_most: Duration, still: impl Fn(&Line) -> bool) {
        let mut line = self.lock();
        line.sleeping = how;
        let woken = self.wake.wait_timeout_while(line, at_most, |line| still(line));
        woken.unwrap_or_else(PoisonError::into_inner).0.sleeping = Sleeping::Awake;
    }

    /// No code between lock and unlock can stop halfway.
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
