//! `wasi:http/outgoing-handler`.

use super::{Server, grant, load, plugin, spec};
use crate::support::{Log, ask};
use belfry_plugin_host::OutboundConfig;

#[tokio::test]
async fn a_streamed_request_and_its_response() {
    let server = Server::start().await;
    let plugin = plugin(&[&server]).await;
    let body = "b".repeat(100_000);
    let answer = ask(&plugin, &format!("wasi POST {}\nx-one: 1\n\n{body}", server.url("/echo?q=1"))).await;
    assert!(answer.starts_with("200 ") && answer.contains("x-server: yes"), "{answer:.500}");
    assert!(answer.contains("POST /echo?q=1 HTTP/1.1") && answer.contains("x-one: 1"), "{answer:.500}");
    assert!(answer.contains(&format!("host: 127.0.0.1:{}", server.port)), "{answer:.500}");
    assert!(answer.ends_with(&body) && answer.contains("transfer-encoding: chunked"));
    let answer = ask(&plugin, &format!("wasi POST {}\ncontent-length: 4\n\nbody", server.url("/echo"))).await;
    assert!(answer.contains("content-length: 4") && answer.ends_with("\r\n\r\nbody"), "{answer}");
    // `fetch` uses the same connections.
    ask(&plugin, &format!("fetch GET {}", server.url("/"))).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let server = Server::start().await;
    let plugin = plugin(&[&server]).await;
    let answer = ask(&plugin, &format!("wasi GET {}", server.url("/302?/elsewhere"))).await;
    assert!(answer.starts_with("302 ") && answer.contains("location: /elsewhere"), "{answer}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn headers_of_a_grant_are_not_the_guests() {
    let server = Server::start().await;
    let mut grant = grant(&server.url(""));
    grant.header("Authorization", "Bearer hunter2".into()).unwrap();
    let plugin = load(spec(vec![grant]), OutboundConfig::default()).await;
    let answer = ask(&plugin, &format!("wasi GET {}\nauthorization: mine", server.url("/"))).await;
    assert!(answer.starts_with("200 ") && !answer.contains("hunter"), "{answer}");
    let request = server.requests().pop().unwrap();
    assert!(request.contains("authorization: Bearer hunter2") && !request.contains("mine"), "{request}");
    let answer = ask(&plugin, &format!("wasi TRACE {}", server.url("/"))).await;
    assert_eq!(answer, "error ErrorCode::HttpRequestMethodInvalid");
    let answer = ask(&plugin, &format!("wasi GET {}\nhost: evil.example", server.url("/"))).await;
    assert_eq!(answer, "error HeaderError::Forbidden");
}

#[tokio::test]
async fn too_much_and_too_slow() {
    let (log, _guard) = Log::start();
    let server = Server::start().await;
    let mut spec = spec(vec![grant(&server.url(""))]);
    spec.limits.transfer = 10_000;
    let plugin = load(spec, OutboundConfig::default()).await;
    let ask = async |path: &str| ask(&plugin, &format!("wasi GET {}", server.url(path))).await;
    assert!(ask("/bytes?10000").await.starts_with("200 "));
    for path in ["/bytes?10001", "/endless"] {
        let answer = ask(path).await;
        assert!(answer.contains("is larger than 9.7 KiB; raise `limits.transfer`"), "{answer}");
    }
    assert!(log.lines().iter().any(|line| line.contains("raise `limits.transfer` in [plugins.caller]")));
    assert!(ask("/silent 100").await.contains("ConnectionReadTimeout"));
    let answer = ask("/slow 100").await;
    assert!(
        answer.starts_with("error after 1 bytes: ") && answer.contains("no more of the response of"),
        "{answer}"
    );
    let answer = ask("/gone").await;
    assert!(answer.starts_with("error after ") && answer.contains("broke off"), "{answer}");
    assert!(ask("/headers").await.starts_with("error ErrorCode::InternalError"));
    // What it sends is bounded too.
    let body = "b".repeat(100_000);
    let answer = crate::support::ask(&plugin, &format!("wasi POST {}\n\n{body}", server.url("/echo"))).await;
    assert!(answer.starts_with("error "), "{answer}");
    assert!(log.lines().iter().any(|line| line.contains("the body of the request to http://127.0.0.1")));
}
