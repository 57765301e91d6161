use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

/// The keys seen lately: at most `capacity` of them, none older than `keep`. At the bound the oldest go first.
pub(crate) struct SeenKeys {
    seen: HashSet<Arc<str>>,
    by_age: VecDeque<(Instant, Arc<str>)>,
    capacity: usize,
    keep: Duration,
}

impl SeenKeys {
    pub(crate) fn new(capacity: usize, keep: Duration) -> Self {
        Self { seen: HashSet::new(), by_age: VecDeque::new(), capacity, keep }
    }

    /// Remembers all keys, unless one of them is known: then it answers false and remembers none.
    pub(crate) fn insert(&mut self, keys: Vec<String>, now: Instant) -> bool {
        self.forget_old(now);
        if keys.iter().any(|key| self.seen.contains(key.as_str())) {
            return false;
        }
        for key in keys {
            let key: Arc<str> = key.into();
            self.seen.insert(key.clone());
            self.by_age.push_back((now, key));
        }
        true
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((since, key)) = self.by_age.front() {
            if self.by_age.len() < self.capacity && now.duration_since(*since) < self.keep {
                break;
            }
            self.seen.remove(key);
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

    #[tokio::test(start_paused = true)]
    async fn a_key_is_known_until_it_is_old() {
        let mut seen = SeenKeys::new(100, Duration::from_secs(60));
        assert!(seen.insert(keys(&["a", "b"]), Instant::now()));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!seen.insert(keys(&["c", "b"]), Instant::now()), "one known key is enough");
        assert!(seen.insert(keys(&["c"]), Instant::now()), "a refused insert remembers nothing");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(seen.insert(keys(&["b"]), Instant::now()));
        assert!(!seen.insert(keys(&["c"]), Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_bound_the_oldest_are_forgotten() {
        let mut seen = SeenKeys::new(10, Duration::from_secs(60));
        for n in 0..1000 {
            assert!(seen.insert(vec![n.to_string()], Instant::now()));
        }
        assert!(seen.by_age.len() <= 10 && seen.seen.len() <= 10);
        assert!(!seen.insert(keys(&["999"]), Instant::now()));
        assert!(seen.insert(keys(&["1"]), Instant::now()));
    }
}
