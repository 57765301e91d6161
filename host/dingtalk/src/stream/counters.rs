//! The counters behind [`StreamStats`].

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::StreamStats;

/// A counter that many tasks write and anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, by: u64) {
        self.0.fetch_sub(by, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub frames: Counter,
    pub pushes: Counter,
    pub pushes_received: Counter,
    pub acks: Counter,
    pub acks_lost: Counter,
    pub garbage: Counter,
    pub oversize: Counter,
    pub malformed: Counter,
    pub unknown_topics: Counter,
    pub overloaded: Counter,
    pub stalls: Counter,
    pub opened: Counter,
    pub sockets: Counter,
    pub disconnects: Counter,
    pub lost: Counter,
    pub dead_peers: Counter,
    pub clock_jumps: Counter,
    pub failed_attempts: Counter,
    pub last_inbound: Counter,
    pub last_frame_ms: Counter,
}

impl Counters {
    pub(crate) fn snapshot(&self, unacked: u64) -> StreamStats {
        StreamStats {
            frames: self.frames.get(),
            pushes: self.pushes.get(),
            pushes_received: self.pushes_received.get(),
            acks: self.acks.get(),
            acks_lost: self.acks_lost.get(),
            garbage: self.garbage.get(),
            oversize: self.oversize.get(),
            malformed: self.malformed.get(),
            unknown_topics: self.unknown_topics.get(),
            overloaded: self.overloaded.get(),
            stalls: self.stalls.get(),
            unacked,
            opened: self.opened.get(),
            reconnects: self.opened.get().saturating_sub(1),
            sockets: self.sockets.get(),
            disconnects: self.disconnects.get(),
            lost: self.lost.get(),
            dead_peers: self.dead_peers.get(),
            clock_jumps: self.clock_jumps.get(),
            failed_attempts: self.failed_attempts.get(),
            last_inbound: self.last_inbound.get(),
            last_frame_ms: self.last_frame_ms.get(),
        }
    }
}

/// Counts a socket as open while it lives, however its task ends.
pub(super) struct OpenSocket(Arc<Counters>);

impl OpenSocket {
    pub(super) fn new(counters: &Arc<Counters>) -> Self {
        counters.sockets.add(1);
        Self(Arc::clone(counters))
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.sockets.sub(1);
    }
}
