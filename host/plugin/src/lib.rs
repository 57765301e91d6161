//! Runs Belfry's plugins: WebAssembly components that export the handlers of `wit/`.
//!
//! A [`Host`] owns the wasmtime engine. It loads a component file into a [`Plugin`], which can be called any number of
//! times, at the same time, each time in a fresh instance under [`Limits`]. [`Plugins`] is the live set: it watches
//! files, proves a new build before it serves, publishes [`Generation`]s, and goes back when a new build only traps.
//!
//! - `host`, `ticker`: the engine, its allocator, its cache of compiled code, and the clock that interrupts guests
//! - `load`, `diagnose`: from bytes to a proven plugin, or to a sentence that says what is wrong with them
//! - `plugin`, `run`, `exports`, `call`: one call, on which thread it runs and what it has used
//! - `residence`: instances that live over many calls
//! - `state`, `memory`, `imports`: the data of one call, and the host functions
//! - `overlay`: the key-values of one call
//! - `guest_log`: where a guest's output goes
//! - `reason`, `health`: why a call failed, in words, and whether a new build fails too often
//! - `services`, `grants`, `spec`: what a call needs from outside, and what the config says
//! - `outbound`: HTTP requests of plugins, which are granted and how they leave
//! - `live`: the live set

mod bindings;
mod call;
mod describe;
mod diagnose;
mod error;
mod exports;
mod fixed;
mod grants;
mod guest_log;
mod health;
mod host;
mod imports;
mod limits;
mod live;
mod load;
mod memory;
mod outbound;
mod overlay;
mod plugin;
mod reason;
mod residence;
mod run;
mod services;
mod signature;
mod spec;
mod state;
mod text;
mod ticker;

pub use bindings::belfry::bot::host::PluginInfo;
pub use bindings::exports::belfry::bot::describe::Info as Description;
pub use error::{CallError, HostError, LoadError, PluginsError};
pub use grants::{ChatGrant, Grants, HttpGrant, Scheme};
pub use host::{Allocator, Host, HostConfig};
pub use limits::Limits;
pub use live::{Generation, PluginEvent, Plugins, PluginsConfig, Problem};
pub use outbound::{LookUp, OutboundConfig, Proxy, ProxyRule};
pub use overlay::{KeyValueError, Overlay};
pub use plugin::{About, Done, Handler, Phases, Plugin};
pub use services::{
    Body, CallContext, Change, Chat, Fetch, FetchError, Fixed, KeyValue, LiveCard, LiveSettings, Seen,
    ServiceFuture, Write, Writes,
};
pub use spec::{Lifetime, PluginSpec};

/// The records and variants of `wit/`.
pub mod types {
    pub use crate::bindings::belfry::bot::chat::{Error as ChatError, MediaKind};
    pub use crate::bindings::belfry::bot::events::{Effect, Event, NewEvent, Send as SendEffect};
    pub use crate::bindings::belfry::bot::types::*;
    pub use crate::bindings::exports::belfry::bot::action_handler::{CardUpdate, Request, Response};
}
