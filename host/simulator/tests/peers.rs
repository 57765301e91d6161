//! The official SDKs, unchanged, run the scenario against the simulator: what they accept, the simulator may send.
//!
//! `cargo xtask test` sets their environments up and names them by `BELFRY_PEER_PYTHON` (a Python with
//! `peers/python/requirements.txt` installed), `BELFRY_PEER_NODE` (a Node executable) and `BELFRY_PEER_NODE_MODULES`
//! (its packages, from `peers/node/package-lock.json`). Without them a test says `skipped` and passes, unless
//! `BELFRY_REQUIRE_ALL=1`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is a test, which clippy knows of functions marked as one only"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use belfry_simulator::scenario::{self, Expectations};
use belfry_simulator::{Simulator, SimulatorConfig};

/// Ends the bot with the test.
struct Bot {
    process: Child,
    /// What it printed.
    log: PathBuf,
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Says that a peer is not here, or fails when it must be.
fn skip(what: &str, variable: &str) {
    assert_ne!(setting("BELFRY_REQUIRE_ALL").as_deref(), Some("1"), "{what}: {variable} is not set");
    println!("skipped: {what}: {variable} is not set (cargo xtask test sets it)");
}

fn peer(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(file)
}

async fn start() -> Simulator {
    // Ten times faster than life, except that nothing is sent twice only because this machine is slow.
    let config =
        SimulatorConfig { speed: 10.0, redeliver_after: Duration::from_secs(3_600), ..Default::default() };
    Simulator::start(config).await.unwrap()
}

fn spawn(name: &str, command: &mut Command, simulator: &Simulator) -> Bot {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peer-{name}.log"));
    let output = File::create(&log).unwrap();
    let command = command
        .env("BELFRY_SIMULATOR", simulator.base_url())
        .env("DINGTALK_OPENAPI_ENDPOINT", simulator.base_url())
        .env("BELFRY_CLIENT_ID", "dingpeer")
        .env("BELFRY_CLIENT_SECRET", "secret")
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output);
    Bot { process: command.spawn().unwrap(), log }
}

async fn prove(simulator: &Simulator, bot: &Bot, expected: &Expectations) {
    match scenario::run(simulator, expected).await {
        Ok(report) => println!("{report:#?}"),
        Err(failure) => panic!("{failure}\nthe bot's output is in {}", bot.log.display()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sdk_runs_the_scenario() {
    let Some(python) = setting("BELFRY_PEER_PYTHON") else {
        return skip("the official Python SDK", "BELFRY_PEER_PYTHON");
    };
    let simulator = start().await;
    let bot = spawn("python", Command::new(python).arg(peer("python/echo.py")), &simulator);
    let expected = Expectations {
        replies_to_repeated: 2,
        // It looks for the text that is not there and drops the frame with an exception in its log.
        acks_quota: false,
        unknown_topic: None,
        patience: Duration::from_secs(60),
        ..Expectations::new("dingpeer")
    };
    prove(&simulator, &bot, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_sdk_runs_the_scenario() {
    let Some(node) = setting("BELFRY_PEER_NODE") else {
        return skip("the official Node SDK", "BELFRY_PEER_NODE");
    };
    let Some(modules) = setting("BELFRY_PEER_NODE_MODULES") else {
        return skip("the official Node SDK", "BELFRY_PEER_NODE_MODULES");
    };
    let simulator = start().await;
    let mut command = Command::new(node);
    let bot = spawn(
        "node",
        command.arg(peer("node/echo.mjs")).env("BELFRY_PEER_NODE_MODULES", modules),
        &simulator,
    );
    let expected = Expectations {
        replies_to_repeated: 2,
        unknown_topic: None,
        patience: Duration::from_secs(60),
        ..Expectations::new("dingpeer")
    };
    prove(&simulator, &bot, &expected).await;
}
