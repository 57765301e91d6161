//! What to do after a send that failed, and the limits behind most failures, named alike by both of DingTalk's APIs.

use std::time::Duration;

/// What to do with a message that did not go out.
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

/// A limit of DingTalk's that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// So many calls or messages a month for the whole organisation.
    Quota,
    /// So many calls a second for an app, or for an API.
    PerSecond,
    /// So many messages a minute.
    Messages,
}

impl Limit {
    /// The limit that an error code stands for: `errcode` or `sub_code` of the old API, `code` of the new one.
    pub(crate) fn of(code: &str) -> Option<Self> {
        match code {
            "90020" | "90030" | "20001" => Some(Self::Quota),
            "90002" | "90018" => Some(Self::PerSecond),
            // Today's code, the older one, and the one of the new API.
            "410100" | "130101" | "send.too.fast" => Some(Self::Messages),
            _ if code.contains("ApiCountLimit") => Some(Self::Quota),
            _ if code.contains("QpsLimit") => Some(Self::PerSecond),
            _ => None,
        }
    }

    /// What to do, where DingTalk `asked` for a wait or did not.
    pub(crate) fn advice(self, asked: Option<Duration>) -> Advice {
        match self {
            Self::Quota => Advice::GiveUp,
            Self::PerSecond => Advice::Wait(asked.unwrap_or(SECOND)),
            Self::Messages => Advice::Wait(asked.unwrap_or(MINUTE)),
        }
    }
}

/// The window of the limits per second.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The window of "too many messages": 20 a minute are documented. Also the wait where nothing better is known.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Why a quota ends a delivery, for an operator; `detail` is DingTalk's answer.
pub(crate) fn quota_reason(detail: &str) -> String {
    format!(
        "the organisation's monthly DingTalk quota is used up ({detail}): buy more in DingTalk's admin console, or wait for \
         the next month"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_known_by_the_codes_of_both_apis() {
        for (code, limit) in [
            ("90020", Some(Limit::Quota)),
            ("20001", Some(Limit::Quota)),
            ("Forbidden.AccessDenied.ApiCountLimitForOrg", Some(Limit::Quota)),
            ("90018", Some(Limit::PerSecond)),
            ("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", Some(Limit::PerSecond)),
            ("Forbidden.AccessDenied.QpsLimitForApi", Some(Limit::PerSecond)),
            ("130101", Some(Limit::Messages)),
            ("410100", Some(Limit::Messages)),
            ("send.too.fast", Some(Limit::Messages)),
            ("Forbidden.AccessDenied.IpNotInWhiteList", None),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(Limit::of(code), limit, "{code}");
        }
    }

    #[test]
    fn waiting_cannot_help_against_a_quota() {
        let asked = Some(Duration::from_secs(7));
        assert_eq!(Limit::Quota.advice(asked), Advice::GiveUp);
        assert_eq!(Limit::PerSecond.advice(asked), Advice::Wait(Duration::from_secs(7)));
        assert_eq!(Limit::Messages.advice(None), Advice::Wait(MINUTE));
    }
}
