//! Noticing that the machine slept: the wall clock moved on, the monotonic one did not.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Two clocks, compared from one look to the next.
#[derive(Debug)]
pub(super) struct ClockWatch {
    wall: SystemTime,
    monotonic: Instant,
}

impl ClockWatch {
    pub(super) fn new(wall: SystemTime, monotonic: Instant) -> Self {
        Self { wall, monotonic }
    }

    /// By how much the two clocks drifted apart since the last look, in whichever direction: a set clock is harmless, but
    /// cannot be told from a short sleep.
    pub(super) fn drift(&mut self, wall: SystemTime, monotonic: Instant) -> Duration {
        let passed = monotonic.saturating_duration_since(self.monotonic);
        let expected = self.wall + passed;
        self.wall = wall;
        self.monotonic = monotonic;
        wall.duration_since(expected).unwrap_or_else(|behind| behind.duration())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_difference_counts() {
        let (wall, start) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000), Instant::now());
        let mut watch = ClockWatch::new(wall, start);
        let secs = Duration::from_secs;
        assert_eq!(watch.drift(wall + secs(5), start + secs(5)), secs(0));
        assert_eq!(watch.drift(wall + secs(3_610), start + secs(10)), secs(3_600));
        assert_eq!(watch.drift(wall + secs(3_615), start + secs(15)), secs(0));
        assert_eq!(watch.drift(wall + secs(3_600), start + secs(20)), secs(20));
    }
}
