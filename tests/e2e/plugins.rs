//! Components that come, change and go while messages flow.

use std::time::Duration;

use crate::bot::{Setup, echo, naughty, private, wait_for};

#[tokio::test]
async fn a_file_dropped_in_is_live_and_a_removed_one_is_gone() {
    let bot = Setup::with(&[]).start_unconnected(Default::default()).await;
    bot.logged(&["no plugin handles messages"]).await;
    assert_eq!(bot.simulator.connections(None), 0, "nothing is subscribed for nobody");

    bot.put_plugin("echo.wasm", &std::fs::read(echo().await).unwrap());
    bot.connected(1).await;
    bot.ask(private("are you there?"), "are you there?").await;

    std::fs::remove_file(bot.plugin_file("echo.wasm")).unwrap();
    wait_for("the end of the connection", || (bot.simulator.connections(None) == 0).then_some(()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_replaced_file_answers_and_a_bad_one_changes_nothing() {
    let bot = Setup::echo().await.start().await;
    bot.ask(private("one"), "one").await;

    bot.put_plugin("echo.wasm", b"this is not a component");
    bot.logged(&["plugin not loaded", "echo"]).await;
    bot.ask(private("two"), "two").await;

    bot.put_plugin("echo.wasm", &std::fs::read(naughty().await).unwrap());
    bot.logged(&["plugin replaced", "echo"]).await;
    bot.ask(private("build"), "AAA").await;
}

#[tokio::test]
async fn reloads_under_load_lose_nothing_and_answer_nothing_twice() {
    const MESSAGES: usize = 600;
    let bot = Setup::echo().await.start().await;
    let component = std::fs::read(echo().await).unwrap();
    let since = bot.simulator.now();
    for number in 0..MESSAGES {
        if number % 40 == 0 {
            // A custom section makes it another file with the same behaviour.
            let mut build = component.clone();
            build.extend_from_slice(&[0, 4, 2, b'n', b'r', (number / 40) as u8]);
            bot.put_plugin("echo.wasm", &build);
        }
        bot.simulator.say(private(&format!("number {number}.")));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    wait_for("every answer", || (bot.replies(since, "number") >= MESSAGES).then_some(())).await.unwrap();
    for number in 0..MESSAGES {
        assert_eq!(bot.replies(since, &format!("number {number}.")), 1, "answers to {number}");
    }
    assert!(bot.log().matches("\"generation\"").count() > 3, "there were reloads:\n{}", bot.log());
}

#[tokio::test]
async fn a_plugin_harms_only_its_own_message() {
    let bot = Setup::with(&[("naughty.wasm", naughty().await)])
        .tables("[plugins.naughty]\npath = \"plugins/naughty.wasm\"\nlimits = { cpu = \"2s\", deadline = \"4s\", memory = \"256MiB\" }\n")
        .start()
        .await;
    // What it does is chosen by the text; each is answered by silence, a reason in the log, and business as usual.
    let cases = [
        ("trap", "stopped itself"),
        ("loop", "limits.cpu"),
        ("allocate", "limits.memory"),
        ("sleep 3600000", "limits.deadline"),
        ("big 100000000", "limits.output"),
        ("print-forever", "limits."),
        ("exit 3", "exit"),
        ("recurse", "calls itself"),
        ("panic at the disco", "at the disco"),
    ];
    for (text, reason) in cases {
        let before = bot.log();
        bot.simulator.say(private(text));
        bot.logged_after(&before, &["a message could not be handled", reason]).await;
        bot.ask(private(&format!("say fine after {text}")), &format!("fine after {text}")).await;
    }
    assert_eq!(bot.simulator.stats().opened, 1, "the socket stayed up:\n{}", bot.log());
}
