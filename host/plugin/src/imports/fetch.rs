//! `fetch`: one request, one response.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::bindings::belfry::bot::fetch;
use crate::bindings::belfry::bot::fetch::Error;
use crate::bindings::wasi::logging::logging::Level;
use crate::call::Call;
use crate::outbound::{self, Outbound};
use crate::state::State;
use crate::{Fetch, FetchError, PluginSpec, text};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// Headers of a request.
const MAX_HEADERS: usize = 100;

/// Bytes of them, names and values.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// What a call has left after a request that took all of its time: a tenth, at most this, to say so in its answer.
const LAST_WORDS: Duration = Duration::from_millis(250);

impl fetch::Host for State {
    async fn fetch(&mut self, request: fetch::Request) -> wasmtime::Result<Result<fetch::Response, Error>> {
        let job = Job {
            call: Arc::clone(&self.call),
            spec: Arc::clone(&self.spec),
            outbound: Arc::clone(&self.outbound),
            fetch: self.carrier(),
        };
        // Apart from the guest, whose CPU time does not pay for TLS. Dropped with the call.
        Ok(wasmtime_wasi::runtime::spawn(async move {
            let result = job.run(request).await;
            if let Err(Error::NotGranted(reason)) = &result {
                job.call.log.log(Level::Warn, "fetch", reason);
            }
            result
        })
        .await)
    }
}

struct Job {
    call: Arc<Call>,
    spec: Arc<PluginSpec>,
    outbound: Arc<Outbound>,
    fetch: Arc<dyn Fetch>,
}

/// What is asked of the current URL.
struct Ask {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Job {
    async fn run(&self, request: fetch::Request) -> Result<fetch::Response, Error> {
        let asked = request.timeout.map(|millis| Duration::from_millis(millis.into()));
        let ask = Ask {
            method: method(&request.method)?,
            url: outbound::target(&request.url).map_err(|error| invalid("url", &error))?,
            headers: headers(&request.headers)?,
            body: Bytes::from(request.body.unwrap_or_default()),
        };
        let deadline = self.spec.limits.deadline;
        let left = deadline.saturating_sub(self.call.elapsed());
        let left = left.saturating_sub(LAST_WORDS.min(left / 10));
        let wait = asked.map_or(left, |asked| asked.min(left));
        let origin = ask.url.origin().ascii_serialization();
        match tokio::time::timeout(wait, self.follow(ask)).await {
            Ok(result) => result,
            Err(_) if asked == Some(wait) => {
                Err(Error::Timeout(format!("no whole response of {origin} after {wait:?}")))
            }
            Err(_) => {
                let plugin = &self.spec.name;
                Err(Error::Timeout(format!(
                    "no whole response of {origin} in what was left of the call's {deadline:?}; raise `limits.deadline` in \
                     [plugins.{plugin}]"
                )))
            }
        }
    }

    async fn follow(&self, mut ask: Ask) -> Result<fetch::Response, Error> {
        for _ in 0..=MAX_REDIRECTS {
            let grant = self.outbound.doors.find(&ask.url).map_err(Error::NotGranted)?;
            self.call.take_request(&self.spec).map_err(Error::Limit)?;
            let response = self.fetch.send(ask.request()?, grant).await.map_err(error)?;
            match ask.redirected(&response)? {
                Some(next) => ask = next,
                None => return self.whole(response, ask.url).await,
            }
        }
        let at = ask.url.origin().ascii_serialization();
        Err(Error::Failed(format!("redirected more than {MAX_REDIRECTS} times, the last time to {at}")))
    }

