//! The path of a message, from the push to the end of its replies.

use std::sync::Arc;

use belfry_dingtalk::{
    AckHandle, BotMessage, OutMessage, Push, SessionWebhook, Topic, WebhookClient, WebhookPolicy,
    redacted_raw,
};
use belfry_journal::{
    Appended, Completion, Culprit, DeadLetter, Journal, JournalError, NewEvent, Position, Record,
};
use belfry_plugin_host::{CallContext, CallError, Plugins, types};
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesOrdered};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::{
    AppSettings, PipelineConfig, PipelineLimits,
    admission::{Admission, Verdict},
    counters::Counting,
    delivery::{Delivery, pauses},
    lanes::Lanes,
    message,
    private::Private,
    reply,
    routing::Router,
};

/// No id of DingTalk's comes near this many bytes. Ids are remembered, so a message with a longer one is left out.
const LONGEST_ID: usize = 1024;

/// One app: everything that must not be shared with another.
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) client_id: String,
    pub(crate) admission: Admission,
    pub(crate) router: Router,
    pub(crate) webhooks: WebhookClient,
    /// One permit for each reply that is being sent.
    pub(crate) sending: Semaphore,
    pub(crate) counting: Counting,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) limits: PipelineLimits,
    handling: Arc<Lanes<Work>>,
    delivering: Arc<Lanes<Delivery>>,
}

/// A message in the journal that is to be handled.
pub(crate) struct Work {
    pub(crate) app: Arc<App>,
    pub(crate) position: Position,
    /// The conversation: its lane.
    pub(crate) lane: Arc<str>,
    pub(crate) message: Arc<types::Message>,
    pub(crate) webhook: Option<Arc<SessionWebhook>>,
    /// What is answered without asking a plugin; empty: nothing.
    pub(crate) answer: Option<String>,
}

/// What the plugins made of a message.
enum Answer {
    Handled { plugin: String, replies: Vec<types::Reply> },
    Unclaimed,
}

/// A plugin's failure.
struct Failure {
    plugin: String,
    generation: u64,
    error: CallError,
}

impl App {
    pub(crate) fn new(
        settings: &AppSettings,
        config: &PipelineConfig,
        plugins: Arc<Plugins>,
        journal: Arc<dyn Journal>,
        tasks: &TaskTracker,
    ) -> Self {
        let limits = config.limits;
        let allowed = &settings.allowed_users;
        Self {
            name: settings.name.clone(),
            client_id: settings.dingtalk.client_id.clone(),
            admission: Admission::new(allowed, settings.denied_reply.clone(), limits.denied_told),
            router: Router::new(plugins, settings.plugins.clone()),
            webhooks: WebhookClient::new(&config.transport, WebhookPolicy::for_app(&settings.dingtalk)),
            sending: Semaphore::new(limits.sending.max(1)),
            counting: Counting::default(),
            journal,
            limits,
            handling: Lanes::new(tasks.clone(), |work: Work| work.app.clone().handle(work)),
            delivering: Lanes::new(tasks.clone(), |delivery: Delivery| delivery.deliver()),
        }
    }

    /// Takes the pushes of the connection until it ends. The journal is written to for several at a time, and they
    /// leave it in the order in which they came.
    pub(crate) async fn take(self: Arc<Self>, mut pushes: mpsc::Receiver<Push>) {
        let mut appending = FuturesOrdered::new();
        let mut open = true;
        loop {
            tokio::select! {
                biased;
                Some((ack, work, appended)) = appending.next() => self.stored(ack, work, appended),
                push = pushes.recv(), if open && appending.len() < self.limits.appending => match push {
                    Some(push) => if let Some((ack, work, event)) = self.receive(push) {
                        let app = self.clone();
                        appending.push_back(async move { (ack, work, app.append(event).await) });
                    },
                    None => open = false,
                },
                else => break,
            }
        }
    }

