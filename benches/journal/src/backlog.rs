//! Journals with a backlog: what it takes to open one and to work with it, each in a process of its own.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use belfry_journal::{Appended, Completion, DurableJournal, DurableSettings, Journal, Record};
use tokio::runtime::Runtime;

use crate::{
    appends::{event, runtime},
    process,
};

pub const CHILD: &str = "backlog-child";

pub fn main() {
    println!(
        "\n{:<10} {:>8} {:>8} {:>8} {:>8} {:>12} {:>12} {:>12} {:>12}",
        "backlog",
        "file MB",
        "open ms",
        "MB",
        "peak MB",
        "list us/ev",
        "read us/ev",
        "finish us/ev",
        "append us/ev"
    );
    for pending in [1_000, 10_000, 100_000] {
        let folder = process::folder();
        fill(&runtime(), folder.path(), pending);
        let bytes = std::fs::metadata(folder.path().join("journal.sqlite")).unwrap().len();
        let child = std::env::current_exe().unwrap();
        let child = std::process::Command::new(child).arg(CHILD).arg(folder.path()).output().unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
        print!("{pending:<10} {:>8.0} {}", bytes as f64 / 1e6, String::from_utf8(child.stdout).unwrap());
    }
}

fn fill(runtime: &Runtime, path: &Path, pending: u64) {
    let journal = DurableJournal::open(path, DurableSettings::default()).unwrap();
    for first in (0..pending).step_by(500) {
        let appends = (first..first + 500).map(|n| journal.append(event(n)));
        let appended = runtime.block_on(futures_util::future::join_all(appends));
        assert!(appended.iter().all(Result::is_ok));
    }
}

/// Opens it as a host does, lists all, and then works through a thousand: read, completed, delivered. The appends are
/// as many at once.
pub fn child(path: &Path) {
    const SAMPLE: u32 = 900;
    let each = |took: Duration, of: u32| took.as_secs_f64() * 1e6 / f64::from(of);
    let runtime = runtime();
    let started = Instant::now();
    let limits = belfry_journal::Limits { pending: 200_000, ..DurableSettings::default().limits };
    let journal = DurableJournal::open(path, DurableSettings { limits, ..Default::default() }).unwrap();
    let opened = started.elapsed().as_secs_f64() * 1e3;
    runtime.block_on(async {
        let started = Instant::now();
        let pending = journal.pending_events(None, usize::MAX).await.unwrap();
        let listed = each(started.elapsed(), pending.len() as u32);
        let (resident, peak) = process::memory();

        let (mut reading, mut finishing) = (Duration::ZERO, Duration::ZERO);
        let step = pending.len() / SAMPLE as usize;
        for event in pending.iter().step_by(step.max(1)).take(SAMPLE as usize).map(|event| event.position) {
            let started = Instant::now();
            assert_eq!(journal.pending_event(event).await.unwrap().unwrap().payload.len(), 2048);
            reading += started.elapsed();
            let started = Instant::now();
            let deliveries = vec![vec![b'r'; 200].into()];
            journal.record(Record::Done(Completion::new(event, deliveries))).unwrap();
            journal.record(Record::Delivered { event, index: 0 }).unwrap();
            // A question is answered when what was recorded before it is written.
            journal.event(event).await.unwrap();
            finishing += started.elapsed();
        }

        let started = Instant::now();
        let appends = (0..u64::from(SAMPLE)).map(|n| journal.append(event(n | 1 << 40)));
        let appended = futures_util::future::join_all(appends).await;
        assert!(appended.into_iter().all(|appended| matches!(appended, Ok(Appended::New(_)))));
        let appending = each(started.elapsed(), SAMPLE);
        println!(
            "{opened:>8.0} {resident:>8.0} {peak:>8.0} {listed:>12.2} {:>12.1} {:>12.1} {appending:>12.1}",
            each(reading, SAMPLE),
            each(finishing, SAMPLE)
        );
    });
}
