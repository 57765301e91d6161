//! The control API for other processes: `/_simulator/…`, JSON in and out.
#![expect(
    clippy::result_large_err,
    reason = "an early answer is an answer; boxing it would only obscure that"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Gateway;
use super::http::{Answer, answer, json_answer, query, read_body};
use crate::card::Press;
use crate::config::Limits;
use crate::fault::{Cut, Fault, FaultId};
use crate::push::{Acked, CallError, Push};
use crate::say::Say;
use crate::state::Outgoing;

/// Longest wait for records or an ack.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Most records in one answer.
const MAX_PAGE: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PushRequest {
    push: Push,
    /// Wait so many real milliseconds for the ack.
    #[serde(default)]
    wait_ms: u64,
}

/// Something happened in the organisation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Event {
    #[serde(default)]
    client_id: Option<String>,
    /// Such as `user_add_org`.
    event_type: String,
    #[serde(default)]
    data: serde_json::Value,
}

/// Which connections are meant, and what else the paths need.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Target {
    client_id: Option<String>,
    conversation: Option<String>,
    text: String,
    reason: Option<String>,
    how: Option<Cut>,
    fault: Option<FaultId>,
    speed: Option<f64>,
}

/// What may be changed; what is missing stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct Change {
    speed: Option<f64>,
    honour_msg_uuid: Option<bool>,
    limits: Option<Limits>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Armed {
    id: FaultId,
    fault: Fault,
}

/// Answers one control request.
pub(super) async fn handle(gateway: &Arc<Gateway>, request: Request<Incoming>) -> Answer {
    match dispatch(gateway, request).await {
        Ok(answer) | Err(answer) => answer,
    }
}

async fn dispatch(gateway: &Arc<Gateway>, request: Request<Incoming>) -> Result<Answer, Answer> {
    let method = request.method().clone();
    let path = request.uri().path().trim_start_matches("/_simulator").trim_matches('/').to_owned();
    if method == Method::GET {
        return match path.as_str() {
            "" => Ok(answer(200, "text/plain;charset=utf-8", HELP)),
            "records" => records(gateway, &request).await,
            "cards" => Ok(ok(&gateway.state().cards.all())),
            "stats" => Ok(ok(&gateway.stats())),
            "settings" => Ok(settings(gateway)),
            "faults" => {
                let faults = gateway.faults();
                let list = faults.iter().map(|armed| Armed { id: armed.id, fault: armed.fault.clone() });
                Ok(ok(&list.collect::<Vec<_>>()))
            }
            _ => Err(no_such_path()),
        };
    }
    let code = query(&request, "code");
    let body = read_body(request).await?;
    match (method, path.as_str()) {
        (Method::POST, "say") => {
            let pushed = gateway.say(parse::<Say>(&body)?);
            Ok(ok(&json!({"push": pushed.push, "msgId": pushed.id})))
        }
        (Method::POST, "press") => {
            let pushed = gateway.press(parse::<Press>(&body)?).map_err(|reason| bad(&reason))?;
            Ok(ok(&pushed))
        }
        (Method::POST, "event") => {
            let event: Event = parse(&body)?;
            let mut push = Push::event(&event.event_type, event.data);
            push.client_id = event.client_id;
            Ok(ok(&gateway.push(push, None)))
        }
        (Method::POST, "file") => {
            let code = code.ok_or_else(|| bad("the address needs ?code=…, the download code"))?;
            gateway.state().media.give(&code, body);
            Ok(ok(&json!({"code": code})))
        }
        (Method::POST, "push") => push(gateway, parse(&body)?).await,
        (Method::POST, "raw") => {
            let target: Target = parse(&body)?;
            Ok(count(gateway.send_raw(target.client_id.as_deref(), &target.text)))
        }
        (Method::POST, "ping") => {
            let target: Target = parse(&body)?;
            Ok(count(gateway.each(target.client_id.as_deref(), |c| c.queue.try_send(Outgoing::Ping).is_ok())))
        }
        (Method::POST, "disconnect") => {
            let target: Target = parse(&body)?;
            let reason = target.reason.as_deref().unwrap_or("connection is expired");
            Ok(count(gateway.disconnect(target.client_id.as_deref(), reason)))
        }
        (Method::POST, "drop") => {
            let target: Target = parse(&body)?;
            Ok(count(gateway.cut(target.client_id.as_deref(), target.how.unwrap_or(Cut::Reset))))
        }
        (Method::POST, "expire") => {
            let target: Target = parse(&body)?;
            let mut state = gateway.state();
            Ok(count(state.sessions.expire(target.client_id.as_deref(), target.conversation.as_deref())))
        }
        (Method::POST, "expire-tokens") => {
            let target: Target = parse(&body)?;
            let count_of = gateway.state().tokens.expire(target.client_id.as_deref());
            Ok(count(count_of))
        }
        (Method::POST, "settings") => {
            let change: Change = parse(&body)?;
            if let Some(speed) = change.speed {
                gateway.set_speed(speed);
            }
            let mut state = gateway.state();
            if let Some(honour) = change.honour_msg_uuid {
                state.honour_msg_uuid = honour;
            }
            if let Some(limits) = change.limits {
                state.set_limits(limits);
            }
            drop(state);
            Ok(settings(gateway))
        }
        (Method::POST, "speed") => {
            let target: Target = parse(&body)?;
            gateway.set_speed(target.speed.unwrap_or_default());
            Ok(ok(&json!({"speed": gateway.speed()})))
        }
        (Method::POST, "faults") => {
            let id = gateway.add_fault(parse(&body)?).map_err(|reason| bad(&reason))?;
            Ok(ok(&json!({"fault": id})))
        }
        (Method::DELETE, "faults") => {
            let target: Target = parse(&body)?;
            Ok(count(gateway.clear_faults(target.fault)))
        }
        _ => Err(no_such_path()),
    }
}

