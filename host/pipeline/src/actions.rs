//! Requests that DingTalk waits for: actions on cards, calls of AI assistants. The answer is in the acknowledgement.

use std::{sync::Arc, time::Duration};

use belfry_dingtalk::{AckHandle, CardCallback, GraphRequest, Push, Topic};
use belfry_event::{CloudEvent, Data};
use belfry_journal::{Appended, Completion, NewEvent, Position, Record};
use belfry_plugin_host::{CallError, Plugin, types};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, error, info, warn};

use crate::{
    app::App,
    chat::{Gate, plugin_of_card},
    delivery::Held,
    effects::{Effects, Origin},
    message::{self, AI_PLUGIN_CALL, CARD_ACTION, now_ms, time_of},
    private::Private,
    store::{PluginWrites, Refused},
};

/// Before the lanes of callbacks. No conversation's id begins like this.
pub(crate) const LANE: &str = ":action/";

/// DingTalk waits 2 seconds for a card's answer; some of that is its way there.
const WITHIN: Duration = Duration::from_millis(1_800);

/// So often a handler runs again because another call was faster.
const MOST_CONFLICTS: u32 = 10;

/// A callback that was read.
struct Callback {
    kind: Kind,
    event: CloudEvent,
    request: Arc<types::Request>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Card,
    AiPlugin,
}

/// Why there is no answer.
struct NoAnswer {
    /// As HTTP has it, for an AI assistant.
    status: (u16, &'static str),
    reason: String,
}

impl App {
    /// Answers a callback beside whatever else goes on. The connection bounds how many are without an answer.
    pub(crate) fn act(self: &Arc<Self>, push: Push) {
        let app = self.clone();
        self.tasks.spawn(async move { app.answer(push).await });
    }

    /// A callback that an earlier process took: its answer is nobody's any more, so it is not run again.
    pub(crate) fn leave_callback(&self, position: Position) {
        info!(app = self.name, event = position.0, "a callback was left without an answer by the run before");
        self.record(Record::Done(Completion::new(position, Vec::new())));
    }

    async fn answer(self: Arc<Self>, push: Push) {
        let until = Instant::now() + WITHIN;
        let callback = match Callback::read(&self.name, &push) {
            Ok(callback) => callback,
            Err(problem) => {
                self.counting.unreadable.add();
                warn!(
                    app = self.name,
                    message_id = push.headers.message_id,
                    problem,
                    "a callback is left out"
                );
                push.ack.error(400, "not readable");
                return;
            }
        };
        // Before the plugin runs: what it sends belongs to an event of the journal.
        let mut append = self.journal.append(self.new_event(&callback));
        match timeout_at(until, &mut append).await {
            Ok(Ok(Appended::New(position))) => self.run(callback, position, push.ack, until).await,
            Ok(Ok(Appended::Duplicate)) => {
                self.counting.duplicates.add();
                debug!(app = self.name, id = callback.event.id, "a repeated callback is not run again");
                callback.kind.respond(push.ack, callback.kind.nothing());
            }
            Ok(Err(problem)) => self.fail(&callback, push.ack, &NoAnswer::of(problem.to_string())),
            Err(_) => {
                self.fail(&callback, push.ack, &NoAnswer::late("the journal"));
                if let Ok(Appended::New(position)) = append.await {
                    self.record(Record::Done(Completion::new(position, Vec::new())));
                }
            }
        }
    }

