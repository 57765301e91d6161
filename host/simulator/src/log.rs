//! The bounded list of records, and waiting for it to grow.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::clock::wall_us;
use crate::record::{Happening, Page, Record};

/// What a record costs beside its own texts: the enum, the `Arc` and shared ids.
const RECORD_OVERHEAD: usize = 256;

#[derive(Debug)]
pub(crate) struct Log {
    inner: Mutex<Inner>,
    grown: Notify,
    closed: AtomicBool,
    max_records: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    records: VecDeque<(usize, Arc<Record>)>,
    bytes: usize,
    /// Records ever written; the newest has this number.
    written: u64,
}

impl Log {
    pub(crate) fn new(max_records: usize, max_bytes: usize) -> Self {
        Self {
            inner: Mutex::default(),
            grown: Notify::new(),
            closed: AtomicBool::new(false),
            max_records,
            max_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends; `text_bytes` is about how much the record's own texts take.
    pub(crate) fn write(&self, what: Happening, text_bytes: usize) {
        let size = RECORD_OVERHEAD + text_bytes;
        let mut inner = self.lock();
        inner.written += 1;
        // Stamped under the lock, so that the order of numbers is the order of time.
        let record = Arc::new(Record { seq: inner.written, at_us: wall_us(), what });
        inner.records.push_back((size, record));
        inner.bytes += size;
        while inner.records.len() > self.max_records || inner.bytes > self.max_bytes {
            let Some((size, _)) = inner.records.pop_front() else { break };
            inner.bytes -= size;
        }
        drop(inner);
        self.grown.notify_waiters();
    }

    /// The number that the next record gets.
    pub(crate) fn next(&self) -> u64 {
        self.lock().written + 1
    }

    pub(crate) fn page(&self, since: u64, limit: usize) -> Page {
        let since = since.max(1);
        let inner = self.lock();
        let first = inner.written + 1 - inner.records.len() as u64;
        let missed = first.saturating_sub(since);
        let skip = usize::try_from(since.saturating_sub(first)).unwrap_or(usize::MAX);
        let start = skip.min(inner.records.len());
        let end = start.saturating_add(limit).min(inner.records.len());
        let records: Vec<_> = inner.records.range(start..end).map(|(_, record)| Arc::clone(record)).collect();
        let next = records.last().map_or(since.max(first), |record| record.seq + 1);
        Page { records, next, missed }
    }

    /// The first page from `since` on that is not empty; an empty one once the log is closed.
    pub(crate) async fn next_page(&self, since: u64, limit: usize) -> Page {
        loop {
            let grown = self.grown.notified();
            tokio::pin!(grown);
            grown.as_mut().enable();
            let closed = self.closed.load(Ordering::Acquire);
            let page = self.page(since, limit);
            if closed || !page.records.is_empty() {
                return page;
            }
            grown.await;
        }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.grown.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Happening {
        Happening::Token { client_id: "app".into() }
    }

    #[test]
    fn the_oldest_are_forgotten_and_the_reader_is_told() {
        let log = Log::new(3, 1 << 20);
        for _ in 0..5 {
            log.write(entry(), 0);
        }
        let page = log.page(1, 2);
        assert_eq!(page.missed, 2);
        assert_eq!(page.records.iter().map(|r| r.seq).collect::<Vec<_>>(), [3, 4]);
        let rest = log.page(page.next, 10);
        assert_eq!((rest.missed, rest.records.len(), rest.next), (0, 1, 6));
        assert_eq!(log.page(rest.next, 10), Page { records: vec![], next: 6, missed: 0 });
    }

    #[test]
    fn bytes_are_bounded_too() {
        let log = Log::new(1_000, 3 * RECORD_OVERHEAD);
        for _ in 0..10 {
            log.write(entry(), 0);
        }
        assert_eq!(log.page(1, 100).records.len(), 3);
        log.write(entry(), 10 * RECORD_OVERHEAD);
        assert_eq!(log.page(1, 100).records.len(), 0);
        assert_eq!(log.next(), 12);
    }

    #[tokio::test]
    async fn a_reader_waits_for_the_next_record() {
        let log = Arc::new(Log::new(10, 1 << 20));
        let reader = tokio::spawn({
            let log = Arc::clone(&log);
            async move { log.next_page(1, 10).await }
        });
        tokio::task::yield_now().await;
        log.write(entry(), 0);
        assert_eq!(reader.await.unwrap().records.len(), 1);
        log.close();
        assert!(log.next_page(2, 10).await.records.is_empty());
    }
}
