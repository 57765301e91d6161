//! Own certificate authorities and proxies, for both transports.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::{io::Write, sync::Arc, sync::Mutex, time::Duration};

use belfry_dingtalk::{
    ConnectErrorKind, OutMessage, ProxyConfig, RegistrationErrorKind, SendOptions, SessionWebhook, Transport,
    TransportConfig, TransportError, Url, WebhookClient, WebhookPolicy, open_socket, register,
};
use common::{ALL, Gateway, answer};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer},
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A CA file, and a server certificate of that CA for `127.0.0.1` and `gateway.test`.
fn own_ca() -> (tempfile::NamedTempFile, TlsAcceptor) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "gateway.test".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(ca_certificate.pem().as_bytes()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    (file, TlsAcceptor::from(Arc::new(config)))
}

fn transport(ca: Option<&tempfile::NamedTempFile>, proxy: ProxyConfig) -> Transport {
    Transport::new(&TransportConfig { ca_file: ca.map(|file| file.path().to_owned()), proxy }).unwrap()
}

#[tokio::test]
async fn an_own_ca_is_trusted_by_both_transports() {
    let (ca, tls) = own_ca();
    let mut gateway = Gateway::start_with(Some(tls), "wss://127.0.0.1", "/connect").await;
    let mut app = gateway.app();
    app.api_base = Url::parse(&format!("https://127.0.0.1:{}/", gateway.http.port)).unwrap();
    let trusting = transport(Some(&ca), ProxyConfig::none());
    let registration = register(&app, &trusting, &ALL, TIMEOUT).await.unwrap();
    let socket = open_socket(&registration, &trusting, 1 << 20, TIMEOUT).await.unwrap();
    gateway.accept().await;
    socket.close().await;

    let strict = transport(None, ProxyConfig::none());
    let error = register(&app, &strict, &ALL, TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind, RegistrationErrorKind::Network);
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    let error = open_socket(&registration, &strict, 1 << 20, TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::Tls);
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
}

#[test]
fn ca_files_that_cannot_be_used() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    for path in [empty.path().to_owned(), "/no/such/file.pem".into()] {
        let config = TransportConfig { ca_file: Some(path.clone()), proxy: ProxyConfig::none() };
        let error = Transport::new(&config).unwrap_err();
        assert!(matches!(error, TransportError::CaFile { .. }));
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

/// A proxy that wants `user:p@ss` and leads every name to loopback. Records the heads of what it is asked.
async fn proxy(seen: Arc<Mutex<Vec<String>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                seen.lock().unwrap().push(head.clone());
                // base64 of "user:p@ss"
                if !head.to_lowercase().contains("proxy-authorization: basic dxnlcjpwqhnz") {
                    let _ = stream.write_all(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n").await;
                    return;
                }
                let target = head.split_whitespace().nth(1).unwrap();
                let connect = head.starts_with("CONNECT ");
                let port: u16 = if connect {
                    target.rsplit_once(':').unwrap().1.parse().unwrap()
                } else {
                    Url::parse(target).unwrap().port().unwrap()
                };
                let mut upstream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                if connect {
                    stream
                        .write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
                        .await
                        .unwrap();
                } else {
                    upstream.write_all(head.as_bytes()).await.unwrap();
                }
                let _ = copy_bidirectional(&mut stream, &mut upstream).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_proxy_with_credentials_carries_both_transports() {
    let (ca, tls) = own_ca();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let port = proxy(Arc::clone(&seen)).await;
    for (tls, http, ws) in [(Some(tls), "https", "wss"), (None, "http", "ws")] {
        let mut gateway = Gateway::start_with(tls, &format!("{ws}://gateway.test"), "/connect").await;
        let mut app = gateway.app();
        app.api_base = Url::parse(&format!("{http}://gateway.test:{}/", gateway.http.port)).unwrap();
        let url = Url::parse(&format!("http://user:p%40ss@127.0.0.1:{port}")).unwrap();
        let through = transport(Some(&ca), ProxyConfig::explicit(&url, "other.test"));
        assert_eq!(through.proxy_for(&app.api_base), Some(format!("127.0.0.1:{port}")));

        let registration = register(&app, &through, &ALL, TIMEOUT).await.unwrap();
        let socket = open_socket(&registration, &through, 1 << 20, TIMEOUT).await.unwrap();
        gateway.accept().await;
        socket.close().await;
        gateway.http.answer_with(|_| answer(200, json!({"errcode": 0})));
        let webhook = SessionWebhook::new(format!("{}robot/sendBySession?session=1", app.api_base), None);
        let replies = WebhookClient::new(&through, WebhookPolicy::for_app(&app));
        replies.send(&webhook, &OutMessage::text("x"), SendOptions::default()).await.unwrap();

        let heads = std::mem::take(&mut *seen.lock().unwrap());
        let ws_port = registration.endpoint.port().unwrap();
        assert!(
            heads.iter().any(|head| head.starts_with(&format!("CONNECT gateway.test:{ws_port} "))),
            "{heads:?}"
        );
        assert!(
            heads.iter().any(|head| head.contains(&format!("gateway.test:{}", gateway.http.port))),
            "{heads:?}"
        );

        // The wrong password, and none.
        for (credentials, hint) in [("user:wrong@", "refuses"), ("", "wants a user")] {
            let url = Url::parse(&format!("http://{credentials}127.0.0.1:{port}")).unwrap();
            let refused = transport(Some(&ca), ProxyConfig::explicit(&url, ""));
            let error = register(&app, &refused, &ALL, TIMEOUT).await.unwrap_err();
            assert_eq!(error.kind, RegistrationErrorKind::Network, "{error}");
            let error = open_socket(&registration, &refused, 1 << 20, TIMEOUT).await.unwrap_err();
            assert_eq!(error.kind, ConnectErrorKind::Proxy);
            assert!(error.to_string().contains(hint) && !error.to_string().contains("wrong"), "{error}");
        }
        seen.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn loopback_is_reached_directly() {
    // Nobody listens at the proxy's address.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let url = Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    let through = transport(None, ProxyConfig::explicit(&url, ""));
    let mut gateway = Gateway::start().await;
    let registration = register(&gateway.app(), &through, &ALL, TIMEOUT).await.unwrap();
    let socket = open_socket(&registration, &through, 1 << 20, TIMEOUT).await.unwrap();
    gateway.accept().await;
    socket.close().await;
}
