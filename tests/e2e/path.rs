//! Order, retries and back-pressure on the path of a message.

use belfry_simulator::Happening;

use crate::bot::{Bot, Setup, in_chat, naughty, private, wait_for};

async fn start(tables: &str) -> Bot {
    Setup::with(&[("naughty.wasm", naughty().await)]).tables(tables).start().await
}

#[tokio::test]
async fn a_slow_answer_holds_up_its_own_conversation_only() {
    let bot = start("").await;
    let since = bot.simulator.now();
    bot.simulator.say(in_chat("slow", "sleep 3000"));
    bot.simulator.say(in_chat("slow", "say behind it"));
    bot.ask(in_chat("quick", "say elsewhere"), "elsewhere").await;
    wait_for("three answers", || (bot.answers(since).len() >= 3).then_some(())).await.unwrap();
    assert_eq!(bot.answers(since), ["elsewhere", "slept", "behind it"]);
}

#[tokio::test]
async fn a_temporary_failure_is_tried_again_and_then_given_up() {
    let bot = start("[pipeline]\nhandle_within = \"8s\"").await;
    bot.simulator.say(private("temporary the shop is closed"));
    bot.logged(&["a message will be tried again", "the shop is closed"]).await;
    let line = bot.logged(&["a message could not be handled", "the shop is closed"]).await;
    let fields: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(fields["attempt"].as_u64().is_some_and(|attempt| attempt > 1), "{line}");
    bot.ask(private("attempt"), "1").await;
}

#[tokio::test]
async fn at_the_bound_acks_are_withheld_and_nothing_is_lost() {
    const MESSAGES: usize = 6;
    let bot = start("[pipeline]\npending = 2").await;
    let since = bot.simulator.now();
    for number in 0..MESSAGES {
        bot.simulator.say(in_chat(&format!("chat {number}"), "sleep 200"));
    }
    wait_for("every answer", || (bot.answers(since).len() >= MESSAGES).then_some(())).await.unwrap();
    wait_for("every ack", || (bot.simulator.stats().pending == 0).then_some(())).await.unwrap();
    assert_eq!(bot.answers(since).len(), MESSAGES, "each was answered once");
    // In the simulator's own order of things: never more than two messages were taken and not yet answered.
    let (mut acked, mut replied) = (0, 0);
    for record in bot.simulator.records(since, usize::MAX).records {
        match &record.what {
            Happening::Acked(_) => acked += 1,
            Happening::Replied(_) => replied += 1,
            _ => {}
        }
        assert!(acked <= replied + 2, "{acked} acked with {replied} answered:\n{}", bot.log());
    }
    assert_eq!(acked, MESSAGES);
}
