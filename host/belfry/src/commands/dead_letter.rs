//! `belfry dead-letter`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use super::event::{field, times, write_json, write_message};
use super::table::{Table, terminal_width};
use super::words::{age, block, count, line, when};
use crate::cli::{DeadLetterCommand, DeadLetterFilter, DeadLetterListArgs, SelectionArgs, ShowArgs};
use crate::config;
use crate::control::protocol::{
    Answer, Ask, Change, DeadLetterHead, DeadLetterQuery, DeadLetterWhole, Id, MOST_IDS,
};
use crate::control::{Access, now_ms, strange};

/// What is done with dead letters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Retry,
    Drop,
}

pub(super) async fn run(command: DeadLetterCommand) -> anyhow::Result<ExitCode> {
    match command {
        DeadLetterCommand::List(args) => list(args).await,
        DeadLetterCommand::Show(args) => show(args).await,
        DeadLetterCommand::Retry(args) => change(args, Deed::Retry).await,
        DeadLetterCommand::Drop(args) => change(args, Deed::Drop).await,
    }
}

async fn list(args: DeadLetterListArgs) -> anyhow::Result<ExitCode> {
    let access = Access::open(&config::load_without_secrets(&args.config.config)?.config).await?;
    let letters = all(&access, query(&args.filter)).await?;
    // A reader that takes its time must not keep the journal from a host.
    drop(access);
    if args.json {
        return super::print_json(&letters);
    }
    if letters.is_empty() {
        return super::print("no such dead letters are kept\n");
    }
    super::print(&table(&letters, now_ms()).to_text(terminal_width()))
}

fn table(letters: &[DeadLetterHead], now_ms: u64) -> Table<5> {
    let mut table = Table::new(["ID", "AGE", "TRIES", "PLUGIN", "REASON"]);
    for letter in letters {
        let plugin = letter.plugin.as_deref().map_or_else(|| "-".to_owned(), line);
        let (id, age) = (letter.id.to_string(), age(letter.at_ms, now_ms));
        table.row([id, age, letter.attempts.to_string(), plugin, line(&letter.reason)]);
    }
    table
}

fn query(filter: &DeadLetterFilter) -> DeadLetterQuery {
    let now_ms = now_ms();
    let ago = |time: Duration| now_ms.saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    DeadLetterQuery {
        plugin: filter.plugin.clone(),
        before_ms: filter.older_than.map(ago),
        since_ms: filter.newer_than.map(ago),
        after: None,
    }
}

/// All that the query names, page by page.
async fn all(access: &Access, mut query: DeadLetterQuery) -> anyhow::Result<Vec<DeadLetterHead>> {
    let mut letters = Vec::new();
    loop {
        let Answer::DeadLetters(page) = access.ask(Ask::DeadLetters(query.clone())).await? else {
            return Err(strange());
        };
        letters.extend(page.letters);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(letters);
        }
    }
}

async fn show(args: ShowArgs) -> anyhow::Result<ExitCode> {
    let access = Access::open(&config::load_without_secrets(&args.config.config)?.config).await?;
    let letter = match access.ask(Ask::DeadLetter(args.id)).await? {
        Answer::DeadLetter(Some(letter)) => letter,
        Answer::DeadLetter(None) => anyhow::bail!(
            "find dead letter {}: there is no such; `belfry dead-letter list` shows those there are",
            args.id
        ),
        _ => return Err(strange()),
    };
    drop(access);
    if args.json { super::print_json(&letter) } else { super::print(&to_text(&letter, now_ms())) }
}

fn to_text(letter: &DeadLetterWhole, now_ms: u64) -> String {
    let head = &letter.head;
    let what = if head.id.delivery.is_some() {
        "a reply that did not arrive"
    } else {
        "a message that was not handled"
    };
    let mut text = format!("dead letter {}, {what}\n", head.id);
    field(&mut text, "given up", &when(head.at_ms, now_ms));
    field(&mut text, "tried", &times(head.attempts));
    if let Some(plugin) = &head.plugin {
        let generation = head.generation.map_or_else(String::new, |number| format!(", generation {number}"));
        field(&mut text, "plugin", &format!("{}{generation}", line(plugin)));
    }
    write_message(&mut text, &letter.message);
    let _ = write!(text, "\nthe reason\n\n{}", block(&head.reason));
    if let Some(reply) = &letter.reply {
        write_json(&mut text, "the reply", reply.get());
    }
    write_json(&mut text, "the event", letter.payload.get());
    text
}

