//! Why a handler could not do its work.

use std::any::Any;
use std::error::Error;
use std::fmt;

use crate::{chat, fetch, kv, types};

/// Why a handler could not do its work. The person is not shown the reason; the log is.
///
/// `?` makes one of every error: temporary where trying again may help (a service did not answer, DingTalk is not there),
/// permanent otherwise, with the causes of the error in the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may work in a moment: the host tries again, with growing pauses.
    Temporary(String),
    /// It will not work however often it is tried.
    Permanent(String),
}

impl Failure {
    /// It may work in a moment.
    pub fn temporary(reason: impl fmt::Display) -> Self {
        Failure::Temporary(reason.to_string())
    }

    /// It will not work however often it is tried.
    pub fn permanent(reason: impl fmt::Display) -> Self {
        Failure::Permanent(reason.to_string())
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        match self {
            Failure::Temporary(reason) | Failure::Permanent(reason) => reason,
        }
    }
}

// Not an `Error` itself, or every error could not become one by `?`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        if let Some(error) = any.downcast_ref::<kv::Error>() {
            return Failure::Permanent(kv::words(error));
        }
        if let Some(error) = any.downcast_ref::<fetch::Error>() {
            return fetch::failure(error);
        }
        if let Some(error) = any.downcast_ref::<chat::Error>() {
            return chat::failure(error);
        }
        if let Some(error) = any.downcast_ref::<types::Failure>() {
            return match error {
                types::Failure::Temporary(reason) => Failure::temporary(reason),
                types::Failure::Permanent(reason) => Failure::permanent(reason),
            };
        }
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        Failure::Permanent(reason)
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Temporary(reason) => types::Failure::Temporary(reason),
            Failure::Permanent(reason) => types::Failure::Permanent(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_becomes_a_failure() {
        fn parse(text: &str) -> Result<u32, Failure> {
            Ok(text.parse::<u32>()?)
        }
        assert_eq!(parse("x"), Err(Failure::permanent("invalid digit found in string")));
        let timeout: Failure = fetch::Error::Timeout("no answer in 5 s".into()).into();
        assert_eq!(timeout, Failure::temporary("no answer in 5 s"));
        let refused: Failure = fetch::Error::NotGranted("add `http`".into()).into();
        assert_eq!(refused, Failure::permanent("add `http`"));
        let quota: Failure = kv::Error::Other("over quota".into()).into();
        assert_eq!(quota, Failure::permanent("over quota"));
    }
}
