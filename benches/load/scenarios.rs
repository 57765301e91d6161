//! What is measured.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use belfry_simulator::{Happening, Person, Say, Simulator, SimulatorConfig, conversation_id};
use belfry_toolchain::Progress;

use crate::{
    bots::{Bot, IN_MEMORY, RunningBot, belfry_command, prepare_belfry},
    load::{Load, Outcome},
    process::{cpu_time, memory, peak_memory},
};

/// What the bench guest's component holds where the mark is.
const MARK: &[u8] = b"BELFRY-MARK-0000";

/// An echo at a steady rate.
pub async fn steady(bots: &[Bot], rate: u32, seconds: u32, runs: u32) -> Result<()> {
    println!("## Echo at {rate} messages/s for {seconds} s, median of {runs} runs\n");
    println!("| bot | CPU per message | p50 | p99 | peak memory | answered | repeated |");
    println!("|---|---|---|---|---|---|---|");
    let plugin = component("plugins/echo").await?;
    let load = Load { count: (rate * seconds) as usize, rate, patience: Duration::from_secs(10) };
    for bot in bots {
        let mut measured = Vec::new();
        for _ in 0..runs.max(1) {
            let running = bot.start(&plugin, None).await?;
            warm_up(&running.simulator).await?;
            measured.push(measure(&running, &load).await?);
            running.stop().await?;
        }
        measured.sort_by_key(|run| run.cpu);
        let run = measured.swap_remove(measured.len() / 2);
        println!(
            "| {} | {:.0} µs | {:.1} ms | {:.1} ms | {:.0} MB | {} of {} | {} |",
            bot.name,
            run.cpu.as_secs_f64() * 1e6,
            millis(run.outcome.latency(0.5)),
            millis(run.outcome.latency(0.99)),
            run.memory as f64 / 1e6,
            run.outcome.answered,
            load.count,
            run.outcome.repeated,
        );
    }
    println!();
    Ok(())
}

/// What a wider commit window saves and costs.
pub async fn windows(rate: u32, seconds: u32, runs: u32) -> Result<()> {
    println!("# Commit windows of the journal\n");
    let bots = [
        Bot::belfry_with("belfry-in-memory", IN_MEMORY),
        Bot::belfry_with("window 0 ms", "commit_window = \"0ms\""),
        Bot::belfry_with("window 1 ms", "commit_window = \"1ms\""),
        Bot::belfry_with("window 2 ms", "commit_window = \"2ms\""),
        Bot::belfry_with("window 5 ms", "commit_window = \"5ms\""),
        Bot::belfry_with("window 10 ms", "commit_window = \"10ms\""),
        Bot::belfry_with("window 20 ms", "commit_window = \"20ms\""),
    ];
    steady(&bots, rate, seconds, runs).await
}

