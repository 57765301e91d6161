//! What the requests of all plugins share on their way out.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use secrecy::SecretString;
use tokio::sync::OnceCell;
use url::{Host, Url};

use super::address::not_public;
use crate::{FetchError, ServiceFuture};

/// How requests of plugins leave the machine. The default: directly, trusting the system's certificate authorities.
#[derive(Clone, Default)]
pub struct OutboundConfig {
    /// TLS versions and the authorities to trust. None: those of the system, read with the first request that needs them.
    pub tls: Option<Arc<ClientConfig>>,
    /// Which requests go through a proxy. None: none does.
    pub proxy: Option<Arc<ProxyRule>>,
    /// How names become addresses. None: as the system does it.
    pub look_up: Option<Arc<dyn LookUp>>,
}

/// The proxy for a URL; none reaches it directly.
pub type ProxyRule = dyn Fn(&Url) -> Option<Proxy> + Send + Sync;

/// A proxy to connect to.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// An `http` or `https` URL without user and password.
    pub url: Url,
    /// The value of `Proxy-Authorization`, if it wants one.
    pub authorization: Option<SecretString>,
}

/// Turns names into addresses.
pub trait LookUp: Send + Sync {
    /// All addresses of a name. Called once for each connection.
    ///
    /// # Errors
    ///
    /// The name does not exist, or nobody can be asked.
    fn look_up<'a>(&'a self, name: &'a str) -> ServiceFuture<'a, io::Result<Vec<IpAddr>>>;
}

impl fmt::Debug for OutboundConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundConfig")
            .field("tls", &self.tls.is_some())
            .field("proxy", &self.proxy.is_some())
            .field("look_up", &self.look_up.is_some())
            .finish()
    }
}

/// The way out, shared by all plugins of a host.
pub(crate) struct Exit {
    config: OutboundConfig,
    system: OnceCell<Result<ClientConfig, FetchError>>,
    said_proxy: AtomicBool,
}

impl Exit {
    pub(crate) fn new(config: OutboundConfig) -> Self {
        Exit { config, system: OnceCell::new(), said_proxy: AtomicBool::new(false) }
    }

    pub(super) fn proxy(&self, url: &Url) -> Option<Proxy> {
        let proxy = self.config.proxy.as_ref().and_then(|rule| rule(url))?;
        if !self.said_proxy.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "requests of plugins go through the proxy {}, which looks names up by itself: a granted name that leads to a \
                 private address cannot be refused",
                proxy.url.origin().ascii_serialization()
            );
        }
        Some(proxy)
    }

    /// TLS settings for one client of its own, which remembers its sessions for itself.
    pub(super) async fn tls(&self) -> Result<ClientConfig, FetchError> {
        let mut tls = match &self.config.tls {
            Some(tls) => ClientConfig::clone(tls),
            None => self.system.get_or_init(system_tls).await.clone()?,
        };
        tls.resumption = Resumption::in_memory_sessions(8);
        Ok(tls)
    }

    /// The look-up for direct connections of a grant.
    pub(super) fn guard(&self, plugin: &str, private: bool) -> Guard {
        Guard { look_up: self.config.look_up.clone(), plugin: Arc::from(plugin), private }
    }
}

async fn system_tls() -> Result<ClientConfig, FetchError> {
    let made = tokio::task::spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        // Bundles hold the odd certificate that rustls cannot use; the others still count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(
                "the system has no root certificates; install its CA bundle (package ca-certificates)"
                    .to_owned(),
            );
        }
        // The provider is named rather than taken from the process-wide default, which another crate may set differently.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    });
    match made.await {
        Ok(made) => made.map_err(FetchError::Failed),
        Err(error) => Err(FetchError::Failed(error.to_string())),
    }
}

/// A look-up that lets only those addresses through that may be reached. What it lets through is what is dialled: the name
/// is not looked up a second time.
pub(super) struct Guard {
    look_up: Option<Arc<dyn LookUp>>,
    plugin: Arc<str>,
    private: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let Guard { look_up, plugin, private } = self;
        let (look_up, plugin, private) = (look_up.clone(), Arc::clone(plugin), *private);
        Box::pin(async move {
            let name = name.as_str();
            let found = match &look_up {
                Some(look_up) => look_up.look_up(name).await,
                None => tokio::net::lookup_host((name, 0)).await.map(|all| all.map(|one| one.ip()).collect()),
            };
            let found = found.map_err(|error| {
                FetchError::Failed(format!("the name {name} leads to no address: {error}"))
            })?;
            let allowed: Vec<_> = found
                .iter()
                .filter(|address| private || not_public(**address).is_none())
                .map(|address| SocketAddr::new(*address, 0))
                .collect();
            if !allowed.is_empty() {
                return Ok(Box::new(allowed.into_iter()) as Addrs);
            }
            let refused = found.iter().find_map(|address| Some((address, not_public(*address)?)));
            Err(match refused {
                Some((address, kind)) => {
                    let what = format!("{name} leads to {address}, an address of the kind: {kind}");
                    FetchError::Refused(private_words(&plugin, &what))
                }
                None => FetchError::Failed(format!("the name {name} leads to no address")),
            }
            .into())
        })
    }
}

/// Refuses hosts that are no public ones by their looks: addresses, and where `by_name`, names that are never public ones.
pub(super) fn check_host(url: &Url, plugin: &str, by_name: bool) -> Result<(), FetchError> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(name)) if by_name && never_public(name) => {
            return Err(FetchError::Refused(private_words(
                plugin,
                &format!("{name} is a name of private networks"),
            )));
        }
        _ => return Ok(()),
    };
    match not_public(address) {
        Some(kind) => {
            let what = format!("{address} is an address of the kind: {kind}");
            Err(FetchError::Refused(private_words(plugin, &what)))
        }
        None => Ok(()),
    }
}

/// Names that are kept for use within a machine or a network (RFC 6761, 6762, 8375, ICANN's `internal`).
fn never_public(name: &str) -> bool {
    ["localhost", "local", "internal", "home.arpa"]
        .iter()
        .any(|zone| name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

fn private_words(plugin: &str, what: &str) -> String {
    format!(
        "plugin `{plugin}` may reach public addresses only, and {what}; if that is meant, set `private = true` in its grant: \
         http = [{{ host = \"…\", private = true }}] in [plugins.{plugin}]"
    )
}
