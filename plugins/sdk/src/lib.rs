//! Write plugins for Belfry, a bot host for DingTalk.
//!
//! A plugin is a crate of type `cdylib` with a type that implements the handlers it wants, and one [`export!`]:
//!
//! ```
//! use belfry_plugin::prelude::*;
//!
//! struct Counter;
//!
//! belfry_plugin::export!(Counter: MessageHandler);
//!
//! impl MessageHandler for Counter {
//!     fn on_message(message: Message) -> Result<Outcome, Failure> {
//!         let Some(_) = message.command("/count") else { return Ok(Outcome::Pass) };
//!         let count = kv::increment("count", 1)?;
//!         log::info!("{} asked", message.sender.nick);
//!         Ok(text(format!("I was asked {count} times.")).into())
//!     }
//! }
//!
//! // Outside of WebAssembly everything the host gives is kept in memory, so that a test needs no host.
//! use belfry_plugin::testing;
//! assert_eq!(testing::say::<Counter>("/count").texts(), ["I was asked 1 times."]);
//! assert_eq!(testing::logs(), ["info: Li Wei asked"]);
//! ```
//!
//! Build it for `wasm32-wasip2`, or with `belfry build`. Every handler runs in a fresh instance: what is to be remembered goes
//! into the key-values ([`kv`]). A panic ends the call as a permanent failure with the panic's message and place.
//!
//! - [`MessageHandler`], [`EventHandler`], [`ActionHandler`], [`Transform`], [`Describe`], [`Resident`]: what can be handled
//! - [`text()`], [`markdown()`] and the rest of [`reply`]: answers
//! - [`kv`], [`config`], [`fetch`], [`chat`], [`cards`], [`live`], [`host`], [`log`]: what the host gives
//! - [`Failure`]: why not; `?` makes one of every error
//! - [`testing`]: the doubles behind all of it in tests (not in WebAssembly)
//! - [`types`]: the records and variants; [`bindings`]: everything as `wit/` has it

pub mod bindings;
pub mod cards;
pub mod chat;
pub mod config;
mod events;
mod failure;
pub mod fetch;
pub mod handlers;
pub mod host;
pub mod kv;
pub mod live;
pub mod log;
mod message;
pub mod reply;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use failure::Failure;
pub use handlers::{ActionHandler, Describe, EventHandler, MessageHandler, Resident, Transform};
pub use reply::{action_card, feed_card, file, image, link, markdown, text};

/// The records and variants of `wit/`.
pub mod types {
    pub use crate::bindings::belfry::bot::chat::MediaKind;
    pub use crate::bindings::belfry::bot::events::{Effect, Event, NewEvent, Send as SendEffect};
    pub use crate::bindings::belfry::bot::host::PluginInfo;
    pub use crate::bindings::belfry::bot::types::*;
    pub use crate::handlers::action::exports::belfry::bot::action_handler::{CardUpdate, Request, Response};
    pub use crate::handlers::describe::exports::belfry::bot::describe::{Command, Info};
}

/// What most plugins use.
pub mod prelude {
    pub use crate::types::{
        CardUpdate, Command, Content, Effect, Event, Info, Message, Outcome, Reply, Request, Response, Target,
    };
    pub use crate::{
        ActionHandler, Describe, EventHandler, Failure, MessageHandler, Resident, Transform, action_card,
        cards, chat, config, feed_card, fetch, file, host, image, kv, link, live, log, markdown, text,
    };
}
