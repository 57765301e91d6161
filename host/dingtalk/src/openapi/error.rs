//! What DingTalk's answer to a call means.

use std::time::Duration;

use crate::{
    Advice,
    advice::{Limit, MINUTE, quota_reason},
    http::{Failure, Reply},
};

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
    /// What happened.
    pub message: String,
    limit: Option<Limit>,
    banned: bool,
    outcome_unknown: bool,
}

impl OpenApiError {
    pub(super) fn without_answer(failure: Failure) -> Self {
        let Failure { message, body_left, .. } = failure;
        Self { outcome_unknown: body_left, ..Self::with(Advice::Retry, message) }
    }

    pub(super) fn wait(pause: Duration, message: String) -> Self {
        Self::with(Advice::Wait(pause), message)
    }

    pub(super) fn give_up(message: String) -> Self {
        Self::with(Advice::GiveUp, message)
    }

    fn with(advice: Advice, message: String) -> Self {
        Self { advice, code: None, status: None, message, limit: None, banned: false, outcome_unknown: false }
    }

    /// Of an error that came before the message could leave.
    pub(super) fn before_the_message(self) -> Self {
        Self { outcome_unknown: false, ..self }
    }

    pub(super) fn with_advice(self, advice: Advice) -> Self {
        Self { advice, ..self }
    }

    /// The same error for somebody who heard of it later: `left` of the wait it asks for.
    pub(super) fn with_wait_left(self, left: Duration) -> Self {
        match self.advice {
            Advice::Wait(_) => self.with_advice(Advice::Wait(left)),
            _ => self,
        }
    }

    pub(super) fn of(reply: &Reply) -> Self {
        let trouble = reply.trouble();
        let code = trouble.code.as_deref().unwrap_or_default();
        let asked = reply.retry_after.or(trouble.wait);
        let limit = Limit::of(code);
        let mut outcome_unknown = false;
        let advice = match (reply.status, limit) {
            _ if trouble.banned => Advice::Wait(asked.unwrap_or(MINUTE)),
            (_, Some(limit)) => limit.advice(asked),
            // Wrong credentials: only an operator can mend them, and a delivery may wait for that.
            (429 | 401, None) => Advice::Wait(asked.unwrap_or(MINUTE)),
            _ if is_token_refusal(code) => Advice::Wait(asked.unwrap_or(MINUTE)),
            // A 200 that is no answer of DingTalk's is a proxy's.
            (200..=299 | 407 | 408 | 500..=599, None) => {
                outcome_unknown = reply.leaves_open();
                asked.map_or(Advice::Retry, Advice::Wait)
            }
            _ => Advice::GiveUp,
        };
        let mut message = match (&trouble.code, &trouble.message) {
            (Some(code), Some(message)) => format!("DingTalk answered {} {code}: {message}", reply.status),
            (Some(code), None) => format!("DingTalk answered {} {code}", reply.status),
            _ => format!("the answer was {}: {}", reply.status, reply.start_of_body()),
        };
        if !trouble.scopes.is_empty() {
            let scopes = trouble.scopes.join(", ");
            message
                .push_str(&format!("; the app lacks a permission, add in the developer console: {scopes}"));
        }
        if trouble.banned {
            message = format!("DingTalk bans this address for a while; {message}");
        }
        if limit == Some(Limit::Quota) {
            message = quota_reason(&message);
        }
        Self {
            code: trouble.code,
            status: Some(reply.status),
            limit,
            banned: trouble.banned,
            outcome_unknown,
            ..Self::with(advice, message)
        }
    }

    /// Whether the organisation's API calls of this month are used up. The advice is then to give up, and the text says so in
    /// plain words.
    pub fn is_quota(&self) -> bool {
        self.limit == Some(Limit::Quota)
    }

    /// Whether it was refused because there were too many calls or messages. The client then holds further calls back by
    /// itself.
    pub fn is_too_fast(&self) -> bool {
        matches!(self.limit, Some(Limit::Messages | Limit::PerSecond)) || self.status == Some(429)
    }

    /// Whether the message may have gone out in spite of the error: no answer came after the connection had taken the request,
    /// or one that is not DingTalk's verdict (a 5xx, a portal's page). If not, it certainly did not. The OpenAPI has nothing
    /// like the `msgUuid` of session webhooks, so repeating it then may show it twice.
    pub fn outcome_unknown(&self) -> bool {
        self.outcome_unknown
    }

    /// How long other calls should be held back too, because this one met a limit.
    pub(super) fn holds_back(&self) -> Option<Duration> {
        match self.advice {
            Advice::Wait(wait) if self.is_too_fast() || self.banned => Some(wait),
            _ => None,
        }
    }

    /// The address is banned, so that no call of any path gets through.
    pub(super) fn is_ban(&self) -> bool {
        self.banned
    }

    /// The access token was not accepted: expired early, or withdrawn.
    pub(super) fn is_token_refused(&self) -> bool {
        self.status == Some(401) || self.code.as_deref().is_some_and(is_token_refusal)
    }
}

fn is_token_refusal(code: &str) -> bool {
    code.eq_ignore_ascii_case("InvalidAuthentication")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> OpenApiError {
        OpenApiError::of(&Reply { status, body: body.as_bytes().to_vec(), retry_after: None, date: None })
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
            (403, r#"{"code":"InvalidAuthentication"}"#, wait(60)),
            (200, r#"{"status":1111,"wait":5,"source":"x5","punish":"deny"}"#, wait(5)),
            (200, "<html>", Advice::Retry),
            (429, "", wait(60)),
            (503, "", Advice::Retry),
            (302, "", Advice::GiveUp),
        ] {
            let error = error(status, body);
            assert_eq!(error.advice, expected, "{status} {body}");
            assert_eq!(error.is_quota(), body.contains("ApiCountLimit"), "{body}");
            let unknown = status == 503 || body == "<html>";
            assert_eq!(error.outcome_unknown(), unknown, "{status} {body}");
            let slow =
                ["QpsLimit", "too.fast", "1111"].iter().any(|limit| body.contains(limit)) || status == 429;
            assert_eq!(error.holds_back().is_some(), slow, "{status} {body}");
        }
    }

    #[test]
    fn the_text_says_what_to_do() {
        let quota = error(403, r#"{"code":"Forbidden.AccessDenied.ApiCountLimitForOrg","message":"x"}"#);
        assert!(quota.to_string().contains("monthly DingTalk quota is used up"), "{quota}");
        let body = r#"{"code":"Forbidden.AccessDenied.AccessTokenPermissionDenied","message":"no",
            "accessdenieddetail":{"requiredScopes":["qyapi_robot_sendmsg"]}}"#;
        let denied = error(403, body);
        assert!(denied.to_string().ends_with("in the developer console: qyapi_robot_sendmsg"), "{denied}");
        let banned = error(200, r#"<html>{"status":1111,"wait":5,"punish":"deny"}</html>"#);
        assert_eq!((banned.advice, banned.is_ban()), (Advice::Wait(Duration::from_secs(5)), true));
    }
}
