//! Replies that DingTalk refuses for good: dead letters, which an operator sends again.

use belfry_simulator::Fault;
use serde_json::Value;

use crate::{
    checker::Expect,
    world::{PATIENCE, Plan, World, conversation},
};

/// Codes that no second try can change: the body, the robot, the month's quota.
const REFUSALS: [i64; 14] = [
    310_000, 40_035, 43_004, 400_013, 400_101, 400_102, 400_105, 400_106, 430_101, 430_104, 460_101, 88,
    90_020, 90_030,
];

/// Runs `belfry dead-letter …` and returns what it prints.
async fn dead_letters(world: &World, arguments: &[&str]) -> String {
    let mut command = world.command();
    command.arg("dead-letter").args(arguments).arg("--config").arg(world.path("belfry.toml"));
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}\n{}", world.tail());
    String::from_utf8(output.stdout).unwrap()
}

async fn listed(world: &World) -> Vec<Value> {
    serde_json::from_str(&dead_letters(world, &["list", "--json"]).await).unwrap()
}

#[tokio::test]
async fn refused_replies_wait_for_an_operator() {
    let mut world = Plan::new("refused_replies_wait_for_an_operator").start().await;
    let conversations = REFUSALS.len() as u64;
    for (number, code) in (0..).zip(REFUSALS) {
        // The first reply of each robot in this conversation.
        world.fault(Fault::errcode(code, "refused").in_conversation(conversation(number)).times(2));
        world.tell_expecting(number, "say {}", Expect::Late);
        world.settled().await;
        world.until("both refusals", |world| world.simulator.faults().is_empty()).await;
    }
    for _ in 0..30 {
        world.say(conversations);
    }
    // The others do not wait for them.
    world.settled().await;
    assert_eq!(world.checker.late(), 2 * REFUSALS.len());

    // They are there after a crash too, each with its reason.
    world.kill_and_restart().await;
    world.connected().await;
    let letters = listed(&world).await;
    assert_eq!(letters.len(), 2 * REFUSALS.len(), "{letters:?}");
    for code in REFUSALS {
        // With what is around it: a code of two digits is in many a time.
        let said = format!("errcode {code}:");
        let told = letters.iter().filter(|letter| letter["reason"].as_str().unwrap().contains(&said));
        assert_eq!(told.count(), 2, "{code}: {letters:?}");
    }
    dead_letters(&world, &["retry", "--all"]).await;
    world.until("the late answers", |world| world.checker.late() == 0).await;
    world.finish(conversations).await;
}

/// Tried again by an operator while no host runs, and killed while it sends them.
#[tokio::test]
async fn dead_letters_are_not_sent_twice() {
    const LETTERS: u64 = 20;
    let mut world = Plan::new("dead_letters_are_not_sent_twice").start().await;
    let refused = Fault::errcode(40_035, "refused");
    world.fault(refused.times(2 * LETTERS as u32));
    for number in 0..LETTERS {
        world.tell_expecting(number % 4, "say {}", Expect::Late);
    }
    world.settled().await;
    world.until("every refusal", |world| world.simulator.faults().is_empty()).await;
    world.terminate().await;
    assert_eq!(listed(&world).await.len(), 2 * LETTERS as usize);
    dead_letters(&world, &["retry", "--all"]).await;
    world.launch();
    world.until("a late answer", |world| world.checker.late() < 2 * LETTERS as usize).await;
    world.kill_and_restart().await;
    world.until("the late answers", |world| world.checker.late() == 0).await;
    assert!(listed(&world).await.is_empty());
    world.finish(4).await;
}
