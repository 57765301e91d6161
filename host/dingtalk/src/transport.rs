//! How bytes leave: one TLS setting and one proxy rule behind both HTTP and the WebSocket.

use std::{fmt, path::Path, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::SecretString;
use url::Url;

use crate::{ProxyConfig, proxy::ProxyRule};

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
#[derive(Clone)]
pub struct Transport {
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) proxy: Arc<ProxyRule>,
    pub(crate) http: reqwest::Client,
}

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
        let tls = tls_config(config.ca_file.as_deref())?;
        let proxy = ProxyRule::new(&config.proxy)?;
        let http = http_client(&tls, &proxy)?;
        Ok(Self { tls: Arc::new(tls), proxy: Arc::new(proxy), http })
    }

    /// The TLS setting, for other clients of the same process.
    pub fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// The proxy that a connection to `url` takes, for other clients of the same process: its URL without credentials, and
    /// the value of `Proxy-Authorization` if it wants one.
    pub fn proxy_and_authorization(&self, url: &Url) -> Option<(Url, Option<SecretString>)> {
        let proxy = self.proxy.pick(url)?;
        Some((proxy.url.clone(), proxy.authorization.clone().map(SecretString::from)))
    }

    /// The proxy that a connection to `url` takes, as `host:port`; `None` if it goes directly.
    pub fn proxy_for(&self, url: &Url) -> Option<String> {
        self.proxy.pick(url).map(|proxy| format!("{}:{}", proxy.host, proxy.port))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, TransportError> {
    let system = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Bundles hold the odd certificate that rustls cannot use; the others still count.
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        add_ca_file(&mut roots, path)
            .map_err(|reason| TransportError::CaFile { path: path.to_owned(), reason })?;
    }
    if roots.is_empty() {
        let reasons: Vec<String> = system.errors.iter().take(3).map(ToString::to_string).collect();
        let reason =
            if reasons.is_empty() { "the system offers none".to_owned() } else { reasons.join(", ") };
        return Err(TransportError::NoRoots(reason));
    }
    // The provider is named rather than taken from the process-wide default, which another crate may set differently.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Setup(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add_ca_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let mut found = 0;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        found += 1;
    }
    if found == 0 { Err("it holds no certificate".to_owned()) } else { Ok(()) }
}

fn http_client(tls: &ClientConfig, rule: &ProxyRule) -> Result<reqwest::Client, TransportError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .user_agent(concat!("belfry-dingtalk/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(60))
        .no_proxy();
    if !rule.is_empty() {
        for scheme in ["https", "http"] {
            builder = builder.proxy(http_proxy(rule, scheme)?);
        }
    }
    builder.build().map_err(|error| TransportError::Setup(error_chain(&error)))
}

/// The rule as the HTTP client wants it; one per scheme, since each may have credentials of its own.
fn http_proxy(rule: &ProxyRule, scheme: &'static str) -> Result<reqwest::Proxy, TransportError> {
    let target = if scheme == "https" { &rule.https } else { &rule.http };
    let authorization = target.as_ref().and_then(|proxy| proxy.authorization.clone());
    let rule = rule.clone();
    let proxy = reqwest::Proxy::custom(move |url| {
        if url.scheme() != scheme {
            return None;
        }
        rule.pick(url).map(|proxy| proxy.url.clone())
    });
    let Some(authorization) = authorization else { return Ok(proxy) };
    let mut value = reqwest::header::HeaderValue::from_str(&authorization)
        .map_err(|error| TransportError::Setup(error.to_string()))?;
    value.set_sensitive(true);
    Ok(proxy.custom_http_auth(value))
}

/// An error with its causes, in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause in their own text.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
