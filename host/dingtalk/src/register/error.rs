//! What the gateway's refusals mean, and what to do about them.

use std::time::Duration;

use crate::http::{Reply, Trouble};

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
    /// 403: the organisation's API calls of this month are used up. Retried slowly.
    QuotaExhausted,
    /// The address was banned for a while (`{"status":1111,"wait":5,…}`).
    AddressBanned,
    /// 403 for another reason.
    Forbidden,
    /// 5xx.
    Unavailable,
    /// HTML or other text where JSON belongs, typically from a proxy.
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

    /// Whether trying again soon is pointless.
    pub(crate) const fn retries_slowly(self) -> bool {
        self.is_misconfiguration() || matches!(self, Self::QuotaExhausted)
    }
}

impl RegistrationError {
    /// What to do about it, as a sentence.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    fn new(kind: RegistrationErrorKind, message: String) -> Self {
        Self { kind, status: None, code: None, message, retry_after: None, hint: hint(kind).to_owned() }
    }
}

pub(super) fn network(host: &str, failure: &str) -> RegistrationError {
    RegistrationError::new(RegistrationErrorKind::Network, format!("reach {host}: {failure}"))
}

pub(super) fn timeout(host: &str, timeout: Duration) -> RegistrationError {
    RegistrationError::new(
        RegistrationErrorKind::Timeout,
        format!("{host} did not answer within {timeout:?}"),
    )
}

pub(super) fn bad_endpoint(endpoint: &str) -> RegistrationError {
    let shown: String = endpoint.chars().take(100).collect();
    RegistrationError::new(RegistrationErrorKind::BadAnswer, format!("the endpoint `{shown}` is no address"))
}

pub(super) fn classify(client_id: &str, host: &str, reply: &Reply) -> RegistrationError {
    use RegistrationErrorKind as Kind;

    let trouble = reply.trouble();
    let html = reply.looks_like_html();
    let code = trouble.code.as_deref().unwrap_or("");
    let kind = match reply.status {
        _ if trouble.banned => Kind::AddressBanned,
        403 | 429 if code.contains("ApiCountLimit") => Kind::QuotaExhausted,
        403 if code.contains("QpsLimit") => Kind::RateLimited,
        429 => Kind::RateLimited,
        500..=599 => Kind::Unavailable,
        407 => Kind::Network,
        _ if html => Kind::NotJson,
        401 => Kind::Credentials,
        400 => Kind::StreamModeOff,
        403 => Kind::Forbidden,
        200 if reply.body.iter().all(u8::is_ascii_whitespace) => Kind::EmptyBody,
        200 if !trouble.json => Kind::NotJson,
        200 => Kind::BadAnswer,
        _ => Kind::Unexpected,
    };
    let mut error = RegistrationError::new(kind, describe(kind, host, reply, &trouble));
    error.status = Some(reply.status);
    error.retry_after = reply.retry_after.or(trouble.wait);
    if kind.is_misconfiguration()
        && let Some(shape) = client_id_shape(client_id)
    {
        error.hint.push(' ');
        error.hint.push_str(&shape);
    }
    if reply.status == 407 {
        error.hint =
            "The proxy wants a user and password: set HTTPS_PROXY=http://user:password@host:port.".to_owned();
    }
    error.code = trouble.code;
    error
}

fn describe(kind: RegistrationErrorKind, host: &str, reply: &Reply, trouble: &Trouble) -> String {
    let status = reply.status;
    match (kind, &trouble.code, &trouble.message) {
        (RegistrationErrorKind::EmptyBody, ..) => format!("{host} answered {status} with an empty body"),
        (_, Some(code), Some(message)) => format!("{host} answered {status} {code}: {message}"),
        (_, Some(code), None) => format!("{host} answered {status} {code}"),
        _ => format!("{host} answered {status}: {}", reply.start_of_body()),
    }
}

/// ClientIDs start with `ding` (own apps) or `suite` (third-party apps); something else was mostly copied from the wrong
/// line of the console.
fn client_id_shape(client_id: &str) -> Option<String> {
    let prefix = client_id.starts_with("ding") || client_id.starts_with("suite");
    if prefix && client_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let shown: String = client_id.chars().take(12).collect();
    Some(format!(
        "The ClientID normally starts with `ding` (or `suite`), only letters and digits; this one is `{shown}…`: take it from \"Credentials and \
         Basic Information\" in the developer console, not the AppID or AgentID."
    ))
}

