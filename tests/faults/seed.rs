//! Choices that can be made again: every draw of a test comes from one number, printed when the test starts.

use std::{sync::OnceLock, time::SystemTime};

/// The environment variable that sets it.
pub const VARIABLE: &str = "BELFRY_FAULT_SEED";

/// The number of this run.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{VARIABLE}={text} is no number")),
        Err(_) => SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64),
    })
}

/// A source of choices (SplitMix64, which needs one number and passes the usual tests of randomness).
pub struct Rng(u64);

impl Rng {
    /// The source of one test, its own whatever other tests draw.
    pub fn of(test: &str) -> Self {
        let seed = seed();
        eprintln!("{test}: {VARIABLE}={seed} makes the same choices again");
        // FNV-1a.
        let name = test.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self(seed ^ name)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.next() >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let draw = |name| {
        let mut rng = Rng::of(name);
        (0..100).map(|_| rng.below(10)).collect::<Vec<_>>()
    };
    assert_eq!(draw("a"), draw("a"));
    assert_ne!(draw("a"), draw("b"));
    assert!(draw("a").iter().all(|n| *n < 10));
}
