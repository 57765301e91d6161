//! Every fault does what it says, as often as it says.

mod support;

use std::collections::HashSet;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use belfry_simulator::{Action, Fault, Happening, Person, Place, Say, Simulator};
use serde_json::{Value, json};
use support::*;
use tokio_tungstenite::tungstenite::{Error, Message};

fn say(simulator: &Simulator) -> String {
    simulator.say(Say::private("cidA==", Person::default(), "hello"))
}

fn text() -> Value {
    json!({"msgtype": "text", "text": {"content": "hi"}})
}

async fn hook(simulator: &Simulator, bot: &mut Bot) -> String {
    say(simulator);
    let frame = bot.frame().await;
    bot.ack(&frame, 200, "{}").await;
    frame.webhook(simulator)
}

#[tokio::test]
async fn registration_is_refused_in_every_known_way() {
    let simulator = real().await;
    let place = Place::Registration;
    let faults = [
        (Fault::wrong_credentials(), 401, "authFailed"),
        (Fault::not_stream_mode(), 400, "not Stream"),
        (Fault::too_many_calls(place), 403, "QpsLimitForAppkeyAndApi"),
        (Fault::quota_used_up(place), 403, "ApiCountLimitForOrg"),
        (Fault::address_banned(place, 5), 200, "\"wait\":5"),
        (Fault::html(place, 400), 400, "<html>"),
        (Fault::empty(place), 200, ""),
        (Fault::status(place, 503, "busy"), 503, "busy"),
    ];
    for (fault, status, part) in faults {
        simulator.add_fault(fault.times(1)).unwrap();
        let answer = register(&simulator, "app", &[]).await.unwrap();
        assert_eq!(answer.status, status);
        assert!(answer.body.contains(part), "{}", answer.body);
        assert_eq!(part.is_empty(), answer.body.is_empty());
    }
    assert_eq!(register(&simulator, "app", &[]).await.unwrap().status, 200);
    assert_eq!(simulator.stats().faults, 8);
    assert_eq!(simulator.stats().registrations, 1);
}

#[tokio::test]
async fn a_fault_has_a_count_an_app_a_chance_and_an_end() {
    let simulator = real().await;
    let id = simulator.add_fault(Fault::wrong_credentials().only("sick")).unwrap();
    assert_eq!(register(&simulator, "app", &[]).await.unwrap().status, 200);
    for _ in 0..3 {
        assert_eq!(register(&simulator, "sick", &[]).await.unwrap().status, 401);
    }
    assert_eq!(simulator.clear_faults(Some(id)), 1);
    assert_eq!(register(&simulator, "sick", &[]).await.unwrap().status, 200);

    simulator.add_fault(Fault::wrong_credentials().times(2)).unwrap();
    register(&simulator, "app", &[]).await.unwrap();
    assert_eq!(simulator.faults()[0].1.times, Some(1));
    register(&simulator, "app", &[]).await.unwrap();
    assert!(simulator.faults().is_empty());

    simulator.add_fault(Fault::wrong_credentials().probability(0.0)).unwrap();
    assert_eq!(register(&simulator, "app", &[]).await.unwrap().status, 200);
    simulator.clear_faults(None);
    simulator.add_fault(Fault::wrong_credentials().probability(0.5)).unwrap();
    let mut seen = HashSet::new();
    while seen.len() < 2 {
        seen.insert(register(&simulator, "app", &[]).await.unwrap().status);
    }
}

