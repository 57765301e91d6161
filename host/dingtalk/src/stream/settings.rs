//! The times and bounds of a connection.

use std::{fmt, sync::Arc, time::Duration, time::SystemTime};

/// Times and bounds of a [`StreamClient`](crate::StreamClient). The defaults suit DingTalk; tests shorten them.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// A WebSocket ping goes out this often. Default 25 s (the field's range is 20 to 30 s).
    pub ping_every: Duration,
    /// Without any inbound frame for this long the peer is dead. Default 60 s.
    pub dead_after: Duration,
    /// After a clock jump, how long the peer has to answer the ping. Default 5 s.
    pub suspect_after: Duration,
    /// How often the two clocks are compared. Default 5 s.
    pub clock_check: Duration,
    /// A difference of the two clocks above this is a jump (the machine slept). Default 5 s.
    pub clock_jump: Duration,
    /// How long a replaced socket is kept for late acks. Default 15 s; the gateway closes it after 10 s of silence.
    pub drain: Duration,
    /// A replaced socket with nothing unanswered is closed after this much silence. Default 2 s.
    pub drain_quiet: Duration,
    /// Longest wait before the second attempt. Default 1 s.
    pub backoff_base: Duration,
    /// Longest wait between attempts. Default 60 s.
    pub backoff_max: Duration,
    /// A connection this old was stable: the backoff starts over. Default 30 s.
    pub stable_after: Duration,
    /// Total time of one registration. Default 10 s.
    pub register_timeout: Duration,
    /// Total time for opening the WebSocket. Default 10 s.
    pub connect_timeout: Duration,
    /// Wait after an error that only a change of configuration can mend. Default 5 min.
    pub misconfigured_retry: Duration,
    /// Largest message in bytes; a larger one is skipped and counted. Default 4 MiB.
    pub max_message: usize,
    /// Bot messages and events without an ack at any time. At the bound the next one is held back and nothing is read
    /// until an ack leaves. Synchronous callbacks have a bound of their own of the same size, beyond which they are
    /// answered 500 at once. Default 128.
    pub unacked: usize,
    /// `ua` of the registration, shown in DingTalk's diagnosis. Default `belfry/<version>`.
    pub user_agent: String,
    /// The wall clock.
    pub clock: WallClock,
    /// Randomness for the jitter.
    pub random: Random,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(25),
            dead_after: Duration::from_secs(60),
            suspect_after: Duration::from_secs(5),
            clock_check: Duration::from_secs(5),
            clock_jump: Duration::from_secs(5),
            drain: Duration::from_secs(15),
            drain_quiet: Duration::from_secs(2),
            backoff_base: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            stable_after: Duration::from_secs(30),
            register_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            misconfigured_retry: Duration::from_secs(5 * 60),
            max_message: 4 * 1024 * 1024,
            unacked: 128,
            user_agent: concat!("belfry/", env!("CARGO_PKG_VERSION")).to_owned(),
            clock: WallClock::default(),
            random: Random::default(),
        }
    }
}

/// Where the wall-clock time comes from; the system's unless a test holds it still.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl WallClock {
    /// A clock of one's own.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

/// A source of numbers in `0.0..1.0`; the thread's generator unless a test fixes them.
#[derive(Clone)]
pub struct Random(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Random {
    /// A source of one's own.
    pub fn new(next: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(next))
    }

    pub(crate) fn next(&self) -> f64 {
        (self.0)().clamp(0.0, 1.0)
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new(rand::random::<f64>)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
