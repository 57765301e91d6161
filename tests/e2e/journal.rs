//! The commands that look into the journal, of a running host and of none.

use std::process::{Output, Stdio};

use belfry_simulator::Fault;
use serde_json::Value;
use tokio::time::Instant;

use crate::bot::{Bot, PATIENCE, Setup, belfry, echo, naughty, private, wait_for};

/// Runs a command on the bot's config.
async fn ask(bot: &Bot, arguments: &[&str]) -> Output {
    let config = bot.folder.path().join("belfry.toml");
    belfry().args(arguments).arg("--config").arg(config).stdin(Stdio::null()).output().await.unwrap()
}

/// What a command prints, which must succeed.
async fn text(bot: &Bot, arguments: &[&str]) -> String {
    let output = ask(bot, arguments).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}\n{}", bot.log());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("session="), "no webhook is shown: {text}");
    text
}

/// What a command prints for machines.
pub async fn json(bot: &Bot, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&text(bot, &arguments).await).unwrap()
}

/// Repeats the question until there is an answer and it is right.
async fn until(bot: &Bot, arguments: &[&str], right: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    loop {
        let output = ask(bot, &arguments).await;
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if output.status.success() && right(&answer) {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "{arguments:?}: {output:?}\n{}", bot.log());
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_running_host_says_how_it_does() {
    let mut bot = Setup::echo().await.start().await;
    bot.ask(private("hello there"), "hello there").await;
    let status =
        until(&bot, &["status"], |status| status["host"]["apps"][0]["counts"]["delivered"] == 1).await;
    let app = &status["host"]["apps"][0];
    assert_eq!((&app["name"], &app["connection"]["state"]), (&"default".into(), &"open".into()));
    assert!(app["last_frame_ms"].as_u64() > Some(0));
    assert_eq!(status["host"]["plugins"][0]["name"], "echo");
    assert_eq!(status["host"]["pid"], bot.child.id().unwrap());
    assert_eq!(status["journal"]["pending_events"], 0);
    let pushes = &status["quotas"][1];
    assert_eq!(
        (&pushes["what"], &pushes["used"], &pushes["budget"]),
        (&"stream_pushes".into(), &1.into(), &3000.into())
    );
    let shown = text(&bot, &["status"]).await;
    for part in
        ["connected to 127.0.0.1", "echo", "Stream pushes", "1 of 3000", "0 messages and 0 replies pending"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    let events = json(&bot, &["event", "list"]).await;
    assert_eq!((&events[0]["state"], &events[0]["message"]["text"]), (&"done".into(), &"hello there".into()));
    let shown = text(&bot, &["event", "show", "1"]).await;
    assert!(shown.contains("event 1, done") && shown.contains("hello there"), "{shown}");

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = std::fs::metadata(bot.folder.path().join("belfry.journal")).unwrap();
        assert_eq!(folder.permissions().mode() & 0o077, 0, "messages are nobody else's business");
    }

    // The same without the host.
    assert!(bot.terminate().await.success());
    assert!(!bot.folder.path().join("belfry.journal/control.sock").exists());
    let output = ask(&bot, &["status", "--json"]).await;
    assert_eq!(output.status.code(), Some(1), "no host runs");
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&status["host"], &status["journal"]["pending_replies"]), (&Value::Null, &0.into()));
    assert_eq!(status["quotas"][1]["used"], 1, "the count is kept");
    assert_eq!(ids(&json(&bot, &["event", "list", "--state", "done", "--app", "default"]).await), ["1"]);
    assert_eq!(json(&bot, &["event", "list", "--app", "other"]).await, Value::Array(Vec::new()));
}

