//! The durable journal as the host uses it.
//!
//! ```text
//! cargo bench -p belfry-journal --bench durable            # about a minute
//! cargo bench -p belfry-journal --bench durable -- open    # only opening with a backlog
//! ```
//!
//! Appends of 2 KB, each followed by its completion with one delivery and the mark that it arrived, from a runtime of
//! one thread: what one message costs the journal in all.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark: the first failure ends it"
)]

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use belfry_journal::{Appended, Completion, DurableJournal, DurableSettings, Journal, NewEvent, Record};

const RUN: Duration = Duration::from_secs(3);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if words.is_empty() || words.iter().any(|word| word == "append") {
        println!(
            "{:<28} {:>9} {:>8} {:>8} {:>8} {:>10}",
            "load, window", "events/s", "p50 ms", "p99 ms", "syncs/s", "cpu us/ev"
        );
        for window in [0, 1, 2, 5] {
            for per_second in [None, Some(300), Some(1000), Some(5000)] {
                runtime.block_on(appends(per_second, Duration::from_millis(window)));
            }
        }
    }
    if words.is_empty() || words.iter().any(|word| word == "open") {
        println!(
            "\n{:<28} {:>9} {:>9} {:>12} {:>12}",
            "pending events", "open ms", "file MB", "resident MB", "append us/ev"
        );
        for pending in [1_000, 10_000, 100_000] {
            backlog(&runtime, pending);
        }
    }
    if let ["child", path] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        child(&runtime, Path::new(path));
    }
}

async fn appends(per_second: Option<u32>, window: Duration) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let settings = DurableSettings {
        commit_window: window,
        record_window: record_window(),
        ..DurableSettings::default()
    };
    let journal = Arc::new(DurableJournal::open(folder.path(), settings).unwrap());
    let acks = Arc::new(Mutex::new(Vec::new()));
    let (cpu, syncs, started) = (cpu_time(), journal.syncs(), Instant::now());
    let mut tasks = tokio::task::JoinSet::new();
    match per_second {
        None => {
            for writer in 0..64u64 {
                let (journal, acks) = (journal.clone(), acks.clone());
                tasks.spawn(async move {
                    let mut n = writer << 32;
                    while started.elapsed() < RUN {
                        message(&journal, n, Instant::now(), &acks).await;
                        n += 1;
                    }
                });
            }
        }
        Some(per_second) => {
            let step = Duration::from_secs(1) / per_second;
            let mut n = 0u32;
            while started.elapsed() < RUN {
                while step * n <= started.elapsed() {
                    let (journal, acks, due) = (journal.clone(), acks.clone(), started + step * n);
                    let number = u64::from(n);
                    tasks.spawn(async move { message(&journal, number, due, &acks).await });
                    n += 1;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let took = started.elapsed().as_secs_f64();
    let (cpu, syncs) = (cpu_time() - cpu, journal.syncs() - syncs);
    let mut acks = acks.lock().unwrap();
    acks.sort_unstable();
    let at = |share: f64| acks[((acks.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let load = per_second.map_or("64 in flight".to_owned(), |per_second| format!("{per_second}/s"));
    println!(
        "{:<28} {:>9.0} {:>8.2} {:>8.2} {:>8.0} {:>10.1}",
        format!("{load}, {} ms", window.as_millis()),
        acks.len() as f64 / took,
        at(0.5),
        at(0.99),
        syncs as f64 / took,
        cpu.as_secs_f64() * 1e6 / acks.len() as f64
    );
}

async fn message(journal: &DurableJournal, n: u64, due: Instant, acks: &Mutex<Vec<Duration>>) {
    let Appended::New(event) = journal.append(event(n)).await.unwrap() else { panic!("new") };
    acks.lock().unwrap().push(due.elapsed());
    journal.record(Record::Done(Completion { event, deliveries: vec![vec![b'r'; 200].into()] })).unwrap();
    journal.record(Record::Delivered { event, index: 0 }).unwrap();
}

/// Milliseconds from the environment: `BELFRY_RECORD_WINDOW=2 cargo bench …`.
fn record_window() -> Duration {
    let millis = std::env::var("BELFRY_RECORD_WINDOW").ok().and_then(|millis| millis.parse().ok());
    Duration::from_millis(millis.unwrap_or(0))
}

fn event(n: u64) -> NewEvent {
    let mut payload = format!("{{\"n\":{n},\"text\":\"").into_bytes();
    payload.resize(2048, b'x');
    let dedupe = vec![format!("ding0123456789abcdef:msg{n:032x}")];
    NewEvent { key: format!("cid{}", n % 100), dedupe, payload: payload.into(), private: "https".into() }
}

/// Opens a journal with a backlog in a process of its own, so that its memory is its own.
fn backlog(runtime: &tokio::runtime::Runtime, pending: u64) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let started = Instant::now();
    runtime.block_on(async {
        let journal = DurableJournal::open(folder.path(), DurableSettings::default()).unwrap();
        for first in (0..pending).step_by(500) {
            let appends = (first..first + 500).map(|n| journal.append(event(n)));
            assert!(futures_util::future::join_all(appends).await.iter().all(Result::is_ok));
        }
    });
    let append = started.elapsed().as_secs_f64() * 1e6 / pending as f64;
    let out =
        std::process::Command::new(std::env::current_exe().unwrap()).arg("child").arg(folder.path()).output();
    let out = String::from_utf8(out.unwrap().stdout).unwrap();
    let figures: Vec<f64> = out.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    let bytes = std::fs::metadata(folder.path().join("journal.sqlite")).unwrap().len();
    println!(
        "{pending:<28} {:>9.0} {:>9.0} {:>12.0} {append:>12.1}",
        figures[0],
        bytes as f64 / 1e6,
        figures[1]
    );
}

fn child(runtime: &tokio::runtime::Runtime, path: &Path) {
    let started = Instant::now();
    let journal = DurableJournal::open(path, DurableSettings::default()).unwrap();
    let opened = started.elapsed().as_secs_f64() * 1e3;
    // A page of them, as the host would take them up.
    assert_eq!(runtime.block_on(journal.pending_events(None, 500)).unwrap().len(), 500);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{opened} {}", kilobytes / 1e3);
}

/// User and system time of this process (`/proc/self/stat`, fields 14 and 15, in ticks of 10 ms).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    Duration::from_millis((fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10)
}
