//! What the tests share: the naughty guest, messages for it, and a log to look into.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use belfry_plugin_host::types::{Content, Conversation, ConversationKind, Message, Outcome, Reply, Sender};
use belfry_plugin_host::{CallContext, CallError, Done, Host, HostConfig, Plugin, PluginSpec};
use belfry_toolchain::{Options, Progress, build_with};
use tokio::sync::OnceCell;
use tracing::subscriber::DefaultGuard;

/// The guest that does what it is told, built once for all tests.
pub async fn naughty() -> &'static [u8] {
    static BYTES: OnceCell<Vec<u8>> = OnceCell::const_new();
    BYTES.get_or_init(|| build("naughty")).await
}

/// The guest that exports and imports everything, built once for all tests.
pub async fn keeper() -> &'static [u8] {
    static BYTES: OnceCell<Vec<u8>> = OnceCell::const_new();
    BYTES.get_or_init(|| build("keeper")).await
}

async fn build(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = target_dir().join("guests");
    let options = Options { target_dir: Some(target), ..Options::default() };
    let mut said = String::new();
    let mut note = |line: Progress<'_>| said += &format!("{line:?}\n");
    let built = build_with(&root.join("tests/guests").join(name), &options, &mut note).await;
    let built = built.unwrap_or_else(|error| panic!("{error}\n{said}"));
    std::fs::read(built.wasm).unwrap()
}

/// The naughty guest with another three-letter build mark, so with other bytes.
pub async fn naughty_build(mark: &str) -> Vec<u8> {
    marked(naughty().await, b"naughty build AAA", mark)
}

/// The keeper with another three-letter build mark.
pub async fn keeper_build(mark: &str) -> Vec<u8> {
    marked(keeper().await, b"keeper build AAA", mark)
}

fn marked(bytes: &[u8], place: &[u8], mark: &str) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(place.len()).position(|window| window == place).unwrap();
    bytes[at + place.len() - 3..at + place.len()].copy_from_slice(mark.as_bytes());
    bytes
}

/// Cargo's target directory, found from this very program.
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).unwrap().to_owned()
}

pub fn host() -> Arc<Host> {
    Host::new(HostConfig { max_instances: 16, ..HostConfig::default() }).unwrap()
}

pub async fn load(spec: PluginSpec) -> Arc<Plugin> {
    host().load_bytes(spec, naughty().await.to_vec()).await.unwrap()
}

pub fn spec() -> PluginSpec {
    PluginSpec::new("naughty", "naughty.wasm")
}

pub async fn say(plugin: &Plugin, text: &str) -> Result<Outcome, CallError> {
    let context = CallContext { plugins: Arc::from([plugin.info()]), ..CallContext::default() };
    plugin.on_message(Arc::new(message(text)), &context).await.map(|done| done.value)
}

/// Says something that is answered with one text.
pub async fn ask(plugin: &Plugin, text: &str) -> String {
    answer(say(plugin, text).await.unwrap())
}

/// The one text of an answer.
fn answer(outcome: Outcome) -> String {
    match outcome {
        Outcome::Reply(replies) => match replies.as_slice() {
            [Reply::Text(reply)] => reply.text.clone(),
            other => panic!("{other:?}"),
        },
        Outcome::Pass => panic!("passed"),
    }
}

/// Says something that fails for good, and returns the reason.
pub async fn fail(plugin: &Plugin, text: &str) -> String {
    match say(plugin, text).await {
        Err(CallError::Permanent(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

pub fn keeper_spec() -> PluginSpec {
    PluginSpec::new("keeper", "keeper.wasm")
}

pub async fn load_keeper(spec: PluginSpec) -> Arc<Plugin> {
    host().load_bytes(spec, keeper().await.to_vec()).await.unwrap()
}

/// As [`say`], in this context, with all that came of it.
pub async fn call(plugin: &Plugin, text: &str, context: &CallContext) -> Result<Done<Outcome>, CallError> {
    plugin.on_message(Arc::new(message(text)), context).await
}

/// As [`ask`], in this context.
pub async fn ask_in(plugin: &Plugin, text: &str, context: &CallContext) -> String {
    answer(call(plugin, text, context).await.unwrap().value)
}

pub fn message(text: &str) -> Message {
    Message {
        id: "msg1".into(),
        app: "default".into(),
        conversation: Conversation { id: "cid1".into(), kind: ConversationKind::Private, title: None },
        sender: Sender {
            id: "$:LWCP_v1:$1".into(),
            staff_id: None,
            nick: "Ann".into(),
            corp_id: None,
            union_id: None,
            admin: false,
        },
        content: Content::Text(text.into()),
        mentions: Vec::new(),
        quoted: None,
        sent_at: 0,
        attempt: 1,
        attributes: Vec::new(),
        raw: "{}".into(),
    }
}

/// What was logged on this thread.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Collects log lines of this thread until the guard is dropped.
    pub fn start() -> (Log, DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// All of it.
    pub fn all(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines of plugins.
    pub fn lines(&self) -> Vec<String> {
        let text = self.all();
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| line.contains(" plugin: ")).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