#[tokio::test]
async fn faults_without_sense_are_refused() {
    let simulator = real().await;
    let bad = [
        Fault::new(Place::Push, Action::ResetAfter),
        Fault::new(Place::Registration, Action::Duplicate),
        Fault::new(Place::Webhook, Action::Duplicate),
        Fault::new(Place::Ack, Action::Silence),
        Fault::new(Place::Ack, Action::Drop).after(Duration::from_secs(1)),
        Fault::new(Place::Push, Action::Disconnect { reason: String::new() }),
        Fault::new(Place::Webhook, Action::InvalidStaff { staff_ids: vec![] }),
        Fault::errcode(-1, "busy").obeyed_first().only("app").in_conversation("c").probability(-0.1),
        Fault::new(Place::Connect, Action::Close).obeyed_first(),
        Fault::empty(Place::Token).in_conversation("c"),
        Fault::new(Place::Token, Action::Errcode { errcode: 1, errmsg: String::new(), as_string: false }),
        Fault::status(Place::Token, 99, ""),
        Fault::new(Place::Token, Action::Redirect { status: 200, location: "/".into() }),
        Fault::empty(Place::Token).probability(1.5),
    ];
    for fault in bad {
        assert!(simulator.add_fault(fault.clone()).is_err(), "{fault:?}");
    }
}

#[tokio::test]
async fn requests_end_without_an_answer() {
    let simulator = real().await;
    let place = Place::Registration;
    for (action, obeyed) in [(Action::Reset, 0), (Action::Close, 0), (Action::ResetAfter, 1)] {
        simulator.add_fault(Fault::new(place, action.clone()).times(1)).unwrap();
        let error = register(&simulator, "app", &[]).await.unwrap_err();
        let expected =
            if action == Action::Close { ErrorKind::UnexpectedEof } else { ErrorKind::ConnectionReset };
        assert_eq!(error.kind(), expected, "{action:?}");
        assert_eq!(simulator.stats().registrations, obeyed);
    }
}

#[tokio::test]
async fn answers_are_slow_and_redirected() {
    let simulator = real().await;
    let delay = Duration::from_millis(30);
    simulator.add_fault(Fault::slow(Place::Token, delay).times(1)).unwrap();
    let before = Instant::now();
    let request = json!({"appKey": "app", "appSecret": "secret"});
    assert_eq!(post(&simulator, "/v1.0/oauth2/accessToken", &request).await.unwrap().status, 200);
    assert!(before.elapsed() >= delay);

    let elsewhere = Action::Redirect { status: 307, location: "http://127.0.0.1:9/".into() };
    simulator.add_fault(Fault::new(Place::Webhook, elsewhere).times(1)).unwrap();
    let answer = post(&simulator, "/robot/sendBySession?session=x", &text()).await.unwrap();
    assert_eq!((answer.status, answer.headers["location"].as_str()), (307, "http://127.0.0.1:9/"));

    let answer = Action::Answer {
        status: 429,
        body: "{}".into(),
        content_type: "application/json".into(),
        retry_after: Some(7),
    };
    simulator.add_fault(Fault::new(Place::Webhook, answer).times(1)).unwrap();
    let answer = post(&simulator, "/robot/sendBySession?session=x", &text()).await.unwrap();
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (429, "7"));
}

#[tokio::test]
async fn handshakes_fail_or_lead_to_silence() {
    let simulator = real().await;
    simulator.add_fault(Fault::status(Place::Connect, 503, "").times(1)).unwrap();
    let first = ticket(&simulator, "app", &everything()).await;
    match Bot::open(&simulator, &first).await.err().unwrap() {
        Error::Http(response) => assert_eq!(response.status(), 503),
        other => panic!("{other}"),
    }
    // The ticket is spent all the same.
    assert!(Bot::open(&simulator, &first).await.is_err());

    simulator.add_fault(Fault::new(Place::Connect, Action::Reset).times(1)).unwrap();
    let second = ticket(&simulator, "app", &everything()).await;
    assert!(Bot::open(&simulator, &second).await.is_err());

    simulator.add_fault(Fault::new(Place::Connect, Action::Silence).times(1)).unwrap();
    let mut silent = Bot::connect(&simulator, "app").await;
    say(&simulator);
    futures_util::SinkExt::send(&mut silent.socket, Message::Ping("x".into())).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), silent.next()).await.is_err());
    assert_eq!(simulator.stats().sent, 1);
}

