//! One app, and the first half of a message's path: from the push to the acknowledgement.

use std::{
    collections::BTreeMap,
    future::Future,
    ops::ControlFlow,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use belfry_dingtalk::{
    AckHandle, BotMessage, OpenApi, Push, RateLimit, RateLimiter, SessionWebhook, Topic, WebhookClient,
    WebhookPolicy,
};
use belfry_journal::{Appended, DeadLetter, Journal, JournalError, NewEvent, Position, Record, Route};
use futures_util::{FutureExt, StreamExt, stream::FuturesOrdered};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info, warn};

use crate::{
    AppSettings, PipelineConfig, PipelineLimits, PluginRoute, actions,
    admission::{Admission, Verdict},
    counters::{Count, Counting},
    delivery::Delivery,
    events::EventWork,
    hub::{self, Hub},
    lanes::Lanes,
    live, message,
    pauses::pauses,
    private::Private,
    quota::{Kind, Usage},
    routing::Router,
    store::Store,
    work::{Loaded, Work},
};

/// No id of DingTalk's comes near this many bytes. Ids are remembered, so a message with a longer one is left out.
pub(crate) const LONGEST_ID: usize = 1024;

/// A conversation's way is written down again when it lasts so much longer, in milliseconds: a route for each message
/// would double the journal's work.
const ROUTE_STEP: u64 = 10 * 60 * 1000;

/// One app: everything that must not be shared with another.
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) client_id: String,
    pub(crate) admission: Admission,
    pub(crate) router: Router,
    pub(crate) hub: Arc<Hub>,
    pub(crate) webhooks: WebhookClient,
    pub(crate) open_api: OpenApi,
    /// Replies to one conversation, as fast as DingTalk takes them.
    pub(crate) replies: Option<RateLimiter>,
    /// One permit for each reply that is being sent.
    pub(crate) sending: Semaphore,
    /// One permit for each message that was read back from the journal.
    pub(crate) loading_messages: Semaphore,
    /// One permit for each reply that was.
    pub(crate) loading_replies: Semaphore,
    /// One permit for each byte that waits in memory.
    memory: Arc<Semaphore>,
    /// One permit for each live card that may be open.
    pub(crate) live_cards: Arc<Semaphore>,
    /// One permit for each call of a live card that is on its way.
    pub(crate) streaming: Semaphore,
    /// Messages sent so far that can be recalled.
    pub(crate) recallable: Count,
    /// What is done beside the lanes, and must be waited for in the end.
    pub(crate) tasks: TaskTracker,
    pub(crate) counting: Counting,
    pub(crate) usage: Arc<Usage>,
    calls_booked: AtomicU64,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) key_values: Arc<Store>,
    pub(crate) limits: PipelineLimits,
    /// What a person is told whose message could not be handled.
    failure_reply: Option<String>,
    /// The same, of plugins that say something else.
    failure_replies: BTreeMap<String, String>,
    /// Nothing is begun any more: the journal keeps it for the next process.
    pub(crate) stopping: CancellationToken,
    handling: Arc<Lanes<Work>>,
    delivering: Arc<Lanes<Delivery>>,
}

/// What is on its way into the journal.
pub(crate) enum Received {
    Message {
        conversation: Arc<str>,
        loaded: Box<Loaded>,
    },
    /// An organisation event, with the lane of each plugin that takes it.
    Event(Vec<Arc<str>>),
}

/// What came of it, for each of its events. The acknowledgement is gone if it could not wait.
pub(crate) type Stored = (Option<AckHandle>, Vec<Result<Appended, JournalError>>);

