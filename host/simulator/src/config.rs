//! How a simulator is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of a [`Simulator`](crate::Simulator). All durations are in *simulated* time: with
/// [`speed`](Self::speed) 60 a duration of one minute passes in one second.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// Where to listen. The default, `127.0.0.1:0`, lets the system choose a free port.
    pub bind: SocketAddr,
    /// Which apps may register.
    pub credentials: Credentials,
    /// Simulated seconds per real second, above 0. Only durations are shortened; every time stamp the
    /// simulator writes is the real wall clock, so that a peer's own clock agrees with it.
    pub speed: f64,
    /// How long a session webhook lives after the newest message of its conversation.
    /// 90 minutes in all known captures.
    pub webhook_ttl: Duration,
    /// How long a registration's ticket may be used. 90 seconds in DingTalk's protocol text.
    pub ticket_ttl: Duration,
    /// When a push without an ack is sent again. About 60 s in the field.
    pub redeliver_after: Duration,
    /// How often a push is sent at most; after that it is given up (recorded as dropped). At least 1.
    pub max_deliveries: u32,
    /// Time between two `SYSTEM`/`ping` frames on a connection. 20 to 30 s in the field.
    pub ping_every: Duration,
    /// Time between a `disconnect` frame and the gateway closing that socket. 10 s in DingTalk's protocol text.
    pub close_after_disconnect: Duration,
    /// How many replies a session webhook takes per minute before errcode 130101. `None`: no limit.
    pub webhook_per_minute: Option<u32>,
    /// Whether a second reply with the same `msgUuid` on one session is answered with success but not
    /// shown to anybody (it is recorded either way). Undocumented for session webhooks, hence off.
    /// [`Simulator::set_honour_msg_uuid`](crate::Simulator::set_honour_msg_uuid) changes it while running.
    pub honour_msg_uuid: bool,
    /// How long an access token is valid after it was last asked for. 7 200 s in DingTalk's documentation.
    pub token_ttl: Duration,
    /// How many calls a second each app may make of each OpenAPI path before HTTP 403
    /// `Forbidden.AccessDenied.QpsLimitForAppkeyAndApi`: 20 in DingTalk's documentation. `None`: no limit.
    pub api_per_second: Option<u32>,
    /// How many OpenAPI calls all apps together may make before HTTP 403 `Forbidden.AccessDenied.ApiCountLimitForOrg`:
    /// 5 000 a month in the standard edition. Token calls are not counted. `None`: no limit.
    pub api_calls_per_month: Option<u64>,
    /// How many messages to bots and replies through webhooks all apps together may have before messages come without
    /// their content and with `errorCode` 20001, and webhooks answer errcode 90030: 3 000 a month in the standard
    /// edition. `None`: no limit.
    pub messages_per_month: Option<u64>,
    /// Decides every draw: which connection gets a push, and whether a fault with a chance strikes. With the same seed,
    /// the n-th occurrence at the n-th fault added draws the same. `None`: a seed of its own, see
    /// [`Simulator::seed`](crate::Simulator::seed). Names (`msgId`, sessions, tickets, tokens) never come from the seed,
    /// so that two runs are never taken for one.
    pub seed: Option<u64>,
    /// The records kept; beyond this or [`max_record_bytes`](Self::max_record_bytes) the oldest are forgotten,
    /// which readers notice by the `missed` count of a page.
    pub max_records: usize,
    /// Approximate bytes of records kept.
    pub max_record_bytes: usize,
    /// Pushes kept until acked or given up. At the limit the oldest is given up (recorded as dropped).
    pub max_pending: usize,
    /// Frames waiting to be written to one socket. A push that finds the queue full is not sent; it is
    /// tried again like one without an ack.
    pub max_queued_frames: usize,
    /// Sessions (conversations of an app) kept. At the limit the oldest is forgotten; its webhook answers 300001.
    pub max_sessions: usize,
    /// Cards kept, of at most 64 MiB of variables in all. At the limit the oldest is forgotten: for its bot it does not
    /// exist.
    pub max_cards: usize,
    /// Sockets accepted at one time; further ones are closed at once.
    pub max_sockets: usize,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            credentials: Credentials::Any,
            speed: 1.0,
            webhook_ttl: Duration::from_secs(90 * 60),
            ticket_ttl: Duration::from_secs(90),
            redeliver_after: Duration::from_secs(60),
            max_deliveries: 5,
            ping_every: Duration::from_secs(25),
            close_after_disconnect: Duration::from_secs(10),
            webhook_per_minute: None,
            honour_msg_uuid: false,
            token_ttl: Duration::from_secs(7_200),
            api_per_second: None,
            api_calls_per_month: None,
            messages_per_month: None,
            seed: None,
            max_records: 200_000,
            max_record_bytes: 64 << 20,
            max_pending: 100_000,
            max_queued_frames: 65_536,
            max_sessions: 100_000,
            max_cards: 10_000,
            max_sockets: 4_096,
        }
    }
}

/// What the gateway allows, changed while running by [`Simulator::set_limits`](crate::Simulator::set_limits). `None`
/// everywhere: no limit. A limit of 0 refuses everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// As [`SimulatorConfig::webhook_per_minute`].
    pub webhook_per_minute: Option<u32>,
    /// As [`SimulatorConfig::api_per_second`].
    pub api_per_second: Option<u32>,
    /// As [`SimulatorConfig::api_calls_per_month`].
    pub api_calls_per_month: Option<u64>,
    /// As [`SimulatorConfig::messages_per_month`].
    pub messages_per_month: Option<u64>,
}

/// Who may register and fetch a token.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Every pair of a non-empty client id and a non-empty secret.
    Any,
    /// These apps only; another id or a wrong secret is answered with 401 `authFailed`. The first is the
    /// app that a push without a client id goes to.
    List(Vec<Credential>),
}

/// The id and secret of one app. They guard nothing but a simulator, so they are plain text here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    /// The app's ClientID (AppKey).
    pub client_id: String,
    /// The app's ClientSecret (AppSecret).
    pub client_secret: String,
}

impl Credential {
    /// A credential from its two parts.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), client_secret: client_secret.into() }
    }
}
