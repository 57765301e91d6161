//! The host functions: everything a plugin may import, one file for each interface.

mod config;
mod fetch;
mod host;
mod http;
mod logging;

pub(crate) use http::WasiHttp;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::belfry::bot;
use crate::bindings::wasi;
use crate::state::State;

/// Links everything a plugin may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasi::config::store::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    wasi::logging::logging::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bot::types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bot::host::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bot::fetch::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl bot::types::Host for State {}
