use anyhow::{Context, Result, bail};

use crate::{
    command::{cargo, command, exists, output, root, run, run_reading},
    peers::Peers,
};

const HOST: &str = "Cargo.toml";
const PLUGINS: &str = "plugins/Cargo.toml";
const EXAMPLE: &str = "examples/rust/Cargo.toml";
const BENCH_GUEST: &str = "benches/guest/Cargo.toml";
const BENCH_JOURNAL: &str = "benches/journal/Cargo.toml";

/// The target of guest components.
const GUEST_TARGET: &str = "wasm32-wasip2";

pub fn test(require_all: bool, filter: Option<&str>) -> Result<()> {
    ensure_guest_target()?;
    let peers = Peers::set_up();
    if require_all && !peers.missing.is_empty() {
        bail!("{}; without --require-all these tests are skipped", peers.missing.join("; "));
    }

    let mut counts = Counts::default();
    let mut host = cargo(&["test", "--workspace"]);
    let mut guests = cargo(&["test", "--workspace", "--manifest-path", PLUGINS]);
    let mut example = cargo(&["test", "--manifest-path", EXAMPLE]);
    for command in [&mut host, &mut guests, &mut example] {
        command.args(filter);
        command.arg("--no-fail-fast");
    }
    host.envs(peers.variables());
    if require_all {
        host.env("BELFRY_REQUIRE_ALL", "1");
    }
    let mut passed = true;
    for command in [guests, example, host] {
        passed &= run_reading(command, |line| counts.read(line))?;
    }

    for missing in &peers.missing {
        println!("skipped: {missing}");
    }
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, peers.missing.len());
    if !passed || counts.failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}

pub fn lint() -> Result<()> {
    for workspace in [HOST, PLUGINS, EXAMPLE, BENCH_GUEST, BENCH_JOURNAL] {
        run(cargo(&["fmt", "--all", "--check", "--manifest-path", workspace]))?;
    }
    for workspace in [HOST, PLUGINS] {
        let mut clippy = cargo(&["clippy", "--workspace", "--all-targets", "--manifest-path", workspace]);
        clippy.args(["--", "--deny", "warnings"]);
        run(clippy)?;
    }
    if exists("cargo-deny") {
        run(cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    } else {
        eprintln!("skipped: cargo-deny is not installed (`cargo install cargo-deny`)");
    }
    Ok(())
}

pub fn soak(minutes: f64, seed: Option<u64>) -> Result<()> {
    ensure_guest_target()?;
    let mut soak = cargo(&["test", "--package", "belfry", "--test", "faults"]);
    soak.args(["--", "--ignored", "--exact", "soak::soak", "--nocapture"]);
    soak.env("BELFRY_SOAK_MINUTES", minutes.to_string());
    if let Some(seed) = seed {
        soak.env("BELFRY_FAULT_SEED", seed.to_string());
    }
    run(soak)
}

pub fn bench(arguments: &[String]) -> Result<()> {
    ensure_guest_target()?;
    let peers = Peers::set_up();
    // In their own target directory whatever CARGO_TARGET_DIR says: the benchmark is told where.
    let plugins = ["--manifest-path", PLUGINS, "--target-dir", "plugins/target"];
    run(cargo(&[&["build", "--release", "--target", GUEST_TARGET], plugins.as_slice()].concat()))?;
    let echo = root().join("plugins/target").join(GUEST_TARGET).join("release/echo.wasm");
    let mut instance = cargo(&["bench", "--package", "belfry-plugin-host", "--bench", "instance", "--"]);
    instance.arg(echo);
    run(instance)?;
    let mut load = cargo(&["bench", "--package", "belfry", "--bench", "load", "--"]);
    load.args(arguments);
    load.envs(peers.variables());
    run(load)?;
    if arguments.is_empty() {
        run(cargo(&["run", "--release", "--manifest-path", BENCH_JOURNAL, "--"]))?;
    }
    Ok(())
}

pub fn schemas() -> Result<()> {
    let schema = output(cargo(&["run", "--quiet", "--package", "belfry", "--", "config", "schema"]))?;
    let path = root().join("host/belfry/belfry.schema.json");
    std::fs::write(&path, schema).with_context(|| format!("failed to write {}", path.display()))
}

fn ensure_guest_target() -> Result<()> {
    let installed = output(command("rustup", &["target", "list", "--installed"]))
        .context("rustup is needed to get the target that plugins are built for; see https://rustup.rs")?;
    if installed.lines().any(|target| target == GUEST_TARGET) {
        return Ok(());
    }
    eprintln!("adding the target {GUEST_TARGET}, which plugins are built for");
    run(command("rustup", &["target", "add", GUEST_TARGET]))
}

/// The sums over the closing lines of the test programs.
#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Counts {
    /// `test result: ok. 4 passed; 0 failed; …`
    fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        let words: Vec<&str> = rest.split([' ', ';']).collect();
        for pair in words.windows(2) {
            if let [number, what] = pair
                && let Ok(number) = number.parse::<u64>()
            {
                match *what {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn closing_lines_are_summed() {
        let mut counts = Counts::default();
        counts.read(
            "test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        counts.read("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out");
        counts.read("test passed::failed ... ok");
        assert_eq!((counts.passed, counts.failed), (6, 3));
    }
}
