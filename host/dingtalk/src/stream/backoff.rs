//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential backoff with full jitter: a random time up to a limit that doubles with every failure. Full jitter keeps
/// the clients of a restarted gateway from coming back in step.
#[derive(Debug)]
pub(super) struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, failures: 0 }
    }

    /// Counts a failure and returns the wait that follows it. `random` is in `0.0..1.0`.
    pub(super) fn fail(&mut self, random: f64) -> Duration {
        let doubled = 2u32.checked_pow(self.failures).and_then(|factor| self.base.checked_mul(factor));
        self.failures = self.failures.saturating_add(1);
        doubled.unwrap_or(self.max).min(self.max).mul_f64(random)
    }

    /// Starts over.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Number of the attempt that is due, from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.failures.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_doubles_up_to_the_maximum() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let waits: Vec<u64> = (0..8).map(|_| backoff.fail(1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.attempt(), 9);
        backoff.reset();
        assert_eq!(backoff.fail(0.5), Duration::from_millis(500));
        for _ in 0..100 {
            assert!(backoff.fail(0.999) <= Duration::from_secs(60));
        }
        assert_eq!(backoff.fail(0.0), Duration::ZERO);
    }
}
