//! What an answer of DingTalk's means, from either of its APIs: one reading of codes and statuses for all callers.

use crate::{
    Advice,
    advice::{Limit, MINUTE, quota_reason},
    http::{Reply, Trouble},
};

/// An answer that is no success, or that was not understood as one.
pub(crate) struct Verdict {
    /// Never [`Advice::Expired`]: only the session webhook knows that.
    pub advice: Advice,
    /// `code` of the new API, `errcode` or `sub_code` of the old one.
    pub code: Option<String>,
    /// `errcode` of the old API.
    pub errcode: Option<i64>,
    pub limit: Option<Limit>,
    /// The address is banned for a while.
    pub banned: bool,
    /// What became of the request is open.
    pub outcome_unknown: bool,
    /// For a person.
    pub message: String,
}

impl Verdict {
    /// `errcode` decides where there is one, whatever the HTTP status. Of the new API the code counts where it names a limit
    /// or the token, else the status.
    pub(crate) fn of(reply: &Reply) -> Self {
        let trouble = reply.trouble();
        let code = trouble.code.as_deref().unwrap_or_default();
        let asked = reply.retry_after.or(trouble.wait);
        let limit = Limit::of(code);
        let by_code = trouble.errcode.is_some();
        let mut outcome_unknown = false;
        let advice = match (reply.status, limit) {
            _ if trouble.banned => Advice::Wait(asked.unwrap_or(MINUTE)),
            (_, Some(limit)) => limit.advice(asked),
            _ if is_token_refusal(code) => Advice::Wait(asked.unwrap_or(MINUTE)),
            // Busy.
            _ if code == "-1" => asked.map_or(Advice::Retry, Advice::Wait),
            // Among others: 460101 and 101002 too long, 310000 keywords, 400013 disbanded, 43010x unsafe.
            _ if by_code => Advice::GiveUp,
            // Wrong credentials: only an operator can mend them, and a delivery may wait for that.
            (429 | 401, None) => Advice::Wait(asked.unwrap_or(MINUTE)),
            // A 2xx that is no answer of DingTalk's is a portal's or a proxy's.
            (200..=299 | 407 | 408 | 500..=599, None) => {
                outcome_unknown = reply.leaves_open();
                asked.map_or(Advice::Retry, Advice::Wait)
            }
            // Redirects are not followed: the host that we know would send us to another one.
            _ => Advice::GiveUp,
        };
        let mut message = words(reply, &trouble);
        if trouble.banned {
            message = format!("DingTalk bans this address for a while; {message}");
        }
        if limit == Some(Limit::Quota) {
            message = quota_reason(&message);
        }
        let Trouble { code, errcode, banned, .. } = trouble;
        Self { advice, code, errcode, limit, banned, outcome_unknown, message }
    }

    /// Whether it is because there were too many calls or messages.
    pub(crate) fn is_too_fast(limit: Option<Limit>, status: Option<u16>) -> bool {
        matches!(limit, Some(Limit::Messages | Limit::PerSecond)) || status == Some(429)
    }
}

/// What was answered, with the permissions that are missing.
fn words(reply: &Reply, trouble: &Trouble) -> String {
    let mut text = match (trouble.errcode, &trouble.code) {
        (Some(errcode), _) => format!("DingTalk refused it with errcode {errcode}"),
        (None, Some(code)) => format!("DingTalk answered {} {code}", reply.status),
        (None, None) => return format!("the answer was {}: {}", reply.status, reply.start_of_body()),
    };
    if let Some(message) = &trouble.message {
        text.push_str(": ");
        text.push_str(message);
    }
    if !trouble.scopes.is_empty() {
        let scopes = trouble.scopes.join(", ");
        text.push_str(&format!("; the app lacks a permission, add in the developer console: {scopes}"));
    }
    text
}

/// Whether the code says that the access token is not good (any more).
pub(crate) fn is_token_refusal(code: &str) -> bool {
    // The numbers are the old API's, for a token that is wrong and one that has expired.
    code.eq_ignore_ascii_case("InvalidAuthentication") || matches!(code, "40014" | "42001")
}
