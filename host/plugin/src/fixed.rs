//! Clocks that stand still and random numbers that repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use crate::Fixed;

/// How far the monotonic clock moves with each question: a guest that waits by asking must come to an end.
const STEP: u64 = 1_000;

/// Both clocks of an instance whose clocks are fixed.
pub(crate) struct Clock {
    /// What the wall clock shows, in milliseconds since 1970.
    wall: AtomicU64,
    /// What the monotonic clock shows, in nanoseconds.
    monotonic: AtomicU64,
}

impl Clock {
    pub(crate) fn new(fixed: Fixed) -> Arc<Self> {
        Arc::new(Clock { wall: AtomicU64::new(fixed.now_ms), monotonic: AtomicU64::new(0) })
    }

    /// The time of another call, for an instance that lives over several.
    pub(crate) fn set_wall(&self, now_ms: u64) {
        self.wall.store(now_ms, Ordering::Relaxed);
    }

    /// What the monotonic clock shows.
    pub(crate) fn read(&self) -> u64 {
        self.monotonic.load(Ordering::Relaxed)
    }

    /// The guest asks for the monotonic time, which passes a little.
    pub(crate) fn ask(&self) -> u64 {
        self.monotonic.fetch_add(STEP, Ordering::Relaxed).saturating_add(STEP)
    }

    /// A wait is over.
    pub(crate) fn advance_to(&self, when: u64) {
        self.monotonic.fetch_max(when, Ordering::Relaxed);
    }
}

/// Gives WASI these clocks and random numbers of this seed.
pub(crate) fn apply(wasi: &mut WasiCtxBuilder, clock: &Arc<Clock>, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    wasi.wall_clock(Shown(Arc::clone(clock)))
        .monotonic_clock(Shown(Arc::clone(clock)))
        .insecure_random_seed(u128::from(random.next_u64()))
        .insecure_random(StdRng::seed_from_u64(random.next_u64()))
        .secure_random(random);
}

struct Shown(Arc<Clock>);

impl HostWallClock for Shown {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.wall.load(Ordering::Relaxed))
    }
}

impl HostMonotonicClock for Shown {
    fn resolution(&self) -> u64 {
        STEP
    }

    fn now(&self) -> u64 {
        self.0.ask()
    }
}
