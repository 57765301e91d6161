//! The task that keeps one connection alive: it registers, opens, replaces and gives up sockets.
//!
//! It alone decides; the connections only report. At most one socket is *live*; replaced ones drain beside it.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    ConnectionState, StreamError,
    backoff::Backoff,
    connection::{Command, Connection, Disconnecting, End},
    shared::Shared,
};
use crate::{AppConfig, Subscriptions, Transport, open_socket, register::register_as, socket};

pub(super) struct Supervisor {
    app: Arc<AppConfig>,
    transport: Transport,
    shared: Arc<Shared>,
    subscriptions: watch::Receiver<Subscriptions>,
    /// The sender of `subscriptions` may be gone; the last value then stays.
    subscriptions_fixed: bool,
    state: watch::Sender<ConnectionState>,
    stop: oneshot::Receiver<Duration>,
    events: mpsc::UnboundedReceiver<Disconnecting>,
    event_sender: mpsc::UnboundedSender<Disconnecting>,
    tasks: JoinSet<(u64, End)>,
    live: Option<Live>,
    draining: Vec<Live>,
    attempt: Option<Attempt>,
    backoff: Backoff,
    /// No attempt before.
    not_before: Option<Instant>,
    failure: Option<StreamError>,
    next_id: u64,
}

/// A socket and its task.
struct Live {
    id: u64,
    task: tokio::task::Id,
    commands: mpsc::UnboundedSender<Command>,
    opened: Instant,
    subscriptions: Subscriptions,
    /// The gateway announced its end.
    announced: bool,
}

type Attempt = Pin<Box<dyn Future<Output = (Subscriptions, Result<Opened, StreamError>)> + Send>>;

struct Opened {
    socket: crate::Socket,
    endpoint: String,
}

impl Supervisor {
    pub(super) fn new(
        app: AppConfig,
        transport: Transport,
        shared: Arc<Shared>,
        subscriptions: watch::Receiver<Subscriptions>,
        state: watch::Sender<ConnectionState>,
        stop: oneshot::Receiver<Duration>,
    ) -> Self {
        let (event_sender, events) = mpsc::unbounded_channel();
        let settings = &shared.settings;
        Self {
            app: Arc::new(app),
            transport,
            subscriptions,
            subscriptions_fixed: false,
            state,
            stop,
            events,
            event_sender,
            tasks: JoinSet::new(),
            live: None,
            draining: Vec::new(),
            attempt: None,
            backoff: Backoff::new(settings.backoff_base, settings.backoff_max),
            not_before: None,
            failure: None,
            next_id: 0,
            shared,
        }
    }

    pub(super) async fn run(mut self) {
        let pushes = self.shared.pushes.clone();
        let grace = loop {
            self.steer();
            let wait_until = self.not_before.filter(|_| self.attempt.is_none() && self.is_wanted());
            tokio::select! {
                biased;
                grace = &mut self.stop => break grace.unwrap_or_default(),
                () = pushes.closed() => break Duration::ZERO,
                changed = self.subscriptions.changed(), if !self.subscriptions_fixed => {
                    self.subscriptions_fixed = changed.is_err();
                }
                Some(event) = self.events.recv() => self.on_disconnecting(event),
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => match ended {
                    Ok((task, (_, end))) => self.on_end(task, end),
                    Err(error) => self.on_end(error.id(), End::Broken("its task failed".to_owned())),
                },
                (subscriptions, outcome) = poll_attempt(&mut self.attempt) => {
                    self.attempt = None;
                    self.on_attempt(subscriptions, outcome);
                }
                () = sleep_until(wait_until) => self.not_before = None,
            }
        };
        self.finish(grace).await;
    }

    /// Starts what the present situation asks for.
    fn steer(&mut self) {
        let wanted = *self.subscriptions.borrow_and_update();
        if wanted.is_empty() {
            self.attempt = None;
            self.not_before = None;
            self.retire();
            self.set_state(ConnectionState::Idle);
            return;
        }
        if self.attempt.is_none() && self.not_before.is_none() && self.is_wanted() {
            if self.live.is_none() {
                self.set_state(ConnectionState::Connecting { attempt: self.backoff.attempt() });
            }
            self.attempt = Some(self.start_attempt(wanted));
        }
    }

    /// Whether a new socket is wanted: there is none, it is about to be closed, or it is registered for something else.
    fn is_wanted(&self) -> bool {
        let wanted = *self.subscriptions.borrow();
        let fits = |live: &Live| !live.announced && live.subscriptions == wanted;
        !wanted.is_empty() && !self.live.as_ref().is_some_and(fits)
    }

    fn start_attempt(&self, subscriptions: Subscriptions) -> Attempt {
        let (app, transport, shared) =
            (Arc::clone(&self.app), self.transport.clone(), Arc::clone(&self.shared));
        Box::pin(async move {
            let settings = &shared.settings;
            let opened = async {
                let registered = register_as(
                    &app,
                    &transport,
                    &subscriptions,
                    settings.register_timeout,
                    &settings.user_agent,
                );
                let registration =
                    registered.await.map_err(|error| StreamError::Registration(Arc::new(error)))?;
                let socket =
                    open_socket(&registration, &transport, settings.max_message, settings.connect_timeout)
                        .await
                        .map_err(|error| StreamError::Connect(Arc::new(error)))?;
                Ok(Opened { socket, endpoint: socket::endpoint_host(&registration.endpoint) })
            };
            (subscriptions, opened.await)
        })
    }

