//! Grants of outbound hosts: how they are written, and which of them covers a URL.

use std::net::Ipv6Addr;

use http::{HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::{HttpGrant, PluginSpec, Scheme};

/// Headers that belong to one connection, or follow from the URL and the body: neither guests nor grants set them.
pub(crate) const RESERVED: [HeaderName; 13] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl HttpGrant {
    /// From the short form: `https://api.example.com`, with a port where it is not the scheme's own.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what to write instead. Never quotes a password.
    pub fn parse(text: &str) -> Result<HttpGrant, String> {
        if text.contains('@') {
            let instead = r#"{ host = "…", headers = { Authorization = "…" } }"#;
            return Err(format!("a grant holds no user or password before `@`; write {instead}"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("{text:?} has no scheme; write \"https://{text}\""));
        };
        let scheme = scheme.parse()?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(path) = rest.find(['/', '?', '#', '\\']) {
            let host = rest.get(..path).unwrap_or_default();
            let shorter = format!("{}://{host}", name_of(scheme));
            return Err(format!("{text:?} names a path, but a grant is for a whole host; write {shorter:?}"));
        }
        let (host, port) = split_port(rest).map_err(|reason| format!("{text:?}: {reason}"))?;
        HttpGrant::new(scheme, host, port)
    }

    /// From the parts of the long form, without headers and private addresses. `host` is a name, an IP address (IPv6 with
    /// or without brackets), or `*.` and a name.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what to write instead.
    pub fn new(scheme: Scheme, host: &str, port: Option<u16>) -> Result<HttpGrant, String> {
        if let Some((scheme, host)) = host.split_once("://") {
            return Err(format!(
                "the host {host:?} has a scheme before it; write {{ host = {host:?}, scheme = {scheme:?} }}"
            ));
        }
        if port == Some(0) {
            return Err("port 0 is none to connect to; leave `port` out for the scheme's own".to_owned());
        }
        Pattern::new(host)?;
        Ok(HttpGrant { scheme, host: host.to_owned(), port, private: false, headers: Vec::new() })
    }

    /// Adds a header that is set on every request.
    ///
    /// # Errors
    ///
    /// The name is none, is one that the connection sets itself, or the value has a line break in it. The value is never
    /// quoted.
    pub fn header(&mut self, name: &str, value: SecretString) -> Result<(), String> {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(format!("{name:?} is no header name"));
        };
        if RESERVED.contains(&header) {
            return Err(format!("the header `{header}` is set by the connection itself; leave it out"));
        }
        if HeaderValue::from_bytes(value.expose_secret().as_bytes()).is_err() {
            return Err(format!(
                "the value of `{header}` has a line break or a control character in it; a trailing line break in the \
                 file or variable it comes from is the usual reason"
            ));
        }
        self.headers.push((header, value));
        Ok(())
    }
}

impl std::str::FromStr for Scheme {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("https") {
            Ok(Scheme::Https)
        } else if text.eq_ignore_ascii_case("http") {
            Ok(Scheme::Http)
        } else {
            Err(format!("plugins cannot use the scheme {text:?}; write \"https\" or \"http\""))
        }
    }
}

fn name_of(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}

/// `host:port`, `host`, `[address]:port`, `[address]`.
fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err("an IPv6 address stands in brackets, as in \"https://[2001:db8::1]:8443\"".to_owned());
    }
    let port = port.map(|port| match port.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{port:?} is no port; it is a number from 1 to 65535")),
    });
    Ok((host, port.transpose()?))
}

/// The host of a grant, ready to compare.
enum Pattern {
    Exact(Host),
    /// One label of any text before this name.
    Label(String),
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        let wild = "\"*.example.com\" grants all names with one label before \"example.com\"";
        if text.is_empty() {
            return Err("it names no host".to_owned());
        }
        if text == "*" || text == "*." {
            return Err(format!("\"*\" would grant every host there is; name the hosts ({wild})"));
        }
        let (label, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            return Err(format!("in {text:?} the `*` is not the whole first label; {wild}"));
        }
        if let Ok(address) = name.parse::<Ipv6Addr>()
            && !label
        {
            return Ok(Pattern::Exact(Host::Ipv6(address)));
        }
        let trimmed = name.strip_suffix('.').unwrap_or(name);
        match Host::parse(trimmed) {
            Ok(Host::Domain(name)) if label => Ok(Pattern::Label(name)),
            Ok(_) if label => Err(format!("in {text:?} an address follows the `*`; {wild}")),
            Ok(host) => Ok(Pattern::Exact(host)),
            Err(error) => Err(format!("{text:?} is no host name or address: {error}")),
        }
    }

    fn covers(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Pattern::Exact(Host::Domain(name)), Host::Domain(host)) => name == host,
            (Pattern::Exact(Host::Ipv4(address)), Host::Ipv4(host)) => address == host,
            (Pattern::Exact(Host::Ipv6(address)), Host::Ipv6(host)) => address == host,
            (Pattern::Label(name), Host::Domain(host)) => {
                host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == name)
            }
            _ => false,
        }
    }
}

