//! Messages through the OpenAPI, as DingTalk sees them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use belfry_dingtalk::{
    Advice, AppConfig, MAX_PARAM_BYTES, MAX_PEOPLE, OpenApi, OpenMessage, OutMessage, RateLimit,
};
use common::{HttpServer, SECRET, answer, dingtalk, transport};
use serde_json::json;

fn hello() -> OpenMessage {
    OpenMessage::of(&OutMessage::text("hello")).unwrap()
}

fn paths(http: &HttpServer) -> Vec<String> {
    let requests = http.requests.lock().unwrap();
    requests.iter().map(|request| request.line.split(' ').nth(1).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn people_and_groups_get_it_with_one_token() {
    let (http, api) = dingtalk(|request| {
        if request.line.contains("oToMessages") {
            return answer(
                200,
                json!({"processQueryKey": "k1", "invalidStaffIdList": ["lee"],
                "flowControlledStaffIdList": ["sam"]}),
            );
        }
        answer(200, json!({"processQueryKey": "k2"}))
    })
    .await;
    let people = ["kim", "lee", "sam"].map(str::to_owned);
    let sent = api.send_to_people("dingrobot", &people, &hello()).await.unwrap();
    assert_eq!(sent.process_query_key.as_deref(), Some("k1"));
    assert!(sent.reached("kim").is_ok());
    assert_eq!(sent.reached("lee").unwrap_err().advice, Advice::GiveUp);
    assert!(matches!(sent.reached("sam").unwrap_err().advice, Advice::Wait(_)));
    let request = http.last();
    assert_eq!(request.header("x-acs-dingtalk-access-token"), Some("token1"));
    assert_eq!(
        request.json(),
        json!({"robotCode": "dingrobot", "userIds": people, "msgKey": "sampleText", "msgParam": "{\"content\":\"hello\"}"})
    );

    assert_eq!(api.send_to_group("dingrobot", "cid==", &hello()).await.unwrap().as_deref(), Some("k2"));
    assert_eq!(http.last().json()["openConversationId"], "cid==");
    assert_eq!(
        paths(&http),
        ["/v1.0/oauth2/accessToken", "/v1.0/robot/oToMessages/batchSend", "/v1.0/robot/groupMessages/send"]
    );
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_once() {
    let (http, api) = dingtalk(|request| match request.header("x-acs-dingtalk-access-token") {
        Some("token1") => answer(401, json!({"code": "InvalidAuthentication", "message": "expired"})),
        _ => answer(200, json!({})),
    })
    .await;
    api.send_to_group("r", "c", &hello()).await.unwrap();
    assert_eq!(paths(&http).len(), 4, "token, call, token, call");

    let (http, api) = dingtalk(|_| answer(401, json!({"code": "InvalidAuthentication"}))).await;
    let error = api.send_to_group("r", "c", &hello()).await.unwrap_err();
    assert_eq!(error.advice, Advice::Wait(Duration::from_secs(60)));
    assert_eq!(paths(&http).len(), 4, "it is not asked for ever");
}

#[tokio::test]
async fn many_at_once_fetch_one_token() {
    let (http, api) = dingtalk(|_| answer(200, json!({}))).await;
    let message = hello();
    let sent = futures_util::future::join_all((0..20).map(|_| api.send_to_group("r", "c", &message))).await;
    assert!(sent.into_iter().all(|sent| sent.is_ok()));
    assert_eq!(paths(&http).iter().filter(|path| path.contains("accessToken")).count(), 1);
}

#[tokio::test]
async fn calls_over_the_limit_wait_for_their_turn() {
    let (http, api) = dingtalk(|_| answer(200, json!({}))).await;
    let api = api.with_rate_limit(RateLimit { most: 2, within: Duration::from_secs(3_600) });
    let message = hello();
    for _ in 0..2 {
        api.send_to_group("r", "c", &message).await.unwrap();
    }
    let third = api.send_to_group("r", "c", &message);
    assert!(tokio::time::timeout(Duration::from_millis(50), third).await.is_err(), "it waits");
    api.send_to_people("r", &["kim".to_owned()], &message).await.unwrap();
    assert_eq!((paths(&http).len(), api.calls()), (4, 3), "the other path has a limit of its own");
}

#[tokio::test]
async fn refusals_say_what_to_do_and_show_no_secret() {
    let quota = json!({"code": "Forbidden.AccessDenied.ApiCountLimitForOrg", "message": "used up"});
    let (_http, api) = dingtalk(move |_| answer(403, &quota)).await;
    let error = api.send_to_group("r", "c", &hello()).await.unwrap_err();
    assert!(error.is_quota() && error.advice == Advice::GiveUp, "{error:?}");
    for shown in [format!("{error:?}"), error.to_string(), format!("{api:?}")] {
        assert!(!shown.contains(SECRET) && !shown.contains("token1"), "{shown}");
    }

    let http = HttpServer::start(None, |_| answer(400, json!({"code": "invalidClientIdOrSecret"}))).await;
    let mut app = AppConfig::new("dingtest", SECRET.to_owned());
    app.api_base = http.url();
    let error = OpenApi::new(&transport(), &app).send_to_group("r", "c", &hello()).await.unwrap_err();
    assert!(
        matches!(error.advice, Advice::Wait(_)),
        "an operator can mend it while the message waits: {error:?}"
    );
}

#[test]
fn long_messages_are_split_to_what_the_openapi_takes() {
    let text = "A line of the report, \"quoted\".\n".repeat(2_000);
    let parts = OutMessage::markdown("report", text.clone()).split_within(MAX_PARAM_BYTES);
    assert!(parts.len() > 3);
    for part in &parts {
        assert!(OpenMessage::of(part).unwrap().param().len() <= MAX_PARAM_BYTES);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_dingtalks_is_no_success() {
    for (body, advice, unknown) in [
        (
            r#"{"status":1111,"wait":5,"source":"x5","punish":"deny"}"#,
            Advice::Wait(Duration::from_secs(5)),
            false,
        ),
        (r#"{"code":"system.busy","message":"x"}"#, Advice::Retry, true),
        ("<html>portal</html>", Advice::Retry, true),
        ("", Advice::Retry, true),
    ] {
        let (_http, api) = dingtalk(move |_| answer(200, body)).await;
        let error = api.send_to_group("r", "c", &hello()).await.unwrap_err();
        assert_eq!((error.advice, error.outcome_unknown()), (advice, unknown), "{body}: {error}");
    }
}

#[tokio::test]
async fn after_too_fast_further_calls_do_not_even_leave() {
    let (http, api) = dingtalk(|_| answer(400, json!({"code": "send.too.fast", "message": "x"}))).await;
    let first = api.send_to_group("r", "c", &hello()).await.unwrap_err();
    assert!(first.is_too_fast() && !first.outcome_unknown(), "{first:?}");
    let second = api.send_to_group("r", "c", &hello()).await.unwrap_err();
    assert!(matches!(second.advice, Advice::Wait(left) if left <= Duration::from_secs(60)), "{second:?}");
    assert_eq!(api.calls(), 1);
    // The other path goes on, unless the whole address is banned.
    http.answer_with(|_| answer(200, json!({"status": 1111, "wait": 100, "punish": "deny"})));
    let kim = ["kim".to_owned()];
    api.send_to_people("r", &kim, &hello()).await.unwrap_err();
    assert_eq!(api.calls(), 2);
}

#[tokio::test]
async fn a_ban_holds_back_both_paths() {
    let (_http, api) =
        dingtalk(|_| answer(200, "<html>{\"status\":1111,\"wait\":100,\"punish\":\"deny\"}</html>")).await;
    api.send_to_group("r", "c", &hello()).await.unwrap_err();
    let error = api.send_to_people("r", &["kim".to_owned()], &hello()).await.unwrap_err();
    assert!(matches!(error.advice, Advice::Wait(left) if left > Duration::from_secs(60)), "{error:?}");
    assert_eq!(api.calls(), 1);
}

#[tokio::test]
async fn what_would_be_refused_for_certain_costs_no_call() {
    let (http, api) = dingtalk(|_| answer(200, json!({}))).await;
    let long = OpenMessage::of(&OutMessage::text("x".repeat(MAX_PARAM_BYTES))).unwrap();
    let people = |count| vec!["kim".to_owned(); count];
    for error in [
        api.send_to_people("r", &[], &hello()).await.unwrap_err(),
        api.send_to_people("r", &people(MAX_PEOPLE + 1), &hello()).await.unwrap_err(),
        api.send_to_people("r", &people(1), &long).await.unwrap_err(),
        api.send_to_group("r", "c", &long).await.unwrap_err(),
    ] {
        assert_eq!((error.advice, error.outcome_unknown()), (Advice::GiveUp, false), "{error}");
    }
    assert_eq!(http.count(), 0);
}

#[tokio::test]
async fn the_outcome_is_unknown_only_once_the_message_has_left() {
    // No token: nothing of the message can have left.
    let http = HttpServer::start(None, |_| answer(500, "")).await;
    let mut app = AppConfig::new("dingtest", SECRET.to_owned());
    app.api_base = http.url();
    let error = OpenApi::new(&transport(), &app).send_to_group("r", "c", &hello()).await.unwrap_err();
    assert_eq!((error.advice, error.outcome_unknown()), (Advice::Retry, false));
    // A 500 after the message was read.
    let (_http, api) = dingtalk(|_| answer(500, "")).await;
    let error = api.send_to_group("r", "c", &hello()).await.unwrap_err();
    assert_eq!((error.advice, error.outcome_unknown()), (Advice::Retry, true));
}
