//! What only a durable journal promises: what it holds after it was closed, killed, damaged, or refused by the disk.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod common;

use std::{fs, path::Path, process::Command, time::Duration};

use belfry_journal::{
    Appended, Completion, Counter, DeadLetter, DurableJournal, DurableSettings, EventState, Journal,
    JournalError, KeyValueWrite, Limits, NewEvent, OpenError, Position, Record, Route, ValueChange,
};

fn open(path: &Path) -> DurableJournal {
    DurableJournal::open(path, DurableSettings::default()).unwrap()
}

fn event(id: &str, payload: Vec<u8>) -> NewEvent {
    NewEvent {
        key: format!("key of {id}"),
        dedupe: vec![id.into()],
        payload: payload.into(),
        private: "p".into(),
    }
}

async fn append(journal: &DurableJournal, id: &str) -> Position {
    match journal.append(event(id, id.repeat(50).into())).await.unwrap() {
        Appended::New(position) => position,
        Appended::Duplicate => panic!("{id} is new"),
    }
}

fn done(event: Position, deliveries: &[&'static str]) -> Record {
    Record::Done(Completion::new(event, deliveries.iter().map(|&delivery| delivery.into()).collect()))
}

#[tokio::test]
async fn everything_is_there_after_it_was_closed() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let (first, second, third) =
        (append(&journal, "a").await, append(&journal, "b").await, append(&journal, "c").await);
    let write = KeyValueWrite {
        bucket: "todo".into(),
        key: "k".into(),
        change: ValueChange::Set("v".into()),
        limit: None,
    };
    let completion = Completion::new(first, vec!["one".into(), "two".into()]);
    journal.record(Record::DoneWriting(completion, vec![write])).unwrap();
    journal.record(Record::Delivered { event: first, index: 0 }).unwrap();
    journal.record(Record::Attempt { event: first, delivery: Some(1), attempt: 3 }).unwrap();
    let letter = DeadLetter { event: second, delivery: None, reason: "no".into(), attempts: 2 };
    journal.record(common::dead(letter.clone())).unwrap();
    journal.record(Record::Attempt { event: third, delivery: None, attempt: 5 }).unwrap();
    let route = Route { conversation: "cid".into(), address: "there".into(), expires_at_ms: 5 };
    journal.record(Record::Route(route.clone())).unwrap();
    let counter = Counter { month: 202611, name: "calls".into(), total: 4 };
    journal.record(Record::Count(counter.clone())).unwrap();
    let stats = journal.stats();
    drop(journal);

    let journal = open(folder.path());
    assert_eq!(journal.damage(), None);
    assert_eq!(journal.stats(), stats);
    let pending = common::events(&journal, None, 9).await;
    assert_eq!((pending.len(), pending[0].position, pending[0].attempts), (1, third, 5));
    assert_eq!((&pending[0].key[..], &pending[0].private[..]), ("key of c", &b"p"[..]));
    let pending = common::deliveries(&journal, None, 9).await;
    assert_eq!((pending.len(), &pending[0].payload[..], pending[0].attempts), (1, &b"two"[..], 3));
    assert_eq!(common::letters(&journal), [letter]);
    assert_eq!(journal.route("cid"), Some(route));
    assert_eq!(journal.counters(), [counter]);
    assert_eq!(journal.value("todo", "k").await.unwrap().unwrap(), "v");
    assert_eq!(journal.bucket_bytes("todo"), 66);
    for id in ["a", "b", "c"] {
        assert_eq!(journal.append(event(id, Vec::new())).await.unwrap(), Appended::Duplicate);
    }
    assert!(append(&journal, "d").await > third);
}

