//! The durable journal as the host uses it, from a runtime of one thread that also makes the load.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use belfry_journal::{
    Appended, Completion, DurableJournal, DurableSettings, Journal, MemoryJournal, NewEvent, Record,
};
use tokio::{runtime::Runtime, task::LocalSet};

use crate::{
    candidates::{Candidate, candidates},
    process,
};

/// As many appends as the journal takes, and beside it the bare engine in transactions of the size that the journal's
/// groups had on average.
pub fn sustained(run: Duration) {
    println!("events of 2 KB, each synced before it counts; nothing else is recorded");
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "events/s", "group", "syncs/s", "cpu us/ev", "of bare"
    );
    for in_flight in [16, 64, 256] {
        let folder = process::folder();
        let settings = DurableSettings { commit_window: Duration::ZERO, ..unbounded() };
        let journal = Arc::new(DurableJournal::open(folder.path(), settings).unwrap());
        let outcome = Load { appends_only: true, journal: journal.clone(), run }.closed(in_flight, &journal);
        let group = (outcome.events as f64 / outcome.syncs as f64).round().max(1.0) as usize;
        let bare = bare("sqlite", group, run);
        let line = |name: String, outcome: &Outcome, of_bare: f64| {
            println!(
                "{name:<34} {:>9.0} {:>9.1} {:>9.0} {:>9.1} {of_bare:>9.2}",
                outcome.per_second(),
                outcome.events as f64 / outcome.syncs as f64,
                outcome.syncs as f64 / outcome.took.as_secs_f64(),
                outcome.cpu_per_event()
            );
        };
        line(format!("journal, {in_flight} in flight"), &outcome, outcome.per_second() / bare.per_second());
        line(format!("sqlite, groups of {group}"), &bare, 1.0);
        let file = self::bare("file", group, run);
        line(format!("plain file, groups of {group}"), &file, file.per_second() / bare.per_second());
    }
}

/// Whole lives of events that come evenly, for several commit windows: appended with a dedupe key, tried, completed with
/// one delivery of 200 bytes, delivered. The same in memory shows what the load itself costs.
pub fn latency(run: Duration, rates: &[u32]) {
    println!("\nevents of 2 KB that come evenly: appended, tried, completed with one delivery, delivered");
    println!(
        "{:<34} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9}",
        "", "events/s", "p50 ms", "p99 ms", "max ms", "syncs/ev", "cpu us/ev"
    );
    for &per_second in rates {
        let memory = Arc::new(MemoryJournal::new(unbounded().limits));
        Load { appends_only: false, journal: memory, run }
            .open(per_second, None)
            .tell(&format!("{per_second}/s, memory"));
        for window in [0, 1, 2, 5, 10, 20] {
            let folder = process::folder();
            let settings = DurableSettings { commit_window: Duration::from_millis(window), ..unbounded() };
            let journal = Arc::new(DurableJournal::open(folder.path(), settings).unwrap());
            let load = Load { appends_only: false, journal: journal.clone(), run };
            load.open(per_second, Some(&journal)).tell(&format!("{per_second}/s, window {window} ms"));
        }
    }
}

