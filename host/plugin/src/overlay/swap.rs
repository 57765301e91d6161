//! Compare and swap.

use bytes::Bytes;

use super::{Entry, KeyValueError, Overlay, Result, check_key};
use crate::Change;

/// The value of a key at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The value, if it had one.
    pub value: Option<Bytes>,
    /// The version of what is stored, if the value depends on it.
    version: Option<u64>,
}

impl Overlay {
    /// Looks at a key, for a [`swap`](Overlay::swap).
    ///
    /// # Errors
    ///
    /// The key is too long, or the store cannot be read.
    pub async fn look(&mut self, bucket: &str, key: &str) -> Result<Look> {
        check_key(key)?;
        let base = self.base()?;
        let entry = self.entry(bucket, key);
        if let Some(entry) = entry.filter(|entry| !matches!(entry.change, Change::Add(_))) {
            return Ok(Look { value: entry.value(), version: None });
        }
        // Before the value: one that changes in between then counts as changed.
        let version = Some(base.version(&self.spec.name, bucket, key));
        let stored = base.get(&self.spec.name, bucket, key).await.map_err(KeyValueError::Other)?;
        let value = match entry {
            Some(entry) => Entry { change: entry.change.clone(), base: stored }.value(),
            None => stored,
        };
        Ok(Look { value, version })
    }

    /// Sets a key if it still has the value that was seen; else says what it has now.
    ///
    /// # Errors
    ///
    /// As [`set`](Overlay::set).
    pub async fn swap(
        &mut self,
        bucket: &str,
        key: &str,
        seen: &Look,
        value: Bytes,
    ) -> Result<std::result::Result<(), Look>> {
        let now = self.look(bucket, key).await?;
        if now.value != seen.value {
            return Ok(Err(now));
        }
        self.set(bucket, key, value).await?;
        if let Some(version) = now.version {
            self.remember(bucket, key, version);
        }
        Ok(Ok(()))
    }
}
