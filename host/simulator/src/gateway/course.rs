//! How a request that met a fault goes on.

use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use serde_json::json;

use super::call::Call;
use super::http::{Abort, Answer, errcode, json_answer};
use super::{Gateway, Struck};
use crate::fault::Action;
use crate::reply::Told;
use crate::socket::Switch;

/// Does what was asked and answers, or what the fault wants in its place. `call` is there at the places of replies.
pub(super) async fn run(
    gateway: &Gateway,
    struck: Option<Struck>,
    switch: &Switch,
    call: Option<&mut Call<'_>>,
    obey: impl FnOnce(Option<&mut Call<'_>>, &Action) -> Answer,
) -> Result<Answer, Abort> {
    let mut call = call;
    let Some(Struck { action, delay, obey_first }) = struck else {
        let answer = obey(call.as_deref_mut(), &Action::Pass);
        if let Some(call) = call {
            call.settled();
        }
        return Ok(answer);
    };
    let mut obey = Some(obey);
    let mut obeyed = None;
    if obey_first && let Some(obey) = obey.take() {
        obeyed = Some(obey(call.as_deref_mut(), &action));
    }
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = gateway.stopped() => return Err(Abort),
        }
    }
    let obeys = !matches!(
        action,
        Action::Answer { .. }
            | Action::Errcode { .. }
            | Action::Redirect { .. }
            | Action::Reset
            | Action::Close
            | Action::Silence
    );
    if obeys && let Some(obey) = obey.take() {
        obeyed = Some(obey(call.as_deref_mut(), &action));
    }
    if let Some(answer) = instead(&action) {
        if let Some(call) = call {
            call.answered_by_fault(&answer);
        }
        return Ok(answer.into());
    }
    match action {
        Action::Reset | Action::ResetAfter => {
            if let Some(call) = call {
                call.told(Told::Reset);
            }
            switch.reset();
            Err(Abort)
        }
        Action::Close => {
            if let Some(call) = call {
                call.told(Told::Closed);
            }
            Err(Abort)
        }
        Action::Silence => {
            // The peer's leaving ends this too.
            gateway.stopped().await;
            Err(Abort)
        }
        _ => {
            if let Some(call) = call {
                call.settled();
            }
            obeyed.ok_or(Abort)
        }
    }
}

/// A fault's own answer.
pub(super) struct Instead {
    pub status: u16,
    pub body: String,
    answer: Answer,
}

impl From<Instead> for Answer {
    fn from(instead: Instead) -> Self {
        instead.answer
    }
}

fn instead(action: &Action) -> Option<Instead> {
    Some(match action {
        Action::Answer { status, body, content_type, retry_after } => {
            let mut answer = json_answer(*status, body.clone());
            if let Ok(value) = HeaderValue::from_str(content_type) {
                answer.headers_mut().insert(CONTENT_TYPE, value);
            }
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(RETRY_AFTER, (*seconds).into());
            }
            Instead { status: *status, body: body.clone(), answer }
        }
        Action::Errcode { errcode: code, errmsg, as_string: false } => {
            let body = json!({"errcode": code, "errmsg": errmsg}).to_string();
            Instead { status: 200, body, answer: errcode(*code, errmsg) }
        }
        Action::Errcode { errcode: code, errmsg, as_string: true } => {
            let body = json!({"errcode": code.to_string(), "errmsg": errmsg}).to_string();
            Instead { status: 200, body: body.clone(), answer: json_answer(200, body) }
        }
        Action::Redirect { status, location } => {
            let mut answer = json_answer(*status, "");
            if let Ok(value) = HeaderValue::from_str(location) {
                answer.headers_mut().insert(LOCATION, value);
            }
            Instead { status: *status, body: String::new(), answer }
        }
        _ => return None,
    })
}
