//! What the config lets a plugin reach.

use std::fmt;

use secrecy::SecretString;

use crate::LiveSettings;

/// What the config lets a plugin reach. The default is nothing but a little room for key-values.
#[derive(Clone, Debug)]
pub struct Grants {
    /// `http`: the hosts it may send requests to.
    pub http: Vec<HttpGrant>,
    /// `chat`: whom it may write to besides the current conversation.
    pub chat: ChatGrant,
    /// `kv`: bytes of keys and values it may keep, all buckets together.
    pub key_value: u64,
}

impl Default for Grants {
    fn default() -> Self {
        Grants { http: Vec::new(), chat: ChatGrant::default(), key_value: 1 << 20 }
    }
}

/// One entry of `http`: a host, and what is added to requests to it.
#[derive(Clone)]
pub struct HttpGrant {
    /// `https` (the default) or `http`.
    pub scheme: Scheme,
    /// A host name, an IP address, or `*.` and a name: one label of any text before it.
    pub host: String,
    /// The port; none is the scheme's own.
    pub port: Option<u16>,
    /// Whether the name may lead to a private, loopback or link-local address.
    pub private: bool,
    /// Headers that are set on every request, whatever the guest says. Their values never reach the guest.
    pub headers: Vec<(http::HeaderName, SecretString)>,
}

/// The scheme of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
}

impl fmt::Debug for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpGrant")
            .field("scheme", &self.scheme)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("private", &self.private)
            .field("headers", &names)
            .finish()
    }
}

/// `chat`: whom a plugin may write to besides the current conversation, and how its live cards look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatGrant {
    /// The app that sends where a call belongs to none, such as a tick of a schedule. None: the app `default`, or the only
    /// one.
    pub app: Option<String>,
    /// Staff ids; `*` is anybody.
    pub users: Vec<String>,
    /// Conversation ids of groups; `*` is any.
    pub groups: Vec<String>,
    /// How live cards look.
    pub live: LiveSettings,
}
