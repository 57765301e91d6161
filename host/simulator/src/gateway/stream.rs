//! One WebSocket: a single task that writes its queue and reads acks.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Gateway;
use super::ack::AckFrame;
use crate::payload::system_frame;
use crate::record::{ClosedBy, Happening};
use crate::socket::{Socket, Switch};
use crate::state::{Connection, Outgoing, Ticket};

/// Largest message taken from a bot.
const MAX_MESSAGE: usize = 8 << 20;

/// `SYSTEM` frames whose answer is awaited on one socket; beyond it the oldest answer would be a stray.
const MAX_SYSTEM: usize = 64;

/// Characters of an unexpected text that are recorded.
const STRAY_CHARS: usize = 1_000;

/// How a socket ended.
struct End {
    by: ClosedBy,
    code: Option<u16>,
    reason: String,
}

impl End {
    fn new(by: ClosedBy, reason: impl Into<String>) -> Self {
        Self { by, code: None, reason: reason.into() }
    }
}

struct SystemFrame {
    message_id: Arc<str>,
    topic: &'static str,
    opaque: Option<String>,
}

/// What both halves of a socket's task share.
struct Line<'a> {
    gateway: &'a Arc<Gateway>,
    client_id: &'a Arc<str>,
    id: &'a Arc<str>,
    /// Sent and not yet answered.
    system: Mutex<VecDeque<SystemFrame>>,
}

/// Runs a WebSocket from the end of its handshake to its end.
pub(super) async fn run(
    gateway: Arc<Gateway>,
    ticket: Ticket,
    socket: Socket,
    switch: Arc<Switch>,
    read_ahead: Vec<u8>,
    told_to_go: Option<String>,
) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(32 << 10);
    let stream = WebSocketStream::from_partially_read(socket, read_ahead, Role::Server, Some(config)).await;
    let (queue, outgoing) = mpsc::channel(gateway.config.max_queued_frames.max(1));
    let id: Arc<str> = uuid::Uuid::new_v4().to_string().into();
    let client_id = Arc::clone(&ticket.client_id);
    let connection = Connection {
        id: Arc::clone(&id),
        subscriptions: ticket.subscriptions,
        queue,
        switch: Arc::clone(&switch),
    };
    opened(&gateway, &client_id, connection, told_to_go);
    let line = Line { gateway: &gateway, client_id: &client_id, id: &id, system: Mutex::default() };

    let (sink, source) = stream.split();
    let end = {
        let writing = line.write(sink, outgoing);
        let reading = line.read(source, &switch);
        let stopped = gateway.stopped();
        tokio::pin!(writing, reading);
        tokio::select! {
            // A close frame sent first by us is answered by the peer: keep reading for it, but not for ever.
            written = &mut writing => match written {
                Ok(reason) => {
                    let wait = std::time::Duration::from_secs(1);
                    let _ = tokio::time::timeout(wait, &mut reading).await;
                    End::new(ClosedBy::Gateway, reason)
                }
                Err(end) => end,
            },
            end = &mut reading => end,
            () = stopped => End::new(ClosedBy::Gateway, "the simulator stopped"),
        }
    };
    let end = if switch.is_cut() { End::new(ClosedBy::Gateway, "cut") } else { end };
    closed(&gateway, &client_id, &id, end);
}

fn opened(gateway: &Arc<Gateway>, client_id: &Arc<str>, connection: Connection, told_to_go: Option<String>) {
    let mut state = gateway.state();
    gateway.record(Happening::Opened {
        client_id: Arc::clone(client_id),
        connection: Arc::clone(&connection.id),
    });
    let app = gateway.know(&mut state, client_id);
    match told_to_go {
        None => app.open.push(connection),
        Some(reason) => {
            gateway.send_away(client_id, &connection, &reason);
            app.draining.push(connection);
        }
    }
    let live = (app.open.len() + app.draining.len()) as u64;
    state.stats.opened += 1;
    state.stats.open += 1;
    state.stats.max_open = state.stats.max_open.max(live);
    gateway.deliver_held(&mut state, client_id);
}

fn closed(gateway: &Gateway, client_id: &Arc<str>, id: &Arc<str>, end: End) {
    let mut state = gateway.state();
    if let Some(app) = state.apps.get_mut(client_id) {
        app.open.retain(|connection| connection.id != *id);
        app.draining.retain(|connection| connection.id != *id);
    }
    state.stats.open = state.stats.open.saturating_sub(1);
    gateway.record(Happening::Closed {
        client_id: Arc::clone(client_id),
        connection: Arc::clone(id),
        by: end.by,
        code: end.code,
        reason: end.reason,
    });
}

