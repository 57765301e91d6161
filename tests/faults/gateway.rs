//! A gateway that cuts, storms, falls silent and repeats itself.

use std::time::Duration;

use belfry_simulator::{Action, Cut, Fault, Place};

use crate::world::{Plan, ROBOTS, pause};

const CONVERSATIONS: u64 = 6;

#[tokio::test]
async fn cut_connections_and_storms_of_disconnects() {
    let mut plan = Plan::new("cut_connections_and_storms_of_disconnects");
    plan.simulator.close_after_disconnect = Duration::from_secs(2);
    let mut world = plan.start().await;
    // Each connection that is lost without a warning makes the bot wait longer for the next.
    let mut cuts = 4;
    for _ in 0..24 {
        for _ in 0..8 {
            world.say(CONVERSATIONS);
        }
        let robot = world.rng.chance(0.6).then_some(*world.rng.pick(&ROBOTS));
        if cuts > 0 && world.rng.chance(0.25) {
            cuts -= 1;
            let how = *world.rng.pick(&[Cut::Reset, Cut::Abrupt, Cut::Clean]);
            world.simulator.drop_sockets(robot, how);
        } else {
            for _ in 0..world.rng.below(4) {
                world.simulator.disconnect(robot, "connection is expired");
                pause(&mut world.rng, Duration::from_millis(20)).await;
            }
        }
        if world.rng.chance(0.2) {
            world.reload();
        }
        pause(&mut world.rng, Duration::from_millis(150)).await;
    }
    let report = world.finish(CONVERSATIONS).await;
    assert!(report.ordered_pairs > 100, "{report}");
}

#[tokio::test]
async fn registrations_that_fail() {
    let mut world = Plan::new("registrations_that_fail").start().await;
    let [one, two] = ROBOTS;
    world.fault(Fault::status(Place::Registration, 500, "{}").times(1).only(one));
    world.fault(Fault::new(Place::Registration, Action::Reset).times(1).only(one));
    world.fault(Fault::new(Place::Registration, Action::ResetAfter).times(1).only(two));
    world.fault(Fault::html(Place::Registration, 502).times(1).only(two));
    world.fault(Fault::new(Place::Connect, Action::Reset).times(1));
    world.fault(Fault::new(Place::Connect, Action::Disconnect { reason: "expired".into() }).times(3));
    for _ in 0..5 {
        world.say(CONVERSATIONS);
    }
    world.simulator.drop_sockets(None, Cut::Reset);
    for _ in 0..20 {
        world.say(CONVERSATIONS);
        pause(&mut world.rng, Duration::from_millis(50)).await;
    }
    world.finish(CONVERSATIONS).await;
}

#[tokio::test]
async fn connections_that_fall_silent() {
    let mut world = Plan::new("connections_that_fall_silent").start().await;
    let [one, two] = ROBOTS;
    // The one is half open: the gateway neither reads nor writes, and nothing tells so. The other gets a connection that
    // never says a word.
    world.simulator.drop_sockets(Some(one), Cut::Silence);
    world.fault(Fault::new(Place::Registration, Action::Silence).times(1).only(two));
    world.fault(Fault::new(Place::Connect, Action::Silence).times(1).only(two));
    world.simulator.drop_sockets(Some(two), Cut::Reset);
    for _ in 0..20 {
        world.say(CONVERSATIONS);
    }
    world.finish(CONVERSATIONS).await;
}

#[tokio::test]
async fn messages_that_come_many_times() {
    let mut world = Plan::new("messages_that_come_many_times").start().await;
    world.fault(Fault::new(Place::Push, Action::Duplicate).probability(0.3));
    world.fault(Fault::new(Place::Push, Action::Drop).probability(0.2));
    world.fault(Fault::new(Place::Ack, Action::Drop).probability(0.3));
    for number in 0..150 {
        world.say(CONVERSATIONS);
        if number % 3 == 0 {
            world.say_again();
        }
        if number % 50 == 25 {
            world.kill_and_restart().await;
        }
    }
    world.settled().await;
    // What was answered long ago is still known, to the next process too.
    world.kill_and_restart().await;
    world.connected().await;
    for _ in 0..100 {
        world.say_again();
    }
    let report = world.finish(CONVERSATIONS).await;
    assert!(report.frames > report.messages * 5 / 4, "{report}");
}
