//! What appends pass first, whatever the engine: the bound, and the line before it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{JournalError, Limits, fold::Fold};

pub(crate) struct Front {
    limits: Limits,
    fold: Mutex<Fold>,
    /// Held by the append whose turn it is. It is fair, so appends keep their order at the bound, large ones too.
    turn: tokio::sync::Mutex<()>,
    /// Woken whenever something ends. Only the append whose turn it is waits for it.
    room: Notify,
    clock: Clock,
}

impl Front {
    pub(crate) fn new(fold: Fold) -> Self {
        Self {
            limits: fold.limits,
            fold: Mutex::new(fold),
            turn: tokio::sync::Mutex::default(),
            room: Notify::new(),
            clock: Clock::new(),
        }
    }

    /// The state stays whole whatever happens to a thread that held it: no code between lock and unlock can stop halfway.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Fold> {
        self.fold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the fold that may make room, and lets the append whose turn it is see whether it did.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Fold, u64) -> R) -> R {
        let result = change(&mut self.lock(), self.clock.now_ms());
        self.room.notify_one();
        result
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// How long ago it was `then_ms`.
    pub(crate) fn age(&self, then_ms: u64) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(then_ms))
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
        let _turn = self.turn.lock().await;
        loop {
            let woken = self.room.notified();
            {
                let mut fold = self.lock();
                if fold.has_room(bytes) {
                    return Ok(enter(&mut fold, self.clock.now_ms()));
                }
            }
            woken.await;
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

/// The part of [`Journal`](crate::Journal) that needs no payload: the same for every engine with a `front`.
macro_rules! answered_by_the_front {
    () => {
        fn stats(&self) -> crate::JournalStats {
            self.front.lock().stats()
        }

        fn pending_events(
            &self,
            after: Option<crate::Position>,
            limit: usize,
        ) -> crate::JournalFuture<'_, Result<Vec<crate::PendingEvent>, crate::JournalError>> {
            Box::pin(async move { Ok(self.front.lock().ledger.list_events(after, limit)) })
        }

        fn pending_deliveries(
            &self,
            after: Option<(crate::Position, u32)>,
            limit: usize,
        ) -> crate::JournalFuture<'_, Result<Vec<crate::PendingDelivery>, crate::JournalError>> {
            Box::pin(async move { Ok(self.front.lock().ledger.list_deliveries(after, limit)) })
        }

        fn dead_letters(&self) -> Vec<crate::DeadLetterHead> {
            self.front.lock().dead.iter().map(crate::letters::Death::head).collect()
        }

        fn route(&self, conversation: &str) -> Option<crate::Route> {
            self.front.lock().routes.get(conversation).cloned()
        }

        fn counters(&self) -> Vec<crate::Counter> {
            self.front.lock().counters.all()
        }

        fn keys(&self, bucket: &str, after: Option<&str>, limit: usize) -> Vec<String> {
            self.front.lock().buckets.keys(bucket, after, limit)
        }

        fn bucket_bytes(&self, bucket: &str) -> usize {
            self.front.lock().buckets.bytes(bucket)
        }
    };
}
pub(crate) use answered_by_the_front;
