//! What DingTalk's answer to a call means.

use std::time::Duration;

use crate::{Advice, http::Reply};

/// Wait after "too many messages" when no time is given.
const MESSAGES_WINDOW: Duration = Duration::from_secs(60);

/// Wait after a limit per second.
const QPS_WINDOW: Duration = Duration::from_secs(1);

/// Why a call of the OpenAPI did not do its work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("call the OpenAPI: {message}")]
pub struct OpenApiError {
    /// What to do. Never [`Advice::Expired`].
    pub advice: Advice,
    /// DingTalk's `code`, such as `invalidParameter.msgKey.invalid`.
    pub code: Option<String>,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The organisation's API calls of this month are used up.
    pub over_quota: bool,
    /// What happened.
    pub message: String,
}

impl OpenApiError {
    pub(super) fn retry(message: String) -> Self {
        Self::with(Advice::Retry, message)
    }

    pub(super) fn wait(pause: Duration, message: String) -> Self {
        Self::with(Advice::Wait(pause), message)
    }

    pub(super) fn give_up(message: String) -> Self {
        Self::with(Advice::GiveUp, message)
    }

    fn with(advice: Advice, message: String) -> Self {
        Self { advice, code: None, status: None, over_quota: false, message }
    }

    pub(super) fn of(reply: &Reply) -> Self {
        let trouble = reply.trouble();
        let code = trouble.code.as_deref().unwrap_or_default();
        let asked = reply.retry_after.or(trouble.wait);
        let over_quota = code.contains("ApiCountLimit") || matches!(code, "90020" | "90030");
        let advice = match reply.status {
            _ if over_quota => Advice::GiveUp,
            _ if trouble.banned => Advice::Wait(asked.unwrap_or(MESSAGES_WINDOW)),
            _ if code.contains("QpsLimit") || code == "90018" => Advice::Wait(asked.unwrap_or(QPS_WINDOW)),
            429 => Advice::Wait(asked.unwrap_or(MESSAGES_WINDOW)),
            _ if code == "send.too.fast" => Advice::Wait(asked.unwrap_or(MESSAGES_WINDOW)),
            // Wrong credentials: only an operator can mend them, and a delivery may wait for that.
            401 => Advice::Wait(asked.unwrap_or(MESSAGES_WINDOW)),
            // A 200 that is no answer of DingTalk's is a proxy's.
            200..=299 | 407 | 408 | 500..=599 => asked.map_or(Advice::Retry, Advice::Wait),
            _ => Advice::GiveUp,
        };
        let message = match (&trouble.code, &trouble.message) {
            (Some(code), Some(message)) => format!("DingTalk answered {} {code}: {message}", reply.status),
            (Some(code), None) => format!("DingTalk answered {} {code}", reply.status),
            _ => format!("the answer was {}: {}", reply.status, reply.start_of_body()),
        };
        Self { advice, code: trouble.code, status: Some(reply.status), over_quota, message }
    }

    /// The access token was not accepted: expired early, or withdrawn.
    pub(super) fn is_token_refused(&self) -> bool {
        self.status == Some(401)
            || self.code.as_deref().is_some_and(|code| code.eq_ignore_ascii_case("InvalidAuthentication"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(status: u16, body: &str) -> Advice {
        let reply = Reply { status, body: body.as_bytes().to_vec(), retry_after: None, date: None };
        let error = OpenApiError::of(&reply);
        assert_eq!(error.over_quota, body.contains("ApiCountLimit"), "{body}");
        error.advice
    }

    #[test]
    fn answers_are_sorted_into_retry_wait_and_give_up() {
        let wait = |seconds| Advice::Wait(Duration::from_secs(seconds));
        for (status, body, expected) in [
            (403, r#"{"code":"Forbidden.AccessDenied.QpsLimitForAppkeyAndApi","message":"x"}"#, wait(1)),
            (403, r#"{"code":"Forbidden.AccessDenied.ApiCountLimitForOrg"}"#, Advice::GiveUp),
            (403, r#"{"code":"Forbidden.AccessDenied.AccessTokenPermissionDenied"}"#, Advice::GiveUp),
            (400, r#"{"code":"send.too.fast"}"#, wait(60)),
            (400, r#"{"code":"invalidParameter.msgKey.invalid"}"#, Advice::GiveUp),
            (400, r#"{"code":"group.disbanded"}"#, Advice::GiveUp),
            (401, r#"{"code":"InvalidAuthentication"}"#, wait(60)),
            (200, r#"{"status":1111,"wait":5,"source":"x5","punish":"deny"}"#, wait(5)),
            (200, "<html>", Advice::Retry),
            (429, "", wait(60)),
            (503, "", Advice::Retry),
            (302, "", Advice::GiveUp),
        ] {
            assert_eq!(advice(status, body), expected, "{status} {body}");
        }
    }
}
