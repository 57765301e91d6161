//! The records tell of every call whether it was taken, and whether its sender can know it.
#![expect(clippy::unwrap_used, reason = "this is a test, which clippy knows of functions marked as one only")]

mod support;

use std::time::Duration;

use belfry_simulator::{
    Action, Fault, Happening, OutcomeUnknown, Person, Place, Say, Simulator, SimulatorConfig, Told,
};
use serde_json::{Value, json};
use support::*;
use tokio::io::AsyncWriteExt;

fn text(uuid: &str) -> Value {
    json!({"msgtype": "text", "text": {"content": "hi"}, "msgUuid": uuid})
}

async fn hook(simulator: &Simulator) -> String {
    let mut bot = Bot::connect(simulator, "app").await;
    simulator.say(Say::private("cidA==", Person::staff("alex", "Alex"), "hello"));
    let frame = bot.frame().await;
    bot.ack(&frame, 200, "{}").await;
    simulator.wait_for_ack(1, 1, PATIENCE).await.unwrap();
    frame.webhook(simulator)
}

/// What the records from a number on say of calls, each as `call what`.
fn told(simulator: &Simulator, since: u64) -> Vec<String> {
    let records = simulator.records(since, usize::MAX).records;
    let lines = records.iter().filter_map(|record| match &record.what {
        Happening::Replied(reply) => Some(format!("{} replied", reply.call)),
        Happening::Refused { call: Some(call), status, code, uuid, .. } => {
            Some(format!("{call} refused {status} {code} {}", uuid.as_deref().unwrap_or_default()))
        }
        Happening::OutcomeUnknown(OutcomeUnknown { call, taken, told, uuid, .. }) => {
            Some(format!("{call} unknown {taken} {told:?} {}", uuid.as_deref().unwrap_or_default()))
        }
        _ => None,
    });
    lines.map(|line| line.trim_end().to_owned()).collect()
}