    /// Reads a push and decides whether it goes on. What does not is acknowledged here, so that it never comes again.
    fn receive(self: &Arc<Self>, push: Push) -> Option<(AckHandle, Work, NewEvent)> {
        if push.topic != Topic::BotMessage {
            push.ack.error(404, "no handler");
            return None;
        }
        let parsed = match BotMessage::parse(&push.data) {
            Ok(parsed) => parsed,
            Err(problem) => {
                self.counting.unreadable.add();
                warn!(app = self.name, message_id = push.headers.message_id, %problem, "a message is left out");
                push.ack.success();
                return None;
            }
        };
        if let Some(field) = overlong_id(&parsed, &push.headers.message_id) {
            self.counting.unreadable.add();
            warn!(app = self.name, field, "a message is left out: an id has more than {LONGEST_ID} bytes");
            push.ack.success();
            return None;
        }
        let answer = match self.admission.judge(&parsed) {
            Verdict::Admit => None,
            Verdict::Deny { answer } => {
                self.counting.denied.add();
                let sender = parsed.sender.staff_id.as_deref().unwrap_or("(no staff id)");
                info!(app = self.name, sender, "a message is refused: the sender is not in allowed_users");
                if answer.is_none() {
                    push.ack.success();
                    return None;
                }
                answer
            }
            Verdict::Empty => {
                self.counting.empty.add();
                push.ack.success();
                return None;
            }
            Verdict::OverQuota { code, message } => {
                if self.counting.over_quota.add().is_power_of_two() {
                    error!(
                        app = self.name,
                        code,
                        dingtalk = message,
                        "a message came without content: the organisation's monthly quota of Stream pushes is used up \
                         (20001); buy more or wait for the next month"
                    );
                }
                push.ack.success();
                return None;
            }
        };
        Some(self.prepare(push, parsed, answer))
    }

    /// The event for the journal, and the work that follows when it is there.
    fn prepare(
        self: &Arc<Self>,
        push: Push,
        parsed: BotMessage,
        answer: Option<String>,
    ) -> (AckHandle, Work, NewEvent) {
        let raw = redacted_raw(&push.data);
        let dedupe = dedupe_key(&self.client_id, parsed.msg_id.as_deref(), &push.headers.message_id);
        let id = parsed.msg_id.clone().unwrap_or_else(|| push.headers.message_id.clone());
        let webhook = parsed.webhook.clone();
        let event = NewEvent {
            key: format!("{}/{}", self.client_id, parsed.conversation.id),
            dedupe: vec![dedupe],
            payload: message::to_event(&self.name, &id, &parsed, &raw).to_json().into(),
            private: Private::new(&self.client_id, webhook.as_ref()).to_bytes(),
        };
        let work = Work {
            app: self.clone(),
            position: Position(0),
            lane: parsed.conversation.id.as_str().into(),
            message: Arc::new(message::to_plugin(&self.name, &id, parsed, raw)),
            webhook: webhook.map(Arc::new),
            answer,
        };
        (push.ack, work, event)
    }

    /// Stores an event. While the disk does not take it, it is tried again and not acknowledged, so that DingTalk keeps
    /// it: what piles up is bounded by what may be without an acknowledgement.
    async fn append(&self, event: NewEvent) -> Result<Appended, JournalError> {
        let mut pauses = pauses(self.limits.longest_pause);
        loop {
            let problem = match self.journal.append(event.clone()).await {
                Err(problem @ (JournalError::DiskFull { .. } | JournalError::Storage { .. })) => problem,
                decided => return decided,
            };
            let pause = pauses.next().unwrap_or(self.limits.longest_pause);
            error!(app = self.name, %problem, ?pause, "a message cannot be stored yet, so it is not acknowledged");
            tokio::time::sleep(pause).await;
        }
    }

    /// The journal has answered: now, and not before, the gateway is told.
    fn stored(&self, ack: AckHandle, mut work: Work, appended: Result<Appended, JournalError>) {
        match appended {
            Ok(Appended::New(position)) => {
                ack.success();
                self.counting.received.add();
                work.position = position;
                Self::enqueue(work);
            }
            Ok(Appended::Duplicate) => {
                ack.success();
                self.counting.duplicates.add();
                debug!(app = self.name, msg_id = work.message.id, "a repeated message is dropped");
            }
            Err(problem) => {
                error!(app = self.name, msg_id = work.message.id, %problem, "a message could not be stored; DingTalk will send it again");
                ack.error(500, "not stored");
            }
        }
    }

