//! Interactive cards: sent, changed, and growing while a text is written.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{OpenApi, OpenApiError, OpenApiErrorKind};
use crate::json;

/// The path that creates a card and delivers it.
pub(super) const CREATE: &str = "v1.0/card/instances/createAndDeliver";

/// The path that changes a card.
pub(super) const UPDATE: &str = "v1.0/card/instances";

/// The path that writes into a card piece by piece.
pub(super) const STREAM: &str = "v1.0/card/streaming";

/// A card to be sent.
#[derive(Debug, Clone, Copy)]
pub struct NewCard<'a> {
    /// The id of a published template.
    pub template: &'a str,
    /// The card's id, for changing it and in callbacks. Chosen by the sender, once for each card: a repeated attempt is
    /// recognised by it ([`OpenApiErrorKind::CardExists`]).
    pub out_track_id: &'a str,
    /// The template's variables.
    pub data: &'a [(String, String)],
    /// The robot that sends it, usually the ClientID.
    pub robot_code: &'a str,
    /// To whom.
    pub target: CardTarget<'a>,
}

/// Where a card goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardTarget<'a> {
    /// A group, by conversation id.
    Group(&'a str),
    /// A member's private chat with the robot, by staff id.
    Person(&'a str),
}

/// How far a card's text has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamState {
    /// More follows.
    Growing,
    /// This is all of it.
    Finished,
    /// It ends here, as failed.
    Failed,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stream<'a> {
    out_track_id: &'a str,
    guid: String,
    key: &'a str,
    content: &'a str,
    is_full: bool,
    is_finalize: bool,
    is_error: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    #[serde(deserialize_with = "json::flag")]
    success: Option<bool>,
    result: Value,
}

fn params(data: &[(String, String)]) -> Value {
    let map: Map<String, Value> =
        data.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
    json!({ "cardParamMap": map })
}

impl OpenApi {
    /// Creates a card and delivers it. Its callbacks come over Stream.
    ///
    /// # Errors
    ///
    /// With a [kind](OpenApiError::kind) if the template is unknown or unpublished, the id was taken before, or the card
    /// reaches nobody. When the outcome of an attempt was unknown, [`OpenApiErrorKind::CardExists`] for the next one
    /// means that the first has arrived.
    pub async fn create_card(&self, card: &NewCard<'_>) -> Result<(), OpenApiError> {
        let mut body = json!({
            "cardTemplateId": card.template,
            "outTrackId": card.out_track_id,
            "callbackType": "STREAM",
            "cardData": params(card.data),
            "userIdType": 1,
        });
        let (space, model, deliver, deliver_model) = match card.target {
            CardTarget::Group(id) => (
                format!("dtv1.card//IM_GROUP.{id}"),
                "imGroupOpenSpaceModel",
                "imGroupOpenDeliverModel",
                json!({"robotCode": card.robot_code}),
            ),
            CardTarget::Person(id) => (
                format!("dtv1.card//IM_ROBOT.{id}"),
                "imRobotOpenSpaceModel",
                "imRobotOpenDeliverModel",
                json!({"spaceType": "IM_ROBOT", "robotCode": card.robot_code}),
            ),
        };
        if let Some(body) = body.as_object_mut() {
            body.insert("openSpaceId".to_owned(), space.into());
            body.insert(model.to_owned(), json!({"supportForward": true}));
            body.insert(deliver.to_owned(), deliver_model);
        }
        let answer: Answer = self.call(Method::POST, CREATE, &body).await?;
        answer.check()?;
        let results = answer.result.get("deliverResults").and_then(Value::as_array);
        for result in results.into_iter().flatten() {
            if result.get("success") != Some(&Value::Bool(true)) {
                let reason = result.get("errorMsg").and_then(Value::as_str).filter(|text| !text.is_empty());
                let reason: String = reason.unwrap_or("no reason is given").chars().take(300).collect();
                let message = format!("DingTalk created the card but did not deliver it: {reason}");
                return Err(OpenApiError::give_up_as(OpenApiErrorKind::NotDelivered, message));
            }
        }
        Ok(())
    }

    /// Changes variables of a card; those not named stay. Not during a callback of this card: answer that instead.
    ///
    /// # Errors
    ///
    /// As [`send_to_people`](Self::send_to_people). Repeating it does no harm.
    pub async fn update_card(
        &self,
        out_track_id: &str,
        data: &[(String, String)],
    ) -> Result<(), OpenApiError> {
        let body = json!({
            "outTrackId": out_track_id,
            "cardData": params(data),
            "cardUpdateOptions": {"updateCardDataByKey": true},
        });
        self.call::<Answer>(Method::PUT, UPDATE, &body).await?.check()
    }

    /// Shows `text`, the whole of it so far, in the variable `key` of a card, as it is being written.
    ///
    /// # Errors
    ///
    /// As [`send_to_people`](Self::send_to_people), and [`OpenApiErrorKind::TooLarge`] for a text that is too long. Repeating
    /// it does no harm.
    pub async fn stream_card(
        &self,
        out_track_id: &str,
        key: &str,
        text: &str,
        state: StreamState,
    ) -> Result<(), OpenApiError> {
        let body = Stream {
            out_track_id,
            guid: uuid::Uuid::new_v4().to_string(),
            key,
            content: text,
            // The one way that works for markdown.
            is_full: true,
            is_finalize: state == StreamState::Finished,
            is_error: state == StreamState::Failed,
        };
        self.call::<Answer>(Method::PUT, STREAM, &body).await?.check()
    }
}

impl Answer {
    /// A 200 can hold a refusal.
    fn check(&self) -> Result<(), OpenApiError> {
        if self.success == Some(false) || self.result == Value::Bool(false) {
            return Err(OpenApiError::give_up(
                "DingTalk answered that it had no success with the card".to_owned(),
            ));
        }
        Ok(())
    }
}
