//! `belfry dev`.

use std::{
    path::Path,
    process::{Output, Stdio},
};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::bot::{PATIENCE, belfry};

async fn dev(folder: &str, arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    belfry().arg("dev").arg(folder).args(arguments).stdin(Stdio::null()).output().await.unwrap()
}

#[tokio::test]
async fn what_is_said_is_answered() {
    let output = dev("plugins/echo", &["--say", "hello", "--say", "你好", "--timeout", "60s"]).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n你好\n", "{errors}");
}

#[tokio::test]
async fn several_plugins_are_tried_with_their_tables() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("belfry.toml");
    // The channel's secret is not looked up; the sha256 is that of another build.
    let text = "[channels_config.dingtalk]\nclient_id = \"a\"\nclient_secret = \"${env:BELFRY_NOT_SET}\"\n\
                [plugins.echo]\ndescription = \"says it again\"\ncommands = [\"/echo\"]\nsha256 = \"";
    std::fs::write(&config, format!("{text}{}\"\n", "0".repeat(64))).unwrap();
    let help = concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/help");
    let table = ["--config", config.to_str().unwrap()];
    let said = ["--say", "/echo twice", "--say", "/help", "--timeout", "60s"];
    let output = dev("plugins/echo", &[&[help][..], &table, &said].concat()).await;
    let (answers, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    assert!(answers.contains("twice") && answers.contains("says it again"), "{answers}\n{errors}");
    assert!(errors.contains("has no [plugins.help]"), "{errors}");

    let unknown = dev("plugins/echo", &["--say", ":tick daily"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&unknown.stderr);
    assert!(errors.contains("no plugin has a schedule"), "{errors}");
}

/// From nothing to a plugin that answers, and one that writes to a group when its schedule ticks.
#[tokio::test]
async fn a_new_project_answers_and_its_schedule_ticks_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let made = belfry().args(["new", "todo", "--lang", "rust"]).current_dir(folder.path()).output().await;
    assert!(made.unwrap().status.success());
    let run = async |arguments: &[&str]| {
        let output = belfry()
            .args(["dev", "todo", "--timeout", "60s"])
            .args(arguments)
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/new-target"))
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["--say", "/todo buy milk", "--say", "/todo"]).await, "Noted.\nbuy milk\n");

    let source = folder.path().join("todo/src/lib.rs");
    std::fs::write(
        &source,
        r#"use belfry_plugin::prelude::*;
struct Plugin;
belfry_plugin::export!(Plugin: EventHandler);
impl EventHandler for Plugin {
    fn on_event(event: Event) -> Result<Vec<Effect>, Failure> {
        let what = format!("{} of {}", event.subject.unwrap_or_default(), event.source);
        Ok(vec![Effect::send(Target::group("cidteam=="), text(what))])
    }
}
"#,
    )
    .unwrap();
    std::fs::write(
        folder.path().join("belfry.toml"),
        "[plugins.todo]\nchat = { groups = [\"cidteam==\"] }\n\
         schedule = [{ name = \"daily\", cron = \"0 9 * * 1-5\" }]\n",
    )
    .unwrap();
    let answers = run(&["--config", "belfry.toml", "--say", ":tick daily"]).await;
    assert_eq!(answers, "daily of /schedules/todo\n");
}