#[tokio::test]
async fn pushes_are_doubled_dropped_delayed_and_preceded_by_garbage() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    simulator.add_fault(Fault::new(Place::Push, Action::Duplicate).times(1)).unwrap();
    let msg_id = say(&simulator);
    let (first, second) = (bot.frame().await, bot.frame().await);
    assert_eq!(first.data()["msgId"], msg_id);
    assert_eq!(first.0["data"], second.0["data"]);
    assert_ne!(first.message_id(), second.message_id());
    bot.ack(&first, 200, "{}").await;

    simulator.add_fault(Fault::new(Place::Push, Action::Text { text: "}{".into() }).times(1)).unwrap();
    let msg_id = say(&simulator);
    assert!(matches!(bot.next().await, Some(Ok(Message::Text(text))) if text == "}{"));
    assert_eq!(bot.frame().await.data()["msgId"], msg_id);

    simulator.add_fault(Fault::slow(Place::Push, Duration::from_millis(50)).times(1)).unwrap();
    let slow = say(&simulator);
    let quick = say(&simulator);
    assert_eq!(bot.frame().await.data()["msgId"], quick);
    assert_eq!(bot.frame().await.data()["msgId"], slow);

    let simulator = fast().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    simulator.add_fault(Fault::new(Place::Push, Action::Drop).times(1)).unwrap();
    let msg_id = say(&simulator);
    assert_eq!(bot.frame().await.data()["msgId"], msg_id);
    assert_eq!(simulator.stats().pushes, 1);
}

#[tokio::test]
async fn a_push_can_kill_its_socket() {
    let simulator = fast().await;
    for action in [Action::Reset, Action::Close] {
        let mut bot = Bot::connect(&simulator, "app").await;
        simulator.add_fault(Fault::new(Place::Push, action.clone()).times(1)).unwrap();
        let since = simulator.now();
        say(&simulator);
        simulator
            .wait_for(since, PATIENCE, |what| {
                matches!(what, Happening::Closed { .. } | Happening::Fault { .. }).then_some(())
            })
            .await
            .unwrap();
        let end = bot.next().await;
        assert!(matches!(end, Some(Err(_) | Ok(Message::Close(_)))), "{action:?} ended with {end:?}");
        drop(bot);
        until(|| simulator.stats().open == 0).await;
        let mut next = Bot::connect(&simulator, "app").await;
        let frame = next.frame().await;
        next.ack(&frame, 200, "{}").await;
        drop(next);
        until(|| simulator.stats().open == 0 && simulator.stats().pending == 0).await;
    }
}

#[tokio::test]
async fn webhooks_fail_before_and_after_the_reply_counts() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let hook = hook(&simulator, &mut bot).await;
    let place = Place::Webhook;

    simulator.add_fault(Fault::errcode(310_000, "keywords not in content").only("app").times(1)).unwrap();
    let answer = post(&simulator, &hook, &text()).await.unwrap();
    assert_eq!((answer.status, &answer.json()["errcode"]), (200, &json!(310_000)));

    let action = Action::Errcode { errcode: 0, errmsg: "ok".into(), as_string: true };
    simulator.add_fault(Fault::new(place, action).times(1)).unwrap();
    assert_eq!(post(&simulator, &hook, &text()).await.unwrap().json()["errcode"], "0");

    simulator.add_fault(Fault::status(place, 502, "").times(1)).unwrap();
    assert_eq!(post(&simulator, &hook, &text()).await.unwrap().status, 502);

    simulator.add_fault(Fault::new(place, Action::Reset).times(1)).unwrap();
    assert!(post(&simulator, &hook, &text()).await.is_err());
    assert_eq!(simulator.stats().replies, 0);

    simulator.add_fault(Fault::new(place, Action::ResetAfter).times(1)).unwrap();
    assert_eq!(post(&simulator, &hook, &text()).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(simulator.stats().replies, 1);

    simulator.add_fault(Fault::slow(place, Duration::from_millis(5)).times(1)).unwrap();
    assert_eq!(post(&simulator, &hook, &text()).await.unwrap().json()["errcode"], 0);
    assert_eq!(simulator.stats().replies, 2);
}
