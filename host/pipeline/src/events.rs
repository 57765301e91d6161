//! An event that is to be handled by one plugin, with its tries.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use belfry_dingtalk::{FrameHeaders, OrgEvent, PayloadError};
use belfry_event::{AttributeValue, CloudEvent, Data};
use belfry_journal::{Culprit, DeadLetter, Position, Record, StoredEvent};
use belfry_plugin_host::{CallError, Plugin, types};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, error, warn};

use crate::{
    app::App,
    effects::{Effects, Origin},
    hub::{self, Addressed},
    message::{self, now_ms, time_of},
    pauses::pauses,
    private::Private,
    reply::{self, Ways},
    store::{PluginWrites, Refused},
};

/// The extension that counts how many events led to this one, each emitted because of the one before.
const HOPS: &str = "belfryhops";

/// A chain of events ends here.
const MOST_HOPS: i32 = 8;

/// So often an event is handled again at once because another call was faster; then with pauses.
const MOST_CONFLICTS: u32 = 10;

/// The longest type and subject of an emitted event, in bytes.
const LONGEST_NAME: usize = 512;

/// Types that only the host gives.
const RESERVED: [&str; 2] = ["belfry.", "dingtalk."];

/// Members of an organisation event's data that say what it is about, the closest first.
const SUBJECTS: [&str; 6] = ["processInstanceId", "userId", "UserId", "deptId", "DeptId", "chatId"];

/// An event in the journal that a plugin is to handle: its place in its lane.
pub(crate) struct EventWork {
    pub(crate) app: Arc<App>,
    pub(crate) position: Position,
    pub(crate) lane: Arc<str>,
}

/// What the journal has of it.
struct Loaded {
    event: CloudEvent,
    private: Arc<Private>,
    attempt: u32,
}

#[derive(Default)]
struct Tries {
    /// When no further one may begin or go on; known once the first has begun.
    until: Option<Instant>,
    /// How often another call had changed a value that was built upon.
    conflicts: u32,
    failed: Option<Failure>,
}

struct Failure {
    generation: u64,
    error: CallError,
    /// Another call was faster.
    conflict: bool,
}

/// An organisation event as the form of everything that enters.
pub(crate) fn of_push(app: &str, headers: &FrameHeaders, data: String) -> Result<CloudEvent, PayloadError> {
    let pushed = OrgEvent::from_headers(headers)?;
    let id = pushed.event_id.unwrap_or_else(|| headers.message_id.clone());
    let mut event = CloudEvent::new(id, message::source(app), format!("dingtalk.{}", pushed.event_type));
    event.time = pushed.born_time.or(headers.time).and_then(time_of);
    event.datacontenttype = Some("application/json".to_owned());
    if let Some(corp_id) = pushed.corp_id {
        event.extensions.insert("corpid".to_owned(), AttributeValue::String(corp_id));
    }
    event.subject = serde_json::from_str(&data).ok().and_then(|data| subject_of(&data));
    // What is no JSON is still the text it is.
    event.data =
        Some(Data::json(data.clone()).unwrap_or_else(|_| Data::parsed_json(Value::String(data).to_string())));
    Ok(event)
}

