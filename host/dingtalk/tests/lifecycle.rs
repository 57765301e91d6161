//! Connecting, replacing, draining, losing and stopping.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use belfry_dingtalk::{
    ConnectionState, Random, RegistrationErrorKind, StreamError, Subscriptions, WallClock,
};
use common::{ALL, Gateway, answer, bot, disconnect, eventually, granting, quick, within};
use futures_util::StreamExt;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn the_next_socket_is_open_before_the_old_one_closes_and_late_acks_leave_on_the_old() {
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(quick(), ALL);
    let mut old = gateway.accept().await;
    old.send(bot("slow")).await;
    let slow = client.push().await;
    old.send(disconnect("d")).await;
    assert_eq!(old.code().await, (200, "d".to_owned()));
    let mut new = gateway.accept().await;
    // The old one still works in both directions.
    old.send(bot("last")).await;
    let last = client.push().await;
    assert_eq!(last.headers.message_id, "last");
    new.send(bot("first")).await;
    client.push().await.ack.success();
    assert_eq!(new.code().await, (200, "first".to_owned()));
    last.ack.success();
    assert_eq!(old.code().await, (200, "last".to_owned()));
    slow.ack.success();
    assert_eq!(old.code().await, (200, "slow".to_owned()));
    // Nothing is left to do for it.
    old.closed().await;
    let stats = client.client.stats();
    assert_eq!((stats.opened, stats.disconnects, stats.lost, stats.acks_lost), (2, 1, 0, 0));
    assert_eq!((stats.reconnects, stats.pushes_received), (1, 3));
    let meter = client.client.meter();
    eventually("the old socket's end", || meter.stats().sockets == 1).await;
    client.client.stop(Duration::ZERO).await;
    assert_eq!(meter.stats().sockets, 0);
}

/// Silence before the switch says nothing about a push that is under way.
#[tokio::test]
async fn a_socket_that_was_silent_for_long_is_still_read_after_the_switch() {
    let mut settings = quick();
    settings.drain_quiet = Duration::from_secs(2);
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(settings.clone(), Subscriptions::bot_messages());
    let mut old = gateway.accept().await;
    old.send(bot("m1")).await;
    client.push().await.ack.success();
    assert_eq!(old.code().await.1, "m1");
    tokio::time::sleep(settings.drain_quiet).await;
    client.subscriptions.send_replace(Subscriptions { events: true, ..Subscriptions::bot_messages() });
    let _new = gateway.accept().await;
    client
        .state(
            "the switch",
            |state| matches!(state, ConnectionState::Open { subscriptions, .. } if subscriptions.events),
        )
        .await;
    old.send(bot("m2")).await;
    client.push().await.ack.success();
    assert_eq!(old.code().await.1, "m2");
}

#[tokio::test]
async fn draining_ends_at_its_deadline_and_later_acks_are_counted() {
    let mut settings = quick();
    settings.drain = Duration::from_millis(50);
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(settings, ALL);
    let mut old = gateway.accept().await;
    old.send(bot("slow")).await;
    let slow = client.push().await;
    old.send(disconnect("d")).await;
    assert_eq!(old.code().await.1, "d");
    let _new = gateway.accept().await;
    old.closed().await;
    slow.ack.success();
    eventually("the lost ack", || client.client.stats().acks_lost == 1).await;
}

#[tokio::test]
async fn changed_subscriptions_register_anew_without_a_gap() {
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(quick(), Subscriptions::bot_messages());
    let mut old = gateway.accept().await;
    assert_eq!(
        gateway.http.last().json()["subscriptions"],
        json!([{"type": "CALLBACK", "topic": "/v1.0/im/bot/messages/get"}])
    );
    old.send(bot("slow")).await;
    let slow = client.push().await;
    client.subscriptions.send_replace(Subscriptions { events: true, ..Subscriptions::bot_messages() });
    let mut new = gateway.accept().await;
    assert_eq!(
        gateway.http.last().json()["subscriptions"],
        json!([{"type": "CALLBACK", "topic": "/v1.0/im/bot/messages/get"}, {"type": "EVENT", "topic": "*"}])
    );
    slow.ack.success();
    assert_eq!(old.code().await.1, "slow");
    old.closed().await;
    new.send(common::frame("EVENT", "*", "e", "{}")).await;
    client.push().await.ack.success();
    assert_eq!(new.code().await.1, "e");
    // Nothing at all: idle, and nothing is registered.
    client.subscriptions.send_replace(Subscriptions::NONE);
    client.state("idle", |state| matches!(state, ConnectionState::Idle)).await;
    new.closed().await;
    assert_eq!(gateway.http.count(), 2);
}

