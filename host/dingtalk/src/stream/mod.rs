//! The connection that is always there: reconnects, overlaps, drains.

mod backoff;
mod clock;
mod connection;
mod counters;
mod liveness;
mod settings;
mod shared;
mod state;
mod supervisor;

pub(crate) use counters::Counters;
pub use settings::{Random, StreamSettings, WallClock};
pub use state::{ConnectionState, StreamError, StreamStats};

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use self::{shared::Shared, supervisor::Supervisor};
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

/// The counters of a [`StreamClient`], to be read anywhere and also after its end. Cheap to clone.
#[derive(Clone)]
pub struct StreamMeter {
    counters: Arc<Counters>,
    unacked: Arc<tokio::sync::Semaphore>,
    unacked_bound: usize,
}

/// A connection to the gateway that heals itself.
///
/// Dropping it closes the connection without waiting for acks; [`stop`](Self::stop) is the polite end.
pub struct StreamClient {
    state: watch::Receiver<ConnectionState>,
    meter: StreamMeter,
    stop: oneshot::Sender<Duration>,
    task: JoinHandle<()>,
}

impl StreamClient {
    /// Starts the connection task on the current tokio runtime. `subscriptions` may change at any time: the client then
    /// registers anew and switches over without a gap. If its sender is dropped the last value stays.
    ///
    /// The receiver yields `None` once the client has stopped. Dropping the receiver stops the client.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn spawn(
        app: AppConfig,
        transport: Transport,
        settings: StreamSettings,
        subscriptions: watch::Receiver<Subscriptions>,
    ) -> (Self, mpsc::Receiver<Push>) {
        let (shared, pushes) = Shared::new(app.client_id.clone(), settings);
        let (state_sender, state) = watch::channel(ConnectionState::Idle);
        let (stop, stop_receiver) = oneshot::channel();
        let meter = StreamMeter {
            counters: Arc::clone(&shared.counters),
            unacked: Arc::clone(&shared.unacked),
            unacked_bound: shared.unacked.available_permits(),
        };
        let supervisor = Supervisor::new(app, transport, shared, subscriptions, state_sender, stop_receiver);
        let task = tokio::spawn(supervisor.run());
        (Self { state, meter, stop, task }, pushes)
    }

    /// The state of the connection, to watch.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.state.clone()
    }

    /// Counters since the start.
    pub fn stats(&self) -> StreamStats {
        self.meter.stats()
    }

    /// The counters, for whoever shows them without holding the client.
    pub fn meter(&self) -> StreamMeter {
        self.meter.clone()
    }

    /// Reads no more, lets outstanding acks leave for at most `grace`, then closes with a close frame.
    pub async fn stop(self, grace: Duration) {
        let Self { stop, task, .. } = self;
        let _ = stop.send(grace.min(shared::MAX_TIME));
        // It ends by itself within the grace and a second; a failure of the task is no reason to fail here.
        let _ = task.await;
    }
}

impl StreamMeter {
    /// Counters since the start.
    pub fn stats(&self) -> StreamStats {
        let unacked = self.unacked_bound.saturating_sub(self.unacked.available_permits());
        self.counters.snapshot(unacked as u64)
    }
}

impl fmt::Debug for StreamMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

impl fmt::Debug for StreamClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamClient").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The data of a bot message holds the session webhook, a secret.
        f.debug_struct("Push")
            .field("topic", &self.topic)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}
