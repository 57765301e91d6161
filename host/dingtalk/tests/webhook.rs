//! Replies through the session webhook, as DingTalk sees them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use belfry_dingtalk::{
    Advice, AppConfig, OutMessage, SendError, SendOptions, SessionWebhook, WebhookClient, WebhookPolicy,
};
use common::{Answer, HttpServer, answer, transport};
use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpListener};

struct Replies {
    http: HttpServer,
    client: WebhookClient,
    webhook: SessionWebhook,
}

impl Replies {
    async fn start() -> Self {
        let http = HttpServer::start(None, |_| answer(200, json!({"errcode": 0, "errmsg": "ok"}))).await;
        let mut app = AppConfig::new("dingtest", "s".to_owned());
        app.api_base = http.url();
        let client = WebhookClient::new(&transport(), WebhookPolicy::for_app(&app));
        let webhook = SessionWebhook::new(format!("{}robot/sendBySession?session=hunter2", http.url()), None);
        Self { http, client, webhook }
    }

    async fn send(&self, options: SendOptions<'_>) -> Result<(), SendError> {
        let sent = self.client.send(&self.webhook, &OutMessage::text("hello"), options).await;
        if let Err(error) = &sent {
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
        }
        sent
    }

    async fn answered(&self, answer: Answer) -> Result<(), SendError> {
        self.http.answer_with(move |_| answer.clone());
        self.send(SendOptions::default()).await
    }
}

#[tokio::test]
async fn a_reply_goes_out_without_a_token() {
    let replies = Replies::start().await;
    replies.send(SendOptions { uuid: Some("u1"), timeout: None }).await.unwrap();
    let request = replies.http.last();
    assert_eq!(request.line, "POST /robot/sendBySession?session=hunter2 HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(
        request.header("x-acs-dingtalk-access-token").is_none() && request.header("authorization").is_none()
    );
    assert_eq!(request.json(), json!({"msgtype": "text", "text": {"content": "hello"}, "msgUuid": "u1"}));
}

#[tokio::test]
async fn the_errcode_decides_as_number_or_string() {
    let replies = Replies::start().await;
    replies.answered(answer(200, r#"{"errcode":"0","errmsg":"ok"}"#)).await.unwrap();
    for code in [json!(300_001), json!("300001")] {
        let error = replies
            .answered(answer(200, json!({"errcode": code, "errmsg": "session 不存在"})))
            .await
            .unwrap_err();
        assert_eq!((error.advice, error.code), (Advice::Expired, Some(300_001)));
        assert_eq!(
            error.to_string(),
            "send the reply: DingTalk refused it with errcode 300001: session 不存在"
        );
    }
    let error = replies.answered(answer(200, json!({"errcode": 410_100}))).await.unwrap_err();
    assert!(matches!(error.advice, Advice::Wait(_)));
    let error =
        replies.answered((429, vec![("Retry-After", "7".to_owned())], String::new())).await.unwrap_err();
    assert_eq!((error.advice, error.status), (Advice::Wait(Duration::from_secs(7)), Some(429)));
    // A date counts by the server's own clock.
    let dates = vec![
        ("Date", "Sun, 09 Sep 2001 01:46:40 GMT".to_owned()),
        ("Retry-After", "Sun, 09 Sep 2001 01:46:45 GMT".to_owned()),
    ];
    let error = replies.answered((503, dates, String::new())).await.unwrap_err();
    assert_eq!(error.advice, Advice::Wait(Duration::from_secs(5)));
    let error = replies.answered(answer(200, "<html>portal</html>")).await.unwrap_err();
    assert_eq!(error.advice, Advice::Retry);
    // An answer without end is not read to its end.
    let error = replies.answered(answer(500, "x".repeat(1_000_000))).await.unwrap_err();
    assert_eq!(error.advice, Advice::Retry);
}

#[tokio::test]
async fn redirects_are_refused() {
    let replies = Replies::start().await;
    let elsewhere = HttpServer::start(None, |_| answer(200, json!({"errcode": 0}))).await;
    for status in [301, 302, 307, 308] {
        let error = replies
            .answered((status, vec![("Location", elsewhere.url().to_string())], String::new()))
            .await
            .unwrap_err();
        assert_eq!((error.advice, error.status), (Advice::GiveUp, Some(status)));
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn foreign_hosts_are_refused_before_anything_is_sent() {
    let replies = Replies::start().await;
    let foreign = HttpServer::start(None, |_| answer(200, json!({"errcode": 0}))).await;
    let webhook = SessionWebhook::new(format!("{}robot/sendBySession?session=hunter2", foreign.url()), None);
    let error =
        replies.client.send(&webhook, &OutMessage::text("x"), SendOptions::default()).await.unwrap_err();
    assert_eq!(error.advice, Advice::GiveUp);
    assert!(error.to_string().contains("not allowed") && !error.to_string().contains("hunter2"), "{error}");
    assert_eq!(foreign.count(), 0);
}

#[tokio::test]
async fn no_answer_is_worth_a_retry() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut app = AppConfig::new("dingtest", "s".to_owned());
    app.api_base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let client = WebhookClient::new(&transport(), WebhookPolicy::for_app(&app));
    let webhook = SessionWebhook::new(format!("{}x?session=hunter2", app.api_base), None);
    let options = SendOptions { uuid: None, timeout: Some(Duration::from_millis(50)) };
    let error = client.send(&webhook, &OutMessage::text("x"), options).await.unwrap_err();
    assert_eq!(error.advice, Advice::Retry);
    assert!(error.outcome_unknown(), "the kernel took it, and perhaps the server did");
    drop(listener);
    let error = client.send(&webhook, &OutMessage::text("x"), SendOptions::default()).await.unwrap_err();
    assert_eq!(error.advice, Advice::Retry);
    assert!(!error.outcome_unknown(), "there was no connection");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_connection_that_ends_after_the_body_leaves_the_outcome_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut app = AppConfig::new("dingtest", "s".to_owned());
    app.api_base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let client = WebhookClient::new(&transport(), WebhookPolicy::for_app(&app));
    let webhook = SessionWebhook::new(format!("{}x?session=hunter2", app.api_base), None);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Something of the request; then it is closed unanswered, with the rest unread: a reset.
        let _ = stream.read(&mut [0; 16]).await;
    });
    let error = client.send(&webhook, &OutMessage::text("x"), SendOptions::default()).await.unwrap_err();
    assert_eq!((error.advice, error.outcome_unknown()), (Advice::Retry, true), "{error}");
}