    fn on_attempt(&mut self, subscriptions: Subscriptions, outcome: Result<Opened, StreamError>) {
        let opened = match outcome {
            Ok(opened) => opened,
            Err(error) => return self.on_failure(error),
        };
        self.next_id += 1;
        let (commands, receiver) = mpsc::unbounded_channel();
        let connection = Connection::new(
            self.next_id,
            opened.socket,
            subscriptions,
            Arc::clone(&self.shared),
            receiver,
            self.event_sender.clone(),
        );
        let id = connection.id;
        let task = self.tasks.spawn(async move { (id, connection.run().await) }).id();
        self.shared.counters.opened.add(1);
        tracing::debug!(client_id = self.shared.client_id, endpoint = opened.endpoint, "connected");
        // Only now, with the next socket open, is the old one given up.
        self.retire();
        self.live =
            Some(Live { id, task, commands, opened: Instant::now(), subscriptions, announced: false });
        self.failure = None;
        self.not_before = None;
        self.set_state(ConnectionState::Open {
            endpoint: opened.endpoint,
            since: self.shared.settings.clock.now(),
            subscriptions,
        });
    }

    fn on_failure(&mut self, error: StreamError) {
        self.shared.counters.failed_attempts.add(1);
        let settings = &self.shared.settings;
        let mut wait = self.backoff.fail(settings.random.next());
        if let StreamError::Registration(registration) = &error {
            if registration.kind.retries_slowly() {
                wait = settings.misconfigured_retry;
            }
            wait = wait.max(registration.retry_after.unwrap_or_default());
        }
        let (client_id, hint) = (&self.shared.client_id, error.hint());
        if self.live.is_some() {
            // The state goes on saying that there is a connection, so nobody else tells.
            tracing::warn!(client_id, %error, hint, retry_in = ?wait, "no connection yet to replace the present one");
        } else {
            tracing::debug!(client_id, %error, hint, retry_in = ?wait, "no connection");
        }
        self.wait(error, wait);
    }

    fn wait(&mut self, error: StreamError, wait: Duration) {
        let until = Instant::now() + wait;
        self.not_before = Some(until);
        self.failure = Some(error);
        if self.live.is_none() {
            self.show_failure(until);
        }
    }

    fn show_failure(&self, until: Instant) {
        let Some(error) = self.failure.clone() else { return };
        let state = match &error {
            StreamError::Registration(registration) if registration.kind.is_misconfiguration() => {
                ConnectionState::Misconfigured {
                    hint: registration.hint().to_owned(),
                    error: Arc::clone(registration),
                    until,
                }
            }
            _ => ConnectionState::Waiting { error, until },
        };
        self.set_state(state);
    }

    fn on_disconnecting(&mut self, event: Disconnecting) {
        let Some(live) = self.live.as_mut().filter(|live| live.id == event.connection && !live.announced)
        else {
            return;
        };
        live.announced = true;
        let stable = live.opened.elapsed() >= self.shared.settings.stable_after;
        if stable {
            self.backoff.reset();
            self.not_before = None;
        } else if self.attempt.is_none() && self.not_before.is_none() {
            // A gateway that turns every connection away at once must not be hammered.
            let wait = self.backoff.fail(self.shared.settings.random.next());
            self.not_before = Some(Instant::now() + wait);
            self.failure =
                Some(StreamError::Lost(format!("the gateway announced its end: {}", event.reason)));
        }
    }

    fn on_end(&mut self, task: tokio::task::Id, end: End) {
        self.draining.retain(|old| old.task != task);
        let Some(live) = self.live.take_if(|live| live.task == task) else {
            tracing::debug!(client_id = self.shared.client_id, ?end, "a replaced connection ended");
            return;
        };
        let reason = match end {
            End::Finished => "it ended".to_owned(),
            End::Closed(reason) | End::Broken(reason) => {
                if !live.announced {
                    self.shared.counters.lost.add(1);
                }
                reason
            }
            End::Dead(reason) => {
                self.shared.counters.dead_peers.add(1);
                reason
            }
        };
        if let Some(until) = self.not_before {
            return self.show_failure(until);
        }
        if self.attempt.is_some() {
            return self.set_state(ConnectionState::Connecting { attempt: self.backoff.attempt() });
        }
        tracing::debug!(client_id = self.shared.client_id, reason, "connection lost");
        if live.opened.elapsed() >= self.shared.settings.stable_after {
            self.backoff.reset();
        }
        let wait = self.backoff.fail(self.shared.settings.random.next());
        self.wait(StreamError::Lost(reason), wait);
    }

    /// Lets the live socket, if any, drain.
    fn retire(&mut self) {
        let Some(old) = self.live.take() else { return };
        let _ = old.commands.send(Command::Drain(Instant::now() + self.shared.settings.drain));
        self.draining.push(old);
    }

    async fn finish(mut self, grace: Duration) {
        self.attempt = None;
        let until = Instant::now() + grace;
        for connection in self.live.iter().chain(&self.draining) {
            let _ = connection.commands.send(Command::Stop(until));
        }
        // A second for the close frame.
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(grace + Duration::from_secs(1), all).await;
        self.state.send_replace(ConnectionState::Stopped);
    }

    fn set_state(&self, state: ConnectionState) {
        self.state.send_if_modified(|current| {
            if matches!((&*current, &state), (ConnectionState::Idle, ConnectionState::Idle)) {
                return false;
            }
            *current = state;
            true
        });
    }
}

async fn poll_attempt(attempt: &mut Option<Attempt>) -> (Subscriptions, Result<Opened, StreamError>) {
    match attempt {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
