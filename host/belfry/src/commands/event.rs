//! `belfry event list` and `belfry event show`.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::table::{Table, terminal_width};
use super::words::{age, block, count, line, when};
use crate::cli::{EventCommand, EventListArgs, ShowArgs};
use crate::config;
use crate::control::protocol::{Answer, Ask, Event, EventHead, EventQuery, Id, MOST_ENTRIES, Words};
use crate::control::{Access, now_ms, strange};

pub(super) async fn run(command: EventCommand) -> anyhow::Result<ExitCode> {
    match command {
        EventCommand::List(args) => list(args).await,
        EventCommand::Show(args) => show(args).await,
        EventCommand::Replay(args) => super::replay::run(args).await,
    }
}

async fn list(args: EventListArgs) -> anyhow::Result<ExitCode> {
    let access = Access::open(&config::load_without_secrets(&args.config.config)?.config).await?;
    let most = usize::try_from(args.limit)?;
    let mut query = EventQuery {
        app: args.app,
        conversation: args.conversation,
        state: args.state,
        before: None,
        limit: 0,
    };
    let mut events = Vec::new();
    loop {
        query.limit = (most - events.len()).min(MOST_ENTRIES);
        let Answer::Events(page) = access.ask(Ask::Events(query.clone())).await? else {
            return Err(strange());
        };
        events.extend(page.events);
        query.before = page.next;
        if query.before.is_none() || events.len() >= most {
            break;
        }
    }
    // A reader that takes its time must not keep the journal from a host.
    drop(access);
    if args.json {
        return super::print_json(&events);
    }
    if events.is_empty() {
        return super::print("no such events are kept\n");
    }
    super::print(&table(&events, now_ms()).to_text(terminal_width()))
}

fn table(events: &[EventHead], now_ms: u64) -> Table<6> {
    let mut table = Table::new(["ID", "AGE", "STATE", "APP", "FROM", "MESSAGE"]);
    for event in events {
        let Words { app, sender, .. } = &event.message;
        table.row([
            event.id.to_string(),
            age(event.received_at_ms, now_ms),
            event.state.name().to_owned(),
            line(app),
            line(sender),
            said(&event.message),
        ]);
    }
    table
}

/// What was said, on one line.
pub(super) fn said(message: &Words) -> String {
    match (line(&message.text), message.kind.as_str()) {
        (text, "" | "text") => text,
        (text, kind) => format!("[{}] {text}", line(kind)).trim_end().to_owned(),
    }
}

async fn show(args: ShowArgs) -> anyhow::Result<ExitCode> {
    let access = Access::open(&config::load_without_secrets(&args.config.config)?.config).await?;
    let event = find(&access, args.id).await?;
    drop(access);
    if args.json { super::print_json(&event) } else { super::print(&to_text(&event, now_ms())) }
}

/// The event, which must be there.
pub(super) async fn find(access: &Access, id: Id) -> anyhow::Result<Event> {
    match access.ask(Ask::Event(id)).await? {
        Answer::Event(Some(event)) => Ok(*event),
        Answer::Event(None) => anyhow::bail!(
            "find event {}: it is not in the journal; `belfry event list` shows what is, and `keep_for` in [journal] says \
             for how long",
            id.event
        ),
        _ => Err(strange()),
    }
}

fn to_text(event: &Event, now_ms: u64) -> String {
    let head = &event.head;
    let mut text = format!("event {}, {}\n", head.id, head.state.name());
    field(&mut text, "received", &when(head.received_at_ms, now_ms));
    write_message(&mut text, &head.message);
    if let Some(attempts) = event.attempts.filter(|attempts| *attempts > 0) {
        field(&mut text, "tried", &times(attempts));
    }
    for reply in &event.replies {
        let written = when(reply.created_at_ms, now_ms);
        let what = format!("{}, written {written}, tried {}", reply.id, times(reply.attempts));
        field(&mut text, "pending reply", &what);
    }
    if head.pending_replies > event.replies.len() {
        let more = count(head.pending_replies - event.replies.len(), "more", "more");
        field(&mut text, "pending reply", &more);
    }
    for letter in &event.dead_letters {
        let what = format!("{}, {}: {}", letter.id, when(letter.at_ms, now_ms), line(&letter.reason));
        field(&mut text, "dead letter", &what);
    }
    write_json(&mut text, "the event", event.payload.get());
    for reply in &event.replies {
        write_json(&mut text, &format!("reply {}", reply.id), reply.body.get());
    }
    text
}

pub(super) fn times(number: u32) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "time", "times")
}

pub(super) fn field(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<14} {value}");
}

/// The fields of a message that are there.
pub(super) fn write_message(text: &mut String, message: &Words) {
    let sender = match (&message.staff_id, message.sender.is_empty()) {
        (Some(id), _) => format!("{} (staff id {id})", message.sender),
        (None, false) => format!("{} (external)", message.sender),
        (None, true) => String::new(),
    };
    let fields = [
        ("app", &message.app),
        ("conversation", &message.conversation),
        ("sender", &sender),
        ("message id", &message.id),
        ("said", &said(message)),
    ];
    for (name, value) in fields {
        if !value.trim().is_empty() {
            field(text, name, &line(value));
        }
    }
}

/// JSON as people read it, under a heading.
pub(super) fn write_json(text: &mut String, heading: &str, json: &str) {
    let value: Option<serde_json::Value> = serde_json::from_str(json).ok();
    let pretty = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
    let _ = write!(text, "\n{heading}\n\n{}", block(pretty.as_deref().unwrap_or(json)));
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::control::protocol::{DeadLetterHead, Reply, State};

    const NOW: u64 = 1_795_224_924_000;

    fn head(event: u64, sender: &str, kind: &str, text: &str) -> EventHead {
        EventHead {
            id: Id { event, delivery: None },
            received_at_ms: NOW - event * 100_000,
            state: State::Delivering,
            pending_replies: 2,
            dead_letters: 1,
            message: Words {
                id: "msgABC==".into(),
                app: "default".into(),
                conversation: "cidABCDEFGHIJKLMNOPQRSTUVWXYZ==".into(),
                sender: sender.into(),
                staff_id: None,
                kind: kind.into(),
                text: text.into(),
            },
        }
    }

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn what_an_operator_reads() {
        let heads = [
            head(1, "王小明", "text", "今天的报表在哪里？今天的报表在哪里？今天的报表在哪里？"),
            head(420, "Somebody With A Long Name", "picture", ""),
            head(
                12_345,
                "\u{1b}[2J",
                "text",
                "two\nlines of text that are so long that they do not fit at all",
            ),
        ];
        let list = table(&heads, NOW).to_text(Some(80));
        assert!(list.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{list}");
        let id = |delivery| Id { event: 12_345, delivery: Some(delivery) };
        let letter = DeadLetterHead {
            id: id(1),
            at_ms: NOW - 5_000,
            reason: "send the reply: DingTalk refused it with errcode 310000: no keyword".into(),
            attempts: 1,
            plugin: None,
            generation: None,
        };
        let [.., head] = heads;
        let event = Event {
            head,
            attempts: None,
            replies: vec![Reply {
                id: id(0),
                attempts: 3,
                created_at_ms: NOW - 65_000,
                body: json(r#"{"msgtype":"text","text":{"content":"hi"}}"#),
            }],
            dead_letters: vec![letter],
            payload: json(
                r#"{"specversion":"1.0","id":"msgABC==","data":{"text":{"content":"two\nlines"}}}"#,
            ),
        };
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("events", format!("{list}\n---\n\n{}", to_text(&event, NOW)));
        });
    }
}
