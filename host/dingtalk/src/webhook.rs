//! Replies through the session webhook.

use std::{fmt, time::Duration};

use url::Url;

use crate::{AppConfig, OutMessage, Transport, http};

mod verdict;

pub use verdict::SendError;

/// Total time of one attempt unless the caller says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest address of a webhook, in bytes. DingTalk's have about 100; the HTTP library takes none beyond 64 KiB.
const MAX_ADDRESS: usize = 8 * 1024;

/// Where the replies to one message go. The address holds a session secret: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionWebhook {
    url: String,
    /// When it stops working, in ms since 1970; 90 min after the message in all observations. DingTalk's answer
    /// ([`Advice::Expired`](crate::Advice::Expired)) is what decides.
    pub expires_at: Option<u64>,
}

impl SessionWebhook {
    /// A webhook from a stored address. Whether it may be used is checked when sending.
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

impl fmt::Debug for SessionWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWebhook")
            .field("url", &"[redacted]")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// Which hosts replies may go to. The address comes out of a frame, so it must not choose its host freely.
#[derive(Debug, Clone)]
pub struct WebhookPolicy {
    allowed: Vec<Origin>,
}

#[derive(Debug, Clone)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    fn of(url: &Url) -> Option<Self> {
        let (scheme, host, port) = parts(url)?;
        Some(Self { scheme: scheme.to_owned(), host: host.to_owned(), port })
    }
}

fn parts(url: &Url) -> Option<(&str, &str, Option<u16>)> {
    Some((url.scheme(), url.host_str()?.trim_end_matches('.'), url.port_or_known_default()))
}

impl WebhookPolicy {
    /// `https` to `oapi.dingtalk.com` and `api.dingtalk.com`, and scheme, host and port of the app's two bases.
    pub fn for_app(app: &AppConfig) -> Self {
        let dingtalk = ["oapi.dingtalk.com", "api.dingtalk.com"].map(|host| Origin {
            scheme: "https".to_owned(),
            host: host.to_owned(),
            port: Some(443),
        });
        let configured = [&app.api_base, &app.oapi_base].into_iter().filter_map(Origin::of);
        Self { allowed: dingtalk.into_iter().chain(configured).collect() }
    }

    /// The address to send to.
    ///
    /// # Errors
    ///
    /// Gives up on an address that is not allowed, without showing more of it than scheme, host and port.
    pub fn check(&self, webhook: &SessionWebhook) -> Result<Url, SendError> {
        let length = webhook.expose().len();
        if length > MAX_ADDRESS {
            return Err(SendError::give_up(format!(
                "the session webhook has {length} bytes; {MAX_ADDRESS} are the most"
            )));
        }
        let url = Url::parse(webhook.expose())
            .map_err(|_| SendError::give_up("the session webhook is not an address".to_owned()))?;
        let (scheme, host, port) =
            parts(&url).ok_or_else(|| SendError::give_up("the session webhook has no host".to_owned()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SendError::give_up("the session webhook holds a user name or password".to_owned()));
        }
        let is_allowed = self.allowed.iter().any(|origin| {
            (origin.scheme.as_str(), origin.host.as_str(), origin.port) == (scheme, host, port)
        });
        if !is_allowed {
            return Err(SendError::give_up(format!(
                "the session webhook leads to {scheme}://{host}:{}, which is not allowed: only https to oapi.dingtalk.com \
                 and api.dingtalk.com and the configured api_base and oapi_base are",
                port.unwrap_or(0)
            )));
        }
        Ok(url)
    }
}

/// Sends replies. Follows no redirect and sends no access token. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WebhookClient {
    http: reqwest::Client,
    policy: std::sync::Arc<WebhookPolicy>,
}

/// How a reply is to be sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct SendOptions<'a> {
    /// `msgUuid`: the same value for every attempt of one reply, so that DingTalk can drop a repetition. At most 100
    /// bytes, or a message from [`OutMessage::split`] may get too long.
    pub uuid: Option<&'a str>,
    /// Total time for this attempt; 10 s if `None`.
    pub timeout: Option<Duration>,
}

impl WebhookClient {
    /// A client that obeys `policy`.
    pub fn new(transport: &Transport, policy: WebhookPolicy) -> Self {
        Self { http: transport.http.clone(), policy: policy.into() }
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
        self.send_body(webhook, message.to_body(options.uuid), options.timeout).await
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
        let url = self.policy.check(webhook)?;
        let timeout = timeout.unwrap_or(TIMEOUT);
        match http::post_json(&self.http, url, body, None, timeout).await {
            Ok(reply) => verdict::judge(&reply),
            Err(failure) => Err(SendError::without_answer(failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Advice;

    fn allowed(policy: &WebhookPolicy, url: &str) -> bool {
        policy.check(&SessionWebhook::new(url, None)).is_ok()
    }

    #[test]
    fn only_dingtalk_and_the_configured_bases_are_allowed() {
        let mut app = AppConfig::new("dingx", "s");
        let policy = WebhookPolicy::for_app(&app);
        for yes in [
            "https://oapi.dingtalk.com/robot/sendBySession?session=1",
            "https://API.dingtalk.com:443/x",
            "https://oapi.dingtalk.com./x",
        ] {
            assert!(allowed(&policy, yes), "{yes}");
        }
        for no in [
            "http://oapi.dingtalk.com/x",
            "https://oapi.dingtalk.com:8443/x",
            "https://oapi.dingtalk.com.evil.example/x",
            "https://evil.example/oapi.dingtalk.com",
            "https://oapi.dingtalk.com@evil.example/",
            "https://u:p@oapi.dingtalk.com/",
            "https://oapi.dingtalk.io/x",
            "http://127.0.0.1:80/x",
            "file:///etc/passwd",
            "data:,x",
            "x",
            "",
        ] {
            assert!(!allowed(&policy, no), "{no}");
        }
        app.api_base = Url::parse("http://127.0.0.1:8080/").unwrap();
        app.oapi_base = Url::parse("https://oapi.dingtalk.io/").unwrap();
        let policy = WebhookPolicy::for_app(&app);
        assert!(allowed(&policy, "http://127.0.0.1:8080/robot/sendBySession?session=1"));
        assert!(allowed(&policy, "https://oapi.dingtalk.io/x"));
        assert!(!allowed(&policy, "http://127.0.0.1:8081/x"));
        assert!(!allowed(&policy, "https://127.0.0.1:8080/x"));
    }

    #[test]
    fn an_address_that_no_request_can_carry_is_given_up() {
        let policy = WebhookPolicy::for_app(&AppConfig::new("dingx", "s"));
        let address = |length| format!("https://oapi.dingtalk.com/{}", "x".repeat(length));
        assert!(allowed(&policy, &address(8_000)));
        let error = policy.check(&SessionWebhook::new(address(70_000), None)).unwrap_err();
        assert_eq!(error.advice, Advice::GiveUp);
    }

    #[test]
    fn the_session_is_shown_nowhere() {
        let webhook =
            SessionWebhook::new("https://evil.example/robot/sendBySession?session=hunter2", Some(7));
        let error = WebhookPolicy::for_app(&AppConfig::new("d", "s")).check(&webhook).unwrap_err();
        for shown in [format!("{webhook:?}"), format!("{error:?}"), error.to_string()] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn expiry_has_a_margin() {
        let webhook = SessionWebhook::new("x", Some(10_000));
        assert!(!webhook.is_expired(5_000, Duration::from_millis(4_999)));
        assert!(webhook.is_expired(5_000, Duration::from_secs(5)));
        assert!(!SessionWebhook::new("x", None).is_expired(u64::MAX, Duration::MAX));
    }
}
