//! The listener and the paths of DingTalk's HTTP API.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::register::{old_token, refuse, register, token};
use super::webhook::webhook;
use super::{Gateway, control, course, openapi, stream};
use crate::api::Api;
use crate::fault::{Action, Place};
use crate::socket::{Socket, Switch};
use crate::state::{Ticket, TicketError};

/// Longest request body read; longer ones end the connection after an error.
const MAX_BODY: usize = 2 << 20;

pub(super) type Answer = Response<Full<Bytes>>;

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is ended on purpose")]
pub(super) struct Abort;

/// Accepts connections until stopped.
pub(crate) async fn serve(gateway: Arc<Gateway>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = gateway.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, _)) = accepted else {
            // Out of file descriptors, most likely: give others time to close theirs.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&gateway.sockets).try_acquire_owned() else { continue };
        tokio::spawn(connection(Arc::clone(&gateway), tcp, permit));
    }
}

async fn connection(gateway: Arc<Gateway>, tcp: TcpStream, permit: OwnedSemaphorePermit) {
    let _ = tcp.set_nodelay(true);
    let (socket, switch) = Socket::new(tcp);
    let permit = Arc::new(permit);
    let service = service_fn(|request| {
        let (gateway, switch, permit) = (Arc::clone(&gateway), Arc::clone(&switch), Arc::clone(&permit));
        async move { route(gateway, request, switch, permit).await }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::debug!(%error, "a connection ended");
        },
        () = gateway.stopped() => {}
    }
}

async fn route(
    gateway: Arc<Gateway>,
    request: Request<Incoming>,
    switch: Arc<Switch>,
    permit: Arc<OwnedSemaphorePermit>,
) -> Result<Answer, Abort> {
    let path = request.uri().path();
    if let Some(api) = Api::of(request.method(), path) {
        return openapi::handle(&gateway, request, &switch, api).await;
    }
    match (request.method(), path) {
        (&Method::POST, "/robot/sendBySession") => webhook(&gateway, request, &switch).await,
        (&Method::POST, "/v1.0/gateway/connections/open") => register(&gateway, request, &switch).await,
        (&Method::GET, "/connect") => connect(gateway, request, switch, permit).await,
        (&Method::POST, "/v1.0/oauth2/accessToken") => token(&gateway, request, &switch).await,
        (&Method::GET, path) if path.starts_with(openapi::FILES) => {
            openapi::file(&gateway, &request, &switch).await
        }
        (&Method::GET, "/gettoken") => old_token(&gateway, &request, &switch).await,
        _ if path == "/_simulator" || path.starts_with("/_simulator/") => {
            Ok(control::handle(&gateway, request).await)
        }
        _ => Ok(not_found()),
    }
}

fn not_found() -> Answer {
    error(404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.")
}

/// An answer with a body.
pub(super) fn answer(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn json_answer(status: u16, body: impl Into<Bytes>) -> Answer {
    answer(status, "application/json;charset=utf-8", body)
}

/// The error body of the `/v1.0` surface; note the lower-case `requestid`.
pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    let request_id = uuid::Uuid::new_v4().to_string().to_uppercase();
    json_answer(status, json!({"code": code, "requestid": request_id, "message": message}).to_string())
}

pub(super) fn errcode(errcode: i64, errmsg: &str) -> Answer {
    json_answer(200, json!({"errcode": errcode, "errmsg": errmsg}).to_string())
}

/// The request's body, or the answer to a body that is too long or broken.
pub(super) async fn read_body(request: Request<Incoming>) -> Result<Bytes, Answer> {
    read_up_to(request, MAX_BODY).await
}

/// The same with another limit.
pub(super) async fn read_up_to(request: Request<Incoming>, most: usize) -> Result<Bytes, Answer> {
    match Limited::new(request.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(problem) if problem.is::<LengthLimitError>() => {
            Err(error(413, "invalidParameter", &format!("the body is longer than {most} bytes")))
        }
        Err(_) => Err(error(400, "invalidParameter", "the body broke off")),
    }
}

/// One value of the query string, decoded as a form.
pub(super) fn query(request: &Request<Incoming>, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

async fn connect(
    gateway: Arc<Gateway>,
    mut request: Request<Incoming>,
    switch: Arc<Switch>,
    permit: Arc<OwnedSemaphorePermit>,
) -> Result<Answer, Abort> {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).cloned() else {
        return Ok(error(400, "invalidParameter", "this path is for WebSockets only"));
    };
    let redeemed = {
        let name = query(&request, "ticket").unwrap_or_default();
        gateway.state().tickets.redeem(&name)
    };
    let client_id = redeemed.as_ref().ok().map(|ticket| Arc::clone(&ticket.client_id));
    let struck = gateway.strike(Place::Connect, client_id.as_deref(), None);
    // These two begin once the socket is open.
    let afterwards = match &struck {
        Some(struck) if matches!(struck.action, Action::Silence | Action::Disconnect { .. }) => {
            Some(struck.action.clone())
        }
        _ => None,
    };
    let struck = struck.map(|mut struck| {
        if afterwards.is_some() {
            struck.action = Action::Pass;
        }
        struck
    });
    let mut upgraded = None;
    let answer = course::run(&gateway, struck, &switch, None, |_, _| {
        let (answer, ticket) = handshake(&gateway, redeemed, &key);
        upgraded = ticket;
        answer
    })
    .await?;
    let Some(ticket) = upgraded.filter(|_| answer.status() == StatusCode::SWITCHING_PROTOCOLS) else {
        return Ok(answer);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let mut told_to_go = None;
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Socket>>() else { return };
        match afterwards {
            Some(Action::Silence) => switch.silence(),
            Some(Action::Disconnect { reason }) => told_to_go = Some(reason),
            _ => {}
        }
        let io = parts.io.into_inner();
        stream::run(gateway, ticket, io, switch, parts.read_buf.to_vec(), told_to_go).await;
        drop(permit);
    });
    Ok(answer)
}

/// The answer to a handshake, and the ticket if it is good.
fn handshake(
    gateway: &Gateway,
    redeemed: Result<Ticket, TicketError>,
    key: &HeaderValue,
) -> (Answer, Option<Ticket>) {
    let ticket = match redeemed {
        Ok(ticket) => ticket,
        Err(problem) => {
            let reason = match problem {
                TicketError::Unknown => "the ticket is unknown",
                TicketError::Used => "the ticket was used before",
                TicketError::Expired => "the ticket has expired",
            };
            refuse(gateway, Place::Connect, None, 401, "invalidTicket", reason);
            return (error(401, "invalidTicket", reason), None);
        }
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(value) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, value);
    }
    (response, Some(ticket))
}
