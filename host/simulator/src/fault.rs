//! Misbehaviour on demand.
//!
//! A [`Fault`] names a place, what goes wrong there, and how often. Faults are looked at in the order they were
//! added; at each occurrence the first one that fits its place and app, still has a count left and wins its
//! draw is taken, and no other.
//!
//! | Place | Actions that mean something there |
//! |---|---|
//! | [`Place::Registration`] | `Pass`, `Answer`, `Redirect`, `Reset`, `ResetAfter`, `Close`, `Silence` (never answer) |
//! | [`Place::Token`] | the same |
//! | [`Place::Connect`] | the same, but `Silence`: accept the socket, then never send, read or pong; `Disconnect` (as soon as it is open) |
//! | [`Place::Push`] | `Pass`, `Duplicate`, `Drop`, `Text`, `Reset`, `Close`, `Silence` (of the socket chosen for the push) |
//! | [`Place::Ack`] | `Drop` (the ack is lost), `Reset` (it is lost, and the socket with it) |
//! | [`Place::Webhook`] | as [`Place::Registration`], and `Errcode`; with `Reset` the body is not even read |
//! | [`Place::OpenApi`] | as [`Place::Registration`], and `InvalidStaff`, `FlowControlled` |
//! | [`Place::Card`] | as [`Place::Registration`], and `Undelivered` |
//! | [`Place::Media`] | as [`Place::Registration`], and `Errcode` for uploads |
//! | [`Place::Recall`], [`Place::File`] | as [`Place::Registration`] |
//!
//! An action that means nothing at its place is refused by [`Fault::check`].
//!
//! # Before or after
//!
//! An HTTP request that meets a fault is not obeyed, unless the fault says [`obey_first`](Fault::obey_first): then it is
//! obeyed, and only then the delay passes and the action follows. So a 500 *before* leaves nothing behind, and a 500
//! *after* leaves a reply in the conversation that its sender cannot know of. `Pass` is obeyed either way: before its
//! delay or after it. A sender that gives up during a delay *before* has sent nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Something that shall go wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub action: Action,
    /// Real milliseconds to wait first.
    #[serde(default)]
    pub delay_ms: u64,
    /// How many times; `None`: until cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// Chance of each occurrence, 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Only for this app.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Only for this conversation, at [`Place::Webhook`], [`Place::OpenApi`] and [`Place::Card`].
    #[serde(default)]
    pub conversation: Option<String>,
    /// Obey the request before the delay and the action; HTTP requests only.
    #[serde(default)]
    pub obey_first: bool,
}

fn always() -> f64 {
    1.0
}

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// `POST /v1.0/gateway/connections/open`.
    Registration,
    /// The WebSocket handshake at `/connect`.
    Connect,
    /// A frame about to be pushed.
    Push,
    /// `POST /robot/sendBySession`.
    Webhook,
    /// `POST /v1.0/oauth2/accessToken` and `GET /gettoken`.
    Token,
    /// `POST /v1.0/robot/oToMessages/batchSend` and `POST /v1.0/robot/groupMessages/send`.
    OpenApi,
    /// `POST /v1.0/card/instances/createAndDeliver`, `PUT /v1.0/card/instances` and `PUT /v1.0/card/streaming`.
    Card,
    /// `POST /v1.0/robot/otoMessages/batchRecall` and `POST /v1.0/robot/groupMessages/recall`.
    Recall,
    /// `POST /v1.0/robot/messageFiles/download` and `POST /media/upload`.
    Media,
    /// A file that is fetched from the address that was told.
    File,
    /// A bot's ack of a push has come in.
    Ack,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// Nothing but the delay.
    Pass,
    /// An HTTP answer in place of the real one.
    Answer {
        /// HTTP status, 200 to 599.
        status: u16,
        /// Body, sent as it is.
        #[serde(default)]
        body: String,
        /// `Content-Type`.
        #[serde(default = "json_type")]
        content_type: String,
        /// `Retry-After` in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// HTTP 200 with this `errcode`.
    Errcode {
        /// The code.
        errcode: i64,
        /// The words.
        #[serde(default)]
        errmsg: String,
        /// Write the code as a string, as DingTalk's documentation does.
        #[serde(default)]
        as_string: bool,
    },
    /// A redirect to another address.
    Redirect {
        /// 301, 302, 307 or 308.
        status: u16,
        /// `Location`.
        location: String,
    },
    /// The TCP connection is reset (RST); the request is not obeyed, and a webhook's body not even read.
    Reset,
    /// The request is read and obeyed, then the TCP connection is reset instead of an answer.
    ResetAfter,
    /// The connection is closed in the ordinary way (FIN; a close frame on a WebSocket) without an answer.
    Close,
    /// The socket stays open, but nothing is sent or read any more.
    Silence,
    /// The new connection is told `disconnect` at once: with [`Fault::times`] a storm of as many.
    Disconnect {
        /// `reason` in the frame.
        #[serde(default)]
        reason: String,
    },
    /// These people of a call come back in `invalidStaffIdList` and get nothing.
    InvalidStaff {
        /// Who; empty: all of the call.
        #[serde(default)]
        staff_ids: Vec<String>,
    },
    /// These people of a call come back in `flowControlledStaffIdList` and get nothing.
    FlowControlled {
        /// Who; empty: all of the call.
        #[serde(default)]
        staff_ids: Vec<String>,
    },
    /// The card is created, but delivered to nobody: HTTP 200 with `success: false` in `deliverResults`.
    Undelivered {
        /// `errorMsg`.
        #[serde(default)]
        reason: String,
    },
    /// The push is sent twice, under two `messageId`s.
    Duplicate,
    /// The push is not sent this time; it is tried again like one without an ack.
    Drop,
    /// This text is sent as a WebSocket message before the push.
    Text {
        /// The message.
        text: String,
    },
}

