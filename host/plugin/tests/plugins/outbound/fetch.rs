//! The `fetch` interface.

use std::time::Duration;

use super::{Server, grant, load, plugin, spec};
use crate::support::{Log, ask};
use belfry_plugin_host::OutboundConfig;

#[tokio::test]
async fn a_request_and_its_response() {
    let server = Server::start().await;
    let plugin = plugin(&[&server]).await;
    let asked = format!(
        "fetch post {}\nX-One: ä\nHost: evil.example\nContent-Length: 999\nConnection: close\n\nthe body",
        server.url("/echo?q=1#fragment")
    );
    let answer = ask(&plugin, &asked).await;
    let port = server.port;
    assert!(answer.starts_with(&format!("200 http://127.0.0.1:{port}/echo?q=1\n")), "{answer}");
    assert!(answer.contains("\nx-server: yes\n") && !answer.contains("connection: keep-alive"), "{answer}");
    assert!(answer.contains("POST /echo?q=1 HTTP/1.1"), "{answer}");
    assert!(answer.contains("x-one: ä") && answer.ends_with("\r\n\r\nthe body"), "{answer}");
    assert!(answer.contains(&format!("host: 127.0.0.1:{port}")) && !answer.contains("evil"), "{answer}");
    assert!(answer.contains("content-length: 8") && !answer.contains("close"), "{answer}");
    for absent in ["cookie", "referer", "accept-encoding"] {
        assert!(!answer.contains(absent), "{answer}");
    }
    // One connection serves all calls of the plugin.
    for _ in 0..3 {
        ask(&plugin, &format!("fetch POST {}", server.url("/echo"))).await;
    }
    assert_eq!(server.connections(), 1);
    assert!(server.requests()[1].contains("content-length: 0"));
}

