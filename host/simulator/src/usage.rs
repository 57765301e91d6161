//! What has been used of what is allowed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::Api;

/// Counts for the limits. Apps are known ones, so there are never more entries than those have paths.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    seconds: HashMap<(Arc<str>, Api), Window>,
    /// Calls of the OpenAPI since the limits were set.
    pub api_calls: u64,
    /// Messages to bots and calls of webhooks since the limits were set.
    pub messages: u64,
}

/// A stretch of time that begins with the first call after the one before is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    since: Instant,
    count: u32,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), count: 0 }
    }

    /// Counts one. False: it is more than `limit` in `length`.
    pub(crate) fn admit(&mut self, limit: u32, length: Duration) -> bool {
        if self.since.elapsed() >= length {
            *self = Self::new();
        }
        self.count = self.count.saturating_add(1);
        self.count <= limit
    }
}

impl Usage {
    /// Counts a call of one OpenAPI path against the limit of a `second` (simulated). False: too many.
    pub(crate) fn admit(&mut self, client_id: &Arc<str>, api: Api, limit: u32, second: Duration) -> bool {
        let key = (Arc::clone(client_id), api);
        self.seconds.entry(key).or_insert_with(Window::new).admit(limit, second)
    }
}

/// Counts one more if the limit allows it.
pub(crate) fn take(used: &mut u64, limit: Option<u64>) -> bool {
    let allowed = limit.is_none_or(|limit| *used < limit);
    *used += u64::from(allowed);
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_and_begins_anew() {
        let hour = Duration::from_secs(3_600);
        let mut window = Window::new();
        assert!(window.admit(2, hour) && window.admit(2, hour));
        assert!(!window.admit(2, hour));
        assert!(window.admit(2, Duration::ZERO));
        assert!(!Window::new().admit(0, hour));
    }

    #[test]
    fn apps_and_paths_are_counted_apart() {
        let hour = Duration::from_secs(3_600);
        let (app, other): (Arc<str>, Arc<str>) = ("app".into(), "other".into());
        let mut usage = Usage::default();
        assert!(usage.admit(&app, Api::Group, 1, hour));
        assert!(!usage.admit(&app, Api::Group, 1, hour));
        assert!(usage.admit(&app, Api::People, 1, hour));
        assert!(usage.admit(&other, Api::Group, 1, hour));
    }

    #[test]
    fn the_month_has_an_end() {
        let mut used = 0;
        assert!(take(&mut used, Some(1)));
        assert!(!take(&mut used, Some(1)));
        assert!(take(&mut used, None));
        assert_eq!(used, 2);
    }
}
