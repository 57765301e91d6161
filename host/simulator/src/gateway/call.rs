//! One request that wants to reply, and the records that tell how it ended.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::Value;

use super::Gateway;
use super::course::Instead;
use super::http::Answer;
use crate::fault::Place;
use crate::record::Happening;
use crate::reply::{OutcomeUnknown, Told};
use crate::state::State;

/// Whoever drops it unsettled has left the sender without an answer.
pub(super) struct Call<'a> {
    gateway: &'a Gateway,
    pub number: u64,
    pub place: Place,
    pub client_id: Option<Arc<str>>,
    pub conversation: Option<Arc<str>>,
    pub uuid: Option<String>,
    pub taken: bool,
    refused: bool,
    settled: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(gateway: &'a Gateway, place: Place) -> Self {
        Self {
            gateway,
            number: gateway.new_call(),
            place,
            client_id: None,
            conversation: None,
            uuid: None,
            taken: false,
            refused: false,
            settled: false,
        }
    }

    /// The sender knows how it stands.
    pub(super) fn settled(&mut self) {
        self.settled = true;
    }

    /// The sender got this in place of the truth.
    pub(super) fn told(&mut self, told: Told) {
        self.settled = true;
        let mut state = self.gateway.state();
        state.stats.outcomes_unknown += 1;
        self.gateway.record(Happening::OutcomeUnknown(OutcomeUnknown {
            call: self.number,
            place: self.place,
            client_id: self.client_id.clone(),
            conversation: self.conversation.clone(),
            uuid: self.uuid.clone(),
            taken: self.taken,
            told,
        }));
    }

    /// The body is too long, or its sender went away within it and gets no answer.
    pub(super) fn no_body(&mut self, answer: &Answer) {
        if answer.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let mut state = self.gateway.state();
            self.refuse(&mut state, 413, "invalidParameter".into(), "the body is too long".into(), None);
            self.settled = true;
        }
    }

    /// A fault answers.
    pub(super) fn answered_by_fault(&mut self, answer: &Instead) {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let code = body.get("errcode").or_else(|| body.get("code"));
        let code = match code {
            Some(Value::String(code)) => code.clone(),
            Some(code) => code.to_string(),
            None => String::new(),
        };
        let success = answer.status == 200
            && match self.place {
                Place::Webhook => code == "0",
                _ => code.is_empty() && body.is_object(),
            };
        if !self.taken && !self.refused {
            let mut state = self.gateway.state();
            self.refuse(&mut state, answer.status, code, "a fault".to_owned(), None);
        } else if self.taken && !success {
            self.told(Told::Answer { status: answer.status });
        }
        self.settled = true;
    }

    /// Records that it is not taken (or one person of it is not reached).
    pub(super) fn refuse(
        &mut self,
        state: &mut State,
        status: u16,
        code: String,
        reason: String,
        staff_id: Option<Arc<str>>,
    ) {
        self.refused = true;
        state.stats.refused += 1;
        self.gateway.record(Happening::Refused {
            place: self.place,
            client_id: self.client_id.clone(),
            conversation: self.conversation.clone(),
            status,
            code,
            reason,
            call: Some(self.number),
            uuid: self.uuid.clone(),
            staff_id,
        });
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.told(Told::Left);
        }
    }
}
