//! Session webhooks and access tokens.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "this is a test, which clippy knows of functions marked as one only"
)]

mod support;

use belfry_simulator::{
    Credential, Credentials, Happening, Person, Place, Reply, Say, Simulator, SimulatorConfig,
};
use serde_json::{Value, json};
use support::*;

fn text(content: &str) -> Value {
    json!({"msgtype": "text", "text": {"content": content}})
}

async fn errcode(simulator: &Simulator, webhook: &str, body: &Value) -> i64 {
    let answer = post(simulator, webhook, body).await.unwrap();
    assert_eq!(answer.status, 200);
    answer.json()["errcode"].as_i64().unwrap()
}

/// The webhook of a fresh message in a conversation.
async fn webhook(simulator: &Simulator, bot: &mut Bot, conversation: &str) -> String {
    simulator.say(Say::private(conversation, Person::default(), "hello"));
    let frame = bot.frame().await;
    bot.ack(&frame, 200, "{}").await;
    frame.webhook(simulator)
}

async fn reply(simulator: &Simulator, part: &str) -> Reply {
    simulator.wait_for_reply(1, "cidA==", part, PATIENCE).await.unwrap()
}

#[tokio::test]
async fn a_reply_is_recorded_with_its_conversation() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let hook = webhook(&simulator, &mut bot, "cidA==").await;
    assert_eq!(errcode(&simulator, &hook, &text("one")).await, 0);
    let markdown = json!({"msgtype": "markdown", "markdown": {"title": "t", "text": "two"}});
    assert_eq!(errcode(&simulator, &hook, &markdown).await, 0);
    let one = reply(&simulator, "one").await;
    assert_eq!((&*one.client_id, one.msgtype(), one.repeated), ("app", "text", false));
    assert_eq!(reply(&simulator, "two").await.body, markdown);
    assert_eq!(simulator.stats().replies, 2);
}

#[tokio::test]
async fn one_session_per_conversation_and_its_end_moves() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let hook = webhook(&simulator, &mut bot, "cidA==").await;
    assert_eq!(webhook(&simulator, &mut bot, "cidA==").await, hook);
    assert_ne!(webhook(&simulator, &mut bot, "cidB==").await, hook);

    assert_eq!(simulator.expire_sessions(Some("app"), Some("cidA==")), 1);
    assert_eq!(errcode(&simulator, &hook, &text("late")).await, 300_001);
    assert_eq!(errcode(&simulator, "/robot/sendBySession?session=ff", &text("x")).await, 300_001);
    assert_eq!(errcode(&simulator, "/robot/sendBySession", &text("x")).await, 300_001);
    // A new message makes the same address valid again.
    assert_eq!(webhook(&simulator, &mut bot, "cidA==").await, hook);
    assert_eq!(errcode(&simulator, &hook, &text("in time")).await, 0);
    let refused = simulator.wait_for(1, PATIENCE, |what| match what {
        Happening::Refused { place: Place::Webhook, conversation: Some(conversation), code, .. } => {
            Some((conversation.to_string(), code.clone()))
        }
        _ => None,
    });
    assert_eq!(refused.await.unwrap(), ("cidA==".to_owned(), "300001".to_owned()));
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let simulator = start(SimulatorConfig {
        speed: 1_000_000.0,
        redeliver_after: PATIENCE * 1_000_000,
        ticket_ttl: PATIENCE * 1_000_000,
        ..quiet()
    })
    .await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let hook = webhook(&simulator, &mut bot, "cidA==").await;
    // 90 minutes pass in 5.4 ms.
    tokio::time::sleep(std::time::Duration::from_millis(6)).await;
    assert_eq!(errcode(&simulator, &hook, &text("late")).await, 300_001);
}

#[tokio::test]
async fn bodies_are_judged() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let hook = webhook(&simulator, &mut bot, "cidA==").await;
    assert_eq!(errcode(&simulator, &hook, &text(&"x".repeat(20_001))).await, 460_101);
    assert_eq!(errcode(&simulator, &hook, &json!({"msgtype": "voice", "voice": {}})).await, 400_105);
    assert_eq!(errcode(&simulator, &hook, &json!({"text": {"content": "x"}})).await, 40_035);
    let plain = http(&simulator, "POST", &hook, "text/plain", "{}").await.unwrap();
    assert_eq!(plain.json()["errcode"], 43_004);
    let huge = http(&simulator, "POST", &hook, "application/json", &" ".repeat(3 << 20)).await;
    assert!(huge.is_err() || huge.unwrap().status == 413);
    assert_eq!(simulator.stats().replies, 0);
}

#[tokio::test]
async fn too_many_replies_a_minute_are_refused_if_wanted() {
    let simulator = start(SimulatorConfig { webhook_per_minute: Some(20), ..quiet() }).await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let hook = webhook(&simulator, &mut bot, "cidA==").await;
    for _ in 0..20 {
        assert_eq!(errcode(&simulator, &hook, &text("x")).await, 0);
    }
    assert_eq!(errcode(&simulator, &hook, &text("x")).await, 130_101);
    let other = webhook(&simulator, &mut bot, "cidB==").await;
    assert_eq!(errcode(&simulator, &other, &text("x")).await, 0);
}

#[tokio::test]
async fn repeated_uuids_are_marked() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let hook = webhook(&simulator, &mut bot, "cidA==").await;
    let mut body = text("once");
    body["msgUuid"] = json!("u1");
    assert_eq!(errcode(&simulator, &hook, &body).await, 0);
    assert_eq!(errcode(&simulator, &hook, &body).await, 0);
    let mut seen = Vec::new();
    let both = simulator.wait_for(1, PATIENCE, |what| {
        if let Happening::Replied(reply) = what {
            seen.push((reply.uuid.clone(), reply.repeated));
        }
        (seen.len() == 2).then(|| seen.clone())
    });
    let uuid = Some("u1".to_owned());
    assert_eq!(both.await.unwrap(), [(uuid.clone(), false), (uuid, true)]);
    assert_eq!(simulator.stats().replies_repeated, 1);
}

#[tokio::test]
async fn tokens_stay_the_same_while_valid() {
    let list = Credentials::List(vec![Credential::new("app", "secret")]);
    let simulator = start(SimulatorConfig { credentials: list, ..quiet() }).await;
    let request = json!({"appKey": "app", "appSecret": "secret"});
    let first = post(&simulator, "/v1.0/oauth2/accessToken", &request).await.unwrap().json();
    assert_eq!(first["expireIn"], 7_200);
    let old = http(&simulator, "GET", "/gettoken?appkey=app&appsecret=secret", "", "").await.unwrap().json();
    assert_eq!((&old["errcode"], &old["access_token"]), (&json!(0), &first["accessToken"]));

    let wrong = json!({"appKey": "app", "appSecret": "guess"});
    let refused = post(&simulator, "/v1.0/oauth2/accessToken", &wrong).await.unwrap();
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("invalidClientIdOrSecret")));
    let old = http(&simulator, "GET", "/gettoken?appkey=app", "", "").await.unwrap().json();
    assert_ne!(old["errcode"], 0);
}