#[tokio::test]
async fn what_cannot_be_asked() {
    let server = Server::start().await;
    let plugin = plugin(&[&server]).await;
    let url = server.url("/");
    for (asked, words) in [
        (format!("BAD=METHOD\u{1} {url}"), "`method`"),
        (format!("CONNECT {url}"), "`method`"),
        (format!("trace {url}"), "`method`"),
        ("GET example.com".to_owned(), "`url`"),
        ("GET ftp://example.com".to_owned(), "`url`"),
        (format!("GET http://me:hunter2@127.0.0.1:{}/", server.port), "user or password"),
        (format!("GET {url}\nbad name: x"), "\"bad name\" is no header name"),
        (format!("GET {url}\nx: a\u{1}b"), "`x` has a control character"),
        (format!("GET {url}\nx: {}", "x".repeat(70_000)), "64 KiB in all"),
    ] {
        let answer = ask(&plugin, &format!("fetch {asked}")).await;
        assert!(answer.starts_with("error invalid: ") && answer.contains(words), "{asked}: {answer}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn redirects_change_methods_as_browsers_do() {
    let server = Server::start().await;
    let plugin = plugin(&[&server]).await;
    for (status, method, becomes) in [
        ("301", "POST", "GET"),
        ("302", "POST", "GET"),
        ("302", "PUT", "PUT"),
        ("303", "PUT", "GET"),
        ("303", "HEAD", "HEAD"),
        ("307", "POST", "POST"),
        ("308", "POST", "POST"),
    ] {
        let asked =
            format!("fetch {method} {}\ncontent-type: a/b\n\nbody", server.url(&format!("/{status}?/echo")));
        ask(&plugin, &asked).await;
        let last = server.requests().pop().unwrap();
        assert!(last.starts_with(&format!("{becomes} /echo ")), "{status} {method}: {last}");
        let kept = method == becomes;
        assert_eq!(last.ends_with("\r\n\r\nbody"), kept, "{status} {method}: {last}");
        assert_eq!(last.contains("content-type: a/b"), kept, "{status} {method}: {last}");
    }
}

#[tokio::test]
async fn redirects_end_at_five_and_at_what_is_granted() {
    let (log, _guard) = Log::start();
    let (server, other) = (Server::start().await, Server::start().await);
    let plugin = plugin(&[&server]).await;
    let answer = ask(&plugin, &format!("fetch GET {}", server.url("/loop"))).await;
    assert!(answer.starts_with("error failed: redirected more than 5 times"), "{answer}");
    assert_eq!(server.requests().len(), 6);

    let out = server.url(&format!("/302?{}", other.url("/secret")));
    let answer = ask(&plugin, &format!("fetch GET {out}")).await;
    let line = format!("add \"http://127.0.0.1:{}\" to the list `http` in [plugins.caller]", other.port);
    assert!(answer.starts_with("error not-granted: ") && answer.ends_with(&line), "{answer}");
    assert_eq!(other.connections(), 0);
    assert!(log.lines().iter().any(|logged| logged.contains("WARN") && logged.contains(&line)));

    let answer = ask(&plugin, &format!("fetch GET {}", server.url("/302?file:///etc/passwd"))).await;
    assert!(answer.starts_with("error failed: ") && answer.contains("file:///etc/passwd"), "{answer}");
}

#[tokio::test]
async fn headers_of_a_grant_go_to_its_host_only_and_never_to_the_guest() {
    let (log, _guard) = Log::start();
    let servers = [Server::start().await, Server::start().await, Server::start().await];
    let mut grants: Vec<_> = servers.iter().map(|server| grant(&server.url(""))).collect();
    grants[0].header("Authorization", "Bearer hunter2".into()).unwrap();
    grants[1].header("X-Key", "hunter3".into()).unwrap();
    let plugin = load(spec(grants), OutboundConfig::default()).await;

    let third = servers[2].url("/");
    let second = servers[1].url(&format!("/307?{third}"));
    let first = servers[0].url(&format!("/307?{second}"));
    let asked = format!("fetch GET {first}\nauthorization: mine\ncookie: mine\nx-key: mine\nx-other: mine");
    let answer = ask(&plugin, &asked).await;
    assert!(answer.starts_with("200 ") && !answer.contains("hunter"), "{answer}");
    let [one, two, three] = servers.each_ref().map(|server| server.requests().pop().unwrap());
    assert!(one.contains("authorization: Bearer hunter2") && !one.contains("authorization: mine"), "{one}");
    assert!(one.contains("cookie: mine") && one.contains("x-key: mine") && !one.contains("hunter3"), "{one}");
    assert!(two.contains("x-key: hunter3") && !two.contains("x-key: mine"), "{two}");
    assert!(
        !two.contains("authorization") && !two.contains("cookie") && two.contains("x-other: mine"),
        "{two}"
    );
    assert!(three.contains("x-key: mine") && !three.contains("hunter"), "{three}");

    let answer = ask(&plugin, &format!("fetch GET {}", servers[0].url("/gone"))).await;
    assert!(answer.starts_with("error failed: ") && !answer.contains("hunter"), "{answer}");
    assert!(!log.lines().join("\n").contains("hunter"));
}

#[tokio::test]
async fn too_much_too_slow_too_often() {
    let server = Server::start().await;
    let mut spec = spec(vec![grant(&server.url(""))]);
    spec.limits.transfer = 10_000;
    spec.limits.requests = 3;
    let deadline = Duration::from_secs(5);
    spec.limits.deadline = deadline;
    let plugin = load(spec, OutboundConfig::default()).await;
    let fetch = async |path: &str| ask(&plugin, &format!("fetch GET {}", server.url(path))).await;

    assert!(fetch("/bytes?10000").await.starts_with("200 "));
    for path in ["/bytes?10001", "/endless"] {
        let answer = fetch(path).await;
        assert!(
            answer.starts_with("error limit: ") && answer.contains("raise `limits.transfer`"),
            "{answer}"
        );
    }
    let answer = fetch("/headers").await;
    assert!(answer.starts_with("error failed: no response of "), "{answer}");
    for path in ["/slow 300", "/silent 300"] {
        let answer = fetch(path).await;
        assert!(answer.starts_with("error timeout: ") && answer.ends_with("after 300ms"), "{answer}");
    }
    let answer = fetch("/silent").await;
    assert!(answer.starts_with("error timeout: ") && answer.contains("raise `limits.deadline`"), "{answer}");

    let answer = ask(&plugin, &format!("often GET {} 3", server.url("/"))).await;
    assert!(answer.starts_with("200 "), "{answer}");
    let answer = ask(&plugin, &format!("often GET {} 4", server.url("/"))).await;
    assert!(answer.starts_with("error limit: ") && answer.contains("raise `limits.requests`"), "{answer}");
    assert!(fetch("/loop").await.starts_with("error limit: "));
}
