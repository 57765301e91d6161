//! One plugin's HTTP client. Plugins share neither connections nor TLS sessions.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use url::Url;

use super::body::{Incoming, Outgoing};
use super::exit::{Exit, check_host};
use super::grant::{RESERVED, tidy};
use crate::{Body, FetchError, HttpGrant, PluginSpec};

/// How long a connection may take, name and TLS included.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Unused connections to one server.
const IDLE_EACH: usize = 4;

/// Servers whose connections are kept. The one unused for longest makes room.
const SERVERS: usize = 16;

/// Requests of one plugin under way at the same time, over all its calls; more wait.
const AT_ONCE: usize = 64;

/// Sends the requests of one plugin. Redirects are left to the caller; there are no cookies, nothing is decompressed, and
/// nothing is sent twice.
pub(crate) struct Client {
    exit: Arc<Exit>,
    spec: Arc<PluginSpec>,
    /// The most recently used last.
    servers: Mutex<Vec<(Server, reqwest::Client)>>,
    at_once: Arc<Semaphore>,
}

/// What a connection is good for. A request that may only reach public addresses never gets a connection to a private one,
/// whoever opened it.
#[derive(Clone, PartialEq)]
struct Server {
    origin: url::Origin,
    private: bool,
    proxy: Option<Url>,
}

impl Client {
    pub(crate) fn new(exit: Arc<Exit>, spec: Arc<PluginSpec>) -> Self {
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Client { exit, spec, servers: Mutex::new(Vec::new()), at_once }
    }

    /// As [`Fetch::send`](crate::Fetch::send).
    pub(super) async fn send(
        &self,
        request: http::Request<Body>,
        grant: usize,
    ) -> Result<http::Response<Body>, FetchError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|error| error.to_string()).and_then(tidy);
        let url = url.map_err(FetchError::Failed)?;
        let Some(grant) = self.spec.grants.http.get(grant) else {
            return Err(FetchError::Refused(format!("plugin `{}` has no such grant", self.spec.name)));
        };
        let words = url.origin().ascii_serialization();
        let mut headers = parts.headers;
        arrange(&mut headers, &parts.method, &body, grant)?;
        let client = self.client(&url, grant.private).await?;

        let mut out = reqwest::Request::new(parts.method, url);
        *out.headers_mut() = headers;
        if !body.is_end_stream() {
            *out.body_mut() = Some(reqwest::Body::wrap(Outgoing::new(body)));
        }
        let Ok(counted) = Arc::clone(&self.at_once).acquire_owned().await else {
            return Err(FetchError::Failed("the host is stopping".to_owned()));
        };
        let response = client.execute(out).await.map_err(|error| failed(&error, &words))?;
        let response: http::Response<reqwest::Body> = response.into();
        Ok(response.map(|body| Incoming { body, words, _counted: counted }.boxed_unsync()))
    }

    /// The client for a server, with the connections it has.
    async fn client(&self, url: &Url, private: bool) -> Result<reqwest::Client, FetchError> {
        let proxy = self.exit.proxy(url);
        if !private {
            check_host(url, &self.spec.name, proxy.is_some())?;
        }
        let server =
            Server { origin: url.origin(), private, proxy: proxy.as_ref().map(|proxy| proxy.url.clone()) };
        if let Some(client) = recent(&mut self.servers(), &server) {
            return Ok(client);
        }
        let setup = |error: reqwest::Error| FetchError::Failed(format!("no HTTP client: {}", cause(&error)));
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.exit.tls().await?)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .user_agent(concat!("belfry/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_EACH)
            .no_proxy();
        let builder = match proxy {
            None => builder.dns_resolver(self.exit.guard(&self.spec.name, private)),
            Some(proxy) => {
                let mut through = reqwest::Proxy::all(proxy.url).map_err(setup)?;
                if let Some(authorization) = proxy.authorization {
                    let value = HeaderValue::from_bytes(authorization.expose_secret().as_bytes());
                    let mut value = value.map_err(|_| {
                        FetchError::Failed("the proxy's password cannot be sent as a header".to_owned())
                    })?;
                    value.set_sensitive(true);
                    through = through.custom_http_auth(value);
                }
                builder.proxy(through)
            }
        };
        let client = builder.build().map_err(setup)?;
        let mut servers = self.servers();
        // Another request may have been faster.
        if let Some(client) = recent(&mut servers, &server) {
            return Ok(client);
        }
        if servers.len() >= SERVERS {
            servers.remove(0);
        }
        servers.push((server, client.clone()));
        Ok(client)
    }

    fn servers(&self) -> MutexGuard<'_, Vec<(Server, reqwest::Client)>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn recent(servers: &mut Vec<(Server, reqwest::Client)>, server: &Server) -> Option<reqwest::Client> {
    let place = servers.iter().position(|(one, _)| one == server)?;
    let entry = servers.remove(place);
    let client = entry.1.clone();
    servers.push(entry);
    Some(client)
}

/// Takes out what belongs to the connection, and sets what the grant says.
fn arrange(
    headers: &mut HeaderMap,
    method: &Method,
    body: &Body,
    grant: &HttpGrant,
) -> Result<(), FetchError> {
    let length = headers.remove(header::CONTENT_LENGTH);
    for name in RESERVED {
        headers.remove(name);
    }
    // A body that is still being written says its length nowhere else. Whether it keeps to it is checked when it is sent.
    if let Some(length) = length
        && body.size_hint().exact().is_none()
    {
        headers.insert(header::CONTENT_LENGTH, length);
    }
    // Some servers refuse a request that could have a body and says nothing of one.
    if body.is_end_stream() && [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut set: Vec<&http::HeaderName> = Vec::new();
    for (name, value) in &grant.headers {
        let Ok(mut value) = HeaderValue::from_bytes(value.expose_secret().as_bytes()) else {
            return Err(FetchError::Failed(format!(
                "the value of `{name}` in the grant's `headers` cannot be sent"
            )));
        };
        value.set_sensitive(true);
        let room = if set.contains(&name) {
            headers.try_append(name, value).map(drop)
        } else {
            headers.try_insert(name, value).map(drop)
        };
        room.map_err(|_| FetchError::Failed("the request has too many headers".to_owned()))?;
        set.push(name);
    }
    Ok(())
}

/// Why there is no response, in words.
fn failed(error: &reqwest::Error, words: &str) -> FetchError {
    let mut source = error.source();
    while let Some(inner) = source {
        // Of the look-up, or of the guest's own body.
        if let Some(own) = inner.downcast_ref::<FetchError>() {
            return own.clone();
        }
        source = inner.source();
    }
    if error.is_connect() && error.is_timeout() {
        return FetchError::Timeout(format!("no connection to {words} after {CONNECT:?}"));
    }
    let cause = cause(error);
    if cause.contains("UnknownIssuer") {
        return FetchError::Failed(format!(
            "the certificate of {words} is signed by nobody this host trusts; if it is your own, name its authority in \
             `ca_file` of [channels_config.dingtalk]"
        ));
    }
    FetchError::Failed(if error.is_connect() {
        format!("no connection to {words}: {cause}")
    } else {
        format!("no response of {words}: {cause}")
    })
}

/// The innermost cause: the layers above only say where in the library it was met.
pub(super) fn cause(error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