    async fn whole(&self, response: http::Response<crate::Body>, url: Url) -> Result<fetch::Response, Error> {
        let (parts, body) = response.into_parts();
        let most = self.spec.limits.transfer;
        let limit = FetchError::Limit(too_large(&self.spec, &url.origin().ascii_serialization()));
        let body = outbound::read(body, most, limit).await.map_err(error)?;
        let headers = parts.headers.iter().filter(|(name, _)| !outbound::RESERVED.contains(name));
        let headers = headers
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        Ok(fetch::Response { status: parts.status.as_u16(), headers, body: body.into(), url: url.into() })
    }
}

/// What is said of a response, or the body of a request, of more than `limits.transfer` bytes.
pub(super) fn too_large(spec: &PluginSpec, origin: &str) -> String {
    let most = text::size(spec.limits.transfer);
    let plugin = &spec.name;
    format!("the response of {origin} is larger than {most}; raise `limits.transfer` in [plugins.{plugin}]")
}

impl Ask {
    fn request(&self) -> Result<http::Request<crate::Body>, Error> {
        let body = if self.body.is_empty() { outbound::empty() } else { outbound::full(self.body.clone()) };
        let request = http::Request::builder().method(self.method.clone()).uri(self.url.as_str()).body(body);
        let mut request = request.map_err(|error| invalid("url", &error.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// What the response sends it to, if to anywhere. Methods, bodies and headers change as the Fetch standard says
    /// (https://fetch.spec.whatwg.org/#http-redirect-fetch).
    fn redirected<B>(&self, response: &http::Response<B>) -> Result<Option<Ask>, Error> {
        let status = response.status();
        let turns_to_get = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::SEE_OTHER => self.method != Method::GET && self.method != Method::HEAD,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Ok(None),
        };
        let Some(location) = response.headers().get(header::LOCATION) else { return Ok(None) };
        let location = String::from_utf8_lossy(location.as_bytes());
        let url = self.url.join(&location).map_err(|error| error.to_string()).and_then(outbound::tidy);
        let url = url.map_err(|error| {
            let at = self.url.origin().ascii_serialization();
            Error::Failed(format!("{at} redirects to {:?}: {error}", text::line(&location, 200)))
        })?;
        let mut headers = self.headers.clone();
        let (method, body) = if turns_to_get {
            let of_body = [
                header::CONTENT_ENCODING,
                header::CONTENT_LANGUAGE,
                header::CONTENT_LOCATION,
                header::CONTENT_TYPE,
            ];
            for name in of_body {
                headers.remove(name);
            }
            (Method::GET, Bytes::new())
        } else {
            (self.method.clone(), self.body.clone())
        };
        if url.origin() != self.url.origin() {
            // What the guest showed to one server is not for another.
            headers.remove(header::AUTHORIZATION);
            headers.remove(header::COOKIE);
        }
        Ok(Some(Ask { method, url, headers, body }))
    }
}

/// Whether a guest may use a method: `CONNECT` would leave HTTP, and a server answers `TRACE` with what it was sent, the
/// grant's headers included.
pub(super) fn usable(method: &Method) -> bool {
    *method != Method::CONNECT && *method != Method::TRACE && method.as_str() != "TRACK"
}

fn method(name: &str) -> Result<Method, Error> {
    let upper = name.to_ascii_uppercase();
    let common = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "CONNECT", "TRACE", "TRACK"];
    let name = if common.contains(&upper.as_str()) { &upper } else { name };
    match Method::from_bytes(name.as_bytes()) {
        Ok(method) if usable(&method) => Ok(method),
        Ok(method) => Err(invalid("method", &format!("plugins may not use {method}"))),
        Err(_) => Err(invalid("method", &format!("{:?} is none", text::line(name, 50)))),
    }
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, Error> {
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let most = text::size(MAX_HEADER_BYTES as u64);
        return Err(invalid(
            "headers",
            &format!("a request has at most {MAX_HEADERS} of them, {most} in all"),
        ));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(invalid("headers", &format!("{:?} is no header name", text::line(name, 50))));
        };
        // Follow from the URL and the body. Browsers leave them out in silence too.
        if outbound::RESERVED.contains(&name) {
            continue;
        }
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Err(invalid("headers", &format!("the value of `{name}` has a control character in it")));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

fn invalid(field: &str, reason: &str) -> Error {
    Error::Invalid(format!("`{field}`: {reason}"))
}

fn error(error: FetchError) -> Error {
    match error {
        FetchError::Refused(reason) => Error::NotGranted(reason),
        FetchError::Limit(reason) => Error::Limit(reason),
        FetchError::Timeout(reason) => Error::Timeout(reason),
        FetchError::Failed(reason) => Error::Failed(reason),
    }
}