impl App {
    pub(crate) fn new(
        settings: &AppSettings,
        config: &PipelineConfig,
        hub: Arc<Hub>,
        key_values: Arc<Store>,
        usage: Arc<Usage>,
        tasks: &TaskTracker,
        stopping: CancellationToken,
    ) -> Self {
        let limits = config.limits;
        let journal = key_values.journal().clone();
        let allowed = &settings.allowed_users;
        let replies = limits.replies_per_minute.map(|most| {
            let limit = RateLimit { most: most.get(), ..RateLimit::REPLIES };
            RateLimiter::new(limit, limits.conversations)
        });
        Self {
            name: settings.name.clone(),
            client_id: settings.dingtalk.client_id.clone(),
            admission: Admission::new(allowed, settings.denied_reply.clone(), limits.denied_told),
            router: Router::new(
                &settings.name,
                hub.plugins().clone(),
                settings.plugins.clone(),
                hub.routes().clone(),
            ),
            hub,
            webhooks: WebhookClient::new(&config.transport, WebhookPolicy::for_app(&settings.dingtalk)),
            open_api: OpenApi::new(&config.transport, &settings.dingtalk),
            replies,
            sending: Semaphore::new(limits.sending.max(1)),
            loading_messages: Semaphore::new(limits.loading.max(1)),
            loading_replies: Semaphore::new(limits.loading.max(1)),
            memory: Arc::new(Semaphore::new(limits.memory.min(Semaphore::MAX_PERMITS))),
            live_cards: Arc::new(Semaphore::new(live::MOST_OPEN)),
            streaming: Semaphore::new(live::STREAMING),
            recallable: Count::default(),
            tasks: tasks.clone(),
            counting: Counting::default(),
            usage,
            calls_booked: AtomicU64::new(0),
            journal,
            key_values,
            limits,
            failure_reply: config.failure_reply.clone(),
            failure_replies: failure_replies(&config.routes),
            stopping,
            handling: Lanes::new(tasks.clone(), |work: Work| {
                let (app, event) = (work.app.clone(), work.position);
                async move { app.unless_panicking(event, None, handle(work)).await }
            }),
            delivering: Lanes::new(tasks.clone(), |delivery: Delivery| {
                let (app, event, index) = (delivery.app.clone(), delivery.event, delivery.index);
                async move { app.unless_panicking(event, Some(index), delivery.deliver()).await }
            }),
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
                Some((received, (ack, appended))) = appending.next() => self.stored(ack, received, appended),
                push = pushes.recv(), if open && appending.len() < self.limits.appending => match push {
                    Some(push) => if let Some((ack, received, events)) = self.receive(push) {
                        let app = self.clone();
                        appending.push_back(async move { (received, app.append_all(ack, events).await) });
                    },
                    None => open = false,
                },
                else => break,
            }
        }
    }

    /// Reads a push and decides whether it goes on. What does not is acknowledged here, so that it never comes again.
    fn receive(self: &Arc<Self>, push: Push) -> Option<(AckHandle, Received, Vec<NewEvent>)> {
        self.usage.add(Kind::StreamPushes, 1);
        match push.topic {
            Topic::BotMessage => {}
            Topic::Event => return self.receive_event(push),
            Topic::CardCallback | Topic::Graph => {
                self.act(push);
                return None;
            }
            _ => {
                push.ack.error(404, "no handler");
                return None;
            }
        }
        let (parsed, raw) = match BotMessage::parse_and_redact(&push.data) {
            Ok(read) => read,
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
        Some(self.prepare(push, parsed, raw, answer))
    }

    /// The event for the journal, and the work that follows when it is there.
    fn prepare(
        &self,
        push: Push,
        parsed: BotMessage,
        raw: String,
        answer: Option<String>,
    ) -> (AckHandle, Received, Vec<NewEvent>) {
        let dedupe = dedupe_key(&self.client_id, parsed.msg_id.as_deref(), &push.headers.message_id);
        let id = parsed.msg_id.clone().unwrap_or_else(|| push.headers.message_id.clone());
        let private = Private::new(&self.client_id, &parsed);
        let conversation: Arc<str> = parsed.conversation.id.as_str().into();
        let stored = message::to_event(&self.name, &id, &parsed, raw);
        let event = NewEvent {
            key: self.key(&conversation),
            dedupe: vec![dedupe],
            payload: stored.to_json().into(),
            private: private.to_bytes(),
        };
        let raw = stored.into_json_data().unwrap_or_default();
        let message = Arc::new(message::to_plugin(&self.name, &id, parsed, raw));
        let loaded = Box::new(Loaded { message, private: Arc::new(private), answer, _room: None });
        (push.ack, Received::Message { conversation, loaded }, vec![event])
    }

    /// Stores an event. While the disk does not take it, it is tried again and not acknowledged, so that DingTalk keeps
    /// it: what piles up is bounded by what may be without an acknowledgement.
    pub(crate) async fn append(&self, event: NewEvent) -> Result<Appended, JournalError> {
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

    /// Reads from the journal. While the disk gives nothing, it is tried again.
    pub(crate) async fn read<T, F>(&self, mut read: impl FnMut() -> F) -> Result<T, JournalError>
    where
        F: Future<Output = Result<T, JournalError>>,
    {
        let mut pauses = pauses(self.limits.longest_pause);
        loop {
            let problem = match read().await {
                Err(problem @ (JournalError::DiskFull { .. } | JournalError::Storage { .. })) => problem,
                decided => return decided,
            };
            let pause = pauses.next().unwrap_or(self.limits.longest_pause);
            error!(app = self.name, %problem, ?pause, "the journal cannot be read yet");
            tokio::time::sleep(pause).await;
        }
    }

    /// The journal has answered: now, and not before, the gateway is told.
    fn stored(
        self: &Arc<Self>,
        ack: Option<AckHandle>,
        received: Received,
        appended: Vec<Result<Appended, JournalError>>,
    ) {
        let mut appended = appended.into_iter();
        match (received, ack) {
            (Received::Message { conversation, loaded }, Some(ack)) => {
                if let Some(appended) = appended.next() {
                    self.stored_message(ack, conversation, *loaded, appended);
                }
            }
            (Received::Message { .. }, None) => {}
            (Received::Event(lanes), ack) => self.stored_event(ack, lanes, appended),
        }
    }

    fn stored_message(
        self: &Arc<Self>,
        ack: AckHandle,
        conversation: Arc<str>,
        mut loaded: Loaded,
        appended: Result<Appended, JournalError>,
    ) {
        let msg_id = &loaded.message.id;
        match appended {
            Ok(Appended::New(position)) => {
                ack.success();
                self.counting.received.add();
                if let Some(webhook) = &loaded.private.webhook {
                    self.learn_route(&conversation, webhook);
                }
                // The plugin's copy has the payload once as text and once in parts.
                loaded._room = self.room(loaded.message.raw.len().saturating_mul(2));
                let kept = loaded._room.is_some().then(|| Box::new(loaded));
                self.handle_later(Work { app: self.clone(), position, conversation, kept });
            }
            Ok(Appended::Duplicate) => {
                ack.success();
                self.counting.duplicates.add();
                debug!(app = self.name, msg_id, "a repeated message is dropped");
            }
            Err(problem) => {
                error!(app = self.name, msg_id, %problem, "a message could not be stored; DingTalk will send it again");
                ack.error(500, "not stored");
            }
        }
    }

    /// Remembers the way to a conversation that lasts longest.
    fn learn_route(&self, conversation: &str, webhook: &SessionWebhook) {
        let Some(expires_at_ms) = webhook.expires_at else { return };
        let conversation = self.key(conversation);
        let known = self.journal.route(&conversation).map_or(0, |route| route.expires_at_ms);
        if known.saturating_add(ROUTE_STEP) <= expires_at_ms {
            let address = webhook.expose().to_owned().into();
            self.record(Record::Route(Route { conversation, address, expires_at_ms }));
        }
    }

    /// The way to a conversation that lasts longest, as far as one is known.
    pub(crate) fn route(&self, conversation: &str) -> Option<SessionWebhook> {
        let route = self.journal.route(&self.key(conversation))?;
        let address = String::from_utf8(route.address.to_vec()).ok()?;
        Some(SessionWebhook::new(address, Some(route.expires_at_ms)))
    }

    /// Books the calls of the OpenAPI that have left since the last time.
    pub(crate) fn count_calls(&self) {
        let calls = self.open_api.calls();
        let before = self.calls_booked.fetch_max(calls, Ordering::Relaxed);
        self.usage.add(Kind::ApiCalls, calls.saturating_sub(before));
    }

    /// What a person is told whose message this plugin could not handle; none: nothing.
    pub(crate) fn failure_reply_of(&self, plugin: &str) -> Option<&str> {
        let said = self.failure_replies.get(plugin).or(self.failure_reply.as_ref())?;
        Some(said.as_str()).filter(|said| !said.is_empty())
    }

    /// Puts a message behind the others of its conversation.
    pub(crate) fn handle_later(&self, work: Work) {
        self.handling.push(work.conversation.clone(), work);
    }

    /// Puts a reply behind the others of its conversation.
    pub(crate) fn send_later(&self, delivery: Delivery) {
        self.delivering.push(delivery.lane.clone(), delivery);
    }

    /// Room in memory for so many bytes, as long as they are kept; none if there is none.
    pub(crate) fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.memory.clone().try_acquire_many_owned(bytes).ok()
    }

    /// A permit for something that is read back from the journal; none if the process is about to end, which begins
    /// nothing any more.
    pub(crate) async fn load<'a>(&self, permits: &'a Semaphore) -> Option<SemaphorePermit<'a>> {
        let permit = self.unless_stopping(permits.acquire()).await?.ok()?;
        (!self.stopping.is_cancelled()).then_some(permit)
    }

    /// What comes of the work. A bug of Belfry costs this one item, which is kept as a dead letter.
    async fn unless_panicking(
        &self,
        event: Position,
        delivery: Option<u32>,
        work: impl Future<Output = ControlFlow<()>>,
    ) -> ControlFlow<()> {
        // What the work shares with others is behind locks that outlive a panic.
        let Ok(flow) = AssertUnwindSafe(work).catch_unwind().await else {
            let reason = "a bug of Belfry stopped it: the log has its place".to_owned();
            self.give_up_stored(DeadLetter { event, delivery, reason, attempts: 1 });
            return ControlFlow::Continue(());
        };
        flow
    }

    /// What comes of it, unless the process is about to end and leaves the rest to the next one.
    pub(crate) async fn unless_stopping<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            // What needs no waiting is done even then.
            biased;
            done = waiting => Some(done),
            () = self.stopping.cancelled() => None,
        }
    }

    /// What the journal orders a conversation's events by, and knows its route by.
    pub(crate) fn key(&self, conversation: &str) -> String {
        format!("{}/{conversation}", self.client_id)
    }

    /// Keeps something as a dead letter that could not even be read.
    pub(crate) fn give_up_stored(&self, letter: DeadLetter) {
        self.counting.failed.add();
        let (event, delivery, reason) = (letter.event.0, letter.delivery, &letter.reason);
        error!(
            app = self.name,
            event, delivery, reason, "something in the journal cannot be worked on, and is given up"
        );
        self.record(Record::Dead { letter, culprit: None, notice: None });
    }

    pub(crate) fn record(&self, record: Record) {
        if let Err(problem) = self.journal.record(record) {
            error!(app = self.name, %problem, "the journal lost a change of state; the work may be repeated");
        }
    }
}

fn failure_replies(routes: &BTreeMap<String, PluginRoute>) -> BTreeMap<String, String> {
    let said =
        |(plugin, route): (&String, &PluginRoute)| Some((plugin.clone(), route.failure_reply.clone()?));
    routes.iter().filter_map(said).collect()
}

/// Has something of the journal handled by what it is.
async fn handle(work: Work) -> ControlFlow<()> {
    let lane = &work.conversation;
    if lane.starts_with(hub::LANE) {
        let Work { app, position, conversation: lane, .. } = work;
        EventWork { app, position, lane }.handle().await
    } else if lane.starts_with(actions::LANE) {
        work.app.leave_callback(work.position);
        ControlFlow::Continue(())
    } else {
        work.handle().await
    }
}

/// The ClientID and the conversation of what the journal ordered by `key`.
pub(crate) fn parts_of(key: &str) -> Option<(&str, &str)> {
    key.split_once('/')
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
        ("robotCode", message.robot_code.as_deref()),
        ("messageId", Some(frame)),
    ];
    ids.into_iter().find(|(_, id)| id.is_some_and(|id| id.len() > LONGEST_ID)).map(|(field, _)| field)
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
