//! `wasi:keyvalue@0.2.0-draft2`: the plugin's own key-values, over the call's [`Overlay`](crate::overlay::Overlay).

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::Resource;

use crate::bindings::key_value::wasi::keyvalue::{atomics, batch, store};
use crate::overlay::{KeyValueError, Look, PAGE};
use crate::state::State;
use crate::text;

/// Bytes of values that a guest may have behind `cas` handles at one time: they stay as they were.
const MAX_CAS_BYTES: usize = 16 << 20;

/// Bytes of values that one `get-many` may return.
const MAX_BATCH_BYTES: usize = 16 << 20;

/// An open bucket: its name.
pub struct Bucket(pub(crate) Arc<str>);

/// What a key held at one moment.
pub struct Cas {
    bucket: Arc<str>,
    key: String,
    look: Look,
}

impl Cas {
    fn weight(&self) -> usize {
        self.key.len() + self.look.value.as_ref().map_or(0, Bytes::len)
    }
}

type Answer<T, E = store::Error> = wasmtime::Result<Result<T, E>>;

impl From<KeyValueError> for store::Error {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::NoSuchBucket => store::Error::NoSuchStore,
            KeyValueError::Denied => store::Error::AccessDenied,
            KeyValueError::Other(reason) => store::Error::Other(reason),
        }
    }
}

impl State {
    /// Opens a bucket.
    pub(crate) fn open_bucket(&mut self, name: &str) -> Result<Resource<Bucket>, KeyValueError> {
        let bucket = Bucket(self.overlay.open(name)?.into());
        self.table.push(bucket).map_err(|_| KeyValueError::Other(crate::state::too_many_handles()))
    }

    /// The name of an open bucket.
    pub(crate) fn bucket(&self, bucket: &Resource<Bucket>) -> wasmtime::Result<Arc<str>> {
        Ok(Arc::clone(&self.table.get(bucket)?.0))
    }

    pub(crate) fn close_bucket(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }

    pub(crate) async fn get_many(
        &mut self,
        bucket: &str,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, KeyValueError> {
        check_count(keys.len())?;
        let mut values = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for key in keys {
            let value = self.overlay.get(bucket, &key).await?;
            bytes += value.as_ref().map_or(0, Bytes::len);
            if bytes > MAX_BATCH_BYTES {
                let most = text::size(MAX_BATCH_BYTES as u64);
                return Err(KeyValueError::Other(format!(
                    "these values have more than {most}; ask for fewer keys"
                )));
            }
            values.push(value.map(|value| (key, value.into())));
        }
        Ok(values)
    }

    pub(crate) async fn set_many(
        &mut self,
        bucket: &str,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), KeyValueError> {
        for (key, value) in pairs {
            self.overlay.set(bucket, &key, value.into()).await?;
        }
        Ok(())
    }

    pub(crate) async fn delete_many(&mut self, bucket: &str, keys: Vec<String>) -> Result<(), KeyValueError> {
        for key in keys {
            self.overlay.delete(bucket, &key).await?;
        }
        Ok(())
    }

    fn push_cas(&mut self, cas: Cas) -> Result<Resource<Cas>, KeyValueError> {
        let weight = cas.weight();
        if self.cas_bytes + weight > MAX_CAS_BYTES {
            let most = text::size(MAX_CAS_BYTES as u64);
            return Err(KeyValueError::Other(format!(
                "the open `cas` handles hold {most} of values; drop some"
            )));
        }
        let handle = self.table.push(cas);
        let handle = handle.map_err(|_| KeyValueError::Other(crate::state::too_many_handles()))?;
        self.cas_bytes += weight;
        Ok(handle)
    }

    fn take_cas(&mut self, cas: Resource<Cas>) -> wasmtime::Result<Cas> {
        let cas = self.table.delete(cas)?;
        self.cas_bytes = self.cas_bytes.saturating_sub(cas.weight());
        Ok(cas)
    }
}

fn check_count(count: usize) -> Result<(), KeyValueError> {
    match count > PAGE {
        true => Err(KeyValueError::Other(format!("{count} keys at once, {PAGE} are possible"))),
        false => Ok(()),
    }
}

impl store::Host for State {
    async fn open(&mut self, identifier: String) -> Answer<Resource<Bucket>> {
        Ok(self.open_bucket(&identifier).map_err(Into::into))
    }
}

impl store::HostBucket for State {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        let bucket = self.bucket(&bucket)?;
        let value = self.overlay.get(&bucket, &key).await;
        Ok(value.map(|value| value.map(Vec::from)).map_err(Into::into))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        let bucket = self.bucket(&bucket)?;
        Ok(self.overlay.set(&bucket, &key, value.into()).await.map_err(Into::into))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        let bucket = self.bucket(&bucket)?;
        Ok(self.overlay.delete(&bucket, &key).await.map_err(Into::into))
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<bool> {
        let bucket = self.bucket(&bucket)?;
        Ok(self.overlay.get(&bucket, &key).await.map(|value| value.is_some()).map_err(Into::into))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> Answer<store::KeyResponse> {
        let bucket = self.bucket(&bucket)?;
        let page = self.overlay.keys(&bucket, cursor.as_deref()).await;
        Ok(page.map_err(Into::into).map(|page| {
            let cursor = page.keys.last().filter(|_| page.more).cloned();
            store::KeyResponse { keys: page.keys, cursor }
        }))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.close_bucket(bucket)
    }
}

impl atomics::Host for State {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: i64) -> Answer<i64> {
        let bucket = self.bucket(&bucket)?;
        Ok(self.overlay.increment(&bucket, &key, delta).await.map_err(Into::into))
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Answer<(), atomics::CasError> {
        let Cas { bucket, key, look } = self.take_cas(cas)?;
        let swapped = self.overlay.swap(&bucket, &key, &look, value.into()).await;
        let refused = |error: KeyValueError| Err(atomics::CasError::StoreError(error.into()));
        Ok(match swapped {
            Ok(Ok(())) => Ok(()),
            Ok(Err(look)) => match self.push_cas(Cas { bucket, key, look }) {
                Ok(fresh) => Err(atomics::CasError::CasFailed(fresh)),
                Err(error) => refused(error),
            },
            Err(error) => refused(error),
        })
    }
}

impl atomics::HostCas for State {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Resource<Cas>> {
        let bucket = self.bucket(&bucket)?;
        let look = self.overlay.look(&bucket, &key).await;
        Ok(look.and_then(|look| self.push_cas(Cas { bucket, key, look })).map_err(Into::into))
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Answer<Option<Vec<u8>>> {
        Ok(Ok(self.table.get(&cas)?.look.value.as_ref().map(|value| value.to_vec())))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.take_cas(cas)?;
        Ok(())
    }
}

impl batch::Host for State {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Answer<Vec<Option<(String, Vec<u8>)>>> {
        let bucket = self.bucket(&bucket)?;
        Ok(State::get_many(self, &bucket, keys).await.map_err(Into::into))
    }

    async fn set_many(&mut self, bucket: Resource<Bucket>, pairs: Vec<(String, Vec<u8>)>) -> Answer<()> {
        let bucket = self.bucket(&bucket)?;
        Ok(State::set_many(self, &bucket, pairs).await.map_err(Into::into))
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Answer<()> {
        let bucket = self.bucket(&bucket)?;
        Ok(State::delete_many(self, &bucket, keys).await.map_err(Into::into))
    }
}