#[tokio::test]
async fn a_delivery_put_back_to_work_is_as_old_as_that_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let event = append(&journal, "a").await;
    journal.record(done(event, &["reply"])).unwrap();
    let before = journal.pending_delivery(event, 0).await.unwrap().unwrap().created_at_ms;
    let letter = DeadLetter { event, delivery: Some(0), reason: "no".into(), attempts: 2 };
    journal.record(common::dead(letter)).unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    journal.record(Record::Retry { event, delivery: Some(0) }).unwrap();
    drop(journal);
    let journal = open(folder.path());
    assert_eq!(journal.damage(), None);
    assert!(journal.pending_delivery(event, 0).await.unwrap().unwrap().created_at_ms > before);
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let _journal = open(folder.path());
    let error = DurableJournal::open(folder.path(), DurableSettings::default()).err().unwrap();
    assert!(matches!(error, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    assert!(error.to_string().contains(&format!("(pid {})", std::process::id())));
}

#[tokio::test]
async fn other_formats_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()), "a").await;
    let file = folder.path().join("journal.sqlite");
    let sqlite = rusqlite::Connection::open(&file).unwrap();
    sqlite.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(sqlite);
    let before = fs::read(&file).unwrap();
    let error = DurableJournal::open(folder.path(), DurableSettings::default()).err().unwrap();
    assert!(matches!(error, OpenError::NewerFormat { found: 99, .. }), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);

    let sqlite = rusqlite::Connection::open(&file).unwrap();
    sqlite.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(sqlite);
    let error = DurableJournal::open(folder.path(), DurableSettings::default()).err().unwrap();
    assert!(matches!(error, OpenError::OlderFormat { found: 1, .. }), "{error}");

    let sqlite = rusqlite::Connection::open(&file).unwrap();
    sqlite.execute_batch("PRAGMA application_id = 5").unwrap();
    drop(sqlite);
    let error = DurableJournal::open(folder.path(), DurableSettings::default()).err().unwrap();
    assert!(matches!(error, OpenError::NotAJournal { .. }), "{error}");

    let error = DurableJournal::open(&file, DurableSettings::default()).err().unwrap();
    assert!(matches!(error, OpenError::NotAJournal { .. }), "{error}");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = DurableJournal::open(file.join("journal"), DurableSettings::default()).err().unwrap();
    assert!(error.to_string().contains("a part of the path is a file"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_created_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let rights = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    drop(open(&path));
    assert_eq!(rights(&path), 0o700);
    // A folder that was made for it keeps its rights.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let journal = open(&path);
    append(&journal, "a").await;
    for name in ["journal.sqlite", "journal.sqlite-wal", "lock", "mark"] {
        assert_eq!(rights(&path.join(name)), 0o600, "{name}");
    }
    drop(journal);
    fs::write(path.join("journal.sqlite"), "not a store").unwrap();
    let journal = open(&path);
    assert_eq!(rights(&path), 0o755);
    assert_eq!(rights(&journal.damage().unwrap().set_aside), 0o700);
    for name in ["journal.sqlite", "journal.sqlite-wal", "lock", "mark"] {
        assert_eq!(rights(&path.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn events_that_are_over_go_by_size_and_age() {
    let folder = tempfile::tempdir().unwrap();
    let settings = DurableSettings { keep_bytes: 1 << 20, ..DurableSettings::default() };
    let journal = DurableJournal::open(folder.path(), settings).unwrap();
    let kept = append(&journal, "kept").await;
    let dead = append(&journal, "dead").await;
    journal
        .record(common::dead(DeadLetter { event: dead, delivery: None, reason: "no".into(), attempts: 1 }))
        .unwrap();
    for n in 0..200 {
        let events = (0..20).map(|m| journal.append(event(&format!("{n} {m}"), vec![7; 2000])));
        for appended in futures_util::future::join_all(events).await {
            let Appended::New(position) = appended.unwrap() else { panic!("new") };
            journal.record(done(position, &[])).unwrap();
        }
    }
    let mut oldest = u64::MAX;
    while oldest > 2 || journal.events(None, 10_000).await.unwrap().len() > 1000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        oldest = journal.events(None, 10_000).await.unwrap().last().unwrap().position.0;
        let Appended::New(position) =
            journal.append(NewEvent { dedupe: vec![], ..event("", vec![]) }).await.unwrap()
        else {
            panic!("new")
        };
        journal.record(done(position, &[])).unwrap();
    }
    let trace = journal.events(None, 10_000).await.unwrap();
    let ends = &trace[trace.len() - 2..];
    assert_eq!((ends[0].position, ends[0].state), (dead, EventState::Dead));
    assert_eq!((ends[1].position, ends[1].state), (kept, EventState::Pending));
    drop(journal);
    let journal = open(folder.path());
    assert_eq!(journal.damage(), None);
    let again = journal.append(event("0 0", Vec::new())).await.unwrap();
    assert_eq!(again, Appended::Duplicate, "a key outlives its event");
}

#[tokio::test]
async fn what_grows_old_goes_when_nothing_new_comes() {
    let folder = tempfile::tempdir().unwrap();
    // Longer than the first look after an event takes to come.
    let settings = DurableSettings { keep_for: Duration::from_millis(1500), ..DurableSettings::default() };
    let journal = DurableJournal::open(folder.path(), settings).unwrap();
    let (over, pending) = (append(&journal, "over").await, append(&journal, "pending").await);
    journal.record(done(over, &[])).unwrap();
    while journal.event(over).await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(journal.event(pending).await.unwrap().unwrap().state, EventState::Pending);
}

/// A memory disk of 4 MB, for those who may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: mounting a small disk takes root");
        None
    }

    fn remount(&self, option: &str) {
        let remounted = Command::new("mount").args(["-o", option]).arg(self.0.path()).output().unwrap();
        assert!(remounted.status.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_appends_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.0.path().join("journal");
    let journal = open(&path);
    let mut stored = Vec::new();
    let error = loop {
        match journal.append(event(&stored.len().to_string(), vec![7; 2000])).await {
            Ok(Appended::New(position)) => stored.push(position),
            Ok(Appended::Duplicate) => panic!("new"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, JournalError::DiskFull { .. }), "{error}");
    assert!(stored.len() > 100);
    assert!(matches!(journal.trouble(), Some(JournalError::DiskFull { .. })));
    let refused = stored.len().to_string();
    assert!(journal.append(event(&refused, vec![7; 2000])).await.is_err(), "a refused event is not a repeat");
    assert!(matches!(journal.trouble(), Some(JournalError::DiskFull { .. })));
    // Records do not fail, and are written as soon as there is room; who waits for that is told.
    // It is large, as something small may fit where the refused event did not.
    let deliveries = vec![vec![7; 100_000].into()];
    let committed =
        journal.commit(Record::Done(Completion::new(stored[0], deliveries))).unwrap().written.await;
    assert!(matches!(committed, Err(JournalError::DiskFull { .. })), "{committed:?}");
    disk.remount("remount,size=16m");
    stored.push(append(&journal, &refused).await);
    assert!(journal.trouble().is_none());
    drop(journal);

    let journal = open(&path);
    assert_eq!(journal.damage(), None);
    let pending = journal.pending_events(None, 10_000).await.unwrap();
    assert!(pending.iter().map(|event| event.position).eq(stored[1..].iter().copied()));
    assert_eq!(journal.pending_deliveries(None, 9).await.unwrap().len(), 1);
    drop(journal);

    disk.remount("remount,ro");
    let error = DurableJournal::open(&path, DurableSettings::default()).err().unwrap();
    assert!(error.to_string().contains("put the journal on a disk that can be written"), "{error}");
}

#[tokio::test]
async fn a_quiet_journal_is_synced_soon() {
    let folder = tempfile::tempdir().unwrap();
    let settings = DurableSettings { idle_sync: Duration::from_millis(10), ..DurableSettings::default() };
    let journal = DurableJournal::open(folder.path(), settings).unwrap();
    let event = append(&journal, "a").await;
    let before = journal.syncs();
    journal.record(done(event, &[])).unwrap();
    while journal.syncs() == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn appends_share_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { pending: 10_000, ..Limits::default() };
    let journal =
        DurableJournal::open(folder.path(), DurableSettings { limits, ..Default::default() }).unwrap();
    let before = journal.syncs();
    let events = (0..1000).map(|n| journal.append(event(&n.to_string(), vec![7; 100])));
    assert!(futures_util::future::join_all(events).await.iter().all(Result::is_ok));
    assert!(journal.syncs() - before < 200);
}

#[tokio::test]
async fn a_question_does_not_end_the_window_of_an_append() {
    let folder = tempfile::tempdir().unwrap();
    let settings = DurableSettings { commit_window: Duration::from_secs(3600), ..DurableSettings::default() };
    let journal = DurableJournal::open(folder.path(), settings).unwrap();
    // After a quiet time there is nobody to wait for.
    append(&journal, "alone").await;
    let before = journal.syncs();
    let mut first = std::pin::pin!(journal.append(event("first", vec![7; 100])));
    assert!(common::poll_once(first.as_mut()).await.is_pending());
    let trace = journal.events(None, 9).await.unwrap();
    assert_eq!((trace.len(), trace[0].state), (2, EventState::Pending), "it is written already");
    assert_eq!(journal.syncs(), before);
    assert!(common::poll_once(first.as_mut()).await.is_pending(), "it is not on the disk yet");
    // A group that is full waits no longer.
    let more =
        futures_util::future::join_all((0..1024).map(|n| journal.append(event(&n.to_string(), vec![]))));
    let (first, more) = futures_util::future::join(first, more).await;
    assert!(first.is_ok() && more.iter().all(Result::is_ok));
    assert_eq!(journal.syncs(), before + 1);
}

#[tokio::test]
async fn an_append_written_for_a_question_waits_until_the_disk_has_it() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.0.path().join("journal");
    let settings = DurableSettings { commit_window: Duration::from_secs(3600), ..DurableSettings::default() };
    let journal = DurableJournal::open(&path, settings).unwrap();
    append(&journal, "alone").await;
    let mut first = journal.append(event("first", vec![7; 100]));
    assert!(common::poll_once(first.as_mut()).await.is_pending());
    assert_eq!(journal.events(None, 9).await.unwrap().len(), 2);
    let filler = disk.0.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[7; 4096]).is_ok() {}

    let appends = (0..1024).map(|n| journal.append(event(&n.to_string(), vec![7; 1000])));
    for appended in futures_util::future::join_all(appends).await {
        assert!(matches!(appended, Err(JournalError::DiskFull { .. })), "{appended:?}");
    }
    assert!(common::poll_once(first.as_mut()).await.is_pending(), "it is neither lost nor safe");
    drop(file);
    fs::remove_file(&filler).unwrap();
    let Appended::New(position) = first.await.unwrap() else { panic!("new") };
    assert!(journal.trouble().is_none());
    drop(journal);
    let journal = open(&path);
    assert_eq!((journal.damage(), journal.stats().pending_events), (None, 2));
    assert_eq!(journal.pending_event(position).await.unwrap().unwrap().payload.len(), 100);
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_written_where_nobody_finds_it_is_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (folder.path().join("journal"), folder.path().join("elsewhere"));
    let journal = open(&path);
    let first = append(&journal, "first").await;
    fs::rename(&path, &elsewhere).unwrap();
    let refused = journal.append(event("second", vec![7; 100])).await.unwrap_err();
    assert!(refused.to_string().contains("removed or replaced"), "{refused}");
    assert!(journal.trouble().is_some());
    drop(journal);
    // Nothing is lost when they are put back.
    fs::rename(&elsewhere, &path).unwrap();
    let journal = open(&path);
    assert_eq!(journal.damage(), None);
    assert!(journal.pending_event(first).await.unwrap().is_some());
}
