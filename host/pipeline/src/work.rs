//! A message that is to be handled, with its tries.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use belfry_dingtalk::{BotMessage, OutMessage};
use belfry_event::CloudEvent;
use belfry_journal::{Culprit, DeadLetter, NOTICE, Position, Record, StoredEvent};
use belfry_plugin_host::{CallError, Done, Plugin, types};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};
use tracing::{debug, error, warn};

use crate::{
    admission::Verdict,
    app::App,
    delivery::Written,
    effects::{Effects, Origin},
    message,
    pauses::pauses,
    private::Private,
    reply::{self, Outgoing, Ways},
    store::{PluginWrites, Refused},
};

/// So often a message is handled again at once because another call was faster; then with pauses.
const MOST_CONFLICTS: u32 = 10;

/// A message in the journal that is to be handled: its place in the lane of its conversation.
pub(crate) struct Work {
    pub(crate) app: Arc<App>,
    pub(crate) position: Position,
    pub(crate) conversation: Arc<str>,
    /// The message itself, as long as there is memory for it; otherwise it is read from the journal when its turn comes.
    pub(crate) kept: Option<Box<Loaded>>,
}

/// The message, ready to be handled.
pub(crate) struct Loaded {
    pub(crate) message: Arc<types::Message>,
    pub(crate) private: Arc<Private>,
    /// What is answered without asking a plugin; empty: nothing.
    pub(crate) answer: Option<String>,
    pub(crate) _room: Option<OwnedSemaphorePermit>,
}

/// The tries so far.
#[derive(Default)]
struct Tries {
    /// When no further one may begin or go on; known once the first has begun.
    until: Option<Instant>,
    /// How often another call had changed a value that was built upon.
    conflicts: u32,
    failed: Option<Failure>,
    /// What the replies wait for, once there are any.
    written: Option<Written>,
}

/// What the plugins made of a message.
struct Answer {
    /// Who handled it, or was the last to write something.
    plugin: String,
    generation: u64,
    /// None if nobody handled it.
    replies: Option<Vec<types::Reply>>,
    /// What is to be stored, also of those that passed.
    writes: Vec<PluginWrites>,
}

/// A plugin's failure.
struct Failure {
    plugin: String,
    generation: u64,
    error: CallError,
}

impl Work {
    /// Has the message handled, again and again while that fails for a while only. Tries after the first end at
    /// `handle_within`, so that a failing handler does not hold its conversation back for longer.
    pub(crate) async fn handle(mut self) -> ControlFlow<()> {
        const LEFT: ControlFlow<()> = ControlFlow::Break(());
        const OVER: ControlFlow<()> = ControlFlow::Continue(());
        let app = self.app.clone();
        let mut pauses = pauses(app.limits.longest_pause);
        let mut tries = Tries::default();
        loop {
            // The journal has it, and the next process will take it up.
            if app.stopping.is_cancelled() {
                return LEFT;
            }
            let (mut loaded, loading) = match self.kept.take() {
                Some(loaded) => (loaded, None),
                None => {
                    let Some(loading) = app.load(&app.loading_messages).await else { return LEFT };
                    let Some(loaded) = self.load().await else { return OVER };
                    (loaded, Some(loading))
                }
            };
            let next = pauses.next().unwrap_or(app.limits.longest_pause);
            // Boxed: while many wait for their turn, only those that have it take the memory of a call.
            let Some(pause) = Box::pin(self.try_once(&mut loaded, &mut tries, next)).await else {
                if let Some(written) = tries.written.take() {
                    // Where it fails, whoever delivers says so.
                    let _ = written.await;
                }
                return OVER;
            };
            // During a pause only what is kept anyway takes memory.
            if loading.is_none() {
                Arc::make_mut(&mut loaded.message).attempt += 1;
                self.kept = Some(loaded);
            }
            drop(loading);
            if app.unless_stopping(tokio::time::sleep(pause)).await.is_none() {
                return LEFT;
            }
        }
    }

    /// The message from the journal, if it is still to be handled.
    async fn load(&self) -> Option<Box<Loaded>> {
        let stored = self.app.read(|| self.app.journal.pending_event(self.position)).await;
        let (loaded, attempts) = match stored {
            Ok(stored) => {
                let stored = stored?;
                let attempts = stored.attempts;
                (Loaded::from_stored(&self.app, stored), attempts)
            }
            Err(problem) => (Err(problem.to_string()), 0),
        };
        match loaded {
            Ok(loaded) => Some(Box::new(loaded)),
            Err(reason) => {
                self.app.give_up_stored(DeadLetter {
                    event: self.position,
                    delivery: None,
                    reason,
                    attempts,
                });
                None
            }
        }
    }

