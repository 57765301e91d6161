//! From a push to its ack.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::error::TrySendError;

use super::{Gateway, Struck};
use crate::card::{CardSpace, Press};
use crate::clock::wall_ms;
use crate::fault::{Action, Place};
use crate::payload::{Frame, FrameHeaders, Route, bot_message, new_msg_id};
use crate::push::{Acked, CallError, FrameType, Push, Pushed, topic};
use crate::record::{Happening, Sent};
use crate::say::{Content, Say};
use crate::state::{
    App, Connection, Delivery, MAX_UNADDRESSED, Names, Outgoing, Pending, Request, Retry, State, Waiter, What,
};
use crate::usage::take;

impl Gateway {
    pub(crate) fn say(self: &Arc<Self>, mut say: Say) -> Pushed {
        let id: Arc<str> = say.msg_id.take().unwrap_or_else(new_msg_id).into();
        let client_id = say.client_id.take();
        self.accept(client_id, id, What::Say(Box::new(say)), None)
    }

    pub(crate) fn push(self: &Arc<Self>, mut push: Push, waiter: Option<Waiter>) -> Pushed {
        let id: Arc<str> = push.headers.get("eventId").map_or("", String::as_str).into();
        let client_id = push.client_id.take();
        self.accept(client_id, id, What::Push(Box::new(push)), waiter)
    }

    /// A press reaches the app that made the card.
    pub(crate) fn press(self: &Arc<Self>, press: Press) -> Result<Pushed, String> {
        let Press { out_track_id, actions, params, user } = press;
        let card = self.state().cards.get(&out_track_id).cloned();
        let card = card.ok_or_else(|| format!("there is no card {out_track_id:?}"))?;
        if !card.callbacks {
            return Err(format!(
                "the card {out_track_id:?} was made without callbackType STREAM: nobody hears of it"
            ));
        }
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        let params = if params.is_null() { Value::Object(Default::default()) } else { params };
        let mut push = Push::card_action(&out_track_id, &user, &actions, params).to(&*card.client_id);
        if let Some(CardSpace::Group { conversation }) = card.spaces.first()
            && let Some(data) = push.data.as_object_mut()
        {
            data.insert("spaceId".to_owned(), conversation.as_str().into());
        }
        Ok(self.push(push, None))
    }

    fn accept(
        self: &Arc<Self>,
        client_id: Option<String>,
        id: Arc<str>,
        what: What,
        waiter: Option<Waiter>,
    ) -> Pushed {
        let mut state = self.state();
        state.last_push += 1;
        state.stats.pushes += 1;
        let number = state.last_push;
        let pushed = Pushed { push: number, id: Arc::clone(&id) };
        let request = Request { number, id, what, waiter };
        match client_id.map(Arc::from).or_else(|| state.first_app.clone()) {
            Some(client_id) if state.has_room_for(&client_id) => {
                self.address(&mut state, &client_id, request);
            }
            Some(client_id) => {
                let names = Names { number, client_id, topic: "".into(), id: request.id };
                self.give_up(&mut state, &names, request.waiter, "too many apps");
            }
            None => {
                let held = Happening::Held { client_id: "".into(), push: number, id: Arc::clone(&pushed.id) };
                self.record(held);
                state.unaddressed.push_back(request);
                if state.unaddressed.len() > MAX_UNADDRESSED
                    && let Some(oldest) = state.unaddressed.pop_front()
                {
                    let names = Names {
                        number: oldest.number,
                        client_id: "".into(),
                        topic: "".into(),
                        id: oldest.id,
                    };
                    self.give_up(&mut state, &names, oldest.waiter, "too many pushes wait for an app");
                }
            }
        }
        pushed
    }

