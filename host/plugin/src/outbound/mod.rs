//! HTTP requests of plugins: which are granted, and how they leave.
//!
//! - `grant`: the `http` grants, and which of them covers a URL
//! - `address`: which addresses are the public internet
//! - `exit`: what all plugins share: certificates, the proxy, how names are looked up
//! - `client`: one plugin's connections
//! - `body`: bodies on their way between guest and network, with their limits
//!
//! The host functions that guests call are in `imports/fetch.rs` and `imports/http.rs`. Both ask `Doors` for the grant and
//! hand the request to a [`Fetch`], normally the one here.

mod address;
mod body;
mod client;
mod exit;
mod grant;

pub(crate) use body::{bounded, empty, full, read, timed};
pub(crate) use client::CONNECT;
pub(crate) use exit::Exit;
pub use exit::{LookUp, OutboundConfig, Proxy, ProxyRule};
pub(crate) use grant::{RESERVED, target, tidy};

use std::sync::Arc;

use client::Client;
use grant::Doors;

use crate::{Body, Fetch, FetchError, PluginSpec, ServiceFuture};

/// The HTTP of one plugin.
pub(crate) struct Outbound {
    pub(crate) doors: Doors,
    client: Client,
}

impl Outbound {
    pub(crate) fn new(exit: Arc<Exit>, spec: Arc<PluginSpec>) -> Self {
        Outbound { doors: Doors::new(&spec), client: Client::new(exit, spec) }
    }
}

impl Fetch for Outbound {
    fn send(
        &self,
        request: http::Request<Body>,
        grant: usize,
    ) -> ServiceFuture<'_, Result<http::Response<Body>, FetchError>> {
        Box::pin(self.client.send(request, grant))
    }
}
