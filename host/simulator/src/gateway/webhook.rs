//! `POST /robot/sendBySession?session=…`: the bot's replies.

use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;

use super::call::Call;
use super::http::{Abort, Answer, errcode, json_answer, query, read_body};
use super::{Gateway, Struck, course};
use crate::fault::{Action, Place};
use crate::record::Happening;
use crate::reply::{Reply, Via};
use crate::socket::Switch;
use crate::state::State;
use crate::usage::take;

/// Longest body taken, in bytes (DingTalk: errcode 460101 beyond it).
const MAX_BODY: usize = 20_000;

/// A refusal: HTTP 200, the code decides.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    errcode: i64,
    errmsg: String,
}

impl Verdict {
    fn refuse(errcode: i64, errmsg: impl Into<String>) -> Self {
        Self { errcode, errmsg: errmsg.into() }
    }

    fn gone() -> Self {
        Self::refuse(300_001, "session 不存在")
    }
}

/// One reply.
pub(super) async fn webhook(
    gateway: &Gateway,
    request: Request<Incoming>,
    switch: &Switch,
) -> Result<Answer, Abort> {
    let session = query(&request, "session").unwrap_or_default();
    let mut call = Call::new(gateway, Place::Webhook);
    let mut struck = None;
    if gateway.has_faults() {
        if let Some(owner) = gateway.state().sessions.owner(&session) {
            call.client_id = Some(owner.client_id);
            call.conversation = Some(owner.conversation);
        }
        struck = gateway.strike(Place::Webhook, call.client_id.as_deref(), call.conversation.as_deref());
    }
    if matches!(struck, Some(Struck { action: Action::Reset, obey_first: false, .. })) {
        // Before the body is read.
        return course::run(gateway, struck, switch, Some(&mut call), |_, _| errcode(-1, "reset")).await;
    }
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content_type = content_type.to_owned();
    // Read even when a fault answers, so that a kept-alive connection stays usable.
    let body = match read_body(request).await {
        Ok(body) => body,
        Err(answer) => {
            call.no_body(&answer);
            return Ok(answer);
        }
    };
    if struck.is_some() {
        let parsed: Option<Value> = serde_json::from_slice(&body).ok();
        call.uuid = parsed.as_ref().and_then(uuid);
    }
    course::run(gateway, struck, switch, Some(&mut call), |call, _| match call {
        Some(call) => gateway.reply(call, &session, &content_type, &body),
        None => errcode(-1, "no call"),
    })
    .await
}

fn uuid(body: &Value) -> Option<String> {
    body.get("msgUuid").and_then(Value::as_str).map(str::to_owned)
}

impl Gateway {
    /// Judges one reply, records it and answers.
    fn reply(&self, call: &mut Call<'_>, session: &str, content_type: &str, body: &[u8]) -> Answer {
        let mut state = self.state();
        let owner = state.sessions.owner(session);
        if let Some(owner) = &owner {
            call.client_id = Some(owner.client_id.clone());
            call.conversation = Some(owner.conversation.clone());
        }
        let parsed = match &owner {
            None => Err(Verdict::gone()),
            Some(owner) if owner.expired => Err(Verdict::gone()),
            Some(_) => check(content_type, body).and_then(|parsed| {
                call.uuid = uuid(&parsed);
                self.admit_reply(&mut state, session).map(|()| parsed)
            }),
        };
        match (owner, parsed) {
            (Some(owner), Ok(body_value)) => {
                let uuid = call.uuid.clone();
                let repeated = uuid.as_deref().is_some_and(|uuid| state.sessions.repeats(session, uuid));
                state.stats.replies += 1;
                state.stats.replies_repeated += u64::from(repeated);
                call.taken = true;
                let reply = Reply {
                    client_id: owner.client_id,
                    conversation: owner.conversation,
                    via: Via::Webhook,
                    key: None,
                    staff_id: None,
                    call: call.number,
                    body: body_value,
                    uuid,
                    repeated,
                    posted: !(repeated && state.honour_msg_uuid),
                };
                // A parsed body takes about twice its text.
                self.log.write(Happening::Replied(reply), body.len() * 2);
                json_answer(200, Bytes::from_static(br#"{"errcode":0,"errmsg":"ok"}"#))
            }
            (_, parsed) => {
                let Verdict { errcode: code, errmsg } = parsed.err().unwrap_or_else(Verdict::gone);
                call.refuse(&mut state, 200, code.to_string(), errmsg.clone(), None);
                errcode(code, &errmsg)
            }
        }
    }

    /// Counts one reply against the limits.
    fn admit_reply(&self, state: &mut State, session: &str) -> Result<(), Verdict> {
        let minute = self.real(Duration::from_secs(60));
        if let Some(limit) = state.limits.webhook_per_minute
            && !state.sessions.admit(session, limit, minute)
        {
            return Err(Verdict::refuse(130_101, format!("send too fast, exceed {limit} times per minute")));
        }
        if !take(&mut state.usage.messages, state.limits.messages_per_month) {
            return Err(Verdict::refuse(90_030, "the organisation's messages of this month are used up"));
        }
        state.stats.messages += 1;
        Ok(())
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
