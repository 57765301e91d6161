//! What is linked because toolchains import it, and refuses when called.

use crate::support::{ask, load, spec};

#[tokio::test]
async fn the_network_is_closed() {
    let plugin = load(spec()).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for verb in [format!("tcp {port}"), "udp".into(), "resolve localhost".into()] {
        let answer = ask(&plugin, &verb).await;
        assert!(answer.starts_with("refused: "), "{verb}: {answer}");
    }
}

#[tokio::test]
async fn there_are_no_files() {
    let plugin = load(spec()).await;
    for verb in ["read /etc/passwd", "read Cargo.toml", "write /tmp/belfry-naughty"] {
        let answer = ask(&plugin, verb).await;
        assert!(answer.starts_with("refused: "), "{verb}: {answer}");
    }
}

#[tokio::test]
async fn the_environment_is_empty() {
    assert_eq!(ask(&*load(spec()).await, "environment").await, "[] Args { inner: [] }");
}
