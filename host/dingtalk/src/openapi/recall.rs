//! Taking messages back.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{OpenApi, OpenApiError, OpenApiErrorKind};
use crate::json;

/// The path for messages to people (`otoMessages`: another casing than that of sending).
pub(super) const FROM_PEOPLE: &str = "v1.0/robot/otoMessages/batchRecall";

/// The path for messages to a group.
pub(super) const FROM_GROUP: &str = "v1.0/robot/groupMessages/recall";

/// Keys of one call, as documented.
pub const MAX_RECALL: usize = 20;

/// What became of messages that were to be taken back. **A 200 does not mean that all were.**
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recalled {
    /// The keys of those that are gone.
    pub recalled: Vec<String>,
    /// The keys of those that stay, with DingTalk's reason.
    pub failed: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    open_conversation_id: Option<&'a str>,
    robot_code: &'a str,
    process_query_keys: &'a [String],
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    #[serde(deserialize_with = "json::ids")]
    success_result: Vec<String>,
    #[serde(deserialize_with = "reasons")]
    failed_result: BTreeMap<String, String>,
}

/// An object whose values are words; one of another type counts as empty.
fn reasons<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, String>, D::Error> {
    let Value::Object(members) = Value::deserialize(d)? else { return Ok(BTreeMap::new()) };
    let words = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(members.into_iter().map(|(key, reason)| (key, words(reason))).collect())
}

impl OpenApi {
    /// Takes messages to people back, by the keys that [`send_to_people`](Self::send_to_people) returned; at most
    /// [`MAX_RECALL`]. Possible for 24 hours. What went through a session webhook has no key and cannot be recalled.
    ///
    /// # Errors
    ///
    /// If none was taken back. That some were not is said by [`Recalled`].
    pub async fn recall_from_people(
        &self,
        robot_code: &str,
        keys: &[String],
    ) -> Result<Recalled, OpenApiError> {
        self.recall(FROM_PEOPLE, robot_code, None, keys).await
    }

    /// Takes messages to a group back, by the keys that [`send_to_group`](Self::send_to_group) returned.
    ///
    /// # Errors
    ///
    /// As [`recall_from_people`](Self::recall_from_people).
    pub async fn recall_from_group(
        &self,
        robot_code: &str,
        conversation_id: &str,
        keys: &[String],
    ) -> Result<Recalled, OpenApiError> {
        self.recall(FROM_GROUP, robot_code, Some(conversation_id), keys).await
    }

    async fn recall(
        &self,
        path: &'static str,
        robot_code: &str,
        open_conversation_id: Option<&str>,
        process_query_keys: &[String],
    ) -> Result<Recalled, OpenApiError> {
        if process_query_keys.is_empty() || process_query_keys.len() > MAX_RECALL {
            return Err(OpenApiError::give_up(format!(
                "{} messages were named; it takes 1 to {MAX_RECALL}",
                process_query_keys.len()
            )));
        }
        let request = Recall { open_conversation_id, robot_code, process_query_keys };
        let answer: Answer = self.call(Method::POST, path, &request).await?;
        Ok(Recalled { recalled: answer.success_result, failed: answer.failed_result })
    }
}

impl Recalled {
    /// Whether this one of the messages is gone.
    ///
    /// # Errors
    ///
    /// Gives up on one that stays.
    pub fn took_back(&self, key: &str) -> Result<(), OpenApiError> {
        if self.recalled.iter().any(|gone| gone == key) {
            return Ok(());
        }
        let reason = self.failed.get(key).map_or("without a reason", String::as_str);
        let kind =
            if reason.contains("expired") { OpenApiErrorKind::TooLate } else { OpenApiErrorKind::Other };
        let reason: String = reason.chars().take(300).collect();
        Err(OpenApiError::give_up_as(kind, format!("DingTalk did not recall the message: {reason}")))
    }
}
