//! Files, and messages that are taken back.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "this is a test, which clippy knows of functions marked as one only"
)]

mod support;

use std::time::Duration;

use belfry_simulator::{Content, Fault, Happening, Person, Place, Say, Simulator, SimulatorConfig};
use serde_json::{Value, json};
use support::*;

const DOWNLOAD: &str = "/v1.0/robot/messageFiles/download";

async fn locate(simulator: &Simulator, token: &str, code: &str) -> Http {
    call(simulator, token, DOWNLOAD, &json!({"downloadCode": code, "robotCode": "app"})).await.unwrap()
}

async fn fetch(simulator: &Simulator, answer: &Http) -> Http {
    let url = answer.json()["downloadUrl"].as_str().unwrap().to_owned();
    let path = url.strip_prefix(simulator.base_url()).unwrap();
    request(simulator, "GET", path, "", "").await.unwrap()
}

fn send_file(simulator: &Simulator, code: &str) {
    let content = Content::File { download_code: code.into(), file_name: "a.txt".into() };
    simulator.say(Say::private("cidA==", Person::default(), "").to("app").content(content));
}

#[tokio::test]
async fn a_file_is_there_for_the_robot_that_got_it() {
    let simulator = real().await;
    let token = token(&simulator, "app").await;
    let refused = locate(&simulator, &token, "code1").await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (400, &json!("invalidParameter.robotCode.downloadCode"))
    );
    send_file(&simulator, "code1");
    let file = fetch(&simulator, &locate(&simulator, &token, "code1").await).await;
    assert_eq!((file.status, file.body.is_empty()), (200, false));
    simulator.put_file("code1", "the content");
    assert_eq!(fetch(&simulator, &locate(&simulator, &token, "code1").await).await.body, "the content");
    let other = support::token(&simulator, "other").await;
    let body = json!({"downloadCode": "code1", "robotCode": "other"});
    assert_eq!(call(&simulator, &other, DOWNLOAD, &body).await.unwrap().status, 400);
    assert_eq!(request(&simulator, "GET", "/files/file?Signature=guess", "", "").await.unwrap().status, 403);
    simulator.add_fault(Fault::status(Place::File, 503, "").times(1)).unwrap();
    assert_eq!(fetch(&simulator, &locate(&simulator, &token, "code1").await).await.status, 503);
}

#[tokio::test]
async fn an_address_is_good_for_an_hour() {
    // An hour is a millisecond here.
    let simulator =
        start(SimulatorConfig { speed: 3.6e6, token_ttl: Duration::from_secs(1 << 40), ..quiet() }).await;
    let token = token(&simulator, "app").await;
    send_file(&simulator, "code1");
    let answer = locate(&simulator, &token, "code1").await;
    let patience = std::time::Instant::now() + PATIENCE;
    while fetch(&simulator, &answer).await.status != 403 {
        assert!(std::time::Instant::now() < patience);
    }
}

async fn upload(simulator: &Simulator, token: &str, kind: &str, content: &str) -> Value {
    let body = format!(
        "--B\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\n{kind}\r\n--B\r\n\
         Content-Disposition: form-data; name=\"media\"; filename=\"a.png\"\r\n\r\n{content}\r\n--B--\r\n"
    );
    let path = format!("/media/upload?access_token={token}");
    http(simulator, "POST", &path, "multipart/form-data; boundary=B", &body).await.unwrap().json()
}

#[tokio::test]
async fn uploads_are_kept_and_judged() {
    let simulator = real().await;
    let token = token(&simulator, "app").await;
    let answer = upload(&simulator, &token, "image", "PNG").await;
    assert_eq!((&answer["errcode"], &answer["type"]), (&json!(0), &json!("image")));
    let (upload_of, content) = simulator.upload(answer["media_id"].as_str().unwrap()).unwrap();
    assert_eq!((&*upload_of.name, &*upload_of.media_type, upload_of.bytes), ("a.png", "image", 3));
    assert_eq!(content, "PNG");
    for (errcode, token, kind, content) in [
        (40_014, "guess", "image", "x".to_owned()),
        (40_004, token.as_str(), "hologram", "x".to_owned()),
        (40_006, token.as_str(), "image", String::new()),
        (40_006, token.as_str(), "voice", "x".repeat((2 << 20) + 1)),
    ] {
        assert_eq!(upload(&simulator, token, kind, &content).await["errcode"], errcode, "{kind}");
    }
    let path = format!("/media/upload?access_token={token}&type=image");
    assert_eq!(http(&simulator, "POST", &path, "text/plain", "x").await.unwrap().json()["errcode"], 40_035);
}

#[tokio::test]
async fn messages_are_taken_back_once() {
    let simulator = real().await;
    let token = token(&simulator, "app").await;
    let answer = call(&simulator, &token, GROUP, &to_group("cidG==", "oops")).await.unwrap().json();
    let key = answer["processQueryKey"].as_str().unwrap();
    assert_eq!(
        simulator.wait_for_reply(1, "cidG==", "oops", PATIENCE).await.unwrap().key.as_deref(),
        Some(key)
    );
    let recall =
        json!({"openConversationId": "cidG==", "robotCode": "app", "processQueryKeys": [key, "guess"]});
    let path = "/v1.0/robot/groupMessages/recall";
    let elsewhere = json!({"robotCode": "app", "processQueryKeys": [key]});
    let people = "/v1.0/robot/otoMessages/batchRecall";
    let answer = call(&simulator, &token, people, &elsewhere).await.unwrap().json();
    assert_eq!(answer["successResult"], json!([]), "it is no message to people");
    let answer = call(&simulator, &token, path, &recall).await.unwrap().json();
    assert_eq!(answer["successResult"], json!([key]));
    assert_eq!(answer["failedResult"], json!({"guess": "robot.processQueryKey.notExist"}));
    let again = call(&simulator, &token, path, &recall).await.unwrap().json();
    assert_eq!(again["failedResult"].as_object().unwrap().len(), 2);
    let recalled =
        |what: &Happening| matches!(what, Happening::Recalled { keys, .. } if keys == &[key]).then_some(());
    simulator.wait_for(1, PATIENCE, recalled).await.unwrap();
}