#[tokio::test]
async fn dead_letters_are_tried_again_by_the_running_host() {
    let tables = "[plugins.naughty]\n[pipeline]\nfailure_reply = \"that did not work\"\n";
    let setup = Setup::with(&[("naughty.wasm", naughty().await)]).tables(tables);
    let bot = setup.start().await;
    let since = bot.simulator.now();
    bot.ask(private("permanent never again"), "that did not work").await;
    let letters =
        until(&bot, &["dead-letter", "list"], |letters| letters.as_array().unwrap().len() == 1).await;
    assert_eq!(ids(&letters), ["1"]);
    assert_eq!((&letters[0]["plugin"], &letters[0]["attempts"]), (&"naughty".into(), &1.into()));
    let table = text(&bot, &["dead-letter", "list", "--plugin", "naughty", "--newer-than", "1h"]).await;
    assert!(table.starts_with("ID") && table.contains("never again"), "{table}");
    let shown = text(&bot, &["dead-letter", "show", "1"]).await;
    assert!(shown.contains("never again") && shown.contains("permanent never again"), "{shown}");

    let dry = text(&bot, &["dead-letter", "retry", "--all", "--dry-run"]).await;
    assert!(dry.contains("1 would be tried again") && dry.contains("nothing was done"), "{dry}");
    let none = text(&bot, &["dead-letter", "drop", "--older-than", "1d"]).await;
    assert!(none.contains("0 dead letters"), "{none}");
    // It fails again, and the person is told again.
    let retried = text(&bot, &["dead-letter", "retry", "1"]).await;
    assert!(retried.contains("1 is tried again"), "{retried}");
    wait_for("the second notice", || (bot.replies(since, "that did not work") == 2).then_some(()))
        .await
        .unwrap();
    until(&bot, &["dead-letter", "list"], |letters| letters.as_array().unwrap().len() == 1).await;

    // What is unknown is said, the rest is done.
    let output = ask(&bot, &["dead-letter", "drop", "1", "77", "1.5"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("1 is forgotten\n") && said.contains("77 is not forgotten"), "{said}");
    assert_eq!(json(&bot, &["dead-letter", "list"]).await, Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_dead_reply_is_sent_once_more_after_the_next_start() {
    let mut bot = Setup::echo().await.start().await;
    let since = bot.simulator.now();
    bot.simulator.add_fault(Fault::errcode(310_000, "keywords not in content").times(1)).unwrap();
    bot.simulator.say(private("refused once"));
    until(&bot, &["dead-letter", "list"], |letters| letters.as_array().unwrap().len() == 1).await;
    let shown = text(&bot, &["dead-letter", "show", "1.0"]).await;
    assert!(shown.contains("310000") && shown.contains("a reply that did not arrive"), "{shown}");
    bot.terminate().await;

    let retried = text(&bot, &["dead-letter", "retry", "1.0"]).await;
    assert!(retried.contains("the next `belfry run` takes them up"), "{retried}");
    assert_eq!(bot.replies(since, "refused once"), 0);
    bot.restart();
    wait_for("the reply", || (bot.replies(since, "refused once") == 1).then_some(())).await.unwrap();
}

#[tokio::test]
async fn a_letter_whose_plugin_is_gone_is_tried_with_those_there_are() {
    let bot = Setup::with(&[("naughty.wasm", naughty().await)]).start().await;
    bot.simulator.say(private("permanent no"));
    until(&bot, &["dead-letter", "list"], |letters| letters.as_array().unwrap().len() == 1).await;
    std::fs::remove_file(bot.plugin_file("naughty.wasm")).unwrap();
    std::fs::copy(echo().await, bot.plugin_file("echo.wasm")).unwrap();
    until(&bot, &["status"], |status| {
        status["host"]["plugins"].as_array().unwrap().iter().all(|plugin| plugin["name"] == "echo")
            && !status["host"]["plugins"].as_array().unwrap().is_empty()
    })
    .await;
    let since = bot.simulator.now();
    let retried = text(&bot, &["dead-letter", "retry", "--plugin", "naughty"]).await;
    assert!(retried.contains("`naughty` is not there any more"), "{retried}");
    wait_for("the echo", || (bot.replies(since, "permanent no") == 1).then_some(())).await.unwrap();
}

#[tokio::test]
async fn a_message_is_replayed_against_a_build_and_nothing_is_sent() {
    let bot = Setup::with(&[("naughty.wasm", naughty().await)]).start().await;
    bot.ask(private("say the same"), "the same").await;
    // The person is told, after which nothing more is to come.
    bot.ask(private("permanent on purpose"), "抱歉").await;
    until(&bot, &["event", "list"], |events| events[0]["state"] == "dead").await;
    let since = bot.simulator.now();

    let replayed = json(&bot, &["event", "replay", "1"]).await;
    assert_eq!((&replayed["outcome"], &replayed["plugin"]), (&"replied".into(), &"naughty".into()));
    assert_eq!(replayed["replies"][0]["text"]["content"], "the same");
    let component = echo().await;
    let other = text(&bot, &["event", "replay", "1", "--plugin", component.to_str().unwrap()]).await;
    assert!(other.contains("echo would reply") && other.contains("say the same"), "{other}");
    let failed = ask(&bot, &["event", "replay", "2"]).await;
    assert_eq!(failed.status.code(), Some(1));
    // Only with -v is it told how the plugins were loaded.
    assert_eq!(String::from_utf8_lossy(&failed.stderr), "");
    let talkative = ask(&bot, &["event", "replay", "2", "-v"]).await;
    assert!(String::from_utf8_lossy(&talkative.stderr).contains("loaded"), "{talkative:?}");
    assert!(String::from_utf8_lossy(&failed.stdout).contains("on purpose"));
    let missing = ask(&bot, &["event", "replay", "99"]).await;
    assert!(String::from_utf8_lossy(&missing.stderr).contains("not in the journal"));
    assert_eq!(bot.replies(since, ""), 0, "nothing was sent");
}

#[tokio::test]
async fn a_journal_that_others_can_read_is_told() {
    let mut bot = Setup::echo().await.start().await;
    bot.terminate().await;
    assert!(!bot.log().contains("other users"), "{}", bot.log());
    let journal = bot.folder.path().join("belfry.journal");
    let opened = std::process::Command::new("chmod").args(["-R", "go+rX"]).arg(&journal).status().unwrap();
    assert!(opened.success());
    bot.restart();
    bot.logged(&["can be read by other users", "chmod 700"]).await;
    bot.connected(1).await;
}

#[tokio::test]
async fn a_journal_in_memory_is_seen_through_a_named_socket_only() {
    let tables = "[journal]\nengine = \"memory\"\n[host]\ncontrol_socket = \"belfry.sock\"\n";
    let mut bot = Setup::echo().await.tables(tables).start().await;
    bot.simulator.add_fault(Fault::errcode(310_000, "no").times(1)).unwrap();
    bot.simulator.say(private("hello"));
    until(&bot, &["dead-letter", "list"], |letters| letters.as_array().unwrap().len() == 1).await;
    assert_eq!(json(&bot, &["status"]).await["journal"]["path"], Value::Null);
    bot.child.kill().await.unwrap();
    let gone = ask(&bot, &["status"]).await;
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("nobody listens"), "{gone:?}");
    // What the killed process left in the way is replaced.
    bot.restart();
    until(&bot, &["status"], |status| status["journal"]["dead_letters"] == 0).await;
}