pub fn event(n: u64) -> NewEvent {
    let mut payload = format!("{{\"n\":{n},\"text\":\"").into_bytes();
    payload.resize(2048, b'x');
    let dedupe = vec![format!("ding0123456789abcdef:msg{n:032x}")];
    NewEvent { key: format!("cid{}", n % 100), dedupe, payload: payload.into(), private: "".into() }
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Appends alone leave everything pending.
fn unbounded() -> DurableSettings {
    let mut settings = DurableSettings::default();
    (settings.limits.pending, settings.limits.pending_bytes) = (usize::MAX, usize::MAX);
    settings
}

struct Load<J> {
    appends_only: bool,
    journal: Arc<J>,
    run: Duration,
}

struct Outcome {
    events: usize,
    syncs: u64,
    took: Duration,
    cpu: Duration,
    acks: Vec<Duration>,
}

impl<J: Journal + 'static> Load<J> {
    /// So many are always on their way.
    fn closed(self, in_flight: u64, durable: &DurableJournal) -> Outcome {
        let acks = Rc::new(RefCell::new(Vec::new()));
        let tasks = LocalSet::new();
        let (cpu, syncs, started) = (process::cpu_time(), durable.syncs(), Instant::now());
        for writer in 0..in_flight {
            let (journal, acks) = (self.journal.clone(), acks.clone());
            tasks.spawn_local(async move {
                let mut n = writer << 32;
                while started.elapsed() < self.run {
                    life(&*journal, n, Instant::now(), &acks, self.appends_only).await;
                    n += 1;
                }
            });
        }
        runtime().block_on(tasks);
        Outcome::since(started, cpu, durable.syncs() - syncs, acks.take())
    }

    /// So many come in a second, whatever becomes of them.
    fn open(self, per_second: u32, durable: Option<&DurableJournal>) -> Outcome {
        let all_syncs = || durable.map_or(0, DurableJournal::syncs);
        let acks = Rc::new(RefCell::new(Vec::new()));
        let (cpu, syncs, started) = (process::cpu_time(), all_syncs(), Instant::now());
        let tasks = LocalSet::new();
        let runtime = runtime();
        runtime.block_on(tasks.run_until(async {
            let step = Duration::from_secs(1) / per_second;
            let mut n = 0u32;
            while started.elapsed() < self.run {
                while step * n <= started.elapsed() {
                    let (journal, acks, due) = (self.journal.clone(), acks.clone(), started + step * n);
                    let number = u64::from(n);
                    tokio::task::spawn_local(async move {
                        life(&*journal, number, due, &acks, self.appends_only).await;
                    });
                    n += 1;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }));
        runtime.block_on(tasks);
        Outcome::since(started, cpu, all_syncs() - syncs, acks.take())
    }
}

async fn life(
    journal: &impl Journal,
    n: u64,
    due: Instant,
    acks: &RefCell<Vec<Duration>>,
    appends_only: bool,
) {
    let Appended::New(event) = journal.append(event(n)).await.unwrap() else { panic!("new") };
    acks.borrow_mut().push(due.elapsed());
    if !appends_only {
        // What the host records of a message, and about when: a plugin takes a moment, a reply on its way some more.
        journal.record(Record::Attempt { event, delivery: None, attempt: 1 }).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let deliveries = vec![vec![b'r'; 200].into()];
        journal.record(Record::Done(Completion::new(event, deliveries))).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        journal.record(Record::Delivered { event, index: 0 }).unwrap();
    }
}

/// The engine alone, one transaction after the other.
fn bare(name: &str, group: usize, run: Duration) -> Outcome {
    let folder = process::folder();
    let mut engine: Box<dyn Candidate> = candidates(name, folder.path());
    let payload = event(0).payload;
    let (cpu, started) = (process::cpu_time(), Instant::now());
    let (mut events, mut syncs) = (0, 0);
    while started.elapsed() < run {
        engine.commit(events as u64 + 1, &vec![&payload[..]; group], 0..0);
        events += group;
        syncs += 1;
    }
    let acks = vec![Duration::ZERO; events];
    Outcome::since(started, cpu, syncs, acks)
}

impl Outcome {
    fn since(started: Instant, cpu: Duration, syncs: u64, mut acks: Vec<Duration>) -> Self {
        let took = started.elapsed();
        acks.sort_unstable();
        Self { events: acks.len(), syncs, took, cpu: process::cpu_time() - cpu, acks }
    }

    fn per_second(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }

    fn cpu_per_event(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.events as f64
    }

    fn tell(&self, name: &str) {
        let at = |share: f64| self.acks[((self.acks.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!(
            "{name:<34} {:>9.0} {:>8.2} {:>8.2} {:>9.2} {:>9.2} {:>9.1}",
            self.per_second(),
            at(0.5),
            at(0.99),
            at(1.0),
            self.syncs as f64 / self.events as f64,
            self.cpu_per_event()
        );
    }
}