/// From a start to connected, and to everything answered, with messages that an earlier process left behind.
pub async fn backlog() -> Result<()> {
    println!("## A start with messages left behind, in 1 000 conversations\n");
    println!(
        "| left behind | connected after | memory then | all answered after | peak memory | CPU per message | repeated |"
    );
    println!("|---|---|---|---|---|---|---|");
    let echo = component("plugins/echo").await?;
    let slow = component("host/plugin/tests/guests/naughty").await?;
    for count in [1_000, 10_000, 100_000] {
        // The guest sleeps until the process is killed.
        let patient = Bot::belfry_with("belfry", "\n[plugins.echo.limits]\ndeadline = \"30m\"");
        let mut running = patient.start(&slow, None).await?;
        for number in 0..count {
            let conversation = conversation_id(&format!("left{}", number % 1_000));
            running.simulator.say(Say::private(conversation, Person::default(), "sleep 1000000"));
            if number % 500 == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let until = Instant::now() + Duration::from_secs(120);
        while running.simulator.stats().acked < count && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let acked = running.simulator.stats().acked;
        ensure!(acked >= count, "only {acked} of {count} were taken");
        running.kill().await?;
        std::fs::copy(&echo, running.folder.path().join("plugins/echo.wasm"))?;
        let since = running.simulator.now();
        let mut watch = running.simulator.watch(since);
        let started = Instant::now();
        running.start_again()?;
        let (mut connected, mut then) = (None, 0);
        let (mut answers, mut repeated) = (HashSet::new(), 0);
        while answers.len() < count as usize {
            ensure!(
                started.elapsed() < Duration::from_secs(180),
                "{} of {count} were answered",
                answers.len()
            );
            let record = tokio::time::timeout(Duration::from_secs(60), watch.next()).await;
            match &record.context("an answer")?.context("a record")?.what {
                Happening::Opened { .. } => {
                    connected = Some(started.elapsed());
                    then = memory(running.pid()?)?;
                }
                Happening::Replied(reply) => repeated += u64::from(!answers.insert(reply.uuid.clone())),
                _ => {}
            }
        }
        let took = started.elapsed();
        let pid = running.pid()?;
        println!(
            "| {count} | {:.0} ms | {:.0} MB | {:.1} s | {:.0} MB | {:.0} µs | {repeated} |",
            connected.map_or(f64::NAN, millis),
            then as f64 / 1e6,
            took.as_secs_f64(),
            peak_memory(pid)? as f64 / 1e6,
            cpu_time(pid)?.as_secs_f64() * 1e6 / count as f64,
        );
        running.stop().await?;
    }
    println!();
    Ok(())
}

/// More at once than a bot can answer at once.
pub async fn burst(bots: &[Bot]) -> Result<()> {
    println!("## A burst of 20 000 messages at 4 000/s\n");
    println!("| bot | answered | repeated | p50 | p99 | last answer after | CPU per message | peak memory |");
    println!("|---|---|---|---|---|---|---|---|");
    let plugin = component("plugins/echo").await?;
    let load = Load { count: 20_000, rate: 4_000, patience: Duration::from_secs(20) };
    for bot in bots {
        let running = bot.start(&plugin, None).await?;
        warm_up(&running.simulator).await?;
        let run = measure(&running, &load).await?;
        running.stop().await?;
        println!(
            "| {} | {} of {} | {} | {:.1} ms | {:.1} ms | {:.1} s | {:.0} µs | {:.0} MB |",
            bot.name,
            run.outcome.answered,
            load.count,
            run.outcome.repeated,
            millis(run.outcome.latency(0.5)),
            millis(run.outcome.latency(0.99)),
            run.outcome.took.as_secs_f64(),
            run.cpu.as_secs_f64() * 1e6,
            run.memory as f64 / 1e6,
        );
    }
    println!();
    Ok(())
}

/// A guest that computes for about 5 ms per message: what one core does, and what two do.
pub async fn cores() -> Result<()> {
    println!("## A guest that computes 5 ms per message\n");
    println!("| cores | messages/s | CPU per message |\n|---|---|---|");
    let plugin = component("benches/guest").await?;
    let rounds = calibrate(&plugin).await?;
    let load = Load { count: 2_000, rate: 100_000, patience: Duration::from_secs(30) };
    let mut rates = Vec::new();
    for cores in ["0", "0,1"] {
        let running = Bot::belfry().start(&plugin, Some(cores)).await?;
        warm_up(&running.simulator).await?;
        let before = cpu_time(running.pid()?)?;
        let outcome = load.run(&running.simulator, &format!("spin {rounds}"), |_| ()).await?;
        let cpu = (cpu_time(running.pid()?)? - before) / load.count as u32;
        ensure!(outcome.answered == load.count, "only {} of {} were answered", outcome.answered, load.count);
        running.stop().await?;
        let rate = load.count as f64 / outcome.took.as_secs_f64();
        println!("| {} | {rate:.0} | {:.2} ms |", cores.split(',').count(), millis(cpu));
        rates.push(rate);
    }
    if let [one, two] = rates[..] {
        println!("\nTwo cores do {:.2} times what one does.\n", two / one);
    }
    Ok(())
}

/// How many rounds of the bench guest take 5 ms of CPU time.
async fn calibrate(plugin: &Path) -> Result<u64> {
    const ROUNDS: u64 = 2_000_000;
    let load = Load { count: 20, rate: 20, patience: Duration::from_secs(10) };
    let running = Bot::belfry().start(plugin, None).await?;
    warm_up(&running.simulator).await?;
    let before = cpu_time(running.pid()?)?;
    load.run(&running.simulator, &format!("spin {ROUNDS}"), |_| ()).await?;
    let each = (cpu_time(running.pid()?)? - before) / load.count as u32;
    running.stop().await?;
    Ok((ROUNDS as f64 * 0.005 / each.as_secs_f64()) as u64)
}

/// 50 builds, one after the other, under load.
pub async fn reload() -> Result<()> {
    println!("## 50 reloads under 300 messages/s\n");
    let plugin = component("benches/guest").await?;
    let running = Bot::belfry().start(&plugin, None).await?;
    warm_up(&running.simulator).await?;
    let bytes = std::fs::read(&plugin)?;
    let at = bytes.windows(MARK.len()).position(|window| window == MARK).context("the guest has no mark")?;
    let place = running.folder.path().join("plugins/echo.wasm");

    let load = Load { count: 300 * 60, rate: 300, patience: Duration::from_secs(10) };
    let mut renamed = Instant::now();
    let mut build = 0_u32;
    let mut swaps: Vec<Duration> = Vec::new();
    let outcome = load
        .run(&running.simulator, "hello", |words| {
            // Every second a new build; the first answer that carries its mark tells how long the swap took.
            if words.contains(&mark(build)) && swaps.len() < build as usize {
                swaps.push(renamed.elapsed());
            }
            let due =
                build < 50 && swaps.len() == build as usize && renamed.elapsed() > Duration::from_secs(1);
            if due {
                build += 1;
                renamed = Instant::now();
                if let Err(error) = put_build(&bytes, at, build, &place) {
                    eprintln!("write build {build}: {error}");
                }
            }
        })
        .await?;
    running.stop().await?;
    swaps.sort_unstable();
    println!("| builds | component | swap p50 | swap max | answered | repeated |\n|---|---|---|---|---|---|");
    println!(
        "| {} | {} KB | {:.0} ms | {:.0} ms | {} of {} | {} |\n",
        swaps.len(),
        bytes.len() / 1000,
        swaps.get(swaps.len() / 2).copied().map_or(f64::NAN, millis),
        swaps.last().copied().map_or(f64::NAN, millis),
        outcome.answered,
        load.count,
        outcome.repeated,
    );
    Ok(())
}

fn mark(build: u32) -> String {
    format!("BELFRY-MARK-{build:04}")
}

fn put_build(component: &[u8], at: usize, build: u32, place: &Path) -> Result<()> {
    let mut bytes = component.to_vec();
    bytes.get_mut(at..at + MARK.len()).context("the mark")?.copy_from_slice(mark(build).as_bytes());
    let copy = place.with_extension("new");
    std::fs::write(&copy, bytes)?;
    Ok(std::fs::rename(&copy, place)?)
}

/// From the start of the process to its open connection, with 20 plugins whose code is in the cache.
pub async fn start() -> Result<()> {
    println!("## From start to connected, 20 cached plugins of echo's size\n");
    let plugin = component("plugins/echo").await?;
    let bytes = std::fs::read(&plugin)?;
    let simulator = Simulator::start(SimulatorConfig::default()).await?;
    let folder = tempfile::tempdir()?;
    prepare_belfry(folder.path(), simulator.base_url(), "")?;
    for number in 0..20_u8 {
        // A custom section with the number makes each file a component of its own.
        let mut distinct = bytes.clone();
        distinct.extend_from_slice(&[0, 4, 2, b'n', b'r', number]);
        std::fs::write(folder.path().join(format!("plugins/echo{number}.wasm")), distinct)?;
    }
    let (program, arguments) = belfry_command(folder.path());
    let mut took = Vec::new();
    for _ in 0..8 {
        let since = simulator.now();
        let started = Instant::now();
        let mut child = tokio::process::Command::new(&program)
            .args(&arguments)
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let opened = |what: &Happening| matches!(what, Happening::Opened { .. }).then_some(());
        simulator.wait_for(since, Duration::from_secs(60), opened).await?;
        took.push(started.elapsed());
        child.kill().await?;
    }
    simulator.shutdown().await;
    let first = took.remove(0);
    took.sort_unstable();
    println!("| nothing cached | cached, median of {} | cached, slowest |\n|---|---|---|", took.len());
    println!(
        "| {:.0} ms | {:.0} ms | {:.0} ms |\n",
        millis(first),
        took.get(took.len() / 2).copied().map_or(f64::NAN, millis),
        took.last().copied().map_or(f64::NAN, millis)
    );
    Ok(())
}

/// One run.
struct Run {
    outcome: Outcome,
    /// CPU time of the bot's process, per message.
    cpu: Duration,
    /// Peak resident memory of the bot's process, in bytes.
    memory: u64,
}

async fn measure(running: &RunningBot, load: &Load) -> Result<Run> {
    let pid = running.pid()?;
    let before = cpu_time(pid)?;
    let outcome = load.run(&running.simulator, "hello", |_| ()).await?;
    let cpu = (cpu_time(pid)? - before) / load.count as u32;
    Ok(Run { outcome, cpu, memory: peak_memory(pid)? })
}

async fn warm_up(simulator: &Simulator) -> Result<()> {
    let load = Load { count: 100, rate: 200, patience: Duration::from_secs(10) };
    let outcome = load.run(simulator, "warm up", |_| ()).await?;
    ensure!(outcome.answered > 0, "the bot does not answer; its log is in {}", env!("CARGO_TARGET_TMPDIR"));
    Ok(())
}

/// Builds the guest in `folder` of the repository.
async fn component(folder: &str) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut progress = |progress: Progress<'_>| {
        if let Progress::Step(step) | Progress::Output(step) = progress {
            eprintln!("{step}");
        }
    };
    Ok(belfry_toolchain::build(&folder, &mut progress).await?.wasm)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
