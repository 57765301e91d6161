//! The host functions: everything a plugin may import, one file for each interface.

mod chat;
mod clock;
mod config;
mod fetch;
mod host;
mod http;
pub(crate) mod key_value;
mod key_value_draft;
pub(crate) mod live_card;
mod logging;

pub(crate) use http::WasiHttp;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;

use crate::bindings::belfry::bot;
use crate::bindings::key_value::wasi::keyvalue;
use crate::bindings::key_value_draft::wasi::keyvalue as keyvalue_draft;
use crate::bindings::wasi;
use crate::state::State;

/// Links everything a plugin may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    // The clock of `fixed` calls goes in front of the real one.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    linker.allow_shadowing(false);
    wasi::config::store::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    wasi::logging::logging::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bot::types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bot::host::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bot::fetch::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bot::events::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bot::chat::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bot::cards::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bot::live_card::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    keyvalue::store::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    keyvalue::atomics::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    keyvalue::batch::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    keyvalue_draft::store::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    keyvalue_draft::atomics::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    keyvalue_draft::batch::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl bot::events::Host for State {}

impl bot::types::Host for State {}
