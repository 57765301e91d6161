//! Whatever is recorded in whatever order, both engines come to the same state, and the durable one keeps it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use belfry_journal::{
    Appended, Committed, Completion, Counter, DeadLetter, DurableJournal, DurableSettings, EARLY, Journal,
    JournalError, JournalStats, KeyValueWrite, Limits, MemoryJournal, NOTICE, NewEvent, Position, Record,
    Route, ValueChange,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Record(Record),
    Reopen,
}

const LIMITS: Limits = Limits {
    pending: 1000,
    pending_bytes: 1 << 20,
    dedupe_keys: 1000,
    dedupe_for: std::time::Duration::from_secs(3600),
    dead_letters: 3,
    routes: 2,
    bucket_bytes: 250,
    counters: 2,
};

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..40).prop_map(Step::Append),
        12 => record().prop_map(Step::Record),
        1 => Just(Step::Reopen),
    ]
}

fn new_event(id: u8) -> NewEvent {
    let payload = id.to_string().into();
    NewEvent { key: "k".into(), dedupe: vec![id.to_string()], payload, private: "".into() }
}

fn record() -> impl Strategy<Value = Record> {
    let event = || (1u64..20).prop_map(Position);
    let early = || EARLY..EARLY + 3;
    let index = move || prop_oneof![6 => 0u32..3, 3 => early(), 1 => Just(NOTICE)];
    let delivery = move || proptest::option::of(index());
    let write = || {
        let change = prop_oneof![
            2 => "[a-z]{0,40}".prop_map(|value| ValueChange::Set(value.into())),
            1 => "[0-9]{1,22}".prop_map(|value| ValueChange::Set(value.into())),
            1 => Just(ValueChange::Delete),
            2 => any::<i64>().prop_map(ValueChange::Add),
            2 => (-20i64..20).prop_map(ValueChange::Add),
        ];
        ("[ab]", "[a-c]", change, proptest::option::of(0usize..400))
            .prop_map(|(bucket, key, change, limit)| KeyValueWrite { bucket, key, change, limit })
    };
    let completion = move || {
        let deliveries = proptest::collection::vec("[a-z]{0,5}", 0..3);
        let events = proptest::collection::vec(0u8..60, 0..2);
        (event(), deliveries, events).prop_map(|(event, deliveries, events)| Completion {
            event,
            deliveries: deliveries.into_iter().map(Into::into).collect(),
            events: events.into_iter().map(new_event).collect(),
        })
    };
    prop_oneof![
        completion().prop_map(Record::Done),
        (completion(), proptest::collection::vec(write(), 0..3))
            .prop_map(|(completion, writes)| Record::DoneWriting(completion, writes)),
        (event(), early(), "[a-z]{0,5}").prop_map(|(event, index, payload)| Record::Send {
            event,
            index,
            payload: payload.into()
        }),
        (event(), index()).prop_map(|(event, index)| Record::Delivered { event, index }),
        (event(), delivery(), "[a-z]{0,5}", 0u32..5, proptest::option::of("[a-z]{0,5}")).prop_map(
            |(event, delivery, reason, attempts, notice)| Record::Dead {
                letter: DeadLetter { event, delivery, reason, attempts },
                culprit: None,
                notice: notice.map(Into::into),
            }
        ),
        (event(), delivery(), 0u32..5).prop_map(|(event, delivery, attempt)| Record::Attempt {
            event,
            delivery,
            attempt
        }),
        (event(), delivery()).prop_map(|(event, delivery)| Record::Retry { event, delivery }),
        (event(), delivery()).prop_map(|(event, delivery)| Record::Drop { event, delivery }),
        ("[abc]", 0u64..9).prop_map(|(conversation, expires_at_ms)| Record::Route(Route {
            conversation,
            address: "a".into(),
            expires_at_ms
        })),
        write().prop_map(Record::Write),
        ((1u32..4), 1u64..9).prop_map(|(month, total)| Record::Count(Counter {
            month,
            name: "n".into(),
            total
        })),
    ]
}

/// Everything that can be asked of a journal, but for times.
async fn everything(journal: &dyn Journal) -> String {
    use std::fmt::Write;
    // Counted since the journal was opened.
    let stats = JournalStats { evicted_dead_letters: 0, ..journal.stats() };
    let mut all = format!("{stats:?}\n");
    for event in common::events(journal, None, 1000).await {
        writeln!(all, "{event:?}").unwrap();
    }
    for mut delivery in common::deliveries(journal, None, 1000).await {
        (delivery.created_at_ms, delivery.age) = (0, std::time::Duration::ZERO);
        writeln!(all, "{delivery:?}").unwrap();
    }
    for letter in common::letters(journal) {
        let mut stored = journal.dead_letter(letter.event, letter.delivery).await.unwrap().unwrap();
        stored.at_ms = 0;
        writeln!(all, "{stored:?}").unwrap();
    }
    for conversation in ["a", "b", "c"] {
        writeln!(all, "{:?}", journal.route(conversation)).unwrap();
    }
    for bucket in ["a", "b"] {
        writeln!(all, "{} bytes", journal.bucket_bytes(bucket)).unwrap();
        for key in journal.keys(bucket, None, 9) {
            writeln!(all, "{key}: {:?}", journal.value(bucket, &key).await.unwrap()).unwrap();
        }
    }
    writeln!(all, "{:?}", journal.counters()).unwrap();
    all
}

async fn run(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        DurableSettings { limits: LIMITS, commit_window: std::time::Duration::ZERO, ..Default::default() };
    let memory = MemoryJournal::new(LIMITS);
    let mut durable = Some(DurableJournal::open(folder.path(), settings).unwrap());
    for step in steps {
        let journal = durable.as_ref().unwrap();
        match step {
            Step::Append(id) => {
                let event = new_event(id);
                let expected: Appended = memory.append(event.clone()).await.unwrap();
                assert_eq!(journal.append(event).await.unwrap(), expected);
            }
            Step::Record(record) => {
                let told = |committed: Result<Committed, JournalError>| {
                    committed
                        .map(|committed| (committed.changed, committed.appended))
                        .map_err(|error| error.to_string())
                };
                let expected = told(memory.commit(record.clone()));
                assert_eq!(told(journal.commit(record)), expected);
            }
            Step::Reopen => {
                durable = None;
                let journal = durable.insert(DurableJournal::open(folder.path(), settings).unwrap());
                assert_eq!(journal.damage(), None);
                assert_eq!(everything(journal).await, everything(&memory).await);
            }
        }
    }
    durable = None;
    let journal = durable.insert(DurableJournal::open(folder.path(), settings).unwrap());
    assert_eq!(journal.damage(), None);
    assert_eq!(everything(journal).await, everything(&memory).await);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn both_engines_come_to_the_same_state(steps in proptest::collection::vec(step(), 1..120)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps));
    }
}