    /// Makes an app known; the first one gets what waits for any app.
    pub(crate) fn know<'a>(self: &Arc<Self>, state: &'a mut State, client_id: &Arc<str>) -> &'a mut App {
        if state.first_app.is_none() {
            state.first_app = Some(Arc::clone(client_id));
            for request in std::mem::take(&mut state.unaddressed) {
                self.address(state, client_id, request);
            }
        }
        state.apps.entry(Arc::clone(client_id)).or_insert_with(|| App::new(client_id))
    }

    /// Gives a request its app, its frame and its first chance.
    fn address(self: &Arc<Self>, state: &mut State, client_id: &Arc<str>, request: Request) {
        let Request { number, id, what, waiter } = request;
        let pending = match what {
            What::Say(mut say) => {
                if !take(&mut state.usage.messages, state.limits.messages_per_month) {
                    say.content = Content::QuotaExhausted;
                }
                state.stats.messages += 1;
                let ttl = self.real(self.config.webhook_ttl);
                let session =
                    state.sessions.renew(client_id, &say.conversation, ttl, self.config.max_sessions);
                if !say.group {
                    state.sessions.is_with(&session, say.sender.staff_id.as_deref());
                }
                let route = Route {
                    webhook: &format!("{}/robot/sendBySession?session={session}", self.base),
                    expires_ms: wall_ms() + u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX / 2),
                };
                state.media.pushed(client_id, &say.content);
                let app = self.know(state, client_id);
                let data = bot_message(&say, &id, client_id, &app.bot, &route);
                let topic = if say.delegate.is_some() { topic::BOT_DELEGATE } else { topic::BOT_MESSAGE };
                Pending {
                    names: Arc::new(Names {
                        number,
                        client_id: Arc::clone(client_id),
                        topic: topic.into(),
                        id,
                    }),
                    frame_type: FrameType::Callback,
                    headers: Default::default(),
                    data,
                    unsubscribed: false,
                    attempts: 0,
                    waiter,
                }
            }
            What::Push(push) => {
                self.know(state, client_id);
                let data = match push.data {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                let topic = push.topic.into();
                Pending {
                    names: Arc::new(Names { number, client_id: Arc::clone(client_id), topic, id }),
                    frame_type: push.frame_type,
                    headers: push.headers,
                    data,
                    unsubscribed: push.unsubscribed,
                    attempts: 0,
                    waiter,
                }
            }
        };
        state.pushes.insert(number, pending);
        while state.pushes.len() > self.config.max_pending {
            let Some((_, oldest)) = state.pushes.pop_first() else { break };
            self.give_up(state, &oldest.names, oldest.waiter, "too many pushes are pending");
        }
        self.deliver(state, number);
    }

    fn give_up(&self, state: &mut State, names: &Names, waiter: Option<Waiter>, reason: &str) {
        state.stats.dropped += 1;
        self.record(Happening::Dropped {
            client_id: Arc::clone(&names.client_id),
            push: names.number,
            id: Arc::clone(&names.id),
            reason: reason.to_owned(),
        });
        if let Some(waiter) = waiter {
            let _ = waiter.send(Err(CallError::Dropped(reason.to_owned())));
        }
    }

    /// Sends a pending push to one of its app's connections, or holds it until there is one.
    pub(crate) fn deliver(self: &Arc<Self>, state: &mut State, number: u64) {
        let Some(pending) = state.pushes.get(&number) else { return };
        let Some(app) = state.apps.get_mut(&pending.names.client_id) else { return };
        if app.open.is_empty() {
            self.record(Happening::Held {
                client_id: Arc::clone(&app.client_id),
                push: number,
                id: Arc::clone(&pending.names.id),
            });
            app.held.push_back(number);
            if app.held.len() > self.config.max_pending {
                app.held.pop_front();
            }
            return;
        }
        let chosen = app.choose(&self.draws, pending.frame_type, &pending.names.topic, pending.unsubscribed);
        let Some(connection) = chosen.cloned() else {
            if let Some(pending) = state.pushes.remove(&number) {
                let reason = format!("no open connection has subscribed {}", pending.names.topic);
                self.give_up(state, &pending.names, pending.waiter, &reason);
            }
            return;
        };
        match self.draw(Place::Push, Some(&pending.names.client_id), None) {
            None => self.send(state, number, &connection),
            Some(Struck { action, delay, .. }) if delay.is_zero() => {
                state.stats.faults += 1;
                self.send_faulty(state, number, &connection, &action);
            }
            Some(Struck { action, delay, .. }) => {
                state.stats.faults += 1;
                let gateway = Arc::clone(self);
                self.runtime.spawn(async move {
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        () = gateway.stopped() => return,
                    }
                    let mut state = gateway.state();
                    gateway.send_faulty(&mut state, number, &connection, &action);
                });
            }
        }
    }

    fn send_faulty(&self, state: &mut State, number: u64, connection: &Connection, action: &Action) {
        match action {
            Action::Duplicate => self.send(state, number, connection),
            Action::Text { text } => {
                let _ = connection.queue.try_send(Outgoing::Text(text.clone()));
            }
            Action::Silence => connection.switch.silence(),
            Action::Reset => connection.switch.reset(),
            Action::Close => {
                let _ = connection.queue.try_send(Outgoing::Close("fault"));
            }
            _ => {}
        }
        if *action == Action::Drop {
            self.retry_later(state, number);
        } else {
            self.send(state, number, connection);
        }
    }

    /// Puts one delivery of a push on a connection's queue, and itself on the queue of retries.
    fn send(&self, state: &mut State, number: u64, connection: &Connection) {
        let Some(pending) = state.pushes.get_mut(&number) else { return };
        let Some(app) = state.apps.get(&pending.names.client_id) else { return };
        let message_id = self.new_message_id();
        let names = Arc::clone(&pending.names);
        let text = Frame {
            spec_version: "1.0",
            kind: match pending.frame_type {
                FrameType::Event => "EVENT",
                FrameType::Callback => "CALLBACK",
            },
            headers: FrameHeaders {
                app: Some((&app.app_id, &connection.id)),
                message_id: &message_id,
                time_ms: wall_ms(),
                topic: &names.topic,
                further: Some(&pending.headers),
            },
            data: &pending.data,
        }
        .to_text();
        match connection.queue.try_send(Outgoing::Text(text)) {
            Ok(()) => {
                pending.attempts += 1;
                let attempt = pending.attempts;
                state.stats.sent += 1;
                state.stats.redelivered += u64::from(attempt > 1);
                self.record(Happening::Sent(Sent {
                    client_id: Arc::clone(&names.client_id),
                    connection: Arc::clone(&connection.id),
                    push: number,
                    topic: Arc::clone(&names.topic),
                    id: Arc::clone(&names.id),
                    message_id: Arc::clone(&message_id),
                    attempt,
                }));
                let delivery = Delivery { names, attempt, acks: 0 };
                state.deliveries.insert(message_id, delivery, self.config.max_pending.saturating_mul(2));
                self.schedule(state, number, attempt);
            }
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                tracing::debug!(push = number, connection = %connection.id, "the connection's queue is full or closed");
                self.retry_later(state, number);
            }
        }
    }

    /// Counts a delivery that did not happen.
    fn retry_later(&self, state: &mut State, number: u64) {
        let Some(pending) = state.pushes.get_mut(&number) else { return };
        pending.attempts += 1;
        let attempt = pending.attempts;
        self.schedule(state, number, attempt);
    }

    fn schedule(&self, state: &mut State, push: u64, attempt: u32) {
        let due = Instant::now() + self.real(self.config.redeliver_after);
        if state.retries.add(Retry { due, push, attempt }) {
            self.retry_sooner.notify_one();
        }
    }

    /// Sends again what was not acked in time, until stopped.
    pub(crate) async fn redeliver(self: Arc<Self>) {
        loop {
            let due = self.state().retries.next_due();
            let sleep = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.stopped() => return,
                () = self.retry_sooner.notified() => continue,
                () = sleep => {}
            }
            let mut state = self.state();
            while let Some(retry) = state.retries.pop_due(Instant::now()) {
                let Some(pending) = state.pushes.get(&retry.push) else { continue };
                if pending.attempts != retry.attempt {
                    continue;
                }
                if pending.attempts < self.config.max_deliveries {
                    self.deliver(&mut state, retry.push);
                } else if let Some(pending) = state.pushes.remove(&retry.push) {
                    let reason = format!("not acked after {} deliveries", pending.attempts);
                    self.give_up(&mut state, &pending.names, pending.waiter, &reason);
                }
            }
        }
    }

    /// Sends what waited for a connection.
    pub(crate) fn deliver_held(self: &Arc<Self>, state: &mut State, client_id: &str) {
        let Some(app) = state.apps.get_mut(client_id) else { return };
        for number in std::mem::take(&mut app.held) {
            self.deliver(state, number);
        }
    }

    /// Pushes and waits for the ack.
    pub(crate) async fn call(self: &Arc<Self>, push: Push, timeout: Duration) -> Result<Acked, CallError> {
        let (waiter, acked) = tokio::sync::oneshot::channel();
        self.push(push, Some(waiter));
        match tokio::time::timeout(timeout, acked).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(CallError::Dropped("the simulator stopped".to_owned())),
            Err(_) => Err(CallError::Late(timeout)),
        }
    }
}
