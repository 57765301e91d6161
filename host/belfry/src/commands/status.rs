//! `belfry status`.

use std::fmt::Write as _;
use std::process::ExitCode;

use belfry_pipeline::AppStatus;

use super::words::{age, count, line, moment, size};
use crate::cli::StatusArgs;
use crate::config;
use crate::control::protocol::{Host, Journal, Quota, Status};
use crate::control::{Access, now_ms};

pub(super) async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let config = config::load_without_secrets(&args.config.config)?.config;
    let status = Access::open(&config).await?.status().await?;
    if args.json {
        super::print_json(&status)?
    } else {
        super::print(&to_text(&status, now_ms()))?
    };
    Ok(if status.host.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn to_text(status: &Status, now_ms: u64) -> String {
    let mut text = String::new();
    match &status.host {
        Some(host) => write_host(&mut text, host, now_ms),
        None => text.push_str("no host runs; this is what its journal holds\n"),
    }
    let left_alone = status.host.as_ref().map_or(0, |host| host.left_alone);
    write_journal(&mut text, &status.journal, left_alone);
    write_quotas(&mut text, &status.quotas);
    text
}

fn write_host(text: &mut String, host: &Host, now_ms: u64) {
    let Host { version, pid, started_at_ms, .. } = host;
    let _ = writeln!(
        text,
        "belfry {version} runs since {} ({}), pid {pid}",
        moment(*started_at_ms),
        age(*started_at_ms, now_ms)
    );
    text.push_str("\napps\n");
    for app in &host.apps {
        let _ = writeln!(text, "  {}: {}", app.name, connection(app, now_ms));
        let _ = writeln!(text, "    {}", counts(app));
    }
    let _ = writeln!(text, "\nplugins, generation {}", host.generation);
    if host.plugins.is_empty() {
        text.push_str("  none is loaded: put a .wasm into the plugin folder\n");
    }
    for plugin in &host.plugins {
        let sha256 = plugin.sha256.get(..12).unwrap_or(&plugin.sha256);
        let commands = plugin.commands.join(" ");
        let _ = writeln!(
            text,
            "  {} {commands}{}{sha256}",
            plugin.name,
            if commands.is_empty() { "" } else { " " }
        );
    }
    for problem in &host.problems {
        let _ = writeln!(text, "  {} does not serve: {}", line(&problem.name), line(&problem.reason));
    }
}

/// The connection in a sentence.
fn connection(app: &AppStatus, now_ms: u64) -> String {
    let connection = &app.connection;
    let detail = line(connection.detail.trim_end_matches('.'));
    let mut words = match connection.state.as_str() {
        "open" => format!("connected to {detail}"),
        "connecting" => format!("connecting, {detail}"),
        "waiting" => format!("not connected: {detail}"),
        "misconfigured" => format!("refused by DingTalk: {detail}"),
        "idle" => "not connected: no plugin handles messages".to_owned(),
        other => other.to_owned(),
    };
    if let Some(since) = connection.since_ms {
        let _ = write!(words, " for {}", age(since, now_ms));
    }
    if let Some(retry) = connection.retry_in_ms {
        let _ = write!(words, "; next attempt in {} s", retry.div_ceil(1000));
    }
    match app.last_frame_ms {
        Some(last) => {
            let _ = write!(words, "; last frame {} ago", age(last, now_ms));
        }
        None => words.push_str("; no frame yet"),
    }
    words
}

/// What became of the messages, in the order of their way; what did not happen is left out but for the first three.
fn counts(app: &AppStatus) -> String {
    let counts = &app.counts;
    let always =
        [(counts.received, "received"), (counts.handled, "handled"), (counts.delivered, "replies delivered")];
    let sometimes = [
        (counts.through_open_api, "of them through the OpenAPI"),
        (counts.unclaimed, "taken by no plugin"),
        (counts.duplicates, "came twice"),
        (counts.denied, "of people who are not allowed"),
        (counts.empty, "empty"),
        (counts.unreadable, "unreadable"),
        (counts.over_quota, "without content, the quota being used up"),
        (counts.retries, "tried again"),
        (counts.failed, "given up"),
        (counts.undelivered, "replies given up"),
        (counts.repeated, "replies that may have arrived twice"),
    ];
    let happened = sometimes.into_iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> =
        always.into_iter().chain(happened).map(|(number, what)| format!("{number} {what}")).collect();
    parts.join(", ")
}

fn write_journal(text: &mut String, journal: &Journal, left_alone: usize) {
    let place = journal.path.as_deref().unwrap_or("in memory");
    let _ = writeln!(text, "\njournal {place}");
    let _ = writeln!(
        text,
        "  {} and {} pending ({})",
        count(journal.pending_events, "message", "messages"),
        count(journal.pending_replies, "reply", "replies"),
        size(journal.pending_bytes as u64)
    );
    if left_alone > 0 {
        let _ = writeln!(text, "  {left_alone} of them of apps that are not in the config, and left alone");
    }
    let list = if journal.dead_letters > 0 { "; see belfry dead-letter list" } else { "" };
    let _ = writeln!(text, "  {}{list}", count(journal.dead_letters, "dead letter", "dead letters"));
    if journal.forgotten_dead_letters > 0 {
        let forgotten = journal.forgotten_dead_letters;
        let _ =
            writeln!(text, "  {forgotten} older ones forgotten since the start, to keep no more than that");
    }
    if let Some(trouble) = &journal.trouble {
        let _ = writeln!(text, "  nothing is acknowledged at present: {}", line(trouble));
    }
}

fn write_quotas(text: &mut String, quotas: &[Quota]) {
    let Some(first) = quotas.first() else { return };
    let _ = writeln!(text, "\nquota of {}-{:02}", first.month / 100, first.month % 100);
    for quota in quotas {
        let name = match quota.what.as_str() {
            "api_calls" => "OpenAPI calls",
            "stream_pushes" => "Stream pushes",
            other => other,
        };
        let Quota { used, budget, .. } = quota;
        let of = match budget {
            0 => String::new(),
            _ => format!(" of {budget} ({} %)", used.saturating_mul(100) / budget),
        };
        let mark = if *budget > 0 && used.saturating_mul(5) >= budget.saturating_mul(4) {
            "; DingTalk refuses what goes beyond it"
        } else {
            ""
        };
        let _ = writeln!(text, "  {name:<14} {used}{of}{mark}");
    }
}

#[cfg(test)]
mod tests {
    use belfry_pipeline::{Connection, Counts, Used};

    use super::*;
    use crate::control::protocol::{Plugin, Problem};

    const NOW: u64 = 1_795_224_924_000;

    fn app(name: &str, state: &str, detail: &str, since_ms: Option<u64>) -> AppStatus {
        AppStatus {
            name: name.to_owned(),
            client_id: format!("ding{name}"),
            connection: Connection {
                state: state.to_owned(),
                detail: detail.to_owned(),
                since_ms,
                retry_in_ms: (state == "waiting").then_some(4_200),
            },
            last_frame_ms: since_ms.map(|_| NOW - 4_000),
            counts: Counts { received: 120, handled: 118, delivered: 121, failed: 2, ..Counts::default() },
            used: Used::default(),
        }
    }

    fn status() -> Status {
        let quota = |what: &str, used, budget| Quota { what: what.to_owned(), month: 202_611, used, budget };
        Status {
            host: Some(Host {
                version: "0.1.0".into(),
                pid: 4711,
                started_at_ms: NOW - 11_000_000,
                apps: vec![
                    app("default", "open", "wss-open-connection.dingtalk.com:443", Some(NOW - 10_000_000)),
                    app("sales", "waiting", "register with the gateway: no answer", None),
                    app("hr", "misconfigured", "the app is refused (authFailed); check the secret", None),
                ],
                generation: 7,
                plugins: vec![
                    Plugin {
                        name: "todo".into(),
                        commands: vec!["/todo".into()],
                        sha256: "75fd357c72330".into(),
                    },
                    Plugin { name: "echo".into(), commands: Vec::new(), sha256: "0123456789abcdef".into() },
                ],
                problems: vec![Problem {
                    name: "broken".into(),
                    reason: "a text file,\nno component".into(),
                }],
                left_alone: 3,
            }),
            journal: Journal {
                path: Some("/srv/bot/belfry.journal".into()),
                pending_events: 12,
                pending_replies: 1,
                pending_bytes: 34_567,
                dead_letters: 2,
                forgotten_dead_letters: 7,
                trouble: Some("the disk is full: free space where /srv/bot/belfry.journal is".into()),
            },
            quotas: vec![quota("api_calls", 12, 5_000), quota("stream_pushes", 2_410, 3_000)],
        }
    }

    #[test]
    fn what_an_operator_reads() {
        let running = to_text(&status(), NOW);
        let quotas = vec![Quota { what: "api_calls".into(), month: 202_601, used: 3, budget: 0 }];
        let stopped = to_text(&Status { host: None, quotas, ..status() }, NOW);
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("status", format!("{running}\n---\n\n{stopped}"));
        });
    }
}
