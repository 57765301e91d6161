//! The way to DingTalk's hosts, by the same transport that Belfry itself uses.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use belfry_dingtalk::{ConnectErrorKind, Registration, SecretString, Transport, Url, open_socket};

use url::Origin;

use super::PATIENCE;
use super::finding::{Check, Finding, Level};
use crate::config::App;

/// What is known of the way to DingTalk's hosts.
#[derive(Default)]
pub(super) struct Network {
    pub(super) findings: Vec<Finding>,
    unreachable: Vec<Origin>,
}

impl Network {
    /// Whether it is no use to try `host`: the reason is among the findings.
    pub(super) fn is_unreachable(&self, host: &Url) -> bool {
        self.unreachable.contains(&host.origin())
    }

    fn add(&mut self, host: &Url, finding: Finding) {
        if finding.level == Level::Error && !self.is_unreachable(host) {
            self.unreachable.push(host.origin());
        }
        self.findings.push(finding);
    }
}

/// Examines each host that the apps name, once.
pub(super) async fn examine<'a>(apps: impl Iterator<Item = &'a App>, transport: &Transport) -> Network {
    let mut hosts: Vec<&Url> = Vec::new();
    for base in apps.flat_map(|app| [&app.api_base, &app.oapi_base]) {
        if !hosts.iter().any(|host| host.origin() == base.origin()) {
            hosts.push(base);
        }
    }
    let mut network = Network::default();
    for host in &hosts {
        network.add(host, proxy(host, transport));
    }
    for host in &hosts {
        // Behind a proxy it is the proxy that looks the name up.
        if transport.proxy_for(host).is_none()
            && let Some(finding) = dns(host).await
        {
            network.add(host, finding);
        }
    }
    for host in &hosts {
        if !network.is_unreachable(host) {
            network.add(host, connection(host, transport).await);
        }
    }
    network
}

pub(super) fn proxy(host: &Url, transport: &Transport) -> Finding {
    let name = host_and_port(host);
    match transport.proxy_for(host) {
        Some(proxy) => Finding::ok(Check::Proxy, format!("{name} through the proxy {proxy}")),
        None => Finding::ok(Check::Proxy, format!("{name} directly")),
    }
}

async fn dns(host: &Url) -> Option<Finding> {
    let Some(url::Host::Domain(name)) = host.host() else { return None };
    let port = host.port_or_known_default().unwrap_or(443);
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name, port))).await;
    let addresses: Vec<IpAddr> = match found {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        Ok(Err(cause)) => {
            return Some(Finding::error(
                Check::Dns,
                format!("{name} cannot be looked up: {cause}"),
                "check the name, and this machine's DNS (`getent hosts NAME`); in a container, its network. \
                 If only a proxy reaches the Internet, set `proxy` in [channels_config.dingtalk]",
            ));
        }
        Err(_) => {
            return Some(Finding::error(
                Check::Dns,
                format!("{name} was not looked up within {} s", PATIENCE.as_secs()),
                "the DNS server of this machine does not answer; see /etc/resolv.conf",
            ));
        }
    };
    Some(judge_addresses(name, &addresses))
}

/// Public names that resolve to private addresses come from a filtering DNS, a hosts file or a VPN.
fn judge_addresses(name: &str, addresses: &[IpAddr]) -> Finding {
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let what = format!("{name} is {}", list.join(", "));
    if addresses.is_empty() {
        return Finding::error(Check::Dns, format!("{name} has no address"), "check the name");
    }
    if name != "localhost" && addresses.iter().copied().any(is_private) {
        return Finding::warning(
            Check::Dns,
            format!("{what}: a private address for a public name"),
            "unless that is a gateway of yours, look at /etc/hosts, the VPN and the DNS server (some answer so for \
             hosts they block)",
        );
    }
    Finding::ok(Check::Dns, what)
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = matches!(v4.octets(), [100, 64..=127, ..]);
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared
        }
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified()
        }
    }
}

