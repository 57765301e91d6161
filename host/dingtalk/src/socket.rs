//! Opening the WebSocket that a registration grants.

use std::{fmt, time::Duration};

use futures_util::SinkExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use url::Url;

use crate::{Registration, Transport, dial, guard::Guard};

/// All but the unreserved characters of RFC 3986, so that a form decoder and a URL decoder read the same ticket.
const TICKET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Unwritten bytes beyond which a peer that does not read is given up.
const MAX_UNWRITTEN: usize = 16 * 1024 * 1024;

/// tungstenite clears its read buffer before every read, so a large one costs time for every small frame.
const READ_BUFFER: usize = 16 * 1024;

pub(crate) type WebSocket = WebSocketStream<Guard<dial::Stream>>;

/// An open WebSocket to the gateway.
pub struct Socket {
    pub(crate) ws: WebSocket,
}

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
        match self.kind {
            ConnectErrorKind::Endpoint => {
                "The gateway's answer is not usable; check that api_base points at DingTalk."
            }
            ConnectErrorKind::Dns => {
                "Check the DNS server of this machine, and that it may resolve *.dingtalk.com."
            }
            ConnectErrorKind::Tcp => {
                "Check that a firewall lets connections to this host and port out, or set HTTPS_PROXY."
            }
            ConnectErrorKind::Proxy => {
                "Check HTTPS_PROXY (http://user:password@host:port) and that the proxy lets CONNECT to this host through."
            }
            ConnectErrorKind::Tls => {
                "Something between here and DingTalk presents a certificate of its own: name its CA in the CA file \
                 setting. Also check this machine's clock."
            }
            ConnectErrorKind::Handshake => {
                "The gateway or a proxy refused the upgrade; a ticket is good for one connection within 90 s."
            }
            ConnectErrorKind::Timeout => {
                "The host does not answer; check the firewall, or set HTTPS_PROXY where a proxy is needed."
            }
        }
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
    let host = endpoint_host(&registration.endpoint);
    let opened = tokio::time::timeout(timeout, open(registration, transport, max_message)).await;
    let (kind, message) = match opened {
        Ok(Ok(ws)) => return Ok(Socket { ws }),
        Ok(Err(error)) => error,
        Err(_) => (ConnectErrorKind::Timeout, format!("no answer within {timeout:?}")),
    };
    Err(ConnectError { kind, host, message })
}

async fn open(
    registration: &Registration,
    transport: &Transport,
    max_message: usize,
) -> Result<WebSocket, dial::DialError> {
    let url = &registration.endpoint;
    if !matches!(url.scheme(), "ws" | "wss") {
        return Err((ConnectErrorKind::Endpoint, format!("scheme {} is not ws or wss", url.scheme())));
    }
    let address = with_ticket(url, registration.ticket.expose_secret());
    let stream = Guard::new(dial::dial(transport, url).await?, max_message);
    // The guard enforces the limit; the library's own is only a second line.
    let limit = max_message.saturating_add(64 * 1024);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(READ_BUFFER)
        .max_write_buffer_size(MAX_UNWRITTEN)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    let (ws, _response) = client_async_with_config(address, stream, Some(config))
        .await
        .map_err(|error| (ConnectErrorKind::Handshake, explain(&error)))?;
    Ok(ws)
}

/// The endpoint as given, with the ticket as its last query parameter.
fn with_ticket(endpoint: &Url, ticket: &str) -> String {
    let mut url = endpoint.clone();
    url.set_fragment(None);
    let separator = match url.query() {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    format!("{url}{separator}ticket={}", utf8_percent_encode(ticket, TICKET))
}

/// The error without the address, which holds the ticket.
fn explain(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            let body: String = String::from_utf8_lossy(body).chars().take(200).collect();
            format!("the answer to the upgrade is {}: {}", response.status(), body.trim())
        }
        tungstenite::Error::Url(_) | tungstenite::Error::HttpFormat(_) => {
            "the endpoint cannot be used".to_owned()
        }
        other => other.to_string(),
    }
}

pub(crate) fn endpoint_host(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or("?"), url.port_or_known_default().unwrap_or(0))
}

pub(crate) fn close_frame(reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: reason.into() }))
}

impl Socket {
    /// Sends a close frame and waits at most a second for it to leave.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.ws.send(close_frame("done"))).await;
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticket_is_percent_encoded_after_whatever_query_is_there() {
        for (endpoint, expected) in [
            ("wss://h:443/connect", "wss://h/connect?ticket=a%2Bb%2Fc%3D%20d-._~"),
            ("ws://h/x/y?region=1#f", "ws://h/x/y?region=1&ticket=a%2Bb%2Fc%3D%20d-._~"),
            ("ws://h/?", "ws://h/?ticket=a%2Bb%2Fc%3D%20d-._~"),
        ] {
            assert_eq!(with_ticket(&Url::parse(endpoint).unwrap(), "a+b/c= d-._~"), expected);
        }
    }
}
