//! `POST /v1.0/robot/otoMessages/batchRecall` and `…/groupMessages/recall`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Refusal, check_robot, text};
use crate::gateway::Gateway;
use crate::gateway::call::Call;
use crate::gateway::http::{Answer, json_answer};
use crate::record::Happening;
use crate::state::State;

/// Keys of one call, as documented.
const MAX_KEYS: usize = 20;

/// Takes messages back: those that are known, this app's and this group's, and not older than a day.
pub(super) fn recall(
    gateway: &Gateway,
    state: &mut State,
    call: &mut Call<'_>,
    client_id: &Arc<str>,
    body: &Value,
    from_group: bool,
) -> Result<Answer, Refusal> {
    check_robot(client_id, body)?;
    let group = if from_group { text(body, "openConversationId").unwrap_or_default() } else { "" };
    if from_group && group.is_empty() {
        return Err((400, "invalid.openConversationId", "openConversationId is missing".to_owned()));
    }
    let keys = body.get("processQueryKeys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
    if keys.is_empty() || keys.len() > MAX_KEYS {
        let reason = format!("processQueryKeys must hold 1 to {MAX_KEYS} texts");
        return Err((400, "invalidParameter.processQueryKeys", reason));
    }
    let (mut gone, mut failed) = (Vec::new(), Map::new());
    for key in keys {
        match state.sent.recall(client_id, group, key, |time| gateway.real(time)) {
            Ok(()) => gone.push(key.to_owned()),
            Err(code) => {
                failed.insert(key.to_owned(), code.into());
            }
        }
    }
    let answer = json!({"successResult": gone, "failedResult": failed});
    if !gone.is_empty() {
        call.taken = true;
        let conversation = group.into();
        let size = gone.iter().map(String::len).sum();
        let client_id = Arc::clone(client_id);
        gateway
            .log
            .write(Happening::Recalled { client_id, conversation, keys: gone, call: call.number }, size);
    }
    Ok(json_answer(200, answer.to_string()))
}
