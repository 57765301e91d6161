//! A gateway, a bot that is killed and started again, and the checker that watches both.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use belfry_simulator::{Fault, Person, Say, Simulator, SimulatorConfig, conversation_id};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::{
    bot::{belfry, naughty},
    checker::{Checker, Expect, Report},
    seed::{Rng, seed},
};

/// The two robots.
pub const ROBOTS: [&str; 2] = ["dingone", "dingtwo"];

/// Longer than anything here takes while other tests run too.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Messages that may be said again.
const LATELY: usize = 100;

/// How the program is started.
#[derive(Default, Clone)]
pub struct Launch {
    /// Words put before it, such as `nsenter …`.
    pub before: Vec<String>,
    /// Its environment.
    pub variables: Vec<(String, PathBuf)>,
}

/// What a world begins with.
pub struct Plan {
    pub name: &'static str,
    /// Robots that take part.
    pub robots: usize,
    /// The rest of the config's `[pipeline]` table, and tables after it; `{folder}` stands for the world's folder.
    pub tables: String,
    pub simulator: SimulatorConfig,
    pub launch: Launch,
    /// What a person is told when a handler fails; empty: nothing.
    pub failure: &'static str,
}

impl Plan {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            robots: 2,
            tables: String::new(),
            simulator: SimulatorConfig {
                redeliver_after: Duration::from_secs(1),
                max_deliveries: 10_000,
                seed: Some(seed()),
                ..SimulatorConfig::default()
            },
            launch: Launch::default(),
            failure: "",
        }
    }

    pub fn tables(self, tables: &str) -> Self {
        Self { tables: tables.to_owned(), ..self }
    }

    pub fn honour_uuid(self) -> Self {
        Self { simulator: SimulatorConfig { honour_msg_uuid: true, ..self.simulator }, ..self }
    }

    /// Starts the gateway and the bot, and waits until every robot is connected.
    pub async fn start(self) -> World {
        let folder = tempfile::tempdir().unwrap();
        self.start_in(folder).await
    }

    pub async fn start_in(self, folder: TempDir) -> World {
        let component = std::fs::read(naughty().await).unwrap();
        let honours = self.simulator.honour_msg_uuid;
        let simulator = Simulator::start(self.simulator).await.unwrap();
        let gateway = simulator.base_url();
        let [one, two] = ROBOTS;
        let second = match self.robots {
            1 => String::new(),
            _ => format!(
                "[channels_config.dingtalk.apps.second]\nclient_id = \"{two}\"\nclient_secret = \"two\"\nallowed_users = [\"*\"]\n"
            ),
        };
        let config = format!(
            "[channels_config.dingtalk]\nclient_id = \"{one}\"\nclient_secret = \"one\"\nallowed_users = [\"*\"]\n\
             api_base = \"{gateway}\"\noapi_base = \"{gateway}\"\nproxy = \"none\"\n{second}\
             [plugins.naughty]\nlimits = {{ cpu = \"300ms\", deadline = \"10s\" }}\n\
             [pipeline]\nreplies_per_minute = 0\nfailure_reply = \"{}\"\n{}",
            self.failure,
            self.tables.replace("{folder}", &folder.path().display().to_string())
        );
        std::fs::write(folder.path().join("belfry.toml"), config).unwrap();
        std::fs::create_dir_all(folder.path().join("plugins")).unwrap();
        let mut world = World {
            records: std::env::var_os("BELFRY_FAULT_RECORDS").map(|folder| {
                let path = PathBuf::from(folder).join(self.name);
                BufWriter::new(File::create(path).unwrap())
            }),
            rng: Rng::of(self.name),
            checker: Checker::new((!self.failure.is_empty()).then_some(self.failure), honours),
            child: None,
            launch: self.launch,
            robots: ROBOTS[..self.robots].to_vec(),
            read_until: 1,
            said: 0,
            builds: 0,
            lately: VecDeque::new(),
            component,
            simulator,
            folder,
        };
        world.reload();
        world.launch();
        world.connected().await;
        world
    }
}

/// See the module.
pub struct World {
    pub simulator: Simulator,
    pub folder: TempDir,
    pub checker: Checker,
    pub rng: Rng,
    pub child: Option<Child>,
    pub launch: Launch,
    robots: Vec<&'static str>,
    component: Vec<u8>,
    read_until: u64,
    said: u64,
    builds: u32,
    /// What was said last, to be said again.
    lately: VecDeque<Say>,
    /// Where what is recorded goes too: a file of the test's name in the folder `BELFRY_FAULT_RECORDS`.
    records: Option<BufWriter<File>>,
}

