//! Keeping limits before the server enforces them: so many calls within a time, counted for each key alone.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// No window and no pause counts for more than this, so that the arithmetic on instants cannot overflow.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// At most so many calls within any stretch of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The number of calls; 0 counts as 1.
    pub most: u32,
    /// The length of the window.
    pub within: Duration,
}

impl RateLimit {
    /// What DingTalk allows an app on one path of the OpenAPI: 20 a second. The window has a tenth more, since calls that
    /// leave a second apart can arrive a little closer.
    pub const OPENAPI: Self = Self { most: 20, within: Duration::from_millis(1_100) };

    /// What is allowed through the session webhooks of one conversation: 20 a minute. Documented for custom robots; the same
    /// refusal (130101, 410100) comes for session webhooks. A second more for the way.
    pub const REPLIES: Self = Self { most: 20, within: Duration::from_secs(61) };
}

/// Makes its callers wait until their call is within the limit: a sliding window for each key.
///
/// At most `max_keys` keys are remembered. When a new one has no place, those are forgotten that were idle for a whole window;
/// if too few were, also those that would be idle next, up to an eighth of all. A key that is forgotten starts with an empty
/// window, so at the bound a limit may be exceeded and the server's refusal is what holds. Keys with callers waiting are
/// never forgotten. Memory: 16 bytes for each call of a window, and about 200 bytes for each key.
#[derive(Debug)]
pub struct RateLimiter {
    limit: RateLimit,
    max_keys: usize,
    keys: Mutex<HashMap<Box<str>, Arc<Key>>>,
}

#[derive(Debug, Default)]
struct Key {
    /// Held by the caller who is next, so that callers go in the order in which they came.
    queue: tokio::sync::Mutex<()>,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// When the calls of the last window were let through, the oldest first; never more than the limit.
    calls: VecDeque<Instant>,
    paused_until: Option<Instant>,
}

impl RateLimiter {
    /// A limiter that remembers at most `max_keys` keys (at least one).
    pub fn new(limit: RateLimit, max_keys: usize) -> Self {
        let limit = RateLimit { most: limit.most.max(1), within: limit.within.min(LONGEST) };
        Self { limit, max_keys: max_keys.max(1), keys: Mutex::default() }
    }

    /// Waits until one more call is within the limit and no pause is on, and counts it. Callers of a key go in the order in
    /// which they came. A caller that is dropped while it waits counts nothing and holds nobody up.
    pub async fn turn(&self, key: &str) {
        let key = self.key(key);
        let _next = key.queue.lock().await;
        loop {
            // Looked at again after each wait: a pause may have come meanwhile.
            let Err(until) = key.window().take(self.limit, Instant::now()) else { return };
            tokio::time::sleep_until(until).await;
        }
    }

    /// Lets nobody through for `wait` from now on, because the server said "too fast". Of several pauses the one that ends
    /// last counts.
    pub fn pause(&self, key: &str, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST);
        let key = self.key(key);
        let mut window = key.window();
        window.paused_until = window.paused_until.max(Some(until));
    }

    /// How long the pause of `key` still lasts; none if there is none.
    pub fn paused(&self, key: &str) -> Option<Duration> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let until = keys.get(key)?.window().paused_until?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    fn key(&self, name: &str) -> Arc<Key> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(name) {
            return Arc::clone(key);
        }
        if keys.len() >= self.max_keys {
            self.make_room(&mut keys, Instant::now());
        }
        Arc::clone(keys.entry(name.into()).or_default())
    }

    /// Forgets several keys at once, so that looking through them all is rare.
    fn make_room(&self, keys: &mut HashMap<Box<str>, Arc<Key>>, now: Instant) {
        let has_callers = |key: &Arc<Key>| Arc::strong_count(key) > 1;
        let idle_at = |key: &Arc<Key>| key.window().idle_at(self.limit);
        keys.retain(|_, key| has_callers(key) || idle_at(key) > Some(now));
        let room = (self.max_keys / 8).max(1);
        let surplus = (keys.len() + room).saturating_sub(self.max_keys);
        let mut ends: Vec<_> = keys.values().filter(|key| !has_callers(key)).map(idle_at).collect();
        if let Some(last) = surplus.min(ends.len()).checked_sub(1) {
            let cut = *ends.select_nth_unstable(last).1;
            keys.retain(|_, key| has_callers(key) || idle_at(key) > cut);
        }
    }
}

impl Key {
    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Counts a call at `now`, or says when to ask again.
    fn take(&mut self, limit: RateLimit, now: Instant) -> Result<(), Instant> {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Err(until);
        }
        self.paused_until = None;
        while let Some(free_at) = self.calls.front().map(|call| *call + limit.within) {
            if free_at > now {
                break;
            }
            self.calls.pop_front();
        }
        match self.calls.front() {
            Some(oldest) if self.calls.len() >= limit.most as usize => Err(*oldest + limit.within),
            _ => {
                self.calls.push_back(now);
                Ok(())
            }
        }
    }

    /// From when on nothing of it matters any more.
    fn idle_at(&self, limit: RateLimit) -> Option<Instant> {
        self.calls.back().map(|call| *call + limit.within).max(self.paused_until)
    }
}

#[cfg(test)]
mod tests;