    /// Puts a message behind the others of its conversation.
    pub(crate) fn enqueue(work: Work) {
        work.app.handling.clone().push(work.lane.clone(), work);
    }

    /// Puts a reply behind the others of its conversation.
    pub(crate) fn send_later((lane, delivery): (Arc<str>, Delivery)) {
        delivery.app.delivering.clone().push(lane, delivery);
    }

    /// Has the message handled, again and again while that fails for a while only. Tries after the first end at
    /// `handle_within`, so that a failing handler does not hold its conversation back for longer.
    async fn handle(self: Arc<Self>, mut work: Work) {
        if let Some(answer) = work.answer.take() {
            let messages = if answer.is_empty() { Vec::new() } else { vec![OutMessage::text(answer)] };
            self.complete(work, messages);
            return;
        }
        let until = Instant::now() + self.limits.handle_within;
        let mut pauses = pauses(self.limits.longest_pause);
        self.begin(&work);
        let mut asked = self.ask_plugins(&work.message).await;
        loop {
            let failure = match asked {
                Ok(answer) => return self.answered(work, answer),
                Err(failure) => failure,
            };
            let pause = pauses.next().unwrap_or(self.limits.longest_pause);
            if !failure.error.is_temporary() || Instant::now() + pause >= until {
                return self.fail(&work, &failure);
            }
            warn!(
                app = self.name,
                plugin = failure.plugin,
                msg_id = work.message.id,
                attempt = work.message.attempt,
                reason = failure.error.reason(),
                "a message will be tried again"
            );
            self.counting.retries.add();
            tokio::time::sleep(pause).await;
            Arc::make_mut(&mut work.message).attempt += 1;
            self.begin(&work);
            asked = match timeout_at(until, self.ask_plugins(&work.message)).await {
                Ok(asked) => asked,
                Err(_) => return self.fail(&work, &failure),
            };
        }
    }

    /// Notes that a try begins, so that one after a crash knows that it is not the first.
    fn begin(&self, work: &Work) {
        let (event, attempt) = (work.position, work.message.attempt);
        self.record(Record::Attempt { event, delivery: None, attempt });
    }

    /// Asks one plugin after the other until one does not pass.
    async fn ask_plugins(&self, message: &Arc<types::Message>) -> Result<Answer, Failure> {
        let table = self.router.table();
        let context = CallContext { plugins: table.infos.clone() };
        for plugin in table.asked_about(message) {
            let failed =
                |error| Failure { plugin: plugin.name().to_owned(), generation: table.generation(), error };
            match plugin.on_message(message.clone(), &context).await.map_err(failed)? {
                types::Outcome::Pass => {}
                types::Outcome::Reply(replies) if replies.len() > self.limits.replies => {
                    let reason = format!(
                        "plugin `{}` returned {} replies to one message; {} is the most",
                        plugin.name(),
                        replies.len(),
                        self.limits.replies
                    );
                    return Err(failed(CallError::Permanent(reason)));
                }
                types::Outcome::Reply(replies) => {
                    return Ok(Answer::Handled { plugin: plugin.name().to_owned(), replies });
                }
            }
        }
        Ok(Answer::Unclaimed)
    }

    fn answered(&self, work: Work, answer: Answer) {
        match answer {
            Answer::Handled { plugin, replies } => {
                self.counting.handled.add();
                debug!(app = self.name, plugin, msg_id = work.message.id, replies = replies.len(), "handled");
                let private = work.message.conversation.kind == types::ConversationKind::Private;
                let messages = reply::to_messages(replies, private, &plugin);
                self.complete(work, messages);
            }
            Answer::Unclaimed => {
                self.counting.unclaimed.add();
                debug!(app = self.name, msg_id = work.message.id, "no plugin took the message");
                self.complete(work, Vec::new());
            }
        }
    }

