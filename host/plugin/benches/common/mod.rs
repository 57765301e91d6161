//! What the benchmarks share.

#![allow(dead_code, reason = "each benchmark uses a part")]

use std::time::Duration;

use belfry_plugin_host::types::{Content, Conversation, ConversationKind, Message, Sender};

pub fn row(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| micros(times[times.len() * percent / 100]);
    println!("  {name:14} p50 {:6.2} µs   p99 {:6.2} µs", at(50), at(99));
}

pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// User and system time of all threads.
pub fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let mut total = stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        if task.file_name().to_str() == Some(&std::process::id().to_string()) {
            continue;
        }
        let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        total += stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    Duration::from_nanos(total)
}

pub fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

/// What is resident right now and belongs to no file.
pub fn resident_now_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

/// A private text message as the pipeline makes it.
pub fn message() -> Message {
    Message {
        id: "msgbVp1Fa0Hk1tBbMNzVT6Hwg==".into(),
        app: "default".into(),
        conversation: Conversation {
            id: "cidKq2SFcpXgQXcXu5XgXWqxRjVwPQkrkvVMCWE7C9HVq4=".into(),
            kind: ConversationKind::Private,
            title: None,
        },
        sender: Sender {
            id: "$:LWCP_v1:$lzxB7pTkvSzWgyiuyzXv0Q==".into(),
            staff_id: Some("manager1234".into()),
            nick: "Ann".into(),
            corp_id: Some("ding8a7ee1b5d3e4d3e4".into()),
            union_id: None,
            admin: true,
        },
        content: Content::Text("hello".into()),
        mentions: Vec::new(),
        quoted: None,
        sent_at: 1_763_000_000_000,
        attempt: 1,
        attributes: Vec::new(),
        raw: format!("{{{}}}", "\"key\":\"value\",".repeat(60)),
    }
}
