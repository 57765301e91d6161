//! A journal whose files are cut off or changed: found, told, set aside, and what can be read is saved.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::{fs, path::Path};

use belfry_journal::{
    Appended, Completion, Counter, DeadLetter, DurableJournal, DurableSettings, Journal, JournalError,
    NewEvent, Position, Record, Route,
};

const EVENTS: u64 = 200;

/// A journal of 200 pending events with a delivery each for 20 more, as a killed process leaves it (with its log) or
/// as a closed one does.
async fn journal(folder: &Path, killed: bool) {
    let whole = folder.join("whole");
    let journal = DurableJournal::open(&whole, DurableSettings::default()).unwrap();
    let appends = (0..EVENTS + 20).map(|n| {
        journal.append(NewEvent {
            key: "k".into(),
            dedupe: vec![n.to_string()],
            payload: payload(n).into(),
            private: "private".into(),
        })
    });
    let appended = futures_util::future::join_all(appends).await;
    for (n, appended) in appended.into_iter().enumerate() {
        let Appended::New(event) = appended.unwrap() else { panic!("new") };
        if n as u64 >= EVENTS {
            journal.record(Record::Done(Completion::new(event, vec!["reply".into()]))).unwrap();
        }
    }
    // A question is answered when everything before it is written.
    journal.pending_deliveries(None, 1).await.unwrap();
    if killed {
        copy(&whole, &folder.join("copy"));
    } else {
        drop(journal);
        copy(&whole, &folder.join("copy"));
    }
}

fn payload(n: u64) -> Vec<u8> {
    format!("payload {n} ").repeat(100).into_bytes()
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Opens a damaged journal: either everything is there, or the damage is told and nothing that is there is false.
async fn check(path: &Path, what: &str) -> bool {
    let journal = match DurableJournal::open(path, DurableSettings::default()) {
        Ok(journal) => journal,
        // A changed header may look like another program's or a newer file: refused, and left alone.
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.contains("is not a Belfry journal") || text.contains("has format"),
                "{what}: {text}"
            );
            return true;
        }
    };
    let events = common::events(&journal, None, 1000).await;
    let deliveries = common::deliveries(&journal, None, 1000).await;
    for event in &events {
        assert_eq!(event.payload, payload(event.position.0 - 1), "{what}");
        assert_eq!((event.key.as_str(), &event.private[..]), ("k", &b"private"[..]), "{what}");
    }
    for delivery in &deliveries {
        assert_eq!(&delivery.payload[..], b"reply", "{what}");
    }
    assert!(events.windows(2).all(|pair| pair[0].position < pair[1].position));
    let damaged = match journal.damage() {
        Some(damage) => {
            assert!(
                damage.set_aside.join("journal.sqlite").exists() || what.contains("removed"),
                "{what}: {damage}"
            );
            true
        }
        None => {
            // Marks at the end of the log may be gone: then work is repeated. Events may not.
            assert!(events.len() + deliveries.len() >= EVENTS as usize + 20, "{what}: a loss went unseen");
            false
        }
    };
    let appended = journal
        .append(NewEvent { key: "k".into(), dedupe: vec![], payload: "new".into(), private: "".into() })
        .await
        .unwrap();
    assert!(matches!(appended, Appended::New(Position(position)) if position > EVENTS + 20), "{what}");
    damaged
}

#[tokio::test]
async fn flipped_bits_are_found() {
    for killed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        journal(folder.path(), killed).await;
        let work = folder.path().join("work");
        let mut found = 0;
        let seed: u64 = std::env::var("BELFRY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(4711);
        println!("BELFRY_SEED={seed}");
        let mut random = seed;
        for round in 0..60 {
            copy(&folder.path().join("copy"), &work);
            let name = if killed { "journal.sqlite-wal" } else { "journal.sqlite" };
            let mut bytes = fs::read(work.join(name)).unwrap();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (random >> 33) as usize % bytes.len();
            bytes[place] ^= 1 << (round % 8);
            fs::write(work.join(name), bytes).unwrap();
            found += usize::from(check(&work, &format!("{name} with byte {place} changed")).await);
        }
        assert!(found > 10, "only {found} of 60 found");
    }
}

#[tokio::test]
async fn files_cut_off_are_found() {
    for killed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        journal(folder.path(), killed).await;
        let work = folder.path().join("work");
        let name = if killed { "journal.sqlite-wal" } else { "journal.sqlite" };
        let length = fs::metadata(folder.path().join("copy").join(name)).unwrap().len();
        let mut found = 0;
        for tenth in 0..10 {
            copy(&folder.path().join("copy"), &work);
            let file = fs::OpenOptions::new().write(true).open(work.join(name)).unwrap();
            file.set_len(length * tenth / 10 + tenth * 3).unwrap();
            found += usize::from(check(&work, &format!("{name} cut to {tenth}/10")).await);
        }
        assert!(found >= 7, "only {found} of 10 found");
    }
}

#[tokio::test]
async fn a_store_that_was_removed_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    journal(folder.path(), false).await;
    let work = folder.path().join("copy");
    fs::remove_file(work.join("journal.sqlite")).unwrap();
    assert!(check(&work, "removed").await);
}

