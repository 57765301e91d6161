//! What is pushed to a bot other than chat messages, and the acks that come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The topics of DingTalk Stream Mode.
pub mod topic {
    /// `EVENT`: all subscribed events of the organisation.
    pub const EVENT: &str = "*";
    /// `CALLBACK`: a message to the bot.
    pub const BOT_MESSAGE: &str = "/v1.0/im/bot/messages/get";
    /// `CALLBACK`: a delegated message.
    pub const BOT_DELEGATE: &str = "/v1.0/im/bot/messages/delegate";
    /// `CALLBACK`: a button of an interactive card.
    pub const CARD_CALLBACK: &str = "/v1.0/card/instances/callback";
    /// `CALLBACK`: a card asks for its dynamic data.
    pub const CARD_DYNAMIC_DATA: &str = "/v1.0/card/dynamicData/get";
    /// `CALLBACK`: an AI assistant's plugin call.
    pub const GRAPH: &str = "/v1.0/graph/api/invoke";
    /// `CALLBACK`: an action of a DingTalk connector.
    pub const IPAAS: &str = "/v1.0/ipaas/proxy/callback";
}

/// The `type` of a frame that is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FrameType {
    /// Something happened in the organisation.
    Event,
    /// A message or a request.
    Callback,
}

/// A frame to push. It is sent again while unacked, under a new `headers.messageId` and with unchanged data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Push {
    /// The app meant; `None` as in [`Say::client_id`](crate::Say::client_id).
    #[serde(default)]
    pub client_id: Option<String>,
    /// `type` of the frame.
    #[serde(rename = "type")]
    pub frame_type: FrameType,
    /// `headers.topic` of the frame.
    pub topic: String,
    /// Further headers, such as those of an event. Always strings, as on the real gateway.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// `data`, before it becomes a JSON text. A string is taken as the text itself.
    pub data: Value,
    /// Push it even to a connection that has not subscribed the topic. The real gateway does not.
    #[serde(default)]
    pub unsubscribed: bool,
}

impl Push {
    /// A callback of any topic.
    pub fn callback(topic: impl Into<String>, data: Value) -> Self {
        Self {
            client_id: None,
            frame_type: FrameType::Callback,
            topic: topic.into(),
            headers: BTreeMap::new(),
            data,
            unsubscribed: false,
        }
    }

    /// An event of the organisation: `event_type` such as `user_add_org`, with a fresh `eventId`.
    pub fn event(event_type: &str, data: Value) -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let headers = [
            ("eventType", event_type.to_owned()),
            ("eventId", id),
            ("eventCorpId", crate::payload::CORP_ID.to_owned()),
            ("eventBornTime", crate::clock::wall_ms().to_string()),
            ("eventUnifiedAppId", crate::payload::UNIFIED_APP_ID.to_owned()),
        ];
        Self {
            client_id: None,
            frame_type: FrameType::Event,
            topic: topic::EVENT.to_owned(),
            headers: headers.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
            data,
            unsubscribed: false,
        }
    }

    /// A person pressed a button of the card `out_track_id`.
    pub fn card_action(out_track_id: &str, user_id: &str, action_ids: &[&str], params: Value) -> Self {
        let content = json!({"cardPrivateData": {"actionIds": action_ids, "params": params}});
        Self::callback(
            topic::CARD_CALLBACK,
            json!({
                "type": "actionCallback",
                "outTrackId": out_track_id,
                "corpId": crate::payload::CORP_ID,
                "userId": user_id,
                "userIdType": 1,
                "spaceId": user_id,
                "spaceType": "IM",
                "extension": "{}",
                "content": content.to_string(),
            }),
        )
    }

    /// A card asks for the data of its sources.
    pub fn card_dynamic_data(out_track_id: &str, user_id: &str, source_ids: &[&str]) -> Self {
        let requests: Vec<Value> = source_ids.iter().map(|id| json!({"dynamicDataSourceId": id})).collect();
        Self::callback(
            topic::CARD_DYNAMIC_DATA,
            json!({
                "type": "dynamicDataCallback",
                "corpId": crate::payload::CORP_ID,
                "userId": user_id,
                "outTrackId": out_track_id,
                "content": json!({"dynamicDataSourceQueryRequests": requests}).to_string(),
            }),
        )
    }

    /// An AI assistant calls a plugin of the app; `body` becomes a JSON text.
    pub fn graph(method: &str, uri: &str, body: &Value) -> Self {
        Self::callback(
            topic::GRAPH,
            json!({
                "requestLine": {"method": method, "uri": uri},
                "headers": {"x-plugin-id": "plugin-1", "x-plugin-version": "1.0.0", "x-ability-key": "ability-1"},
                "body": body.to_string(),
            }),
        )
    }

    /// A DingTalk connector runs an action over Stream, in the 2.0 shape.
    pub fn ipaas(plugin_name: &str, data: Value) -> Self {
        Self::callback(topic::IPAAS, json!({"specVersion": "2.0", "pluginName": plugin_name, "data": data}))
    }

    /// The same for one app.
    #[must_use]
    pub fn to(self, client_id: impl Into<String>) -> Self {
        Self { client_id: Some(client_id.into()), ..self }
    }

    /// The same, even to connections that did not subscribe the topic.
    #[must_use]
    pub fn unsubscribed(self) -> Self {
        Self { unsubscribed: true, ..self }
    }
}

/// The answer of a bot to one pushed frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acked {
    /// The app.
    pub client_id: Arc<str>,
    /// `connectionId` of the socket the ack came on, which may be another one than the frame went out on.
    pub connection: Arc<str>,
    /// The push's number, as in [`Pushed::push`].
    pub push: u64,
    /// Its topic.
    pub topic: Arc<str>,
    /// Its `msgId` or `eventId`; empty for other callbacks.
    pub id: Arc<str>,
    /// `headers.messageId` of the frame acked.
    pub message_id: Arc<str>,
    /// Which delivery of the push it was, from 1.
    pub attempt: u32,
    /// How often this very frame has been acked now. More than 1 is a mistake of the bot.
    pub nth: u32,
    /// `code` of the ack; 0 when missing.
    pub code: i64,
    /// `message` of the ack.
    pub message: String,
    /// `data` of the ack, a JSON text as sent.
    pub data: String,
}

impl Acked {
    /// `response` in the ack's data, if there is one.
    pub fn response(&self) -> Option<Value> {
        let mut data: Value = serde_json::from_str(&self.data).ok()?;
        data.get_mut("response").map(Value::take)
    }

    /// `status` in the ack's data (`SUCCESS` or `LATER` for events).
    pub fn status(&self) -> Option<String> {
        let data: Value = serde_json::from_str(&self.data).ok()?;
        data.get("status")?.as_str().map(str::to_owned)
    }
}

/// The names of something pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pushed {
    /// Number of the push in this simulator; the same in all records about it.
    pub push: u64,
    /// `msgId` or `eventId`; empty for other callbacks.
    pub id: Arc<str>,
}

/// Why [`Simulator::call`](crate::Simulator::call) has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody acked in time. The push stays pending.
    #[error("no ack within {0:?}")]
    Late(std::time::Duration),
    /// The push was given up: topic not subscribed, too many deliveries, or the limit of pending pushes.
    #[error("the push was dropped: {0}")]
    Dropped(String),
}
