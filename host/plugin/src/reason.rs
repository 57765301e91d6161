//! Why a call gave no outcome, in words for the plugin's author.

use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::call::Call;
use crate::plugin::{Build, Handler, Stop};
use crate::state::State;
use crate::types::{Effect, Event, Failure, Reply};
use crate::{CallError, text};

/// The longest reason taken from a guest's `failure`.
const MAX_FAILURE: usize = 4 << 10;

/// What a reply weighs besides its text.
const REPLY_WEIGHT: usize = 64;

/// The guest returned a failure of its own.
pub(crate) fn returned(name: &str, failure: Failure) -> CallError {
    let words = |said: &str| {
        let said = text::block(said.trim(), MAX_FAILURE);
        if said.is_empty() {
            format!("plugin `{name}` failed and did not say why")
        } else {
            format!("plugin `{name}` failed: {said}")
        }
    };
    match failure {
        Failure::Temporary(said) => CallError::Temporary(words(&said)),
        Failure::Permanent(said) => CallError::Permanent(words(&said)),
    }
}

/// The guest was stopped, by itself or by a limit.
pub(crate) fn stopped(build: &Build, store: &Store<State>, error: &wasmtime::Error) -> Stop {
    let name = &build.name;
    let limits = &build.spec.limits;
    let state = store.data();
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        let reason =
            format!("plugin `{name}` found no free slot: too many plugins with several memories run at once");
        return Stop { error: CallError::Temporary(reason), guest: false };
    }
    let what = if state.call.over_limit() {
        format!("computed for longer than {:?}; raise `limits.cpu` in [plugins.{name}]", limits.cpu)
    } else if let Some(wanted) = state.memory.refused {
        format!(
            "ran out of memory: it wanted {}, it may have {}; raise `limits.memory` in [plugins.{name}]",
            text::size(wanted),
            text::size(limits.memory)
        )
    } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
        format!("called exit({}) instead of returning", exit.0)
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        format!("{}{}", trap_words(*trap), frames(error))
    } else if matches!(error.downcast_ref::<ResourceTableError>(), Some(ResourceTableError::Full)) {
        format!("held {}", crate::state::too_many_handles())
    } else if is_fuel(error) {
        format!(
            "handed over too much at once; raise `limits.output` in [plugins.{name}] (now {}) for what it returns, \
             `limits.host_bytes` (now {}) for what it passes to a host function",
            text::size(limits.output),
            text::size(limits.host_bytes)
        )
    } else {
        format!("stopped: {}{}", text::line(&error.root_cause().to_string(), 500), frames(error))
    };
    permanent(format!("plugin `{name}` {what}{}", last_words(&state.call)))
}

/// The wall-clock deadline passed. `hurried`: it may have been the patience of whoever waits for the answer.
pub(crate) fn too_late(build: &Build, call: &Call, hurried: bool) -> Stop {
    let name = &build.name;
    let deadline = build.spec.limits.deadline;
    let computed = Duration::from_millis(u64::try_from(call.spent().as_millis()).unwrap_or(u64::MAX));
    let words = last_words(call);
    permanent(match hurried {
        true => format!(
            "plugin `{name}` did not answer within the 2 s that DingTalk waits (or a smaller `limits.deadline`), of which \
             it computed {computed:?}; let it answer at once and do the rest with `chat.send`{words}"
        ),
        false => format!(
            "plugin `{name}` was not done after {deadline:?}, of which it computed {computed:?} and waited the rest; \
             raise `limits.deadline` in [plugins.{name}]{words}"
        ),
    })
}

/// The answer is larger than allowed.
pub(crate) fn too_large(build: &Build, bytes: usize) -> Option<Stop> {
    let name = &build.name;
    let limit = build.spec.limits.output;
    let bytes = bytes as u64;
    (bytes > limit).then(|| {
        permanent(format!(
            "plugin `{name}` returned {}, it may return {}; raise `limits.output` in [plugins.{name}]",
            text::size(bytes),
            text::size(limit)
        ))
    })
}

/// The plugin was asked for something it does not export.
pub(crate) fn no_handler(name: &str, handler: Handler) -> Stop {
    let reason = format!("plugin `{name}` does not export `{}`", handler.interface());
    Stop { error: CallError::Permanent(reason), guest: false }
}

/// Nobody waits any longer, and its turn has not come.
pub(crate) fn no_turn(name: &str) -> Stop {
    let reason = format!(
        "plugin `{name}` had no turn in time: too many calls were under way, or its resident instance was busy"
    );
    Stop { error: CallError::Temporary(reason), guest: false }
}

