//! `wasi:keyvalue@0.2.0-draft`: the same key-values for guests built against the draft before. A cursor is the number of
//! keys already listed.

use wasmtime::component::Resource;

use crate::bindings::key_value_draft::wasi::keyvalue::{atomics, batch, store};
use crate::imports::key_value::Bucket;
use crate::overlay::{KeyValueError, PAGE};
use crate::state::State;

type Answer<T> = wasmtime::Result<Result<T, store::Error>>;

impl From<KeyValueError> for store::Error {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::NoSuchBucket => store::Error::NoSuchStore,
            KeyValueError::Denied => store::Error::AccessDenied,
            KeyValueError::Other(reason) => store::Error::Other(reason),
        }
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
        cursor: Option<u64>,
    ) -> Answer<store::KeyResponse> {
        let bucket = self.bucket(&bucket)?;
        let skip = cursor.unwrap_or_default();
        let page = self.overlay.keys_from(&bucket, skip).await;
        Ok(page.map_err(Into::into).map(|page| {
            let cursor = page.more.then(|| skip.saturating_add(PAGE as u64));
            store::KeyResponse { keys: page.keys, cursor }
        }))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.close_bucket(bucket)
    }
}

impl atomics::Host for State {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: u64) -> Answer<u64> {
        let bucket = self.bucket(&bucket)?;
        let sum = async {
            let delta = i64::try_from(delta)
                .map_err(|_| KeyValueError::Other(format!("cannot add {delta}: the most is {}", i64::MAX)))?;
            let sum = self.overlay.increment(&bucket, &key, delta).await?;
            u64::try_from(sum).map_err(|_| {
                KeyValueError::Other(format!(
                    "the sum is {sum}, which this draft of wasi:keyvalue cannot return"
                ))
            })
        };
        Ok(sum.await.map_err(Into::into))
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
