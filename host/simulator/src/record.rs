//! What happened: an append-only list that tests and tools read.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::card::CardStep;
use crate::fault::{FaultId, Place};
use crate::media::Upload;
use crate::push::{Acked, FrameType};
use crate::reply::{OutcomeUnknown, Reply};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its place in the list, from 1, without gaps.
    pub seq: u64,
    /// Real time, microseconds since 1970.
    pub at_us: u64,
    /// What it was.
    pub what: Happening,
}

/// The things that are recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Happening {
    /// A registration was granted and a ticket given out.
    Registered {
        /// The app.
        client_id: Arc<str>,
        /// `ua` of the request.
        ua: String,
        /// `Accept` header of the request; the real gateway answers XML without `application/json`.
        accept: String,
        /// What it subscribed.
        subscriptions: Vec<Subscription>,
    },
    /// A WebSocket was opened with a ticket.
    Opened {
        /// The app.
        client_id: Arc<str>,
        /// `connectionId` of the socket.
        connection: Arc<str>,
    },
    /// A `disconnect` frame went out; nothing is pushed to this socket any more.
    Disconnecting {
        /// The app.
        client_id: Arc<str>,
        /// The socket.
        connection: Arc<str>,
        /// `reason` in the frame.
        reason: String,
    },
    /// A WebSocket is gone.
    Closed {
        /// The app.
        client_id: Arc<str>,
        /// The socket.
        connection: Arc<str>,
        /// Who ended it.
        by: ClosedBy,
        /// Code of the peer's close frame.
        code: Option<u16>,
        /// Why, in words.
        reason: String,
    },
    /// A frame was put on a socket.
    Sent(Sent),
    /// A push has no connection to go to and waits for one.
    Held {
        /// The app; empty when no app is known yet.
        client_id: Arc<str>,
        /// Number of the push.
        push: u64,
        /// `msgId` or `eventId`.
        id: Arc<str>,
    },
    /// A push was given up.
    Dropped {
        /// The app.
        client_id: Arc<str>,
        /// Number of the push.
        push: u64,
        /// `msgId` or `eventId`.
        id: Arc<str>,
        /// Why.
        reason: String,
    },
    /// A pushed frame was acked.
    Acked(Acked),
    /// A text came in that answers no known frame: no JSON object, or an unknown `messageId`.
    Stray {
        /// The app.
        client_id: Arc<str>,
        /// The socket.
        connection: Arc<str>,
        /// Its first 1 000 characters.
        text: String,
    },
    /// A `SYSTEM` frame (`ping`, `disconnect`) was answered.
    SystemAcked {
        /// The app.
        client_id: Arc<str>,
        /// The socket.
        connection: Arc<str>,
        /// Topic of the frame answered.
        topic: Arc<str>,
        /// `code` of the answer.
        code: i64,
        /// For a ping: whether the answer's data holds the `opaque` of the ping. True for other topics.
        echoed: bool,
    },
    /// The peer sent a WebSocket ping (answered with a pong unless the socket is silent).
    PeerPing {
        /// The app.
        client_id: Arc<str>,
        /// The socket.
        connection: Arc<str>,
    },
    /// A reply was taken, by a session webhook or the OpenAPI. A message to several people is one such record for
    /// each whom it reached.
    Replied(Reply),
    /// A card was made or changed.
    Card(CardStep),
    /// Messages were taken back.
    Recalled {
        /// The app.
        client_id: Arc<str>,
        /// The group; empty for messages to people.
        conversation: Arc<str>,
        /// The keys of those that are gone, as in [`Reply::key`].
        keys: Vec<String>,
        /// Number of the call.
        call: u64,
    },
    /// A bot was told where a file lies.
    Located {
        /// The app.
        client_id: Arc<str>,
        /// The download code.
        code: String,
        /// Number of the call.
        call: u64,
    },
    /// A file was fetched.
    Fetched {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A file was uploaded.
    Uploaded(Upload),
    /// A request that wanted to reply ended so that its sender cannot know whether it was taken.
    OutcomeUnknown(OutcomeUnknown),
    /// A request was refused.
    Refused {
        /// Where.
        place: Place,
        /// The app, where known.
        client_id: Option<Arc<str>>,
        /// The conversation, where known.
        conversation: Option<Arc<str>>,
        /// HTTP status answered.
        status: u16,
        /// The error code answered, such as `authFailed` or `300001`.
        code: String,
        /// Why, in words.
        reason: String,
        /// Number of the call, at a webhook and the OpenAPI: the same as [`Reply::call`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<u64>,
        /// `msgUuid` of the reply refused, where it was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uuid: Option<String>,
        /// The person refused, where one of several was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        staff_id: Option<Arc<str>>,
    },
    /// An access token was given out.
    Token {
        /// The app.
        client_id: Arc<str>,
    },
    /// An ack came in and was lost by a fault at [`Place::Ack`]: the push is sent again as if there had been none.
    AckLost {
        /// The app.
        client_id: Arc<str>,
        /// The socket.
        connection: Arc<str>,
        /// Number of the push.
        push: u64,
        /// `msgId` or `eventId`.
        id: Arc<str>,
        /// `headers.messageId` of the frame acked.
        message_id: Arc<str>,
        /// `code` of the ack.
        code: i64,
    },
    /// The simulator began. Always the first record.
    Started {
        /// What decides its draws.
        seed: u64,
    },
    /// A fault struck.
    Fault {
        /// Which.
        fault: FaultId,
        /// Where.
        place: Place,
        /// The app, where known.
        client_id: Option<Arc<str>>,
    },
}

