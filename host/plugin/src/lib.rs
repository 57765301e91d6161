//! Runs Belfry's plugins: WebAssembly components that export the handlers of `wit/`.
//!
//! A [`Host`] owns the wasmtime engine. It loads a component file into a [`Plugin`], which can be called any number of
//! times, at the same time, each time in a fresh instance under [`Limits`]. [`Plugins`] is the live set: it watches
//! files, proves a new build before it serves, publishes [`Generation`]s, and goes back when a new build only traps.
//!
//! - `host`: the engine, its allocator, its compiled-code cache and the clock that interrupts guests
//! - `load`, `diagnose`: from bytes to a proven plugin, or to a sentence that says what is wrong with them
//! - `plugin`, `state`, `guest_log`: one call, what the guest can reach in it, and where its output goes
//! - `live`: the live set
//! - [`toolchain`]: from a guest's source folder to a component

mod bindings;
mod error;
mod host;
mod limits;
mod live;
mod plugin;
mod spec;
pub mod toolchain;

pub use bindings::belfry::bot::host::PluginInfo;
pub use error::{CallError, HostError, LoadError, PluginsError};
pub use host::{Allocator, Host, HostConfig};
pub use limits::Limits;
pub use live::{Generation, PluginEvent, Plugins, PluginsConfig, Problem};
pub use plugin::{About, CallContext, Handler, Plugin};
pub use spec::PluginSpec;

/// The records and variants of `wit/types.wit`.
pub mod types {
    pub use crate::bindings::belfry::bot::types::*;
}