/// The `http` grants of a plugin, ready to compare.
pub(crate) struct Doors {
    plugin: String,
    /// With the grant's place in the config's list. A grant that could not have been made by [`HttpGrant::new`] is in
    /// none of them.
    doors: Vec<(usize, Door)>,
}

struct Door {
    scheme: &'static str,
    pattern: Pattern,
    port: u16,
}

impl Doors {
    pub(crate) fn new(spec: &PluginSpec) -> Self {
        let door = |grant: &HttpGrant| {
            let own = if grant.scheme == Scheme::Http { 80 } else { 443 };
            let pattern = Pattern::new(&grant.host).ok()?;
            Some(Door { scheme: name_of(grant.scheme), pattern, port: grant.port.unwrap_or(own) })
        };
        let mut doors: Vec<(usize, Door)> = spec
            .grants
            .http
            .iter()
            .enumerate()
            .filter_map(|(place, grant)| Some((place, door(grant)?)))
            .collect();
        // The host's own entry says more about it than one with a wildcard.
        doors.sort_by_key(|(_, door)| matches!(door.pattern, Pattern::Label(_)));
        Doors { plugin: spec.name.clone(), doors }
    }

    /// The grant that covers a URL made by [`target`], by its place in the config's list.
    ///
    /// # Errors
    ///
    /// None does; says which line to add.
    pub(crate) fn find(&self, url: &Url) -> Result<usize, String> {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err("it names no host".to_owned());
        };
        let covers =
            |door: &Door| door.scheme == url.scheme() && door.port == port && door.pattern.covers(&host);
        if let Some((place, _)) = self.doors.iter().find(|(_, door)| covers(door)) {
            return Ok(*place);
        }
        let plugin = &self.plugin;
        let origin = url.origin().ascii_serialization();
        Err(if self.doors.is_empty() {
            format!(
                "plugin `{plugin}` may not send requests to {origin}; to allow it, add this to [plugins.{plugin}]: \
                 http = [\"{origin}\"]"
            )
        } else {
            format!(
                "plugin `{plugin}` may not send requests to {origin}; to allow it, add \"{origin}\" to the list `http` in \
                 [plugins.{plugin}]"
            )
        })
    }
}

/// The longest URL a guest may ask for.
const MAX_URL: usize = 8 << 10;

