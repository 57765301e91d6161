//! Messages through the OpenAPI, and what is allowed there.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "this is a test, which clippy knows of functions marked as one only"
)]

mod support;

use std::time::Duration;

use belfry_simulator::{
    Action, Fault, Happening, Limits, Person, Place, Reply, Say, Simulator, SimulatorConfig, Via,
};
use serde_json::{Value, json};
use support::*;

/// The replies so far.
fn replies(simulator: &Simulator) -> Vec<Reply> {
    let records = simulator.records(1, usize::MAX).records;
    let replies = records.iter().filter_map(|record| match &record.what {
        Happening::Replied(reply) => Some(reply.clone()),
        _ => None,
    });
    replies.collect()
}

async fn code(simulator: &Simulator, token: &str, path: &str, body: &Value) -> String {
    let answer = call(simulator, token, path, body).await.unwrap();
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer.status == 200, code.is_empty(), "{}", answer.body);
    code
}

#[tokio::test]
async fn a_message_to_people_reaches_their_private_conversations() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    simulator.say(Say::private("cidA==", Person::staff("alex", "Alex"), "hello"));
    bot.frame().await;
    let token = token(&simulator, "app").await;
    let answer = call(&simulator, &token, PEOPLE, &to_people(&["alex", "stranger"], "hi")).await.unwrap();
    let answer = answer.json();
    assert!(answer["processQueryKey"].is_string());
    let lists = (&answer["invalidStaffIdList"], &answer["flowControlledStaffIdList"]);
    assert_eq!(lists, (&json!([]), &json!([])));

    let both = replies(&simulator);
    let seen: Vec<_> = both.iter().map(|r| (r.staff_id.as_deref(), &*r.conversation)).collect();
    assert_eq!(seen, [(Some("alex"), "cidA=="), (Some("stranger"), "")]);
    let first = &both[0];
    assert_eq!((first.via, first.msgtype(), &*first.text()), (Via::People, "sampleText", "hi"));
    assert_eq!((first.call, first.posted), (both[1].call, true));
    assert_eq!((simulator.stats().replies_openapi, simulator.stats().api_calls), (2, 1));
    simulator.wait_for_reply(1, "cidA==", "hi", PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_message_to_a_group_is_recorded_there() {
    let simulator = real().await;
    let token = token(&simulator, "app").await;
    let answer = call(&simulator, &token, GROUP, &to_group("cidG==", "hi all")).await.unwrap();
    assert!(answer.json()["processQueryKey"].is_string());
    let reply = simulator.wait_for_reply(1, "cidG==", "hi all", PATIENCE).await.unwrap();
    assert_eq!((reply.via, reply.msgtype(), reply.staff_id.as_deref()), (Via::Group, "sampleMarkdown", None));
    assert_eq!(&*reply.client_id, "app");
}

#[tokio::test]
async fn calls_are_judged() {
    let simulator = real().await;
    let _bot = Bot::connect(&simulator, "app").await;
    simulator.say(Say::private("cidA==", Person::default(), "hello"));
    let token = token(&simulator, "app").await;
    assert_eq!(code(&simulator, "guess", GROUP, &to_group("cidG==", "x")).await, "InvalidAuthentication");
    assert_eq!(code(&simulator, &token, GROUP, &to_group("cidA==", "x")).await, "invalid.openConversationId");
    assert_eq!(code(&simulator, &token, GROUP, &to_group("", "x")).await, "invalid.openConversationId");
    let mut other = to_group("cidG==", "x");
    other["robotCode"] = json!("another");
    assert_eq!(code(&simulator, &token, GROUP, &other).await, "invalidParameter.robotCode.auth");
    let crowd = to_people(&["a"; 21], "x");
    assert_eq!(code(&simulator, &token, PEOPLE, &crowd).await, "invalidParameter.userIds.overMax");
    assert_eq!(
        code(&simulator, &token, PEOPLE, &to_people(&[], "x")).await,
        "invalidParameter.userIds.empty"
    );
    assert_eq!(
        code(&simulator, &token, PEOPLE, &to_people(&["a"], "")).await,
        "invalidParameter.msgParam.invalid"
    );
    assert_eq!(code(&simulator, &token, GROUP, &json!([1])).await, "invalidParameter.robotCode.auth");
    assert_eq!(replies(&simulator), []);
    assert_eq!(simulator.stats().refused, 8);
}

#[tokio::test]
async fn tokens_end_on_demand() {
    let simulator = real().await;
    let first = token(&simulator, "app").await;
    assert_eq!(code(&simulator, &first, GROUP, &to_group("cidG==", "x")).await, "");
    assert_eq!(simulator.expire_tokens(Some("nobody")), 0);
    assert_eq!(simulator.expire_tokens(Some("app")), 1);
    let refused = call(&simulator, &first, GROUP, &to_group("cidG==", "x")).await.unwrap();
    assert_eq!((refused.status, &refused.json()["code"]), (401, &json!("InvalidAuthentication")));
    let second = token(&simulator, "app").await;
    assert_ne!(second, first);
    assert_eq!(code(&simulator, &second, GROUP, &to_group("cidG==", "x")).await, "");
    assert_eq!(simulator.stats().tokens, 2);
}

#[tokio::test]
async fn tokens_end_by_themselves() {
    let simulator = start(SimulatorConfig { token_ttl: Duration::ZERO, ..quiet() }).await;
    let token = token(&simulator, "app").await;
    assert_eq!(code(&simulator, &token, GROUP, &to_group("cidG==", "x")).await, "InvalidAuthentication");
}

#[tokio::test]
async fn people_are_unknown_or_throttled_on_demand() {
    let simulator = real().await;
    let token = token(&simulator, "app").await;
    let place = Place::OpenApi;
    let unknown = Action::InvalidStaff { staff_ids: vec!["gone".into()] };
    simulator.add_fault(Fault::new(place, unknown).times(1)).unwrap();
    let body = to_people(&["alex", "gone"], "one");
    let answer = call(&simulator, &token, PEOPLE, &body).await.unwrap();
    assert_eq!((answer.status, &answer.json()["invalidStaffIdList"]), (200, &json!(["gone"])));

    simulator.add_fault(Fault::new(place, Action::FlowControlled { staff_ids: vec![] }).times(1)).unwrap();
    let answer = call(&simulator, &token, PEOPLE, &to_people(&["alex"], "two")).await.unwrap();
    assert_eq!(answer.json()["flowControlledStaffIdList"], json!(["alex"]));

    let seen: Vec<_> = replies(&simulator).iter().map(|r| (r.staff_id.clone().unwrap(), r.text())).collect();
    assert_eq!(seen, [("alex".into(), "one".to_owned())]);
    let records = simulator.records(1, usize::MAX).records;
    let refused = records.iter().filter_map(|record| match &record.what {
        Happening::Refused { staff_id: Some(staff_id), code, call: Some(call), .. } => {
            Some((&**staff_id, &**code, *call))
        }
        _ => None,
    });
    assert_eq!(
        refused.collect::<Vec<_>>(),
        [("gone", "invalidStaffIdList", 1), ("alex", "flowControlledStaffIdList", 2)]
    );
    assert_eq!(simulator.stats().outcomes_unknown, 0);
}

#[tokio::test]
async fn calls_are_limited_by_the_second_and_the_month() {
    let simulator = start(SimulatorConfig { speed: 0.000_1, api_per_second: Some(1), ..quiet() }).await;
    let token = token(&simulator, "app").await;
    let (group, people) = (to_group("cidG==", "x"), to_people(&["alex"], "x"));
    assert_eq!(code(&simulator, &token, GROUP, &group).await, "");
    assert_eq!(
        code(&simulator, &token, GROUP, &group).await,
        "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"
    );
    // Another API has its own count.
    assert_eq!(code(&simulator, &token, PEOPLE, &people).await, "");

    let limits = Limits { api_calls_per_month: Some(1), ..Limits::default() };
    simulator.set_limits(limits);
    assert_eq!(simulator.limits(), limits);
    assert_eq!(code(&simulator, &token, GROUP, &group).await, "");
    assert_eq!(code(&simulator, &token, PEOPLE, &people).await, "Forbidden.AccessDenied.ApiCountLimitForOrg");
    simulator.set_limits(Limits::default());
    assert_eq!(code(&simulator, &token, GROUP, &group).await, "");
    assert_eq!(simulator.stats().api_calls, 4);
}

#[tokio::test]
async fn messages_of_a_month_come_to_an_end() {
    let simulator = start(SimulatorConfig { messages_per_month: Some(2), ..quiet() }).await;
    let mut bot = Bot::connect(&simulator, "app").await;
    simulator.say(Say::private("cidA==", Person::default(), "one"));
    let frame = bot.frame().await;
    let hook = frame.webhook(&simulator);
    assert_eq!(frame.data()["text"]["content"], "one");
    let text = json!({"msgtype": "text", "text": {"content": "hi"}});
    assert_eq!(post(&simulator, &hook, &text).await.unwrap().json()["errcode"], 0);
    assert_eq!(post(&simulator, &hook, &text).await.unwrap().json()["errcode"], 90_030);
    simulator.say(Say::private("cidA==", Person::default(), "two"));
    let spent = bot.frame().await.data();
    assert_eq!((spent["errorCode"].as_i64(), spent.get("text")), (Some(20_001), None));

    simulator.set_limits(Limits::default());
    assert_eq!(post(&simulator, &hook, &text).await.unwrap().json()["errcode"], 0);
    assert_eq!(simulator.stats().replies, 2);
}
