//! Cards through the OpenAPI, as DingTalk sees them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use belfry_dingtalk::{Advice, CardTarget, NewCard, OpenApiErrorKind, StreamState};
use common::{answer, dingtalk};
use serde_json::json;

const TEMPLATE: &str = "382e4302-551d-4880-bf29-a30acfab2e71.schema";

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn card<'a>(data: &'a [(String, String)], target: CardTarget<'a>) -> NewCard<'a> {
    NewCard { template: TEMPLATE, out_track_id: "card-1", data, robot_code: "dingrobot", target }
}

fn delivered(success: bool) -> serde_json::Value {
    json!({"success": true, "result": {"outTrackId": "card-1", "deliverResults":
        [{"spaceType": "IM_GROUP", "success": success, "carrierId": "", "errorMsg": "the robot is not there"}]}})
}

#[tokio::test]
async fn a_card_goes_to_a_group_or_a_person() {
    let (http, api) = dingtalk(|_| answer(200, delivered(true))).await;
    let data = pairs(&[("content", "")]);
    api.create_card(&card(&data, CardTarget::Group("cid=="))).await.unwrap();
    let request = http.last();
    assert_eq!(request.line, "POST /v1.0/card/instances/createAndDeliver HTTP/1.1");
    assert_eq!(request.header("x-acs-dingtalk-access-token"), Some("token1"));
    assert_eq!(
        request.json(),
        json!({
            "cardTemplateId": TEMPLATE,
            "outTrackId": "card-1",
            "callbackType": "STREAM",
            "cardData": {"cardParamMap": {"content": ""}},
            "imGroupOpenSpaceModel": {"supportForward": true},
            "imGroupOpenDeliverModel": {"robotCode": "dingrobot"},
            "openSpaceId": "dtv1.card//IM_GROUP.cid==",
            "userIdType": 1,
        })
    );
    api.create_card(&card(&data, CardTarget::Person("kim"))).await.unwrap();
    let body = http.last().json();
    assert_eq!(body["openSpaceId"], "dtv1.card//IM_ROBOT.kim");
    assert_eq!(body["imRobotOpenDeliverModel"], json!({"spaceType": "IM_ROBOT", "robotCode": "dingrobot"}));
    assert_eq!((body.get("imGroupOpenDeliverModel"), api.calls()), (None, 2));
}

#[tokio::test]
async fn a_card_that_reaches_nobody_is_no_success() {
    let (_http, api) = dingtalk(|_| answer(200, delivered(false))).await;
    let error = api.create_card(&card(&[], CardTarget::Group("cid=="))).await.unwrap_err();
    assert_eq!((error.kind(), error.advice), (OpenApiErrorKind::NotDelivered, Advice::GiveUp));
    assert!(error.to_string().contains("the robot is not there"), "{error}");
    let (_http, api) = dingtalk(|_| answer(200, json!({"success": false}))).await;
    assert!(api.create_card(&card(&[], CardTarget::Group("cid=="))).await.is_err());
    let (_http, api) = dingtalk(|_| answer(200, json!({"success": true, "result": false}))).await;
    assert!(api.update_card("card-1", &[]).await.is_err());
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (code, kind) in [
        ("param.cardAlreadyExist", OpenApiErrorKind::CardExists),
        ("param.cardNotExist", OpenApiErrorKind::CardUnknown),
        ("param.templateNotExist", OpenApiErrorKind::TemplateUnknown),
        ("param.templateUnpublished", OpenApiErrorKind::TemplateUnpublished),
        ("param.stream.content", OpenApiErrorKind::TooLarge),
        ("param.contentUnsafe", OpenApiErrorKind::Other),
    ] {
        let (_http, api) = dingtalk(move |_| answer(400, json!({"code": code, "message": "x"}))).await;
        let error = api.create_card(&card(&[], CardTarget::Person("kim"))).await.unwrap_err();
        assert_eq!((error.kind(), error.advice), (kind, Advice::GiveUp), "{error}");
    }
    let (_http, api) = dingtalk(|_| answer(500, json!({"code": "system.busy"}))).await;
    let error = api.update_card("card-1", &[]).await.unwrap_err();
    assert_eq!((error.advice, error.outcome_unknown()), (Advice::Retry, true));
}

#[tokio::test]
async fn variables_change_by_key_and_texts_grow_as_a_whole() {
    let (http, api) = dingtalk(|_| answer(200, json!({"success": true, "result": true}))).await;
    api.update_card("card-1", &pairs(&[("state", "done")])).await.unwrap();
    assert_eq!(http.last().line, "PUT /v1.0/card/instances HTTP/1.1");
    assert_eq!(
        http.last().json(),
        json!({"outTrackId": "card-1", "cardData": {"cardParamMap": {"state": "done"}},
            "cardUpdateOptions": {"updateCardDataByKey": true}})
    );
    let mut guids = Vec::new();
    for (state, finalize, error) in [
        (StreamState::Growing, false, false),
        (StreamState::Finished, true, false),
        (StreamState::Failed, false, true),
    ] {
        api.stream_card("card-1", "content", "# so far", state).await.unwrap();
        assert_eq!(http.last().line, "PUT /v1.0/card/streaming HTTP/1.1");
        let mut body = http.last().json();
        guids.push(body["guid"].take().as_str().unwrap().to_owned());
        assert_eq!(
            body,
            json!({"outTrackId": "card-1", "guid": null, "key": "content", "content": "# so far",
                "isFull": true, "isFinalize": finalize, "isError": error})
        );
    }
    guids.dedup();
    assert_eq!(guids.len(), 3, "each call has its own");
}
