//! What a journal promises, shown on every engine.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod common;

use std::{pin::pin, sync::Arc};

use belfry_journal::{
    Appended, Completion, Counter, Culprit, DeadLetter, EARLY, EventState, Journal, JournalError,
    JournalStats, KeyValueWrite, Limits, NOTICE, NewEvent, Position, Record, Route, ValueChange,
};

use common::{dead, deliveries, events, letters, on_each, poll_once};

fn event(id: &str, bytes: usize) -> NewEvent {
    NewEvent {
        key: "cid".into(),
        dedupe: vec![id.into()],
        payload: vec![0; bytes].into(),
        private: Vec::new().into(),
    }
}

async fn append(journal: &Arc<dyn Journal>, id: &str) -> Appended {
    journal.append(event(id, 10)).await.unwrap()
}

async fn position(journal: &Arc<dyn Journal>, id: &str) -> Position {
    let Appended::New(position) = append(journal, id).await else { panic!("{id} is new") };
    position
}

fn completion(event: Position, deliveries: usize) -> Completion {
    Completion::new(event, vec![vec![0; 5].into(); deliveries])
}

fn done(event: Position, deliveries: usize) -> Record {
    Record::Done(completion(event, deliveries))
}

fn letter(event: Position, delivery: Option<u32>) -> DeadLetter {
    DeadLetter { event, delivery, reason: "it is broken".into(), attempts: 3 }
}

fn write(key: &str, value: Option<&'static str>) -> KeyValueWrite {
    let change = value.map_or(ValueChange::Delete, |value| ValueChange::Set(value.into()));
    KeyValueWrite { bucket: "todo".into(), key: key.into(), change, limit: None }
}

#[tokio::test]
async fn a_repeat_is_known_while_handled_and_after() {
    on_each(Limits::default(), async |journal| {
        let event = position(&journal, "a").await;
        assert_eq!(append(&journal, "a").await, Appended::Duplicate);
        journal.record(done(event, 0)).unwrap();
        assert_eq!(append(&journal, "a").await, Appended::Duplicate);
        assert_eq!(journal.stats(), JournalStats::default());
    })
    .await;
}

#[tokio::test]
async fn records_are_idempotent() {
    on_each(Limits::default(), async |journal| {
        let event = position(&journal, "a").await;
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
        for _ in 0..2 {
            journal.record(dead(letter(event, Some(1)))).unwrap();
        }
        journal.record(done(event, 2)).unwrap();
        assert_eq!(journal.stats(), JournalStats { dead_letters: 1, ..JournalStats::default() });
        assert_eq!(letters(&*journal), [letter(event, Some(1))]);
    })
    .await;
}

#[tokio::test]
async fn a_commit_counts_from_the_call_on() {
    on_each(Limits::default(), |journal| async move {
        let event = position(&journal, "a").await;
        let committing = journal.commit(done(event, 1)).unwrap();
        assert!(committing.changed);
        assert_eq!(journal.stats().pending_events, 0, "before it is waited for");
        committing.written.await.unwrap();
        assert_eq!(deliveries(&*journal, None, 10).await.len(), 1);
        // What changes nothing needs no waiting.
        let again = journal.commit(done(event, 1)).unwrap();
        assert!(!again.changed);
        again.written.await.unwrap();
        assert_eq!(journal.stats().pending_deliveries, 1);
    })
    .await;
}

#[tokio::test]
async fn at_the_bound_appends_wait_in_order() {
    on_each(Limits { pending: 2, ..Limits::default() }, async |journal| {
        let (first, second) = (position(&journal, "a").await, position(&journal, "b").await);

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
    })
    .await;
}

#[tokio::test]
async fn an_append_given_up_while_waiting_leaves_no_trace() {
    on_each(Limits { pending: 1, ..Limits::default() }, async |journal| {
        let first = position(&journal, "a").await;
        {
            let mut given_up = pin!(journal.append(event("b", 10)));
            assert!(poll_once(given_up.as_mut()).await.is_pending());
        }
        journal.record(done(first, 0)).unwrap();
        assert!(matches!(append(&journal, "b").await, Appended::New(_)));
    })
    .await;
}

