//! Cards: `POST /v1.0/card/instances/createAndDeliver`, `PUT /v1.0/card/instances`, `PUT /v1.0/card/streaming`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Refusal, text};
use crate::card::{Card, CardChange, CardData, CardSpace, CardStep, Cards, Flow};
use crate::fault::Action;
use crate::gateway::Gateway;
use crate::gateway::call::Call;
use crate::gateway::http::{Answer, json_answer};
use crate::push::Acked;
use crate::record::Happening;
use crate::state::State;

/// Longest text that is streamed, in bytes. DingTalk's limit is not documented, only that there is one.
const MAX_CONTENT: usize = 1 << 20;

fn bad(code: &'static str, reason: &str) -> Refusal {
    (400, code, reason.to_owned())
}

/// The conversation in which a new card is to stand.
pub(super) fn conversation(state: &State, client_id: &str, body: &Value) -> Option<Arc<str>> {
    match spaces(text(body, "openSpaceId")?)?.into_iter().next()? {
        CardSpace::Group { conversation } => Some(conversation.into()),
        CardSpace::Person { staff_id } => state.sessions.private_with(client_id, &staff_id),
    }
}

/// `dtv1.card//IM_GROUP.cid…;IM_ROBOT.manager…`, in upper or lower case.
fn spaces(open_space_id: &str) -> Option<Vec<CardSpace>> {
    let (scheme, list) = open_space_id.split_once("//")?;
    let space = |item: &str| {
        let (kind, id) = item.split_once('.').filter(|(_, id)| !id.is_empty())?;
        match kind.to_ascii_uppercase().as_str() {
            "IM_GROUP" => Some(CardSpace::Group { conversation: id.to_owned() }),
            "IM_ROBOT" => Some(CardSpace::Person { staff_id: id.to_owned() }),
            _ => None,
        }
    };
    if !scheme.eq_ignore_ascii_case("dtv1.card") {
        return None;
    }
    list.split(';').map(space).collect()
}

/// `cardParamMap` of `cardData` or the like: texts only.
fn params(holder: Option<&Value>) -> Result<CardData, Refusal> {
    let Some(map) = holder.and_then(|holder| holder.get("cardParamMap")) else { return Ok(CardData::new()) };
    let pairs = map.as_object().map(|map| {
        map.iter()
            .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect::<Option<_>>()
    });
    pairs.flatten().ok_or_else(|| bad("param.cardDataInvalid", "the values of cardParamMap must be texts"))
}

/// `privateData`: user id to `cardParamMap`.
fn private(body: &Value) -> Result<BTreeMap<String, CardData>, Refusal> {
    let people = body.get("privateData").and_then(Value::as_object).into_iter().flatten();
    people.map(|(user, data)| Ok((user.clone(), params(Some(data))?))).collect()
}

fn size(data: &CardData) -> usize {
    data.iter().map(|(name, value)| name.len() + value.len()).sum()
}

impl Gateway {
    fn card_step(&self, client_id: &Arc<str>, id: &str, call: Option<u64>, size: usize, step: CardChange) {
        let (client_id, out_track_id) = (Arc::clone(client_id), id.into());
        self.log.write(Happening::Card(CardStep { client_id, out_track_id, call, step }), size + 128);
    }

    /// A bot answered a callback of a card: what the answer holds is shown.
    pub(in crate::gateway) fn card_answered(
        &self,
        cards: &mut Cards,
        client_id: &Arc<str>,
        data: &str,
        acked: &Acked,
    ) {
        let callback: Value = serde_json::from_str(data).unwrap_or_default();
        let (Some(id), Some(user)) = (text(&callback, "outTrackId"), text(&callback, "userId")) else {
            return;
        };
        let response = acked.response().unwrap_or_default();
        let (Ok(data), Ok(private)) =
            (params(response.get("cardData")), params(response.get("userPrivateData")))
        else {
            return;
        };
        let (shown, own) = (data.clone(), private.clone());
        let known = cards.change(client_id, id, self.config.max_cards, |card| {
            card.data.extend(data);
            if !private.is_empty() {
                card.private_data.entry(user.to_owned()).or_default().extend(private);
            }
        });
        if known && !(shown.is_empty() && own.is_empty()) {
            let size = size(&shown) + size(&own);
            let step = CardChange::Answered { user: user.to_owned(), data: shown, private_data: own };
            self.card_step(client_id, id, None, size, step);
        }
    }
}

