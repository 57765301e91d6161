//! `wasi:http/outgoing-handler`: the same requests as of `fetch`, streamed, and with no redirect followed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use url::Url;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::fetch::{too_large, usable};
use crate::bindings::wasi::logging::logging::Level;
use crate::call::Call;
use crate::outbound::{self, Outbound};
use crate::state::State;
use crate::{Fetch, FetchError, PluginSpec, text};

/// Bytes of the headers of one message, with what they cost the host in memory.
const MAX_FIELDS: usize = 128 << 10;

/// The part of a store that `wasi:http` needs, made when it is first used.
pub(crate) struct WasiHttp {
    ctx: WasiHttpCtx,
    hooks: Hooks,
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        // An instance may live for many calls, each with its own limits and log.
        let http = match self.http.take() {
            Some(http) if Arc::ptr_eq(&http.hooks.call, &self.call) => http,
            _ => Box::new(WasiHttp::new(self)),
        };
        let WasiHttp { ctx, hooks } = &mut **self.http.insert(http);
        WasiHttpCtxView { ctx, table: &mut self.table, hooks }
    }
}

impl WasiHttp {
    fn new(state: &State) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(MAX_FIELDS);
        let hooks = Hooks {
            call: Arc::clone(&state.call),
            spec: Arc::clone(&state.spec),
            outbound: Arc::clone(&state.outbound),
            fetch: state.carrier(),
        };
        WasiHttp { ctx, hooks }
    }
}

struct Hooks {
    call: Arc<Call>,
    spec: Arc<PluginSpec>,
    outbound: Arc<Outbound>,
    fetch: Arc<dyn Fetch>,
}

/// What the runtime wants back: the response, and something to run beside it.
type Sent = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Hooks {
    // The client sets it from the URL.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let admitted = self.admit(&request);
        let spec = Arc::clone(&self.spec);
        let fetch = Arc::clone(&self.fetch);
        let call = Arc::clone(&self.call);
        Box::new(async move {
            let (url, grant) = admitted?;
            let origin = url.origin().ascii_serialization();
            let (mut parts, body) = request.into_parts();
            parts.uri = url.as_str().parse().map_err(|_| Error::HttpRequestUriInvalid)?;
            let most = spec.limits.transfer;
            let words = format!(
                "the body of the request to {origin} is larger than {}; raise `limits.transfer` in [plugins.{}]",
                text::size(most),
                spec.name
            );
            let body = body.map_err(|error| FetchError::Failed(error.to_string())).boxed_unsync();
            let body = outbound::bounded(body, most, FetchError::Limit(words));
            let request = http::Request::from_parts(parts, body);

            let response = head(fetch.send(request, grant), options, &origin).await;
            let response = response.map_err(|error| match error {
                FetchError::Refused(words) => say(&call, &words, Error::HttpRequestDenied),
                FetchError::Limit(words) => say(&call, &words, Error::HttpRequestBodySize(Some(most))),
                FetchError::Timeout(words) => say(&call, &words, Error::ConnectionReadTimeout),
                FetchError::Failed(words) => Error::InternalError(Some(words)),
            })?;
            let response = response.map(|body| {
                let limit = FetchError::Limit(too_large(&spec, &origin));
                let body = outbound::bounded(body, most, limit);
                let pause = options.and_then(|options| options.between_bytes_timeout);
                let body = match pause {
                    Some(pause) => outbound::timed(body, pause, late(&origin, "more of the response", pause)),
                    None => body,
                };
                body.map_err(move |error| {
                    // The runtime keeps no code of these (`http-error-code` is none), but the guest can show the words.
                    let code = Error::InternalError(Some(error.to_string()));
                    match error {
                        FetchError::Failed(_) => code,
                        error => say(&call, &error.to_string(), code),
                    }
                })
                .boxed_unsync()
            });
            let nothing: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((response, nothing))
        })
    }
}

impl Hooks {
    /// The URL of a request and the grant that allows it.
    fn admit(&self, request: &http::Request<WasiBody>) -> Result<(Url, usize), Error> {
        if !usable(request.method()) {
            let words = format!("plugins may not use {}", request.method());
            return Err(say(&self.call, &words, Error::HttpRequestMethodInvalid));
        }
        let url = outbound::target(&request.uri().to_string())
            .map_err(|words| say(&self.call, &words, Error::HttpRequestUriInvalid))?;
        let granted = self.outbound.doors.find(&url);
        let grant = granted.and_then(|grant| self.call.take_request(&self.spec).map(|()| grant));
        let grant = grant.map_err(|words| say(&self.call, &words, Error::HttpRequestDenied))?;
        Ok((url, grant))
    }
}

/// Logs why, which most codes have no room for.
fn say(call: &Call, words: &str, code: Error) -> Error {
    call.log.log(Level::Warn, "wasi:http", words);
    code
}

/// Waits for the head of a response as long as the guest wants to, or until the call ends.
async fn head(
    sent: impl Future<Output = Result<http::Response<crate::Body>, FetchError>>,
    options: Option<RequestOptions>,
    origin: &str,
) -> Result<http::Response<crate::Body>, FetchError> {
    let Some(first_byte) = options.and_then(|options| options.first_byte_timeout) else {
        return sent.await;
    };
    // Where a connection is open already, the time to make one is not missed.
    let connect = options.and_then(|options| options.connect_timeout).unwrap_or(outbound::CONNECT);
    let wait = first_byte.saturating_add(connect.min(outbound::CONNECT));
    match tokio::time::timeout(wait, sent).await {
        Ok(result) => result,
        Err(_) => Err(late(origin, "response", wait)),
    }
}

fn late(origin: &str, what: &str, wait: Duration) -> FetchError {
    FetchError::Timeout(format!("no {what} of {origin} after {wait:?}"))
}
