//! Opening the WebSocket that a registration grants.

use std::time::Duration;

use crate::{Registration, Transport};

/// An open WebSocket to the gateway.
pub struct Socket {}

/// Why the WebSocket could not be opened.
#[derive(Debug, Clone, thiserror::Error)]
#[error("open the WebSocket to {host}: {message}")]
pub struct ConnectError {
    /// At which step.
    pub kind: ConnectErrorKind,
    /// Host and port of the endpoint.
    pub host: String,
    /// What happened.
    pub message: String,
}

/// The steps of opening a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The endpoint is not a `ws://` or `wss://` address with a host.
    Endpoint,
    /// Name look-up.
    Dns,
    /// TCP.
    Tcp,
    /// The proxy refused or did not speak HTTP.
    Proxy,
    /// TLS: certificate or protocol.
    Tls,
    /// The WebSocket handshake was refused; mostly a ticket used twice or older than 90 s.
    Handshake,
    /// No answer in time.
    Timeout,
}

impl ConnectError {
    /// What to do about it, as a sentence.
    pub fn hint(&self) -> &'static str {
        ""
    }
}

/// Opens the WebSocket, through the proxy if one applies. `max_message` is the largest message accepted, in bytes; a
/// larger one is skipped. All steps together take at most `timeout`.
///
/// # Errors
///
/// See [`ConnectErrorKind`].
pub async fn open_socket(
    registration: &Registration,
    transport: &Transport,
    max_message: usize,
    timeout: Duration,
) -> Result<Socket, ConnectError> {
    let _ = (registration, transport, max_message, timeout);
    Ok(Socket {})
}

impl Socket {
    /// Sends a close frame and waits at most a second for it to leave.
    pub async fn close(self) {}
}