    async fn run(self: &Arc<Self>, callback: Callback, position: Position, ack: AckHandle, until: Instant) {
        let lane: Arc<str> = format!("{LANE}{}", callback.request.subject).into();
        let private = Arc::new(Private { client_id: self.client_id.clone(), ..Private::default() });
        let origin =
            Origin { position, id: callback.event.id.as_str().into(), lane, in_conversation: false, private };
        let json = || serde_json::from_slice(&callback.event.to_json()).unwrap_or_default();
        let table = self.router.table();
        // DingTalk forbids changing a card while it waits: what the plugin sends leaves when the answer has.
        let (gate, held) = Gate::closed();
        let sender = Some(callback.request.subject.as_str()).filter(|_| callback.kind == Kind::Card);
        let answer = match table.asked_to_act(sender.and_then(plugin_of_card), json) {
            Some(plugin) => {
                let asked = self.ask(&plugin, table.infos.clone(), &callback, &origin, held);
                timeout_at(until, asked)
                    .await
                    .unwrap_or_else(|_| Err(NoAnswer::late(&format!("plugin `{}`", plugin.name()))))
            }
            None => Err(NoAnswer {
                status: (404, "Not Found"),
                reason: "no plugin handles it: none exports `action-handler` whose `on` takes it".to_owned(),
            }),
        };
        match answer {
            Ok(answer) => callback.kind.respond(ack, answer),
            Err(problem) => {
                self.fail(&callback, ack, &problem);
                // It is over, whatever became of it: nothing is run again.
                let _ = self.complete(&origin, Effects::default());
            }
        }
        gate.open();
    }

    /// Has the plugin answer, and stores what it wrote.
    async fn ask(
        self: &Arc<Self>,
        plugin: &Arc<Plugin>,
        infos: Arc<[belfry_plugin_host::PluginInfo]>,
        callback: &Callback,
        origin: &Origin,
        held: Held,
    ) -> Result<Value, NoAnswer> {
        let failed = |error: CallError| NoAnswer::of(error.reason().to_owned());
        for _ in 0..MOST_CONFLICTS {
            let context = self.context(origin, plugin, infos.clone(), Some(held.clone()));
            let done = plugin.on_action(callback.request.clone(), &context).await.map_err(failed)?;
            let answer = callback
                .kind
                .answer(done.value)
                .map_err(|problem| NoAnswer::of(format!("plugin `{}` {problem}", plugin.name())))?;
            let writes =
                if done.writes.is_empty() { Vec::new() } else { vec![PluginWrites::of(plugin, done.writes)] };
            match self.complete(origin, Effects { writes, ..Effects::default() }) {
                Ok(_) => {
                    debug!(
                        app = self.name,
                        plugin = plugin.name(),
                        id = callback.event.id,
                        "answered a callback"
                    );
                    return Ok(answer);
                }
                Err(Refused::Conflict) => {}
                Err(Refused::Failed { error, .. }) => return Err(failed(error)),
            }
        }
        let name = plugin.name();
        Err(NoAnswer::of(format!("plugin `{name}` swapped a value that other calls have changed each time")))
    }

    fn fail(&self, callback: &Callback, ack: AckHandle, problem: &NoAnswer) {
        let (kind, id, reason) = (&callback.event.kind, &callback.event.id, &problem.reason);
        error!(app = self.name, kind, id, reason, "a callback gets no answer");
        callback.kind.respond(ack, callback.kind.failure(problem));
    }

    fn new_event(&self, callback: &Callback) -> NewEvent {
        let Callback { event, request, .. } = callback;
        let private = Private { client_id: self.client_id.clone(), ..Private::default() };
        NewEvent {
            key: self.key(&format!("{LANE}{}", request.subject)),
            dedupe: vec![format!("{}/callback/{}", self.client_id, event.id)],
            payload: event.to_json().into(),
            private: private.to_bytes(),
        }
    }
}

impl Callback {
    fn read(app: &str, push: &Push) -> Result<Self, String> {
        let id = push.headers.message_id.clone();
        let (kind, request) = match push.topic {
            Topic::CardCallback => (Kind::Card, card_request(app, &id, &push.data)?),
            Topic::Graph => (Kind::AiPlugin, ai_request(app, &id, &push.data)?),
            _ => return Err("no handler for this topic".to_owned()),
        };
        let name = match kind {
            Kind::Card => CARD_ACTION,
            Kind::AiPlugin => AI_PLUGIN_CALL,
        };
        let mut event = CloudEvent::new(id, message::source(app), name);
        event.subject = Some(request.subject.clone()).filter(|subject| !subject.is_empty());
        event.time = time_of(push.headers.time.unwrap_or_else(now_ms));
        event.datacontenttype = Some("application/json".to_owned());
        // It was read as JSON, but perhaps after mending.
        let data = Data::json(push.data.clone());
        event.data =
            Some(data.unwrap_or_else(|_| Data::parsed_json(Value::String(push.data.clone()).to_string())));
        Ok(Self { kind, event, request: Arc::new(request) })
    }
}

fn card_request(app: &str, id: &str, data: &str) -> Result<types::Request, String> {
    let card = CardCallback::parse(data).map_err(|problem| problem.to_string())?;
    let in_chat = card.space_type.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("im"));
    Ok(types::Request {
        id: id.to_owned(),
        kind: "card".to_owned(),
        app: app.to_owned(),
        subject: card.out_track_id.unwrap_or_default(),
        actions: card.action_ids,
        user: card.user_id,
        conversation: card.space_id.filter(|_| in_chat),
        params: object_or_empty(card.params),
        attributes: Vec::new(),
        raw: data.to_owned(),
    })
}

