//! Cards: made, changed, streamed into and pressed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "this is a test, which clippy knows of functions marked as one only"
)]

mod support;

use belfry_simulator::{Action, CardChange, CardSpace, Fault, Flow, Place, Press, Push, Simulator};
use serde_json::{Value, json};
use support::*;

const CREATE: &str = "/v1.0/card/instances/createAndDeliver";
const UPDATE: &str = "/v1.0/card/instances";
const STREAM: &str = "/v1.0/card/streaming";

fn new_card(id: &str) -> Value {
    json!({
        "cardTemplateId": "t.schema",
        "outTrackId": id,
        "callbackType": "STREAM",
        "cardData": {"cardParamMap": {"content": "", "title": "hi"}},
        "imGroupOpenSpaceModel": {"supportForward": true},
        "imGroupOpenDeliverModel": {"robotCode": "app"},
        "openSpaceId": "dtv1.card//IM_GROUP.cidG==",
        "userIdType": 1,
    })
}

fn text(id: &str, content: &str) -> Value {
    json!({"outTrackId": id, "guid": "g", "key": "content", "content": content, "isFull": true,
        "isFinalize": false, "isError": false})
}

async fn put(simulator: &Simulator, token: &str, path: &str, body: &Value) -> Http {
    let headers = format!("Content-Type: application/json\r\nx-acs-dingtalk-access-token: {token}\r\n");
    request(simulator, "PUT", path, &headers, &body.to_string()).await.unwrap()
}

fn code(answer: &Http) -> String {
    answer.json()["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_card_is_made_and_a_text_grows_in_it() {
    let simulator = real().await;
    let token = token(&simulator, "app").await;
    let answer = call(&simulator, &token, CREATE, &new_card("c1")).await.unwrap().json();
    let result = &answer["result"]["deliverResults"][0];
    assert_eq!((&answer["success"], &result["success"]), (&json!(true), &json!(true)), "{answer}");
    assert_eq!(simulator.card("c1").unwrap().flow, Flow::Processing);
    for (content, finalize) in [("# so", false), ("# so far", true)] {
        let mut body = text("c1", content);
        body["isFinalize"] = json!(finalize);
        let answer = put(&simulator, &token, STREAM, &body).await;
        assert_eq!((answer.status, &answer.json()["result"]), (200, &json!(true)));
    }
    let card = simulator.wait_for_card(PATIENCE, |card| card.flow == Flow::Finished).await.unwrap();
    assert_eq!(
        (&*card.data["content"], &*card.data["title"], &*card.template),
        ("# so far", "hi", "t.schema")
    );
    assert_eq!(card.spaces, [CardSpace::Group { conversation: "cidG==".to_owned() }]);
    let history = simulator.card_history("c1");
    assert_eq!(history.len(), 3);
    assert!(
        matches!(&history[1].step, CardChange::Streamed { content, flow: Flow::Inputting, .. } if content == "# so")
    );
    assert_eq!(simulator.stats().api_calls, 3);
}

#[tokio::test]
async fn an_update_overwrites_unless_it_goes_by_key() {
    let simulator = real().await;
    let token = token(&simulator, "app").await;
    call(&simulator, &token, CREATE, &new_card("c1")).await.unwrap();
    let mut body = json!({"outTrackId": "c1", "cardData": {"cardParamMap": {"title": "new"}},
        "cardUpdateOptions": {"updateCardDataByKey": true}});
    assert_eq!(put(&simulator, &token, UPDATE, &body).await.status, 200);
    assert_eq!(simulator.card("c1").unwrap().data.len(), 2);
    body.as_object_mut().unwrap().remove("cardUpdateOptions");
    put(&simulator, &token, UPDATE, &body).await;
    assert_eq!(simulator.card("c1").unwrap().data, [("title".to_owned(), "new".to_owned())].into());
}

#[tokio::test]
async fn calls_for_cards_are_judged() {
    let simulator = real().await;
    let token = token(&simulator, "app").await;
    call(&simulator, &token, CREATE, &new_card("c1")).await.unwrap();
    let mut cases = vec![("param.cardAlreadyExist", new_card("c1"))];
    for (code, path, value) in [
        ("param.templateNotExist", "cardTemplateId", json!("")),
        ("param.outTrackIdEmpty", "outTrackId", json!("")),
        ("param.openSpaceIdInvalid", "openSpaceId", json!("cidG==")),
        ("param.openDeliverModelEmpty", "openSpaceId", json!("dtv1.card//IM_ROBOT.kim")),
        ("param.cardDataInvalid", "cardData", json!({"cardParamMap": {"n": 1}})),
    ] {
        let mut body = new_card("c2");
        body[path] = value;
        cases.push((code, body));
    }
    for (expected, body) in cases {
        assert_eq!(code(&call(&simulator, &token, CREATE, &body).await.unwrap()), expected);
    }
    for (expected, field, value) in [
        ("param.cardNotExist", "outTrackId", json!("c9")),
        ("param.stream.guidEmpty", "guid", json!("")),
        ("param.stream.keyEmpty", "key", json!("")),
        ("param.stream.contentEmpty", "content", json!("")),
        ("param.stream.isFull", "isFull", json!("yes")),
    ] {
        let mut body = text("c1", "x");
        body[field] = value;
        assert_eq!(code(&put(&simulator, &token, STREAM, &body).await), expected);
    }
    let long = text("c1", &"x".repeat((1 << 20) + 1));
    assert_eq!(code(&put(&simulator, &token, STREAM, &long).await), "param.stream.content");
    let other = support::token(&simulator, "other").await;
    assert_eq!(code(&put(&simulator, &other, STREAM, &text("c1", "x")).await), "param.cardNotExist");
    assert_eq!(code(&put(&simulator, "guess", STREAM, &text("c1", "x")).await), "InvalidAuthentication");
    assert_eq!(simulator.card_history("c1").len(), 1, "what is refused changes nothing");
}

#[tokio::test]
async fn cards_fail_on_demand() {
    let simulator = real().await;
    let token = token(&simulator, "app").await;
    simulator.add_fault(Fault::template_unknown().times(1)).unwrap();
    let answer = call(&simulator, &token, CREATE, &new_card("c1")).await.unwrap();
    assert_eq!((answer.status, code(&answer).as_str()), (400, "param.templateNotExist"));
    let gone = Action::Undelivered { reason: "no robot there".into() };
    simulator.add_fault(Fault::new(Place::Card, gone).times(1)).unwrap();
    let answer = call(&simulator, &token, CREATE, &new_card("c1")).await.unwrap();
    let result = &answer.json()["result"]["deliverResults"][0];
    assert_eq!((&result["success"], &result["errorMsg"]), (&json!(false), &json!("no robot there")));
    assert_eq!(simulator.card("c1").unwrap().spaces, []);
    simulator.add_fault(Fault::retry_after(Place::Card, 7).times(1)).unwrap();
    let answer = put(&simulator, &token, STREAM, &text("c1", "x")).await;
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (429, "7"));
    // What goes to people meets none of them.
    simulator.add_fault(Fault::too_many_calls(Place::Card)).unwrap();
    assert_eq!(call(&simulator, &token, GROUP, &to_group("cidG==", "x")).await.unwrap().status, 200);
    assert_eq!(put(&simulator, &token, STREAM, &text("c1", "x")).await.status, 403);
}

