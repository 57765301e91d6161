//! What DingTalk's answer to a reply means.

use std::time::Duration;

use serde::Deserialize;

use crate::{http::Reply, json};

/// Wait after "sent too fast" (130101, 410100) when no time is given: the documented window is 20 messages a minute.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// Wait after a limit per second.
const QPS_WINDOW: Duration = Duration::from_secs(1);

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

impl SendError {
    pub(super) fn retry(message: String) -> Self {
        Self { advice: Advice::Retry, code: None, status: None, message }
    }

    pub(super) fn give_up(message: String) -> Self {
        Self { advice: Advice::GiveUp, code: None, status: None, message }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "json::signed")]
    errcode: Option<i64>,
    #[serde(default, deserialize_with = "json::id")]
    errmsg: Option<String>,
    #[serde(default, deserialize_with = "json::id")]
    sub_code: Option<String>,
    #[serde(default, deserialize_with = "json::id")]
    sub_msg: Option<String>,
}

/// `errcode` decides where there is one, whatever the HTTP status; then the status.
pub(super) fn judge(reply: &Reply) -> Result<(), SendError> {
    let answer = serde_json::from_slice::<Answer>(&reply.body).ok();
    match answer {
        Some(Answer { errcode: Some(0), .. }) => Ok(()),
        Some(Answer { errcode: Some(code), errmsg, sub_code, sub_msg }) => {
            let mut message = format!("DingTalk refused it with errcode {code}");
            for text in [errmsg, sub_code, sub_msg].into_iter().flatten() {
                message.push_str(": ");
                message.extend(text.chars().take(300));
            }
            let advice = advice_for(code, reply.retry_after);
            Err(SendError { advice, code: Some(code), status: Some(reply.status), message })
        }
        _ => {
            let message = format!("the answer was {}: {}", reply.status, reply.start_of_body());
            Err(SendError { advice: by_status(reply), code: None, status: Some(reply.status), message })
        }
    }
}

/// DingTalk's table of robot error codes ("custom robots send group messages"), codes seen in the field, and the limits of
/// the old API.
fn advice_for(code: i64, retry_after: Option<Duration>) -> Advice {
    match code {
        // Busy.
        -1 => retry_after.map_or(Advice::Retry, Advice::Wait),
        // Session unknown or expired.
        300_001 => Advice::Expired,
        // Sent too fast; today's and the older code.
        410_100 | 130_101 => Advice::Wait(retry_after.unwrap_or(RATE_WINDOW)),
        // Limits per second, of the API and of the app.
        90_002 | 90_018 => Advice::Wait(retry_after.unwrap_or(QPS_WINDOW)),
        // Among others: 460101 and 101002 too long, 310000 keywords, 400013 disbanded, 43010x unsafe, 90020 and 90030 quota.
        _ => Advice::GiveUp,
    }
}

fn by_status(reply: &Reply) -> Advice {
    let trouble = reply.trouble();
    let wait = reply.retry_after.or(trouble.wait);
    match reply.status {
        _ if trouble.banned => Advice::Wait(wait.unwrap_or(RATE_WINDOW)),
        429 => Advice::Wait(wait.unwrap_or(RATE_WINDOW)),
        403 if trouble.code.as_deref().is_some_and(|code| code.contains("QpsLimit")) => {
            Advice::Wait(wait.unwrap_or(QPS_WINDOW))
        }
        // A 2xx without an errcode is not DingTalk's: a portal or a proxy answered.
        200..=299 | 407 | 408 | 500..=599 => wait.map_or(Advice::Retry, Advice::Wait),
        // Redirects are not followed: the allowed host would send us to another one.
        _ => Advice::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(status: u16, body: &str, retry_after: Option<u64>) -> Option<(Advice, Option<i64>)> {
        let retry_after = retry_after.map(Duration::from_secs);
        let reply = Reply { status, body: body.as_bytes().to_vec(), retry_after, date: None };
        judge(&reply).err().map(|error| (error.advice, error.code))
    }

    #[test]
    fn errcode_decides_as_number_or_string() {
        assert_eq!(advice(200, r#"{"errcode":0,"errmsg":"ok"}"#, None), None);
        assert_eq!(advice(200, r#"{"errcode":"0","errmsg":"ok"}"#, None), None);
        assert_eq!(advice(500, r#"{"errcode":0}"#, None), None);
        let wait = |seconds| Advice::Wait(Duration::from_secs(seconds));
        for (code, expected) in [
            (300_001, Advice::Expired),
            (130_101, wait(60)),
            (410_100, wait(60)),
            (90_018, wait(1)),
            (-1, Advice::Retry),
            (460_101, Advice::GiveUp),
            (101_002, Advice::GiveUp),
            (310_000, Advice::GiveUp),
            (400_013, Advice::GiveUp),
            (430_102, Advice::GiveUp),
            (88, Advice::GiveUp),
            (123_456, Advice::GiveUp),
        ] {
            for body in
                [format!(r#"{{"errcode":{code},"errmsg":"x"}}"#), format!(r#"{{"errcode":"{code}"}}"#)]
            {
                assert_eq!(advice(200, &body, None), Some((expected, Some(code))), "{body}");
            }
        }
        assert_eq!(advice(200, r#"{"errcode":410100}"#, Some(7)), Some((wait(7), Some(410_100))));
    }

    #[test]
    fn without_errcode_the_status_decides() {
        let wait = |seconds| Advice::Wait(Duration::from_secs(seconds));
        for (status, body, retry_after, expected) in [
            (200, "<html>portal</html>", None, Advice::Retry),
            (200, "", None, Advice::Retry),
            (200, "{}", None, Advice::Retry),
            (200, r#"{"status":1111,"wait":5,"punish":"deny"}"#, None, wait(5)),
            (302, "", None, Advice::GiveUp),
            (403, r#"{"code":"Forbidden.AccessDenied.QpsLimitForApi"}"#, None, wait(1)),
            (403, "", None, Advice::GiveUp),
            (404, "", None, Advice::GiveUp),
            (429, "", None, wait(60)),
            (429, "", Some(3), wait(3)),
            (502, "<html>", None, Advice::Retry),
            (503, "", Some(9), wait(9)),
        ] {
            assert_eq!(advice(status, body, retry_after), Some((expected, None)), "{status} {body}");
        }
    }

    #[test]
    fn sub_codes_are_told() {
        let body = br#"{"errcode":88,"errmsg":"auth","sub_code":"40014","sub_msg":"bad token"}"#.to_vec();
        let error = judge(&Reply { status: 200, body, retry_after: None, date: None }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "send the reply: DingTalk refused it with errcode 88: auth: 40014: bad token"
        );
    }
}