fn json_type() -> String {
    "application/json".to_owned()
}

impl Fault {
    /// A fault at a place, every time until cleared.
    pub fn new(place: Place, action: Action) -> Self {
        Self {
            place,
            action,
            delay_ms: 0,
            times: None,
            probability: 1.0,
            client_id: None,
            conversation: None,
            obey_first: false,
        }
    }

    /// The same, but only so many times.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// The same, after a wait.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), ..self }
    }

    /// The same with a chance of striking.
    #[must_use]
    pub fn probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    /// The same for one app.
    #[must_use]
    pub fn only(self, client_id: impl Into<String>) -> Self {
        Self { client_id: Some(client_id.into()), ..self }
    }

    /// The same for one conversation.
    #[must_use]
    pub fn in_conversation(self, conversation: impl Into<String>) -> Self {
        Self { conversation: Some(conversation.into()), ..self }
    }

    /// The same, but what was asked is done first.
    #[must_use]
    pub fn obeyed_first(self) -> Self {
        Self { obey_first: true, ..self }
    }

    /// A slow answer.
    pub fn slow(place: Place, delay: Duration) -> Self {
        Self::new(place, Action::Pass).after(delay)
    }

    /// An HTTP status with a JSON body.
    pub fn status(place: Place, status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::new(place, Action::Answer { status, body, content_type: json_type(), retry_after: None })
    }

    /// Registration refused as for a wrong id or secret (field: HTTP 401 `authFailed`).
    pub fn wrong_credentials() -> Self {
        Self::status(Place::Registration, 401, crate::gateway::AUTH_FAILED)
    }

    /// Registration refused as for an unpublished app or one not in Stream mode (field: HTTP 400).
    pub fn not_stream_mode() -> Self {
        let body = r#"{"code":"invalidParameter","requestid":"1C0A7F3E-5D0B-7A43-9E0B-6F1D2C3B4A59","message":"the app is not published or its message mode is not Stream"}"#;
        Self::status(Place::Registration, 400, body)
    }

    /// More than 20 calls a second for this app and API.
    pub fn too_many_calls(place: Place) -> Self {
        let body = r#"{"code":"Forbidden.AccessDenied.QpsLimitForAppkeyAndApi","requestid":"2D1B8E4F-6E1C-7B54-8F1C-7A2E3D4C5B6A","message":"the call frequency limit was exceeded"}"#;
        Self::status(place, 403, body)
    }

    /// The organisation's monthly number of API calls is used up.
    pub fn quota_used_up(place: Place) -> Self {
        let body = r#"{"code":"Forbidden.AccessDenied.ApiCountLimitForOrg","requestid":"3E2C9F50-7F2D-7C65-902D-8B3F4E5D6C7B","message":"the organisation's API calls of this month are used up"}"#;
        Self::status(place, 403, body)
    }

    /// The ban of an address that called too often: HTTP 200, a body of another shape.
    pub fn address_banned(place: Place, wait_seconds: u64) -> Self {
        let body = format!(
            r#"{{"status":1111,"wait":{wait_seconds},"source":"x5","punish":"deny","uuid":"6f3f0c0f5d6e4d0b"}}"#
        );
        Self::status(place, 200, body)
    }

    /// HTTP 429 that asks for so many seconds of patience.
    pub fn retry_after(place: Place, seconds: u64) -> Self {
        let body = r#"{"code":"Throttling","requestid":"4F3D0A61-8A3E-7D76-813E-9C4A5F6E7D8C","message":"too many requests"}"#;
        Self::new(
            place,
            Action::Answer {
                status: 429,
                body: body.into(),
                content_type: json_type(),
                retry_after: Some(seconds),
            },
        )
    }

    /// A session that has ended although its time is not over (errcode 300001).
    pub fn session_gone() -> Self {
        Self::errcode(300_001, "session 不存在")
    }

    /// There is no such card template.
    pub fn template_unknown() -> Self {
        let body = r#"{"code":"param.templateNotExist","requestid":"5A4E1B72-9B4F-7E87-924F-0D5B6A7F8E9D","message":"the card template does not exist"}"#;
        Self::status(Place::Card, 400, body)
    }

    /// HTTP 200 without a body.
    pub fn empty(place: Place) -> Self {
        Self::status(place, 200, "")
    }

    /// A proxy's HTML page.
    pub fn html(place: Place, status: u16) -> Self {
        let body =
            "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>";
        Self::new(
            place,
            Action::Answer { status, body: body.into(), content_type: "text/html".into(), retry_after: None },
        )
    }

    /// A webhook's refusal.
    pub fn errcode(errcode: i64, errmsg: impl Into<String>) -> Self {
        Self::new(Place::Webhook, Action::Errcode { errcode, errmsg: errmsg.into(), as_string: false })
    }

    /// Whether the fault makes sense.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(format!("probability {} is not between 0 and 1", self.probability));
        }
        match &self.action {
            Action::Answer { status, .. } if !(200..=599).contains(status) => {
                return Err(format!("status {status} is not between 200 and 599"));
            }
            Action::Redirect { status, .. } if !matches!(status, 301 | 302 | 303 | 307 | 308) => {
                return Err(format!("status {status} is not a redirect: use 301, 302, 303, 307 or 308"));
            }
            _ => {}
        }
        let http = !matches!(self.place, Place::Push | Place::Ack | Place::Connect);
        let replies = matches!(self.place, Place::Webhook | Place::OpenApi | Place::Card);
        if self.obey_first && !http {
            return Err(format!("obeyFirst means nothing at {:?}: it is for HTTP requests", self.place));
        }
        if self.conversation.is_some() && !replies {
            return Err(format!(
                "conversation means nothing at {:?}: use webhook, openApi or card",
                self.place
            ));
        }
        if self.delay_ms > 0 && self.place == Place::Ack {
            return Err("a delay means nothing at ack: it is lost or not".to_owned());
        }
        let fits = match (&self.action, self.place) {
            (Action::Drop | Action::Reset, Place::Ack) => true,
            (_, Place::Ack) => false,
            (Action::Pass | Action::Reset | Action::Close | Action::Silence, _) => true,
            (Action::Duplicate | Action::Drop | Action::Text { .. }, Place::Push) => true,
            (_, Place::Push) => false,
            (Action::Answer { .. } | Action::Redirect { .. } | Action::ResetAfter, _) => true,
            (Action::Disconnect { .. }, Place::Connect) => true,
            (Action::Errcode { .. }, Place::Webhook | Place::Media) => true,
            (Action::Undelivered { .. }, Place::Card) => true,
            (Action::InvalidStaff { .. } | Action::FlowControlled { .. }, Place::OpenApi) => true,
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(format!(
                "action {:?} means nothing at {:?}: see the table in the fault module",
                self.action, self.place
            ))
        }
    }
}

/// Names one fault that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

/// How sockets are cut by [`Simulator::drop_sockets`](crate::Simulator::drop_sockets).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cut {
    /// TCP RST.
    Reset,
    /// TCP FIN without a close frame.
    Abrupt,
    /// A WebSocket close frame, then FIN.
    Clean,
    /// Nothing visible: the socket stays open, but is neither read nor written any more.
    Silence,
}