#[tokio::test]
async fn without_subscriptions_nothing_is_connected() {
    let mut gateway = Gateway::start().await;
    let client = gateway.connect(quick(), Subscriptions::NONE);
    tokio::task::yield_now().await;
    assert!(matches!(*client.client.state().borrow(), ConnectionState::Idle));
    assert_eq!(gateway.http.count(), 0);
    client.subscriptions.send_replace(ALL);
    gateway.accept().await;
}

#[tokio::test]
async fn a_lost_socket_is_replaced_with_a_fresh_ticket() {
    let mut gateway = Gateway::start().await;
    let client = gateway.connect(quick(), ALL);
    let first = gateway.accept().await;
    assert_eq!(first.uri, "/connect?ticket=ticket%2B1%2F%3D");
    drop(first);
    let mut second = gateway.accept().await;
    assert_eq!(second.uri, "/connect?ticket=ticket%2B2%2F%3D");
    eventually("the count", || client.client.stats().lost == 1).await;
    // A clean close by the gateway is no different.
    second.ws.close(None).await.unwrap();
    let third = gateway.accept().await;
    assert_eq!(third.uri, "/connect?ticket=ticket%2B3%2F%3D");
}

#[tokio::test]
async fn a_silent_peer_is_given_up_with_a_close_frame() {
    let mut settings = quick();
    settings.ping_every = Duration::from_millis(20);
    settings.dead_after = Duration::from_millis(300);
    let mut gateway = Gateway::start().await;
    let client = gateway.connect(settings, ALL);
    // Never read from, so it answers no ping.
    let silent = gateway.accept().await;
    let _next = gateway.accept().await;
    assert!(client.client.stats().dead_peers >= 1);
    // Looked at as bytes: reading them as a WebSocket would answer the pings into a closed connection.
    let mut bytes = Vec::new();
    within("the end", silent.ws.into_inner().read_to_end(&mut bytes)).await.unwrap();
    let mut kinds = Vec::new();
    while let [first, second, ..] = bytes[..] {
        kinds.push(first & 0x0f);
        bytes.drain(..6 + usize::from(second & 0x7f));
    }
    let (last, before) = kinds.split_last().unwrap();
    assert_eq!(*last, 8, "the last frame is no close frame");
    assert!(!before.is_empty() && before.iter().all(|kind| *kind == 9), "not pings: {before:?}");
}

#[tokio::test]
async fn any_frame_proves_life() {
    let mut settings = quick();
    settings.ping_every = Duration::from_millis(10);
    settings.dead_after = Duration::from_secs(5);
    let mut gateway = Gateway::start().await;
    let client = gateway.connect(settings, ALL);
    let mut peer = gateway.accept().await;
    let before = client.client.stats().last_inbound;
    // Reading answers pings with pongs, which is all this peer does.
    tokio::spawn(async move { while peer.ws.next().await.is_some() {} });
    eventually("a pong", || client.client.stats().last_inbound > before).await;
    assert_eq!(client.client.stats().dead_peers, 0);
    assert_eq!(client.client.stats().last_frame_ms, 0, "a pong is no frame");
}

