use std::{
    collections::{HashMap, VecDeque, hash_map::RandomState},
    hash::BuildHasher,
    time::Duration,
};

/// The keys seen lately: at most `capacity` of them, none older than `keep`. At the bound the oldest go first.
///
/// A key is kept as 128 bits of hash under a secret of this process: small, and nobody can make two keys alike.
pub(crate) struct SeenKeys {
    hashers: (RandomState, RandomState),
    /// With the time it was seen last, in milliseconds.
    seen: HashMap<u128, u64>,
    by_age: VecDeque<(u64, u128)>,
    capacity: usize,
    keep_ms: u64,
}

impl SeenKeys {
    pub(crate) fn new(capacity: usize, keep: Duration) -> Self {
        Self {
            hashers: (RandomState::new(), RandomState::new()),
            seen: HashMap::new(),
            by_age: VecDeque::new(),
            capacity: capacity.max(1),
            keep_ms: u64::try_from(keep.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Remembers all keys, unless one of them is known: then it answers false and remembers none.
    pub(crate) fn insert(&mut self, keys: &[String], now_ms: u64) -> bool {
        self.forget_old(now_ms);
        if keys.iter().any(|key| self.seen.contains_key(&self.hash(key))) {
            return false;
        }
        for key in keys {
            let hash = self.hash(key);
            self.seen.insert(hash, now_ms);
            self.by_age.push_back((now_ms, hash));
        }
        true
    }

    /// Takes back what `insert` remembered.
    pub(crate) fn remove(&mut self, keys: &[String]) {
        for key in keys {
            let hash = self.hash(key);
            let Some(since) = self.seen.remove(&hash) else { continue };
            // What is taken back came lately. Left behind, it would push out others at the bound.
            if let Some(place) = self.by_age.iter().rposition(|entry| *entry == (since, hash)) {
                self.by_age.remove(place);
            }
        }
    }

    fn hash(&self, key: &str) -> u128 {
        (u128::from(self.hashers.0.hash_one(key)) << 64) | u128::from(self.hashers.1.hash_one(key))
    }

    fn forget_old(&mut self, now_ms: u64) {
        while let Some(&(since, hash)) = self.by_age.front() {
            if self.by_age.len() < self.capacity && now_ms.saturating_sub(since) < self.keep_ms {
                break;
            }
            self.seen.remove(&hash);
            self.by_age.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_key_is_known_until_it_is_old() {
        let mut seen = SeenKeys::new(100, Duration::from_secs(60));
        assert!(seen.insert(&keys(&["a", "b"]), 1000));
        assert!(!seen.insert(&keys(&["c", "b"]), 60_999), "one known key is enough");
        assert!(seen.insert(&keys(&["c"]), 60_999), "a refused insert remembers nothing");
        assert!(seen.insert(&keys(&["b"]), 61_000));
        assert!(!seen.insert(&keys(&["c"]), 61_000));
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing() {
        let mut seen = SeenKeys::new(100, Duration::from_secs(60));
        assert!(seen.insert(&keys(&["a"]), 1_000_000));
        assert!(!seen.insert(&keys(&["a"]), 0));
    }

    #[test]
    fn what_was_taken_back_can_come_again() {
        let mut seen = SeenKeys::new(100, Duration::from_secs(60));
        assert!(seen.insert(&keys(&["a"]), 0));
        seen.remove(&keys(&["a"]));
        assert!(seen.insert(&keys(&["a"]), 1));
        assert!(!seen.insert(&keys(&["a"]), 60_000), "the first one's age does not count");
    }

    #[test]
    fn what_was_taken_back_pushes_nothing_out() {
        let mut seen = SeenKeys::new(10, Duration::from_secs(60));
        for n in 0..8 {
            assert!(seen.insert(&[n.to_string()], 0));
        }
        for n in 0..1000 {
            assert!(seen.insert(&keys(&["refused", "by another name"]), n));
            seen.remove(&keys(&["refused", "by another name"]));
        }
        assert_eq!((seen.seen.len(), seen.by_age.len()), (8, 8));
        assert!(!seen.insert(&keys(&["0"]), 1000), "a genuine one is still known");
    }

    #[test]
    fn at_the_bound_the_oldest_are_forgotten() {
        let mut seen = SeenKeys::new(10, Duration::from_secs(60));
        for n in 0..1000 {
            assert!(seen.insert(&[n.to_string()], 0));
        }
        assert!(seen.by_age.len() <= 10 && seen.seen.len() <= 10);
        assert!(!seen.insert(&keys(&["999"]), 0));
        assert!(seen.insert(&keys(&["1"]), 0));
    }
}
