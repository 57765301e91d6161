//! Files and recalls through the OpenAPI, as DingTalk sees them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use belfry_dingtalk::{Advice, MAX_RECALL, MediaKind, OpenApiErrorKind};
use bytes::Bytes;
use common::{Answer, HttpServer, answer, dingtalk};
use serde_json::json;

/// A server of files, which answers as `files` says.
async fn storage(files: impl FnMut(&common::Request) -> Answer + Send + 'static) -> HttpServer {
    HttpServer::start(None, files).await
}

fn redirect(to: impl ToString) -> Answer {
    (302, vec![("Location", to.to_string())], String::new())
}

#[tokio::test]
async fn a_file_is_fetched_without_the_token() {
    let storage = storage(|request| match request.line.split(' ').nth(1) {
        Some("/file?Signature=hunter2") => redirect("/elsewhere?Signature=hunter2"),
        Some("/elsewhere?Signature=hunter2") => answer(200, "the content"),
        _ => answer(404, ""),
    })
    .await;
    let url = format!("{}file?Signature=hunter2", storage.url());
    let (http, api) = dingtalk(move |_| answer(200, json!({"downloadUrl": url}))).await;
    assert_eq!(api.download("dingrobot", "code", 11).await.unwrap(), "the content");
    assert_eq!(http.last().line, "POST /v1.0/robot/messageFiles/download HTTP/1.1");
    assert_eq!(http.last().json(), json!({"downloadCode": "code", "robotCode": "dingrobot"}));
    assert!(storage.last().headers.iter().all(|(_, value)| !value.contains("token1")));
    assert_eq!((storage.count(), api.calls()), (2, 1), "only DingTalk's own calls count");

    let error = api.download("dingrobot", "code", 10).await.unwrap_err();
    assert_eq!((error.kind(), error.advice), (OpenApiErrorKind::TooLarge, Advice::GiveUp));
}

#[tokio::test]
async fn no_error_shows_the_address_of_a_file() {
    let elsewhere = storage(|_| answer(200, "internal")).await;
    let other = format!("http://localhost:{}/", elsewhere.port);
    for (files, advice) in [
        (answer(403, "<Signature>hunter2</Signature>"), Advice::GiveUp),
        (answer(503, "hunter2"), Advice::Retry),
        (redirect("/file?Signature=hunter2"), Advice::GiveUp),
        (redirect("file:///etc/passwd"), Advice::GiveUp),
        (redirect(&other), Advice::GiveUp),
        ((302, Vec::new(), String::new()), Advice::GiveUp),
    ] {
        let storage = storage(move |_| files.clone()).await;
        let url = format!("{}file?Signature=hunter2", storage.url());
        let (_http, api) = dingtalk(move |_| answer(200, json!({"downloadUrl": url}))).await;
        let error = api.download("dingrobot", "code", 100).await.unwrap_err();
        assert_eq!((error.advice, error.outcome_unknown()), (advice, false), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert!(storage.count() <= 4, "redirects are bounded");
    }
    assert_eq!(elsewhere.count(), 0, "plain http leads to no other host");
    // Nobody listens there.
    let gone = "http://127.0.0.1:1/file?Signature=hunter2";
    let (_http, api) = dingtalk(move |_| answer(200, json!({"downloadUrl": gone}))).await;
    let error = api.download("dingrobot", "code", 100).await.unwrap_err();
    assert!(error.advice == Advice::Retry && !format!("{error:?}").contains("hunter2"), "{error:?}");
    for url in [json!("file:///etc/passwd"), json!("x"), json!(null)] {
        let (_http, api) = dingtalk(move |_| answer(200, json!({"downloadUrl": url}))).await;
        assert_eq!(api.download("r", "code", 100).await.unwrap_err().advice, Advice::GiveUp);
    }
}

#[tokio::test]
async fn a_file_without_a_length_is_cut_off_at_the_limit() {
    let storage = storage(|_| {
        let chunk = format!("{:x}\r\n{}\r\n", 1_000, "x".repeat(1_000)).repeat(50);
        // It never comes to its end.
        (200, vec![("Transfer-Encoding", "chunked".to_owned())], chunk)
    })
    .await;
    let url = storage.url().to_string();
    let (_http, api) = dingtalk(move |_| answer(200, json!({"downloadUrl": url}))).await;
    let error = api.download("dingrobot", "code", 10_000).await.unwrap_err();
    assert_eq!(error.kind(), OpenApiErrorKind::TooLarge, "{error}");
}

#[tokio::test]
async fn a_code_that_is_not_good_is_told() {
    let refusal = json!({"code": "invalidParameter.robotCode.downloadCode", "message": "x"});
    let (_http, api) = dingtalk(move |_| answer(400, &refusal)).await;
    let error = api.download("dingrobot", "code", 100).await.unwrap_err();
    assert_eq!((error.kind(), error.advice), (OpenApiErrorKind::CodeUnknown, Advice::GiveUp));
}

#[tokio::test]
async fn a_file_is_uploaded_as_a_form() {
    let (http, api) =
        dingtalk(|_| answer(200, json!({"errcode": 0, "errmsg": "ok", "media_id": "@lAL"}))).await;
    let data = Bytes::from_static(b"PNG data");
    let name = "a \"cat\"\r\n.png";
    assert_eq!(api.upload(MediaKind::Image, name, data).await.unwrap(), "@lAL");
    let request = http.last();
    assert_eq!(request.line, "POST /media/upload?access_token=token1&type=image HTTP/1.1");
    assert_eq!(request.header("x-acs-dingtalk-access-token"), None);
    let boundary =
        request.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    assert_eq!(
        request.body,
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nimage\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a %22cat%22%0D%0A.png\"\r\n\
             Content-Type: application/octet-stream\r\n\r\nPNG data\r\n--{boundary}--\r\n"
        )
    );
    assert_eq!(api.calls(), 1);
}

