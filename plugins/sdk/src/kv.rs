//! The plugin's own key-values: they live across messages, restarts and new builds.
//!
//! What a call writes, it reads back at once; it is stored together with what the call returns, or, if the call fails, not at
//! all. The functions of this module use the default bucket, [`bucket`] opens another.

use std::fmt::Display;
use std::str::FromStr;

use crate::Failure;
pub use crate::bindings::wasi::keyvalue::store::Error;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::kv as imp;
#[cfg(target_arch = "wasm32")]
use wasm as imp;

/// How often [`Bucket::update`] tries before it gives up.
const TRIES: u32 = 16;

/// Some of the plugin's key-values, under a name.
#[derive(Debug)]
pub struct Bucket(imp::Bucket);

/// Opens a bucket; it comes to be with its first key. `""` is the default one.
///
/// # Errors
///
/// Names have 1 to 64 bytes, of letters, digits, `.`, `_` and `-`.
pub fn bucket(name: &str) -> Result<Bucket, Error> {
    Ok(Bucket(imp::Bucket::open(name)?))
}

/// The value of a key as text, or none.
///
/// # Errors
///
/// As [`Bucket::get`].
pub fn get(key: &str) -> Result<Option<String>, Failure> {
    bucket("")?.get(key)
}

/// Sets a key.
///
/// # Errors
///
/// As [`Bucket::set`].
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    bucket("")?.set(key, value)
}

/// Deletes a key.
///
/// # Errors
///
/// As [`Bucket::set`].
pub fn delete(key: &str) -> Result<(), Error> {
    bucket("")?.delete(key)
}

/// Adds to a number and returns the sum.
///
/// # Errors
///
/// As [`Bucket::increment`].
pub fn increment(key: &str, delta: i64) -> Result<i64, Error> {
    bucket("")?.increment(key, delta)
}

/// Changes a value; see [`Bucket::update`].
///
/// # Errors
///
/// As [`Bucket::update`].
pub fn update(
    key: &str,
    change: impl FnMut(Option<String>) -> Result<String, Failure>,
) -> Result<String, Failure> {
    bucket("")?.update(key, change)
}

/// A value from JSON; see [`Bucket::get_json`].
///
/// # Errors
///
/// As [`Bucket::get_json`].
#[cfg(feature = "json")]
pub fn get_json<T: serde::de::DeserializeOwned>(key: &str) -> Result<Option<T>, Failure> {
    bucket("")?.get_json(key)
}

/// Sets a key to JSON; see [`Bucket::set_json`].
///
/// # Errors
///
/// As [`Bucket::set_json`].
#[cfg(feature = "json")]
pub fn set_json(key: &str, value: &impl serde::Serialize) -> Result<(), Failure> {
    bucket("")?.set_json(key, value)
}

/// Changes a value of JSON; see [`Bucket::update_json`].
///
/// # Errors
///
/// As [`Bucket::update_json`].
#[cfg(feature = "json")]
pub fn update_json<T, R>(key: &str, change: impl FnMut(&mut T) -> Result<R, Failure>) -> Result<R, Failure>
where
    T: Default + serde::de::DeserializeOwned + serde::Serialize,
{
    bucket("")?.update_json(key, change)
}