/// Makes a card and delivers it.
pub(super) fn create(
    gateway: &Gateway,
    state: &mut State,
    call: &mut Call<'_>,
    client_id: &Arc<str>,
    body: &Value,
    action: &Action,
) -> Result<Answer, Refusal> {
    let template = text(body, "cardTemplateId").filter(|id| !id.is_empty());
    let template = template.ok_or_else(|| bad("param.templateNotExist", "cardTemplateId is missing"))?;
    let id = text(body, "outTrackId").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| bad("param.outTrackIdEmpty", "outTrackId is missing"))?;
    if state.cards.get(id).is_some() {
        return Err(bad("param.cardAlreadyExist", "a card with this outTrackId exists"));
    }
    let spaces = text(body, "openSpaceId").and_then(spaces);
    let spaces = spaces
        .filter(|spaces| !spaces.is_empty())
        .ok_or_else(|| bad("param.openSpaceIdInvalid", "openSpaceId names no group and no person"))?;
    let (data, private_data) = (params(body.get("cardData"))?, private(body)?);
    let mut results = Vec::new();
    let mut reached = Vec::new();
    for space in spaces {
        let (kind, space_id, model) = match &space {
            CardSpace::Group { conversation } => {
                ("IM_GROUP", conversation.clone(), "imGroupOpenDeliverModel")
            }
            CardSpace::Person { staff_id } => ("IM_ROBOT", staff_id.clone(), "imRobotOpenDeliverModel"),
        };
        let Some(model) = body.get(model) else {
            return Err(bad("param.openDeliverModelEmpty", &format!("{model} is missing")));
        };
        let problem = match action {
            Action::Undelivered { reason } => Some(reason.as_str()),
            _ if text(model, "robotCode").is_some_and(|robot| *robot != **client_id) => {
                Some("robotCode is not of the app that the access token belongs to")
            }
            _ if kind == "IM_GROUP" && state.sessions.is_private(client_id, &space_id) => {
                Some("the conversation is no group")
            }
            _ => None,
        };
        results.push(json!({"spaceType": kind, "spaceId": space_id, "success": problem.is_none(),
            "carrierId": uuid::Uuid::new_v4().simple().to_string(), "errorMsg": problem.unwrap_or_default()}));
        if problem.is_none() {
            reached.push(space);
        }
    }
    call.taken = true;
    let step =
        CardChange::Created { template: template.to_owned(), spaces: reached.clone(), data: data.clone() };
    gateway.card_step(client_id, id, Some(call.number), size(&data), step);
    let card = Card {
        client_id: Arc::clone(client_id),
        out_track_id: id.into(),
        template: template.to_owned(),
        spaces: reached,
        data,
        private_data,
        flow: Flow::Processing,
        callbacks: text(body, "callbackType") == Some("STREAM"),
    };
    state.cards.insert(card, gateway.config.max_cards);
    let result = json!({"outTrackId": id, "deliverResults": results});
    Ok(json_answer(200, json!({"success": true, "result": result}).to_string()))
}

/// Changes a card.
pub(super) fn update(
    gateway: &Gateway,
    state: &mut State,
    call: &mut Call<'_>,
    client_id: &Arc<str>,
    body: &Value,
) -> Result<Answer, Refusal> {
    let id = text(body, "outTrackId").unwrap_or_default();
    let (data, private_data) = (params(body.get("cardData"))?, private(body)?);
    let by_key = |name: &str| body.pointer(&format!("/cardUpdateOptions/{name}")) == Some(&Value::Bool(true));
    let (data_by_key, private_by_key) = (by_key("updateCardDataByKey"), by_key("updatePrivateDataByKey"));
    let step = CardChange::Updated { data: data.clone(), private_data: private_data.clone() };
    let size = size(&data) + private_data.values().map(size).sum::<usize>();
    let has_data = body.get("cardData").is_some();
    let known = state.cards.change(client_id, id, gateway.config.max_cards, |card| {
        // Without the option an update overwrites everything.
        if has_data && !data_by_key {
            card.data.clear();
        }
        card.data.extend(data);
        for (user, data) in private_data {
            let own = card.private_data.entry(user).or_default();
            if !private_by_key {
                own.clear();
            }
            own.extend(data);
        }
    });
    changed(gateway, call, client_id, id, known, size, step)
}

/// Writes into a card.
pub(super) fn stream(
    gateway: &Gateway,
    state: &mut State,
    call: &mut Call<'_>,
    client_id: &Arc<str>,
    body: &Value,
) -> Result<Answer, Refusal> {
    let field = |name: &str, code: &'static str| {
        let value = text(body, name).filter(|value| !value.is_empty());
        value.ok_or_else(|| bad(code, &format!("{name} is missing")))
    };
    let id = field("outTrackId", "param.stream.outTrackId")?;
    field("guid", "param.stream.guidEmpty")?;
    let key = field("key", "param.stream.keyEmpty")?.to_owned();
    let content = field("content", "param.stream.contentEmpty")?.to_owned();
    if content.len() > MAX_CONTENT {
        return Err(bad("param.stream.content", "content is too large"));
    }
    let flag = |name: &str| body.get(name).and_then(Value::as_bool);
    let full = flag("isFull").ok_or_else(|| bad("param.stream.isFull", "isFull is missing"))?;
    let flow = match (flag("isError"), flag("isFinalize")) {
        (Some(true), _) => Flow::Failed,
        (_, Some(true)) => Flow::Finished,
        _ => Flow::Inputting,
    };
    let size = key.len() + content.len();
    let step = CardChange::Streamed { key: key.clone(), content: content.clone(), flow };
    let known = state.cards.change(client_id, id, gateway.config.max_cards, |card| {
        card.flow = flow;
        let text = card.data.entry(key).or_default();
        if full {
            text.clear();
        }
        text.push_str(&content);
    });
    changed(gateway, call, client_id, id, known, size, step)
}

fn changed(
    gateway: &Gateway,
    call: &mut Call<'_>,
    client_id: &Arc<str>,
    id: &str,
    known: bool,
    size: usize,
    step: CardChange,
) -> Result<Answer, Refusal> {
    if !known {
        return Err(bad("param.cardNotExist", "there is no card with this outTrackId"));
    }
    call.taken = true;
    gateway.card_step(client_id, id, Some(call.number), size, step);
    Ok(json_answer(200, json!({"success": true, "result": true}).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_written_in_two_ways() {
        let group = CardSpace::Group { conversation: "cid==".to_owned() };
        let person = CardSpace::Person { staff_id: "a.b".to_owned() };
        assert_eq!(spaces("dtv1.card//IM_GROUP.cid=="), Some(vec![group.clone()]));
        assert_eq!(spaces("dtv1.card//im_group.cid==;im_robot.a.b"), Some(vec![group, person]));
        for wrong in
            ["", "cid==", "dtv1.card//", "dtv1.card//IM_GROUP.", "dtv1.card//X.y", "other//IM_GROUP.x"]
        {
            assert_eq!(spaces(wrong), None, "{wrong}");
        }
    }
}