async fn push(gateway: &Arc<Gateway>, request: PushRequest) -> Result<Answer, Answer> {
    if request.wait_ms == 0 {
        return Ok(ok(&gateway.push(request.push, None)));
    }
    let wait = Duration::from_millis(request.wait_ms).min(MAX_WAIT);
    let acked: Result<Acked, CallError> = gateway.call(request.push, wait).await;
    match acked {
        Ok(acked) => Ok(ok(&acked)),
        Err(problem) => Err(json_answer(504, json!({"error": problem.to_string()}).to_string())),
    }
}

async fn records(gateway: &Gateway, request: &Request<Incoming>) -> Result<Answer, Answer> {
    let number = |name: &str, default: u64| match query(request, name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| bad(&format!("{name} is not a number: {text:?}"))),
    };
    let since = number("since", 1)?;
    let limit = usize::try_from(number("limit", 1_000)?).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let wait = Duration::from_millis(number("waitMs", 0)?).min(MAX_WAIT);
    let page = match tokio::time::timeout(wait, gateway.log.next_page(since, limit)).await {
        Ok(page) => page,
        Err(_) => gateway.log.page(since, limit),
    };
    Ok(ok(&page))
}

/// What may be changed while running, and the seed.
fn settings(gateway: &Gateway) -> Answer {
    let (honour, limits) = {
        let state = gateway.state();
        (state.honour_msg_uuid, state.limits)
    };
    // A number above 2^53 is changed by many readers of JSON, and this one is to be copied exactly.
    let seed = gateway.draws.seed().to_string();
    ok(&json!({"seed": seed, "speed": gateway.speed(), "honourMsgUuid": honour, "limits": limits}))
}

/// An empty body stands for `{}`.
fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Answer> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|reason| bad(&format!("failed to read the body: {reason}")))
}

fn ok(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => json_answer(200, body),
        Err(reason) => json_answer(500, json!({"error": reason.to_string()}).to_string()),
    }
}

fn count(count: usize) -> Answer {
    ok(&json!({"count": count}))
}

fn bad(reason: &str) -> Answer {
    json_answer(400, json!({"error": reason}).to_string())
}

fn no_such_path() -> Answer {
    json_answer(404, json!({"error": "no such path or method: GET /_simulator lists them"}).to_string())
}

const HELP: &str = "\
Control API of the Belfry simulator. Bodies and answers are JSON; errors are {\"error\": \"…\"}.

POST   /_simulator/say         a person says something: {\"conversation\", \"content\": {\"kind\": \"text\", \"text\": \"hi\"}, …}
POST   /_simulator/push        {\"push\": {\"type\": \"CALLBACK\", \"topic\": …, \"data\": …}, \"waitMs\": 0}; waits for the ack if waitMs > 0
POST   /_simulator/event       {\"eventType\", \"data\"?, \"clientId\"?}: an event of the organisation
POST   /_simulator/press       {\"outTrackId\", \"actions\": [\"…\"], \"params\"?, \"user\"?}: somebody presses a button of a card
GET    /_simulator/cards       the cards as they are now
POST   /_simulator/file        ?code=…, any bytes up to 2 MiB: what a bot gets for this download code
POST   /_simulator/raw         {\"text\", \"clientId\"?}: any text on every connection
POST   /_simulator/ping        {\"clientId\"?}: a SYSTEM ping now
POST   /_simulator/disconnect  {\"clientId\"?, \"reason\"?}: announce the end, close 10 s later
POST   /_simulator/drop        {\"clientId\"?, \"how\": \"reset\" | \"abrupt\" | \"clean\" | \"silence\"}
POST   /_simulator/expire      {\"clientId\"?, \"conversation\"?}: let session webhooks expire
POST   /_simulator/expire-tokens {\"clientId\"?}: let access tokens expire
POST   /_simulator/speed       {\"speed\"}: simulated seconds per real second
GET    /_simulator/settings    seed, speed, honourMsgUuid, limits
POST   /_simulator/settings    {\"speed\"?, \"honourMsgUuid\"?, \"limits\"?: {\"webhookPerMinute\"?, \"apiPerSecond\"?, \"apiCallsPerMonth\"?, \"messagesPerMonth\"?}}
POST   /_simulator/faults      {\"place\", \"action\": {\"kind\": …}, \"times\"?, \"probability\"?, \"delayMs\"?, \"obeyFirst\"?, \"clientId\"?, \"conversation\"?}
GET    /_simulator/faults      those that may still strike
DELETE /_simulator/faults      {\"fault\"?}: one or all
GET    /_simulator/records     ?since=1&limit=1000&waitMs=0: what happened; waits for something new if waitMs > 0
GET    /_simulator/stats       counters
";
