//! Connections for the WebSocket: name look-up, TCP, proxy, TLS, each step with an error of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::{ConnectErrorKind, Transport, proxy::Proxy};

/// A byte stream, encrypted or not, direct or through a proxy.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(crate) type Stream = Box<dyn Io>;

/// A failed step and its cause.
pub(crate) type DialError = (ConnectErrorKind, String);

/// A second address is tried beside the first after this long (RFC 8305, "connection attempt delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Largest head of a proxy's answer, in bytes.
const MAX_PROXY_HEAD: usize = 8 * 1024;

/// Connects to the host of a `ws` or `wss` address.
pub(crate) async fn dial(transport: &Transport, url: &Url) -> Result<Stream, DialError> {
    let bad = |what: &str| (ConnectErrorKind::Endpoint, what.to_owned());
    let host = url.host().ok_or_else(|| bad("it names no host"))?;
    let port = url.port_or_known_default().ok_or_else(|| bad("it names no port"))?;
    let stream = match transport.proxy.pick(url) {
        Some(proxy) => through_proxy(transport, proxy, &host, port).await?,
        None => Box::new(tcp(&host, port).await?) as Stream,
    };
    if url.scheme() == "wss" { tls(transport, &host, stream).await } else { Ok(stream) }
}

async fn tcp(host: &Host<&str>, port: u16) -> Result<TcpStream, DialError> {
    let addresses: Vec<SocketAddr> = match host {
        Host::Ipv4(ip) => vec![(*ip, port).into()],
        Host::Ipv6(ip) => vec![(*ip, port).into()],
        Host::Domain(name) => tokio::net::lookup_host((*name, port))
            .await
            .map_err(|error| (ConnectErrorKind::Dns, format!("look up {name}: {error}")))?
            .collect(),
    };
    let stream = race(interleave(addresses)).await.map_err(|error| (ConnectErrorKind::Tcp, error))?;
    // Acks are small and due soon.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Alternates the address families, so that a black hole in one costs only one delay.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut a, mut b): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    a.reverse();
    b.reverse();
    let mut order = Vec::with_capacity(a.len() + b.len());
    while !(a.is_empty() && b.is_empty()) {
        order.extend(a.pop());
        order.extend(b.pop());
    }
    order
}

async fn race(addresses: Vec<SocketAddr>) -> Result<TcpStream, String> {
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failures: Vec<String> = Vec::new();
    loop {
        let next = waiting.next();
        let last = next.is_none();
        if let Some(address) = next {
            running.push(async move { (address, TcpStream::connect(address).await) });
        }
        if running.is_empty() {
            let reason =
                if failures.is_empty() { "the name has no address".to_owned() } else { failures.join(", ") };
            return Err(reason);
        }
        let head_start = async {
            if last { std::future::pending().await } else { tokio::time::sleep(ATTEMPT_DELAY).await }
        };
        tokio::select! {
            done = running.next() => match done {
                Some((_, Ok(stream))) => return Ok(stream),
                Some((address, Err(error))) => failures.push(format!("{address}: {error}")),
                None => {}
            },
            () = head_start => {}
        }
    }
}

async fn tls(transport: &Transport, host: &Host<&str>, stream: Stream) -> Result<Stream, DialError> {
    let name = match host {
        Host::Domain(name) => ServerName::try_from((*name).to_owned())
            .map_err(|_| (ConnectErrorKind::Endpoint, format!("{name} is no host name for TLS")))?,
        Host::Ipv4(ip) => ServerName::from(std::net::IpAddr::V4(*ip)),
        Host::Ipv6(ip) => ServerName::from(std::net::IpAddr::V6(*ip)),
    };
    let stream = TlsConnector::from(Arc::clone(&transport.tls))
        .connect(name, stream)
        .await
        .map_err(|error| (ConnectErrorKind::Tls, format!("TLS with {host}: {error}")))?;
    Ok(Box::new(stream))
}

async fn through_proxy(
    transport: &Transport,
    proxy: &Proxy,
    host: &Host<&str>,
    port: u16,
) -> Result<Stream, DialError> {
    let fail =
        |what: String| (ConnectErrorKind::Proxy, format!("proxy {}:{}: {what}", proxy.host, proxy.port));
    let proxy_host = proxy.url.host().ok_or_else(|| fail("it names no host".to_owned()))?;
    let mut stream: Stream = Box::new(tcp(&proxy_host, proxy.port).await.map_err(|(_, error)| fail(error))?);
    if proxy.tls {
        stream = tls(transport, &proxy_host, stream).await.map_err(|(_, error)| fail(error))?;
    }
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(authorization) = &proxy.authorization {
        request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    request.push_str("\r\n");
    let head = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        read_head(&mut stream).await
    };
    let head = head.await.map_err(|error| fail(error.to_string()))?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse::<u16>().ok());
    match status {
        Some(200..=299) => Ok(stream),
        Some(407) if proxy.authorization.is_some() => {
            Err(fail("it refuses the user or password (407)".to_owned()))
        }
        Some(407) => {
            Err(fail("it wants a user and password (407): write http://user:password@host:port".to_owned()))
        }
        Some(code) => Err(fail(format!("it answered {code} to CONNECT {host}:{port}"))),
        None => Err(fail("its answer is not HTTP".to_owned())),
    }
}

/// Reads up to the empty line. Byte by byte: what follows belongs to the tunnel, and this happens once per connection.
async fn read_head(stream: &mut Stream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_PROXY_HEAD {
            return Err(io::Error::other("the head of its answer is too long"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
