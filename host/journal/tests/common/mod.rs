//! What several tests use.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::{sync::Arc, task::Poll};

use belfry_journal::{
    DeadLetter, DurableJournal, DurableSettings, Journal, Limits, MemoryJournal, Position, Record,
    StoredDelivery, StoredEvent,
};

/// Runs a test on every engine, each with an empty journal.
pub async fn on_each(limits: Limits, test: impl AsyncFn(Arc<dyn Journal>)) {
    test(Arc::new(MemoryJournal::new(limits))).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = DurableSettings { limits, ..DurableSettings::default() };
    test(Arc::new(DurableJournal::open(folder.path(), settings).unwrap())).await;
}

/// A page of the pending events, as they are stored.
pub async fn events(journal: &dyn Journal, after: Option<Position>, limit: usize) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    for pending in journal.pending_events(after, limit).await.unwrap() {
        let event = journal.pending_event(pending.position).await.unwrap().unwrap();
        assert_eq!((event.position, event.key.as_str()), (pending.position, &*pending.key));
        events.push(event);
    }
    events
}

/// A page of the pending deliveries, as they are stored.
pub async fn deliveries(
    journal: &dyn Journal,
    after: Option<(Position, u32)>,
    limit: usize,
) -> Vec<StoredDelivery> {
    let mut deliveries = Vec::new();
    for pending in journal.pending_deliveries(after, limit).await.unwrap() {
        let delivery = journal.pending_delivery(pending.event, pending.index).await.unwrap().unwrap();
        assert_eq!((delivery.event, delivery.index), (pending.event, pending.index));
        assert_eq!(delivery.key, &*pending.key);
        deliveries.push(delivery);
    }
    deliveries
}

pub fn letters(journal: &dyn Journal) -> Vec<DeadLetter> {
    journal.dead_letters().into_iter().map(|head| head.letter).collect()
}

pub fn dead(letter: DeadLetter) -> Record {
    Record::Dead { letter, culprit: None, notice: None }
}

/// Polls once.
pub async fn poll_once<F: Future + ?Sized>(mut future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