/// Tries proxy, TCP and TLS by asking the host for a WebSocket, exactly as Belfry would. DingTalk's API hosts refuse
/// that in their HTTP answer, and an answer is all that is wanted here.
async fn connection(host: &Url, transport: &Transport) -> Finding {
    let name = host_and_port(host);
    let secure = host.scheme() == "https";
    let mut endpoint = host.clone();
    if endpoint.set_scheme(if secure { "wss" } else { "ws" }).is_err() {
        return Finding::error(
            Check::Connection,
            format!("{host} is not a URL to connect to"),
            "see api_base",
        );
    }
    endpoint.set_path("/");
    let registration = Registration { endpoint, ticket: SecretString::from("doctor"), server_date: None };
    let what = if secure { "takes connections, and its certificate is trusted" } else { "takes connections" };
    match open_socket(&registration, transport, 1024, PATIENCE).await {
        Ok(socket) => {
            socket.close().await;
            Finding::ok(Check::Connection, format!("{name} {what}"))
        }
        Err(error) if error.kind == ConnectErrorKind::Handshake => {
            Finding::ok(Check::Connection, format!("{name} {what}"))
        }
        // Not taken for the last word: the registration that follows waits on its own.
        Err(error) if error.kind == ConnectErrorKind::Timeout => Finding::warning(
            Check::Connection,
            format!("{name} did not answer within {} s", PATIENCE.as_secs()),
            error.hint(),
        ),
        Err(error) => {
            let mend = about_certificate(&error.message).unwrap_or_else(|| error.hint());
            Finding::error(Check::Connection, format!("{name} cannot be reached: {}", error.message), mend)
        }
    }
}

/// What rustls says of a certificate, for people.
pub(super) fn about_certificate(message: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 4] = [
        (
            "UnknownIssuer",
            "the certificate is signed by nobody this machine trusts: either a proxy inspects TLS (set `ca_file` to \
             its CA, in PEM form), or the system's CA bundle is old (package ca-certificates)",
        ),
        (
            "not valid for name",
            "another host answers: DNS, /etc/hosts or a proxy leads elsewhere, or the base is misspelt",
        ),
        (
            "certificate expired",
            "either this machine's clock is ahead, or something between here and DingTalk has an old certificate",
        ),
        ("not valid yet", "this machine's clock is behind: set it (timedatectl set-ntp true)"),
    ];
    WORDS.iter().find(|(sign, _)| message.contains(sign)).map(|(_, words)| *words)
}

/// How far this machine's clock is from the server's; the `Date` header has whole seconds.
pub(super) fn clock(server: SystemTime, here: SystemTime) -> Finding {
    const TOLERATED: Duration = Duration::from_secs(60);
    let (apart, word) = match here.duration_since(server) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if apart <= TOLERATED {
        return Finding::ok(Check::Clock, "this machine's clock agrees with DingTalk's");
    }
    Finding::warning(
        Check::Clock,
        format!("this machine's clock is {} s {word} DingTalk's", apart.as_secs()),
        "set the clock (timedatectl set-ntp true): Belfry would take session webhooks for expired or valid when they \
         are not, and certificates are judged by it",
    )
}

pub(super) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_of_public_names_are_warned_of() {
        let judged = |name: &str, address: &str| judge_addresses(name, &[address.parse().unwrap()]).level;
        assert_eq!(judged("api.dingtalk.com", "106.11.23.1"), Level::Ok);
        assert_eq!(judged("api.dingtalk.com", "2401:b180::1"), Level::Ok);
        assert_eq!(judged("localhost", "127.0.0.1"), Level::Ok);
        for private in [
            "192.168.1.176",
            "10.0.0.1",
            "127.0.0.1",
            "0.0.0.0",
            "100.100.0.1",
            "::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(judged("api.dingtalk.com", private), Level::Warning, "{private}");
        }
        assert_eq!(judge_addresses("api.dingtalk.com", &[]).level, Level::Error);
    }

    #[test]
    fn a_clock_may_be_a_minute_off() {
        let server = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(clock(server, server + Duration::from_secs(59)).level, Level::Ok);
        assert_eq!(clock(server, server - Duration::from_secs(59)).level, Level::Ok);
        let ahead = clock(server, server + Duration::from_secs(3600));
        assert_eq!(
            (ahead.level, ahead.what.as_str()),
            (Level::Warning, "this machine's clock is 3600 s ahead of DingTalk's")
        );
        let behind = clock(server, server - Duration::from_secs(90));
        assert_eq!(behind.what, "this machine's clock is 90 s behind DingTalk's");
    }
}
