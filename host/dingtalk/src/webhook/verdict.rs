//! What DingTalk's answer to a reply means.

use crate::{
    Advice,
    advice::Limit,
    http::{Failure, Reply},
    verdict::Verdict,
};

/// Session unknown or expired.
const EXPIRED: i64 = 300_001;

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
    limit: Option<Limit>,
    outcome_unknown: bool,
}

impl SendError {
    pub(super) fn without_answer(failure: Failure) -> Self {
        let Failure { message, body_left, .. } = failure;
        Self { outcome_unknown: body_left, ..Self::of(Advice::Retry, message) }
    }

    pub(super) fn give_up(message: String) -> Self {
        Self::of(Advice::GiveUp, message)
    }

    fn of(advice: Advice, message: String) -> Self {
        Self { advice, code: None, status: None, message, limit: None, outcome_unknown: false }
    }

    /// Whether the organisation's messages or calls of this month are used up. The advice is then to give up, and the text
    /// says so in plain words.
    pub fn is_quota(&self) -> bool {
        self.limit == Some(Limit::Quota)
    }

    /// Whether the reply was refused because too many were sent: nothing should go through this webhook before the time in
    /// the advice is over.
    pub fn is_too_fast(&self) -> bool {
        Verdict::is_too_fast(self.limit, self.status)
    }

    /// Whether the reply may have arrived in spite of the error: no answer came after the connection had taken the body, or
    /// one that is not DingTalk's (a 5xx, a portal's page). If not, it certainly did not arrive.
    pub fn outcome_unknown(&self) -> bool {
        self.outcome_unknown
    }
}

/// `errcode` 0 is the only success, whatever the HTTP status.
pub(super) fn judge(reply: &Reply) -> Result<(), SendError> {
    let verdict = Verdict::of(reply);
    let advice = match (verdict.errcode, reply.status) {
        (Some(0), _) => return Ok(()),
        (Some(EXPIRED), _) => Advice::Expired,
        // No credentials are sent that somebody could mend.
        (None, 401) if verdict.limit.is_none() && !verdict.banned => Advice::GiveUp,
        _ => verdict.advice,
    };
    Err(SendError {
        code: verdict.errcode,
        status: Some(reply.status),
        limit: verdict.limit,
        outcome_unknown: verdict.outcome_unknown,
        ..SendError::of(advice, verdict.message)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
            (90_020, Advice::GiveUp),
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

    fn error(status: u16, body: &str) -> SendError {
        let body = body.as_bytes().to_vec();
        judge(&Reply { status, body, retry_after: None, date: None }).unwrap_err()
    }

    #[test]
    fn a_used_up_quota_is_named_as_such() {
        for (status, body) in [
            (200, r#"{"errcode":90020,"errmsg":"x"}"#),
            (200, r#"{"errcode":"20001"}"#),
            (200, r#"{"errcode":88,"errmsg":"x","sub_code":"90020","sub_msg":"y"}"#),
            (403, r#"{"code":"Forbidden.AccessDenied.ApiCountLimitForOrg","message":"x"}"#),
        ] {
            let error = error(status, body);
            assert!(error.is_quota() && !error.is_too_fast() && error.advice == Advice::GiveUp, "{error:?}");
            assert!(error.to_string().contains("monthly DingTalk quota is used up"), "{error}");
            assert!(!error.outcome_unknown());
        }
        assert!(!error(200, r#"{"errcode":88,"sub_code":"40014"}"#).is_quota());
        let generic = error(200, r#"{"errcode":88,"sub_code":"90018"}"#);
        assert!(
            generic.is_too_fast() && generic.advice == Advice::Wait(Duration::from_secs(1)),
            "{generic:?}"
        );
    }

    #[test]
    fn only_what_is_not_dingtalks_answer_leaves_the_outcome_open() {
        for (status, body, unknown) in [
            (500, "", true),
            (502, "<html>bad gateway</html>", true),
            (200, "<html>portal</html>", true),
            (200, "", true),
            (200, r#"{"errcode":-1,"errmsg":"busy"}"#, false),
            (500, r#"{"errcode":-1}"#, false),
            (200, r#"{"errcode":300001}"#, false),
            (200, r#"<html>{"status":1111,"wait":5,"punish":"deny"}</html>"#, false),
            (302, "", false),
            (404, "", false),
            (407, "", false),
            (429, "", false),
        ] {
            assert_eq!(error(status, body).outcome_unknown(), unknown, "{status} {body}");
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
