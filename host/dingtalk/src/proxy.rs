//! Which connections go through a proxy. One rule for HTTP and WebSocket.

use std::{fmt, net::IpAddr};

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::TransportError;

/// The proxy setting. Loopback addresses and `localhost` are always reached directly.
///
/// `NO_PROXY` entries are host names (which cover their subdomains, with or without a leading dot or `*.`), addresses,
/// address ranges (`10.0.0.0/8`), each with an optional port, or `*` for everything. `Debug` does not show credentials.
#[derive(Clone, Default)]
pub struct ProxyConfig {
    https: Option<Setting>,
    http: Option<Setting>,
    no_proxy: String,
}

#[derive(Clone)]
struct Setting {
    variable: &'static str,
    url: String,
}

impl ProxyConfig {
    /// From `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower case (which wins, as in curl).
    ///
    /// A value that is no proxy URL is reported by [`Transport::new`](crate::Transport::new).
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with the environment given as a function.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let full = |name| lookup(name).filter(|value| !value.trim().is_empty());
        let first = |names: [&'static str; 4]| {
            names.into_iter().find_map(|variable| full(variable).map(|url| Setting { variable, url }))
        };
        Self {
            https: first(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            http: first(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            no_proxy: full("no_proxy").or_else(|| full("NO_PROXY")).unwrap_or_default(),
        }
    }

    /// No proxy at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// `url` (`http://` or `https://`, with `user:password@` if needed) for everything but the hosts in `no_proxy`, a
    /// comma-separated list as in the environment variable.
    pub fn explicit(url: &Url, no_proxy: &str) -> Self {
        let setting = Some(Setting { variable: "proxy", url: url.to_string() });
        Self { https: setting.clone(), http: setting, no_proxy: no_proxy.to_owned() }
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |setting: &Option<Setting>| setting.as_ref().map(|setting| setting.variable);
        f.debug_struct("ProxyConfig")
            .field("https", &shown(&self.https))
            .field("http", &shown(&self.http))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// A proxy to connect to.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Without user and password.
    pub url: Url,
    pub host: String,
    pub port: u16,
    pub tls: bool,
    /// Value of `Proxy-Authorization`.
    pub authorization: Option<String>,
}

/// A [`ProxyConfig`] with its values checked.
#[derive(Clone, Default)]
pub(crate) struct ProxyRule {
    pub https: Option<Proxy>,
    pub http: Option<Proxy>,
    exceptions: Vec<Exception>,
}

#[derive(Clone)]
struct Exception {
    host: ExceptHost,
    port: Option<u16>,
}

#[derive(Clone)]
enum ExceptHost {
    All,
    /// Lower case, without leading dot.
    Domain(String),
    Range(IpAddr, u8),
}

impl ProxyRule {
    pub(crate) fn new(config: &ProxyConfig) -> Result<Self, TransportError> {
        let proxy = |setting: &Option<Setting>| setting.as_ref().map(parse_proxy).transpose();
        Ok(Self {
            https: proxy(&config.https)?,
            http: proxy(&config.http)?,
            exceptions: config.no_proxy.split([',', ' ']).filter_map(parse_exception).collect(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.https.is_none() && self.http.is_none()
    }

    /// The proxy for a connection to `url`, whose scheme is `http`, `https`, `ws` or `wss`.
    pub(crate) fn pick(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme() {
            "https" | "wss" => self.https.as_ref(),
            _ => self.http.as_ref(),
        }?;
        let host = url.host()?;
        let port = url.port_or_known_default();
        let direct = is_loopback(&host) || self.exceptions.iter().any(|except| except.covers(&host, port));
        (!direct).then_some(proxy)
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
        }
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

impl Exception {
    fn covers(&self, host: &Host<&str>, port: Option<u16>) -> bool {
        if self.port.is_some() && self.port != port {
            return false;
        }
        match (&self.host, host) {
            (ExceptHost::All, _) => true,
            (ExceptHost::Domain(domain), Host::Domain(name)) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (ExceptHost::Range(IpAddr::V4(net), bits), Host::Ipv4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*bits)).unwrap_or(0);
                u32::from(*net) & mask == u32::from(*ip) & mask
            }
            (ExceptHost::Range(IpAddr::V6(net), bits), Host::Ipv6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(*bits)).unwrap_or(0);
                u128::from(*net) & mask == u128::from(*ip) & mask
            }
            _ => false,
        }
    }
}

fn parse_exception(entry: &str) -> Option<Exception> {
    let entry = entry.trim();
    if entry.is_empty() {
        return None;
    }
    if entry == "*" {
        return Some(Exception { host: ExceptHost::All, port: None });
    }
    if let Some(range) = parse_range(entry.trim_start_matches('[').trim_end_matches(']')) {
        return Some(Exception { host: range, port: None });
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    let host = match parse_range(host.trim_start_matches('[').trim_end_matches(']')) {
        Some(range) => range,
        None => {
            let domain = host.trim_start_matches('*').trim_matches('.').to_ascii_lowercase();
            if domain.is_empty() {
                return None;
            }
            ExceptHost::Domain(domain)
        }
    };
    Some(Exception { host, port })
}

fn parse_range(text: &str) -> Option<ExceptHost> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some(ExceptHost::Range(address, bits))
}

fn parse_proxy(setting: &Setting) -> Result<Proxy, TransportError> {
    let fail = |reason: &str| TransportError::Proxy { variable: setting.variable, reason: reason.to_owned() };
    let text = setting.url.trim();
    // curl and others take `host:port` for an HTTP proxy.
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&text).map_err(|error| fail(&format!("it is no URL ({error})")))?;
    let tls = match url.scheme() {
        "http" => false,
        "https" => true,
        other => return Err(fail(&format!("scheme {other} is not supported"))),
    };
    let Some(host) = url.host_str().map(str::to_owned) else { return Err(fail("it names no host")) };
    let Some(port) = url.port_or_known_default() else { return Err(fail("it names no port")) };
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
        let pair = format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or("")));
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    });
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return Err(fail("its credentials cannot be separated"));
    }
    Ok(Proxy { url, host, port, tls, authorization })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(no_proxy: &str) -> ProxyRule {
        let url = Url::parse("http://user:p%40ss@proxy.corp:3128").unwrap();
        ProxyRule::new(&ProxyConfig::explicit(&url, no_proxy)).unwrap()
    }

    fn proxied(rule: &ProxyRule, url: &str) -> bool {
        rule.pick(&Url::parse(url).unwrap()).is_some()
    }

    #[test]
    fn credentials_become_a_header_and_leave_the_url() {
        let rule = rule("");
        let proxy = rule.pick(&Url::parse("wss://x.dingtalk.com/connect").unwrap()).unwrap();
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(proxy.url.as_str(), "http://proxy.corp:3128/");
    }

    #[test]
    fn exceptions() {
        let rule = rule("dingtalk.com, .corp:8080,*.lab,10.0.0.0/8, [fd00::]/8,fe80::1,192.0.2.1:81");
        for direct in [
            "https://dingtalk.com",
            "wss://api.DingTalk.com",
            "http://a.corp:8080",
            "http://x.lab",
            "http://10.9.8.7",
            "http://[fe80::1]",
            "http://192.0.2.1:81",
            "ws://127.0.0.1:9/x",
            "http://localhost:1",
            "http://[::1]:1",
        ] {
            assert!(!proxied(&rule, direct), "{direct}");
        }
        for through in [
            "https://notdingtalk.com",
            "http://a.corp",
            "http://11.0.0.1",
            "http://192.0.2.1",
            "http://[fe80::2]",
        ] {
            assert!(proxied(&rule, through), "{through}");
        }
        assert!(!proxied(&self::rule("*"), "https://example.com"));
    }

    #[test]
    fn the_environment_is_read_like_curl_does() {
        let read = |name: &str| match name {
            "HTTPS_PROXY" => Some("upper:1".to_owned()),
            "https_proxy" => Some("lower:2".to_owned()),
            "HTTP_PROXY" => Some(" ".to_owned()),
            "NO_PROXY" => Some("a.example".to_owned()),
            _ => None,
        };
        let rule = ProxyRule::new(&ProxyConfig::from_lookup(read)).unwrap();
        assert_eq!(rule.pick(&Url::parse("https://b.example").unwrap()).unwrap().host, "lower");
        assert!(!proxied(&rule, "https://a.example") && !proxied(&rule, "http://b.example"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for bad in ["socks5://u:hunter2@h:1", "http://", "http://u:hunter2@h:port"] {
            let read = |name: &str| (name == "HTTPS_PROXY").then(|| bad.to_owned());
            let config = ProxyConfig::from_lookup(read);
            assert!(!format!("{config:?}").contains("hunter2"));
            let error = ProxyRule::new(&config).err().unwrap().to_string();
            assert!(error.contains("HTTPS_PROXY") && !error.contains("hunter2"), "{error}");
        }
    }
}
