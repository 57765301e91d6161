//! HTTP requests of plugins: which are granted, and how they leave.
//!
//! - `grant`: the `http` grants, and which of them covers a URL
//! - `address`: which addresses are the public internet
//! - `exit`: what all plugins share: certificates, the proxy, how names are looked up
//! - `client`: one plugin's connections
//! - `body`: bodies on their way between guest and network, with their limits
//!
//! The host functions that guests call are in `imports/fetch.rs` and `imports/http.rs`. Both ask [`Doors`] for the grant and
//! hand the request to a [`Fetch`](crate::Fetch), normally the [`Client`].

mod address;
mod body;
mod client;
mod exit;
mod grant;

pub(crate) use body::{bounded, empty, full, read, timed};
pub(crate) use client::Client;
pub(crate) use exit::Exit;
pub use exit::{LookUp, OutboundConfig, Proxy, ProxyRule};
pub(crate) use grant::{Doors, RESERVED, target, tidy};
