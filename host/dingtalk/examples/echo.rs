//! A complete echo bot.
//!
//! ```console
//! $ DINGTALK_CLIENT_ID=ding… DINGTALK_CLIENT_SECRET=… cargo run -p belfry-dingtalk --example echo
//! ```
//!
//! `DINGTALK_API_BASE=http://127.0.0.1:PORT` points it at a simulator instead.

use std::{error::Error, time::Duration};

use belfry_dingtalk::{
    AppConfig, BotMessage, OutMessage, ProxyConfig, Push, SendOptions, StreamClient, StreamSettings,
    Subscriptions, Transport, TransportConfig, Url, WebhookClient, WebhookPolicy,
};
use tokio::sync::watch;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_subscriber::fmt::init();
    // In a task of its own: waking the main future of this runtime costs a system call for every message.
    tokio::spawn(bot()).await?
}

async fn bot() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut app =
        AppConfig::new(std::env::var("DINGTALK_CLIENT_ID")?, std::env::var("DINGTALK_CLIENT_SECRET")?);
    if let Ok(base) = std::env::var("DINGTALK_API_BASE") {
        app.api_base = Url::parse(&base)?;
    }

    let transport = Transport::new(&TransportConfig { ca_file: None, proxy: ProxyConfig::from_env() })?;
    let replies = WebhookClient::new(&transport, WebhookPolicy::for_app(&app));
    let (_subscriptions, subscribed) = watch::channel(Subscriptions::bot_messages());
    let (client, mut pushes) = StreamClient::spawn(app, transport, StreamSettings::default(), subscribed);

    loop {
        tokio::select! {
            push = pushes.recv() => match push {
                // A reply takes its time; the next message does not wait for it.
                Some(push) => drop(tokio::spawn(handle(push, replies.clone()))),
                None => return Ok(()),
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    client.stop(Duration::from_secs(5)).await;
    Ok(())
}

async fn handle(push: Push, replies: WebhookClient) {
    let message = match BotMessage::parse(&push.data) {
        Ok(message) => message,
        Err(error) => return push.ack.error(400, &error.to_string()),
    };
    // Accepted. A bot that must not lose messages writes them to disk before this line: what is acked never comes again.
    push.ack.success();
    if message.is_own() {
        return;
    }
    let (Some(webhook), Some(text)) = (&message.webhook, message.content.as_text()) else { return };
    for part in OutMessage::text(text.trim()).split() {
        if let Err(error) = replies.send(webhook, &part, SendOptions::default()).await {
            tracing::warn!(%error, advice = ?error.advice, "no reply");
        }
    }
}
