//! Group-committed durable appends on candidate engines: what the durable journal stands on was chosen by this.
//!
//! One thread offers events of 2 KB, one writes them: it takes the first, waits for the commit window, takes all that
//! came meanwhile, and commits them with one sync, together with the marks of *done* for the batch before. `file` is a
//! plain file with the same batches: what the disk and this harness cost without any engine.

use std::{
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use crate::{
    candidates::{Candidate, candidates},
    process::{cpu_time, folder},
};

const EVENT_BYTES: usize = 2048;
const MAX_BATCH: usize = 1024;

#[derive(Clone, Copy)]
enum Load {
    /// So many are always on their way.
    Closed(usize),
    /// So many arrive in a second, whatever becomes of them.
    Open(u32),
}

struct Offered {
    due: Instant,
    payload: Vec<u8>,
}

struct Outcome {
    events: usize,
    syncs: usize,
    acks: Vec<Duration>,
}

pub fn main(words: &[&str], run: Duration) {
    let wanted = |line: &str| words.iter().all(|word| line.contains(word));
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>8} {:>9}",
        "engine, load, window", "events/s", "p50 ms", "p99 ms", "syncs/s", "cpu us/ev"
    );
    for load in [Load::Closed(64), Load::Open(300), Load::Open(1000), Load::Open(5000)] {
        for window in [0, 1, 2, 5] {
            for name in ["file", "redb", "fjall", "sqlite"] {
                let what = match load {
                    Load::Closed(n) => format!("{name}, {n} in flight, {window} ms"),
                    Load::Open(n) => format!("{name}, {n}/s, {window} ms"),
                };
                if wanted(&what) {
                    measure(&what, name, load, Duration::from_millis(window), run);
                }
            }
        }
    }
    println!(
        "\n{:<34} {:>9} {:>9} {:>9} {:>10}",
        "100 000 events, then all deleted", "peak MB", "end MB", "seconds", "cpu us/ev"
    );
    for name in ["redb", "fjall", "sqlite"] {
        if wanted(&format!("{name}, size")) {
            size(name);
        }
    }
}

fn measure(what: &str, name: &str, load: Load, window: Duration, time: Duration) {
    let dir = folder();
    let engine = candidates(name, dir.path());
    let cpu = cpu_time();
    let started = Instant::now();
    let mut outcome = run(engine, load, window, time);
    let took = started.elapsed().as_secs_f64();
    let cpu = cpu_time() - cpu;
    outcome.acks.sort_unstable();
    let at =
        |share: f64| outcome.acks[((outcome.acks.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{what:<34} {:>9.0} {:>9.2} {:>9.2} {:>8.0} {:>9.1}",
        outcome.events as f64 / took,
        at(0.5),
        at(0.99),
        outcome.syncs as f64 / took,
        cpu.as_secs_f64() * 1e6 / outcome.events as f64,
    );
}

fn run(mut engine: Box<dyn Candidate>, load: Load, window: Duration, time: Duration) -> Outcome {
    let (offer, offered) = channel::<Offered>();
    let (ack, acked) = channel::<usize>();
    thread::scope(|scope| {
        let writer = scope.spawn(move || write(engine.as_mut(), &offered, &ack, window));
        match load {
            Load::Closed(n) => offer_closed(offer, &acked, n, time),
            Load::Open(n) => offer_open(offer, n, time),
        }
        writer.join().unwrap()
    })
}

fn write(
    engine: &mut dyn Candidate,
    offered: &Receiver<Offered>,
    ack: &Sender<usize>,
    window: Duration,
) -> Outcome {
    let mut outcome = Outcome { events: 0, syncs: 0, acks: Vec::new() };
    let mut before = 0..0;
    let mut next = 1u64;
    while let Ok(first) = offered.recv() {
        let mut batch = vec![first];
        let until = Instant::now() + window;
        while batch.len() < MAX_BATCH {
            match offered.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => batch.push(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let payloads: Vec<&[u8]> = batch.iter().map(|event| event.payload.as_slice()).collect();
        engine.commit(next, &payloads, before);
        let now = Instant::now();
        outcome.acks.extend(batch.iter().map(|event| now.duration_since(event.due)));
        outcome.events += batch.len();
        outcome.syncs += 1;
        before = next..next + batch.len() as u64;
        next = before.end;
        let _ = ack.send(batch.len());
    }
    outcome
}

fn offer_closed(offer: Sender<Offered>, acked: &Receiver<usize>, in_flight: usize, time: Duration) {
    let end = Instant::now() + time;
    let mut free = in_flight;
    let mut n = 0;
    while Instant::now() < end {
        for _ in 0..free {
            offer.send(Offered { due: Instant::now(), payload: payload(n) }).unwrap();
            n += 1;
        }
        free = acked.recv().unwrap();
    }
}

fn offer_open(offer: Sender<Offered>, per_second: u32, time: Duration) {
    let start = Instant::now();
    let step = Duration::from_secs(1) / per_second;
    for n in 0.. {
        let due = start + step * n;
        if due > start + time {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        offer.send(Offered { due, payload: payload(u64::from(n)) }).unwrap();
    }
}

fn size(name: &str) {
    let dir = folder();
    let mut engine = candidates(name, dir.path());
    let (cpu, started) = (cpu_time(), Instant::now());
    let mut peak = 0;
    let mut before = 0..0;
    for batch in 0..1000u64 {
        let payloads: Vec<Vec<u8>> = (0..100).map(|n| payload(batch * 100 + n)).collect();
        let first = batch * 100 + 1;
        engine.commit(first, &payloads.iter().map(Vec::as_slice).collect::<Vec<_>>(), before);
        before = first..first + 100;
        if batch % 50 == 0 {
            peak = peak.max(bytes_in(dir.path()));
        }
    }
    peak = peak.max(bytes_in(dir.path()));
    for batch in 0..100u64 {
        engine.delete(batch * 1000 + 1..batch * 1000 + 1001);
    }
    engine.compact();
    println!(
        "{:<34} {:>9.1} {:>9.1} {:>9.1} {:>10.1}",
        name,
        peak as f64 / 1e6,
        bytes_in(dir.path()) as f64 / 1e6,
        started.elapsed().as_secs_f64(),
        (cpu_time() - cpu).as_secs_f64() * 1e6 / 1e5
    );
}

/// Text that does not compress to nothing.
fn payload(n: u64) -> Vec<u8> {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(EVENT_BYTES);
    while bytes.len() < EVENT_BYTES {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes.extend_from_slice(format!("\"k{:x}\":\"{:x}\",", x & 0xff, x >> 20).as_bytes());
    }
    bytes.truncate(EVENT_BYTES);
    bytes
}

fn bytes_in(path: &Path) -> u64 {
    std::fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            // What it takes on the disk: some engines reserve files that are mostly holes.
            if meta.is_dir() {
                bytes_in(&entry.path())
            } else {
                std::os::unix::fs::MetadataExt::blocks(&meta) * 512
            }
        })
        .sum()
}