#[tokio::test]
async fn no_answer_is_a_failure() {
    // The misbehaving guest passes on what it does not know.
    let output = dev("host/plugin/tests/guests/naughty", &["--say", "pass", "--timeout", "60s"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn a_folder_without_a_plugin_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let output = belfry().arg("dev").arg(folder.path()).args(["--say", "x"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("Cargo.toml"), "{text}");
}

/// A copy of the echo plugin is edited while a chat with it is open.
#[tokio::test]
async fn a_save_swaps_the_code_and_a_mistake_keeps_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = copy_of_echo(folder.path());
    let source = plugin.join("src/lib.rs");
    let original = std::fs::read_to_string(&source).unwrap();

    let mut chat = belfry()
        .arg("dev")
        .arg(&plugin)
        .env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/dev-target"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = chat.stdin.take().unwrap();
    let mut answers = BufReader::new(chat.stdout.take().unwrap()).lines();
    let mut notes = BufReader::new(chat.stderr.take().unwrap()).lines();

    noted(&mut notes, "chat with the bot").await;
    input.write_all(b"one\n").await.unwrap();
    assert_eq!(answers.next_line().await.unwrap().as_deref(), Some("one"));

    std::fs::write(&source, original.replace("=> text,", "=> format!(\"new: {text}\"),")).unwrap();
    noted(&mut notes, "is live").await;
    input.write_all(b"two\n").await.unwrap();
    assert_eq!(answers.next_line().await.unwrap().as_deref(), Some("new: two"));

    std::fs::write(&source, "this is not Rust").unwrap();
    noted(&mut notes, "not built, the old build keeps answering").await;
    input.write_all(b"three\n").await.unwrap();
    assert_eq!(answers.next_line().await.unwrap().as_deref(), Some("new: three"));

    drop(input);
    tokio::spawn(async move { while let Ok(Some(_)) = notes.next_line().await {} });
    let status = tokio::time::timeout(PATIENCE, chat.wait()).await.unwrap().unwrap();
    assert!(status.success());
}

/// The first build takes longest: who saves again meanwhile gets the second text, too.
#[tokio::test]
async fn a_save_during_the_first_build_counts() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = copy_of_echo(folder.path());
    // Another test's component has the name echo in the same target folder.
    let manifest = std::fs::read_to_string(plugin.join("Cargo.toml")).unwrap();
    std::fs::write(plugin.join("Cargo.toml"), manifest.replace("name = \"echo\"", "name = \"first\""))
        .unwrap();
    let source = plugin.join("src/lib.rs");
    let original = std::fs::read_to_string(&source).unwrap();
    let mut chat = belfry()
        .arg("dev")
        .arg(&plugin)
        .env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/dev-target"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notes = BufReader::new(chat.stderr.take().unwrap()).lines();
    // From here on the compiler has the old text.
    noted(&mut notes, "Compiling first").await;
    std::fs::write(&source, original.replace("=> text,", "=> format!(\"again: {text}\"),")).unwrap();
    noted(&mut notes, "chat with the bot").await;
    noted(&mut notes, "building").await;
    noted(&mut notes, "built first").await;
    chat.kill().await.unwrap();
}

/// What is typed or pasted faster than it is answered is not lost, and the terminal is left as it was found.
#[cfg(unix)]
#[tokio::test]
async fn a_terminal_takes_lines_at_once_and_is_given_back() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};
    use std::io::{Read, Write};

    for end in [":quit\r", "half a line"] {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = std::fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let before = tcgetattr(&theirs).unwrap().local_modes;
        let mut chat = belfry()
            .args(["dev", concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/echo")])
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut keys = std::fs::File::from(ours);
        let mut screen = keys.try_clone().unwrap();
        let (sender, mut shown) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = screen.read(&mut bytes) {
                let _ = sender.send(String::from_utf8_lossy(&bytes[..len]).into_owned());
            }
        });
        let mut seen = String::new();
        let mut until = async |part: &str| {
            let found = tokio::time::timeout(PATIENCE * 2, async {
                while !seen.contains(part) {
                    seen += &shown.recv().await.unwrap();
                }
            });
            assert!(found.await.is_ok(), "no {part:?} in:\n{seen}");
        };
        until("> ").await;
        keys.write_all(b"first\rsecond\rthird\r").unwrap();
        for answer in ["bot: first\r\n", "bot: second\r\n", "bot: third\r\n"] {
            until(answer).await;
        }
        keys.write_all(end.as_bytes()).unwrap();
        if end == "half a line" {
            until(end).await;
            let pid = chat.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        }
        let status = tokio::time::timeout(PATIENCE, chat.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{end:?}: {status}");
        let after = tcgetattr(&theirs).unwrap().local_modes;
        let modes = LocalModes::ICANON | LocalModes::ECHO;
        assert_eq!((after & modes, end), (before & modes, end));
    }
}

/// A closed terminal is an end like any other: nothing stays behind.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_terminal_leaves_no_folder_behind() {
    let folder = tempfile::tempdir().unwrap();
    // Where the tests run under nohup the signal is ignored, and so it would be by what they start.
    let mut chat = tokio::process::Command::new("env");
    chat.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_belfry"), "dev"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/echo"))
        .env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
        .env("TMPDIR", folder.path())
        .kill_on_drop(true);
    let mut chat = chat.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notes = BufReader::new(chat.stderr.take().unwrap()).lines();
    noted(&mut notes, "chat with the bot").await;
    let left = || {
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("belfry-dev-")).count()
    };
    assert_eq!(left(), 1);
    let pid = chat.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    // Its end of standard error is read to the end, so that it cannot wait for a reader.
    let end = async {
        while let Ok(Some(_)) = notes.next_line().await {}
        chat.wait().await.unwrap();
    };
    assert!(tokio::time::timeout(PATIENCE, end).await.is_ok(), "it goes on without its terminal");
    assert_eq!(left(), 0);
}

async fn noted(notes: &mut tokio::io::Lines<BufReader<tokio::process::ChildStderr>>, part: &str) {
    let mut seen = String::new();
    let found = tokio::time::timeout(PATIENCE * 2, async {
        while let Ok(Some(line)) = notes.next_line().await {
            if line.contains(part) {
                return true;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        false
    });
    assert!(found.await.unwrap_or(false), "no line with {part:?} in:\n{seen}");
}

/// The folders of a plugin author: `wit/` and the plugin, in a workspace like ours.
fn copy_of_echo(folder: &Path) -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copied =
        std::process::Command::new("cp").arg("-r").arg(root.join("wit")).arg(folder).status().unwrap();
    assert!(copied.success());
    let plugins = folder.join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    for name in ["Cargo.lock", "echo", "sdk"] {
        let from = root.join("plugins").join(name);
        let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(&plugins).status().unwrap();
        assert!(copied.success());
    }
    let manifest = std::fs::read_to_string(root.join("plugins/Cargo.toml")).unwrap();
    let lines = manifest.lines().map(|line| match line.starts_with("members = ") {
        true => r#"members = ["echo", "sdk"]"#,
        false => line,
    });
    std::fs::write(plugins.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    plugins.join("echo")
}