impl Line<'_> {
    /// Takes the connection out of the choice for pushes: a close frame was sent or received.
    fn retire(&self) {
        let mut state = self.gateway.state();
        let Some(app) = state.apps.get_mut(self.client_id) else { return };
        if let Some(at) = app.open.iter().position(|connection| connection.id == *self.id) {
            let connection = app.open.swap_remove(at);
            app.draining.push(connection);
        }
    }

    /// Writes until told to close; `Ok` is the reason given for it.
    async fn write(
        &self,
        mut sink: impl futures_util::Sink<Message, Error = Error> + Unpin,
        mut outgoing: mpsc::Receiver<Outgoing>,
    ) -> Result<&'static str, End> {
        let lost = |error: Error| End::new(ClosedBy::Lost, error.to_string());
        let mut batch = Vec::new();
        loop {
            let ping_in = self.gateway.real(self.gateway.config.ping_every);
            let next_ping = tokio::time::sleep(ping_in);
            tokio::pin!(next_ping);
            loop {
                let received = tokio::select! {
                    biased;
                    count = outgoing.recv_many(&mut batch, 256) => count,
                    () = &mut next_ping => {
                        sink.send(Message::text(self.ping())).await.map_err(lost)?;
                        break;
                    }
                };
                if received == 0 {
                    return Err(End::new(ClosedBy::Gateway, "the simulator stopped"));
                }
                for item in batch.drain(..) {
                    match item {
                        Outgoing::Text(text) => sink.feed(Message::text(text)).await.map_err(lost)?,
                        Outgoing::Ping => sink.feed(Message::text(self.ping())).await.map_err(lost)?,
                        Outgoing::Disconnect(reason) => {
                            let text = self.system("disconnect", json!({"reason": reason}), None);
                            sink.feed(Message::text(text)).await.map_err(lost)?;
                        }
                        Outgoing::Close(reason) => {
                            self.retire();
                            let frame = CloseFrame { code: CloseCode::Normal, reason: reason.into() };
                            sink.send(Message::Close(Some(frame))).await.map_err(lost)?;
                            return Ok(reason);
                        }
                    }
                }
                sink.flush().await.map_err(lost)?;
            }
        }
    }

    fn ping(&self) -> String {
        let opaque = uuid::Uuid::new_v4().to_string();
        self.system("ping", json!({"opaque": opaque}), Some(opaque))
    }

    fn system(&self, topic: &'static str, data: Value, opaque: Option<String>) -> String {
        let message_id = self.gateway.new_message_id();
        let text = system_frame(topic, &message_id, &data);
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        system.push_back(SystemFrame { message_id, topic, opaque });
        if system.len() > MAX_SYSTEM {
            system.pop_front();
        }
        text
    }

    async fn read(
        &self,
        mut source: impl futures_util::Stream<Item = Result<Message, Error>> + Unpin,
        switch: &Switch,
    ) -> End {
        let mut close = None;
        while let Some(message) = source.next().await {
            match message {
                Ok(Message::Text(text)) => self.answer(&text),
                Ok(Message::Binary(bytes)) => self.stray(&String::from_utf8_lossy(&bytes)),
                Ok(Message::Ping(_)) => self.gateway.record(Happening::PeerPing {
                    client_id: Arc::clone(self.client_id),
                    connection: Arc::clone(self.id),
                }),
                Ok(Message::Close(frame)) => {
                    self.retire();
                    // The library answers it; read on until the connection has ended.
                    close = Some(match frame {
                        Some(frame) => End {
                            by: ClosedBy::Client,
                            code: Some(frame.code.into()),
                            reason: frame.reason.as_str().to_owned(),
                        },
                        None => End::new(ClosedBy::Client, ""),
                    });
                }
                Ok(_) => {}
                Err(_) if switch.is_cut() => return End::new(ClosedBy::Gateway, "cut"),
                Err(error) => {
                    return close.unwrap_or_else(|| End::new(ClosedBy::Lost, error.to_string()));
                }
            }
        }
        close.unwrap_or_else(|| End::new(ClosedBy::Lost, "the connection ended without a close frame"))
    }

    /// One text from the bot: the answer to a frame.
    fn answer(&self, text: &str) {
        let Ok(ack) = serde_json::from_str::<Ack<'_>>(text) else { return self.stray(text) };
        let Some(message_id) = ack.headers.and_then(|headers| headers.message_id) else {
            return self.stray(text);
        };
        let data = match ack.data {
            // A JSON text, as the protocol wants it; anything else as it is.
            Some(raw) => serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned()),
            None => String::new(),
        };
        if let Some((topic, opaque)) = self.answered_system(&message_id) {
            let echoed = opaque.is_none_or(|opaque| {
                let data: Option<Value> = serde_json::from_str(&data).ok();
                data.is_some_and(|data| data.get("opaque").and_then(Value::as_str) == Some(&opaque))
            });
            return self.gateway.record(Happening::SystemAcked {
                client_id: Arc::clone(self.client_id),
                connection: Arc::clone(self.id),
                topic: topic.into(),
                code: ack.code,
                echoed,
            });
        }
        let message = ack.message.unwrap_or_default();
        if !self.gateway.ack(self.id, &message_id, AckFrame { code: ack.code, message, data }) {
            self.stray(text);
        }
    }

    fn answered_system(&self, message_id: &str) -> Option<(&'static str, Option<String>)> {
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        let at = system.iter().position(|frame| *frame.message_id == *message_id)?;
        system.remove(at).map(|frame| (frame.topic, frame.opaque))
    }

    fn stray(&self, text: &str) {
        self.gateway.state().stats.strays += 1;
        let text: String = text.chars().take(STRAY_CHARS).collect();
        self.gateway.log.write(
            Happening::Stray { client_id: Arc::clone(self.client_id), connection: Arc::clone(self.id), text },
            STRAY_CHARS,
        );
    }
}

#[derive(Deserialize)]
struct Ack<'a> {
    #[serde(default)]
    code: i64,
    #[serde(borrow)]
    headers: Option<AckHeaders<'a>>,
    message: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct AckHeaders<'a> {
    #[serde(rename = "messageId", borrow)]
    message_id: Option<Cow<'a, str>>,
}
