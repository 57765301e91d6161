//! `POST /robot/sendBySession?session=…`: the bot's replies.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Gateway;
use crate::fault::Place;
use crate::record::{Happening, Reply};

/// Longest body taken, in bytes (DingTalk: errcode 460101 beyond it).
const MAX_BODY: usize = 20_000;

/// What a webhook answers: always HTTP 200, the code decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub errcode: i64,
    pub errmsg: String,
}

impl Verdict {
    fn ok() -> Self {
        Self { errcode: 0, errmsg: "ok".to_owned() }
    }

    fn refuse(errcode: i64, errmsg: impl Into<String>) -> Self {
        Self { errcode, errmsg: errmsg.into() }
    }
}

impl Gateway {
    /// Judges one reply and records it.
    pub(super) fn reply(&self, session: &str, content_type: &str, body: &[u8]) -> Verdict {
        let mut state = self.state();
        let owner = state.sessions.owner(session);
        let (verdict, parsed) = match &owner {
            None => (Verdict::refuse(300_001, "session 不存在"), None),
            Some(owner) if owner.expired => (Verdict::refuse(300_001, "session 不存在"), None),
            Some(_) => match check(content_type, body) {
                Err(verdict) => (verdict, None),
                Ok(parsed) => {
                    let minute = self.real(Duration::from_secs(60));
                    match self.config.webhook_per_minute {
                        Some(limit) if !state.sessions.admit(session, limit, minute) => (
                            Verdict::refuse(
                                130_101,
                                format!("send too fast, exceed {limit} times per minute"),
                            ),
                            None,
                        ),
                        _ => (Verdict::ok(), Some(parsed)),
                    }
                }
            },
        };
        match (owner, parsed) {
            (Some(owner), Some(body_value)) => {
                let uuid = body_value.get("msgUuid").and_then(Value::as_str).map(str::to_owned);
                let repeated = uuid.as_deref().is_some_and(|uuid| state.sessions.repeats(session, uuid));
                state.stats.replies += 1;
                state.stats.replies_repeated += u64::from(repeated);
                let reply = Reply {
                    client_id: owner.client_id,
                    conversation: owner.conversation,
                    body: body_value,
                    uuid,
                    repeated,
                };
                // A parsed body takes about twice its text.
                self.log.write(Happening::Replied(reply), body.len() * 2);
            }
            (owner, _) => {
                state.stats.refused += 1;
                self.record(Happening::Refused {
                    place: Place::Webhook,
                    client_id: owner.as_ref().map(|owner| Arc::clone(&owner.client_id)),
                    conversation: owner.map(|owner| owner.conversation),
                    status: 200,
                    code: verdict.errcode.to_string(),
                    reason: verdict.errmsg.clone(),
                });
            }
        }
        verdict
    }
}

/// Whether DingTalk would take this body.
fn check(content_type: &str, body: &[u8]) -> Result<Value, Verdict> {
    if !content_type.to_ascii_lowercase().starts_with("application/json") {
        return Err(Verdict::refuse(43_004, "invalid content-type: use application/json"));
    }
    if body.len() > MAX_BODY {
        return Err(Verdict::refuse(460_101, "message too long, exceed 20000 bytes"));
    }
    let missing = |what: &str| Verdict::refuse(40_035, format!("missing json: {what}"));
    let parsed: Value = serde_json::from_slice(body).map_err(|_| missing("the body"))?;
    let text = |path: &str| {
        let found = parsed.pointer(path).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).map(|_| ()).ok_or_else(|| missing(path))
    };
    match parsed.get("msgtype").and_then(Value::as_str) {
        None => return Err(missing("msgtype")),
        Some("empty") => {}
        Some("text") => text("/text/content")?,
        Some("markdown") => text("/markdown/title").and_then(|()| text("/markdown/text"))?,
        Some("link") => ["/link/title", "/link/text", "/link/messageUrl"].into_iter().try_for_each(text)?,
        Some("actionCard") => {
            ["/actionCard/title", "/actionCard/text"].into_iter().try_for_each(text)?;
            let single = ["/actionCard/singleTitle", "/actionCard/singleURL"].into_iter().try_for_each(text);
            let buttons = parsed.pointer("/actionCard/btns").and_then(Value::as_array);
            if single.is_err() && !all_have(buttons, &["title", "actionURL"]) {
                return Err(missing("/actionCard/btns"));
            }
        }
        Some("feedCard") => {
            let links = parsed.pointer("/feedCard/links").and_then(Value::as_array);
            if !all_have(links, &["title", "messageURL", "picURL"]) {
                return Err(missing("/feedCard/links"));
            }
        }
        Some(other) => return Err(Verdict::refuse(400_105, format!("unsupported msgtype {other}"))),
    }
    Ok(parsed)
}

/// A list that is not empty and whose entries all hold these texts.
fn all_have(list: Option<&Vec<Value>>, keys: &[&str]) -> bool {
    let text = |entry: &Value, key: &str| entry.get(key).is_some_and(Value::is_string);
    list.is_some_and(|list| {
        !list.is_empty() && list.iter().all(|entry| keys.iter().all(|key| text(entry, key)))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(body: &Value) -> i64 {
        check("application/json; charset=utf-8", body.to_string().as_bytes())
            .map_or_else(|v| v.errcode, |_| 0)
    }

    #[test]
    fn bodies_are_judged_as_documented() {
        assert_eq!(code(&json!({"msgtype": "text", "text": {"content": "x"}})), 0);
        assert_eq!(code(&json!({"msgtype": "text", "text": {"content": ""}})), 40_035);
        assert_eq!(code(&json!({"msgtype": "markdown", "markdown": {"text": "x"}})), 40_035);
        assert_eq!(code(&json!({"msgtype": "markdown", "markdown": {"title": "t", "text": "x"}})), 0);
        assert_eq!(code(&json!({"msgtype": "empty"})), 0);
        assert_eq!(
            code(&json!({"msgtype": "link", "link": {"title": "t", "text": "x", "messageUrl": "u"}})),
            0
        );
        assert_eq!(
            code(&json!({"msgtype": "link", "link": {"title": "t", "text": "x", "messageURL": "u"}})),
            40_035
        );
        let single = json!({"title": "t", "text": "x", "singleTitle": "s", "singleURL": "u"});
        assert_eq!(code(&json!({"msgtype": "actionCard", "actionCard": single})), 0);
        let buttons = json!({"title": "t", "text": "x", "btns": [{"title": "b", "actionURL": "u"}]});
        assert_eq!(code(&json!({"msgtype": "actionCard", "actionCard": buttons})), 0);
        assert_eq!(
            code(&json!({"msgtype": "actionCard", "actionCard": {"title": "t", "text": "x"}})),
            40_035
        );
        let links = json!({"links": [{"title": "t", "messageURL": "u", "picURL": "p"}]});
        assert_eq!(code(&json!({"msgtype": "feedCard", "feedCard": links})), 0);
        assert_eq!(code(&json!({"msgtype": "feedCard", "feedCard": {"links": []}})), 40_035);
        assert_eq!(code(&json!({"msgtype": "voice"})), 400_105);
        assert_eq!(code(&json!({})), 40_035);
        assert_eq!(code(&json!({"msgtype": "text", "text": {"content": "x".repeat(MAX_BODY)}})), 460_101);
        assert_eq!(check("text/plain", b"{}").unwrap_err().errcode, 43_004);
        assert_eq!(check("application/json", b"\xff{").unwrap_err().errcode, 40_035);
    }
}
