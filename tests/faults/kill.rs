//! `kill -9` at random moments.

use std::time::Duration;

use belfry_simulator::{Fault, Happening, Place};

use crate::world::{PATIENCE, Plan, World, pause};

const CONVERSATIONS: u64 = 8;

/// Says some messages, kills the process at a moment among them, and starts it again.
async fn round(world: &mut World) {
    let acked = world.checker.acked();
    for _ in 0..12 {
        // Handled again, it would be answered with other words.
        world.tell(CONVERSATIONS, "tried {}", true);
    }
    // Otherwise the process would die before it took anything, again and again.
    world.until("an acknowledgement", |world| world.checker.acked() > acked).await;
    if world.rng.chance(0.5) {
        // While replies are on their way.
        pause(&mut world.rng, Duration::from_millis(120)).await;
    }
    // While messages come in.
    for _ in 0..12 {
        world.tell(CONVERSATIONS, "tried {}", true);
    }
    pause(&mut world.rng, Duration::from_millis(8)).await;
    world.kill_and_restart().await;
    if world.rng.chance(0.3) {
        // While it takes up what the one before left.
        pause(&mut world.rng, Duration::from_millis(400)).await;
        world.kill_and_restart().await;
    }
    if world.rng.chance(0.3) {
        world.reload();
    }
}

#[tokio::test]
async fn thirty_kills_under_load_lose_nothing() {
    let mut world = Plan::new("thirty_kills_under_load_lose_nothing").start().await;
    // So that replies are on their way when the process dies: before they are taken, and after.
    let slow = || Fault::slow(Place::Webhook, Duration::from_millis(15)).probability(0.4);
    world.fault(slow());
    world.fault(slow().obeyed_first());
    for _ in 0..30 {
        round(&mut world).await;
    }
    let report = world.finish(CONVERSATIONS).await;
    assert!(report.kills >= 30, "{report}");
    assert!(report.frames > report.messages && report.ordered_pairs > 1_000, "{report}");
}

/// Says something for each acknowledgement, so that the journal waits for the disk while messages are answered, and returns
/// at the moment when that many replies and one more have come.
async fn talk_until(world: &mut World, since: u64, mut replies: u64) {
    let mut watch = world.simulator.watch(since);
    let mut more = 40;
    while let Some(record) = watch.next().await {
        match record.what {
            Happening::Acked(_) if more > 0 => {
                more -= 1;
                world.tell(CONVERSATIONS, "tried {}", true);
            }
            Happening::Replied(_) if replies == 0 => return,
            Happening::Replied(_) => replies -= 1,
            _ => {}
        }
    }
}

/// The worst moment: a reply has just left, and what is to be written about it may not be.
#[tokio::test]
async fn a_reply_that_was_seen_is_never_made_anew() {
    let mut world = Plan::new("a_reply_that_was_seen_is_never_made_anew").start().await;
    for _ in 0..20 {
        let since = world.simulator.now();
        for _ in 0..10 {
            world.tell(CONVERSATIONS, "tried {}", true);
        }
        let replies = world.rng.below(30);
        tokio::time::timeout(PATIENCE, talk_until(&mut world, since, replies)).await.expect("replies");
        world.kill_and_restart().await;
        world.connected().await;
    }
    let report = world.finish(CONVERSATIONS).await;
    assert!(report.repeated_after_kill > 0, "{report}");
}

#[tokio::test]
async fn a_gateway_that_honours_msg_uuid_shows_everything_once() {
    let plan = Plan::new("a_gateway_that_honours_msg_uuid_shows_everything_once").honour_uuid();
    let mut world = plan.start().await;
    world.fault(Fault::slow(Place::Webhook, Duration::from_millis(30)).obeyed_first().probability(0.7));
    for _ in 0..8 {
        round(&mut world).await;
    }
    world.finish(CONVERSATIONS).await;
}

#[tokio::test]
async fn a_polite_stop_under_load_repeats_nothing() {
    let mut world = Plan::new("a_polite_stop_under_load_repeats_nothing").start().await;
    world.fault(Fault::slow(Place::Webhook, Duration::from_millis(10)).probability(0.8));
    // Those wait for their next try when the end comes; nothing may overtake them.
    world.fault(Fault::status(Place::Webhook, 500, "{}").probability(0.5));
    for _ in 0..6 {
        let acked = world.checker.acked();
        for _ in 0..40 {
            world.say(CONVERSATIONS);
        }
        world.until("an acknowledgement", |world| world.checker.acked() > acked).await;
        pause(&mut world.rng, Duration::from_millis(100)).await;
        let status = world.terminate().await;
        assert!(status.success(), "{status}\n{}", world.tail());
        world.launch();
    }
    // No kill: the checker excuses no repeat.
    let report = world.finish(CONVERSATIONS).await;
    assert_eq!(report.replies, report.messages);
}