#[tokio::test]
async fn bytes_are_bounded_too() {
    on_each(Limits { pending_bytes: 100, ..Limits::default() }, async |journal| {
        let error = journal.append(event("huge", 101)).await.unwrap_err();
        assert!(matches!(error, JournalError::TooLarge { size: 101, limit: 100 }));
        journal.append(event("a", 60)).await.unwrap();
        let mut waits = pin!(journal.append(event("b", 60)));
        assert!(poll_once(waits.as_mut()).await.is_pending());
        assert_eq!(journal.stats().pending_events, 1);
    })
    .await;
}

#[tokio::test]
async fn a_small_append_does_not_overtake_a_large_one() {
    on_each(Limits { pending_bytes: 100, ..Limits::default() }, async |journal| {
        let (first, second) = (position(&journal, "a").await, position(&journal, "b").await);
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
    })
    .await;
}

#[tokio::test]
async fn a_delivery_counts_its_age_from_when_it_was_put_back_to_work() {
    on_each(Limits::default(), async |journal| {
        let event = position(&journal, "a").await;
        journal.record(done(event, 2)).unwrap();
        journal.record(dead(letter(event, Some(1)))).unwrap();
        let mut first = journal.pending_delivery(event, 0).await.unwrap().unwrap();
        while first.age.as_millis() < 50 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            first = journal.pending_delivery(event, 0).await.unwrap().unwrap();
        }
        journal.record(Record::Retry { event, delivery: Some(1) }).unwrap();
        let retried = journal.pending_delivery(event, 1).await.unwrap().unwrap();
        assert!(retried.created_at_ms >= first.created_at_ms + 50);
        let first = journal.pending_delivery(event, 0).await.unwrap().unwrap();
        assert!(retried.age < first.age, "{:?} {:?}", retried.age, first.age);
        assert_eq!((retried.payload.len(), retried.attempts), (5, 0));
    })
    .await;
}

#[tokio::test]
async fn dead_letters_are_bounded() {
    on_each(Limits { dead_letters: 3, ..Limits::default() }, async |journal| {
        for n in 0..10 {
            let event = position(&journal, &n.to_string()).await;
            let letter = DeadLetter { event, delivery: None, reason: n.to_string(), attempts: 1 };
            journal.record(dead(letter)).unwrap();
        }
        let reasons: Vec<String> = letters(&*journal).into_iter().map(|letter| letter.reason).collect();
        assert_eq!(reasons, ["7", "8", "9"]);
        assert_eq!(journal.stats().evicted_dead_letters, 7);
        assert_eq!(journal.stats().pending_events, 0);
    })
    .await;
}

#[tokio::test]
async fn what_is_pending_is_listed_in_pages_and_read_one_by_one() {
    on_each(Limits::default(), async |journal| {
        let mut all = Vec::new();
        for n in 0..7 {
            all.push(position(&journal, &n.to_string()).await);
        }
        journal.record(Record::Attempt { event: all[2], delivery: None, attempt: 2 }).unwrap();
        journal.record(Record::Attempt { event: all[2], delivery: None, attempt: 1 }).unwrap();
        journal.record(done(all[0], 2)).unwrap();
        journal.record(done(all[3], 1)).unwrap();
        journal.record(Record::Attempt { event: all[3], delivery: Some(0), attempt: 4 }).unwrap();

        let first = events(&*journal, None, 3).await;
        let seen: Vec<_> = first.iter().map(|event| (event.position, event.attempts)).collect();
        assert_eq!(seen, [(all[1], 0), (all[2], 2), (all[4], 0)]);
        assert_eq!((first[0].key.as_str(), first[0].payload.len()), ("cid", 10));
        let rest = events(&*journal, Some(all[4]), 3).await;
        assert_eq!(rest.iter().map(|event| event.position).collect::<Vec<_>>(), [all[5], all[6]]);

        let first = deliveries(&*journal, None, 1).await;
        assert_eq!((first[0].event, first[0].index, first[0].payload.len()), (all[0], 0, 5));
        assert!(first[0].created_at_ms > 1_700_000_000_000);
        let rest = deliveries(&*journal, Some((all[0], 0)), 9).await;
        let seen: Vec<_> =
            rest.iter().map(|delivery| (delivery.event, delivery.index, delivery.attempts)).collect();
        assert_eq!(seen, [(all[0], 1, 0), (all[3], 0, 4)]);

        // What is over, or never was, is not pending; the trace may still know it.
        assert_eq!(journal.pending_event(all[0]).await.unwrap(), None);
        assert_eq!(journal.pending_event(Position(99)).await.unwrap(), None);
        assert_eq!(journal.pending_delivery(all[0], 7).await.unwrap(), None);
        assert_eq!(journal.event(all[0]).await.unwrap().unwrap().state, EventState::Delivering(2));
        assert_eq!(journal.event(Position(99)).await.unwrap(), None);
        assert!(journal.trouble().is_none());
    })
    .await;
}

