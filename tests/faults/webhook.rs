//! Webhooks and the OpenAPI when they misbehave.

use std::time::Duration;

use belfry_simulator::{Action, Fault, Place};

use crate::world::{Plan, World, pause};

const CONVERSATIONS: u64 = 16;

/// Every way in which a call can fail for a while, each with a small chance.
pub fn fail_now_and_then(world: &World, place: Place, chance: f64) {
    let mut faults = vec![
        Fault::status(place, 500, "{}"),
        Fault::status(place, 500, "{}").obeyed_first(),
        Fault::status(place, 503, "busy").obeyed_first(),
        Fault::retry_after(place, 1),
        Fault::new(place, Action::Reset),
        Fault::new(place, Action::ResetAfter),
        Fault::new(place, Action::Close),
        Fault::new(place, Action::Close).obeyed_first(),
        Fault::html(place, 502),
        Fault::slow(place, Duration::from_millis(200)),
        Fault::slow(place, Duration::from_millis(200)).obeyed_first(),
        Fault::too_many_calls(place),
        Fault::address_banned(place, 1),
    ];
    if place == Place::Webhook {
        faults.push(Fault::errcode(-1, "system busy"));
    }
    for fault in faults {
        world.fault(fault.probability(chance));
    }
}

#[tokio::test]
async fn replies_arrive_through_failing_webhooks() {
    let mut world = Plan::new("replies_arrive_through_failing_webhooks").start().await;
    fail_now_and_then(&world, Place::Webhook, 0.02);
    for number in 0..120 {
        world.say(CONVERSATIONS);
        if number == 60 {
            world.kill_and_restart().await;
        }
        pause(&mut world.rng, Duration::from_millis(20)).await;
    }
    let report = world.finish(CONVERSATIONS).await;
    assert!(report.outcomes_unknown > 0 && report.repeated_unknown > 0, "{report}");
}

#[tokio::test]
async fn people_see_a_repeated_reply_once_where_msg_uuid_is_honoured() {
    let plan = Plan::new("people_see_a_repeated_reply_once_where_msg_uuid_is_honoured").honour_uuid();
    let mut world = plan.start().await;
    world.fault(Fault::new(Place::Webhook, Action::ResetAfter).probability(0.1));
    world.fault(Fault::status(Place::Webhook, 500, "{}").obeyed_first().probability(0.1));
    for _ in 0..80 {
        world.say(CONVERSATIONS);
    }
    let report = world.finish(CONVERSATIONS).await;
    assert!(report.repeated_unknown > 0, "{report}");
}

/// The answer comes after the bot has given up waiting for it, which is after ten seconds.
#[tokio::test]
async fn an_answer_that_comes_too_late() {
    let mut world = Plan::new("an_answer_that_comes_too_late").start().await;
    let late = Fault::slow(Place::Webhook, Duration::from_secs(13)).times(2);
    world.fault(late.clone().obeyed_first());
    world.fault(late);
    for _ in 0..20 {
        world.say(CONVERSATIONS);
    }
    let report = world.finish(CONVERSATIONS).await;
    assert!(report.outcomes_unknown > 0, "{report}");
}

#[tokio::test]
async fn dingtalk_asks_for_patience() {
    let mut world = Plan::new("dingtalk_asks_for_patience").start().await;
    // Without a time given, a minute.
    world.fault(Fault::errcode(130_101, "send too fast").times(1));
    world.fault(Fault::errcode(410_100, "send too fast").times(1));
    world.fault(Fault::errcode(90_018, "too many calls").times(1));
    for number in 0..6 {
        world.tell_in(number, "say {}", true);
    }
    world.finish(6).await;
}

#[tokio::test]
async fn an_expired_webhook_gives_way_to_the_openapi() {
    let mut world = Plan::new("an_expired_webhook_gives_way_to_the_openapi").start().await;
    world.fault(Fault::slow(Place::Webhook, Duration::from_millis(100)));
    fail_now_and_then(&world, Place::OpenApi, 0.01);
    for number in 0..40 {
        world.say(CONVERSATIONS);
        if number % 8 == 7 {
            pause(&mut world.rng, Duration::from_millis(100)).await;
            world.simulator.expire_sessions(None, None);
            world.simulator.expire_tokens(None);
        }
    }
    world.settled().await;
    assert!(world.simulator.stats().replies_openapi > 0, "some went through the OpenAPI:\n{}", world.tail());
    world.finish(CONVERSATIONS).await;
}

#[tokio::test]
async fn a_webhook_that_is_gone_before_its_time() {
    let mut world = Plan::new("a_webhook_that_is_gone_before_its_time").start().await;
    world.fault(Fault::session_gone().probability(0.5));
    for _ in 0..20 {
        world.say(CONVERSATIONS);
    }
    world.settled().await;
    let through_openapi = world.simulator.stats().replies_openapi;
    assert!(through_openapi > 0, "some went through the OpenAPI:\n{}", world.tail());
    world.finish(CONVERSATIONS).await;
}
