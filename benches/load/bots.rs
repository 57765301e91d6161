//! How each bot is started.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use belfry_simulator::{Simulator, SimulatorConfig};
use tokio::process::{Child, Command};

/// A `[journal]` table that keeps nothing on the disk.
pub const IN_MEMORY: &str = "engine = \"memory\"";

/// The app that every bot is.
const CLIENT_ID: &str = "dingbench";

/// A kind of bot that answers each text with the same text.
pub struct Bot {
    pub name: String,
    kind: Kind,
}

enum Kind {
    Belfry { journal: &'static str },
    Bare { multi_thread: bool },
    Python { python: PathBuf },
    Node { node: PathBuf },
    Custom { command: String },
}

/// A bot that runs, connected to a gateway of its own.
pub struct RunningBot {
    pub simulator: Simulator,
    /// Its folder, with config and plugins; gone when it ends.
    pub folder: tempfile::TempDir,
    child: Child,
}

impl Bot {
    /// Belfry with its echo plugin, and its journal on the disk as it is by default.
    pub fn belfry() -> Self {
        Self::belfry_with("belfry", "")
    }

    /// Belfry with these lines in its `[journal]` table.
    pub fn belfry_with(name: &str, journal: &'static str) -> Self {
        Self { name: name.to_owned(), kind: Kind::Belfry { journal } }
    }

    /// All that can be run here.
    pub fn available() -> Vec<Self> {
        let bare =
            |name: &str, multi_thread| Self { name: name.to_owned(), kind: Kind::Bare { multi_thread } };
        let mut bots =
            vec![Self::belfry(), bare("bare-current-thread", false), bare("bare-multi-thread", true)];
        bots.insert(1, Self::belfry_with("belfry-in-memory", IN_MEMORY));
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        match variable("BELFRY_PEER_PYTHON") {
            Some(python) => bots.push(Self { name: "python".to_owned(), kind: Kind::Python { python } }),
            None => println!("left out: the Python SDK (run through `cargo xtask bench`)"),
        }
        match (variable("BELFRY_PEER_NODE"), variable("BELFRY_PEER_NODE_MODULES")) {
            // The bot finds the modules by the same variable.
            (Some(node), Some(_)) => bots.push(Self { name: "node".to_owned(), kind: Kind::Node { node } }),
            _ => println!("left out: the Node SDK (run through `cargo xtask bench`)"),
        }
        bots
    }

    /// One of the user's own.
    pub fn custom(name: &str, command: &str) -> Self {
        Self { name: name.to_owned(), kind: Kind::Custom { command: command.to_owned() } }
    }

    /// Starts a gateway and the bot, and waits until it is connected. `plugin` is what Belfry runs.
    pub async fn start(&self, plugin: &Path, cores: Option<&str>) -> Result<RunningBot> {
        let simulator = Simulator::start(SimulatorConfig::default()).await?;
        let folder = tempfile::tempdir()?;
        if let Kind::Belfry { journal } = self.kind {
            prepare_belfry(folder.path(), simulator.base_url(), journal)?;
            std::fs::copy(plugin, folder.path().join("plugins/echo.wasm")).context("copy the plugin")?;
        }
        let child = self.spawn(folder.path(), simulator.base_url(), cores)?;
        let running = RunningBot { simulator, folder, child };
        let connected = running.simulator.wait_for_connections(None, 1, Duration::from_secs(30)).await;
        connected.with_context(|| format!("{} did not connect", self.name))?;
        Ok(running)
    }

    fn spawn(&self, folder: &Path, gateway: &str, cores: Option<&str>) -> Result<Child> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("host/simulator/tests/peers");
        let (program, arguments): (PathBuf, Vec<String>) = match &self.kind {
            Kind::Belfry { .. } => belfry_command(folder),
            Kind::Bare { multi_thread } => {
                let mut arguments = vec!["--be-bare".to_owned(), gateway.to_owned()];
                arguments.extend(multi_thread.then(|| "--multi-thread".to_owned()));
                (std::env::current_exe()?, arguments)
            }
            Kind::Python { python } => (python.clone(), vec![text(&peers.join("python/echo.py"))]),
            Kind::Node { node } => (node.clone(), vec![text(&peers.join("node/echo.mjs"))]),
            Kind::Custom { command } => ("sh".into(), vec!["-c".to_owned(), format!("exec {command}")]),
        };
        let mut command = match cores {
            Some(cores) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", cores]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).env("BELFRY_SIMULATOR", gateway).env("DINGTALK_OPENAPI_ENDPOINT", gateway);
        command.env("BELFRY_CLIENT_ID", CLIENT_ID).env("BELFRY_CLIENT_SECRET", "simulated");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_of(&self.name)?).kill_on_drop(true);
        command.spawn().with_context(|| format!("start {}", self.name))
    }
}

impl RunningBot {
    /// Kills it without a warning.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Starts it again in the same folder.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = Bot::belfry().spawn(self.folder.path(), self.simulator.base_url(), None)?;
        Ok(())
    }

    /// The process.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the bot has ended")
    }

    /// Ends it, and the gateway.
    pub async fn stop(mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            bail!("the bot ended by itself");
        }
        self.child.kill().await?;
        self.simulator.shutdown().await;
        Ok(())
    }
}

/// The folder of a Belfry that is to connect to `gateway`.
pub fn prepare_belfry(folder: &Path, gateway: &str, journal: &str) -> Result<()> {
    std::fs::create_dir_all(folder.join("plugins"))?;
    let config = format!(
        "[channels_config.dingtalk]\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"simulated\"\n\
         allowed_users = [\"*\"]\napi_base = \"{gateway}\"\nproxy = \"none\"\n\n[host]\ncache_dir = \"cache\"\n\n\
         [journal]\n{journal}\n\n[pipeline]\nreplies_per_minute = 0\npending = 200_000\npending_bytes = \"1GiB\"\n"
    );
    std::fs::write(folder.join("belfry.toml"), config).context("write the config")
}

/// How Belfry is started in such a folder.
pub fn belfry_command(folder: &Path) -> (PathBuf, Vec<String>) {
    let arguments = vec!["run".to_owned(), "--config".to_owned(), text(&folder.join("belfry.toml"))];
    (env!("CARGO_BIN_EXE_belfry").into(), arguments)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A file for what the bot says, since a pipe that nobody reads would stop it.
fn log_of(name: &str) -> Result<Stdio> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::File::create(folder.join(format!("bench-{name}.log")))?.into())
}
