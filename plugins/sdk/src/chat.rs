//! Talking before the handler returns, and to others than the one who asked. All but the current conversation needs a grant,
//! `chat` in the plugin's table.

use crate::Failure;
pub use crate::bindings::belfry::bot::chat::Error;
use crate::types::{MediaKind, Reply, Target};

/// Sends a message now and returns its id, without waiting until it has arrived. Run again, the handler gets the same id for the
/// same call and nothing is sent twice.
///
/// # Errors
///
/// No grant, a target that does not exist, a limit. As a [`Failure`] only [`Error::Unavailable`] is temporary.
pub fn send(to: &Target, message: impl Into<Reply>) -> Result<String, Error> {
    let message = message.into();
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::belfry::bot::chat::send(to, &message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::send(to, message)
}

/// Takes back, within 24 hours, what was sent to a person or a group.
///
/// # Errors
///
/// No such message, or it went to the current conversation.
pub fn recall(id: &str) -> Result<(), Error> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::belfry::bot::chat::recall(id);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::recall(id)
}

/// The content behind a `download_code` of the current message.
///
/// # Errors
///
/// No such code, or it is larger than `limits.transfer`.
pub fn download(code: &str) -> Result<Vec<u8>, Error> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::belfry::bot::chat::download(code);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::download(code)
}

/// Uploads a picture or a file and returns its media id.
///
/// # Errors
///
/// It is larger than `limits.transfer`, or DingTalk refuses it.
pub fn upload(kind: MediaKind, name: &str, data: &[u8]) -> Result<String, Error> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::belfry::bot::chat::upload(kind, name, data);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::upload(kind, name, data)
}

impl Error {
    /// The reason, in words.
    pub fn reason(&self) -> &str {
        match self {
            Error::NotGranted(reason)
            | Error::Invalid(reason)
            | Error::Limit(reason)
            | Error::Unavailable(reason) => reason,
        }
    }
}

pub(crate) fn failure(error: &Error) -> Failure {
    match error {
        Error::Unavailable(reason) => Failure::temporary(reason),
        Error::NotGranted(reason) | Error::Invalid(reason) | Error::Limit(reason) => {
            Failure::permanent(reason)
        }
    }
}
