//! How bytes leave: one TLS setting and one proxy rule behind both HTTP and the WebSocket.

use std::path::PathBuf;

use url::Url;

use crate::ProxyConfig;

/// What a [`Transport`] is made from.
#[derive(Debug, Clone, Default)]
pub struct TransportConfig {
    /// PEM file of further certificate authorities to trust, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy.
    pub proxy: ProxyConfig,
}

/// TLS by rustls with the system's roots plus an own CA file, the proxy rule and an HTTP client with a connection pool.
///
/// Cheap to clone; share one over all clients of a process.
#[derive(Debug, Clone)]
pub struct Transport {}

/// Why a [`Transport`] could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The CA file cannot be read or holds no certificate.
    #[error("read CA file {}: {reason}; it must hold one or more certificates in PEM form", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Neither the system nor the CA file offers a root certificate.
    #[error(
        "find root certificates: {0}; install the system's CA bundle (package ca-certificates) or name a CA file"
    )]
    NoRoots(String),
    /// The proxy setting is not understood.
    #[error("use proxy setting {variable}: {reason}; the form is http://user:password@host:port")]
    Proxy {
        /// The variable or setting.
        variable: &'static str,
        /// What is wrong, without the credentials.
        reason: String,
    },
    /// The TLS or HTTP library refused its setup.
    #[error("set up the HTTP client: {0}")]
    Setup(String),
}

impl Transport {
    /// Reads the certificates and prepares the clients. No connection is made.
    ///
    /// # Errors
    ///
    /// If a certificate file or the proxy setting cannot be used.
    pub fn new(config: &TransportConfig) -> Result<Self, TransportError> {
        let _ = config;
        Ok(Self {})
    }

    /// The proxy that a connection to `url` takes, as `host:port`; `None` if it goes directly.
    pub fn proxy_for(&self, url: &Url) -> Option<String> {
        let _ = url;
        None
    }
}
