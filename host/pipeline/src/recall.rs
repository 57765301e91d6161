//! Taking messages back: the keys that DingTalk gave for them are kept for a day in the host's own bucket.

use std::{sync::Arc, time::Duration};

use belfry_dingtalk::MAX_RECALL;
use belfry_journal::{JournalError, KeyValueWrite, Position, Record, ValueChange};
use belfry_plugin_host::types::ChatError;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{
    app::App,
    chat::{is_place_of, refusal},
    message::now_ms,
    payload::Address,
    recovery::HOST,
};

/// Before the keys of this module in the host's bucket.
const PREFIX: &str = "recall/";

/// How long DingTalk lets a message be taken back.
const RECALL_WITHIN: u64 = 24 * 60 * 60 * 1000;

/// Messages of which the keys are kept; beyond it those sent first cannot be taken back any more.
const MOST: usize = 10_000;

/// So often, by messages sent, what is too old is looked for.
const PRUNE_EVERY: u64 = 256;

/// How long it is waited for a message that is on its way, and how often it is looked for.
const ON_ITS_WAY: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Serialize, Deserialize)]
struct Kept {
    client_id: String,
    robot: String,
    to: Address,
    keys: Vec<String>,
    sent_at_ms: u64,
}

/// What a plugin knows a message by: where it is, and how many parts it has.
pub(crate) fn id(event: Position, first: u32, parts: usize) -> String {
    format!("{}.{first}.{parts}", event.0)
}

fn parse(id: &str) -> Option<(Position, u32, u32)> {
    let mut parts = id.split('.');
    let position = Position(parts.next()?.parse().ok()?);
    let (first, count) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (parts.next().is_none() && count <= 16).then_some((position, first, count))
}

fn key(event: Position, index: u32) -> String {
    format!("{PREFIX}{:020}/{index:010}", event.0)
}

fn write(key: String, change: ValueChange) -> Record {
    Record::Write(KeyValueWrite { bucket: HOST.to_owned(), key, change, limit: None })
}

/// Keeps what it takes to take a message back that has arrived.
pub(crate) async fn note(
    app: &App,
    event: Position,
    index: u32,
    robot: &str,
    to: &Address,
    keys: Vec<String>,
) {
    if keys.is_empty() {
        return;
    }
    let (client_id, robot, to) = (app.client_id.clone(), robot.to_owned(), to.clone());
    let kept = Kept { client_id, robot, to, keys, sent_at_ms: now_ms() };
    let value = serde_json::to_vec(&kept).unwrap_or_default().into();
    app.record(write(key(event, index), ValueChange::Set(value)));
    if app.recallable.add().is_multiple_of(PRUNE_EVERY) {
        // What cannot be read stays, and is looked at again.
        let _ = prune(app).await;
    }
}

/// Forgets what is too old, and the oldest beyond the bound.
async fn prune(app: &App) -> Result<(), JournalError> {
    let all = app.journal.keys(HOST, Some(PREFIX), MOST * 2);
    let ours: Vec<String> = all.into_iter().take_while(|key| key.starts_with(PREFIX)).collect();
    let too_many = ours.len().saturating_sub(MOST);
    for (n, key) in ours.into_iter().enumerate() {
        if n >= too_many {
            let Some(value) = app.journal.value(HOST, &key).await? else { continue };
            let sent = serde_json::from_slice(&value).map_or(0, |kept: Kept| kept.sent_at_ms);
            if now_ms().saturating_sub(sent) < RECALL_WITHIN {
                break;
            }
        }
        app.record(write(key, ValueChange::Delete));
    }
    Ok(())
}

/// Takes a message of this plugin back; one that is on its way is waited for.
pub(crate) async fn recall(app: &Arc<App>, plugin: &str, id: &str) -> Result<(), ChatError> {
    let unknown = || {
        ChatError::Invalid(format!(
            "there is no message `{id}` that can be recalled: it was not sent by this plugin, went to the current \
             conversation, did not arrive, was recalled before, or is older than 24 hours"
        ))
    };
    let (event, first, parts) = parse(id).ok_or_else(unknown)?;
    let until = Instant::now() + ON_ITS_WAY;
    let mut any = false;
    for index in (first..).take(parts as usize) {
        if !is_place_of(plugin, index) {
            return Err(unknown());
        }
        let Some(kept) = arrived(app, event, index, until).await? else { continue };
        any = true;
        if kept.client_id != app.client_id {
            return Err(ChatError::Invalid(format!("`{id}` was sent by another app")));
        }
        for keys in kept.keys.chunks(MAX_RECALL) {
            let api = &app.open_api;
            let recalled = match &kept.to {
                Address::Person(_) => api.recall_from_people(&kept.robot, keys).await,
                Address::Group(group) => api.recall_from_group(&kept.robot, group, keys).await,
            };
            app.count_calls();
            let recalled = recalled.map_err(refusal)?;
            for key in keys {
                recalled.took_back(key).map_err(refusal)?;
            }
        }
        app.record(write(key(event, index), ValueChange::Delete));
    }
    if any { Ok(()) } else { Err(unknown()) }
}

/// What is kept of a message, once it is not on its way any more.
async fn arrived(app: &App, event: Position, index: u32, until: Instant) -> Result<Option<Kept>, ChatError> {
    let broken = |problem: JournalError| ChatError::Unavailable(problem.to_string());
    loop {
        // Asked first: it is kept before it counts as delivered.
        let on_its_way = app.journal.pending_delivery(event, index).await.map_err(broken)?.is_some();
        if let Some(value) = app.journal.value(HOST, &key(event, index)).await.map_err(broken)? {
            return Ok(serde_json::from_slice(&value).ok());
        }
        if !on_its_way {
            return Ok(None);
        }
        if Instant::now() >= until {
            return Err(ChatError::Unavailable(
                "the message is still on its way: try again later".to_owned(),
            ));
        }
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_and_nothing_else_does() {
        assert_eq!(parse(&id(Position(7), 9, 2)), Some((Position(7), 9, 2)));
        for wrong in ["", "7", "7.9", "7.9.17", "7.9.1.1", "a.9.1", "-7.9.1", "7.9.99999999999"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