/// What a guest wants to reach, in the one spelling that is compared and dialled.
///
/// # Errors
///
/// It is no `http` or `https` URL, or one with a user in it.
pub(crate) fn target(text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("the URL is longer than {MAX_URL} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("it is no URL: {error}"))?;
    tidy(url)
}

/// As [`target`], for a URL that is one already.
pub(crate) fn tidy(mut url: Url) -> Result<Url, String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the URL's scheme is `{}`; `http` and `https` are known", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user or password; send a header `authorization` instead".to_owned());
    }
    url.set_fragment(None);
    if let Some(Host::Domain(name)) = url.host()
        && let Some(name) = name.strip_suffix('.')
    {
        // The dot of a complete name; certificates and grants are written without.
        let name = name.to_owned();
        if name.is_empty() || name.ends_with('.') || url.set_host(Some(&name)).is_err() {
            return Err("the URL names no host".to_owned());
        }
    }
    if url.port_or_known_default() == Some(0) {
        return Err("port 0 is none to connect to".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(grants: &[&str]) -> Doors {
        let mut spec = PluginSpec::new("todo", "todo.wasm");
        spec.grants.http = grants.iter().map(|text| HttpGrant::parse(text).unwrap()).collect();
        Doors::new(&spec)
    }

    fn find(doors: &Doors, url: &str) -> Result<usize, String> {
        doors.find(&target(url).unwrap())
    }

    #[test]
    fn the_host_the_scheme_and_the_port_must_be_the_granted_ones() {
        let doors = doors(&["https://API.example.com", "http://10.0.0.1:8080", "https://[2001:DB8::1]:8443"]);
        for (url, place) in [
            ("https://api.example.com/v1?x=1#y", 0),
            ("https://API.EXAMPLE.COM:443", 0),
            ("https://api.example.com./", 0),
            ("https://%61pi.example.com/", 0),
            ("https://api。example.com/", 0),
            ("http://10.0.0.1:8080/x", 1),
            ("http://0x0a000001:8080", 1),
            ("http://167772161:8080", 1),
            ("https://[2001:db8:0:0::1]:8443/", 2),
        ] {
            assert_eq!(find(&doors, url), Ok(place), "{url}");
        }
        for url in [
            "http://api.example.com",
            "https://api.example.com:8443",
            "https://example.com",
            "https://x.api.example.com",
            "https://api.example.com.evil.org",
            "https://api.example.comevil.org",
            "http://10.0.0.1",
            "http://[::ffff:10.0.0.1]:8080",
            "https://[2001:db8::1]",
        ] {
            assert!(find(&doors, url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_wildcard_is_one_label_and_the_exact_name_comes_first() {
        let doors = doors(&["https://*.example.com", "https://api.example.com", "https://*.münchen.example"]);
        assert_eq!(find(&doors, "https://files.example.com"), Ok(0));
        assert_eq!(find(&doors, "https://api.example.com"), Ok(1));
        assert_eq!(find(&doors, "https://www.MÜNCHEN.example"), Ok(2));
        assert_eq!(find(&doors, "https://www.xn--mnchen-3ya.example"), Ok(2));
        for url in
            ["https://example.com", "https://a.b.example.com", "https://.example.com", "https://xexample.com"]
        {
            assert!(find(&doors, url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_add() {
        let none = find(&doors(&[]), "https://api.example.com:443/v1").unwrap_err();
        assert!(none.ends_with("add this to [plugins.todo]: http = [\"https://api.example.com\"]"), "{none}");
        let some = find(&doors(&["https://a.example"]), "http://[::1]:8080/v1").unwrap_err();
        assert!(some.ends_with("add \"http://[::1]:8080\" to the list `http` in [plugins.todo]"), "{some}");
    }

    #[test]
    fn malformed_grants() {
        for (text, words) in [
            ("api.example.com", "has no scheme; write \"https://api.example.com\""),
            ("ftp://a.example", "cannot use the scheme \"ftp\""),
            ("https://a.example/v1", "write \"https://a.example\""),
            ("https://a.example?x", "write \"https://a.example\""),
            ("https://", "names no host"),
            ("https://*", "every host"),
            ("https://a.*.example", "whole first label"),
            ("https://*a.example", "whole first label"),
            ("https://*.*.example", "whole first label"),
            ("https://*.10.0.0.1", "address follows"),
            ("https://a b", "no host name"),
            ("https://a.example:0", "no port"),
            ("https://a.example:http", "no port"),
            ("https://a.example:70000", "no port"),
            ("https://2001:db8::1", "stands in brackets"),
            ("https://[2001:db8::1", "stands in brackets"),
            ("https://me:hunter2@a.example", "no user or password"),
        ] {
            let error = HttpGrant::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = HttpGrant::new(Scheme::Https, "http://a.example", None).unwrap_err();
        assert!(error.contains("{ host = \"a.example\", scheme = \"http\" }"), "{error}");
        for host in ["a.example", "*.com", "10.0.0.1", "2001:db8::1", "[2001:db8::1]"] {
            HttpGrant::new(Scheme::Http, host, Some(81)).unwrap();
        }
    }

    #[test]
    fn headers_of_a_grant() {
        let mut grant = HttpGrant::parse("https://a.example").unwrap();
        grant.header("Authorization", "Bearer hunter2".into()).unwrap();
        for (name, value) in [("Host", "b"), ("content-length", "1"), ("a b", "hunter2"), ("x", "hunter2\n")]
        {
            let error = grant.header(name, value.into()).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(!format!("{grant:?}").contains("hunter2"));
    }

    #[test]
    fn urls_of_guests() {
        for url in [
            "",
            "/x",
            "ftp://a.example",
            "https://u@a.example",
            "https://:p@a.example",
            "https://./",
            "https://a..",
            "http://a.example:0",
            "http://[::1%25eth0]/",
        ] {
            assert!(target(url).is_err(), "{url}");
        }
        assert!(target(&format!("https://a.example/{}", "x".repeat(9000))).is_err());
        assert_eq!(target("HTTPS://A.Example.:443/x#y").unwrap().as_str(), "https://a.example/x");
    }
}
