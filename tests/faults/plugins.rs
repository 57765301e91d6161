//! Plugins that stop, loop, fail for a while or for good, while they are replaced and the process is killed.

use std::time::Duration;

use crate::world::{Plan, World, pause};

const CONVERSATIONS: u64 = 8;

/// What a person is told.
pub const FAILURE: &str = "that did not work";

/// Says something whose handling goes as it is drawn; with a chance it goes well.
pub fn tell_something(world: &mut World, conversations: u64, well: f64) {
    if world.rng.chance(well) {
        world.say(conversations);
        return;
    }
    match world.rng.below(8) {
        0 => world.tell(conversations, "trap {}", false),
        1 => world.tell(conversations, "panic {}", false),
        2 => world.tell(conversations, "loop {}", false),
        3 => world.tell(conversations, "permanent {}", false),
        4 => world.tell(conversations, "exit 3", false),
        5 => world.tell(conversations, "recurse {}", false),
        6 => world.tell(conversations, "temporary {}", false),
        _ => world.tell(conversations, "until 2 {}", true),
    };
}

#[tokio::test]
async fn failing_handlers_cost_their_own_message_only() {
    let mut plan =
        Plan::new("failing_handlers_cost_their_own_message_only").tables("handle_within = \"3s\"\n");
    plan.failure = FAILURE;
    let mut world = plan.start().await;
    for number in 0..120 {
        tell_something(&mut world, CONVERSATIONS, 0.7);
        if number % 15 == 14 {
            world.reload();
        }
        if number % 30 == 20 {
            pause(&mut world.rng, Duration::from_millis(300)).await;
            world.kill_and_restart().await;
        }
        pause(&mut world.rng, Duration::from_millis(20)).await;
    }
    world.finish(CONVERSATIONS).await;
}