/// A frame that was put on a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// The app.
    pub client_id: Arc<str>,
    /// The socket.
    pub connection: Arc<str>,
    /// Number of the push.
    pub push: u64,
    /// Its topic.
    pub topic: Arc<str>,
    /// `msgId` or `eventId`; empty for other callbacks.
    pub id: Arc<str>,
    /// `headers.messageId`, new for every delivery.
    pub message_id: Arc<str>,
    /// Which delivery of the push this is, from 1.
    pub attempt: u32,
}

/// Who ended a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClosedBy {
    /// The bot, with a close frame.
    Client,
    /// The bot, without a close frame: the connection broke.
    Lost,
    /// The simulator.
    Gateway,
}

/// One entry of a registration's `subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// `EVENT`, `CALLBACK` or `SYSTEM`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The topic.
    pub topic: String,
}

impl Subscription {
    pub(crate) fn covers(&self, frame_type: FrameType, topic: &str) -> bool {
        let kind = match frame_type {
            FrameType::Event => "EVENT",
            FrameType::Callback => "CALLBACK",
        };
        self.kind == kind && (self.topic == topic || (frame_type == FrameType::Event && self.topic == "*"))
    }
}

/// A part of the list of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The records, oldest first.
    pub records: Vec<Arc<Record>>,
    /// What to ask for next: the number after the last record of this page.
    pub next: u64,
    /// How many records asked for are already forgotten.
    pub missed: u64,
}

/// Counters since the start. They never go back, and unlike records are never forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Registrations granted.
    pub registrations: u64,
    /// WebSockets opened.
    pub opened: u64,
    /// WebSockets open now, draining ones included.
    pub open: u64,
    /// The most WebSockets of one app that were open at the same time.
    pub max_open: u64,
    /// Pushes asked for.
    pub pushes: u64,
    /// Frames sent, deliveries after the first included.
    pub sent: u64,
    /// Deliveries after the first.
    pub redelivered: u64,
    /// Acks that answered a frame for the first time.
    pub acked: u64,
    /// Acks of a frame already acked.
    pub acked_again: u64,
    /// Texts that answered nothing.
    pub strays: u64,
    /// Pushes given up.
    pub dropped: u64,
    /// Pushes neither acked nor given up.
    pub pending: u64,
    /// Replies taken, repeated ones included.
    pub replies: u64,
    /// Replies taken under a `msgUuid` seen before.
    pub replies_repeated: u64,
    /// Replies taken that came through the OpenAPI; one for each person reached.
    pub replies_openapi: u64,
    /// Calls of the OpenAPI that were counted against the month's number.
    pub api_calls: u64,
    /// Messages pushed to bots (once each) and calls of webhooks, as counted against the month's number.
    pub messages: u64,
    /// Access tokens given out.
    pub tokens: u64,
    /// Requests whose sender cannot know whether they were taken.
    pub outcomes_unknown: u64,
    /// Acks lost by a fault.
    pub acks_lost: u64,
    /// Requests refused.
    pub refused: u64,
    /// Faults that struck.
    pub faults: u64,
}

/// Nothing that fits was recorded in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing of the kind was recorded within {waited:?}; the last records were:\n{tail}")]
pub struct NotSeen {
    /// How long was waited.
    pub waited: Duration,
    /// The newest records as JSON, one a line, to see what happened instead.
    pub tail: String,
}