async fn change(args: SelectionArgs, deed: Deed) -> anyhow::Result<ExitCode> {
    let access = Access::open(&config::load_without_secrets(&args.config.config)?.config).await?;
    let letters = all(&access, query(&args.filter)).await?;
    let mut ids = args.ids;
    if ids.is_empty() {
        ids = letters.iter().map(|letter| letter.id).collect();
    }
    ids.sort_unstable();
    ids.dedup();
    let changes = if args.dry_run {
        let is_there = |id: &Id| letters.iter().any(|letter| letter.id == *id);
        ids.into_iter().map(|id| would(id, is_there(&id))).collect()
    } else {
        changes(&access, deed, &ids).await?
    };
    let failed = changes.iter().any(|change| !change.done);
    let is_host = access.is_host();
    drop(access);
    super::print(&report(&changes, deed, args.dry_run, is_host))?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn changes(access: &Access, deed: Deed, ids: &[Id]) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for ids in ids.chunks(MOST_IDS) {
        let ask = match deed {
            Deed::Retry => Ask::Retry(ids.to_vec()),
            Deed::Drop => Ask::Drop(ids.to_vec()),
        };
        let Answer::Changed(some) = access.ask(ask).await? else { return Err(strange()) };
        changes.extend(some);
    }
    Ok(changes)
}

fn would(id: Id, is_there: bool) -> Change {
    let note = if is_there { "" } else { "there is no such dead letter" };
    Change { id, done: is_there, note: note.to_owned() }
}

fn report(changes: &[Change], deed: Deed, dry_run: bool, is_host: bool) -> String {
    let mut text = String::new();
    let (done, not) = match deed {
        Deed::Retry => ("is tried again", "is not tried again"),
        Deed::Drop => ("is forgotten", "is not forgotten"),
    };
    let done = match (deed, dry_run) {
        (_, false) => done,
        (Deed::Retry, true) => "would be tried again",
        (Deed::Drop, true) => "would be forgotten",
    };
    for Change { id, done: is_done, note } in changes {
        let words = if *is_done { done } else { not };
        let _ = match note.is_empty() {
            true => writeln!(text, "{id} {words}"),
            false => writeln!(text, "{id} {words}: {}", line(note)),
        };
    }
    let number = changes.iter().filter(|change| change.done).count();
    let of = if number == changes.len() { String::new() } else { format!(" of {}", changes.len()) };
    let total = count(number, "dead letter", "dead letters");
    let _ = match (dry_run, deed, is_host) {
        (true, ..) => writeln!(text, "{total}{of}; nothing was done"),
        (false, Deed::Retry, false) => writeln!(text, "{total}{of}; the next `belfry run` takes them up"),
        (false, ..) => writeln!(text, "{total}{of}"),
    };
    text
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::control::protocol::Words;

    const NOW: u64 = 1_795_224_924_000;

    fn letter(event: u64, delivery: Option<u32>, plugin: Option<&str>, reason: &str) -> DeadLetterHead {
        DeadLetterHead {
            id: Id { event, delivery },
            at_ms: NOW - event * 1_000_000,
            reason: reason.into(),
            attempts: 3,
            plugin: plugin.map(str::to_owned),
            generation: plugin.map(|_| 7),
        }
    }

    #[test]
    fn what_an_operator_reads() {
        let trap =
            "plugin `a-plugin-with-a-name` stopped: unreachable\nlast words:\n\tpanicked at src/lib.rs:1";
        let letters = [
            letter(3, None, Some("a-plugin-with-a-name"), trap),
            letter(17, Some(0), None, "send the reply: DingTalk refused it with errcode 310000: no keyword"),
            letter(200, Some(belfry_journal::NOTICE), None, "the webhook has expired"),
        ];
        let list = table(&letters, NOW).to_text(Some(80));
        assert!(list.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{list}");
        let [first, ..] = letters;
        let whole = DeadLetterWhole {
            head: first,
            message: Words {
                id: "msgABC==".into(),
                app: "sales".into(),
                conversation: "cidABC==".into(),
                sender: "Kim".into(),
                staff_id: Some("kim1".into()),
                kind: "text".into(),
                text: "/todo buy milk".into(),
            },
            payload: RawValue::from_string(r#"{"specversion":"1.0"}"#.into()).unwrap(),
            reply: None,
        };
        let change = |id: &str, note: &str| Change {
            id: id.parse().unwrap(),
            done: !note.contains("no such"),
            note: note.to_owned(),
        };
        let changes = [
            change("3", "the plugin `todo` is not there any more: the plugins there are now are asked"),
            change("17.0", ""),
            change("99", "there is no such dead letter"),
        ];
        let pages = [
            list,
            to_text(&whole, NOW),
            report(&changes, Deed::Retry, false, true),
            report(&changes, Deed::Retry, false, false),
            report(&changes, Deed::Drop, true, true),
        ];
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("dead_letters", pages.join("\n---\n\n"));
        });
    }
}
