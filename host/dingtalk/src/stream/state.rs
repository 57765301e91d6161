//! What a connection says about itself.

use std::{sync::Arc, time::SystemTime};

use tokio::time::Instant;

use crate::{ConnectError, RegistrationError, Subscriptions};

/// The state of a [`StreamClient`](crate::StreamClient).
#[derive(Debug, Clone)]
pub enum ConnectionState {
    /// Nothing is subscribed, so nothing is connected.
    Idle,
    /// Registering or opening the WebSocket.
    Connecting {
        /// Counts from 1; starts over after a stable connection.
        attempt: u32,
    },
    /// Connected.
    Open {
        /// Host and port of the endpoint.
        endpoint: String,
        /// Since when.
        since: SystemTime,
        /// What was registered.
        subscriptions: Subscriptions,
    },
    /// An attempt failed; the next one follows by itself.
    Waiting {
        /// Why.
        error: StreamError,
        /// When the next attempt starts.
        until: Instant,
    },
    /// An attempt failed in a way that only a change of configuration can mend. Still retried, slowly.
    Misconfigured {
        /// Why.
        error: Arc<RegistrationError>,
        /// What to do.
        hint: String,
        /// When the next attempt starts.
        until: Instant,
    },
    /// The client has ended.
    Stopped,
}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Registration failed.
    #[error(transparent)]
    Registration(Arc<RegistrationError>),
    /// The WebSocket could not be opened.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// The WebSocket was open and ended.
    #[error("keep the connection: {0}")]
    Lost(String),
}

impl StreamError {
    /// What to do about it, as a sentence; empty where the next attempt is all there is to do.
    pub fn hint(&self) -> &str {
        match self {
            Self::Registration(error) => error.hint(),
            Self::Connect(error) => error.hint(),
            Self::Lost(_) => "",
        }
    }
}

/// Counters of a [`StreamClient`](crate::StreamClient) since its start, over all its sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStats {
    /// Frames read, of every kind.
    pub frames: u64,
    /// Frames handed to the receiver.
    pub pushes: u64,
    /// Pushes that came, handed over or not, repeated or not: what counts against the organisation's monthly quota (3 000 in
    /// the standard edition). SYSTEM frames are none.
    pub pushes_received: u64,
    /// Answers written, those from the read path included.
    pub acks: u64,
    /// Answers that came after their socket had died.
    pub acks_lost: u64,
    /// Messages that are not JSON.
    pub garbage: u64,
    /// Messages over the size limit, skipped.
    pub oversize: u64,
    /// Frames that are JSON but lack a part; answered 400 where they have an id.
    pub malformed: u64,
    /// Frames of topics not subscribed; answered 404.
    pub unknown_topics: u64,
    /// Synchronous callbacks answered 500 at once because too many were unanswered.
    pub overloaded: u64,
    /// How often reading stopped because too many pushes were unanswered.
    pub stalls: u64,
    /// Pushes now without an answer.
    pub unacked: u64,
    /// Sockets opened.
    pub opened: u64,
    /// Sockets opened after the first, in place of one that was lost or about to be closed.
    pub reconnects: u64,
    /// Sockets now open; two while one replaces the other.
    pub sockets: u64,
    /// `disconnect` frames of the gateway.
    pub disconnects: u64,
    /// Sockets lost without announcement.
    pub lost: u64,
    /// Sockets given up because the peer was silent.
    pub dead_peers: u64,
    /// Clock jumps noticed.
    pub clock_jumps: u64,
    /// Failed attempts to connect.
    pub failed_attempts: u64,
    /// When the last frame or pong came, in ms since 1970; 0 for never.
    pub last_inbound: u64,
    /// When the last frame came, in ms since 1970; 0 for never. DingTalk's own pings count, pongs do not: connections were
    /// seen that answered pings and delivered nothing. More than two minutes ago is suspicious, since the gateway pings every
    /// 20 to 30 s.
    pub last_frame_ms: u64,
}