/// There are too many resident instances.
pub(crate) fn no_place(name: &str) -> Stop {
    let reason = format!(
        "plugin `{name}` found no place for its resident instance: too many plugins have `per = \"resident\"`; take it \
         from [plugins.{name}] or from others"
    );
    Stop { error: CallError::Temporary(reason), guest: false }
}

/// A resident instance did not want to begin.
pub(crate) fn init_refused(name: &str, said: &str) -> Stop {
    permanent(format!(
        "plugin `{name}` could not begin: its `init` said: {}",
        text::block(said.trim(), 1_000)
    ))
}

/// The host is going down.
pub(crate) fn stopping(name: &str) -> Stop {
    let reason = format!("plugin `{name}` was interrupted: the host is stopping");
    Stop { error: CallError::Temporary(reason), guest: false }
}

fn permanent(reason: String) -> Stop {
    Stop { error: CallError::Permanent(reason), guest: true }
}

fn trap_words(trap: Trap) -> String {
    match trap {
        Trap::UnreachableCodeReached => {
            "stopped itself (a panic, an abort or an uncaught exception)".to_owned()
        }
        Trap::StackOverflow => "used up its stack: does a function call itself without end?".to_owned(),
        Trap::MemoryOutOfBounds => {
            "left its memory: a stray pointer, or a function that calls itself without end".to_owned()
        }
        Trap::Interrupt => "was interrupted".to_owned(),
        trap => format!("stopped: {trap}"),
    }
}

fn is_fuel(error: &wasmtime::Error) -> bool {
    // The runtime keeps this error's type to itself.
    error.chain().any(|cause| cause.to_string().contains("fuel allocated for hostcalls"))
}

/// The innermost functions, if the component has names.
fn frames(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return String::new();
    };
    let names: Vec<String> = backtrace
        .frames()
        .iter()
        .filter_map(|frame| frame.func_name())
        .map(|name| text::line(name, 100))
        .filter(|name| {
            !["abort", "rust_panic", "panic", "__rust", "_ZN3std", "belfry:bot/"]
                .iter()
                .any(|p| name.starts_with(p))
        })
        .take(4)
        .collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}

fn last_words(call: &Call) -> String {
    let tail = call.log.stderr_tail();
    if tail.is_empty() { String::new() } else { format!("\nit last wrote to stderr:\n{tail}") }
}

/// The weight of an effect, in bytes.
pub(crate) fn weigh_effect(effect: &Effect) -> usize {
    match effect {
        Effect::Send(send) => weigh_reply(&send.message) + REPLY_WEIGHT,
        Effect::Emit(event) => {
            REPLY_WEIGHT
                + event.type_.len()
                + event.subject.as_ref().map_or(0, String::len)
                + event.data.len()
        }
    }
}

/// The weight of an event, in bytes.
pub(crate) fn weigh_event(event: &Event) -> usize {
    let extensions = event.extensions.iter().map(|(name, value)| name.len() + value.len() + REPLY_WEIGHT);
    let optional = [&event.subject, &event.data_content_type, &event.data];
    event.id.len()
        + event.source.len()
        + event.type_.len()
        + optional.into_iter().flatten().map(String::len).sum::<usize>()
        + extensions.sum::<usize>()
}

/// The weight of a reply, in bytes.
pub(crate) fn weigh_reply(reply: &Reply) -> usize {
    let mentions = |list: &Option<crate::types::MentionList>| {
        let ids = list.iter().flat_map(|list| list.user_ids.iter().chain(&list.mobiles));
        ids.map(|id| id.len() + REPLY_WEIGHT / 2).sum::<usize>()
    };
    REPLY_WEIGHT
        + match reply {
            Reply::Text(reply) => reply.text.len() + mentions(&reply.mentions),
            Reply::Markdown(reply) => reply.title.len() + reply.text.len() + mentions(&reply.mentions),
            Reply::Link(reply) => {
                reply.title.len()
                    + reply.text.len()
                    + reply.url.len()
                    + reply.picture_url.as_ref().map_or(0, String::len)
            }
            Reply::ActionCard(card) => {
                let buttons = card.buttons.iter();
                card.title.len()
                    + card.text.len()
                    + buttons.map(|b| b.title.len() + b.url.len() + REPLY_WEIGHT).sum::<usize>()
            }
            Reply::FeedCard(links) => links
                .iter()
                .map(|link| link.title.len() + link.url.len() + link.picture_url.len() + REPLY_WEIGHT)
                .sum(),
            Reply::Image(reply) => reply.source.len(),
            Reply::File(reply) => reply.media_id.len() + reply.name.len(),
        }
}