const fn hint(kind: RegistrationErrorKind) -> &'static str {
    use RegistrationErrorKind as Kind;
    match kind {
        Kind::Credentials => {
            "ClientID and ClientSecret do not fit: copy both anew from the app's credentials page in the DingTalk \
             developer console."
        }
        Kind::StreamModeOff => {
            "In the developer console add the robot to the app, set its message mode to Stream, and publish the app."
        }
        Kind::RateLimited => "Too many calls in a short time; trying again later by itself.",
        Kind::QuotaExhausted => {
            "The organisation's API calls of this month are used up; raise the plan in DingTalk's admin console or wait."
        }
        Kind::AddressBanned => {
            "DingTalk bans an address after 10 000 calls in 20 s, for 5 minutes; look for another program behind this \
             address."
        }
        Kind::Forbidden => {
            "The app lacks a permission, or an IP allow-list in the developer console leaves this host out."
        }
        Kind::Unavailable => "DingTalk's gateway is in trouble; trying again by itself.",
        Kind::NotJson => {
            "The answer is not DingTalk's: check HTTPS_PROXY and NO_PROXY, and whether a portal or firewall answers in its \
             place."
        }
        Kind::EmptyBody => "Something between here and DingTalk cuts answers off; trying again by itself.",
        Kind::BadAnswer => "Check that api_base points at a DingTalk gateway.",
        Kind::Network => {
            "Check name resolution, firewall, HTTPS_PROXY, and the CA file if TLS is inspected on the way."
        }
        Kind::Timeout => {
            "The host does not answer; check the firewall, or set HTTPS_PROXY where a proxy is needed."
        }
        Kind::Unexpected => "Check that api_base points at DingTalk and that no proxy rewrites the answer.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str) -> RegistrationError {
        let reply = Reply { status, body: body.as_bytes().to_vec(), retry_after: None, date: None };
        classify("dingabc", "api.dingtalk.com:443", &reply)
    }

    #[test]
    fn answers_are_classified() {
        use RegistrationErrorKind as Kind;
        let html = "<html><body>The plain HTTP request was sent to HTTPS port</body></html>";
        for (status, body, expected) in [
            (401, r#"{"requestid":"E","code":"authFailed","message":"鉴权失败"}"#, Kind::Credentials),
            (400, r#"{"code":"x","message":"y"}"#, Kind::StreamModeOff),
            (400, html, Kind::NotJson),
            (403, r#"{"code":"Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"}"#, Kind::RateLimited),
            (403, r#"{"code":"Forbidden.AccessDenied.ApiCountLimitForOrg"}"#, Kind::QuotaExhausted),
            (403, r#"{"code":"Forbidden.AccessDenied.IpNotInWhiteList"}"#, Kind::Forbidden),
            (429, "", Kind::RateLimited),
            (503, "<html>", Kind::Unavailable),
            (200, "", Kind::EmptyBody),
            (200, " \r\n", Kind::EmptyBody),
            (200, html, Kind::NotJson),
            (200, "ok", Kind::NotJson),
            (200, r#"{"endpoint":"wss://x"}"#, Kind::BadAnswer),
            (
                200,
                r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"xxx"}"#,
                Kind::AddressBanned,
            ),
            (407, html, Kind::Network),
            (302, "", Kind::Unexpected),
        ] {
            let error = kind(status, body);
            assert_eq!(error.kind, expected, "{status} {body}");
            assert_eq!(error.status, Some(status));
            assert!(!error.hint().is_empty() && error.to_string().len() < 600);
        }
    }

    #[test]
    fn code_message_and_wait_are_kept() {
        let error = kind(401, r#"{"requestid":"E","code":"authFailed","message":"鉴权失败"}"#);
        assert_eq!(error.code.as_deref(), Some("authFailed"));
        assert_eq!(
            error.to_string(),
            "register with the gateway: api.dingtalk.com:443 answered 401 authFailed: 鉴权失败"
        );
        assert_eq!(kind(200, r#"{"status":1111,"wait":5}"#).retry_after, Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_client_id_of_the_wrong_shape_is_pointed_out() {
        let reply = Reply { status: 401, body: Vec::new(), retry_after: None, date: None };
        assert!(!classify("dingf0apw4ibx5u5ktba", "h", &reply).hint().contains("normally starts"));
        for wrong in ["7f3a-99", "dingtalk_1234"] {
            assert!(classify(wrong, "h", &reply).hint().contains("normally starts with `ding`"), "{wrong}");
        }
    }
}
