//! What bots reply, and whether they can know that it was taken.
//!
//! Every request at [`Place::Webhook`] and [`Place::OpenApi`] is a *call* with a number of its own (as are those at
//! [`Place::Card`], [`Place::Recall`] and [`Place::Media`], whose records stand where `Replied` stands here). Its end is told by the
//! records that bear this number:
//!
//! | Records | What was done | What the sender was told |
//! |---|---|---|
//! | `Replied` | taken | so |
//! | `Replied`, then `OutcomeUnknown` with `taken: true` | taken | something else, or nothing |
//! | `Refused` | not taken | so |
//! | `OutcomeUnknown` with `taken: false` | not taken (it may have been refused just before) | nothing |
//!
//! A message to several people can have both `Replied` and `Refused` records, with the `staffId` of each. A fault that
//! answers `ok` without obeying is a `Refused` with status 200 and the code it told: a lie that no bot can see through.
//!
//! So a body that comes twice is the bot's mistake, unless the call before it was refused or has an `OutcomeUnknown`, or
//! the bot was killed, or gave up, in the moment in which the answer was on its way to it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::Place;

/// A reply that came in and was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// The app whose bot replied.
    pub client_id: Arc<str>,
    /// The conversation it replied in. For a message to a person it is the private one in which that person was the last
    /// to speak with this app's bot; empty if there is none.
    pub conversation: Arc<str>,
    /// The way it came.
    pub via: Via,
    /// For a message to people: whom it reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staff_id: Option<Arc<str>>,
    /// Number of the call, from 1: the same in all records about it.
    pub call: u64,
    /// `processQueryKey` as answered, by which it can be recalled; none for a webhook's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// The body posted, as a whole.
    pub body: Value,
    /// `msgUuid` in the body.
    pub uuid: Option<String>,
    /// The same `msgUuid` was taken before on this session (webhook only).
    pub repeated: bool,
    /// Whether people see it: always, unless it is [`repeated`](Self::repeated) and the gateway honours `msgUuid`
    /// ([`honour_msg_uuid`](crate::SimulatorConfig::honour_msg_uuid)).
    pub posted: bool,
}

/// The ways of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Via {
    /// A session webhook.
    Webhook,
    /// `POST /v1.0/robot/oToMessages/batchSend`.
    People,
    /// `POST /v1.0/robot/groupMessages/send`.
    Group,
}

/// A call that ended so that its sender cannot know whether it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeUnknown {
    /// Number of the call.
    pub call: u64,
    /// Where.
    pub place: Place,
    /// The app, where known.
    pub client_id: Option<Arc<str>>,
    /// The conversation, where known.
    pub conversation: Option<Arc<str>>,
    /// `msgUuid` of the body, where it was read.
    pub uuid: Option<String>,
    /// Whether it was taken: then `Replied` records with the same [`call`](Self::call) stand before this one.
    pub taken: bool,
    /// What the sender got.
    pub told: Told,
}

/// What the sender of a call got in place of the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Told {
    /// The connection was reset.
    Reset,
    /// The connection was closed without an answer.
    Closed,
    /// An answer that says otherwise.
    Answer {
        /// Its HTTP status.
        status: u16,
    },
    /// Nothing: the sender closed the connection before an answer was ready, or the simulator stopped.
    Left,
}

impl Reply {
    /// `msgtype` of a webhook's body, `msgKey` of the OpenAPI's.
    pub fn msgtype(&self) -> &str {
        let name = if self.via == Via::Webhook { "msgtype" } else { "msgKey" };
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// `msgParam` of the OpenAPI's body, decoded.
    pub fn msg_param(&self) -> Option<Value> {
        serde_json::from_str(self.body.get("msgParam")?.as_str()?).ok()
    }

    /// The words of the reply: the text, the markdown or the card's text; the titles of a feed card, one a line. Empty
    /// for pictures, sound and files.
    pub fn text(&self) -> String {
        if let Some(param) = self.msg_param() {
            let words = param.get("content").or_else(|| param.get("text")).and_then(Value::as_str);
            return words.unwrap_or_default().to_owned();
        }
        let part = |path: &str| self.body.pointer(path).and_then(Value::as_str).map(str::to_owned);
        match self.msgtype() {
            "text" => part("/text/content").unwrap_or_default(),
            "markdown" => part("/markdown/text").unwrap_or_default(),
            "link" => part("/link/text").unwrap_or_default(),
            "actionCard" => part("/actionCard/text").unwrap_or_default(),
            "feedCard" => {
                let links = self.body.pointer("/feedCard/links").and_then(Value::as_array);
                let titles = links.into_iter().flatten().filter_map(|link| link.get("title")?.as_str());
                titles.collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        }
    }
}
