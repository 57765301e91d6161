//! HTTP requests, to hosts that `http` in the plugin's table names.

use std::fmt;

use crate::Failure;
pub use crate::bindings::belfry::bot::fetch::{Error, Request, Response};

/// A GET.
///
/// # Errors
///
/// As [`Request::send`].
pub fn get(url: impl Into<String>) -> Result<Response, Error> {
    request("GET", url).send()
}

/// A POST with a JSON body.
///
/// # Errors
///
/// As [`Request::send`]; a value that cannot be written as JSON is [`Error::Invalid`].
#[cfg(feature = "json")]
pub fn post_json(url: impl Into<String>, body: &impl serde::Serialize) -> Result<Response, Error> {
    request("POST", url).json(body)?.send()
}

/// A request, to be added to and sent.
pub fn request(method: impl Into<String>, url: impl Into<String>) -> Request {
    Request { method: method.into(), url: url.into(), headers: Vec::new(), body: None, timeout: None }
}

impl Request {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Waits for at most so many milliseconds.
    #[must_use]
    pub fn within(mut self, milliseconds: u32) -> Self {
        self.timeout = Some(milliseconds);
        self
    }

    /// Sets the body to JSON, and its content type.
    ///
    /// # Errors
    ///
    /// The value cannot be written as JSON.
    #[cfg(feature = "json")]
    pub fn json(self, body: &impl serde::Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(self.header("content-type", "application/json").with_body(body))
    }

    /// Sends it and waits for the whole response, whatever its status.
    ///
    /// # Errors
    ///
    /// There is no response. As a [`Failure`] a timeout or a broken connection is temporary, everything else permanent.
    pub fn send(&self) -> Result<Response, Error> {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::belfry::bot::fetch::fetch(self);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::fetched(self)
    }
}

impl Response {
    /// Whether the status is 200 to 299.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Itself if the status is 200 to 299.
    ///
    /// # Errors
    ///
    /// Any other status. As a [`Failure`] 408, 429 and 500 upwards are temporary.
    pub fn ok(self) -> Result<Self, Failure> {
        if self.is_ok() {
            return Ok(self);
        }
        let reason = format!("{} answered {}", self.url, self.status);
        Err(match self.status {
            408 | 429 | 500.. => Failure::Temporary(reason),
            _ => Failure::Permanent(reason),
        })
    }

    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is not UTF-8 is shown as `�`.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, from JSON.
    ///
    /// # Errors
    ///
    /// It is not JSON of this shape.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::Permanent(format!("the answer of {} is not as expected: {error}", self.url))
        })
    }
}

impl Error {
    /// The reason, in words.
    pub fn reason(&self) -> &str {
        match self {
            Error::NotGranted(reason)
            | Error::Invalid(reason)
            | Error::Limit(reason)
            | Error::Timeout(reason)
            | Error::Failed(reason) => reason,
        }
    }
}

pub(crate) fn failure(error: &Error) -> Failure {
    let reason: &dyn fmt::Display = &error.reason();
    match error {
        Error::Timeout(_) | Error::Failed(_) => Failure::temporary(reason),
        Error::NotGranted(_) | Error::Invalid(_) | Error::Limit(_) => Failure::permanent(reason),
    }
}