#[tokio::test]
async fn uploads_that_fail_show_no_token() {
    for (reply, advice) in [
        (answer(200, json!({"errcode": 40004, "errmsg": "invalid media type"})), Advice::GiveUp),
        (answer(200, json!({"errcode": -1, "errmsg": "busy"})), Advice::Retry),
        (answer(502, "<html>no way to /media/upload?access_token=token1&type=file</html>"), Advice::Retry),
        (answer(200, json!({"errcode": 0})), Advice::GiveUp),
    ] {
        let (_http, api) = dingtalk(move |_| reply.clone()).await;
        let data = Bytes::from_static(b"x");
        let error = api.upload(MediaKind::File, "a.pdf", data).await.unwrap_err();
        assert_eq!(error.advice, advice, "{error}");
        assert!(!format!("{error:?} {error}").contains("token1"), "{error:?}");
    }
    let (http, api) = dingtalk(|_| answer(200, json!({}))).await;
    let large = Bytes::from(vec![0; MediaKind::Voice.max_bytes() + 1]);
    let error = api.upload(MediaKind::Voice, "a.amr", large).await.unwrap_err();
    assert_eq!((error.kind(), http.count()), (OpenApiErrorKind::TooLarge, 0));
    assert!(api.upload(MediaKind::Voice, "a.amr", Bytes::new()).await.is_err());
}

#[tokio::test]
async fn an_upload_fetches_a_refused_token_anew() {
    let (http, api) = dingtalk(|request| match request.line.contains("access_token=token1&") {
        true => answer(200, json!({"errcode": 40014, "errmsg": "invalid access_token"})),
        false => answer(200, json!({"errcode": 0, "media_id": "@x"})),
    })
    .await;
    assert_eq!(api.upload(MediaKind::File, "a.pdf", Bytes::from_static(b"x")).await.unwrap(), "@x");
    assert_eq!(http.count(), 4, "token, call, token, call");
}

#[tokio::test]
async fn messages_are_taken_back_by_their_keys() {
    let (http, api) = dingtalk(|_| {
        let failed = json!({"k2": "robot.processQueryKey.expired"});
        answer(200, json!({"successResult": ["k1"], "failedResult": failed}))
    })
    .await;
    let keys = ["k1", "k2"].map(str::to_owned);
    let recalled = api.recall_from_people("dingrobot", &keys).await.unwrap();
    assert!(recalled.took_back("k1").is_ok());
    assert_eq!(recalled.took_back("k2").unwrap_err().kind(), OpenApiErrorKind::TooLate);
    assert_eq!(recalled.took_back("k3").unwrap_err().advice, Advice::GiveUp);
    assert_eq!(http.last().line, "POST /v1.0/robot/otoMessages/batchRecall HTTP/1.1");
    assert_eq!(http.last().json(), json!({"robotCode": "dingrobot", "processQueryKeys": keys}));

    api.recall_from_group("dingrobot", "cid==", &keys).await.unwrap();
    assert_eq!(http.last().line, "POST /v1.0/robot/groupMessages/recall HTTP/1.1");
    assert_eq!(
        http.last().json(),
        json!({"openConversationId": "cid==", "robotCode": "dingrobot", "processQueryKeys": keys})
    );
    let calls = api.calls();
    let many = vec!["k".to_owned(); MAX_RECALL + 1];
    assert!(api.recall_from_people("r", &many).await.is_err() && api.calls() == calls);
}
