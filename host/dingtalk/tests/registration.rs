//! The registration call as the gateway sees it, and its failures as the caller sees them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use belfry_dingtalk::{ConnectErrorKind, RegistrationErrorKind, Subscriptions, open_socket, register};
use common::{ALL, Gateway, answer, granting, transport};
use serde_json::json;
use tokio::net::TcpListener;

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_request_is_what_the_protocol_asks_for() {
    let gateway = Gateway::start().await;
    let registration = register(&gateway.app(), &transport(), &ALL, TIMEOUT).await.unwrap();
    assert_eq!(registration.endpoint.as_str(), gateway.endpoint);
    let request = gateway.http.last();
    assert_eq!(request.line, "POST /v1.0/gateway/connections/open HTTP/1.1");
    assert_eq!(request.header("accept"), Some("application/json"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body = request.json();
    assert_eq!((&body["clientId"], &body["clientSecret"]), (&json!("dingtest"), &json!("the-secret")));
    assert!(body["ua"].as_str().unwrap().starts_with("belfry/"));
    let subscriptions = body["subscriptions"].as_array().unwrap();
    assert_eq!(subscriptions.len(), 7);
    assert!(subscriptions.contains(&json!({"type": "EVENT", "topic": "*"})));
    assert!(subscriptions.contains(&json!({"type": "CALLBACK", "topic": "/v1.0/card/instances/callback"})));
    assert!(!format!("{registration:?}").contains("ticket+"), "Debug shows the ticket");
}

#[tokio::test]
async fn the_endpoint_keeps_its_path_and_query() {
    let mut gateway = Gateway::start_with(None, "ws://127.0.0.1", "/deep/path?region=1").await;
    let registration = register(&gateway.app(), &transport(), &ALL, TIMEOUT).await.unwrap();
    let socket = open_socket(&registration, &transport(), 1 << 20, TIMEOUT).await.unwrap();
    assert_eq!(gateway.accept().await.uri, "/deep/path?region=1&ticket=ticket%2B1%2F%3D");
    socket.close().await;
}

#[tokio::test]
async fn failures_are_told_apart() {
    use RegistrationErrorKind as Kind;
    let gateway = Gateway::start().await;
    let html = "<html>The plain HTTP request was sent to HTTPS port</html>";
    for (status, body, kind) in [
        (401, r#"{"code":"authFailed","message":"x"}"#, Kind::Credentials),
        (400, r#"{"code":"x","message":"y"}"#, Kind::StreamModeOff),
        (400, html, Kind::NotJson),
        (403, r#"{"code":"Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"}"#, Kind::RateLimited),
        (503, "", Kind::Unavailable),
        (200, "", Kind::EmptyBody),
        (200, html, Kind::NotJson),
        (200, r#"{"endpoint":"not an address","ticket":"t"}"#, Kind::BadAnswer),
        (302, "", Kind::Unexpected),
    ] {
        gateway
            .http
            .answer_with(move |_| (status, vec![("Location", "/elsewhere".to_owned())], body.to_owned()));
        let error = register(&gateway.app(), &transport(), &ALL, TIMEOUT).await.unwrap_err();
        assert_eq!(error.kind, kind, "{status} {body}: {error}");
        assert!(!format!("{error:?} {error}").contains("the-secret"));
    }
    // A redirect was not followed.
    assert!(
        gateway.http.requests.lock().unwrap().iter().all(|request| request.line.starts_with("POST /v1.0/"))
    );
}

#[tokio::test]
async fn nobody_there_and_nobody_answering() {
    let gateway = Gateway::start().await;
    let mut app = gateway.app();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    app.api_base = format!("http://127.0.0.1:{port}").parse().unwrap();
    let error = register(&app, &transport(), &ALL, TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind, RegistrationErrorKind::Network);
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    app.api_base = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let error = register(&app, &transport(), &Subscriptions::bot_messages(), Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(error.kind, RegistrationErrorKind::Timeout);
}

#[tokio::test]
async fn sockets_that_cannot_be_opened() {
    let gateway = Gateway::start().await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    for (endpoint, kind) in [
        ("https://127.0.0.1/x".to_owned(), ConnectErrorKind::Endpoint),
        (format!("ws://127.0.0.1:{port}/x"), ConnectErrorKind::Tcp),
        ("ws://no-such-host.invalid/x".to_owned(), ConnectErrorKind::Dns),
        (format!("wss://127.0.0.1:{}/x", gateway.http.port), ConnectErrorKind::Tls),
        (format!("ws://127.0.0.1:{silent_port}/x"), ConnectErrorKind::Timeout),
        (format!("ws://127.0.0.1:{}/x", gateway.http.port), ConnectErrorKind::Handshake),
    ] {
        let timeout = if kind == ConnectErrorKind::Timeout { Duration::from_millis(50) } else { TIMEOUT };
        gateway.http.answer_with(granting(endpoint.clone()));
        let registration = register(&gateway.app(), &transport(), &ALL, TIMEOUT).await.unwrap();
        gateway.http.answer_with(|_| answer(404, "no"));
        let error = open_socket(&registration, &transport(), 1 << 20, timeout).await.unwrap_err();
        assert_eq!(error.kind, kind, "{endpoint}: {error}");
        assert!(!error.to_string().contains("ticket"), "{error}");
        assert!(!error.hint().is_empty());
    }
}
