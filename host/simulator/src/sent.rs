//! Messages that can be taken back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Messages remembered; beyond it the oldest cannot be recalled any more.
const MAX_SENT: usize = 100_000;

/// How long a message can be recalled, as documented.
const RECALL_WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// Messages through the OpenAPI by their `processQueryKey`.
#[derive(Debug, Default)]
pub(crate) struct SentMessages {
    by_key: HashMap<Arc<str>, (Arc<str>, Arc<str>, Instant)>,
    order: VecDeque<Arc<str>>,
}

impl SentMessages {
    /// A new message and its key; `group` is empty for people.
    pub(crate) fn insert(&mut self, client_id: &Arc<str>, group: &str) -> Arc<str> {
        let key: Arc<str> = uuid::Uuid::new_v4().simple().to_string().into();
        self.by_key.insert(Arc::clone(&key), (Arc::clone(client_id), group.into(), Instant::now()));
        self.order.push_back(Arc::clone(&key));
        if self.order.len() > MAX_SENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        key
    }

    /// Takes one back. `real` says how long a simulated time takes.
    ///
    /// # Errors
    /// DingTalk's code for why not.
    pub(crate) fn recall(
        &mut self,
        client_id: &str,
        group: &str,
        key: &str,
        real: impl Fn(Duration) -> Duration,
    ) -> Result<(), &'static str> {
        match self.by_key.get(key) {
            Some((owner, place, at)) if **owner == *client_id && **place == *group => {
                if at.elapsed() > real(RECALL_WITHIN) {
                    return Err("robot.processQueryKey.expired");
                }
                self.by_key.remove(key);
                Ok(())
            }
            _ => Err("robot.processQueryKey.notExist"),
        }
    }
}
