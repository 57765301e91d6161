//! What the durable journal costs, and what the engines cost that it was chosen among.
//!
//! ```text
//! B="cargo run --release --manifest-path benches/journal/Cargo.toml --"
//! $B                                 # the journal beside its bare engine, latencies, backlogs: three minutes
//! $B latency 300 --seconds 1         # one of `sustained`, `latency`, `backlog`, at 300/s, a second for each line
//! $B engines                         # the engines bare: four minutes
//! $B engines sqlite 300              # lines that contain all words
//! ```
//!
//! It is a workspace of its own, so that nobody compiles the other engines to run the tests. It writes beside its binary:
//! put the target folder on the disk that is to be measured.

mod appends;
mod backlog;
mod candidates;
mod engines;
mod process;

use std::time::Duration;

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let seconds = words.iter().position(|word| word == "--seconds").map(|at| {
        let seconds =
            words.get(at + 1).and_then(|seconds| seconds.parse().ok()).expect("--seconds takes a number");
        words.drain(at..at + 2);
        seconds
    });
    let run = Duration::from_secs_f64(seconds.unwrap_or(5.0));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [backlog::CHILD, path] => return backlog::child(path.as_ref()),
        ["engines", ref wanted @ ..] => return engines::main(wanted, run / 2),
        _ => {}
    }
    let rates: Vec<u32> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let names: Vec<&str> = words.into_iter().filter(|word| word.parse::<u32>().is_err()).collect();
    for name in &names {
        assert!(["sustained", "latency", "backlog"].contains(name), "there is no benchmark {name}");
    }
    let wanted = |name| names.is_empty() || names.contains(&name);
    if wanted("sustained") {
        appends::sustained(run);
    }
    if wanted("latency") {
        appends::latency(run, if rates.is_empty() { &[300, 1000, 5000] } else { &rates });
    }
    if wanted("backlog") {
        backlog::main();
    }
}
