//! A reply on its way, with its retries and its own clock.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use belfry_dingtalk::{
    Advice, MAX_PARAM_BYTES, OpenApiError, OpenMessage, OutMessage, SendError, SessionWebhook,
};
use belfry_journal::{DeadLetter, EARLY, JournalError, JournalFuture, NOTICE, Position, Record};
use bytes::Bytes;
use futures_util::future::{OptionFuture, Shared};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use tracing::{debug, error, info, warn};

use crate::{
    app::App,
    message::now_ms,
    pauses::pauses,
    payload::{self, Address, Content, Sent},
    private::Private,
    recall,
};

/// Until what brought a reply about would survive the end of the process.
pub(crate) type Written = Shared<JournalFuture<'static, Result<(), JournalError>>>;

/// Becomes true, or is dropped, when what waits for it may leave.
pub(crate) type Held = watch::Receiver<bool>;

/// A reply that is to arrive: its place in the lane of its conversation.
pub(crate) struct Delivery {
    pub(crate) app: Arc<App>,
    /// The event it answers.
    pub(crate) event: Position,
    /// Its place among the replies to that event.
    pub(crate) index: u32,
    /// What is sent to one place goes in order: a conversation's full id, or [`Address::lane`].
    pub(crate) lane: Arc<str>,
    /// Whether this is its lane. Of what was left behind only the event's lane is known until it is read.
    pub(crate) placed: bool,
    /// When its time to arrive began, if that is not when it was written.
    pub(crate) since: Option<Instant>,
    /// An earlier process left it, and may have sent it.
    pub(crate) left_behind: bool,
    /// What it waits for before it leaves.
    pub(crate) written: Option<Written>,
    /// What it waits for besides.
    pub(crate) held: Option<Held>,
    /// The reply itself, as long as there is memory for it; otherwise it is read from the journal when its turn comes.
    pub(crate) kept: Option<Box<Reply>>,
}

/// What is sent, and where.
pub(crate) struct Reply {
    pub(crate) sent: Sent,
    /// The ways to answer; fixed when the message came.
    pub(crate) private: Arc<Private>,
    /// When it was written; its time to arrive counts from here.
    pub(crate) created: Instant,
    /// How often it was tried before, by a process that has ended since.
    pub(crate) attempts: u32,
    pub(crate) _room: Option<OwnedSemaphorePermit>,
}

/// What the tries so far have taught.
#[derive(Default)]
struct Course {
    attempts: Option<u32>,
    /// The webhooks of which DingTalk said that they are not valid any more.
    expired: Vec<String>,
    /// Of each part that has arrived through the OpenAPI, where a message may have to be cut smaller, the key for recalling
    /// it.
    keys: Vec<Option<String>>,
    /// The try before may have arrived.
    unknown: bool,
}

/// Why a try did not do.
struct Failure {
    advice: Advice,
    /// Whether it may have arrived all the same.
    outcome_unknown: bool,
    text: String,
}

impl Delivery {
    /// Sends it until it arrives, cannot arrive, or its time is up. `Break`: the process is about to end, and the next one
    /// finds it in the journal.
    pub(crate) async fn deliver(mut self) -> ControlFlow<()> {
        const LEFT: ControlFlow<()> = ControlFlow::Break(());
        const OVER: ControlFlow<()> = ControlFlow::Continue(());
        let app = self.app.clone();
        let mut pauses = pauses(app.limits.longest_pause);
        let mut course = Course::default();
        if self.kept.is_none() && app.stopping.is_cancelled() {
            return LEFT;
        }
        if let Some(Err(problem)) = OptionFuture::from(self.written.take()).await {
            let event = self.event.0;
            error!(app = app.name, event, %problem, "the journal cannot write a change of state yet; a crash now would repeat the work");
        }
        if let Some(mut held) = self.held.take() {
            let _ = held.wait_for(|released| *released).await;
        }
        if !self.placed {
            let Some(_loading) = app.load(&app.loading_replies).await else { return LEFT };
            let Some(reply) = self.load().await else { return OVER };
            self.placed = true;
            if let Sent::To(address, _) = reply.sent
                && *address.lane() != *self.lane
            {
                self.lane = address.lane().into();
                app.send_later(self);
                return OVER;
            }
        }
        loop {
            if let Some(limiter) = &app.replies
                && app.unless_stopping(limiter.turn(&self.lane)).await.is_none()
            {
                return LEFT;
            }
            let (reply, loading) = match self.kept.take() {
                Some(reply) => (reply, None),
                None => {
                    let Some(loading) = app.load(&app.loading_replies).await else { return LEFT };
                    let Some(reply) = self.load().await else { return OVER };
                    (reply, Some(loading))
                }
            };
            let next = pauses.next().unwrap_or(app.limits.longest_pause);
            let Some(pause) = self.try_once(&reply, &mut course, next).await else { return OVER };
            // During a pause only what is kept anyway takes memory.
            if loading.is_none() {
                self.kept = Some(reply);
            }
            drop(loading);
            if app.unless_stopping(tokio::time::sleep(pause)).await.is_none() {
                return LEFT;
            }
        }
    }