#[tokio::test]
async fn while_reading_has_stopped_nobody_is_declared_dead() {
    let mut settings = quick();
    settings.unacked = 1;
    settings.ping_every = Duration::from_millis(10);
    settings.dead_after = Duration::from_millis(100);
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(settings, ALL);
    let mut peer = gateway.accept().await;
    peer.send(bot("a")).await;
    peer.send(bot("b")).await;
    let a = client.push().await;
    eventually("the stall", || client.client.stats().stalls == 1).await;
    // Pings go on for far longer than a silent peer would be given.
    let mut pings = 0;
    while pings < 40 {
        if let Some(Ok(Message::Ping(_))) = within("a ping", peer.ws.next()).await {
            pings += 1;
        }
    }
    assert_eq!(client.client.stats().dead_peers, 0);
    a.ack.success();
    assert_eq!(peer.code().await.1, "a");
    client.push().await.ack.success();
    assert_eq!(peer.code().await.1, "b");
}

#[tokio::test]
async fn after_a_clock_jump_the_peer_must_answer_at_once() {
    let jump = Arc::new(AtomicU64::new(0));
    let offset = Arc::clone(&jump);
    let mut settings = quick();
    settings.clock_check = Duration::from_millis(10);
    settings.suspect_after = Duration::from_millis(200);
    settings.clock =
        WallClock::new(move || SystemTime::now() + Duration::from_secs(offset.load(Ordering::Relaxed)));
    let mut gateway = Gateway::start().await;
    let client = gateway.connect(settings, ALL);
    let mut peer = gateway.accept().await;
    client.open().await;
    // It slept, and the peer is still there: pinged now, not in 25 s, and kept.
    jump.store(3_600, Ordering::Relaxed);
    assert!(matches!(within("a ping", peer.ws.next()).await, Some(Ok(Message::Ping(_)))));
    let before = client.client.stats();
    assert_eq!((before.clock_jumps, before.dead_peers), (1, 0));
    peer.send(common::frame("SYSTEM", "ping", "p", "{}")).await;
    assert_eq!(peer.code().await.1, "p");
    // It slept again, and this time nobody answers.
    jump.store(7_200, Ordering::Relaxed);
    let _next = gateway.accept().await;
    assert_eq!(client.client.stats().dead_peers, 1);
    drop(peer);
}

#[tokio::test]
async fn stop_lets_acks_leave_and_closes() {
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(quick(), ALL);
    let mut peer = gateway.accept().await;
    peer.send(bot("a")).await;
    let push = client.push().await;
    let state = client.client.state();
    let stopping = tokio::spawn(client.client.stop(Duration::from_secs(600)));
    // Pushes after the stop are not read any more, so their ack would not be the next thing to come.
    push.ack.success();
    assert_eq!(peer.code().await.1, "a");
    peer.closed().await;
    within("the end", stopping).await.unwrap();
    assert!(matches!(*state.borrow(), ConnectionState::Stopped));
    assert!(within("the end of pushes", client.pushes.recv()).await.is_none());
}

#[tokio::test]
async fn stop_waits_no_longer_than_told() {
    let mut gateway = Gateway::start().await;
    let mut client = gateway.connect(quick(), ALL);
    let mut peer = gateway.accept().await;
    peer.send(bot("a")).await;
    let _never_answered = client.push().await;
    let stopping = tokio::spawn(client.client.stop(Duration::from_millis(20)));
    peer.closed().await;
    within("the end", stopping).await.unwrap();
}

#[tokio::test]
async fn dropping_either_end_closes_the_connection() {
    let mut gateway = Gateway::start().await;
    let client = gateway.connect(quick(), ALL);
    let mut peer = gateway.accept().await;
    client.open().await;
    drop(client.client);
    peer.closed().await;

    let client = gateway.connect(quick(), ALL);
    let mut peer = gateway.accept().await;
    client.open().await;
    let mut state = client.client.state();
    drop(client.pushes);
    peer.closed().await;
    within("the stop", state.wait_for(|state| matches!(state, ConnectionState::Stopped))).await.unwrap();
}

