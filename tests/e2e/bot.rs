//! A running `belfry run`, the gateway it talks to, and what the tests need of both.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use belfry_simulator::{Happening, Person, Reply, Say, Simulator, SimulatorConfig, conversation_id};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    sync::OnceCell,
    time::{Instant, sleep},
};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The app in the plain table.
pub const CLIENT_ID: &str = "dingtest";

/// `belfry run` in a folder of its own.
pub struct Bot {
    pub simulator: Simulator,
    pub folder: TempDir,
    pub child: Child,
}

/// What a bot is started with.
#[derive(Default)]
pub struct Setup {
    /// Lines of the `[channels_config.dingtalk]` table.
    pub channel: String,
    /// Further tables; `{gateway}` stands for the simulator's address.
    pub tables: String,
    /// Files of the plugin folder: name and component.
    pub plugins: Vec<(&'static str, PathBuf)>,
}

impl Setup {
    /// One app that lets everybody in, with these plugins.
    pub fn with(plugins: &[(&'static str, PathBuf)]) -> Self {
        Self { channel: "allowed_users = [\"*\"]".into(), plugins: plugins.to_vec(), ..Self::default() }
    }

    /// One app that lets everybody in, with the echo plugin.
    pub async fn echo() -> Self {
        Self::with(&[("echo.wasm", echo().await)])
    }

    pub fn tables(self, tables: &str) -> Self {
        Self { tables: tables.to_owned(), ..self }
    }

    pub fn channel(self, channel: &str) -> Self {
        Self { channel: channel.to_owned(), ..self }
    }

    /// Starts it and waits until it is connected.
    pub async fn start(self) -> Bot {
        let bot = self.start_unconnected(SimulatorConfig::default()).await;
        bot.connected(1).await;
        bot
    }

    pub async fn start_unconnected(self, simulator: SimulatorConfig) -> Bot {
        let simulator = Simulator::start(simulator).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let gateway = simulator.base_url();
        let Self { channel, tables, plugins } = self;
        let config = format!(
            "[channels_config.dingtalk]\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{SECRET}\"\n\
             api_base = \"{gateway}\"\nproxy = \"none\"\n{}\n\n{}\n",
            channel.replace("{gateway}", gateway),
            any_number_of_replies(&tables.replace("{gateway}", gateway))
        );
        std::fs::write(folder.path().join("belfry.toml"), config).unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        for (name, component) in plugins {
            std::fs::copy(component, folder.path().join("plugins").join(name)).unwrap();
        }
        let child = run(folder.path());
        Bot { simulator, folder, child }
    }
}

/// What is said here in a second takes a person an hour: DingTalk's limit on replies is for tests of its own.
fn any_number_of_replies(tables: &str) -> String {
    const PIPELINE: &str = "[pipeline]\nreplies_per_minute = 0\n";
    match tables {
        tables if tables.contains("replies_per_minute") => tables.to_owned(),
        tables if tables.contains("[pipeline]\n") => tables.replace("[pipeline]\n", PIPELINE),
        tables => format!("{tables}\n{PIPELINE}"),
    }
}

/// Shows up nowhere but in the config.
pub const SECRET: &str = "hunter2-client-secret";

fn run(folder: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    belfry()
        .args(["run", "-v", "--log-format", "json", "--config"])
        .arg(folder.join("belfry.toml"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The program under test, with a cache that all tests share.
pub fn belfry() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_belfry"));
    command.env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache")).kill_on_drop(true);
    for variable in ["RUST_LOG", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"] {
        command.env_remove(variable);
    }
    command
}

impl Bot {
    pub async fn connected(&self, count: usize) {
        let connected = self.simulator.wait_for_connections(None, count, PATIENCE).await;
        assert!(connected.is_ok(), "not connected; the log ends with:\n{}", self.tail());
    }

    /// Says it and waits for a reply that contains `part`.
    pub async fn ask(&self, say: Say, part: &str) -> Reply {
        let since = self.simulator.now();
        let conversation = say.conversation.clone();
        self.simulator.say(say);
        match self.simulator.wait_for_reply(since, &conversation, part, PATIENCE).await {
            Ok(reply) => reply,
            Err(missing) => panic!("{missing}\nthe log ends with:\n{}", self.tail()),
        }
    }

    /// The number of replies since `since` whose text contains `part`.
    pub fn replies(&self, since: u64, part: &str) -> usize {
        let page = self.simulator.records(since, usize::MAX);
        let replied =
            |what: &Happening| matches!(what, Happening::Replied(reply) if reply.text().contains(part));
        page.records.iter().filter(|record| replied(&record.what)).count()
    }

    /// The texts of all replies since `since`, in the order in which they came.
    pub fn answers(&self, since: u64) -> Vec<String> {
        let page = self.simulator.records(since, usize::MAX);
        let text = |what: &Happening| match what {
            Happening::Replied(reply) => Some(reply.text()),
            _ => None,
        };
        page.records.iter().filter_map(|record| text(&record.what)).collect()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The last lines of the log, cut, for a failure's message.
    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<String> = log.lines().map(|line| line.chars().take(500).collect()).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Waits until the log has a line with all these parts.
    pub async fn logged(&self, parts: &[&str]) -> String {
        self.logged_after("", parts).await
    }

    /// Waits until the log goes on after `seen`, what it was before, with a line with all these parts.
    pub async fn logged_after(&self, seen: &str, parts: &[&str]) -> String {
        let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
        wait_for(&format!("a log line with {parts:?}"), || {
            let log = self.log();
            log.get(seen.len()..).and_then(|news| news.lines().find(has_all).map(str::to_owned))
        })
        .await
        .unwrap_or_else(|problem| panic!("{problem}; the log ends with:\n{}", self.tail()))
    }

    pub fn plugin_file(&self, name: &str) -> PathBuf {
        self.folder.path().join("plugins").join(name)
    }

    /// Puts a component into the plugin folder as a careful program does: under another name, then renamed.
    pub fn put_plugin(&self, name: &str, bytes: &[u8]) {
        let copy = self.folder.path().join("incoming");
        std::fs::write(&copy, bytes).unwrap();
        std::fs::rename(copy, self.plugin_file(name)).unwrap();
    }

    /// Kills it without a warning and starts it again in the same folder.
    pub async fn kill_and_restart(&mut self) {
        self.child.kill().await.unwrap();
        self.restart();
    }

    /// Starts it again in the same folder after its end.
    pub fn restart(&mut self) {
        self.child = run(self.folder.path());
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        std::process::Command::new("kill").arg(format!("-{name}")).arg(&pid).status().unwrap();
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(&mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap()
    }
}

/// Polls until there is something.
pub async fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> Result<T, String> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = poll() {
            return Ok(found);
        }
        if Instant::now() > until {
            return Err(format!("{what} did not come"));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Something said in a private chat.
pub fn private(text: &str) -> Say {
    in_chat("private", text)
}

/// Something said in the private chat of this name.
pub fn in_chat(name: &str, text: &str) -> Say {
    Say::private(conversation_id(name), Person::default(), text)
}

/// The component of the echo plugin.
pub async fn echo() -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(|| build("plugins/echo")).await.clone()
}

/// The component of the help plugin.
pub async fn help() -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(|| build("plugins/help")).await.clone()
}

/// The component of the approve plugin.
pub async fn approve() -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(|| build("plugins/approve")).await.clone()
}

/// The component of the assistant plugin.
pub async fn assistant() -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(|| build("plugins/assistant")).await.clone()
}

/// The component of the standup plugin.
pub async fn standup() -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(|| build("plugins/standup")).await.clone()
}

/// The component of the guest that misbehaves on demand.
pub async fn naughty() -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(|| build("host/plugin/tests/guests/naughty")).await.clone()
}

/// The component of the guest that sends, counts, swaps and streams.
pub async fn doer() -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(|| build("host/plugin/tests/guests/doer")).await.clone()
}

/// The component of the guest that handles messages, events and actions.
pub async fn courier() -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(|| build("host/plugin/tests/guests/courier")).await.clone()
}

async fn build(folder: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    belfry_toolchain::build(&folder, &mut |progress| eprintln!("{progress:?}")).await.unwrap().wasm
}
