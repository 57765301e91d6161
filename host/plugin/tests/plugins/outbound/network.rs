//! Which hosts and addresses are reached, both ways.

use std::sync::Arc;

use belfry_plugin_host::{HttpGrant, OutboundConfig, Proxy};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::{Names, Server, both, grant, load, spec};
use crate::support::{Log, ask};

#[tokio::test]
async fn nothing_is_granted_by_default_and_the_refusal_says_what_to_add() {
    let (log, _guard) = Log::start();
    let server = Server::start().await;
    let plugin = load(spec(Vec::new()), OutboundConfig::default()).await;
    let [fetch, wasi] = both(&plugin, &format!("GET {}", server.url("/"))).await;
    let line = format!("add this to [plugins.caller]: http = [\"http://127.0.0.1:{}\"]", server.port);
    assert!(fetch.starts_with("error not-granted: ") && fetch.ends_with(&line), "{fetch}");
    assert_eq!(wasi, "error ErrorCode::HttpRequestDenied");
    let logged = log.lines();
    assert_eq!(logged.iter().filter(|logged| logged.contains(&line)).count(), 2, "{logged:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn another_port_or_scheme_is_another_grant() {
    let server = Server::start().await;
    let grants = ["http://127.0.0.1", "https://localhost", "http://localhost:1"];
    let plugin = load(spec(grants.map(grant).to_vec()), OutboundConfig::default()).await;
    for host in ["127.0.0.1", "localhost"] {
        let [fetch, wasi] = both(&plugin, &format!("GET http://{host}:{}/", server.port)).await;
        assert!(fetch.starts_with("error not-granted: "), "{fetch}");
        assert_eq!(wasi, "error ErrorCode::HttpRequestDenied");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let server = Server::start().await;
    let port = server.port;
    let (_, names) = Names::new(&[&["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]]);
    let hosts = [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "localhost",
        "localhost.",
        "public.example",
    ];
    let grants = hosts.map(|host| HttpGrant::parse(&format!("http://{host}:{port}")).unwrap());
    let plugin = load(spec(grants.to_vec()), names).await;
    for host in hosts {
        let [fetch, wasi] = both(&plugin, &format!("GET http://{host}:{port}/")).await;
        assert!(
            fetch.starts_with("error not-granted: ") && fetch.contains("`private = true`"),
            "{host}: {fetch}"
        );
        assert_eq!(wasi, "error ErrorCode::HttpRequestDenied", "{host}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn names_of_this_machine_and_ipv6_are_reached_where_granted() {
    let server = Server::start().await;
    let plugin =
        load(spec(vec![grant(&format!("http://localhost:{}", server.port))]), OutboundConfig::default())
            .await;
    for answer in both(&plugin, &format!("GET http://LOCALHOST.:{}/", server.port)).await {
        assert!(answer.starts_with("200 ") && answer.ends_with("hello"), "{answer}");
    }
    if let Some(server) = Server::listen("[::1]:0", None).await {
        let port = server.port;
        let plugin =
            load(spec(vec![grant(&format!("http://[::1]:{port}"))]), OutboundConfig::default()).await;
        for answer in both(&plugin, &format!("GET http://[0:0::1]:{port}/")).await {
            assert!(answer.starts_with("200 "), "{answer}");
        }
    }
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_dialled() {
    let server = Server::start().await;
    let url = format!("http://rebind.example:{}", server.port);
    // 192.88.98.1 is public and answers to nobody; a second look-up would lead to the server.
    let (names, config) = Names::new(&[&["192.88.98.1"], &["127.0.0.1"]]);
    let plugin = load(spec(vec![HttpGrant::parse(&url).unwrap()]), config).await;
    let answer = ask(&plugin, &format!("fetch GET {url}/ 300")).await;
    assert!(answer.starts_with("error timeout: ") || answer.starts_with("error failed: "), "{answer}");
    assert_eq!(names.asked(), ["rebind.example"]);
    let answer = ask(&plugin, &format!("fetch GET {url}/ 300")).await;
    assert!(
        answer.contains("rebind.example leads to 127.0.0.1, an address of the kind: loopback"),
        "{answer}"
    );
    assert_eq!(server.connections(), 0);
    // Of several addresses only the public ones are dialled.
    let (_, config) = Names::new(&[&["192.88.98.1", "127.0.0.1"]]);
    let plugin = load(spec(vec![HttpGrant::parse(&url).unwrap()]), config).await;
    ask(&plugin, &format!("fetch GET {url}/ 300")).await;
    assert_eq!(server.connections(), 0);
    // Granted: one look-up for the connection, none for the next request on it.
    let (names, config) = Names::new(&[&["127.0.0.1"]]);
    let plugin = load(spec(vec![grant(&url)]), config).await;
    for answer in both(&plugin, &format!("GET {url}/")).await {
        assert!(answer.starts_with("200 "), "{answer}");
    }
    assert_eq!(names.asked().len(), 1);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn https_with_an_authority_of_ones_own() {
    let made = rcgen::generate_simple_self_signed(["tls.example".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server_tls = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let server = Server::listen("127.0.0.1:0", Some(TlsAcceptor::from(Arc::new(server_tls)))).await.unwrap();
    let client = |trusts: bool| {
        let mut roots = RootCertStore::empty();
        if trusts {
            roots.add(made.cert.der().clone()).unwrap();
        }
        let (_, config) = Names::new(&[&["127.0.0.1"]]);
        let tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        OutboundConfig { tls: Some(Arc::new(tls)), ..config }
    };
    let url = format!("https://tls.example:{}", server.port);
    let plugin = load(spec(vec![grant(&url)]), client(true)).await;
    for answer in both(&plugin, &format!("GET {url}/")).await {
        assert!(answer.starts_with("200 ") && answer.ends_with("hello"), "{answer}");
    }
    let plugin = load(spec(vec![grant(&url)]), client(false)).await;
    let [fetch, wasi] = both(&plugin, &format!("GET {url}/")).await;
    for answer in [fetch, wasi] {
        assert!(answer.contains("signed by nobody this host trusts"), "{answer}");
    }
    // The name in the certificate is another one.
    let other = format!("https://other.example:{}", server.port);
    let plugin = load(spec(vec![grant(&other)]), client(true)).await;
    let answer = ask(&plugin, &format!("fetch GET {other}/")).await;
    assert!(answer.starts_with("error failed: no connection to "), "{answer}");
}

#[tokio::test]
async fn behind_a_proxy_names_are_checked_and_the_rest_is_said_once() {
    let (log, _guard) = Log::start();
    let proxy = Server::start().await;
    let at = proxy.url("/").parse::<url::Url>().unwrap();
    let rule =
        move |_: &url::Url| Some(Proxy { url: at.clone(), authorization: Some("Basic aHVudGVyMg==".into()) });
    let config = OutboundConfig { proxy: Some(Arc::new(rule)), ..OutboundConfig::default() };
    let hosts = ["a.example", "localhost", "x.internal", "10.0.0.1"];
    let grants = hosts.map(|host| HttpGrant::parse(&format!("http://{host}")).unwrap());
    let plugin = load(spec(grants.to_vec()), config).await;
    for answer in both(&plugin, "GET http://a.example/x").await {
        assert!(answer.starts_with("200 ") && !answer.contains("aHVudGVyMg"), "{answer}");
    }
    let request = proxy.requests().pop().unwrap();
    assert!(request.starts_with("GET http://a.example/x HTTP/1.1"), "{request}");
    assert!(request.contains("proxy-authorization: Basic aHVudGVyMg=="), "{request}");
    for host in ["localhost", "x.internal", "10.0.0.1"] {
        let answer = ask(&plugin, &format!("fetch GET http://{host}/")).await;
        assert!(answer.starts_with("error not-granted: "), "{host}: {answer}");
    }
    assert_eq!(proxy.requests().len(), 2);
    let said = log.all().matches("cannot be refused").count();
    assert_eq!(said, 1);
}
