//! What DingTalk's answer to a call means.

use std::time::Duration;

use crate::{
    Advice,
    advice::Limit,
    http::{Failure, Reply},
    verdict::{Verdict, is_token_refusal},
};

/// Why a call of the OpenAPI did not do its work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("call the OpenAPI: {message}")]
pub struct OpenApiError {
    /// What to do. Never [`Advice::Expired`].
    pub advice: Advice,
    /// DingTalk's `code`, such as `invalidParameter.msgKey.invalid`; of an upload its `errcode`.
    pub code: Option<String>,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What happened.
    pub message: String,
    kind: OpenApiErrorKind,
    limit: Option<Limit>,
    banned: bool,
    outcome_unknown: bool,
}

/// What a caller may want to answer in a way of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenApiErrorKind {
    /// A card with this id was created before (`param.cardAlreadyExist`): by an attempt whose outcome was unknown, or by
    /// somebody who took the same id.
    CardExists,
    /// There is no card with this id (`param.cardNotExist`).
    CardUnknown,
    /// There is no such card template (`param.templateNotExist`).
    TemplateUnknown,
    /// The card template is not published yet (`param.templateUnpublished`).
    TemplateUnpublished,
    /// A card was created but reaches nobody. An attempt with the same id gets [`CardExists`](Self::CardExists).
    NotDelivered,
    /// A download code that is wrong or has expired, or another robot's.
    CodeUnknown,
    /// More bytes than are allowed: of a file, or of a card's text.
    TooLarge,
    /// A message older than 24 hours, which cannot be recalled any more.
    TooLate,
    /// Anything else: the advice says all.
    Other,
}

impl OpenApiErrorKind {
    fn of(code: &str) -> Self {
        match code {
            "param.cardAlreadyExist" => Self::CardExists,
            "param.cardNotExist" => Self::CardUnknown,
            "param.templateNotExist" => Self::TemplateUnknown,
            "param.templateUnpublished" => Self::TemplateUnpublished,
            "invalidParameter.robotCode.downloadCode" => Self::CodeUnknown,
            "param.stream.content" => Self::TooLarge,
            "robot.processQueryKey.expired" => Self::TooLate,
            _ => Self::Other,
        }
    }
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
        Self {
            advice,
            code: None,
            status: None,
            message,
            kind: OpenApiErrorKind::Other,
            limit: None,
            banned: false,
            outcome_unknown: false,
        }
    }

    /// Nothing but giving up helps, for a reason that callers may want to know.
    pub(super) fn give_up_as(kind: OpenApiErrorKind, message: String) -> Self {
        Self { kind, ..Self::give_up(message) }
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
        let Verdict { advice, code, limit, banned, outcome_unknown, message, .. } = Verdict::of(reply);
        Self {
            kind: OpenApiErrorKind::of(code.as_deref().unwrap_or_default()),
            status: Some(reply.status),
            code,
            limit,
            banned,
            outcome_unknown,
            ..Self::with(advice, message)
        }
    }

    /// What it is about, where that is something of its own.
    pub fn kind(&self) -> OpenApiErrorKind {
        self.kind
    }

    /// Whether the organisation's API calls of this month are used up. The advice is then to give up, and the text says so in
    /// plain words.
    pub fn is_quota(&self) -> bool {
        self.limit == Some(Limit::Quota)
    }

    /// Whether it was refused because there were too many calls or messages. The client then holds further calls back by
    /// itself.
    pub fn is_too_fast(&self) -> bool {
        Verdict::is_too_fast(self.limit, self.status)
    }

    /// Whether the call may have done its work in spite of the error: no answer came after the connection had taken the
    /// request, or one that is not DingTalk's verdict (a 5xx, a portal's page). If not, it certainly did not. For messages
    /// there is nothing like the `msgUuid` of session webhooks, so repeating one then may show it twice. A card that is
    /// created again is refused as [`CardExists`](OpenApiErrorKind::CardExists).
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