fn ai_request(app: &str, id: &str, data: &str) -> Result<types::Request, String> {
    let request = GraphRequest::parse(data).map_err(|problem| problem.to_string())?;
    Ok(types::Request {
        id: id.to_owned(),
        kind: "ai-plugin".to_owned(),
        app: app.to_owned(),
        subject: request.uri,
        actions: vec![request.method],
        user: None,
        conversation: None,
        params: object_or_empty(request.body),
        attributes: Vec::new(),
        raw: data.to_owned(),
    })
}

/// The text if it is a JSON object. What is none is in the raw payload.
fn object_or_empty(text: String) -> String {
    match serde_json::from_str::<Map<String, Value>>(&text) {
        Ok(_) => text,
        Err(_) => "{}".to_owned(),
    }
}

impl Kind {
    /// What a plugin's response is in DingTalk's form, or why it has none.
    fn answer(self, response: types::Response) -> Result<Value, String> {
        match (self, response) {
            (kind, types::Response::None) => Ok(kind.nothing()),
            (Kind::Card, types::Response::Card(update)) => Ok(card_answer(update)),
            (Kind::AiPlugin, types::Response::Json(body)) => match serde_json::from_str::<Value>(&body) {
                Ok(_) => Ok(http_answer((200, "OK"), &body)),
                Err(problem) => Err(format!("answered with what is no JSON: {problem}")),
            },
            (Kind::Card, types::Response::Json(_)) => {
                Err("answered a card with `json`; answer with `card`".into())
            }
            (Kind::AiPlugin, types::Response::Card(_)) => {
                Err("answered an AI assistant with `card`; answer with `json`".into())
            }
        }
    }

    fn nothing(self) -> Value {
        match self {
            Kind::Card => json!({}),
            Kind::AiPlugin => http_answer((200, "OK"), ""),
        }
    }

    /// A card keeps its looks; an AI assistant is told.
    fn failure(self, problem: &NoAnswer) -> Value {
        match self {
            Kind::Card => json!({}),
            Kind::AiPlugin => http_answer(problem.status, ""),
        }
    }

    fn respond(self, ack: AckHandle, answer: Value) {
        ack.respond(&answer);
    }
}

/// Values of variables are texts, and those that are not named stay.
fn card_answer(update: types::CardUpdate) -> Value {
    let values = |list: Vec<(String, String)>| {
        let map: Map<String, Value> =
            list.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        json!({ "cardParamMap": map })
    };
    let mut answer = json!({
        "cardUpdateOptions": { "updateCardDataByKey": true, "updatePrivateDataByKey": true },
    });
    if let Some(answer) = answer.as_object_mut() {
        for (name, list) in [("cardData", update.data), ("userPrivateData", update.private_data)] {
            if !list.is_empty() {
                answer.insert(name.to_owned(), values(list));
            }
        }
    }
    answer
}

fn http_answer((code, phrase): (u16, &str), body: &str) -> Value {
    json!({
        "statusLine": { "code": code, "reasonPhrase": phrase },
        "headers": { "Content-Type": "application/json" },
        "body": body,
    })
}

