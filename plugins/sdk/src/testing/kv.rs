//! Key-values in memory, with the checks of the host.

use crate::bindings::wasi::keyvalue::store::{Error, KeyResponse};

use super::with;

/// The most keys in a page, as of the host.
const PAGE: usize = 1000;
const MAX_KEY: usize = 1024;
const MAX_VALUE: usize = 1 << 20;

pub(crate) fn bucket_name(name: &str) -> String {
    if name.is_empty() { "default".to_owned() } else { name.to_owned() }
}

#[derive(Debug)]
pub(crate) struct Bucket(String);

impl Bucket {
    pub(crate) fn open(name: &str) -> Result<Self, Error> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        match name.len() <= 64 && name.bytes().all(good) {
            true => Ok(Bucket(bucket_name(name))),
            false => Err(Error::NoSuchStore),
        }
    }

    fn key(&self, key: &str) -> (String, String) {
        (self.0.clone(), key.to_owned())
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(with(|world| world.values.get(&self.key(key)).cloned()))
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        if key.len() > MAX_KEY || value.len() > MAX_VALUE {
            let reason = format!("a key has at most {MAX_KEY} bytes and a value {MAX_VALUE}");
            return Err(Error::Other(reason));
        }
        with(|world| world.values.insert(self.key(key), value.to_vec()));
        Ok(())
    }

    pub(crate) fn delete(&self, key: &str) -> Result<(), Error> {
        with(|world| world.values.remove(&self.key(key)));
        Ok(())
    }

    pub(crate) fn exists(&self, key: &str) -> Result<bool, Error> {
        Ok(with(|world| world.values.contains_key(&self.key(key))))
    }

    pub(crate) fn list(&self, cursor: Option<String>) -> Result<KeyResponse, Error> {
        let after = |key: &str| cursor.as_deref().is_none_or(|cursor| key > cursor);
        let mut keys: Vec<String> = with(|world| {
            let own = world.values.keys().filter(|(bucket, key)| *bucket == self.0 && after(key));
            own.map(|(_, key)| key.clone()).take(PAGE + 1).collect()
        });
        let more = keys.len() > PAGE;
        keys.truncate(PAGE);
        let cursor = if more { keys.last().cloned() } else { None };
        Ok(KeyResponse { keys, cursor })
    }

    pub(crate) fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        let number = match self.get(key)? {
            None => 0,
            Some(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                text.parse::<i64>().map_err(|_| Error::Other(format!("`{key}` is no whole number")))?
            }
        };
        let sum = number.saturating_add(delta);
        self.set(key, sum.to_string().as_bytes())?;
        Ok(sum)
    }

    pub(crate) fn look(&self, key: &str) -> Result<Seen, Error> {
        Ok(Seen { bucket: Bucket(self.0.clone()), key: key.to_owned(), value: self.get(key)? })
    }
}

pub(crate) struct Seen {
    bucket: Bucket,
    key: String,
    value: Option<Vec<u8>>,
}

impl Seen {
    pub(crate) fn current(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.value.clone())
    }

    /// False if it has changed.
    pub(crate) fn swap(self, value: &[u8]) -> Result<bool, Error> {
        if self.bucket.get(&self.key)? != self.value {
            return Ok(false);
        }
        self.bucket.set(&self.key, value)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use crate::kv;

    #[test]
    fn key_values_behave_as_the_host_s() {
        assert_eq!(kv::get("k").unwrap(), None);
        kv::set("k", "v").unwrap();
        assert_eq!(kv::get("k").unwrap().as_deref(), Some("v"));
        let other = kv::bucket("other").unwrap();
        assert_eq!(other.get("k").unwrap(), None);
        assert_eq!(kv::increment("n", 2).unwrap() + kv::increment("n", -5).unwrap(), 2 - 3);
        assert!(kv::increment("k", 1).is_err());
        assert_eq!(kv::bucket("").unwrap().keys("").unwrap(), ["k", "n"]);
        kv::delete("k").unwrap();
        assert!(!kv::bucket("default").unwrap().exists("k").unwrap());
        assert!(kv::bucket("a/b").is_err());
        let new = kv::update("list", |old| Ok(old.unwrap_or_default() + "x")).unwrap();
        assert_eq!(new, "x");
    }

    #[test]
    fn a_value_that_changes_meanwhile_is_looked_at_again() {
        let mut seen = Vec::new();
        let new = kv::update("k", |old| {
            if seen.is_empty() {
                kv::set("k", "theirs")?;
            }
            seen.push(old.clone());
            Ok(old.unwrap_or_default() + " and mine")
        });
        assert_eq!(new.unwrap(), "theirs and mine");
        assert_eq!(seen, [None, Some("theirs".to_owned())]);
    }
}
