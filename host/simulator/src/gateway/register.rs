//! Registration and access tokens.

use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::ACCEPT;
use serde::Deserialize;
use serde_json::json;

use super::http::{Abort, Answer, errcode, error, json_answer, query, read_body};
use super::{AUTH_FAILED, Gateway, course};
use crate::config::Credentials;
use crate::fault::Place;
use crate::record::{Happening, Subscription};
use crate::socket::Switch;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registration {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
    #[serde(default)]
    subscriptions: Vec<Subscription>,
    #[serde(default)]
    ua: String,
}

/// `POST /v1.0/gateway/connections/open`.
pub(super) async fn register(
    gateway: &Arc<Gateway>,
    request: Request<Incoming>,
    switch: &Switch,
) -> Result<Answer, Abort> {
    let accept = request.headers().get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let body = match read_body(request).await {
        Ok(body) => body,
        Err(answer) => return Ok(answer),
    };
    let parsed: Result<Registration, _> = serde_json::from_slice(&body);
    let client_id = parsed.as_ref().ok().map(|r| r.client_id.as_str());
    let struck = gateway.strike(Place::Registration, client_id, None);
    course::run(gateway, struck, switch, None, |_, _| match parsed {
        Err(reason) => {
            refuse(gateway, Place::Registration, None, 400, "invalidParameter", &reason.to_string());
            error(400, "invalidParameter", &format!("the body is no registration: {reason}"))
        }
        Ok(r) if !allowed(gateway, &r.client_id, &r.client_secret) => {
            refuse(gateway, Place::Registration, Some(&r.client_id), 401, "authFailed", "wrong id or secret");
            json_answer(401, AUTH_FAILED)
        }
        Ok(r) => grant(gateway, r, accept),
    })
    .await
}

fn grant(gateway: &Arc<Gateway>, registration: Registration, accept: String) -> Answer {
    let Registration { client_id, subscriptions, ua, .. } = registration;
    let client_id: Arc<str> = client_id.into();
    let mut state = gateway.state();
    state.stats.registrations += 1;
    gateway.record(Happening::Registered {
        client_id: Arc::clone(&client_id),
        ua,
        accept,
        subscriptions: subscriptions.clone(),
    });
    gateway.know(&mut state, &client_id);
    let ttl = gateway.real(gateway.config.ticket_ttl);
    let ticket = state.tickets.issue(client_id, subscriptions.into(), ttl);
    drop(state);
    let endpoint = format!("{}/connect", gateway.base.replacen("http", "ws", 1));
    json_answer(200, json!({"endpoint": endpoint, "ticket": ticket}).to_string())
}

/// Whether an app may come in.
fn allowed(gateway: &Gateway, client_id: &str, secret: &str) -> bool {
    if !gateway.state().has_room_for(client_id) {
        return false;
    }
    match &gateway.config.credentials {
        Credentials::Any => !client_id.is_empty() && !secret.is_empty(),
        Credentials::List(list) => list.iter().any(|c| c.client_id == client_id && c.client_secret == secret),
    }
}

/// Records a refusal.
pub(super) fn refuse(
    gateway: &Gateway,
    place: Place,
    client_id: Option<&str>,
    status: u16,
    code: &str,
    reason: &str,
) {
    gateway.state().stats.refused += 1;
    gateway.record(Happening::Refused {
        place,
        client_id: client_id.map(Into::into),
        conversation: None,
        status,
        code: code.to_owned(),
        reason: reason.to_owned(),
        call: None,
        uuid: None,
        staff_id: None,
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenRequest {
    app_key: String,
    app_secret: String,
}

/// `POST /v1.0/oauth2/accessToken`.
pub(super) async fn token(
    gateway: &Arc<Gateway>,
    request: Request<Incoming>,
    switch: &Switch,
) -> Result<Answer, Abort> {
    let body = match read_body(request).await {
        Ok(body) => body,
        Err(answer) => return Ok(answer),
    };
    let parsed: Option<TokenRequest> = serde_json::from_slice(&body).ok();
    let client_id = parsed.as_ref().map(|request| request.app_key.as_str());
    let struck = gateway.strike(Place::Token, client_id, None);
    let parsed = &parsed;
    course::run(gateway, struck, switch, None, |_, _| {
        match parsed.as_ref().filter(|r| allowed(gateway, &r.app_key, &r.app_secret)) {
            Some(request) => {
                let (token, seconds) = issue_token(gateway, &request.app_key);
                json_answer(200, json!({"accessToken": &*token, "expireIn": seconds}).to_string())
            }
            None => {
                refuse(gateway, Place::Token, None, 400, "invalidClientIdOrSecret", "wrong key or secret");
                error(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
            }
        }
    })
    .await
}

/// `GET /gettoken`, the same of the old surface.
pub(super) async fn old_token(
    gateway: &Arc<Gateway>,
    request: &Request<Incoming>,
    switch: &Switch,
) -> Result<Answer, Abort> {
    let key = query(request, "appkey").unwrap_or_default();
    let secret = query(request, "appsecret").unwrap_or_default();
    let struck = gateway.strike(Place::Token, Some(&key), None);
    course::run(gateway, struck, switch, None, |_, _| {
        if allowed(gateway, &key, &secret) {
            let (token, seconds) = issue_token(gateway, &key);
            let body = json!({"errcode": 0, "access_token": &*token, "errmsg": "ok", "expires_in": seconds});
            json_answer(200, body.to_string())
        } else {
            refuse(gateway, Place::Token, Some(&key), 200, "40089", "wrong key or secret");
            errcode(40_089, "不合法的corpid或corpsecret")
        }
    })
    .await
}

/// An app's token, and the seconds it lives from now.
fn issue_token(gateway: &Arc<Gateway>, client_id: &str) -> (Arc<str>, u64) {
    let client_id: Arc<str> = client_id.into();
    let mut state = gateway.state();
    gateway.record(Happening::Token { client_id: Arc::clone(&client_id) });
    state.stats.tokens += 1;
    gateway.know(&mut state, &client_id);
    let ttl = gateway.real(gateway.config.token_ttl);
    (state.tokens.issue(&client_id, ttl), ttl.as_secs())
}
