//! The key-values of one call: what it wrote, over what is stored.

mod keys;
mod swap;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use swap::Look;

use crate::{Change, KeyValue, PluginSpec, Seen, Write, Writes, text};

/// The longest name of a bucket, in bytes.
const MAX_BUCKET: usize = 64;

/// The longest key, in bytes.
const MAX_KEY: usize = 1024;

/// The longest value, in bytes.
const MAX_VALUE: usize = 1 << 20;

/// Keys one call may change.
const MAX_CHANGES: usize = 1_000;

/// Keys of one answer, and of one call of a function that takes several.
pub(crate) const PAGE: usize = 1_000;

/// Why an operation on key-values was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyValueError {
    /// There is no bucket of this name.
    #[error("no such bucket")]
    NoSuchBucket,
    /// This call may not use key-values.
    #[error("this call may not use key-values")]
    Denied,
    /// Anything else, in words for the plugin's author.
    #[error("{0}")]
    Other(String),
}

type Result<T> = std::result::Result<T, KeyValueError>;

/// The key-values of one call: what it wrote, over what is stored. What guests reach through `wasi:keyvalue`.
pub struct Overlay {
    base: Option<Arc<dyn KeyValue>>,
    spec: Arc<PluginSpec>,
    buckets: BTreeMap<String, Bucket>,
    /// How many keys are changed, over all buckets.
    changes: usize,
    /// How much more the plugin will hold than it does now, in bytes.
    grown: i64,
    seen: BTreeMap<(String, String), u64>,
}

type Bucket = BTreeMap<String, Entry>;

/// A changed key.
struct Entry {
    change: Change,
    /// What is stored, as it was when the change was made.
    base: Option<Bytes>,
}

impl Entry {
    fn value(&self) -> Option<Bytes> {
        match &self.change {
            Change::Set(value) => Some(value.clone()),
            Change::Delete => None,
            Change::Add(delta) => {
                let stored = self.base.as_deref().map_or(Some(0), number).unwrap_or_default();
                Some(decimal(stored.saturating_add(*delta)))
            }
        }
    }
}

impl Overlay {
    /// Nothing written yet, over `base`. With none every operation is [`Denied`](KeyValueError::Denied).
    pub fn new(base: Option<Arc<dyn KeyValue>>, spec: Arc<PluginSpec>) -> Self {
        Overlay { base, spec, buckets: BTreeMap::new(), changes: 0, grown: 0, seen: BTreeMap::new() }
    }