    /// One try. How long to wait before the next, which has a pause of `next` of its own; none if there is none.
    async fn try_once(&self, loaded: &mut Loaded, tries: &mut Tries, next: Duration) -> Option<Duration> {
        let app = &self.app;
        if let Some(answer) = loaded.answer.take() {
            let answer = Some(answer).filter(|answer| !answer.is_empty());
            let messages =
                answer.map(|answer| Outgoing::Reply(OutMessage::text(answer))).into_iter().collect();
            // Nothing was written that could be refused.
            tries.written = self.complete(loaded, messages, Vec::new()).ok().flatten();
            return None;
        }
        // Noted, so that a try after a crash knows that it is not the first.
        let attempt = loaded.message.attempt;
        app.record(Record::Attempt { event: self.position, delivery: None, attempt });
        let asked = match (tries.until, tries.failed.take()) {
            (Some(until), Some(before)) => match timeout_at(until, self.ask_plugins(loaded)).await {
                Ok(asked) => asked,
                Err(_) => Err(before),
            },
            _ => {
                tries.until.get_or_insert_with(|| Instant::now() + app.limits.handle_within);
                self.ask_plugins(loaded).await
            }
        };
        let failure = match asked {
            Ok(answer) => match self.answered(loaded, answer) {
                Ok(written) => {
                    tries.written = written;
                    return None;
                }
                Err((plugin, generation, Refused::Failed { plugin: culprit, error })) => {
                    let plugin = culprit.map_or(plugin, |culprit| culprit.to_string());
                    Failure { plugin, generation, error }
                }
                Err((plugin, generation, Refused::Conflict)) => {
                    tries.conflicts += 1;
                    app.counting.retries.add();
                    debug!(
                        app = app.name,
                        plugin,
                        msg_id = loaded.message.id,
                        attempt,
                        "another call was faster: once more"
                    );
                    if tries.conflicts <= MOST_CONFLICTS {
                        return Some(Duration::ZERO);
                    }
                    let reason = format!(
                        "plugin `{plugin}` swapped a value that other calls have changed each time, {} times",
                        tries.conflicts
                    );
                    Failure { plugin, generation, error: CallError::Temporary(reason) }
                }
            },
            Err(failure) => failure,
        };
        let in_time = tries.until.is_some_and(|until| Instant::now() + next < until);
        if !failure.error.is_temporary() || !in_time {
            tries.written = self.fail(loaded, &failure);
            return None;
        }
        warn!(
            app = app.name,
            plugin = failure.plugin,
            msg_id = loaded.message.id,
            attempt,
            reason = failure.error.reason(),
            "a message will be tried again"
        );
        app.counting.retries.add();
        tries.failed = Some(failure);
        Some(next)
    }

    /// Asks one plugin after the other until one does not pass.
    async fn ask_plugins(&self, loaded: &Loaded) -> Result<Answer, Failure> {
        let table = self.app.router.table();
        let (message, origin) = (&loaded.message, self.origin(loaded));
        let generation = table.generation();
        let mut answer = Answer { plugin: String::new(), generation, replies: None, writes: Vec::new() };
        for plugin in &table.asked_about(message) {
            let failed = |error| Failure { plugin: plugin.name().to_owned(), generation, error };
            let context = self.app.context(&origin, plugin, table.infos.clone(), None);
            let done = plugin.on_message(message.clone(), &context).await.map_err(failed)?;
            if !done.writes.is_empty() {
                plugin.name().clone_into(&mut answer.plugin);
                answer.writes.push(PluginWrites::of(plugin, done.writes));
            }
            match done.value {
                types::Outcome::Pass => {}
                types::Outcome::Reply(replies) if replies.len() > self.app.limits.replies => {
                    let reason = format!(
                        "plugin `{}` returned {} replies to one message; {} is the most",
                        plugin.name(),
                        replies.len(),
                        self.app.limits.replies
                    );
                    return Err(failed(CallError::Permanent(reason)));
                }
                types::Outcome::Reply(replies) => {
                    plugin.name().clone_into(&mut answer.plugin);
                    answer.replies = Some(replies);
                    break;
                }
            }
        }
        for plugin in &table.observers(message) {
            let context = self.app.context(&origin, plugin, table.infos.clone(), None);
            self.observe(plugin, plugin.on_message(message.clone(), &context).await, &mut answer);
        }
        Ok(answer)
    }

    /// Who looks on takes nothing and holds nothing up: its failure is told and forgotten, and only its writes count.
    fn observe(
        &self,
        plugin: &Plugin,
        observed: Result<Done<types::Outcome>, CallError>,
        answer: &mut Answer,
    ) {
        let (app, name) = (&self.app.name, plugin.name());
        let done = match observed {
            Ok(done) => done,
            Err(problem) => {
                let reason = problem.reason();
                warn!(app, plugin = name, event = self.position.0, reason, "a plugin that observes failed");
                return;
            }
        };
        if matches!(&done.value, types::Outcome::Reply(replies) if !replies.is_empty()) {
            warn!(
                app,
                plugin = name,
                event = self.position.0,
                "replies of a plugin that observes are dropped"
            );
        }
        if !done.writes.is_empty() {
            answer.writes.push(PluginWrites::of(plugin, done.writes));
        }
    }

