//! The line of what the writer has to do. Unlike a channel it wakes the writer only when it must: while the writer
//! waits for company within a window, what arrives lets it sleep.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::writer::Op;
use crate::JournalError;

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
    /// Only a question does, or the end.
    InWindow,
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
            Sleeping::InWindow => op.is_urgent(),
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

    /// Waits so long for others, unless there is something that must not wait.
    pub(super) fn wait_for_company(&self, so_long: Duration) {
        self.sleep(Sleeping::InWindow, so_long, |line| !line.ops.iter().any(Op::is_urgent));
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