/// What an organisation event is about, if that is one thing: a process, a person, a department, a group. Events about one
/// thing come in order.
fn subject_of(data: &Value) -> Option<String> {
    let text = |value: &Value| match value {
        Value::String(text) if !text.is_empty() && text.len() <= LONGEST_NAME => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    SUBJECTS.iter().find_map(|name| data.get(name)).and_then(|value| {
        match value.as_array().map(Vec::as_slice) {
            Some([only]) => text(only),
            Some(_) => None,
            None => text(value),
        }
    })
}

impl EventWork {
    /// Has the event handled, again and again while that fails for a while only, for as long as a message.
    pub(crate) async fn handle(self) -> ControlFlow<()> {
        const LEFT: ControlFlow<()> = ControlFlow::Break(());
        const OVER: ControlFlow<()> = ControlFlow::Continue(());
        let app = &self.app;
        let mut pauses = pauses(app.limits.longest_pause);
        let mut tries = Tries::default();
        loop {
            if app.stopping.is_cancelled() {
                return LEFT;
            }
            let Some(loading) = app.load(&app.loading_messages).await else { return LEFT };
            let Some(loaded) = self.load().await else { return OVER };
            let next = pauses.next().unwrap_or(app.limits.longest_pause);
            let Some(pause) = Box::pin(self.try_once(&loaded, &mut tries, next)).await else { return OVER };
            // During a pause nothing is kept.
            drop((loading, loaded));
            if app.unless_stopping(tokio::time::sleep(pause)).await.is_none() {
                return LEFT;
            }
        }
    }

    /// The event from the journal, if it is still to be handled.
    async fn load(&self) -> Option<Loaded> {
        let stored = self.app.read(|| self.app.journal.pending_event(self.position)).await;
        let (loaded, attempts) = match stored {
            Ok(stored) => {
                let stored = stored?;
                let attempts = stored.attempts;
                (Loaded::from_stored(&stored), attempts)
            }
            Err(problem) => (Err(problem.to_string()), 0),
        };
        loaded
            .map_err(|reason| {
                let event = self.position;
                self.app.give_up_stored(DeadLetter { event, delivery: None, reason, attempts });
            })
            .ok()
    }

    /// One try. How long to wait before the next, which has a pause of `next` of its own; none if there is none.
    async fn try_once(&self, loaded: &Loaded, tries: &mut Tries, next: Duration) -> Option<Duration> {
        let app = &self.app;
        let attempt = loaded.attempt;
        app.record(Record::Attempt { event: self.position, delivery: None, attempt });
        let call = self.call(loaded);
        let called = match (tries.until, tries.failed.take()) {
            (Some(until), Some(before)) => timeout_at(until, call).await.unwrap_or(Err(before)),
            _ => {
                tries.until.get_or_insert_with(|| Instant::now() + app.limits.handle_within);
                call.await
            }
        };
        let failure = called.err()?;
        let (event, reason) = (&loaded.event, failure.error.reason());
        let (app_name, plugin, kind, id) = (&app.name, loaded.plugin(), &event.kind, &event.id);
        if failure.conflict && tries.conflicts < MOST_CONFLICTS {
            tries.conflicts += 1;
            app.counting.retries.add();
            return Some(Duration::ZERO);
        }
        let in_time = tries.until.is_some_and(|until| Instant::now() + next < until);
        if failure.error.is_temporary() && in_time {
            warn!(app = app_name, plugin, kind, id, attempt, reason, "an event will be tried again");
            app.counting.retries.add();
            tries.failed = Some(failure);
            return Some(next);
        }
        app.counting.failed.add();
        let generation = failure.generation;
        error!(
            app = app_name,
            plugin, generation, kind, id, attempt, reason, "an event could not be handled"
        );
        let letter =
            DeadLetter { event: self.position, delivery: None, reason: reason.to_owned(), attempts: attempt };
        let culprit = Some(Culprit { plugin: plugin.to_owned(), generation });
        app.give_up(&self.origin(loaded), letter, culprit, None);
        None
    }

    /// Has the plugin handle it, and stores what comes of it.
    async fn call(&self, loaded: &Loaded) -> Result<(), Failure> {
        let app = &self.app;
        let generation = app.hub.generation();
        let failed = |error| Failure { generation: generation.number, error, conflict: false };
        let name = loaded.plugin();
        let plugin = generation.get(name).ok_or_else(|| {
            failed(CallError::Temporary(format!("plugin `{name}` is not loaded; put its file back")))
        })?;
        let origin = self.origin(loaded);
        let context = app.context(&origin, plugin, app.router.table().infos.clone(), None);
        let event = Arc::new(to_plugin(&loaded.event, loaded.attempt));
        let done = plugin.on_event(event, &context).await.map_err(failed)?;
        let (mut effects, emitted) = self.effects(plugin, loaded, done.value).map_err(failed)?;
        if !done.writes.is_empty() {
            effects.writes.push(PluginWrites::of(plugin, done.writes));
        }
        let count = effects.deliveries.len();
        match app.complete(&origin, effects) {
            Ok(appended) => {
                debug!(
                    app = app.name,
                    plugin = name,
                    id = loaded.event.id,
                    sends = count,
                    "handled an event"
                );
                for (place, position) in appended {
                    if let Some((app, lane)) = emitted.get(place) {
                        hub::handle(app, lane.clone(), position);
                    }
                }
                Ok(())
            }
            Err(Refused::Failed { error, .. }) => Err(failed(error)),
            Err(Refused::Conflict) => {
                let reason =
                    format!("plugin `{name}` swapped a value that other calls have changed each time");
                Err(Failure { conflict: true, ..failed(CallError::Temporary(reason)) })
            }
        }
    }

    /// What a handler wants to happen: all of it is in order, or nothing happens. With the events to be stored come the app
    /// and the lane of each.
    #[expect(clippy::type_complexity, reason = "said in the line above")]
    fn effects(
        &self,
        plugin: &Plugin,
        loaded: &Loaded,
        wanted: Vec<types::Effect>,
    ) -> Result<(Effects, Vec<(Arc<App>, Arc<str>)>), CallError> {
        let (name, most) = (plugin.name(), self.app.limits.replies);
        let ways = Ways { private: &loaded.private, conversation: None, plugin: name };
        let refuse = |problem: String| CallError::Permanent(format!("plugin `{name}` {problem}"));
        if wanted.len() > most {
            let problem = format!("returned {} effects to one event; {most} is the most", wanted.len());
            return Err(refuse(problem));
        }
        let (mut effects, mut emitted) = (Effects::default(), Vec::new());
        for (index, effect) in wanted.into_iter().enumerate() {
            match effect {
                types::Effect::Send(send) => {
                    granted(plugin, &send.to).map_err(refuse)?;
                    let sent = reply::outgoing(send.message, send.to, &ways).map_err(refuse)?;
                    let first = effects.deliveries.len();
                    effects.deliveries.extend(
                        (first..)
                            .zip(sent)
                            .map(|(place, message)| message.payload(&format!("{}-{place}", self.position.0))),
                    );
                }
                types::Effect::Emit(new) => {
                    let event = self.emit(name, &loaded.event, index, new).map_err(refuse)?;
                    let known_as = format!("emitted/{}", event.id);
                    for Addressed { app, lane, event } in self.app.hub.address(&event, &known_as) {
                        emitted.push((app, lane));
                        effects.events.push(event);
                    }
                }
            }
        }
        Ok((effects, emitted))
    }

    /// An emitted event. Its id says of which event it is the how-manieth effect, so that a handler that runs again emits
    /// the same one.
    fn emit(
        &self,
        plugin: &str,
        cause: &CloudEvent,
        index: usize,
        new: types::NewEvent,
    ) -> Result<CloudEvent, String> {
        let kind = new.type_;
        if kind.is_empty() || kind.len() > LONGEST_NAME || kind.chars().any(char::is_control) {
            return Err(format!(
                "emitted an event whose type has {} bytes; 1 to {LONGEST_NAME} it may have",
                kind.len()
            ));
        }
        if let Some(reserved) = RESERVED.iter().find(|reserved| kind.starts_with(*reserved)) {
            return Err(format!("emitted an event of type `{kind}`; `{reserved}` is reserved for the host"));
        }
        if new.subject.as_ref().is_some_and(|subject| subject.len() > LONGEST_NAME) {
            return Err(format!("emitted `{kind}` with a subject of more than {LONGEST_NAME} bytes"));
        }
        let hops = match cause.extensions.get(HOPS) {
            Some(AttributeValue::Integer(hops)) => hops.saturating_add(1),
            _ => 1,
        };
        if hops > MOST_HOPS {
            return Err(format!(
                "emitted `{kind}` at the end of a chain of {MOST_HOPS} events, each emitted because of the one before; does \
                 its `on` pattern take what it emits itself?"
            ));
        }
        let id = format!("{}-{index}", self.position.0);
        let mut event = CloudEvent::new(id, format!("/plugins/{plugin}"), kind);
        event.subject = new.subject.filter(|subject| !subject.is_empty());
        event.time = time_of(now_ms());
        event.datacontenttype = Some("application/json".to_owned());
        event.extensions.insert(HOPS.to_owned(), AttributeValue::Integer(hops));
        let data = Data::json(new.data)
            .map_err(|_| format!("emitted `{}` with data that is no JSON", event.kind))?;
        event.data = Some(data);
        Ok(event)
    }

    fn origin(&self, loaded: &Loaded) -> Origin {
        Origin {
            position: self.position,
            id: loaded.event.id.as_str().into(),
            lane: self.lane.clone(),
            in_conversation: false,
            private: loaded.private.clone(),
        }
    }
}

impl Loaded {
    fn from_stored(stored: &StoredEvent) -> Result<Self, String> {
        let event = CloudEvent::from_json(&stored.payload)
            .map_err(|error| format!("the event cannot be read: {error}"))?;
        let private = Private::from_bytes(&stored.private);
        if private.plugin.is_none() {
            return Err("it does not say which plugin is to handle it".to_owned());
        }
        Ok(Self { event, private: Arc::new(private), attempt: stored.attempts.saturating_add(1) })
    }

    fn plugin(&self) -> &str {
        self.private.plugin.as_deref().unwrap_or_default()
    }
}

/// The event as plugins get it.
fn to_plugin(event: &CloudEvent, attempt: u32) -> types::Event {
    let milliseconds =
        |time: time::OffsetDateTime| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok();
    let text = |value: &AttributeValue| match value {
        AttributeValue::String(text) => text.clone(),
        AttributeValue::Integer(number) => number.to_string(),
        AttributeValue::Boolean(truth) => truth.to_string(),
    };
    types::Event {
        id: event.id.clone(),
        source: event.source.clone(),
        type_: event.kind.clone(),
        subject: event.subject.clone(),
        time: event.time.and_then(milliseconds),
        data_content_type: event.datacontenttype.clone(),
        data: event.json_data().map(str::to_owned),
        extensions: event.extensions.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        attempt,
    }
}

/// Whether the plugin may send there.
fn granted(plugin: &Plugin, to: &types::Target) -> Result<(), String> {
    let grant = &plugin.spec().grants.chat;
    let has = |list: &[String], id: &str| list.iter().any(|granted| granted == "*" || granted == id);
    let refused = |key: &str, id: &str| {
        let name = plugin.name();
        format!("may not send to `{id}`: add `chat = {{ {key} = [\"{id}\"] }}` to [plugins.{name}]")
    };
    match to {
        types::Target::Current => {
            Err("sent to `current`, but an event has no conversation: name a user or a group".to_owned())
        }
        types::Target::User(id) if !has(&grant.users, id) => Err(refused("users", id)),
        types::Target::Group(id) if !has(&grant.groups, id) => Err(refused("groups", id)),
        types::Target::User(_) | types::Target::Group(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> FrameHeaders {
        FrameHeaders {
            event_type: Some(text.to_owned()),
            message_id: "f".to_owned(),
            ..FrameHeaders::default()
        }
    }

    #[test]
    fn an_organisation_event_is_an_event() {
        let mut headers = headers("user_add_org");
        headers.event_id = Some("e1".to_owned());
        headers.event_corp_id = Some("ding1".to_owned());
        headers.event_born_time = Some(1_683_533_823_336);
        let event = of_push("sales", &headers, r#"{"userId":["u1"]}"#.to_owned()).unwrap();
        let json: Value = serde_json::from_slice(&event.to_json()).unwrap();
        let expected = serde_json::json!({
            "specversion": "1.0", "id": "e1", "source": "/dingtalk/sales", "type": "dingtalk.user_add_org",
            "subject": "u1", "time": "2023-05-08T08:17:03.336Z", "datacontenttype": "application/json",
            "corpid": "ding1", "data": {"userId": ["u1"]}
        });
        assert_eq!(json, expected);
        let record = to_plugin(&event, 3);
        assert_eq!((record.time, record.attempt), (Some(1_683_533_823_336), 3));
        assert_eq!(record.extensions, [("corpid".to_owned(), "ding1".to_owned())]);
    }

    #[test]
    fn data_that_is_no_json_and_an_event_without_an_id_are_taken() {
        let event = of_push("a", &headers("x"), "{oops".to_owned()).unwrap();
        assert_eq!((event.id.as_str(), event.json_data()), ("f", Some(r#""{oops""#)));
        assert!(of_push("a", &FrameHeaders::default(), "{}".to_owned()).is_err());
    }

    #[test]
    fn a_subject_is_one_thing() {
        let of = |json: Value| subject_of(&json);
        assert_eq!(of(serde_json::json!({"userId": ["a"]})).as_deref(), Some("a"));
        assert_eq!(of(serde_json::json!({"userId": ["a", "b"]})), None);
        assert_eq!(of(serde_json::json!({"deptId": [7]})).as_deref(), Some("7"));
        assert_eq!(of(serde_json::json!({"userId": "u", "processInstanceId": "p"})).as_deref(), Some("p"));
        assert_eq!(of(serde_json::json!({"x": 1})), None);
        assert_eq!(of(serde_json::json!([])), None);
    }
}