    /// The name under which a bucket is kept: `default` for the empty one.
    ///
    /// # Errors
    ///
    /// It cannot be a bucket's name, or this call may not use key-values.
    pub fn open<'a>(&self, name: &'a str) -> Result<&'a str> {
        self.base()?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        match name {
            "" => Ok("default"),
            name if name.len() <= MAX_BUCKET && name.bytes().all(fits) => Ok(name),
            _ => Err(KeyValueError::NoSuchBucket),
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// The key is too long, or the store cannot be read.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Option<Bytes>> {
        let base = self.base()?;
        check_key(key)?;
        match self.entry(bucket, key) {
            Some(entry) => Ok(entry.value()),
            None => base.get(&self.spec.name, bucket, key).await.map_err(KeyValueError::Other),
        }
    }

    /// Sets a key.
    ///
    /// # Errors
    ///
    /// Key or value are too long, the plugin would hold more than its grant, the call has changed too many keys, or the
    /// store cannot be read.
    pub async fn set(&mut self, bucket: &str, key: &str, value: Bytes) -> Result<()> {
        check_key(key)?;
        if value.len() > MAX_VALUE {
            return Err(KeyValueError::Other(format!(
                "the value of `{}` has {}, a value may have 1 MiB",
                text::line(key, 100),
                text::size(value.len() as u64)
            )));
        }
        self.change(bucket, key, Change::Set(value)).await
    }

    /// Deletes a key.
    ///
    /// # Errors
    ///
    /// As [`set`](Overlay::set).
    pub async fn delete(&mut self, bucket: &str, key: &str) -> Result<()> {
        check_key(key)?;
        self.change(bucket, key, Change::Delete).await
    }

    /// Adds to a number and returns the sum; both saturate.
    ///
    /// # Errors
    ///
    /// As [`set`](Overlay::set), and if the value is no whole number.
    pub async fn increment(&mut self, bucket: &str, key: &str, delta: i64) -> Result<i64> {
        check_key(key)?;
        let value = self.get(bucket, key).await?;
        let Some(old) = value.as_deref().map_or(Some(0), number) else {
            let key = text::line(key, 100);
            return Err(KeyValueError::Other(format!(
                "the value of `{key}` is no whole number in decimal text"
            )));
        };
        let new = old.saturating_add(delta);
        let change = match self.entry(bucket, key).map(|entry| &entry.change) {
            None => Change::Add(delta),
            Some(Change::Add(before)) => Change::Add(before.saturating_add(delta)),
            // The call knows the value: nothing to be added to.
            Some(Change::Set(_) | Change::Delete) => Change::Set(decimal(new)),
        };
        self.change(bucket, key, change).await?;
        Ok(new)
    }

    /// What is to be stored. Nothing is left.
    pub fn take_writes(&mut self) -> Writes {
        self.changes = 0;
        self.grown = 0;
        let seen = std::mem::take(&mut self.seen).into_iter();
        let buckets = std::mem::take(&mut self.buckets).into_iter();
        let changes = buckets.flat_map(|(bucket, keys)| {
            keys.into_iter().map(move |(key, entry)| Write {
                bucket: bucket.clone(),
                key,
                change: entry.change,
            })
        });
        Writes {
            changes: changes.collect(),
            seen: seen.map(|((bucket, key), version)| Seen { bucket, key, version }).collect(),
        }
    }

    async fn change(&mut self, bucket: &str, key: &str, change: Change) -> Result<()> {
        let base = self.base()?;
        let entry = match self.entry(bucket, key) {
            Some(entry) => Entry { change, base: entry.base.clone() },
            None if self.changes >= MAX_CHANGES => {
                return Err(KeyValueError::Other(format!("one call may change {MAX_CHANGES} keys")));
            }
            None => {
                let stored = base.get(&self.spec.name, bucket, key).await.map_err(KeyValueError::Other)?;
                Entry { change, base: stored }
            }
        };
        let before = match self.entry(bucket, key) {
            Some(entry) => size(bucket, key, entry.value().as_ref()),
            None => size(bucket, key, entry.base.as_ref()),
        };
        let more = size(bucket, key, entry.value().as_ref()) - before;
        self.check_quota(base, more)?;
        self.grown += more;
        match self.buckets.get_mut(bucket) {
            Some(keys) => match keys.get_mut(key) {
                Some(place) => *place = entry,
                None => {
                    keys.insert(key.to_owned(), entry);
                    self.changes += 1;
                }
            },
            None => {
                self.buckets.insert(bucket.to_owned(), BTreeMap::from([(key.to_owned(), entry)]));
                self.changes += 1;
            }
        }
        Ok(())
    }

    /// Whether `more` bytes may be added. Less may always be, even where a quota was made smaller than what is there.
    fn check_quota(&self, base: &dyn KeyValue, more: i64) -> Result<()> {
        if more <= 0 {
            return Ok(());
        }
        let used = i64::try_from(base.used(&self.spec.name)).unwrap_or(i64::MAX);
        let total = used.saturating_add(self.grown).saturating_add(more).max(0).unsigned_abs();
        let quota = self.spec.grants.key_value;
        if total <= quota {
            return Ok(());
        }
        Err(KeyValueError::Other(format!(
            "the key-values would take {}, they may take {}; raise `kv` in [plugins.{}]",
            text::size(total),
            text::size(quota),
            self.spec.name
        )))
    }

    fn remember(&mut self, bucket: &str, key: &str, version: u64) {
        if let Place::Vacant(place) = self.seen.entry((bucket.to_owned(), key.to_owned())) {
            place.insert(version);
        }
    }

    fn base(&self) -> Result<&dyn KeyValue> {
        self.base.as_deref().ok_or(KeyValueError::Denied)
    }

    fn entry(&self, bucket: &str, key: &str) -> Option<&Entry> {
        self.buckets.get(bucket)?.get(key)
    }
}

fn check_key(key: &str) -> Result<()> {
    if key.len() > MAX_KEY {
        return Err(KeyValueError::Other(format!(
            "the key has {} bytes, a key may have {MAX_KEY}",
            key.len()
        )));
    }
    Ok(())
}

/// What a key takes of the quota: the store keeps it behind its bucket's name and a separator.
fn size(bucket: &str, key: &str, value: Option<&Bytes>) -> i64 {
    value.map_or(0, |value| i64::try_from(bucket.len() + 1 + key.len() + value.len()).unwrap_or(i64::MAX))
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn decimal(number: i64) -> Bytes {
    Bytes::from(number.to_string())
}

#[cfg(test)]
mod tests;
