//! `POST /v1.0/robot/oToMessages/batchSend` and `…/groupMessages/send`: messages without a session.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Refusal, check_robot, text};
use crate::fault::Action;
use crate::gateway::Gateway;
use crate::gateway::call::Call;
use crate::gateway::http::{Answer, json_answer};
use crate::record::Happening;
use crate::reply::{Reply, Via};
use crate::state::State;

/// People of one call, as documented.
const MAX_PEOPLE: usize = 20;

/// Longest `msgParam`, in bytes, as documented.
const MAX_PARAM: usize = 15_000;

/// A call that may be obeyed.
pub(super) struct Order {
    client_id: Arc<str>,
    via: Via,
    /// The group; empty for people.
    group: String,
    people: Vec<String>,
    body: Value,
}

/// Whether DingTalk would take this body.
pub(super) fn order(state: &State, client_id: Arc<str>, via: Via, body: Value) -> Result<Order, Refusal> {
    let bad = |code: &'static str, reason: &str| (400, code, reason.to_owned());
    check_robot(&client_id, &body)?;
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
pub(super) fn post(
    gateway: &Gateway,
    state: &mut State,
    call: &mut Call<'_>,
    order: Order,
    size: usize,
    action: &Action,
) -> Answer {
    let Order { client_id, via, group, people, body } = order;
    let key = state.sent.insert(&client_id, &group);
    let reply = Reply {
        client_id,
        conversation: group.into(),
        via,
        staff_id: None,
        call: call.number,
        key: Some(Arc::clone(&key)),
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
        return json_answer(200, json!({"processQueryKey": &*key}).to_string());
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
        "processQueryKey": &*key,
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
