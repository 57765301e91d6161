//! What all sockets of one client have in common.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Semaphore, mpsc};

use super::{Counters, Push, StreamSettings};

pub(super) struct Shared {
    /// ClientID, to tell the apps of one process apart in the log.
    pub client_id: String,
    pub settings: StreamSettings,
    pub counters: Arc<Counters>,
    /// One permit per bot message or event without an ack.
    pub unacked: Arc<Semaphore>,
    /// One permit per synchronous callback without an ack.
    pub synchronous: Arc<Semaphore>,
    /// Has room for all permits of both semaphores, so that a push with a permit never waits.
    pub pushes: mpsc::Sender<Push>,
}

impl Shared {
    pub(super) fn new(client_id: String, settings: StreamSettings) -> (Arc<Self>, mpsc::Receiver<Push>) {
        let settings = within_reason(settings);
        let bound = settings.unacked.clamp(1, Semaphore::MAX_PERMITS / 4);
        let (pushes, receiver) = mpsc::channel(bound * 2);
        let shared = Self {
            counters: Arc::default(),
            unacked: Arc::new(Semaphore::new(bound)),
            synchronous: Arc::new(Semaphore::new(bound)),
            pushes,
            client_id,
            settings,
        };
        (Arc::new(shared), receiver)
    }
}

/// Keeps every time between bounds for which the arithmetic on instants cannot overflow and no timer spins.
fn within_reason(settings: StreamSettings) -> StreamSettings {
    let time = |value: Duration| value.clamp(Duration::from_millis(1), MAX_TIME);
    StreamSettings {
        ping_every: time(settings.ping_every),
        dead_after: time(settings.dead_after),
        suspect_after: time(settings.suspect_after),
        clock_check: time(settings.clock_check),
        drain: time(settings.drain),
        drain_quiet: time(settings.drain_quiet),
        backoff_base: time(settings.backoff_base),
        backoff_max: time(settings.backoff_max),
        register_timeout: time(settings.register_timeout),
        connect_timeout: time(settings.connect_timeout),
        misconfigured_retry: time(settings.misconfigured_retry),
        ..settings
    }
}

/// No time in the settings counts for more than this.
pub(super) const MAX_TIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
