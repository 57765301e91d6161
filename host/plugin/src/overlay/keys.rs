//! The keys of a bucket, stored and written ones merged.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Bucket, Entry, KeyValueError, Overlay, PAGE, Result};
use crate::Change;

/// Some of a bucket's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// In the order of their bytes; at most 1000.
    pub keys: Vec<String>,
    /// Whether more follow.
    pub more: bool,
}

impl Overlay {
    /// The keys after `after`, in the order of their bytes, at most 1000.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn keys(&self, bucket: &str, after: Option<&str>) -> Result<Keys> {
        let base = self.base()?;
        let nothing = BTreeMap::new();
        let written = self.buckets.get(bucket).unwrap_or(&nothing);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let deleted =
            written.range::<str, _>((start, Bound::Unbounded)).filter(|(_, entry)| is_deleted(entry));
        // So many that a full page and one more are left, whatever this call deleted.
        let limit = PAGE + 1 + deleted.count();
        let stored = base.keys(&self.spec.name, bucket, after, limit).await.map_err(KeyValueError::Other)?;
        let mut keys = merge(stored, written, start);
        let more = keys.len() > PAGE;
        keys.truncate(PAGE);
        Ok(Keys { keys, more })
    }

    /// The page after the first `skip` keys.
    ///
    /// # Errors
    ///
    /// As [`keys`](Overlay::keys).
    pub async fn keys_from(&self, bucket: &str, skip: u64) -> Result<Keys> {
        let mut left = skip;
        let mut after: Option<String> = None;
        while left > 0 {
            let page = self.keys(bucket, after.as_deref()).await?;
            let step = page.keys.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let last = step.checked_sub(1).and_then(|last| page.keys.into_iter().nth(last));
            left -= step as u64;
            if last.is_none() || (left > 0 && !page.more) {
                return Ok(Keys::default());
            }
            after = last;
        }
        self.keys(bucket, after.as_deref()).await
    }
}

/// At most a page and one more of both, in order.
fn merge(stored: Vec<String>, written: &Bucket, start: Bound<&str>) -> Vec<String> {
    let mut keys = Vec::with_capacity(stored.len().min(PAGE + 1));
    let mut stored = stored.into_iter().peekable();
    let mut written = written.range::<str, _>((start, Bound::Unbounded)).peekable();
    while keys.len() <= PAGE {
        match (stored.peek(), written.peek()) {
            (None, None) => break,
            (Some(key), Some((own, entry))) if key >= *own => {
                if key == *own {
                    stored.next();
                }
                if !is_deleted(entry) {
                    keys.push((*own).clone());
                }
                written.next();
            }
            (Some(_), _) => keys.extend(stored.next()),
            (None, Some((own, entry))) => {
                if !is_deleted(entry) {
                    keys.push((*own).clone());
                }
                written.next();
            }
        }
    }
    keys
}

fn is_deleted(entry: &Entry) -> bool {
    matches!(entry.change, Change::Delete)
}
