//! What a journal keeps besides events: routes, key-values, counters, each within its bound.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{Counter, JournalError, KeyValueWrite, Route, fold::Change};

#[derive(Default)]
pub(crate) struct Routes {
    by_conversation: HashMap<String, Route>,
    by_expiry: BTreeSet<(u64, String)>,
}

impl Routes {
    pub(crate) fn get(&self, conversation: &str) -> Option<&Route> {
        self.by_conversation.get(conversation)
    }

    pub(crate) fn set(&mut self, route: Route, at_most: usize, changes: &mut Vec<Change>) {
        if let Some(known) = self.by_conversation.get(&route.conversation) {
            if known.expires_at_ms >= route.expires_at_ms {
                return;
            }
            self.by_expiry.remove(&(known.expires_at_ms, route.conversation.clone()));
        }
        self.by_expiry.insert((route.expires_at_ms, route.conversation.clone()));
        self.by_conversation.insert(route.conversation.clone(), route.clone());
        changes.push(Change::RouteSet(route));
        while self.by_conversation.len() > at_most {
            let Some((_, conversation)) = self.by_expiry.pop_first() else { break };
            self.by_conversation.remove(&conversation);
            changes.push(Change::RouteRemoved(conversation));
        }
    }
}

/// What a key costs besides its own bytes and those of its value.
const KEY_COST: usize = 64;

/// The keys of every bucket, with the sizes of their values.
#[derive(Default)]
pub(crate) struct Buckets(HashMap<String, Bucket>);

#[derive(Default)]
struct Bucket {
    bytes: usize,
    keys: BTreeMap<String, usize>,
}

impl Buckets {
    /// Whether all of the writes fit.
    pub(crate) fn check(&self, writes: &[KeyValueWrite], limit: usize) -> Result<(), JournalError> {
        // What the bucket holds, and what these writes made of its keys so far.
        let mut after: HashMap<&str, (usize, HashMap<&str, usize>)> = HashMap::new();
        for write in writes {
            let bucket = self.0.get(&write.bucket);
            let (bytes, changed) = after
                .entry(&write.bucket)
                .or_insert_with(|| (bucket.map_or(0, |bucket| bucket.bytes), HashMap::new()));
            let before = changed.get(write.key.as_str()).copied().unwrap_or_else(|| {
                bucket
                    .and_then(|bucket| bucket.keys.get(&write.key))
                    .map_or(0, |&value| cost(&write.key, value))
            });
            let now = write.value.as_ref().map_or(0, |value| cost(&write.key, value.len()));
            *bytes = bytes.saturating_sub(before).saturating_add(now);
            changed.insert(&write.key, now);
        }
        for (bucket, (size, _)) in after {
            // Deleting is allowed in any case: a smaller limit must not lock a bucket up.
            if size > limit && size > self.bytes(bucket) {
                return Err(JournalError::BucketFull { bucket: bucket.to_owned(), size, limit });
            }
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, write: KeyValueWrite, changes: &mut Vec<Change>) {
        let KeyValueWrite { bucket, key, value } = write;
        match value {
            Some(value) => {
                self.restore(bucket.clone(), key.clone(), value.len());
                changes.push(Change::ValueSet { bucket, key, value });
            }
            None => {
                let Some(known) = self.0.get_mut(&bucket) else { return };
                let Some(before) = known.keys.remove(&key) else { return };
                known.bytes = known.bytes.saturating_sub(cost(&key, before));
                if known.keys.is_empty() {
                    self.0.remove(&bucket);
                }
                changes.push(Change::ValueRemoved { bucket, key });
            }
        }
    }

    pub(crate) fn restore(&mut self, bucket: String, key: String, value_bytes: usize) {
        let bucket = self.0.entry(bucket).or_default();
        bucket.bytes += cost(&key, value_bytes);
        let key_bytes = key.len();
        if let Some(before) = bucket.keys.insert(key, value_bytes) {
            bucket.bytes = bucket.bytes.saturating_sub(before + key_bytes + KEY_COST);
        }
    }

    pub(crate) fn bytes(&self, bucket: &str) -> usize {
        self.0.get(bucket).map_or(0, |bucket| bucket.bytes)
    }

    pub(crate) fn has(&self, bucket: &str, key: &str) -> bool {
        self.0.get(bucket).is_some_and(|bucket| bucket.keys.contains_key(key))
    }

    pub(crate) fn keys(&self, bucket: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        use std::ops::Bound::{Excluded, Unbounded};
        let Some(bucket) = self.0.get(bucket) else { return Vec::new() };
        let from = after.map_or(Unbounded, Excluded);
        bucket.keys.range::<str, _>((from, Unbounded)).take(limit).map(|(key, _)| key.clone()).collect()
    }
}

fn cost(key: &str, value_bytes: usize) -> usize {
    key.len().saturating_add(value_bytes).saturating_add(KEY_COST)
}

#[derive(Default)]
pub(crate) struct Counters(BTreeMap<(u32, String), u64>);

impl Counters {
    pub(crate) fn set(&mut self, counter: Counter, at_most: usize, changes: &mut Vec<Change>) {
        let known = self.0.entry((counter.month, counter.name.clone())).or_default();
        if *known >= counter.total {
            return;
        }
        *known = counter.total;
        changes.push(Change::CounterSet(counter));
        while self.0.len() > at_most {
            let Some(((month, name), _)) = self.0.pop_first() else { break };
            changes.push(Change::CounterRemoved { month, name });
        }
    }

    pub(crate) fn all(&self) -> Vec<Counter> {
        self.0
            .iter()
            .map(|((month, name), &total)| Counter { month: *month, name: name.clone(), total })
            .collect()
    }
}
