//! Draws that a seed decides.

use std::sync::atomic::{AtomicU64, Ordering};

/// Draws by seed, what is drawn for, and how many draws that has had: so that what happens elsewhere at the same time
/// changes nothing, and a run can be repeated in spite of its many tasks.
#[derive(Debug)]
pub(crate) struct Draws {
    seed: u64,
    choices: AtomicU64,
}

/// What is drawn for. The faults have their own ids, from 1.
const CHOICES: u64 = 0;

impl Draws {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self { seed: seed.unwrap_or_else(rand::random), choices: AtomicU64::new(0) }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether the `nth` occurrence at a fault strikes that does so with this probability.
    pub(crate) fn strikes(&self, fault: u64, nth: u64, probability: f64) -> bool {
        probability >= 1.0 || self.unit(fault, nth) < probability
    }

    /// One of so many, counted from 0; 0 of none.
    pub(crate) fn choose(&self, count: usize) -> usize {
        let nth = self.choices.fetch_add(1, Ordering::Relaxed);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a fraction of a small count is again a small count"
        )]
        let at = (self.unit(CHOICES, nth) * count as f64) as usize;
        at.min(count.saturating_sub(1))
    }

    /// A number from 0 to below 1.
    fn unit(&self, stream: u64, nth: u64) -> f64 {
        let bits = mix(mix(mix(self.seed) ^ stream) ^ nth);
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let fraction = (bits >> 11) as f64;
        fraction / (1u64 << 53) as f64
    }
}

/// The finaliser of SplitMix64: every bit of the answer depends on every bit of the question.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same() {
        let (one, same, other) = (Draws::new(Some(7)), Draws::new(Some(7)), Draws::new(Some(8)));
        let struck = |draws: &Draws| (0..64).map(|nth| draws.strikes(3, nth, 0.5)).collect::<Vec<_>>();
        assert_eq!(struck(&one), struck(&same));
        assert_ne!(struck(&one), struck(&other));
        let chosen = |draws: &Draws| (0..64).map(|_| draws.choose(5)).collect::<Vec<_>>();
        assert_eq!(chosen(&one), chosen(&same));
    }

    #[test]
    fn draws_are_spread() {
        let draws = Draws::new(Some(1));
        let struck = (0..10_000).filter(|nth| draws.strikes(1, *nth, 0.1)).count();
        assert!((800..1_200).contains(&struck), "{struck}");
        let mut counts = [0u32; 3];
        for _ in 0..3_000 {
            counts[draws.choose(3)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
        assert_eq!(draws.choose(0), 0);
    }
}