    /// The reply from the journal, if it still has to be sent.
    async fn load(&self) -> Option<Box<Reply>> {
        let (event, index) = (self.event, self.index);
        let stored = self.app.read(|| self.app.journal.pending_delivery(event, index)).await;
        let stored = match stored {
            Ok(stored) => stored?,
            Err(problem) => {
                self.give_up(0, &problem.to_string());
                return None;
            }
        };
        let created = Instant::now().checked_sub(stored.age);
        let created = self.since.or(created).unwrap_or_else(Instant::now);
        Some(Box::new(Reply {
            sent: payload::read(stored.payload),
            private: Arc::new(Private::from_bytes(&stored.private)),
            created,
            attempts: stored.attempts,
            _room: None,
        }))
    }

    /// One try. How long to wait before the next, which has a pause of `next` of its own; none if there is none.
    async fn try_once(&self, reply: &Reply, course: &mut Course, next: Duration) -> Option<Duration> {
        let attempts = course.attempts.unwrap_or(reply.attempts) + 1;
        course.attempts = Some(attempts);
        self.begin(attempts);
        let first = attempts == reply.attempts + 1;
        if std::mem::take(&mut course.unknown) || (first && self.left_behind) {
            self.app.counting.repeated.add();
        }
        let (webhook, sent) = match &reply.sent {
            Sent::ToConversation(body) => match self.webhook(reply, course) {
                Some(webhook) => {
                    let sent = self.send(&webhook, body).await;
                    (Some(webhook), sent)
                }
                None => (None, self.reply_openly(reply, body, course).await),
            },
            Sent::To(_, None) => {
                let text = "the stored message cannot be read".to_owned();
                (None, Err(Failure::for_good(text)))
            }
            Sent::To(to, Some(content)) => {
                (None, self.send_openly(&reply.private, to, content, course).await)
            }
        };
        let failure = match sent {
            Ok(()) => {
                if let Sent::To(to, _) = &reply.sent
                    && (EARLY..NOTICE).contains(&self.index)
                {
                    let robot = reply.private.robot_of(&self.app.client_id);
                    let keys = std::mem::take(&mut course.keys).into_iter().flatten().collect();
                    recall::note(&self.app, self.event, self.index, robot, to, keys).await;
                }
                self.arrived(attempts);
                return None;
            }
            Err(failure) => failure,
        };
        course.unknown = failure.outcome_unknown;
        if let (Advice::Expired, Some(webhook)) = (failure.advice, webhook) {
            debug!(
                app = self.app.name,
                event = self.event.0,
                "the session webhook has expired before its time"
            );
            course.expired.push(webhook.expose().to_owned());
            return Some(Duration::ZERO);
        }
        let until = reply.created + self.app.limits.deliver_within;
        match pause_after(failure.advice, next) {
            Some(pause) if Instant::now() + pause < until => {
                self.tell_retry(attempts, &failure, pause);
                Some(pause)
            }
            _ => {
                self.give_up(attempts, &failure.text);
                None
            }
        }
    }

    /// The webhook to use: the message's own while it is valid, else a later one of the same conversation.
    fn webhook(&self, reply: &Reply, course: &Course) -> Option<SessionWebhook> {
        // What has begun through the OpenAPI ends there: a webhook would say all of it again.
        if !course.keys.is_empty() {
            return None;
        }
        let (now, margin) = (now_ms(), self.app.limits.webhook_margin);
        let usable = |webhook: &SessionWebhook| {
            !webhook.is_expired(now, margin)
                && !course.expired.iter().any(|expired| expired == webhook.expose())
        };
        if let Some(own) = reply.private.webhook.as_ref().filter(|own| usable(own)) {
            return Some(own.clone());
        }
        self.app.route(&self.lane).filter(usable)
    }

    async fn send(&self, webhook: &SessionWebhook, body: &Bytes) -> Result<(), Failure> {
        let Ok(body) = String::from_utf8(body.to_vec()) else {
            return Err(Failure::for_good("the stored reply is not UTF-8".into()));
        };
        // Held while a connection is used, not during a pause.
        let _permit = self.app.sending.acquire().await;
        Ok(self.app.webhooks.send_body(webhook, body, None).await?)
    }

