//! The OpenAPI: who may call, and the calls.

mod card;
mod media;
mod message;
mod recall;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;

use super::call::Call;
use super::http::{Abort, Answer, error, query, read_up_to};
use super::{Gateway, course};
use crate::api::Api;
use crate::fault::Action;
use crate::reply::Via;
use crate::socket::Switch;
use crate::state::State;
use crate::usage::take;

pub(super) use media::{FILES, file};

/// The header that carries the access token.
const TOKEN_HEADER: &str = "x-acs-dingtalk-access-token";

/// Longest body of a call; that of an upload has room for the largest file and its form.
const fn max_body(api: Api) -> usize {
    if matches!(api, Api::Upload) { 21 << 20 } else { 2 << 20 }
}

/// An HTTP status, a `code` and the words.
type Refusal = (u16, &'static str, String);

/// What a call brought.
struct Asked {
    api: Api,
    token: String,
    /// The body as JSON; null where it is none.
    json: Value,
    body: Bytes,
    content_type: String,
    /// `type` in the address, of an upload.
    media_type: Option<String>,
}

/// One call.
pub(super) async fn handle(
    gateway: &Gateway,
    request: Request<Incoming>,
    switch: &Switch,
    api: Api,
) -> Result<Answer, Abort> {
    let mut call = Call::new(gateway, api.place());
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let token = match api {
        Api::Upload => query(&request, "access_token"),
        _ => header(TOKEN_HEADER).map(str::to_owned),
    };
    let token = token.unwrap_or_default();
    let content_type = header(CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
    let media_type = query(&request, "type");
    call.client_id = gateway.state().tokens.owner(&token);
    let body = match read_up_to(request, max_body(api)).await {
        Ok(body) => body,
        Err(answer) => {
            call.no_body(&answer);
            return Ok(answer);
        }
    };
    let json: Value = match api {
        Api::Upload => Value::Null,
        _ => serde_json::from_slice(&body).unwrap_or_default(),
    };
    call.uuid = text(&json, "msgUuid").map(str::to_owned);
    call.conversation = conversation(&gateway.state(), &call, &json, api);
    let struck = gateway.strike(api.place(), call.client_id.as_deref(), call.conversation.as_deref());
    let asked = Asked { api, token, json, body, content_type, media_type };
    course::run(gateway, struck, switch, Some(&mut call), |call, action| {
        let Some(call) = call else { return error(500, "system.busy", "no call") };
        obey(gateway, call, asked, action)
    })
    .await
}

/// The conversation that a call means: the group, or the private one of its first person.
fn conversation(state: &State, call: &Call<'_>, body: &Value, api: Api) -> Option<Arc<str>> {
    match api {
        Api::People => {
            let person = body.get("userIds")?.get(0)?.as_str()?;
            state.sessions.private_with(call.client_id.as_deref()?, person)
        }
        Api::CreateCard => card::conversation(state, call.client_id.as_deref()?, body),
        _ => text(body, "openConversationId").map(Arc::from),
    }
}

/// Judges a call, records it and answers.
fn obey(gateway: &Gateway, call: &mut Call<'_>, asked: Asked, action: &Action) -> Answer {
    let mut state = gateway.state();
    let api = asked.api;
    match work(gateway, &mut state, call, asked, action) {
        Ok(answer) => answer,
        Err((status, code, reason)) => {
            let answer = match api {
                Api::Upload => media::refusal(code, &reason),
                _ => error(status, code, &reason),
            };
            call.refuse(&mut state, status, code.to_owned(), reason, None);
            answer
        }
    }
}

fn work(
    gateway: &Gateway,
    state: &mut State,
    call: &mut Call<'_>,
    asked: Asked,
    action: &Action,
) -> Result<Answer, Refusal> {
    let client_id = admit(gateway, state, &asked.token, asked.api)?;
    let size = asked.body.len();
    match asked.api {
        Api::People | Api::Group => {
            let via = if asked.api == Api::Group { Via::Group } else { Via::People };
            let order = message::order(state, client_id, via, asked.json)?;
            Ok(message::post(gateway, state, call, order, size, action))
        }
        Api::RecallFromPeople => recall::recall(gateway, state, call, &client_id, &asked.json, false),
        Api::RecallFromGroup => recall::recall(gateway, state, call, &client_id, &asked.json, true),
        Api::Download => media::locate(gateway, state, call, &client_id, &asked.json),
        Api::Upload => media::upload(gateway, state, call, &client_id, &asked),
        Api::CreateCard => card::create(gateway, state, call, &client_id, &asked.json, action),
        Api::UpdateCard => card::update(gateway, state, call, &client_id, &asked.json),
        Api::StreamCard => card::stream(gateway, state, call, &client_id, &asked.json),
    }
}

/// Whose token it is, if the app may call just now.
fn admit(gateway: &Gateway, state: &mut State, token: &str, api: Api) -> Result<Arc<str>, Refusal> {
    let Some(client_id) = state.tokens.owner(token) else {
        return Err((401, "InvalidAuthentication", "不合法的access_token".to_owned()));
    };
    let second = gateway.real(Duration::from_secs(1));
    if let Some(limit) = state.limits.api_per_second
        && !state.usage.admit(&client_id, api, limit, second)
    {
        let reason = format!("more than {limit} calls of this API within a second");
        return Err((403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", reason));
    }
    if !take(&mut state.usage.api_calls, state.limits.api_calls_per_month) {
        let reason = "the organisation's API calls of this month are used up".to_owned();
        return Err((403, "Forbidden.AccessDenied.ApiCountLimitForOrg", reason));
    }
    state.stats.api_calls += 1;
    Ok(client_id)
}

fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

/// The robot must be the app's.
fn check_robot(client_id: &str, body: &Value) -> Result<(), Refusal> {
    if text(body, "robotCode") == Some(client_id) {
        return Ok(());
    }
    let reason = "robotCode is not of the app that the access token belongs to";
    Err((400, "invalidParameter.robotCode.auth", reason.to_owned()))
}
