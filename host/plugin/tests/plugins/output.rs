//! What guests print becomes log lines under their name, bounded and cleaned.

use std::time::Duration;

use crate::support::{Log, ask, fail, load, spec};

#[tokio::test]
async fn output_becomes_whole_lines() {
    let plugin = load(spec()).await;
    let (log, _guard) = Log::start();
    ask(&plugin, "print one\ntwo \u{1b}[31mred\u{7}\nno line break").await;
    let expected = [
        r#"INFO plugin: one plugin="naughty" stream="stdout""#,
        r#"INFO plugin: two red plugin="naughty" stream="stdout""#,
        r#"INFO plugin: no line break plugin="naughty" stream="stdout""#,
    ];
    assert_eq!(log.lines(), expected);
}

#[tokio::test]
async fn stderr_is_logged_and_kept_for_the_reason() {
    let plugin = load(spec()).await;
    let (log, _guard) = Log::start();
    let reason = fail(&plugin, "complain the milk is sour").await;
    assert!(reason.contains("\nit last wrote to stderr:\nthe milk is sour\n"), "{reason}");
    assert_eq!(log.lines()[0], r#"WARN plugin: the milk is sour plugin="naughty" stream="stderr""#);
}

#[tokio::test]
async fn log_calls_keep_level_and_context() {
    let plugin = load(spec()).await;
    let (log, _guard) = Log::start();
    ask(&plugin, "log careful\nnow").await;
    let expected = [
        r#"WARN plugin: careful now plugin="naughty" context="shop""#,
        r#"INFO plugin: no context plugin="naughty""#,
    ];
    assert_eq!(log.lines(), expected);
}

#[tokio::test]
async fn output_beyond_the_limit_is_dropped_and_said_so_once() {
    let mut spec = spec();
    spec.limits.log_bytes = 80;
    let plugin = load(spec).await;
    let (log, _guard) = Log::start();
    assert_eq!(ask(&plugin, "print-much 1000").await, "printed");
    let lines = log.lines();
    let dropped =
        "further output of this call is dropped; raise `limits.log_bytes` in [plugins.naughty] to see it";
    assert!(lines.len() < 20, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains(dropped)).count(), 1, "{lines:?}");
}

#[tokio::test]
async fn printing_without_end_is_stopped_like_any_loop() {
    let mut spec = spec();
    spec.limits.cpu = Duration::from_millis(50);
    let plugin = load(spec).await;
    let reason = fail(&plugin, "print-forever").await;
    assert!(reason.contains("raise `limits.cpu` in [plugins.naughty]"), "{reason}");
}