    /// Stores what the plugins made of the message. An error comes with the plugin and the generation it is about.
    fn answered(&self, loaded: &Loaded, answer: Answer) -> Result<Option<Written>, (String, u64, Refused)> {
        let (app, msg_id) = (&self.app, &loaded.message.id);
        let Answer { plugin, generation, replies, writes } = answer;
        let handled = replies.is_some();
        let replies = replies.unwrap_or_default();
        let count = replies.len();
        let conversation = Some(&*self.conversation);
        let ways = Ways { private: &loaded.private, conversation, plugin: &plugin };
        let messages = reply::replies(replies, &ways);
        let written = match self.complete(loaded, messages, writes) {
            Ok(written) => written,
            Err(refused) => return Err((plugin, generation, refused)),
        };
        if handled {
            app.counting.handled.add();
            debug!(app = app.name, plugin, msg_id, replies = count, "handled");
        } else {
            app.counting.unclaimed.add();
            debug!(app = app.name, msg_id, "no plugin took the message");
        }
        Ok(written)
    }

    /// Writes what came of the message as one record, and sets the replies on their way.
    fn complete(
        &self,
        loaded: &Loaded,
        messages: Vec<Outgoing>,
        writes: Vec<PluginWrites>,
    ) -> Result<Option<Written>, Refused> {
        let origin = self.origin(loaded);
        let payload =
            |(index, message): (u32, &Outgoing)| message.payload(&origin.uuid(&self.app.client_id, index));
        let deliveries = (0..).zip(&messages).map(payload).collect();
        let effects = Effects { deliveries, writes, events: Vec::new() };
        self.app.complete_noting(&origin, effects).map(|(_, written)| written)
    }

    fn origin(&self, loaded: &Loaded) -> Origin {
        Origin {
            position: self.position,
            id: loaded.message.id.as_str().into(),
            lane: self.conversation.clone(),
            in_conversation: true,
            private: loaded.private.clone(),
        }
    }

    /// The message cannot be handled: it is kept as a dead letter, and whoever wrote it is told.
    fn fail(&self, loaded: &Loaded, failure: &Failure) -> Option<Written> {
        let app = &self.app;
        app.counting.failed.add();
        error!(
            app = app.name,
            plugin = failure.plugin,
            generation = failure.generation,
            msg_id = loaded.message.id,
            attempt = loaded.message.attempt,
            reason = failure.error.reason(),
            "a message could not be handled"
        );
        let letter = DeadLetter {
            event: self.position,
            delivery: None,
            reason: failure.error.reason().to_owned(),
            attempts: loaded.message.attempt,
        };
        let culprit = Some(Culprit { plugin: failure.plugin.clone(), generation: failure.generation });
        let origin = self.origin(loaded);
        let notice = app
            .failure_reply_of(&failure.plugin)
            .map(|text| OutMessage::text(text).to_body(Some(&origin.uuid(&app.client_id, NOTICE))).into());
        app.give_up(&origin, letter, culprit, notice)
    }
}

impl Loaded {
    pub(crate) fn from_stored(app: &App, stored: StoredEvent) -> Result<Self, String> {
        let (event, parsed, raw) = read(&stored.payload)?;
        // The config may have changed since: whoever is not allowed now is not answered by a plugin.
        let answer = match app.admission.judge(&parsed) {
            Verdict::Admit => None,
            Verdict::Deny { answer } => {
                app.counting.denied.add();
                Some(answer.ok_or_else(|| "the sender is not in allowed_users any more".to_owned())?)
            }
            Verdict::Empty | Verdict::OverQuota { .. } => Some(String::new()),
        };
        let mut message = message::to_plugin(&app.name, &event.id, parsed, raw);
        message.attempt = stored.attempts.saturating_add(1);
        let private = Arc::new(Private::from_bytes(&stored.private));
        Ok(Self { message: Arc::new(message), private, answer, _room: None })
    }
}

/// A stored event as the message that plugins get, on its first attempt: to try a plugin on it.
///
/// # Errors
///
/// In words, when the bytes are no event with a message of DingTalk's.
pub fn read_message(payload: &[u8]) -> Result<types::Message, String> {
    let (event, parsed, raw) = read(payload)?;
    let app = message::app_of(&event)
        .ok_or_else(|| format!("its source `{}` is no app of DingTalk's", event.source))?
        .to_owned();
    Ok(message::to_plugin(&app, &event.id, parsed, raw))
}

fn read(payload: &[u8]) -> Result<(CloudEvent, BotMessage, String), String> {
    let event =
        CloudEvent::from_json(payload).map_err(|error| format!("the event cannot be read: {error}"))?;
    if event.kind != message::MESSAGE_RECEIVED {
        return Err(format!("it is no message but `{}`", event.kind));
    }
    let raw = event.json_data().ok_or_else(|| "the event has no data".to_owned())?.to_owned();
    let parsed = BotMessage::parse(&raw).map_err(|error| error.to_string())?;
    Ok((event, parsed, raw))
}