#[tokio::test]
async fn every_end_of_a_reply_is_told() {
    let simulator = real().await;
    let hook = hook(&simulator).await;
    let place = Place::Webhook;
    let cases: Vec<(Fault, &[&str])> = vec![
        (Fault::slow(place, Duration::ZERO), &["replied"]),
        (Fault::slow(place, Duration::ZERO).obeyed_first(), &["replied"]),
        (Fault::new(place, Action::Reset), &["unknown false Reset"]),
        (Fault::new(place, Action::Close), &["unknown false Closed u"]),
        (Fault::new(place, Action::ResetAfter), &["replied", "unknown true Reset u"]),
        (Fault::new(place, Action::Reset).obeyed_first(), &["replied", "unknown true Reset u"]),
        (Fault::new(place, Action::Close).obeyed_first(), &["replied", "unknown true Closed u"]),
        (Fault::status(place, 500, ""), &["refused 500  u"]),
        (Fault::retry_after(place, 3), &["refused 429 Throttling u"]),
        (Fault::session_gone(), &["refused 200 300001 u"]),
        (Fault::status(place, 500, "").obeyed_first(), &["replied", "unknown true Answer { status: 500 } u"]),
        (Fault::errcode(-1, "busy").obeyed_first(), &["replied", "unknown true Answer { status: 200 } u"]),
        // Told the truth, if in other words; and told a lie.
        (Fault::errcode(0, "ok"), &["refused 200 0 u"]),
        (Fault::errcode(0, "ok").obeyed_first(), &["replied"]),
    ];
    for (number, (fault, expected)) in (1..).zip(cases) {
        let since = simulator.now();
        simulator.add_fault(fault.clone().times(1)).unwrap();
        let answer = post(&simulator, &hook, &text("u")).await;
        let expected: Vec<_> = expected.iter().map(|line| format!("{number} {line}")).collect();
        assert_eq!(told(&simulator, since), expected, "{fault:?}");
        let cut = matches!(fault.action, Action::Reset | Action::ResetAfter | Action::Close);
        assert_eq!(answer.is_err(), cut, "{fault:?}");
    }
    let since = simulator.now();
    post(&simulator, &hook, &text("u")).await.unwrap();
    assert_eq!(told(&simulator, since), ["15 replied"]);
    assert_eq!(simulator.stats().outcomes_unknown, 7);

    // One that is refused for its own sake is not refused again by the fault.
    let since = simulator.now();
    simulator.expire_sessions(None, None);
    simulator.add_fault(Fault::status(place, 500, "").obeyed_first().times(1)).unwrap();
    simulator.add_fault(Fault::new(place, Action::ResetAfter).times(1)).unwrap();
    assert_eq!(post(&simulator, &hook, &text("u")).await.unwrap().status, 500);
    assert!(post(&simulator, &hook, &text("u")).await.is_err());
    let refused = "refused 200 300001 u";
    let expected = [format!("16 {refused}"), format!("17 {refused}"), "17 unknown false Reset u".to_owned()];
    assert_eq!(told(&simulator, since), expected);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_too_long_is_not_taken() {
    let simulator = real().await;
    let hook = hook(&simulator).await;
    let since = simulator.now();
    let mut tcp = tokio::net::TcpStream::connect(simulator.address()).await.unwrap();
    let head = format!("POST {hook} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{");
    tcp.write_all(head.as_bytes()).await.unwrap();
    drop(tcp);
    let unknown = |what: &Happening| matches!(what, Happening::OutcomeUnknown(_)).then_some(());
    simulator.wait_for(since, PATIENCE, unknown).await.unwrap();
    assert_eq!(told(&simulator, since), ["1 unknown false Left"]);
    let huge = " ".repeat(3 << 20);
    let _ = http(&simulator, "POST", &hook, "application/json", &huge).await;
    let refused = |what: &Happening| matches!(what, Happening::Refused { status: 413, .. }).then_some(());
    simulator.wait_for(since, PATIENCE, refused).await.unwrap();
}

#[tokio::test]
async fn a_sender_that_does_not_wait_for_the_answer_is_noticed() {
    let simulator = real().await;
    let hook = hook(&simulator).await;
    let token = token(&simulator, "app").await;
    let hours = Duration::from_secs(10_000);
    let person = to_people(&["alex"], "hi").to_string();
    let people = [(Place::Webhook, hook.as_str(), text("u").to_string()), (Place::OpenApi, PEOPLE, person)];
    for (place, path, body) in people {
        let faults = [
            (Fault::slow(place, hours), false),
            (Fault::slow(place, hours).obeyed_first(), true),
            (Fault::new(place, Action::Silence), false),
            (Fault::new(place, Action::Silence).obeyed_first(), true),
        ];
        for (fault, taken) in faults {
            let since = simulator.now();
            simulator.add_fault(fault.times(1)).unwrap();
            let mut tcp = tokio::net::TcpStream::connect(simulator.address()).await.unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nx-acs-dingtalk-access-token: {token}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            tcp.write_all(head.as_bytes()).await.unwrap();
            let struck = |what: &Happening| matches!(what, Happening::Fault { .. }).then_some(());
            simulator.wait_for(since, PATIENCE, struck).await.unwrap();
            drop(tcp);
            let unknown = simulator.wait_for(since, PATIENCE, |what| match what {
                Happening::OutcomeUnknown(unknown) => Some(unknown.clone()),
                _ => None,
            });
            let unknown = unknown.await.unwrap();
            assert_eq!((unknown.place, unknown.taken, unknown.told), (place, taken, Told::Left));
            assert_eq!(unknown.conversation.as_deref(), Some("cidA=="));
        }
    }
    assert_eq!(simulator.stats().replies, 4);
}

#[tokio::test]
async fn calls_of_the_openapi_have_their_ends_too() {
    let simulator = real().await;
    let token = token(&simulator, "app").await;
    let place = Place::OpenApi;
    let cases: Vec<(Fault, &[&str])> = vec![
        (Fault::status(place, 503, ""), &["1 refused 503"]),
        (
            Fault::status(place, 503, "").obeyed_first(),
            &["2 replied", "2 unknown true Answer { status: 503 }"],
        ),
        (Fault::new(place, Action::ResetAfter), &["3 replied", "3 unknown true Reset"]),
        (Fault::too_many_calls(place), &["4 refused 403 Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"]),
        (Fault::address_banned(place, 5), &["5 refused 200"]),
        (Fault::html(place, 400).only("app").in_conversation("cidG=="), &["6 refused 400"]),
        (Fault::html(place, 400).in_conversation("another"), &["7 replied"]),
    ];
    for (fault, expected) in cases {
        let since = simulator.now();
        simulator.add_fault(fault.clone().times(1)).unwrap();
        let _ = call(&simulator, &token, GROUP, &to_group("cidG==", "x")).await;
        assert_eq!(told(&simulator, since), expected, "{fault:?}");
    }
}

#[tokio::test]
async fn repeated_uuids_are_kept_from_people_if_wanted() {
    let simulator = start(SimulatorConfig { honour_msg_uuid: true, ..quiet() }).await;
    let hook = hook(&simulator).await;
    assert!(simulator.honours_msg_uuid());
    for honour in [true, true, false] {
        simulator.set_honour_msg_uuid(honour);
        assert_eq!(post(&simulator, &hook, &text("u")).await.unwrap().json()["errcode"], 0);
    }
    let records = simulator.records(1, usize::MAX).records;
    let seen = records.iter().filter_map(|record| match &record.what {
        Happening::Replied(reply) => Some((reply.repeated, reply.posted)),
        _ => None,
    });
    assert_eq!(seen.collect::<Vec<_>>(), [(false, true), (true, false), (true, true)]);
}

#[tokio::test]
async fn a_lost_ack_brings_the_message_again() {
    let simulator = fast().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    simulator.add_fault(Fault::new(Place::Ack, Action::Drop).times(2)).unwrap();
    let msg_id = simulator.say(Say::private("cidA==", Person::default(), "hello"));
    let mut names = Vec::new();
    for _ in 0..3 {
        let frame = bot.frame().await;
        assert_eq!(frame.data()["msgId"], msg_id.as_str());
        names.push(frame.message_id().to_owned());
        bot.ack(&frame, 200, "{}").await;
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3);
    let acked = simulator.wait_for_ack(1, 1, PATIENCE).await.unwrap();
    assert_eq!((acked.nth, simulator.stats().acks_lost), (1, 2));

    simulator.add_fault(Fault::new(Place::Ack, Action::Reset).times(1)).unwrap();
    simulator.say(Say::private("cidA==", Person::default(), "more"));
    let frame = bot.frame().await;
    bot.ack(&frame, 200, "{}").await;
    while let Some(Ok(_)) = bot.next().await {}
    let mut bot = Bot::connect(&simulator, "app").await;
    let again = bot.frame().await;
    assert_eq!(again.data()["msgId"], frame.data()["msgId"]);
}

#[tokio::test]
async fn a_storm_sends_every_connection_away() {
    let simulator = real().await;
    let storm = Action::Disconnect { reason: "storm".into() };
    simulator.add_fault(Fault::new(Place::Connect, storm).times(3)).unwrap();
    simulator.say(Say::private("cidA==", Person::default(), "hello").to("app"));
    for _ in 0..3 {
        let ticket = ticket(&simulator, "app", &everything()).await;
        let frame = Bot::open(&simulator, &ticket).await.unwrap().frame().await;
        assert_eq!((frame.topic(), &frame.data()["reason"]), ("disconnect", &json!("storm")));
        assert_eq!(simulator.connections(Some("app")), 0);
    }
    let mut bot = Bot::connect(&simulator, "app").await;
    assert_eq!(bot.frame().await.data()["text"]["content"], "hello");
}

#[tokio::test]
async fn a_seed_repeats_what_was_drawn() {
    let mut patterns = Vec::new();
    for seed in [Some(7), Some(7), Some(8), None] {
        let simulator = start(SimulatorConfig { seed, ..quiet() }).await;
        let first = simulator.records(1, 1).records[0].what.clone();
        assert_eq!(first, Happening::Started { seed: simulator.seed() });
        assert_eq!(seed.unwrap_or(simulator.seed()), simulator.seed());
        simulator.add_fault(Fault::wrong_credentials().probability(0.5)).unwrap();
        let mut pattern = Vec::new();
        for _ in 0..40 {
            pattern.push(register(&simulator, "app", &[]).await.unwrap().status);
        }
        patterns.push(pattern);
    }
    assert_eq!(patterns[0], patterns[1]);
    assert_ne!(patterns[0], patterns[2]);
}
