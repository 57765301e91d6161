//! Starting and stopping.

use std::process::Stdio;

use crate::bot::{Setup, belfry, naughty, private, wait_for};

#[tokio::test]
async fn sigterm_finishes_what_runs_and_closes_the_socket() {
    let mut bot = Setup::with(&[("naughty.wasm", naughty().await)]).start().await;
    let since = bot.simulator.now();
    bot.simulator.say(private("sleep 300"));
    wait_for("the ack", || (bot.simulator.stats().acked == 1).then_some(())).await.unwrap();
    let status = bot.terminate().await;
    assert!(status.success(), "{status}\n{}", bot.log());
    assert_eq!(bot.replies(since, "slept"), 1, "what was taken was answered:\n{}", bot.log());
    let closed_by_client = |what: &belfry_simulator::Happening| {
        matches!(what, belfry_simulator::Happening::Closed { by: belfry_simulator::ClosedBy::Client, .. })
            .then_some(())
    };
    bot.simulator.wait_for(since, crate::bot::PATIENCE, closed_by_client).await.unwrap();
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
