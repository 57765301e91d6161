//! Everything at once, for as long as asked: `cargo xtask soak`.

use std::time::{Duration, Instant};

use belfry_simulator::{Cut, Fault, Place};

use crate::{
    plugins::{FAILURE, tell_something},
    webhook::fail_now_and_then,
    world::{Plan, ROBOTS, pause},
};

const CONVERSATIONS: u64 = 24;

/// Messages that may be on their way at a time; beyond it nothing is said until some are settled.
const MOST_OPEN: usize = 1_000;

#[tokio::test]
#[ignore = "takes as long as BELFRY_SOAK_MINUTES says: cargo xtask soak"]
async fn soak() {
    let minutes: f64 = std::env::var("BELFRY_SOAK_MINUTES").map_or(1.0, |text| text.parse().unwrap());
    let until = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let mut plan = Plan::new("soak").tables("handle_within = \"3s\"\n");
    plan.failure = FAILURE;
    plan.simulator.close_after_disconnect = Duration::from_secs(3);
    let mut world = plan.start().await;
    fail_now_and_then(&world, Place::Webhook, 0.002);
    world.fault(Fault::slow(Place::Webhook, Duration::from_millis(10)).probability(0.3));
    let mut next_report = Instant::now();
    while Instant::now() < until {
        for _ in 0..world.rng.below(20) {
            tell_something(&mut world, CONVERSATIONS, 0.97);
        }
        let robot = world.rng.chance(0.5).then_some(*world.rng.pick(&ROBOTS));
        match world.rng.below(200) {
            0..4 => world.kill_and_restart().await,
            4..6 => {
                world.terminate().await;
                world.launch();
            }
            6..14 => world.reload(),
            14..20 => {
                world.simulator.disconnect(robot, "connection is expired");
            }
            20 => {
                let how = *world.rng.pick(&[Cut::Reset, Cut::Abrupt, Cut::Clean, Cut::Silence]);
                world.simulator.drop_sockets(robot, how);
            }
            21..30 => world.say_again(),
            _ => {}
        }
        pause(&mut world.rng, Duration::from_millis(60)).await;
        world.until("room for more", |world| world.checker.open() < MOST_OPEN).await;
        if Instant::now() >= next_report {
            next_report = Instant::now() + Duration::from_secs(30);
            eprintln!("{} acknowledged, {} open", world.checker.acked(), world.checker.open());
        }
    }
    world.finish(CONVERSATIONS).await;
}
