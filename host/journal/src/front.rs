//! What appends pass first, whatever the engine: the bound, and the line before it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::{sync::Notify, time::Instant};

use crate::{JournalError, Limits, fold::Fold};

pub(crate) struct Front {
    limits: Limits,
    state: Mutex<Line>,
    /// Woken whenever something ends. Waiters queue, so appends keep their order at the bound.
    room: Notify,
    clock: Clock,
}

/// The fold, and who waits to add to it.
pub(crate) struct Line {
    pub(crate) fold: Fold,
    /// Appends that wait for room; while there are any, a new one must not overtake them.
    waiting: usize,
}

impl Front {
    pub(crate) fn new(fold: Fold) -> Self {
        Self {
            limits: fold.limits,
            state: Mutex::new(Line { fold, waiting: 0 }),
            room: Notify::new(),
            clock: Clock::new(),
        }
    }

    /// The state stays whole whatever happens to a thread that held it: no code between lock and unlock can stop halfway.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Line> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the fold that may make room, and lets the first that waits have it.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Fold, u64) -> R) -> R {
        let mut line = self.lock();
        let before = line.fold.stats();
        let result = change(&mut line.fold, self.clock.now_ms());
        let after = line.fold.stats();
        let (before, pending) = (
            before.pending_events + before.pending_deliveries,
            after.pending_events + after.pending_deliveries,
        );
        if line.waiting > 0 && pending < before {
            self.room.notify_one();
        }
        result
    }

    pub(crate) fn is_full(&self) -> bool {
        let line = self.lock();
        line.waiting > 0 || !line.fold.has_room(0)
    }

    /// Waits until there is room for so many bytes, in line, and then does `enter`.
    pub(crate) async fn enter<R>(
        &self,
        bytes: usize,
        enter: impl FnOnce(&mut Fold, u64) -> R,
    ) -> Result<R, JournalError> {
        if bytes > self.limits.pending_bytes {
            return Err(JournalError::TooLarge { size: bytes, limit: self.limits.pending_bytes });
        }
        let mut queued = Queued { front: self, counted: false };
        loop {
            let woken = self.room.notified();
            {
                let mut line = self.lock();
                if (line.waiting == 0 || queued.counted) && line.fold.has_room(bytes) {
                    queued.leave(&mut line);
                    return Ok(enter(&mut line.fold, self.clock.now_ms()));
                }
                queued.join(&mut line);
            }
            woken.await;
        }
    }
}

/// Counts an append among those that wait, also if its future is dropped while it does.
struct Queued<'a> {
    front: &'a Front,
    counted: bool,
}

impl Queued<'_> {
    fn join(&mut self, line: &mut Line) {
        if !self.counted {
            self.counted = true;
            line.waiting += 1;
        }
    }

    fn leave(&mut self, line: &mut Line) {
        if self.counted {
            self.counted = false;
            line.waiting -= 1;
            // There may be room for the next one as well.
            self.front.room.notify_one();
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if self.counted {
            let mut line = self.front.lock();
            self.leave(&mut line);
        }
    }
}

/// Milliseconds since 1970 as this machine had it when the journal was opened, and counted evenly from there: a clock
/// that is set while the host runs makes nothing old, and nothing young.
struct Clock {
    opened_at_ms: u64,
    opened: Instant,
}

impl Clock {
    fn new() -> Self {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self { opened_at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), opened: Instant::now() }
    }

    fn now_ms(&self) -> u64 {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.opened_at_ms.saturating_add(since)
    }
}
