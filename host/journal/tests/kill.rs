//! A process that is killed while it writes, again and again: whatever it was told is stored, is.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use belfry_journal::{
    Appended, Completion, DurableJournal, DurableSettings, Journal, NewEvent, Position, Record,
};

/// Set for the process that is killed: the journal it writes.
const CHILD: &str = "BELFRY_TEST_KILLED_JOURNAL";

/// What the child does until it is killed: 32 writers, each appending, then handling, then delivering, and saying on its
/// standard output what is stored ("s position name"), what it recorded as done ("d position") and delivered.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // What is over goes as soon as it can.
        let settings = DurableSettings { keep_bytes: 1, ..DurableSettings::default() };
        let journal = DurableJournal::open(path, settings).unwrap();
        assert_eq!(journal.damage(), None);
        let writers = (0..32).map(|writer| write(&journal, writer));
        futures_util::future::join_all(writers).await;
    });
}

async fn write(journal: &DurableJournal, writer: u32) {
    for n in 0.. {
        let name = format!("{}-{writer}-{n}", std::process::id());
        let event = NewEvent {
            key: format!("writer {writer}"),
            dedupe: vec![name.clone(), format!("other {name}")],
            payload: name.repeat(60).into(),
            private: name.clone().into(),
        };
        let Appended::New(event) = journal.append(event).await.unwrap() else { panic!("new") };
        say(&format!("s {} {name}", event.0));
        // Some stay pending.
        if n % 4 == 0 {
            continue;
        }
        let deliveries = vec![name.clone().into(), "second".into()];
        journal.record(Record::Done(Completion::new(event, deliveries))).unwrap();
        say(&format!("d {}", event.0));
        if n % 4 == 2 {
            journal.record(Record::Delivered { event, index: 0 }).unwrap();
            journal.record(Record::Delivered { event, index: 1 }).unwrap();
        }
        tokio::task::yield_now().await;
    }
}

/// One write for each line, so that a killed process leaves whole lines.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[derive(Default)]
struct Known {
    stored: BTreeMap<u64, String>,
    done: BTreeSet<u64>,
}

#[tokio::test]
async fn thirty_kills_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let seed: u64 = std::env::var("BELFRY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()));
    println!("BELFRY_SEED={seed}");
    let mut random = seed;
    let mut known = Known::default();
    for round in 0..30 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lines = 20 + (random >> 33) % 1500;
        run_and_kill(&path, lines, &mut known);
        check(&path, &mut known, round).await;
    }
    assert!(known.stored.len() > 1000);
}

/// Lets a child write until it has said so many lines, and kills it while it goes on.
fn run_and_kill(path: &Path, lines: u64, known: &mut Known) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut said = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).split(b'\n') {
        let line = String::from_utf8(line.unwrap()).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["s", position, name] => {
                let double = known.stored.insert(position.parse().unwrap(), name.to_owned());
                assert_eq!(double, None, "position {position} was used twice");
            }
            ["d", position] => {
                known.done.insert(position.parse().unwrap());
            }
            _ => continue,
        }
        said += 1;
        if said == lines {
            // SIGKILL; what is in the pipe already is read to its end.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(said >= lines, "the child ended by itself");
}

async fn check(path: &Path, known: &mut Known, round: u32) {
    let settings = DurableSettings { idle_sync: Duration::from_secs(60), ..DurableSettings::default() };
    let journal = DurableJournal::open(path, settings).unwrap();
    assert_eq!(journal.damage(), None, "round {round}");
    let mut pending = BTreeMap::new();
    let mut after = None;
    loop {
        let page = journal.pending_events(after, 500).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.position);
        for event in page {
            let event = journal.pending_event(event.position).await.unwrap().unwrap();
            let name = String::from_utf8(event.private.to_vec()).unwrap();
            assert_eq!(event.payload, name.repeat(60), "round {round}");
            pending.insert(event.position.0, name);
        }
    }
    let mut delivering = BTreeSet::new();
    let mut after = None;
    loop {
        let page = journal.pending_deliveries(after, 500).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.event, last.index));
        delivering.extend(page.iter().map(|delivery| delivery.event.0));
    }
    for (position, name) in &known.stored {
        // Pending, or done as it said; the record itself may have been lost with the process, never the event.
        let there = pending.get(position) == Some(name) || known.done.contains(position);
        assert!(there, "round {round}: event {position} ({name}) is lost");
    }
    // Stored, but killed before it could say so: those are known to the journal, and are from now on to the checker.
    for (position, name) in &pending {
        let said = known.stored.entry(*position).or_insert_with(|| name.clone());
        assert_eq!(said, name, "round {round}");
    }
    // Repeats are known by both names, whatever became of the event.
    for (position, name) in known.stored.iter().rev().take(200) {
        let other = format!("other {name}");
        let repeat =
            NewEvent { key: "k".into(), dedupe: vec![other], payload: "".into(), private: "".into() };
        let appended = journal.append(repeat).await.unwrap();
        assert_eq!(appended, Appended::Duplicate, "round {round}: event {position} is not known any more");
    }
    // Completions are idempotent: those of events that are over change nothing.
    let before = journal.stats();
    for position in known.done.iter().filter(|position| !pending.contains_key(position)) {
        let completion = Completion::new(Position(*position), vec!["again".into()]);
        journal.record(Record::Done(completion)).unwrap();
    }
    assert_eq!(journal.stats(), before, "round {round}");
    // So that the next round begins with little: everything is handled.
    for position in pending.keys() {
        journal.record(Record::Done(Completion::new(Position(*position), vec![]))).unwrap();
        known.done.insert(*position);
    }
    for event in delivering {
        for index in 0..2 {
            journal.record(Record::Delivered { event: Position(event), index }).unwrap();
        }
    }
    assert_eq!(journal.stats().pending_events + journal.stats().pending_deliveries, 0);
}
