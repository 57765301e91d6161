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
    let access = Access::open(&config::load(&args.config.config)?.config).await?;
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
    let access = Access::open(&config::load(&args.config.config)?.config).await?;
    let event = find(&access, args.id).await?;
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