impl World {
    /// Starts the program in the world's folder.
    pub fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let command = self
            .command()
            .args(["run", "--log-format", "json", "--config"])
            .arg(self.path("belfry.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(command.unwrap());
    }

    /// The program, started as the plan says.
    pub fn command(&self) -> Command {
        let program = belfry();
        let program = program.as_std();
        let mut words = self.launch.before.iter();
        let mut command = match words.next() {
            Some(first) => Command::new(first),
            None => Command::new(program.get_program()),
        };
        if !self.launch.before.is_empty() {
            command.args(words).arg(program.get_program());
        }
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.envs(self.launch.variables.iter().map(|(name, value)| (name, value)));
        command.kill_on_drop(true);
        command
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits until every robot has a connection.
    pub async fn connected(&mut self) {
        for robot in self.robots.clone() {
            let connected = self.simulator.wait_for_connections(Some(robot), 1, PATIENCE).await;
            assert!(connected.is_ok(), "{robot} is not connected; the log ends with:\n{}", self.tail());
        }
    }

    /// Puts another build of the plugin into the folder, which does the same.
    pub fn reload(&mut self) {
        self.builds += 1;
        let mut build = self.component.clone();
        // A custom section named `n`.
        build.extend_from_slice(&[0, 6, 1, b'n']);
        build.extend_from_slice(&self.builds.to_le_bytes());
        let incoming = self.path("incoming");
        std::fs::write(&incoming, build).unwrap();
        std::fs::rename(incoming, self.path("plugins/naughty.wasm")).unwrap();
    }

    /// Somebody says something to every robot, under one `msgId`, in a conversation drawn from so many.
    pub fn say(&mut self, conversations: u64) {
        self.tell(conversations, "say {}", true);
    }

    /// The same with other words; `{}` stands for those that the answer consists of.
    pub fn tell(&mut self, conversations: u64, words: &str, answered: bool) -> String {
        let number = self.rng.below(conversations);
        self.tell_in(number, words, answered)
    }

    /// The same in one conversation.
    pub fn tell_in(&mut self, number: u64, words: &str, answered: bool) -> String {
        self.tell_expecting(number, words, |answer| match answered {
            true => Expect::Answer(answer),
            false => Expect::Failure,
        })
    }

    /// The same with what is to come of it, made of the words that stand for `{}`.
    pub fn tell_expecting(&mut self, number: u64, words: &str, expect: impl Fn(String) -> Expect) -> String {
        self.said += 1;
        let answer = format!("m{}.", self.said);
        let msg_id = format!("msg{:016x}{}", self.rng.next(), self.said);
        let conversation = conversation(number);
        let expect = expect(answer.clone());
        for robot in &self.robots {
            self.checker.said(robot, &msg_id, &conversation, expect.clone());
            let text = words.replace("{}", &answer);
            let person = Person::staff(format!("staff{number}"), "Kim");
            let say = match number % 2 {
                0 => Say::private(&conversation, person, text),
                _ => Say::group(&conversation, person, text),
            };
            let say = say.to(*robot).with_msg_id(&msg_id);
            self.simulator.say(say.clone());
            self.lately.push_back(say);
            if self.lately.len() > LATELY {
                self.lately.pop_front();
            }
        }
        msg_id
    }

    /// Says one of the latest messages once more, to the same robot and under the same `msgId`.
    pub fn say_again(&mut self) {
        if !self.lately.is_empty() {
            let at = self.rng.below(self.lately.len() as u64) as usize;
            self.simulator.say(self.lately[at].clone());
        }
    }

    pub fn fault(&self, fault: Fault) {
        self.simulator.add_fault(fault).unwrap();
    }

    /// Hands what was recorded since to the checker.
    pub fn read(&mut self) {
        loop {
            let page = self.simulator.records(self.read_until, 10_000);
            assert_eq!(page.missed, 0, "the simulator forgot records: raise max_records");
            self.read_until = page.next;
            if page.records.is_empty() {
                return;
            }
            for record in page.records {
                self.checker.read(&record);
                if let Some(file) = &mut self.records {
                    writeln!(file, "{}", serde_json::to_string(&record).unwrap()).unwrap();
                }
            }
        }
    }

    /// Kills the process without a warning.
    pub async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
        self.read();
        self.checker.killed(self.simulator.now());
    }

    pub async fn kill_and_restart(&mut self) {
        self.kill().await;
        self.launch();
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().unwrap();
        let pid = child.id().unwrap().to_string();
        std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap()
    }

    /// Waits until `what` is so, reading records meanwhile.
    pub async fn until(&mut self, what: &str, mut so: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.read();
            if so(self) {
                return;
            }
            if Instant::now() > until {
                panic!(
                    "waited in vain for {what}; missing:\n{}\nthe log ends with:\n{}",
                    self.checker.missing(10),
                    self.tail()
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until every message is acknowledged and answered.
    pub async fn settled(&mut self) {
        self.until("every acknowledgement and answer", |world| world.checker.open() == 0).await;
    }

    /// Waits until everything is settled and what follows it in each conversation too, then asks the checker.
    pub async fn finish(mut self, conversations: u64) -> Report {
        self.settled().await;
        self.simulator.clear_faults(None);
        for number in 0..conversations {
            // Whatever was still on its way goes before this.
            self.tell_in(number, "say {}", true);
        }
        self.settled().await;
        let ended = self.child.as_mut().map(|child| child.try_wait().unwrap());
        assert!(matches!(ended, Some(None)), "the process has ended: {ended:?}\n{}", self.tail());
        let log = self.log();
        // Not a guest's panic, which comes as a log line in JSON.
        let panicked = log.lines().any(|line| line.contains("panicked") && !line.starts_with('{'));
        assert!(!panicked && !log.contains("a bug of Belfry"), "the host panicked:\n{log}");
        let tail = self.tail();
        match self.checker.verdict() {
            Ok(report) => {
                eprintln!("{report}");
                report
            }
            Err(wrong) => panic!("{wrong}\nthe log ends with:\n{tail}"),
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The last lines of the log, cut, for a failure's message.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<String> = log.lines().map(|line| line.chars().take(400).collect()).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// The id of a conversation.
pub fn conversation(number: u64) -> String {
    conversation_id(&format!("c{number}"))
}

/// Waits a while that is drawn, so that what follows comes at a moment of its own.
pub async fn pause(rng: &mut Rng, longest: Duration) {
    let longest = longest.as_micros() as u64;
    sleep(Duration::from_micros(rng.below(longest.max(1)))).await;
}

/// Says loudly that a test cannot run here; with `BELFRY_REQUIRE_ALL` that is a failure.
pub fn skip(test: &str, reason: &str) {
    assert!(std::env::var_os("BELFRY_REQUIRE_ALL").is_none(), "{test} cannot run here: {reason}");
    eprintln!("SKIPPED: {test}: {reason}");
}
