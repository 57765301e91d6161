//! The bare loop: a WebSocket, an HTTP client and nothing between them. No order, no dedupe, no sandbox: the least that
//! any bot in Rust has to do, and so the measure for what Belfry adds.

use std::sync::Arc;

use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// Answers each text with the same text, for ever.
pub fn run(gateway: &str, multi_thread: bool) -> Result<()> {
    let mut runtime = if multi_thread {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    runtime.enable_all().build()?.block_on(serve(gateway))
}

async fn serve(gateway: &str) -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = Arc::new(reqwest::Client::builder().no_proxy().build()?);
    let registration = json!({
        "clientId": "dingbench",
        "clientSecret": "simulated",
        "subscriptions": [{ "type": "CALLBACK", "topic": "/v1.0/im/bot/messages/get" }],
    });
    let registered = http
        .post(format!("{gateway}/v1.0/gateway/connections/open"))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .body(registration.to_string())
        .send()
        .await?;
    let registered: Value = serde_json::from_slice(&registered.bytes().await?)?;
    let part = |name: &str| {
        registered.get(name).and_then(Value::as_str).context("the gateway's answer lacks a part")
    };
    let url = format!("{}?ticket={}", part("endpoint")?, part("ticket")?);
    let (socket, _) = tokio_tungstenite::connect_async_with_config(url, None, true).await?;
    let (mut write, mut read) = socket.split();
    let (acks, mut to_ack) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(ack) = to_ack.recv().await {
            if write.feed(Message::text(ack)).await.is_err() {
                return;
            }
            while let Ok(ack) = to_ack.try_recv() {
                if write.feed(Message::text(ack)).await.is_err() {
                    return;
                }
            }
            if write.flush().await.is_err() {
                return;
            }
        }
    });
    while let Some(frame) = read.next().await {
        let Message::Text(frame) = frame? else { continue };
        let frame: Value = serde_json::from_str(&frame)?;
        let text = |path: &str| frame.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let data = if text("/type") == "SYSTEM" { text("/data") } else { "{\"response\":null}" };
        let ack = json!({
            "code": 200,
            "headers": { "contentType": "application/json", "messageId": text("/headers/messageId") },
            "message": "OK",
            "data": data,
        });
        let _ = acks.send(ack.to_string());
        if text("/type") == "CALLBACK" {
            let message: Value = serde_json::from_str(text("/data"))?;
            tokio::spawn(answer(http.clone(), message));
        }
    }
    Ok(())
}

async fn answer(http: Arc<reqwest::Client>, message: Value) {
    let field = |path: &str| message.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let body = json!({ "msgtype": "text", "text": { "content": field("/text/content").trim() } });
    let sent = http
        .post(field("/sessionWebhook"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await;
    if let Ok(response) = sent {
        let _ = response.bytes().await;
    }
}
