//! Starting and stopping.

use std::process::Stdio;

use belfry_simulator::{Fault, Happening, Place};

use crate::bot::{Setup, belfry, echo, naughty, private, wait_for};

#[tokio::test]
async fn sigterm_finishes_what_runs_and_closes_the_socket() {
    let mut bot = Setup::with(&[("naughty.wasm", naughty().await)]).start().await;
    let since = bot.simulator.now();
    bot.simulator.say(private("sleep 300"));
    wait_for("the ack", || (bot.simulator.stats().acked == 1).then_some(())).await.unwrap();
    let status = bot.terminate().await;
    assert!(status.success(), "{status}\n{}", bot.log());
    assert_eq!(bot.replies(since, "slept"), 1, "what was taken was answered:\n{}", bot.log());
    let closed_by_client = |what: &Happening| {
        matches!(what, Happening::Closed { by: belfry_simulator::ClosedBy::Client, .. }).then_some(())
    };
    bot.simulator.wait_for(since, crate::bot::PATIENCE, closed_by_client).await.unwrap();
}

/// Who is in a hurry sends it twice. What was acknowledged and not answered is answered by the next process.
#[tokio::test]
async fn a_second_sigterm_ends_at_once_and_loses_nothing() {
    let tables = "[pipeline]\nshutdown_grace = \"1h\"\n";
    let mut bot = Setup::with(&[("naughty.wasm", naughty().await)]).tables(tables).start().await;
    let since = bot.simulator.now();
    bot.simulator.say(private("sleep 20000"));
    bot.simulator.say(private("say the next"));
    wait_for("two acks", || (bot.simulator.stats().acked == 2).then_some(())).await.unwrap();
    bot.signal("TERM");
    bot.logged(&["stopping: no more messages are taken"]).await;
    let status = bot.terminate().await;
    assert_eq!(status.code(), Some(1), "{}", bot.log());
    assert_eq!(bot.replies(since, ""), 0);
    // The message that sleeps would do so again.
    std::fs::remove_file(bot.plugin_file("naughty.wasm")).unwrap();
    std::fs::copy(echo().await, bot.plugin_file("echo.wasm")).unwrap();
    bot.restart();
    for text in ["sleep 20000", "say the next"] {
        wait_for(text, || (bot.replies(since, text) == 1).then_some(())).await.unwrap();
    }
}

#[tokio::test]
async fn acks_that_cannot_leave_do_not_cost_the_close_frame() {
    let tables = "[pipeline]\npending = 1\nshutdown_grace = \"2s\"";
    let mut bot = Setup::echo().await.tables(tables).start().await;
    bot.simulator.add_fault(Fault::slow(Place::Webhook, crate::bot::PATIENCE)).unwrap();
    let since = bot.simulator.now();
    for text in ["first", "second", "third"] {
        bot.simulator.say(private(text));
    }
    wait_for("the ack", || (bot.simulator.stats().acked == 1).then_some(())).await.unwrap();
    bot.terminate().await;
    let closed = |what: &Happening| match what {
        Happening::Closed { code, .. } => Some(*code),
        _ => None,
    };
    let code = bot.simulator.wait_for(since, crate::bot::PATIENCE, closed).await.unwrap();
    assert_eq!(code, Some(1000), "{}", bot.log());
}

#[tokio::test]
async fn a_config_that_cannot_be_used_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("belfry.toml");
    std::fs::write(&path, "[channels_config.dingtalk]\nclient_idd = \"ding\"\nclient_secret = \"s\"\n")
        .unwrap();
    let output = belfry().arg("run").arg("--config").arg(&path).stdin(Stdio::null()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    for part in ["belfry.toml:2:1", "client_idd", "client_id"] {
        assert!(text.contains(part), "{text}");
    }
}
