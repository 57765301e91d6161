//! The control API does what the handle does.
#![expect(clippy::unwrap_used, reason = "this is a test, which clippy knows of functions marked as one only")]

mod support;

use belfry_simulator::{Page, Simulator, SimulatorConfig, topic};
use serde_json::{Value, json};
use support::*;

async fn control(simulator: &Simulator, path: &str, body: Value) -> Value {
    let answer = post(simulator, &format!("/_simulator/{path}"), &body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

async fn get(simulator: &Simulator, path: &str) -> Http {
    http(simulator, "GET", &format!("/_simulator/{path}"), "", "").await.unwrap()
}

#[tokio::test]
async fn a_whole_conversation_over_http() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let said = json!({"conversation": "cidA==", "content": {"kind": "text", "text": "hello"}});
    let said = control(&simulator, "say", said).await;
    let frame = bot.frame().await;
    assert_eq!(frame.data()["msgId"], said["msgId"]);
    bot.ack(&frame, 200, r#"{"response":null}"#).await;
    let reply = json!({"msgtype": "text", "text": {"content": "hello yourself"}});
    post(&simulator, &frame.webhook(&simulator), &reply).await.unwrap();

    let mut since = 1;
    let mut kinds = Vec::new();
    while !kinds.contains(&"replied".to_owned()) {
        let page = get(&simulator, &format!("records?since={since}&waitMs=20000&limit=2")).await.json();
        for record in page["records"].as_array().unwrap() {
            kinds.push(record["what"]["kind"].as_str().unwrap().to_owned());
        }
        since = serde_json::from_value::<Page>(page).unwrap().next;
    }
    assert_eq!(kinds, ["started", "registered", "opened", "sent", "acked", "replied"]);
    assert_eq!(get(&simulator, "stats").await.json()["replies"], 1);
    // Nothing new: an empty page, at once.
    let page = get(&simulator, &format!("records?since={since}")).await.json();
    assert_eq!(page["records"], json!([]));
}

#[tokio::test]
async fn a_push_can_wait_for_its_ack() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let asking = tokio::spawn({
        let simulator = simulator.clone();
        async move {
            let push = json!({"type": "CALLBACK", "topic": topic::GRAPH, "data": {"body": "{}"}});
            control(&simulator, "push", json!({"push": push, "waitMs": 20_000})).await
        }
    });
    let frame = bot.frame().await;
    bot.ack(&frame, 200, r#"{"response":{"body":"{}"}}"#).await;
    assert_eq!(asking.await.unwrap()["code"], 200);

    let push = json!({"type": "CALLBACK", "topic": "/unsubscribed", "data": {}});
    let late = post(&simulator, "/_simulator/push", &json!({"push": push, "waitMs": 20_000})).await.unwrap();
    assert_eq!(late.status, 504);
    assert!(late.body.contains("subscribed"));
}

#[tokio::test]
async fn faults_and_connections_are_under_control() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let fault = json!({"place": "registration", "action": {"kind": "answer", "status": 503}, "times": 2});
    let id = control(&simulator, "faults", fault).await["fault"].clone();
    assert_eq!(register(&simulator, "app", &[]).await.unwrap().status, 503);
    let armed = get(&simulator, "faults").await.json();
    assert_eq!((&armed[0]["id"], &armed[0]["fault"]["times"]), (&id, &json!(1)));
    let cleared = http(&simulator, "DELETE", "/_simulator/faults", "application/json", "").await.unwrap();
    assert_eq!(cleared.json()["count"], 1);

    assert_eq!(control(&simulator, "raw", json!({"text": "{}"})).await["count"], 1);
    assert_eq!(bot.frame().await.0, json!({}));
    assert_eq!(control(&simulator, "ping", json!({})).await["count"], 1);
    assert_eq!(bot.frame().await.topic(), "ping");
    assert_eq!(control(&simulator, "speed", json!({"speed": 2.0})).await["speed"], 2.0);
    assert_eq!(control(&simulator, "expire", json!({})).await["count"], 0);
    assert_eq!(control(&simulator, "disconnect", json!({"clientId": "nobody"})).await["count"], 0);
    assert_eq!(control(&simulator, "disconnect", json!({})).await["count"], 1);
    assert_eq!(bot.frame().await.topic(), "disconnect");
    assert_eq!(control(&simulator, "drop", json!({"how": "reset"})).await["count"], 1);
    assert!(matches!(bot.next().await, Some(Err(_))));
}

#[tokio::test]
async fn settings_are_under_control() {
    let simulator = start(SimulatorConfig { seed: Some(u64::MAX), ..quiet() }).await;
    let before = get(&simulator, "settings").await.json();
    assert_eq!((&before["seed"], &before["honourMsgUuid"]), (&json!(u64::MAX.to_string()), &json!(false)));
    let change = json!({"honourMsgUuid": true, "limits": {"apiPerSecond": 20}});
    let after = control(&simulator, "settings", change).await;
    assert_eq!((&after["honourMsgUuid"], &after["limits"]["apiPerSecond"]), (&json!(true), &json!(20)));
    assert_eq!(after["speed"], 1.0);
    assert_eq!(simulator.limits().api_per_second, Some(20));
    assert!(simulator.honours_msg_uuid());
    control(&simulator, "settings", json!({"speed": 2.0})).await;
    assert_eq!((simulator.speed(), simulator.limits().api_per_second), (2.0, Some(20)));

    token(&simulator, "app").await;
    assert_eq!(control(&simulator, "expire-tokens", json!({})).await["count"], 1);
}

#[tokio::test]
async fn mistakes_are_explained() {
    let simulator = real().await;
    let wrong = [
        ("say", json!({"conversation": "c", "content": {"kind": "text", "txt": "?"}}), "txt"),
        ("say", json!({"conversation": "c"}), "content"),
        ("faults", json!({"place": "push", "action": {"kind": "resetAfter"}}), "means nothing"),
        ("disconnect", json!({"client": "app"}), "client"),
        ("settings", json!({"limits": {"perHour": 1}}), "perHour"),
    ];
    for (path, body, part) in wrong {
        let answer = post(&simulator, &format!("/_simulator/{path}"), &body).await.unwrap();
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains(part), "{}", answer.body);
    }
    assert_eq!(get(&simulator, "records?since=x").await.status, 400);
    assert_eq!(get(&simulator, "nothing").await.status, 404);
    assert!(get(&simulator, "").await.body.contains("/_simulator/say"));
}
