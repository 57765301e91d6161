//! What a journal promises, shown on the memory engine.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{pin::pin, sync::Arc, task::Poll};

use belfry_journal::{
    Appended, Completion, DeadLetter, Journal, JournalError, JournalStats, MemoryJournal, MemoryLimits,
    NewEvent, Position, Record,
};

fn event(id: &str, bytes: usize) -> NewEvent {
    NewEvent {
        key: "cid".into(),
        dedupe: vec![id.into()],
        payload: vec![0; bytes].into(),
        private: Vec::new().into(),
    }
}

async fn append(journal: &MemoryJournal, id: &str) -> Appended {
    journal.append(event(id, 10)).await.unwrap()
}

fn done(event: Position, deliveries: usize) -> Record {
    Record::Done(Completion { event, deliveries: vec![vec![0; 5].into(); deliveries] })
}

#[tokio::test]
async fn a_repeat_is_known_while_handled_and_after() {
    let journal = MemoryJournal::default();
    let Appended::New(position) = append(&journal, "a").await else { panic!("new") };
    assert_eq!(append(&journal, "a").await, Appended::Duplicate);
    journal.record(done(position, 0)).unwrap();
    assert_eq!(append(&journal, "a").await, Appended::Duplicate);
    assert_eq!(journal.stats(), JournalStats::default());
}

#[tokio::test]
async fn records_are_idempotent() {
    let journal = MemoryJournal::default();
    let Appended::New(event) = append(&journal, "a").await else { panic!("new") };
    for _ in 0..2 {
        journal.record(done(event, 2)).unwrap();
        assert_eq!(journal.stats().pending_deliveries, 2);
        assert_eq!(journal.stats().pending_bytes, 10);
    }
    for _ in 0..2 {
        journal.record(Record::Delivered { event, index: 0 }).unwrap();
        assert_eq!(journal.stats().pending_deliveries, 1);
    }
    journal.record(Record::Delivered { event, index: 7 }).unwrap();
    let letter =
        DeadLetter { event, delivery: Some(1), reason: "the webhook has expired".into(), attempts: 3 };
    for _ in 0..2 {
        journal.record(Record::Dead(letter.clone())).unwrap();
    }
    journal.record(done(event, 2)).unwrap();
    assert_eq!(journal.stats(), JournalStats { dead_letters: 1, ..JournalStats::default() });
    assert_eq!(journal.dead_letters(), [letter]);
}

#[tokio::test]
async fn at_the_bound_appends_wait_in_order() {
    let journal = Arc::new(MemoryJournal::new(MemoryLimits { pending: 2, ..MemoryLimits::default() }));
    let Appended::New(first) = append(&journal, "a").await else { panic!("new") };
    let Appended::New(second) = append(&journal, "b").await else { panic!("new") };
    assert!(journal.is_full());

    let mut third = pin!(journal.append(event("c", 10)));
    let mut fourth = pin!(journal.append(event("d", 10)));
    assert!(poll_once(third.as_mut()).await.is_pending());
    assert!(poll_once(fourth.as_mut()).await.is_pending());

    journal.record(done(first, 0)).unwrap();
    assert!(poll_once(fourth.as_mut()).await.is_pending(), "the later one must not overtake");
    let third = third.await.unwrap();
    journal.record(done(second, 0)).unwrap();
    let fourth = fourth.await.unwrap();
    let (Appended::New(third), Appended::New(fourth)) = (third, fourth) else { panic!("new") };
    assert!(first < second && second < third && third < fourth);
}

#[tokio::test]
async fn an_append_given_up_while_waiting_leaves_no_trace() {
    let journal = MemoryJournal::new(MemoryLimits { pending: 1, ..MemoryLimits::default() });
    let Appended::New(first) = append(&journal, "a").await else { panic!("new") };
    {
        let mut given_up = pin!(journal.append(event("b", 10)));
        assert!(poll_once(given_up.as_mut()).await.is_pending());
    }
    journal.record(done(first, 0)).unwrap();
    assert!(!journal.is_full());
    assert!(matches!(append(&journal, "b").await, Appended::New(_)));
}

#[tokio::test]
async fn bytes_are_bounded_too() {
    let journal = MemoryJournal::new(MemoryLimits { pending_bytes: 100, ..MemoryLimits::default() });
    let error = journal.append(event("huge", 101)).await.unwrap_err();
    assert!(matches!(error, JournalError::TooLarge { size: 101, limit: 100 }));
    journal.append(event("a", 60)).await.unwrap();
    let mut waits = pin!(journal.append(event("b", 60)));
    assert!(poll_once(waits.as_mut()).await.is_pending());
}

#[tokio::test]
async fn a_small_append_does_not_overtake_a_large_one() {
    let journal = MemoryJournal::new(MemoryLimits { pending_bytes: 100, ..MemoryLimits::default() });
    let Appended::New(first) = append(&journal, "a").await else { panic!("new") };
    let Appended::New(second) = append(&journal, "b").await else { panic!("new") };
    let Appended::New(third) = journal.append(event("c", 75)).await.unwrap() else { panic!("new") };
    let mut large = pin!(journal.append(event("large", 60)));
    let mut small = pin!(journal.append(event("small", 15)));
    assert!(poll_once(large.as_mut()).await.is_pending());
    assert!(poll_once(small.as_mut()).await.is_pending());
    // From here on there is room for the small one, but the large one came first.
    journal.record(done(first, 0)).unwrap();
    assert!(poll_once(large.as_mut()).await.is_pending());
    journal.record(done(second, 0)).unwrap();
    assert!(poll_once(small.as_mut()).await.is_pending());
    journal.record(done(third, 0)).unwrap();
    let (large, small) = (large.await.unwrap(), small.await.unwrap());
    let (Appended::New(large), Appended::New(small)) = (large, small) else { panic!("new") };
    assert!(large < small);
}

#[tokio::test]
async fn dead_letters_are_bounded() {
    let journal = MemoryJournal::new(MemoryLimits { dead_letters: 3, ..MemoryLimits::default() });
    for n in 0..10 {
        let Appended::New(event) = append(&journal, &n.to_string()).await else { panic!("new") };
        let letter = DeadLetter { event, delivery: None, reason: n.to_string(), attempts: 1 };
        journal.record(Record::Dead(letter)).unwrap();
    }
    let reasons: Vec<String> = journal.dead_letters().into_iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, ["7", "8", "9"]);
    assert_eq!(journal.stats().pending_events, 0);
}

/// Polls once.
async fn poll_once<F: Future + ?Sized>(mut future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
