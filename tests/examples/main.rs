//! The same bot in every language, built as an author builds it, holds the same conversation (`examples/tests`, in words in
//! `examples/CONVERSATION.md`). A language whose tools are not installed is named and skipped, unless BELFRY_REQUIRE_ALL is
//! set.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use belfry_plugin_host::types::{Content, Conversation, ConversationKind, Message, Outcome, Sender};
use belfry_plugin_host::{
    Allocator, CallContext, Done, Host, HostConfig, KeyValue, Lifetime, PluginSpec, ServiceFuture,
};
use belfry_toolchain::{BuildError, Language, Options, Progress, build_with};
use bytes::Bytes;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Where what is built of `examples/NAME` goes.
fn target(name: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).unwrap().join("examples").join(name)
}

/// Builds the example in `dir`; none if its tools are missing here.
async fn build(name: &str, dir: &Path) -> Option<PathBuf> {
    let options = Options { target_dir: Some(target(name)), ..Options::default() };
    let mut said = String::new();
    let mut note = |progress: Progress<'_>| said += &format!("{progress:?}\n");
    let started = Instant::now();
    match build_with(dir, &options, &mut note).await {
        Ok(built) => {
            let size = std::fs::metadata(&built.wasm).unwrap().len();
            eprintln!("{name}: {size} bytes, built in {:.1} s", started.elapsed().as_secs_f64());
            assert_eq!((built.name.as_str(), built.description.as_str()), ("notes", "Keeps notes"));
            Some(built.wasm)
        }
        Err(error @ BuildError::ToolMissing { .. }) if std::env::var_os("BELFRY_REQUIRE_ALL").is_none() => {
            eprintln!("skipped {name}: {error}");
            None
        }
        Err(error) => panic!("{error}\n{said}"),
    }
}

/// Builds the bot in `examples/NAME` and holds the conversation with it.
async fn converses(name: &str, language: Language) {
    assert_eq!(Language::detect(&examples().join(name)), Some(language));
    let Some(wasm) = build(name, &examples().join(name)).await else { return };
    let out = belfry_test(&examples(), &wasm).await;
    assert!(out.contains("2 passed, 0 failed"), "{out}");
}

/// Runs `belfry test` in `dir` with this component.
async fn belfry_test(dir: &Path, wasm: &Path) -> String {
    let mut belfry = tokio::process::Command::new(env!("CARGO_BIN_EXE_belfry"));
    belfry.arg("test").arg(dir).arg("--plugin").arg(wasm).stdin(Stdio::null());
    let output = belfry.output().await.unwrap();
    let out = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}");
    out.into_owned()
}

/// As [`converses`], for a language whose tools belong to the project: those that `cargo xtask test` installed, named by
/// `variable`, are linked into a copy as `link`. Then looks for the author's own file and line in the reason of the crash.
async fn converses_with(name: &str, language: Language, link: &str, variable: &str, frame: &str) {
    assert_eq!(Language::detect(&examples().join(name)), Some(language));
    let Some(tools) = std::env::var_os(variable) else {
        assert!(std::env::var_os("BELFRY_REQUIRE_ALL").is_none(), "{variable} is not set");
        return eprintln!("skipped {name}: {variable} is not set; run `cargo xtask test`");
    };
    let dir = tempfile::tempdir().unwrap();
    copy(&examples().join(name), dir.path());
    std::os::unix::fs::symlink(tools, dir.path().join(link)).unwrap();
    let wasm = build(name, dir.path()).await.unwrap();
    let out = belfry_test(&examples(), &wasm).await;
    assert!(out.contains("2 passed, 0 failed"), "{out}");

    let file =
        ["bot.js", "bot.ts", "app.py"].into_iter().find(|file| dir.path().join(file).is_file()).unwrap();
    let source = std::fs::read_to_string(dir.path().join(file)).unwrap();
    let line = 1 + source.lines().position(|line| line.contains("crashed as asked")).unwrap();
    let frame = frame.replace("LINE", &line.to_string());
    let crash = format!(
        "[[turn]]\ngiven = {{ message = \"/note crash\" }}\nexpect = {{ failure = {} }}\n",
        toml::Value::String(frame)
    );
    std::fs::create_dir(dir.path().join("tests")).unwrap();
    std::fs::write(dir.path().join("tests/crash.toml"), crash).unwrap();
    let out = belfry_test(dir.path(), &wasm).await;
    assert!(out.contains("1 passed, 0 failed"), "{out}");
}

/// Copies what belongs to the source: no folder that a tool made beside it.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if ["node_modules", ".venv", "build", "bindings", "__pycache__"].iter().any(|made| name == *made) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(to.join(&name)).unwrap();
            copy(&entry.path(), &to.join(&name));
        } else {
            std::fs::copy(entry.path(), to.join(&name)).unwrap();
        }
    }
}

#[tokio::test]
async fn rust() {
    converses("rust", Language::Rust).await;
}

#[tokio::test]
async fn c() {
    converses("c", Language::C).await;
}

#[tokio::test]
async fn go() {
    converses("go", Language::Go).await;
    go_keeps_going().await;
}

#[tokio::test]
async fn zig() {
    converses("zig", Language::Zig).await;
}

#[tokio::test]
async fn javascript() {
    let language = Language::JavaScript;
    converses_with("javascript", language, "node_modules", "BELFRY_GUEST_NODE_MODULES", "at bot.js:LINE")
        .await;
}

#[tokio::test]
async fn typescript() {
    let language = Language::TypeScript;
    converses_with("typescript", language, "node_modules", "BELFRY_GUEST_NODE_MODULES", "at bot.ts:LINE")
        .await;
}

#[tokio::test]
async fn python() {
    let frame = "File \"app.py\", line LINE, in on_message";
    converses_with("python", Language::Python, ".venv", "BELFRY_GUEST_VENV", frame).await;
}

/// Go collects its garbage while the host writes into its memory. What goes wrong there shows after some thousands of calls of one
/// instance only.
async fn go_keeps_going() {
    let Some(wasm) = build("go", &examples().join("go")).await else { return };
    let host = Host::new(HostConfig { allocator: Allocator::OnDemand, ..HostConfig::default() }).unwrap();
    let lifetime = Lifetime::Resident { recycle_after: u32::MAX };
    let spec = PluginSpec { lifetime, ..PluginSpec::new("notes", &wasm) };
    let plugin = host.load_bytes(spec, std::fs::read(&wasm).unwrap()).await.unwrap();
    let context = CallContext { key_value: Some(Arc::new(NoKeys)), ..CallContext::default() };
    for number in 0..5_000 {
        let message = Arc::new(message(&format!("/note add {}", "tea ".repeat(number % 500))));
        let done = plugin.on_message(message, &context).await;
        assert!(matches!(done, Ok(Done { value: Outcome::Reply(_), .. })), "call {number}: {done:?}");
    }
}

/// Key-values that are always empty.
struct NoKeys;

impl KeyValue for NoKeys {
    fn get<'a>(
        &'a self,
        _plugin: &'a str,
        _bucket: &'a str,
        _key: &'a str,
    ) -> ServiceFuture<'a, Result<Option<Bytes>, String>> {
        Box::pin(async { Ok(None) })
    }

    fn keys<'a>(
        &'a self,
        _plugin: &'a str,
        _bucket: &'a str,
        _after: Option<&'a str>,
        _limit: usize,
    ) -> ServiceFuture<'a, Result<Vec<String>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn used(&self, _plugin: &str) -> u64 {
        0
    }

    fn version(&self, _plugin: &str, _bucket: &str, _key: &str) -> u64 {
        0
    }
}

fn message(text: &str) -> Message {
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
