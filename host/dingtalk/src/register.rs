//! Registration: asking the gateway for an endpoint and a ticket.

use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{AppConfig, Subscriptions, Transport, http, json};

mod error;

pub use error::{RegistrationError, RegistrationErrorKind};

/// Path of the registration call below the API base (protocol text, "connections/open").
const PATH: &str = "v1.0/gateway/connections/open";

/// What the gateway grants: one connection, within 90 s.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Where to connect; host, path and query to be used as given.
    pub endpoint: Url,
    /// Good for exactly one connection within 90 s.
    pub ticket: SecretString,
    /// The gateway's clock (`Date` header), to find a wrong clock here.
    pub server_date: Option<SystemTime>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    subscriptions: Vec<Subscription>,
    ua: &'a str,
}

#[derive(Serialize)]
struct Subscription {
    #[serde(rename = "type")]
    kind: &'static str,
    topic: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "json::id")]
    endpoint: Option<String>,
    #[serde(default, deserialize_with = "json::id")]
    ticket: Option<String>,
}

/// Registers once; total time bounded by `timeout` (10 s is what the protocol reference advises).
///
/// # Errors
///
/// See [`RegistrationErrorKind`].
pub async fn register(
    app: &AppConfig,
    transport: &Transport,
    subscriptions: &Subscriptions,
    timeout: Duration,
) -> Result<Registration, RegistrationError> {
    register_as(app, transport, subscriptions, timeout, concat!("belfry/", env!("CARGO_PKG_VERSION"))).await
}

pub(crate) async fn register_as(
    app: &AppConfig,
    transport: &Transport,
    subscriptions: &Subscriptions,
    timeout: Duration,
    user_agent: &str,
) -> Result<Registration, RegistrationError> {
    let request = Request {
        client_id: &app.client_id,
        client_secret: app.client_secret.expose_secret(),
        subscriptions: subscriptions
            .topics()
            .map(|topic| Subscription { kind: topic.frame_type(), topic: topic.as_str() })
            .collect(),
        ua: user_agent,
    };
    let url = app.api_url(PATH);
    let host = crate::socket::endpoint_host(&url);
    let body = serde_json::to_string(&request).map_err(|error| error::network(&host, &error.to_string()))?;
    let reply = match http::post_json(&transport.http, url, body, None, timeout).await {
        Ok(reply) => reply,
        Err(failure) if failure.timed_out => return Err(error::timeout(&host, timeout)),
        Err(failure) => return Err(error::network(&host, &failure.message)),
    };
    if reply.status == 200
        && let Ok(answer) = serde_json::from_slice::<Answer>(&reply.body)
        && let (Some(endpoint), Some(ticket)) = (answer.endpoint, answer.ticket)
    {
        let endpoint = Url::parse(&endpoint).map_err(|_| error::bad_endpoint(&endpoint))?;
        return Ok(Registration { endpoint, ticket: ticket.into(), server_date: reply.date });
    }
    Err(error::classify(&app.client_id, &host, &reply))
}