#[tokio::test]
async fn a_press_reaches_the_bot_and_its_answer_the_card() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let token = token(&simulator, "app").await;
    assert!(simulator.press(Press::new("c1", "ok")).is_err());
    call(&simulator, &token, CREATE, &new_card("c1")).await.unwrap();
    let since = simulator.now();
    let press = Press::new("c1", "approve").by("kim").params(json!({"form": {"note": "fine"}}));
    let pushed = simulator.press(press).unwrap();
    let frame = bot.frame().await;
    let data = frame.data();
    assert_eq!(
        (&data["outTrackId"], &data["userId"], &data["spaceId"]),
        (&json!("c1"), &json!("kim"), &json!("cidG=="))
    );
    let content: Value = serde_json::from_str(data["content"].as_str().unwrap()).unwrap();
    assert_eq!(
        content["cardPrivateData"],
        json!({"actionIds": ["approve"], "params": {"form": {"note": "fine"}}})
    );
    let answer = json!({"response": {
        "cardUpdateOptions": {"updateCardDataByKey": true, "updatePrivateDataByKey": true},
        "cardData": {"cardParamMap": {"state": "approved"}},
        "userPrivateData": {"cardParamMap": {"button": "off"}},
    }});
    bot.ack(&frame, 200, &answer.to_string()).await;
    simulator.wait_for_ack(since, pushed.push, PATIENCE).await.unwrap();
    let card = simulator.wait_for_card(PATIENCE, |card| card.data.contains_key("state")).await.unwrap();
    assert_eq!((&*card.data["state"], &*card.data["title"]), ("approved", "hi"));
    assert_eq!(card.private_data["kim"]["button"], "off");
    assert!(
        matches!(&simulator.card_history("c1")[1].step, CardChange::Answered { user, .. } if user == "kim")
    );

    // A card that was not made for it tells nobody.
    let mut deaf = new_card("c2");
    deaf.as_object_mut().unwrap().remove("callbackType");
    call(&simulator, &token, CREATE, &deaf).await.unwrap();
    assert!(simulator.press(Press::new("c2", "ok")).unwrap_err().contains("callbackType"));
}

#[tokio::test]
async fn other_processes_press_and_see_cards() {
    let simulator = real().await;
    let mut bot = Bot::connect(&simulator, "app").await;
    let token = token(&simulator, "app").await;
    call(&simulator, &token, CREATE, &new_card("c1")).await.unwrap();
    let cards = http(&simulator, "GET", "/_simulator/cards", "", "").await.unwrap().json();
    assert_eq!((&cards[0]["outTrackId"], &cards[0]["flow"]), (&json!("c1"), &json!("processing")));
    let press = json!({"outTrackId": "c1", "actions": ["ok"]});
    assert_eq!(post(&simulator, "/_simulator/press", &press).await.unwrap().status, 200);
    assert_eq!(bot.frame().await.data()["outTrackId"], "c1");
    let unknown = json!({"outTrackId": "c9", "actions": ["ok"]});
    assert_eq!(post(&simulator, "/_simulator/press", &unknown).await.unwrap().status, 400);
    let event = json!({"eventType": "user_add_org", "data": {"userId": ["kim"]}});
    assert_eq!(post(&simulator, "/_simulator/event", &event).await.unwrap().status, 200);
    let frame = bot.frame().await;
    assert_eq!((frame.header("eventType"), &frame.data()["userId"]), ("user_add_org", &json!(["kim"])));
    simulator.push(Push::graph("POST", "/v1/actions/run", &json!({"q": 1})));
    assert_eq!(bot.frame().await.data()["requestLine"]["uri"], "/v1/actions/run");
}
