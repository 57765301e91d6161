//! One socket, owned by one task: it reads frames, writes acks and pings, and decides when the peer is dead.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use futures_util::{Sink, SinkExt, Stream};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, mpsc},
    time::{Instant, Sleep},
};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::{Push, counters::OpenSocket, liveness::Liveness, shared::Shared};
use crate::{
    AckHandle, Subscriptions,
    ack::Outgoing,
    frame::{self, Inbound, Note, Pushed},
    socket::{Socket, WebSocket, close_frame},
};

/// After so many messages in a row the others get their turn: acks are flushed, other tasks run.
const READ_BUDGET: u32 = 64;

/// The first log lines about bad frames on a socket are warnings, the rest only debug: a peer must not fill the log.
const LOUD_COMPLAINTS: u32 = 5;

/// What the supervisor tells a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Command {
    /// A successor is open: serve on until nothing is left to do, at most until then.
    Drain(Instant),
    /// Read no more; let the outstanding acks leave, at most until then.
    Stop(Instant),
}

/// What a connection tells the supervisor while it lives.
#[derive(Debug)]
pub(super) struct Disconnecting {
    pub connection: u64,
    pub reason: String,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// It was told to drain or stop, and did.
    Finished,
    /// The peer closed it.
    Closed(String),
    /// It broke.
    Broken(String),
    /// The peer was silent for too long.
    Dead(String),
}

pub(super) struct Connection {
    pub id: u64,
    ws: WebSocket,
    subscriptions: Subscriptions,
    shared: Arc<Shared>,
    acks: mpsc::UnboundedReceiver<Outgoing>,
    ack_sender: mpsc::UnboundedSender<Outgoing>,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::UnboundedSender<Disconnecting>,
    mode: Mode,
    /// Pushes whose ack has not been written.
    outstanding: usize,
    /// A push that waits for its place among the unanswered ones. While it waits nothing is read.
    held: Option<Held>,
    /// Something was written but not flushed.
    unflushed: bool,
    liveness: Liveness,
    timer: Pin<Box<Sleep>>,
    oversize_seen: u64,
    complaints: u32,
    _open: OpenSocket,
}

enum Mode {
    Serving,
    /// Until then at most; silence counts from `since` on, when the successor was open.
    Draining {
        since: Instant,
        until: Instant,
    },
    Stopping(Instant),
}

struct Held {
    push: Box<Pushed>,
    permit: Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>,
}

impl Connection {
    pub(super) fn new(
        id: u64,
        socket: Socket,
        subscriptions: Subscriptions,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedReceiver<Command>,
        events: mpsc::UnboundedSender<Disconnecting>,
    ) -> Self {
        let (ack_sender, acks) = mpsc::unbounded_channel();
        let now = Instant::now();
        Self {
            id,
            ws: socket.ws,
            subscriptions,
            acks,
            ack_sender,
            commands,
            events,
            mode: Mode::Serving,
            outstanding: 0,
            held: None,
            unflushed: false,
            liveness: Liveness::new(&shared.settings, now),
            timer: Box::pin(tokio::time::sleep_until(now)),
            oversize_seen: 0,
            complaints: 0,
            _open: OpenSocket::new(&shared.counters),
            shared,
        }
    }