#[tokio::test]
async fn dead_letters_keep_what_they_are_about_and_can_be_tried_again() {
    on_each(Limits::default(), async |journal| {
        let (failed, sent) = (position(&journal, "a").await, position(&journal, "b").await);
        let culprit = Culprit { plugin: "todo".into(), generation: 7 };
        let record = |letter, culprit| Record::Dead { letter, culprit, notice: None };
        journal.record(record(letter(failed, None), Some(culprit.clone()))).unwrap();
        journal.record(done(sent, 2)).unwrap();
        journal.record(dead(letter(sent, Some(1)))).unwrap();

        let heads = journal.dead_letters();
        assert_eq!((&heads[0].letter, heads[0].culprit.as_ref()), (&letter(failed, None), Some(&culprit)));
        assert!(heads[1].at_ms > 1_700_000_000_000 && heads[1].culprit.is_none());
        let stored = journal.dead_letter(failed, None).await.unwrap().unwrap();
        assert_eq!((stored.letter, stored.culprit), (letter(failed, None), Some(culprit)));
        assert_eq!((stored.payload.len(), stored.delivery), (10, None));
        let stored = journal.dead_letter(sent, Some(1)).await.unwrap().unwrap();
        assert_eq!(stored.delivery.unwrap().len(), 5);
        assert_eq!(journal.dead_letter(sent, None).await.unwrap(), None);

        journal.record(Record::Retry { event: failed, delivery: None }).unwrap();
        journal.record(Record::Retry { event: sent, delivery: Some(1) }).unwrap();
        journal.record(Record::Retry { event: Position(99), delivery: None }).unwrap();
        let expected = JournalStats {
            pending_events: 1,
            pending_deliveries: 2,
            pending_bytes: 20,
            ..JournalStats::default()
        };
        assert_eq!(journal.stats(), expected);
        assert_eq!(journal.pending_events(None, 9).await.unwrap()[0].position, failed);

        journal.record(dead(letter(failed, None))).unwrap();
        for _ in 0..2 {
            journal.record(Record::Drop { event: failed, delivery: None }).unwrap();
        }
        assert_eq!(letters(&*journal), []);
        assert_eq!(append(&journal, "a").await, Appended::Duplicate);
    })
    .await;
}

#[tokio::test]
async fn the_trace_tells_what_an_event_is_at() {
    on_each(Limits::default(), async |journal| {
        let (pending, handled) = (position(&journal, "a").await, position(&journal, "b").await);
        let dead = position(&journal, "c").await;
        journal.record(done(handled, 2)).unwrap();
        journal.record(common::dead(letter(dead, None))).unwrap();
        let seen: Vec<_> = journal
            .events(None, 9)
            .await
            .unwrap()
            .iter()
            .map(|event| (event.position, event.state))
            .collect();
        let expected =
            [(dead, EventState::Dead), (handled, EventState::Delivering(2)), (pending, EventState::Pending)];
        assert_eq!(seen, expected);
        assert_eq!(journal.events(Some(dead), 1).await.unwrap()[0].position, handled);
    })
    .await;
}

#[tokio::test]
async fn key_values_are_written_with_the_completion_or_not_at_all() {
    on_each(Limits { bucket_bytes: 200, ..Limits::default() }, async |journal| {
        let event = position(&journal, "a").await;
        let writes = vec![write("one", Some("1")), write("two", Some("2")), write("one", None)];
        journal.record(Record::DoneWriting(completion(event, 1), writes)).unwrap();
        assert_eq!(journal.keys("todo", None, 9), ["two"]);
        assert_eq!(journal.value("todo", "two").await.unwrap().unwrap(), "2");
        assert_eq!(journal.value("todo", "one").await.unwrap(), None);
        assert_eq!(journal.value("other", "two").await.unwrap(), None);
        assert_eq!(journal.bucket_bytes("todo"), 64 + 4);

        // A repeated record writes nothing again.
        journal.record(Record::Write(write("two", Some("22")))).unwrap();
        journal.record(Record::DoneWriting(completion(event, 1), vec![write("two", Some("2"))])).unwrap();
        assert_eq!(journal.value("todo", "two").await.unwrap().unwrap(), "22");

        let event = position(&journal, "b").await;
        let writes = vec![write("three", Some("3")), write("four", Some("4"))];
        let error = journal.record(Record::DoneWriting(completion(event, 1), writes)).unwrap_err();
        assert!(matches!(error, JournalError::BucketFull { limit: 200, .. }), "{error}");
        assert_eq!(journal.keys("todo", None, 9), ["two"]);
        assert_eq!(journal.stats().pending_events, 1, "nothing of the record is applied");
        let writes = vec![write("three", Some("3")), write("two", None), write("four", Some("4"))];
        journal.record(Record::DoneWriting(completion(event, 0), writes)).unwrap();
        assert_eq!(journal.keys("todo", None, 1), ["four"]);
        assert_eq!(journal.keys("todo", Some("four"), 9), ["three"]);
    })
    .await;
}