#[tokio::test]
async fn misconfiguration_is_shown_and_retried_slowly() {
    let gateway = Gateway::start().await;
    gateway.http.answer_with(|_| answer(401, json!({"code": "authFailed", "message": "鉴权失败"})));
    let client = gateway.connect(quick(), ALL);
    let state =
        client.state("the refusal", |state| matches!(state, ConnectionState::Misconfigured { .. })).await;
    let ConnectionState::Misconfigured { error, hint, until } = state else { unreachable!() };
    assert_eq!((error.kind, error.status), (RegistrationErrorKind::Credentials, Some(401)));
    assert!(hint.contains("ClientSecret"), "{hint}");
    assert!(until > Instant::now() + Duration::from_secs(200));
    assert_eq!(gateway.http.count(), 1);
}

#[tokio::test]
async fn a_wait_that_the_gateway_asks_for_is_kept() {
    let gateway = Gateway::start().await;
    gateway.http.answer_with(|_| (503, vec![("Retry-After", "700".to_owned())], String::new()));
    let client = gateway.connect(quick(), ALL);
    let state = client.state("the refusal", |state| matches!(state, ConnectionState::Waiting { .. })).await;
    let ConnectionState::Waiting { error: StreamError::Registration(error), until } = state else { panic!() };
    assert_eq!(error.kind, RegistrationErrorKind::Unavailable);
    assert!(until > Instant::now() + Duration::from_secs(600));
}

#[tokio::test]
async fn passing_trouble_is_retried_with_growing_waits() {
    let mut gateway = Gateway::start().await;
    let mut grant = granting(gateway.endpoint.clone());
    let mut calls = 0;
    gateway.http.answer_with(move |request| {
        calls += 1;
        match calls {
            1 => answer(200, ""),
            2 => answer(200, "<html>portal</html>"),
            3 => answer(403, json!({"code": "Forbidden.AccessDenied.QpsLimitForApi"})),
            4 => answer(503, "down"),
            _ => grant(request),
        }
    });
    let mut settings = quick();
    settings.random = Random::new(|| 1.0);
    let client = gateway.connect(settings, ALL);
    gateway.accept().await;
    assert_eq!(client.client.stats().failed_attempts, 4);
}

#[tokio::test]
async fn a_gateway_that_turns_everybody_away_is_not_hammered() {
    let mut settings = quick();
    settings.backoff_base = Duration::from_secs(600);
    settings.backoff_max = Duration::from_secs(600);
    settings.stable_after = Duration::from_secs(600);
    settings.random = Random::new(|| 1.0);
    let mut gateway = Gateway::start().await;
    let client = gateway.connect(settings, ALL);
    let mut peer = gateway.accept().await;
    peer.send(disconnect("d")).await;
    assert_eq!(peer.code().await.1, "d");
    drop(peer);
    let state = client.state("the wait", |state| matches!(state, ConnectionState::Waiting { .. })).await;
    let ConnectionState::Waiting { until, .. } = state else { unreachable!() };
    assert!(until > Instant::now() + Duration::from_secs(500));
    assert_eq!(gateway.http.count(), 1);
}

#[tokio::test]
async fn a_refused_upgrade_is_an_error_of_its_own() {
    let gateway = Gateway::start().await;
    // The HTTP endpoint refuses upgrades.
    let endpoint = format!("ws://127.0.0.1:{}/connect", gateway.http.port);
    gateway.http.answer_with(move |request| {
        if request.line.starts_with("GET") {
            answer(403, "ticket used")
        } else {
            answer(200, json!({"endpoint": endpoint, "ticket": "hunter2"}))
        }
    });
    let mut settings = quick();
    settings.backoff_base = Duration::from_secs(600);
    settings.backoff_max = Duration::from_secs(600);
    settings.random = Random::new(|| 1.0);
    let client = gateway.connect(settings, ALL);
    let state = client.state("the refusal", |state| matches!(state, ConnectionState::Waiting { .. })).await;
    let ConnectionState::Waiting { error, .. } = state else { unreachable!() };
    let text = error.to_string();
    assert!(text.contains("403") && !text.contains("hunter2"), "{text}");
    assert!(
        matches!(error, StreamError::Connect(error) if error.kind == belfry_dingtalk::ConnectErrorKind::Handshake)
    );
}