    /// Sends a reply through the OpenAPI: the webhook is no way any more.
    async fn reply_openly(&self, reply: &Reply, body: &Bytes, course: &mut Course) -> Result<(), Failure> {
        let private = &*reply.private;
        let to = match (&private.person, private.private_chat) {
            (None, true) => {
                let text =
                    "the session webhook has expired, and the OpenAPI cannot reach people without a staff id";
                return Err(Failure::for_good(text.into()));
            }
            (Some(person), _) => Address::Person(person.clone()),
            (None, false) => Address::Group(self.lane.to_string()),
        };
        let body = std::str::from_utf8(body).unwrap_or_default();
        let Some((message, _)) = OutMessage::from_body(body) else {
            let text = "the session webhook has expired, and the reply cannot be read for the OpenAPI";
            return Err(Failure::for_good(text.into()));
        };
        self.send_openly(private, &to, &Content::Message(message), course).await
    }

    /// Sends through the OpenAPI.
    async fn send_openly(
        &self,
        private: &Private,
        to: &Address,
        content: &Content,
        course: &mut Course,
    ) -> Result<(), Failure> {
        let parts: Vec<OpenMessage> = match content {
            Content::Message(message) => {
                let parts = message.clone().split_within(MAX_PARAM_BYTES);
                parts.iter().filter_map(OpenMessage::of).collect()
            }
            Content::Image(source) => vec![OpenMessage::image(source)],
            Content::File { media_id, name } => vec![OpenMessage::file(media_id, name)],
        };
        let robot = private.robot_of(&self.app.client_id);
        for open in parts.iter().skip(course.keys.len()) {
            if open.is_degraded() {
                let (event, index, key) = (self.event.0, self.index, open.key());
                info!(
                    app = self.app.name,
                    event, index, key, "a reply loses something: the OpenAPI has no such message"
                );
            }
            // The client keeps DingTalk's limit on calls, so there are never many at a time.
            let api = &self.app.open_api;
            let sent = match to {
                Address::Person(person) => self.send_to_person(robot, person, open).await,
                Address::Group(group) => api.send_to_group(robot, group, open).await,
            };
            self.app.count_calls();
            course.keys.push(sent?);
        }
        self.app.counting.through_open_api.add();
        Ok(())
    }

    async fn send_to_person(
        &self,
        robot: &str,
        person: &str,
        open: &OpenMessage,
    ) -> Result<Option<String>, OpenApiError> {
        let people = [person.to_owned()];
        let sent = self.app.open_api.send_to_people(robot, &people, open).await?;
        sent.reached(person)?;
        Ok(sent.process_query_key)
    }

    /// Notes a try after the first, so that the count goes on after a crash.
    fn begin(&self, attempt: u32) {
        if attempt > 1 {
            let delivery = Some(self.index);
            self.app.record(Record::Attempt { event: self.event, delivery, attempt });
        }
    }

    fn arrived(&self, attempts: u32) {
        self.app.counting.delivered.add();
        debug!(app = self.app.name, event = self.event.0, index = self.index, attempts, "a reply arrived");
        self.app.record(Record::Delivered { event: self.event, index: self.index });
    }

    fn tell_retry(&self, attempts: u32, failure: &Failure, pause: Duration) {
        let (event, index, reason) = (self.event.0, self.index, &failure.text);
        warn!(app = self.app.name, event, index, attempts, reason, ?pause, "a reply will be sent again");
    }

    fn give_up(&self, attempts: u32, reason: &str) {
        self.app.counting.undelivered.add();
        let (event, index) = (self.event.0, self.index);
        error!(app = self.app.name, event, index, attempts, reason, "a reply did not arrive");
        let letter =
            DeadLetter { event: self.event, delivery: Some(self.index), reason: reason.to_owned(), attempts };
        self.app.record(Record::Dead { letter, culprit: None, notice: None });
    }
}

impl Failure {
    fn for_good(text: String) -> Self {
        Self { advice: Advice::GiveUp, outcome_unknown: false, text }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let outcome_unknown = error.outcome_unknown();
        Self { advice: error.advice, outcome_unknown, text: error.to_string() }
    }
}

impl From<OpenApiError> for Failure {
    fn from(error: OpenApiError) -> Self {
        let outcome_unknown = error.outcome_unknown();
        Self { advice: error.advice, outcome_unknown, text: error.to_string() }
    }
}

/// How long to wait before the next try, which has a pause of `next` of its own; none if there is to be no next try.
fn pause_after(advice: Advice, next: Duration) -> Option<Duration> {
    match advice {
        Advice::Retry => Some(next),
        // Never sooner than without the advice: "Retry-After: 0" again and again would be a tight loop.
        Advice::Wait(asked) => Some(asked.max(next)),
        Advice::GiveUp | Advice::Expired => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_told_to_wait_never_shortens_the_pause() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(pause_after(Advice::Wait(Duration::ZERO), second), Some(second));
        assert_eq!(pause_after(Advice::Wait(minute), second), Some(minute));
        assert_eq!(pause_after(Advice::Retry, second), Some(second));
        assert_eq!(pause_after(Advice::GiveUp, second), None);
        assert_eq!(pause_after(Advice::Expired, second), None);
    }
}
