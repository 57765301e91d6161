//! A process that is killed, and what its journal gives back.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::Duration,
};

use belfry_simulator::{Fault, Happening, Person, Place, Say, SimulatorConfig, conversation_id};

use crate::bot::{Setup, belfry, naughty, private, wait_for};
use crate::journal::json;

const JOURNAL: &str = "[journal]\npath = \"belfry.journal\"\n";

#[tokio::test]
async fn a_killed_process_loses_nothing_it_acknowledged() {
    const ROUNDS: usize = 5;
    const MESSAGES: usize = 60;
    let simulator = SimulatorConfig { redeliver_after: Duration::from_secs(1), ..SimulatorConfig::default() };
    let mut bot = Setup::echo().await.tables(JOURNAL).start_unconnected(simulator).await;
    bot.connected(1).await;
    // Replies that are on their way when the process dies.
    bot.simulator.add_fault(Fault::slow(Place::Webhook, Duration::from_millis(20))).unwrap();
    let text = |round, number| format!("round {round} number {number}.");
    for round in 0..ROUNDS {
        for number in 0..MESSAGES {
            let conversation = conversation_id(&format!("c{}", number % 6));
            bot.simulator.say(Say::private(conversation, Person::default(), text(round, number)));
            if number == MESSAGES / 2 {
                // Some are acknowledged and not answered, some not even acknowledged.
                wait_for("an ack", || {
                    (bot.simulator.stats().acked as usize > round * MESSAGES).then_some(())
                })
                .await
                .unwrap();
                bot.kill_and_restart().await;
            }
        }
    }
    let answers = || {
        let mut answers: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
        for record in &bot.simulator.records(0, usize::MAX).records {
            if let Happening::Replied(reply) = &record.what {
                answers.entry(reply.text()).or_default().push(reply.uuid.clone());
            }
        }
        answers
    };
    let complete = wait_for("every answer", || (answers().len() == ROUNDS * MESSAGES).then_some(())).await;
    assert!(complete.is_ok(), "{} of {} were answered", answers().len(), ROUNDS * MESSAGES);
    for (text, uuids) in answers() {
        // A reply whose outcome the dead process did not learn is repeated, under the key that tells so.
        assert_eq!(uuids.iter().collect::<BTreeSet<_>>().len(), 1, "{text}: {uuids:?}");
    }
    assert!(bot.log().contains("taking up what was left"), "there was something left");
}

#[tokio::test]
async fn a_try_after_a_crash_is_not_the_first() {
    let mut bot = Setup::with(&[("naughty.wasm", naughty().await)]).tables(JOURNAL).start().await;
    let since = bot.simulator.now();
    bot.simulator.say(private("sleep 3000"));
    bot.simulator.say(private("say behind it"));
    wait_for("two acks", || (bot.simulator.stats().acked == 2).then_some(())).await.unwrap();
    bot.kill_and_restart().await;
    bot.connected(1).await;
    bot.simulator.say(private("say something new"));
    wait_for("the new answer", || (bot.replies(since, "something new") == 1).then_some(())).await.unwrap();
    let said = |what: &Happening| match what {
        Happening::Replied(reply) => Some(reply.text()),
        _ => None,
    };
    let records = bot.simulator.records(since, usize::MAX).records;
    let order: Vec<String> = records.iter().filter_map(|record| said(&record.what)).collect();
    assert_eq!(order, ["slept", "behind it", "something new"], "what was left goes before what is new");
}

#[tokio::test]
async fn two_processes_cannot_share_a_journal() {
    let bot = Setup::echo().await.tables(JOURNAL).start().await;
    let second = belfry()
        .args(["run", "--config"])
        .arg(bot.folder.path().join("belfry.toml"))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8(second.stderr).unwrap();
    let pid = bot.child.id().unwrap().to_string();
    assert!(text.contains("belfry.journal") && text.contains(&pid), "{text}");
}

#[tokio::test]
async fn a_mistake_in_the_config_costs_no_message() {
    let mut bot = Setup::with(&[("naughty.wasm", naughty().await)]).tables(JOURNAL).start().await;
    let since = bot.simulator.now();
    bot.simulator.say(private("sleep 2000"));
    bot.simulator.say(private("say still here"));
    wait_for("two acks", || (bot.simulator.stats().acked == 2).then_some(())).await.unwrap();
    bot.child.kill().await.unwrap();
    let path = bot.folder.path().join("belfry.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("client_id = \"dingtest\"", "client_id = \"dingtext\"")).unwrap();
    bot.restart();
    bot.logged(&["apps that are not in the config", "\"left_alone\":2"]).await;
    bot.connected(1).await;
    assert_eq!(json(&bot, &["status"]).await["host"]["left_alone"], 2);
    bot.terminate().await;
    assert_eq!(bot.replies(since, ""), 0);
    std::fs::write(&path, config).unwrap();
    bot.restart();
    wait_for("the answers", || (bot.replies(since, "") == 2).then_some(())).await.unwrap();
    assert_eq!((bot.replies(since, "slept"), bot.replies(since, "still here")), (1, 1));
}