impl Bucket {
    /// The bytes of a key, or none.
    ///
    /// # Errors
    ///
    /// The host cannot read its store, or this call may not use key-values.
    pub fn get_bytes(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key)
    }

    /// The value of a key as text, or none.
    ///
    /// # Errors
    ///
    /// As [`get_bytes`](Self::get_bytes), or the value is not UTF-8.
    pub fn get(&self, key: &str) -> Result<Option<String>, Failure> {
        self.0.get(key)?.map(|bytes| utf8(key, bytes)).transpose()
    }

    /// The value of a key as a number or whatever else is read from text, or none.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), or the value is nothing of this type.
    pub fn parse<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.get(key)? else { return Ok(None) };
        let parsed = text.parse();
        parsed.map(Some).map_err(|error| Failure::Permanent(format!("the key-value `{key}`: {error}")))
    }

    /// Sets a key. Keys have at most 1024 bytes, values at most 1 MiB.
    ///
    /// # Errors
    ///
    /// Over a limit or the quota, `kv` of the plugin's table.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
        self.0.set(key, value.as_ref())
    }

    /// Deletes a key; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// As [`get_bytes`](Self::get_bytes).
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.0.delete(key)
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    ///
    /// As [`get_bytes`](Self::get_bytes).
    pub fn exists(&self, key: &str) -> Result<bool, Error> {
        self.0.exists(key)
    }

    /// All keys that begin with `prefix`, in the order of their bytes.
    ///
    /// # Errors
    ///
    /// As [`get_bytes`](Self::get_bytes).
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.0.list(cursor)?;
            keys.extend(page.keys.into_iter().filter(|key| key.starts_with(prefix)));
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Adds `delta` to a number, 0 if there is none, and returns the sum. Calls that add at the same time all count.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), or the value is no whole number.
    pub fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        self.0.increment(key, delta)
    }

    /// Replaces a value by what `change` makes of it, safely: if another call changes it meanwhile, `change` or the whole handler
    /// runs again with the new value. Returns the new value.
    ///
    /// # Errors
    ///
    /// What `change` returns, and as [`get`](Self::get) and [`set`](Self::set).
    pub fn update(
        &self,
        key: &str,
        mut change: impl FnMut(Option<String>) -> Result<String, Failure>,
    ) -> Result<String, Failure> {
        self.update_bytes(key, |bytes| {
            let new = change(bytes.map(|bytes| utf8(key, bytes)).transpose()?)?;
            Ok((new.clone().into_bytes(), new))
        })
    }

    /// As [`update`](Self::update), with bytes; `change` returns the new bytes and what is returned in the end.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn update_bytes<R>(
        &self,
        key: &str,
        mut change: impl FnMut(Option<Vec<u8>>) -> Result<(Vec<u8>, R), Failure>,
    ) -> Result<R, Failure> {
        for _ in 0..TRIES {
            let seen = self.0.look(key)?;
            let (new, result) = change(seen.current()?)?;
            if seen.swap(&new)? {
                return Ok(result);
            }
        }
        Err(Failure::Temporary(format!("the key-value `{key}` changes too often")))
    }

    /// The value of a key, from JSON, or none.
    ///
    /// # Errors
    ///
    /// As [`get_bytes`](Self::get_bytes), or the value is not JSON of this shape.
    #[cfg(feature = "json")]
    pub fn get_json<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Failure> {
        self.0.get(key)?.map(|bytes| from_json(key, &bytes)).transpose()
    }

    /// Sets a key to JSON.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), or the value cannot be written as JSON.
    #[cfg(feature = "json")]
    pub fn set_json(&self, key: &str, value: &impl serde::Serialize) -> Result<(), Failure> {
        Ok(self.set(key, serde_json::to_vec(value)?)?)
    }

    /// As [`update`](Self::update), with a value of JSON that starts as the type's default. Returns what `change` returns.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update), or the value is not JSON of this shape.
    #[cfg(feature = "json")]
    pub fn update_json<T, R>(
        &self,
        key: &str,
        mut change: impl FnMut(&mut T) -> Result<R, Failure>,
    ) -> Result<R, Failure>
    where
        T: Default + serde::de::DeserializeOwned + serde::Serialize,
    {
        self.update_bytes(key, |bytes| {
            let mut value = bytes.map(|bytes| from_json(key, &bytes)).transpose()?.unwrap_or_default();
            let result = change(&mut value)?;
            Ok((serde_json::to_vec(&value)?, result))
        })
    }
}

fn utf8(key: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure::Permanent(format!("the key-value `{key}` is not text")))
}

#[cfg(feature = "json")]
fn from_json<T: serde::de::DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::Permanent(format!("the key-value `{key}`: {error}")))
}

/// The error, for a failure's reason.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::NoSuchStore => {
            "there is no such bucket: names have 1 to 64 bytes, of letters, digits, `.`, `_` and `-`"
                .to_owned()
        }
        Error::AccessDenied => "this call may not use key-values".to_owned(),
        Error::Other(reason) => reason.clone(),
    }
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    //! The host's key-values.

    use super::Error;
    use crate::bindings::wasi::keyvalue::{atomics, store};

    #[derive(Debug)]
    pub(super) struct Bucket(store::Bucket);

    impl Bucket {
        pub(super) fn open(name: &str) -> Result<Self, Error> {
            store::open(name).map(Bucket)
        }

        pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
            self.0.get(key)
        }

        pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
            self.0.set(key, value)
        }

        pub(super) fn delete(&self, key: &str) -> Result<(), Error> {
            self.0.delete(key)
        }

        pub(super) fn exists(&self, key: &str) -> Result<bool, Error> {
            self.0.exists(key)
        }

        pub(super) fn list(&self, cursor: Option<String>) -> Result<store::KeyResponse, Error> {
            self.0.list_keys(cursor.as_deref())
        }

        pub(super) fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
            atomics::increment(&self.0, key, delta)
        }

        pub(super) fn look(&self, key: &str) -> Result<Seen, Error> {
            atomics::Cas::new(&self.0, key).map(Seen)
        }
    }

    pub(super) struct Seen(atomics::Cas);

    impl Seen {
        pub(super) fn current(&self) -> Result<Option<Vec<u8>>, Error> {
            self.0.current()
        }

        /// False if it has changed.
        pub(super) fn swap(self, value: &[u8]) -> Result<bool, Error> {
            match atomics::swap(self.0, value) {
                Ok(()) => Ok(true),
                Err(atomics::CasError::CasFailed(_)) => Ok(false),
                Err(atomics::CasError::StoreError(error)) => Err(error),
            }
        }
    }
}
