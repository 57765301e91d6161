//! What a journal keeps besides events: routes, key-values, counters, each within its bound.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{Counter, JournalError, KeyValueWrite, Route, ValueChange, fold::Change};

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

/// The keys of every bucket, with the sizes of their values, and the values that are numbers.
#[derive(Default)]
pub(crate) struct Buckets(HashMap<String, Bucket>);

#[derive(Default)]
struct Bucket {
    bytes: usize,
    keys: BTreeMap<String, Held>,
}

/// What is known of a value without looking at the disk.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    bytes: usize,
    number: Option<i64>,
}

/// What the writes of a record make of one bucket.
struct After<'a> {
    bytes: usize,
    limit: usize,
    /// The keys changed so far, and what they hold then.
    changed: HashMap<&'a str, Option<Held>>,
}

/// The longest text of a number: that of the least.
pub(crate) const NUMBER_BYTES: usize = 20;

impl Held {
    pub(crate) fn of(value: &[u8]) -> Self {
        Self { bytes: value.len(), number: number_of(value) }
    }

    /// A value of which only the beginning was looked at, or nothing: too long for a number.
    pub(crate) fn long(bytes: usize) -> Self {
        Self { bytes, number: None }
    }
}

fn number_of(value: &[u8]) -> Option<i64> {
    if value.len() > NUMBER_BYTES {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

impl Buckets {
    /// Whether all of the writes fit.
    pub(crate) fn check(&self, writes: &[KeyValueWrite], most: usize) -> Result<(), JournalError> {
        let mut after: HashMap<&str, After<'_>> = HashMap::new();
        for KeyValueWrite { bucket: name, key, change, limit } in writes {
            let after = after.entry(name).or_insert_with(|| After {
                bytes: self.bytes(name),
                limit: most,
                changed: HashMap::new(),
            });
            after.limit = after.limit.min(limit.unwrap_or(most));
            let before = match after.changed.get(key.as_str()) {
                Some(before) => *before,
                None => self.held(name, key),
            };
            let now = match change {
                ValueChange::Set(value) => Some(Held::of(value)),
                ValueChange::Delete => None,
                ValueChange::Add(more) => {
                    let Some(sum) = sum(before, *more) else {
                        return Err(JournalError::NotANumber { bucket: name.clone(), key: key.clone() });
                    };
                    Some(Held { bytes: sum.to_string().len(), number: Some(sum) })
                }
            };
            let cost = |held: Option<Held>| held.map_or(0, |held| cost(key, held.bytes));
            after.bytes = after.bytes.saturating_sub(cost(before)).saturating_add(cost(now));
            after.changed.insert(key, now);
        }
        for (bucket, After { bytes: size, limit, .. }) in after {
            // Deleting is allowed in any case: a smaller limit must not lock a bucket up.
            if size > limit && size > self.bytes(bucket) {
                return Err(JournalError::BucketFull { bucket: bucket.to_owned(), size, limit });
            }
        }
        Ok(())
    }

    /// Applies a write that [`check`](Self::check) found to fit.
    pub(crate) fn write(&mut self, write: KeyValueWrite, changes: &mut Vec<Change>) {
        let KeyValueWrite { bucket, key, change, .. } = write;
        let value = match change {
            ValueChange::Set(value) => value,
            ValueChange::Add(more) => match sum(self.held(&bucket, &key), more) {
                Some(sum) => sum.to_string().into(),
                None => return,
            },
            ValueChange::Delete => {
                let Some(known) = self.0.get_mut(&bucket) else { return };
                let Some(before) = known.keys.remove(&key) else { return };
                known.bytes = known.bytes.saturating_sub(cost(&key, before.bytes));
                if known.keys.is_empty() {
                    self.0.remove(&bucket);
                }
                changes.push(Change::ValueRemoved { bucket, key });
                return;
            }
        };
        self.restore(bucket.clone(), key.clone(), Held::of(&value));
        changes.push(Change::ValueSet { bucket, key, value });
    }

    pub(crate) fn restore(&mut self, bucket: String, key: String, held: Held) {
        let bucket = self.0.entry(bucket).or_default();
        bucket.bytes += cost(&key, held.bytes);
        let key_bytes = key.len();
        if let Some(before) = bucket.keys.insert(key, held) {
            bucket.bytes = bucket.bytes.saturating_sub(before.bytes + key_bytes + KEY_COST);
        }
    }

    fn held(&self, bucket: &str, key: &str) -> Option<Held> {
        self.0.get(bucket)?.keys.get(key).copied()
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

/// None if there is a value, and it is no number.
fn sum(before: Option<Held>, more: i64) -> Option<i64> {
    before.map_or(Some(0), |held| held.number).map(|number| number.saturating_add(more))
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