#[tokio::test]
async fn most_is_saved_from_one_bad_page() {
    let folder = tempfile::tempdir().unwrap();
    journal(folder.path(), false).await;
    let work = folder.path().join("copy");
    let file = work.join("journal.sqlite");
    let mut bytes = fs::read(&file).unwrap();
    let place = bytes.windows(11).position(|window| window == b"payload 77 ").unwrap();
    bytes[place] ^= 1;
    fs::write(&file, bytes).unwrap();
    let journal = DurableJournal::open(&work, DurableSettings::default()).unwrap();
    let damage = journal.damage().unwrap();
    assert_eq!((damage.saved, damage.missing), (EVENTS as usize + 19, 1), "{damage}");
    assert!(damage.to_string().contains("event 78 does not match its checksum"), "{damage}");
    assert_eq!(journal.stats().pending_events, EVENTS as usize - 1);
    let repeat =
        NewEvent { key: "k".into(), dedupe: vec!["3".into()], payload: "".into(), private: "".into() };
    assert_eq!(journal.append(repeat).await.unwrap(), Appended::Duplicate, "dedupe keys are saved too");
}

/// A long backlog is not read when the journal is opened: what is damaged in it shows when its turn comes, and is set
/// aside at the next start.
#[tokio::test]
async fn damage_deep_in_a_backlog_is_found_in_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let large = |n: u64| vec![n as u8 + 1; 1 << 20];
    let journal = DurableJournal::open(&path, DurableSettings::default()).unwrap();
    let appends = (0..20).map(|n| {
        let (payload, private) = (large(n).into(), "private".into());
        journal.append(NewEvent { key: "k".into(), dedupe: vec![], payload, private })
    });
    assert!(futures_util::future::join_all(appends).await.iter().all(Result::is_ok));
    drop(journal);
    let file = path.join("journal.sqlite");
    let mut bytes = fs::read(&file).unwrap();
    let place = bytes.windows(9).position(|window| window == [20; 9]).unwrap();
    bytes[place + 5000] ^= 1;
    fs::write(&file, bytes).unwrap();

    let journal = DurableJournal::open(&path, DurableSettings::default()).unwrap();
    assert_eq!(journal.damage(), None);
    let error = journal.pending_event(Position(20)).await.unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    let sound = journal.pending_event(Position(19)).await.unwrap().unwrap();
    assert_eq!(sound.payload, large(18));
    drop(journal);

    let journal = DurableJournal::open(&path, DurableSettings::default()).unwrap();
    let damage = journal.damage().unwrap();
    assert!(damage.to_string().contains("event 20 does not match its checksum"), "{damage}");
    assert_eq!((damage.saved, damage.missing, journal.stats().pending_events), (19, 1, 19), "{damage}");
    drop(journal);
    let journal = DurableJournal::open(&path, DurableSettings::default()).unwrap();
    assert_eq!((journal.damage(), journal.stats().pending_events), (None, 19));
}

#[tokio::test]
async fn every_row_is_checked() {
    for (change, what, lost) in [
        ("UPDATE route SET expires = expires + 1", "a route does not match", 1),
        ("UPDATE counter SET total = total - 1", "the counter \"calls\" of 202611 does not match", 1),
        ("UPDATE open_event SET attempts = 0", "what is owed of event 1 does not match", 0),
        ("UPDATE open_event SET key = 'other'", "what is owed of event 1 does not match", 0),
        ("UPDATE open_delivery SET bytes = 3", "what is owed of delivery 0 of event 2 does not match", 0),
        ("UPDATE delivery SET at = 3", "delivery 0 of event 2 does not match", 1),
        ("UPDATE dead SET reason = 'other'", "dead letter 3 does not match", 1),
        ("UPDATE seen SET keys = '1:x'", "the dedupe keys of event 1 cannot be read", 0),
        ("DELETE FROM open_delivery", "the list of what is pending is not the one", 1),
        ("DELETE FROM delivery", "delivery 0 of event 2 is missing", 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let journal = DurableJournal::open(folder.path(), DurableSettings::default()).unwrap();
        for id in ["a", "b", "c"] {
            let dedupe = vec![id.to_owned()];
            let event = NewEvent { key: "k".into(), dedupe, payload: "a".into(), private: "b".into() };
            journal.append(event).await.unwrap();
        }
        let (conversation, address) = ("cid".to_owned(), "there".into());
        let letter = DeadLetter { event: Position(3), delivery: None, reason: "no".into(), attempts: 1 };
        for record in [
            Record::Attempt { event: Position(1), delivery: None, attempt: 2 },
            Record::Done(Completion::new(Position(2), vec!["reply".into()])),
            common::dead(letter),
            Record::Route(Route { conversation, address, expires_at_ms: 5 }),
            Record::Count(Counter { month: 202611, name: "calls".into(), total: 4 }),
        ] {
            journal.record(record).unwrap();
        }
        drop(journal);
        let sqlite = rusqlite::Connection::open(folder.path().join("journal.sqlite")).unwrap();
        sqlite.execute_batch(change).unwrap();
        drop(sqlite);
        let journal = DurableJournal::open(folder.path(), DurableSettings::default()).unwrap();
        let damage = journal.damage().unwrap_or_else(|| panic!("unnoticed: {change}")).to_string();
        assert!(damage.contains(what), "{change}: {damage}");
        // What is wrong is left out, and the rest is there.
        let kept = [
            journal.stats().pending_events,
            journal.stats().pending_deliveries,
            journal.stats().dead_letters,
            usize::from(journal.route("cid").is_some()),
            journal.counters().len(),
        ];
        assert_eq!(kept.iter().sum::<usize>(), 5 - lost, "{change}: {kept:?}");
    }
}