impl NoAnswer {
    fn of(reason: String) -> Self {
        Self { status: (500, "Internal Server Error"), reason }
    }

    fn late(who: &str) -> Self {
        let reason = format!("{who} was not done after {WITHIN:?}, and DingTalk waits no longer");
        Self { status: (504, "Gateway Timeout"), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(topic: Topic, data: &str) -> Push {
        let (ack, _) = AckHandle::detached(topic, "m1");
        let headers = belfry_dingtalk::FrameHeaders { message_id: "m1".into(), ..Default::default() };
        Push { topic, headers, data: data.to_owned(), ack }
    }

    #[test]
    fn a_card_action_is_read() {
        let data = r#"{"type":"actionCallback","outTrackId":"t1","userId":"u","spaceId":"cid","spaceType":"im",
            "content":"{\"cardPrivateData\":{\"actionIds\":[\"ok\"],\"params\":{\"a\":1}}}"}"#;
        let callback = Callback::read("sales", &push(Topic::CardCallback, data)).unwrap();
        let request = &*callback.request;
        assert_eq!(
            (request.kind.as_str(), request.subject.as_str(), request.id.as_str()),
            ("card", "t1", "m1")
        );
        assert_eq!(
            (request.actions.as_slice(), request.params.as_str()),
            (&["ok".to_owned()][..], r#"{"a":1}"#)
        );
        assert_eq!((request.user.as_deref(), request.conversation.as_deref()), (Some("u"), Some("cid")));
        assert_eq!(
            (callback.event.kind.as_str(), callback.event.subject.as_deref()),
            (CARD_ACTION, Some("t1"))
        );
        assert_eq!(callback.event.source, "/dingtalk/sales");
        assert!(Callback::read("sales", &push(Topic::CardCallback, "[]")).is_err());
    }

    #[test]
    fn a_call_of_an_ai_assistant_is_read() {
        let data =
            r#"{"requestLine":{"method":"POST","uri":"/v1/actions/x"},"headers":{},"body":"{\"q\":1}"}"#;
        let request = Callback::read("a", &push(Topic::Graph, data)).unwrap().request;
        assert_eq!((request.kind.as_str(), request.subject.as_str()), ("ai-plugin", "/v1/actions/x"));
        assert_eq!(
            (request.actions.as_slice(), request.params.as_str()),
            (&["POST".to_owned()][..], r#"{"q":1}"#)
        );
    }

    #[test]
    fn each_kind_is_answered_in_its_shape() {
        let update = types::CardUpdate {
            data: vec![("state".into(), "done".into())],
            private_data: vec![("mine".into(), "1".into())],
        };
        let card = Kind::Card.answer(types::Response::Card(update.clone())).unwrap();
        assert_eq!(
            card,
            json!({
                "cardUpdateOptions": {"updateCardDataByKey": true, "updatePrivateDataByKey": true},
                "cardData": {"cardParamMap": {"state": "done"}},
                "userPrivateData": {"cardParamMap": {"mine": "1"}},
            })
        );
        assert_eq!(Kind::Card.answer(types::Response::None).unwrap(), json!({}));
        assert!(Kind::Card.answer(types::Response::Json("{}".into())).is_err());
        let ai = Kind::AiPlugin.answer(types::Response::Json("[1]".into())).unwrap();
        assert_eq!(
            ai,
            json!({
                "statusLine": {"code": 200, "reasonPhrase": "OK"},
                "headers": {"Content-Type": "application/json"},
                "body": "[1]",
            })
        );
        assert!(Kind::AiPlugin.answer(types::Response::Json("oops".into())).is_err());
        assert!(Kind::AiPlugin.answer(types::Response::Card(update)).is_err());
        assert_eq!(Kind::Card.failure(&NoAnswer::late("x")), json!({}));
        assert_eq!(Kind::AiPlugin.failure(&NoAnswer::late("x"))["statusLine"]["code"], 504);
    }
}