fn add(key: &str, more: i64) -> KeyValueWrite {
    let change = ValueChange::Add(more);
    KeyValueWrite { bucket: "todo".into(), key: key.into(), change, limit: None }
}

#[tokio::test]
async fn numbers_grow_by_what_is_added() {
    on_each(Limits::default(), async |journal| {
        let value = async |key: &str| journal.value("todo", key).await.unwrap();
        let event = position(&journal, "a").await;
        let writes =
            vec![add("n", 3), write("set", Some("40")), add("set", 2), add("gone", 1), write("gone", None)];
        for _ in 0..2 {
            journal.record(Record::DoneWriting(completion(event, 0), writes.clone())).unwrap();
        }
        journal.record(Record::Write(add("n", -10))).unwrap();
        assert_eq!(value("n").await.unwrap(), "-7");
        assert_eq!(value("set").await.unwrap(), "42");
        assert_eq!(value("gone").await, None);
        assert_eq!(journal.bucket_bytes("todo"), (64 + 1 + 2) + (64 + 3 + 2));
        for more in [i64::MAX, i64::MAX] {
            journal.record(Record::Write(add("n", more))).unwrap();
        }
        assert_eq!(value("n").await.unwrap(), i64::MAX.to_string());
        for text in ["", "1.5", " 1", "000000000000000000001"] {
            journal.record(Record::Write(write("text", Some(text)))).unwrap();
            let event = position(&journal, text).await;
            let error =
                journal.record(Record::DoneWriting(completion(event, 0), vec![add("n", -1), add("text", 1)]));
            assert!(matches!(error, Err(JournalError::NotANumber { .. })), "{error:?}");
            assert_eq!(value("n").await.unwrap(), i64::MAX.to_string(), "nothing of the record is applied");
            journal.record(done(event, 0)).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_write_can_say_what_its_bucket_may_hold() {
    on_each(Limits { bucket_bytes: 300, ..Limits::default() }, async |journal| {
        let limited = |key: &str, value: Option<&'static str>, limit| {
            Record::Write(KeyValueWrite { limit: Some(limit), ..write(key, value) })
        };
        journal.record(limited("one", Some("1"), 68)).unwrap();
        let error = journal.record(limited("one", Some("11"), 68)).unwrap_err();
        assert!(matches!(error, JournalError::BucketFull { size: 69, limit: 68, .. }), "{error}");
        let error = journal.record(limited("two", Some(&*"2".repeat(300).leak()), 1000)).unwrap_err();
        assert!(matches!(error, JournalError::BucketFull { limit: 300, .. }), "{error}");
        let error =
            journal.record(Record::Write(KeyValueWrite { limit: Some(100), ..add("n", 1) })).unwrap_err();
        assert!(matches!(error, JournalError::BucketFull { limit: 100, .. }), "{error}");
        journal.record(limited("one", None, 0)).unwrap();
        assert_eq!(journal.bucket_bytes("todo"), 0);
    })
    .await;
}

#[tokio::test]
async fn what_is_sent_early_is_sent_once() {
    on_each(Limits { dead_letters: 1, ..Limits::default() }, async |journal| {
        let send = |event, index: u32| Record::Send { event, index, payload: "now".into() };
        let event = position(&journal, "a").await;
        assert!(journal.commit(send(event, EARLY)).unwrap().changed);
        assert!(!journal.commit(send(event, EARLY)).unwrap().changed);
        assert!(journal.commit(send(event, EARLY + 1)).unwrap().changed);
        assert!(!journal.commit(send(event, 0)).unwrap().changed, "that is a reply's place");
        assert!(!journal.commit(send(event, NOTICE)).unwrap().changed);
        let pending = deliveries(&*journal, None, 9).await;
        assert_eq!(pending.iter().map(|delivery| delivery.index).collect::<Vec<_>>(), [EARLY, EARLY + 1]);
        assert_eq!(pending[0].payload, "now");
        journal.record(Record::Delivered { event, index: EARLY }).unwrap();
        assert!(!journal.commit(send(event, EARLY)).unwrap().changed, "it has arrived");
        // Given up and tried again, and still nothing is sent twice.
        journal.record(dead(letter(event, None))).unwrap();
        assert_eq!(journal.stats().pending_deliveries, 1);
        assert!(!journal.commit(send(event, EARLY + 2)).unwrap().changed, "it is not pending");
        journal.record(Record::Retry { event, delivery: None }).unwrap();
        assert!(!journal.commit(send(event, EARLY)).unwrap().changed);
        journal.record(done(event, 1)).unwrap();
        assert_eq!(journal.stats().pending_deliveries, 2);
        assert!(!journal.commit(send(event, EARLY + 2)).unwrap().changed, "it is over");
        journal.record(Record::Delivered { event, index: EARLY + 1 }).unwrap();
        journal.record(Record::Delivered { event, index: 0 }).unwrap();
        assert_eq!(journal.stats(), JournalStats::default());
    })
    .await;
}

#[tokio::test]
async fn events_come_of_a_completion_once_and_within_bounds() {
    on_each(Limits { pending: 4, ..Limits::default() }, async |journal| {
        let first = position(&journal, "a").await;
        let with = |event, ids: &[&str]| {
            let events = ids.iter().map(|id| self::event(id, 10)).collect();
            Record::Done(Completion { events, ..completion(event, 1) })
        };
        let committed = journal.commit(with(first, &["b", "a", "c"])).unwrap();
        let places: Vec<usize> = committed.appended.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [0, 2], "a repeat is left out");
        committed.written.await.unwrap();
        assert!(journal.commit(with(first, &["d"])).unwrap().appended.is_empty(), "it was done before");
        let pending = events(&*journal, None, 9).await;
        let positions: Vec<Position> = committed.appended.iter().map(|(_, position)| *position).collect();
        assert_eq!(pending.iter().map(|event| event.position).collect::<Vec<_>>(), positions);
        assert_eq!(append(&journal, "b").await, Appended::Duplicate);
        // Three are pending; one ends, and five may come.
        let six: Vec<String> = (0..6).map(|n| format!("more {n}")).collect();
        let six: Vec<&str> = six.iter().map(String::as_str).collect();
        let error = journal.record(with(positions[0], &six)).unwrap_err();
        assert!(matches!(error, JournalError::NoRoom { events: 6, pending: 3 }), "{error}");
        assert_eq!(journal.stats().pending_events, 2, "nothing of the record is applied");
        journal.record(with(positions[0], &six[..4])).unwrap();
        assert_eq!(journal.stats().pending_events, 5);
    })
    .await;
}

#[tokio::test]
async fn routes_keep_the_newest_expiry_within_their_bound() {
    on_each(Limits { routes: 2, ..Limits::default() }, async |journal| {
        let route = |conversation: &str, expires_at_ms| Route {
            conversation: conversation.into(),
            address: format!("{conversation}{expires_at_ms}").into(),
            expires_at_ms,
        };
        for (conversation, expires) in [("a", 20), ("a", 10), ("b", 5), ("c", 30)] {
            journal.record(Record::Route(route(conversation, expires))).unwrap();
        }
        assert_eq!(journal.route("a"), Some(route("a", 20)));
        assert_eq!(journal.route("b"), None, "it expires first");
        assert_eq!(journal.route("c"), Some(route("c", 30)));
    })
    .await;
}

#[tokio::test]
async fn counters_only_grow() {
    on_each(Limits { counters: 2, ..Limits::default() }, async |journal| {
        let counter = |month, total| Counter { month, name: "calls".into(), total };
        for (month, total) in [(202609, 9), (202610, 2), (202610, 1), (202611, 5)] {
            journal.record(Record::Count(counter(month, total))).unwrap();
        }
        assert_eq!(journal.counters(), [counter(202610, 2), counter(202611, 5)]);
    })
    .await;
}