    /// Writes what came of the message as one record, and sets the replies on their way.
    fn complete(&self, work: Work, messages: Vec<OutMessage>) {
        let bodies: Vec<String> = (0..)
            .zip(&messages)
            .map(|(index, message)| message.to_body(Some(&uuid(&self.client_id, &work.message.id, index))))
            .collect();
        let deliveries = bodies.iter().map(|body| Bytes::copy_from_slice(body.as_bytes())).collect();
        self.record(Record::Done(Completion { event: work.position, deliveries }));
        let created = Instant::now();
        for (index, body) in (0..).zip(bodies) {
            let delivery = Delivery {
                app: work.app.clone(),
                event: work.position,
                index,
                webhook: work.webhook.clone(),
                body,
                created,
                attempts: 0,
            };
            Self::send_later((work.lane.clone(), delivery));
        }
    }

    fn fail(&self, work: &Work, failure: &Failure) {
        self.counting.failed.add();
        error!(
            app = self.name,
            plugin = failure.plugin,
            generation = failure.generation,
            msg_id = work.message.id,
            attempt = work.message.attempt,
            reason = failure.error.reason(),
            "a message could not be handled"
        );
        let letter = DeadLetter {
            event: work.position,
            delivery: None,
            reason: failure.error.reason().to_owned(),
            attempts: work.message.attempt,
        };
        let culprit = Culprit { plugin: failure.plugin.clone(), generation: failure.generation };
        self.record(Record::Dead { letter, culprit: Some(culprit), notice: None });
    }

    pub(crate) fn record(&self, record: Record) {
        if let Err(problem) = self.journal.record(record) {
            error!(app = self.name, %problem, "the journal lost a change of state; the work may be repeated");
        }
    }
}

/// The name under which a repeat of a message would come. A redelivery has a new frame id, and the same message reaches
/// every robot it mentions under one `msgId`. The frame's id only stands in for a `msgId` that is missing: two messages
/// are two, whatever frames they came in.
fn dedupe_key(client_id: &str, msg_id: Option<&str>, frame: &str) -> String {
    match msg_id {
        Some(id) => format!("{client_id}/msg/{id}"),
        None => format!("{client_id}/frame/{frame}"),
    }
}

/// The field whose id is too long to be remembered.
fn overlong_id(message: &BotMessage, frame: &str) -> Option<&'static str> {
    let ids = [
        ("msgId", message.msg_id.as_deref()),
        ("conversationId", Some(message.conversation.id.as_str())),
        ("senderId", message.sender.id.as_deref()),
        ("senderStaffId", message.sender.staff_id.as_deref()),
        ("messageId", Some(frame)),
    ];
    ids.into_iter().find(|(_, id)| id.is_some_and(|id| id.len() > LONGEST_ID)).map(|(field, _)| field)
}

/// The key under which DingTalk can recognise a reply that is sent again. The same for every try of it.
fn uuid(client_id: &str, message: &str, index: u32) -> String {
    format!("{client_id}-{message}-{index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_by_its_msg_id_and_its_robot() {
        let key = |robot, msg_id, frame| dedupe_key(robot, msg_id, frame);
        assert_eq!(key("a", Some("m"), "f1"), key("a", Some("m"), "f2"));
        assert_ne!(key("a", Some("m"), "f1"), key("b", Some("m"), "f1"));
        assert_ne!(key("a", Some("m1"), "f"), key("a", Some("m2"), "f"));
        assert_ne!(key("a", None, "x"), key("a", Some("x"), "y"));
    }

    #[test]
    fn an_id_too_long_to_be_remembered_is_found() {
        let message = |id: &str| {
            let data =
                format!(r#"{{"conversationId":"c","msgId":"{id}","senderId":"$:1","msgtype":"text"}}"#);
            BotMessage::parse(&data).unwrap()
        };
        assert_eq!(overlong_id(&message("m"), "f"), None);
        assert_eq!(overlong_id(&message(&"m".repeat(LONGEST_ID)), "f"), None);
        assert_eq!(overlong_id(&message(&"m".repeat(LONGEST_ID + 1)), "f"), Some("msgId"));
        assert_eq!(overlong_id(&message("m"), &"f".repeat(LONGEST_ID + 1)), Some("messageId"));
    }
}
