//! `POST /v1.0/robot/oToMessages/batchSend` and `…/groupMessages/send`: messages without a session.

use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::call::Call;
use super::http::{Abort, Answer, error, json_answer, read_body};
use super::{Gateway, course};
use crate::fault::{Action, Place};
use crate::record::Happening;
use crate::reply::{Reply, Via};
use crate::socket::Switch;
use crate::state::State;
use crate::usage::take;

/// The header that carries the access token.
const TOKEN_HEADER: &str = "x-acs-dingtalk-access-token";

/// People of one call, as documented.
const MAX_PEOPLE: usize = 20;

/// Longest `msgParam`, in bytes, as documented.
const MAX_PARAM: usize = 15_000;

/// An HTTP status, a `code` and the words.
type Refusal = (u16, &'static str, String);

/// A call that may be obeyed.
struct Order {
    client_id: Arc<str>,
    via: Via,
    /// The group; empty for people.
    group: String,
    people: Vec<String>,
    body: Value,
}

/// One call.
pub(super) async fn send(
    gateway: &Gateway,
    request: Request<Incoming>,
    switch: &Switch,
    via: Via,
) -> Result<Answer, Abort> {
    let mut call = Call::new(gateway, Place::OpenApi);
    let token = request.headers().get(TOKEN_HEADER).and_then(|value| value.to_str().ok());
    let token = token.unwrap_or_default().to_owned();
    call.client_id = gateway.state().tokens.owner(&token);
    let body = match read_body(request).await {
        Ok(body) => body,
        Err(answer) => {
            call.no_body(&answer);
            return Ok(answer);
        }
    };
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    call.uuid = text(&parsed, "msgUuid").map(str::to_owned);
    call.conversation = conversation(&gateway.state(), &call, &parsed, via);
    let struck = gateway.strike(Place::OpenApi, call.client_id.as_deref(), call.conversation.as_deref());
    course::run(gateway, struck, switch, Some(&mut call), |call, action| {
        let Some(call) = call else { return error(500, "system.busy", "no call") };
        obey(gateway, call, &token, via, parsed, body.len(), action)
    })
    .await
}

/// The conversation that a call means: the group, or the private one of its first person.
fn conversation(state: &State, call: &Call<'_>, body: &Value, via: Via) -> Option<Arc<str>> {
    match via {
        Via::Group => text(body, "openConversationId").map(Arc::from),
        _ => {
            let person = body.get("userIds")?.get(0)?.as_str()?;
            state.sessions.private_with(call.client_id.as_deref()?, person)
        }
    }
}

/// Judges a call, records it and answers.
fn obey(
    gateway: &Gateway,
    call: &mut Call<'_>,
    token: &str,
    via: Via,
    body: Value,
    size: usize,
    action: &Action,
) -> Answer {
    let mut state = gateway.state();
    match admit(gateway, &mut state, token, via).and_then(|client_id| order(&state, client_id, via, body)) {
        Ok(order) => post(gateway, &mut state, call, order, size, action),
        Err((status, code, reason)) => {
            let answer = error(status, code, &reason);
            call.refuse(&mut state, status, code.to_owned(), reason, None);
            answer
        }
    }
}

/// Whose token it is, if the app may call just now.
fn admit(gateway: &Gateway, state: &mut State, token: &str, via: Via) -> Result<Arc<str>, Refusal> {
    let Some(client_id) = state.tokens.owner(token) else {
        return Err((401, "InvalidAuthentication", "不合法的access_token".to_owned()));
    };
    let second = gateway.real(Duration::from_secs(1));
    if let Some(limit) = state.limits.api_per_second
        && !state.usage.admit(&client_id, via, limit, second)
    {
        let reason = format!("more than {limit} calls of this API within a second");
        return Err((403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", reason));
    }
    if !take(&mut state.usage.api_calls, state.limits.api_calls_per_month) {
        let reason = "the organisation's API calls of this month are used up".to_owned();
        return Err((403, "Forbidden.AccessDenied.ApiCountLimitForOrg", reason));
    }
    state.stats.api_calls += 1;
    Ok(client_id)
}

fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

/// Whether DingTalk would take this body.
fn order(state: &State, client_id: Arc<str>, via: Via, body: Value) -> Result<Order, Refusal> {
    let bad = |code: &'static str, reason: &str| (400, code, reason.to_owned());
    if text(&body, "robotCode") != Some(&client_id) {
        let reason = "robotCode is not of the app that the access token belongs to";
        return Err(bad("invalidParameter.robotCode.auth", reason));
    }
    check_message(&body)?;
    let mut order = Order { client_id, via, group: String::new(), people: Vec::new(), body };
    if via == Via::Group {
        let group = text(&order.body, "openConversationId").filter(|group| !group.is_empty());
        match group {
            Some(group) if !state.sessions.is_private(&order.client_id, group) => {
                order.group = group.to_owned();
            }
            _ => {
                let reason = "openConversationId is missing or no group's";
                return Err(bad("invalid.openConversationId", reason));
            }
        }
        return Ok(order);
    }
    let people = order.body.get("userIds").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ids: Option<Vec<String>> = people.iter().map(|id| id.as_str().map(str::to_owned)).collect();
    match ids {
        Some(ids) if (1..=MAX_PEOPLE).contains(&ids.len()) => order.people = ids,
        Some(ids) if ids.len() > MAX_PEOPLE => {
            return Err(bad("invalidParameter.userIds.overMax", "userIds holds more than 20"));
        }
        _ => return Err(bad("invalidParameter.userIds.empty", "userIds is no list of texts, or empty")),
    }
    Ok(order)
}

/// The fields that `msgParam` must have as texts.
fn required(msg_key: &str) -> Option<&'static [&'static str]> {
    Some(match msg_key {
        "sampleText" => &["content"],
        "sampleMarkdown" => &["title", "text"],
        "sampleImageMsg" => &["photoURL"],
        "sampleLink" => &["text", "title", "messageUrl"],
        "sampleActionCard" => &["title", "text", "singleTitle", "singleURL"],
        "sampleActionCard2" | "sampleActionCard3" | "sampleActionCard4" | "sampleActionCard5" => {
            &["title", "text", "actionTitle1", "actionURL1", "actionTitle2", "actionURL2"]
        }
        "sampleActionCard6" => &["title", "text", "buttonTitle1", "buttonUrl1", "buttonTitle2", "buttonUrl2"],
        "sampleAudio" => &["mediaId", "duration"],
        "sampleFile" => &["mediaId", "fileName", "fileType"],
        "sampleVideo" => &["duration", "videoMediaId", "videoType", "picMediaId"],
        _ => return None,
    })
}

fn check_message(body: &Value) -> Result<(), Refusal> {
    let key = text(body, "msgKey").unwrap_or_default();
    let Some(fields) = required(key) else {
        return Err((400, "invalidParameter.msgKey.invalid", format!("msgKey {key:?} is unknown")));
    };
    let invalid = |reason: String| (400, "invalidParameter.msgParam.invalid", reason);
    let Some(param) = text(body, "msgParam") else {
        return Err(invalid("msgParam is no text".to_owned()));
    };
    if param.len() > MAX_PARAM {
        let reason = format!("msgParam is longer than {MAX_PARAM} bytes");
        return Err((400, "invalidParameter.msgParam.tooLong", reason));
    }
    let param: Value =
        serde_json::from_str(param).map_err(|reason| invalid(format!("msgParam is no JSON: {reason}")))?;
    match fields.iter().find(|name| text(&param, name).is_none_or(str::is_empty)) {
        Some(name) => Err(invalid(format!("msgParam of {key} lacks {name}"))),
        None => Ok(()),
    }
}

/// Takes a message: one record for the group, or for each person whom it reaches.
fn post(
    gateway: &Gateway,
    state: &mut State,
    call: &mut Call<'_>,
    order: Order,
    size: usize,
    action: &Action,
) -> Answer {
    let Order { client_id, via, group, people, body } = order;
    let key = uuid::Uuid::new_v4().simple().to_string();
    let reply = Reply {
        client_id,
        conversation: group.into(),
        via,
        staff_id: None,
        call: call.number,
        uuid: call.uuid.clone(),
        body,
        repeated: false,
        posted: true,
    };
    let record = |state: &mut State, call: &mut Call<'_>, reply: Reply| {
        call.taken = true;
        state.stats.replies += 1;
        state.stats.replies_openapi += 1;
        // A parsed body takes about twice its text.
        gateway.log.write(Happening::Replied(reply), size * 2);
    };
    if via == Via::Group {
        record(state, call, reply);
        return json_answer(200, json!({"processQueryKey": key}).to_string());
    }
    let (mut invalid, mut throttled) = (Vec::new(), Vec::new());
    for person in people {
        let meant = |ids: &[String]| ids.is_empty() || ids.contains(&person);
        let (list, code) = match action {
            Action::InvalidStaff { staff_ids } if meant(staff_ids) => (&mut invalid, "invalidStaffIdList"),
            Action::FlowControlled { staff_ids } if meant(staff_ids) => {
                (&mut throttled, "flowControlledStaffIdList")
            }
            _ => {
                let conversation = state.sessions.private_with(&reply.client_id, &person);
                let reply = Reply {
                    conversation: conversation.unwrap_or_default(),
                    staff_id: Some(person.into()),
                    ..reply.clone()
                };
                record(state, call, reply);
                continue;
            }
        };
        let staff_id = Some(person.as_str().into());
        call.refuse(state, 200, code.to_owned(), "a fault".to_owned(), staff_id);
        list.push(person);
    }
    let answer = json!({
        "processQueryKey": key,
        "invalidStaffIdList": invalid,
        "flowControlledStaffIdList": throttled,
    });
    json_answer(200, answer.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(key: &str, param: &str) -> &'static str {
        check_message(&json!({"msgKey": key, "msgParam": param})).map_or_else(|(_, code, _)| code, |()| "")
    }

    #[test]
    fn messages_are_judged_as_documented() {
        assert_eq!(code("sampleText", r#"{"content":"x"}"#), "");
        assert_eq!(code("sampleText", r#"{"content":""}"#), "invalidParameter.msgParam.invalid");
        assert_eq!(code("sampleMarkdown", r#"{"text":"x"}"#), "invalidParameter.msgParam.invalid");
        assert_eq!(code("sampleMarkdown", r#"{"title":"t","text":"x"}"#), "");
        assert_eq!(code("text", r#"{"content":"x"}"#), "invalidParameter.msgKey.invalid");
        assert_eq!(code("sampleText", "content"), "invalidParameter.msgParam.invalid");
        let long = json!({"content": "x".repeat(MAX_PARAM)}).to_string();
        assert_eq!(code("sampleText", &long), "invalidParameter.msgParam.tooLong");
        assert!(check_message(&json!({"msgKey": "sampleText", "msgParam": {"content": "x"}})).is_err());
    }
}