    /// Serves the socket to its end.
    pub(super) async fn run(mut self) -> End {
        let end = std::future::poll_fn(|cx| self.poll(cx)).await;
        // Also towards a peer believed dead: a half-dead gateway would go on pushing into this socket.
        let farewell = async {
            match end {
                End::Broken(_) => {}
                End::Closed(_) => drop(self.ws.flush().await),
                End::Finished => drop(self.ws.send(close_frame("done")).await),
                End::Dead(_) => drop(self.ws.send(close_frame("no answer to pings")).await),
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
        self.acks.close();
        while self.acks.try_recv().is_ok() {
            self.shared.counters.acks_lost.add(1);
        }
        end
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        while let Poll::Ready(command) = self.commands.poll_recv(cx) {
            match command {
                Some(Command::Drain(until)) if matches!(self.mode, Mode::Serving) => {
                    self.mode = Mode::Draining { since: Instant::now(), until }
                }
                Some(Command::Drain(_)) => {}
                Some(Command::Stop(until)) => self.mode = Mode::Stopping(until),
                // The supervisor is gone, and with it everybody who could want this socket.
                None => return Poll::Ready(End::Finished),
            }
        }
        while let Poll::Ready(Some(ack)) = self.acks.poll_recv(cx) {
            self.outstanding = self.outstanding.saturating_sub(1);
            self.shared.counters.acks.add(1);
            if let Err(end) = self.write(Message::text(ack.text)) {
                return Poll::Ready(end);
            }
        }
        if let Err(end) = self.read(cx).and_then(|()| self.flush(cx)) {
            return Poll::Ready(end);
        }
        loop {
            match self.on_time(Instant::now()) {
                Ok(deadline) if deadline == self.timer.deadline() => {}
                Ok(deadline) => self.timer.as_mut().reset(deadline),
                Err(end) => return Poll::Ready(end),
            }
            // A ping may have been written.
            if let Err(end) = self.flush(cx) {
                return Poll::Ready(end);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Reads until nothing is there, a push has to wait, or the budget is spent.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        for _ in 0..READ_BUDGET {
            if let Some(held) = &mut self.held {
                let Poll::Ready(permit) = held.permit.as_mut().poll(cx) else { return Ok(()) };
                // Silence while nothing was read says nothing about the peer.
                self.heard();
                if let Some(held) = self.held.take() {
                    self.hand_over(*held.push, permit.ok());
                }
            }
            if matches!(self.mode, Mode::Stopping(_)) {
                return Ok(());
            }
            match Pin::new(&mut self.ws).poll_next(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Some(Ok(message))) => self.on_message(message)?,
                Poll::Ready(Some(Err(error))) => return Err(End::Broken(error.to_string())),
                Poll::Ready(None) => return Err(End::Closed("the peer closed the connection".to_owned())),
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn on_message(&mut self, message: Message) -> Result<(), End> {
        self.heard();
        match message {
            Message::Binary(bytes) => self.on_frame(&bytes),
            Message::Text(text) => self.on_frame(text.as_bytes()),
            Message::Close(reason) => {
                let reason = reason.map(|frame| format!("{} {}", frame.code, frame.reason));
                Err(End::Closed(reason.unwrap_or_else(|| "no reason given".to_owned())))
            }
            // tungstenite answers pings by itself.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn heard(&mut self) {
        self.liveness.heard(Instant::now());
        self.shared.counters.last_inbound.set(self.now_ms());
    }

    fn now_ms(&self) -> u64 {
        let since = self.shared.settings.clock.now().duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }

    fn on_frame(&mut self, bytes: &[u8]) -> Result<(), End> {
        let shared = Arc::clone(&self.shared);
        let counters = &shared.counters;
        counters.frames.add(1);
        counters.last_frame_ms.set(counters.last_inbound.get());
        match frame::classify(bytes, &self.subscriptions) {
            Inbound::Push(push) => {
                counters.pushes_received.add(1);
                self.on_push(push);
                Ok(())
            }
            Inbound::Answer { ack, note } => {
                match note {
                    Note::System => {}
                    Note::UnknownTopic(what) => {
                        counters.pushes_received.add(1);
                        counters.unknown_topics.add(1);
                        self.complain("answered 404", &what);
                    }
                    Note::Malformed(why) => {
                        counters.malformed.add(1);
                        self.complain("answered 400 to a malformed frame", &why);
                    }
                    Note::Garbage(why) => self.on_garbage(&why),
                }
                counters.acks.add(1);
                self.write(Message::text(ack))
            }
            Inbound::Disconnect { ack, reason } => {
                counters.disconnects.add(1);
                counters.acks.add(1);
                tracing::info!(
                    client_id = shared.client_id,
                    reason,
                    "the gateway will close this connection; opening the next one"
                );
                let _ = self.events.send(Disconnecting { connection: self.id, reason });
                self.write(Message::text(ack))
            }
            Inbound::Ignore { malformed: true, why } => {
                counters.malformed.add(1);
                self.complain("ignored a malformed frame", &why);
                Ok(())
            }
            Inbound::Ignore { malformed: false, why } => {
                self.on_garbage(&why);
                Ok(())
            }
        }
    }

    fn on_garbage(&mut self, why: &str) {
        let oversize = self.ws.get_ref().oversize();
        if oversize > self.oversize_seen {
            self.oversize_seen = oversize;
            self.shared.counters.oversize.add(1);
            let limit = self.shared.settings.max_message;
            self.complain("skipped a message over the size limit", &format!("the limit is {limit} bytes"));
        } else {
            self.shared.counters.garbage.add(1);
            self.complain("ignored a message that is not a JSON frame", why);
        }
    }

    fn complain(&mut self, what: &'static str, why: &str) {
        self.complaints = self.complaints.saturating_add(1);
        let client_id = &self.shared.client_id;
        match self.complaints.cmp(&LOUD_COMPLAINTS) {
            std::cmp::Ordering::Less => tracing::warn!(client_id, why, "{what}"),
            std::cmp::Ordering::Equal => {
                tracing::warn!(
                    client_id,
                    why,
                    "{what}; further bad frames on this connection are logged at debug level"
                );
            }
            std::cmp::Ordering::Greater => tracing::debug!(client_id, why, "{what}"),
        }
    }

    fn on_push(&mut self, push: Box<Pushed>) {
        tracing::debug!(
            client_id = self.shared.client_id,
            topic = push.headers.topic,
            message_id = push.headers.message_id,
            "push"
        );
        if push.topic.is_synchronous() {
            // Somebody waits for the answer, so it neither waits for others nor holds them up.
            let permit = Arc::clone(&self.shared.synchronous).try_acquire_owned().ok();
            if permit.is_none() {
                self.shared.counters.overloaded.add(1);
                self.ack_handle(&push, None).error(500, "too many callbacks at once");
                return;
            }
            return self.hand_over(*push, permit);
        }
        match Arc::clone(&self.shared.unacked).try_acquire_owned() {
            Ok(permit) => self.hand_over(*push, Some(permit)),
            Err(_) => {
                self.shared.counters.stalls.add(1);
                tracing::debug!(
                    client_id = self.shared.client_id,
                    "too many pushes without an ack: reading stops"
                );
                let permit = Box::pin(Arc::clone(&self.shared.unacked).acquire_owned());
                self.held = Some(Held { push, permit });
            }
        }
    }

    fn ack_handle(&mut self, push: &Pushed, permit: Option<OwnedSemaphorePermit>) -> AckHandle {
        self.outstanding += 1;
        AckHandle::new(
            push.topic,
            push.headers.message_id.clone(),
            self.ack_sender.clone(),
            Arc::clone(&self.shared.counters),
            permit,
        )
    }

    fn hand_over(&mut self, pushed: Pushed, permit: Option<OwnedSemaphorePermit>) {
        let ack = self.ack_handle(&pushed, permit);
        let push = Push { topic: pushed.topic, headers: pushed.headers, data: pushed.data, ack };
        // The channel has a place for every permit, so only a receiver that is gone refuses; the dropped handle then
        // answers 500.
        if self.shared.pushes.try_send(push).is_ok() {
            self.shared.counters.pushes.add(1);
        }
    }

    fn write(&mut self, message: Message) -> Result<(), End> {
        self.unflushed = true;
        Pin::new(&mut self.ws).start_send(message).map_err(|error| End::Broken(error.to_string()))
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if !self.unflushed {
            return Ok(());
        }
        match Pin::new(&mut self.ws).poll_flush(cx) {
            Poll::Ready(Ok(())) => self.unflushed = false,
            Poll::Ready(Err(error)) => return Err(End::Broken(error.to_string())),
            Poll::Pending => {}
        }
        Ok(())
    }

    /// Does what is due and returns when something will be due next.
    fn on_time(&mut self, now: Instant) -> Result<Instant, End> {
        let settings = &self.shared.settings;
        let nothing_left = self.outstanding == 0 && self.held.is_none() && !self.unflushed;
        let leave_at = match self.mode {
            Mode::Serving => None,
            Mode::Stopping(_) if nothing_left => Some(now),
            Mode::Stopping(until) => Some(until),
            // The gateway may have chosen this socket for a push before it knew of the next one.
            Mode::Draining { since, until } if nothing_left => {
                Some(until.min(self.liveness.last_inbound().max(since) + settings.drain_quiet))
            }
            Mode::Draining { until, .. } => Some(until),
        };
        if leave_at.is_some_and(|at| at <= now) {
            return Err(End::Finished);
        }
        let reading = self.held.is_none() && !matches!(self.mode, Mode::Stopping(_));
        let due = self.liveness.due(settings, reading, now).map_err(End::Dead)?;
        if due.clock_jumped {
            tracing::info!(
                client_id = self.shared.client_id,
                "the clock jumped; checking whether the connection survived"
            );
            self.shared.counters.clock_jumps.add(1);
        }
        if due.ping {
            self.write(Message::Ping(Bytes::from_static(b"belfry")))?;
        }
        Ok(leave_at.map_or(due.next, |at| at.min(due.next)))
    }
}
