//! What handlers bring about before and besides their replies: messages sent early, key-values, over crashes too.

use crate::bot::{Bot, Setup, doer, in_chat, private, wait_for};

const JOURNAL: &str = "[journal]\npath = \"belfry.journal\"\n";

async fn doing(tables: &str) -> Bot {
    Setup::with(&[("doer.wasm", doer().await)]).tables(tables).start().await
}

async fn arrived(bot: &Bot, part: &str) {
    wait_for(part, || (bot.replies(0, part) > 0).then_some(()))
        .await
        .unwrap_or_else(|problem| panic!("{problem}: {}", bot.log()));
}

#[tokio::test]
async fn an_early_message_leaves_once_whatever_kills_the_host() {
    let mut bot = doing(JOURNAL).await;
    for round in 0..3 {
        bot.simulator.say(private(&format!("send 1500 round {round}.")));
        arrived(&bot, &format!("early round {round}.")).await;
        assert_eq!(bot.replies(0, &format!("late round {round}.")), 0, "it is still at work");
        bot.kill_and_restart().await;
        bot.connected(1).await;
        arrived(&bot, &format!("late round {round}.")).await;
        // Killed before its mark was written it may come again, under the same key: at most that.
        assert!(bot.replies(0, &format!("early round {round}.")) <= 2);
    }
    // Each message was handled twice, and counted once.
    bot.ask(private("read"), "n 3 list").await;
    bot.kill_and_restart().await;
    bot.connected(1).await;
    bot.ask(private("add"), "n is 4").await;
}

#[tokio::test]
async fn what_was_sent_arrives_and_what_was_written_does_not_when_the_handler_fails() {
    let bot = doing("[pipeline]\nfailure_reply = \"sorry\"\n").await;
    bot.ask(private("fail 0 one."), "sorry").await;
    arrived(&bot, "early one.").await;
    bot.ask(private("read"), "n  list").await;
}

#[tokio::test]
async fn of_two_who_swap_at_once_both_count() {
    let bot = doing("").await;
    let since = bot.simulator.now();
    bot.simulator.say(in_chat("a", "swap 700 a"));
    bot.simulator.say(in_chat("b", "swap 700 b"));
    let both = wait_for("both", || (bot.replies(since, "swapped") == 2).then_some(())).await;
    both.unwrap_or_else(|problem| panic!("{problem}: {:?} {}", bot.answers(since), bot.log()));
    assert_eq!(bot.replies(since, "at 2"), 1, "one of them was thrown away and done again");
    let read = bot.ask(private("read"), "list").await.text();
    assert!(read.ends_with("list ab") || read.ends_with("list ba"), "{read}");
}

#[tokio::test]
async fn without_a_template_a_live_card_is_one_message() {
    let bot = doing("").await;
    bot.ask(private("live one two three"), "one two three").await;
    assert_eq!(bot.replies(0, "one"), 1);
}
