//! What happened in a test, as people read it.

use std::fmt::Write as _;

use belfry_pipeline::webhook_bodies;
use belfry_plugin_host::CallError;
use belfry_plugin_host::types::{Effect, NewEvent, Outcome, Reply, Response};

use super::doubles::{Noted, target};
use super::file::Given;

/// What came of one turn.
#[derive(Default)]
pub(super) struct Happened {
    /// The replies to a message.
    pub(super) replies: Vec<Reply>,
    /// The handler passed, or was not asked.
    pub(super) pass: bool,
    /// It was not asked, since the message is none of its commands.
    pub(super) not_asked: bool,
    /// Why it failed.
    pub(super) failure: Option<String>,
    /// What was sent otherwise, in order: to whom, and what.
    pub(super) sent: Vec<(String, String)>,
    /// Events it emitted.
    pub(super) emitted: Vec<NewEvent>,
    /// The answer to an action.
    pub(super) response: Option<Response>,
}

impl Happened {
    pub(super) fn of_message(result: Result<Outcome, CallError>) -> Self {
        match result {
            Ok(Outcome::Pass) => Self { pass: true, ..Self::default() },
            Ok(Outcome::Reply(replies)) => Self { replies, ..Self::default() },
            Err(error) => Self::failed(&error),
        }
    }

    pub(super) fn of_event(result: Result<Vec<Effect>, CallError>) -> Self {
        let effects = match result {
            Ok(effects) => effects,
            Err(error) => return Self::failed(&error),
        };
        let mut happened = Self::default();
        for effect in effects {
            match effect {
                Effect::Send(send) => happened.sent.push((target(&send.to), plain(&send.message))),
                Effect::Emit(event) => happened.emitted.push(event),
            }
        }
        happened
    }

    pub(super) fn of_action(result: Result<Response, CallError>) -> Self {
        match result {
            Ok(response) => Self { response: Some(response), ..Self::default() },
            Err(error) => Self::failed(&error),
        }
    }

    fn failed(error: &CallError) -> Self {
        let kind = if error.is_temporary() { "temporary" } else { "permanent" };
        Self { failure: Some(format!("{kind}: {}", error.reason())), ..Self::default() }
    }

    /// Puts what was sent during the call before what it returned.
    pub(super) fn noting(mut self, noted: Noted) -> Self {
        let returned = std::mem::replace(&mut self.sent, noted.sent);
        self.sent.extend(returned);
        self
    }
}

/// A reply as plain text: what text and markdown say, anything else as a session webhook would get it.
pub(super) fn plain(reply: &Reply) -> String {
    match reply {
        Reply::Text(reply) => reply.text.clone(),
        Reply::Markdown(reply) => reply.text.clone(),
        reply => body(reply),
    }
}

/// A reply as a session webhook would get it.
pub(super) fn body(reply: &Reply) -> String {
    webhook_bodies(vec![reply.clone()], false, "test").into_iter().next().unwrap_or_default()
}

/// One turn in the transcript.
pub(super) fn turn(given: &Given, happened: &Happened) -> String {
    let mut text = String::new();
    let mut line = |who: &str, what: &str| {
        let _ = writeln!(text, "{who}: {}", indented(what));
    };
    let from = given.from.as_deref().unwrap_or("alex");
    let who = match &given.group {
        Some(group) => format!("{from} in {group}"),
        None => from.to_owned(),
    };
    match given {
        Given { message: Some(message), .. } => line(&who, message),
        Given { content: Some(content), .. } => line(&who, &format!("{content:?}")),
        Given { event: Some(event), .. } => line("event", &event.kind),
        Given { action: Some(action), .. } => {
            line(&who, &format!("{} {} {}", action.kind, action.subject, action.actions.join(" ")));
        }
        _ => {}
    }
    for (to, what) in &happened.sent {
        line(&format!("  to {to}"), what);
    }
    for reply in &happened.replies {
        let name = if matches!(reply, Reply::Markdown(_)) { "  bot (markdown)" } else { "  bot" };
        line(name, &plain(reply));
    }
    for event in &happened.emitted {
        line("  emits", &format!("{} {}", event.type_, event.data));
    }
    match &happened.response {
        None => {}
        Some(Response::None) => line("  answers", "nothing"),
        Some(Response::Card(update)) => {
            for (name, value) in &update.data {
                line("  card", &format!("{name} = {value}"));
            }
            for (name, value) in &update.private_data {
                line("  card, for this person", &format!("{name} = {value}"));
            }
        }
        Some(Response::Json(json)) => line("  answers", json),
    }
    if happened.not_asked {
        line("  bot", "is not asked: the message is none of its commands");
    } else if happened.pass {
        line("  bot", "passes");
    }
    if let Some(failure) = &happened.failure {
        line("  fails", failure);
    }
    text
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}
