//! A notice tells a person that their event was given up: it comes with the death, and survives retries of the letter.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod common;

use belfry_journal::{
    Appended, Completion, DeadLetter, EventState, Journal, JournalStats, Limits, NOTICE, NewEvent, Position,
    Record,
};

use common::{deliveries, letters, on_each};

async fn position(journal: &dyn Journal) -> Position {
    let event =
        NewEvent { key: "cid".into(), dedupe: vec![], payload: "hello".into(), private: "there".into() };
    let Appended::New(position) = journal.append(event).await.unwrap() else { panic!("new") };
    position
}

fn letter(event: Position, delivery: Option<u32>) -> DeadLetter {
    DeadLetter { event, delivery, reason: "it is broken".into(), attempts: 3 }
}

fn dead(event: Position, notice: &'static str) -> Record {
    Record::Dead { letter: letter(event, None), culprit: None, notice: Some(notice.into()) }
}

#[tokio::test]
async fn it_comes_with_the_death_and_only_once() {
    on_each(Limits::default(), async |journal| {
        let event = position(&*journal).await;
        for _ in 0..2 {
            journal.record(dead(event, "sorry")).unwrap();
            let notices = deliveries(&*journal, None, 9).await;
            assert_eq!(
                (notices.len(), notices[0].index, &notices[0].payload[..]),
                (1, NOTICE, &b"sorry"[..])
            );
            assert_eq!(&notices[0].private[..], b"there");
        }
        let traced = journal.event(event).await.unwrap().unwrap();
        assert_eq!((traced.state, &traced.payload[..]), (EventState::Dead, &b"hello"[..]));
        for _ in 0..2 {
            journal.record(Record::Delivered { event, index: NOTICE }).unwrap();
            assert_eq!(journal.stats().pending_deliveries, 0);
        }
        journal.record(dead(event, "again")).unwrap();
        assert_eq!(journal.stats().pending_deliveries, 0, "the event is not pending any more");
        assert_eq!(letters(&*journal), [letter(event, None)]);
    })
    .await;
}

#[tokio::test]
async fn a_delivery_that_dies_tells_nobody() {
    on_each(Limits::default(), async |journal| {
        let event = position(&*journal).await;
        journal.record(Record::Done(Completion::new(event, vec!["reply".into()]))).unwrap();
        let letter = letter(event, Some(0));
        journal.record(Record::Dead { letter, culprit: None, notice: Some("sorry".into()) }).unwrap();
        assert_eq!(journal.stats().pending_deliveries, 0);
    })
    .await;
}

#[tokio::test]
async fn an_event_can_die_again_whatever_became_of_the_first_notice() {
    on_each(Limits::default(), async |journal| {
        let retry = |event| Record::Retry { event, delivery: None };
        let notices = async || {
            let notices = deliveries(&*journal, None, 9).await;
            notices.into_iter().map(|notice| (notice.event, notice.payload)).collect::<Vec<_>>()
        };

        let undelivered = position(&*journal).await;
        journal.record(dead(undelivered, "first")).unwrap();
        journal.record(Record::Attempt { event: undelivered, delivery: Some(NOTICE), attempt: 4 }).unwrap();
        journal.record(retry(undelivered)).unwrap();
        assert_eq!(journal.stats().pending_deliveries, 1);
        journal.record(dead(undelivered, "second")).unwrap();
        assert_eq!(notices().await, [(undelivered, "second".into())]);
        assert_eq!(deliveries(&*journal, None, 9).await[0].attempts, 0);
        journal.record(Record::Delivered { event: undelivered, index: NOTICE }).unwrap();

        let delivered = position(&*journal).await;
        journal.record(dead(delivered, "first")).unwrap();
        journal.record(Record::Delivered { event: delivered, index: NOTICE }).unwrap();
        journal.record(retry(delivered)).unwrap();
        journal.record(dead(delivered, "second")).unwrap();
        assert_eq!(notices().await, [(delivered, "second".into())]);
        journal.record(Record::Delivered { event: delivered, index: NOTICE }).unwrap();

        let given_up = position(&*journal).await;
        journal.record(dead(given_up, "first")).unwrap();
        let lost = letter(given_up, Some(NOTICE));
        journal.record(Record::Dead { letter: lost.clone(), culprit: None, notice: None }).unwrap();
        assert_eq!(letters(&*journal).last(), Some(&lost));
        journal.record(retry(given_up)).unwrap();
        journal.record(dead(given_up, "second")).unwrap();
        assert_eq!(notices().await, [(given_up, "second".into())]);
        assert!(!letters(&*journal).contains(&lost), "the second took its place");

        // A retry that succeeds leaves nothing behind but the notice.
        journal.record(retry(given_up)).unwrap();
        journal.record(Record::Done(Completion::new(given_up, vec!["reply".into()]))).unwrap();
        assert_eq!(notices().await, [(given_up, "reply".into()), (given_up, "second".into())]);
    })
    .await;
}

#[tokio::test]
async fn it_is_sent_even_if_no_letters_are_kept() {
    on_each(Limits { dead_letters: 0, ..Limits::default() }, async |journal| {
        let event = position(&*journal).await;
        journal.record(dead(event, "sorry")).unwrap();
        assert_eq!(deliveries(&*journal, None, 9).await[0].payload, "sorry");
        journal.record(Record::Delivered { event, index: NOTICE }).unwrap();
        assert_eq!(journal.stats(), JournalStats { evicted_dead_letters: 1, ..JournalStats::default() });
    })
    .await;
}
