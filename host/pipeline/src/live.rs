//! Messages that grow: live cards, and one markdown message where there is no card.
//!
//! Each card has a task, which has one call under way or in line at a time. The line is one for all cards of an app and
//! goes by who came first, so of many cards each gets its turn, and shows the latest text when it has it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use belfry_dingtalk::{OpenApiError, OpenApiErrorKind, StreamState};
use belfry_plugin_host::{
    LiveCard, LiveSettings, ServiceFuture,
    types::{ChatError, MarkdownReply, Reply, Target},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};
use tracing::{debug, error, warn};

use crate::{
    chat::{CallChat, pause_after, refusal},
    pauses::pauses,
    payload::Address,
};

/// Live cards of one app that are open at the same time; beyond it opening one is refused.
pub(crate) const MOST_OPEN: usize = 1_000;

/// Calls of one app that are on their way at the same time. More would only stand in line with texts that grow old there.
pub(crate) const STREAMING: usize = 8;

/// The longest text, in bytes; what is beyond is left out.
const MOST_TEXT: usize = 256 << 10;

/// How long the end of a card is tried.
const END_WITHIN: Duration = Duration::from_secs(5 * 60);

/// How long a card that cannot be created is tried.
const CREATE_WITHIN: Duration = Duration::from_secs(60);

/// Shown where there is no text: DingTalk takes no empty one (`param.stream.contentEmpty`), and a card that is not ended
/// looks as if more were to come. A space of no width.
const NO_TEXT: &str = "\u{200b}";

/// A growing message of a call.
struct Live {
    shared: Arc<Shared>,
    /// What it shows waits until its call is over, so the call cannot wait for it.
    held: bool,
    ended: watch::Receiver<Option<Result<(), ChatError>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    text: String,
    /// Counted up with each change.
    version: u64,
    end: Option<End>,
}

#[derive(Clone)]
enum End {
    Finished,
    Failed(String),
}

/// The task of a card.
struct Task {
    chat: CallChat,
    shared: Arc<Shared>,
    index: u32,
    to: Target,
    title: String,
    settings: LiveSettings,
    _open: OwnedSemaphorePermit,
}

/// Begins a message that grows.
pub(crate) fn open(
    chat: &CallChat,
    index: u32,
    to: Target,
    title: &str,
    settings: &LiveSettings,
) -> Result<impl LiveCard + use<>, ChatError> {
    let Ok(permit) = chat.app.live_cards.clone().try_acquire_owned() else {
        return Err(ChatError::Limit(format!(
            "{MOST_OPEN} live cards of this app are open: finish some first"
        )));
    };
    if to == Target::Current && chat.origin.conversation().is_none() {
        return Err(ChatError::Invalid("an event has no current conversation".to_owned()));
    }
    let shared = Arc::new(Shared { state: Mutex::default(), changed: Notify::new() });
    let (say_ended, ended) = watch::channel(None);
    let task = Task {
        chat: chat.clone(),
        shared: shared.clone(),
        index,
        to,
        title: title.to_owned(),
        settings: settings.clone(),
        _open: permit,
    };
    chat.app.tasks.spawn(async move {
        let result = task.run().await;
        say_ended.send_replace(Some(result));
    });
    Ok(Live { shared, held: chat.held.is_some(), ended })
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_one();
    }

    /// Waits for its end or, after `version`, for another text.
    async fn changed_after(&self, version: u64) {
        loop {
            {
                let state = self.state();
                if state.end.is_some() || state.version > version {
                    return;
                }
            }
            self.changed.notified().await;
        }
    }

    async fn ended(&self) -> End {
        loop {
            if let Some(end) = self.state().end.clone() {
                return end;
            }
            self.changed.notified().await;
        }
    }
}

impl Live {
    fn end(&self, end: End) {
        self.shared.change(|state| {
            state.end.get_or_insert(end);
        });
    }

    async fn result(&self) -> Result<(), ChatError> {
        if self.held {
            return Ok(());
        }
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            Err(_) => Err(ChatError::Unavailable("the host is stopping".to_owned())),
        }
    }
}

impl LiveCard for Live {
    fn show(&self, text: &str) {
        let end = text.floor_char_boundary(MOST_TEXT);
        let text = text.get(..end).unwrap_or_default();
        self.shared.change(|state| {
            if state.end.is_none() {
                text.clone_into(&mut state.text);
                state.version += 1;
            }
        });
    }

    fn finish(&self) -> ServiceFuture<'_, Result<(), ChatError>> {
        self.end(End::Finished);
        Box::pin(self.result())
    }

    fn fail<'a>(&'a self, reason: &'a str) -> ServiceFuture<'a, Result<(), ChatError>> {
        self.end(End::Failed(reason.to_owned()));
        Box::pin(self.result())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.end(End::Finished);
    }
}

impl Task {
    async fn run(self) -> Result<(), ChatError> {
        self.chat.released().await;
        let Some(template) = self.settings.template.clone() else {
            let end = self.shared.ended().await;
            return self.as_markdown(&end).await;
        };
        let id = self.chat.card_id(self.index);
        match self.create(&id, &template).await {
            Ok(was_there) => self.stream(&id, was_there).await,
            Err(problem) => {
                // Once for each card: whoever wrote the config must see it, the reader gets the text all the same.
                error!(
                    app = self.chat.app.name,
                    plugin = &*self.chat.plugin,
                    template,
                    problem,
                    "a live card cannot be shown, its text is sent as one message: see `chat.card_template` of the plugin"
                );
                let end = self.shared.ended().await;
                self.as_markdown(&end).await
            }
        }
    }

    /// Creates the card. Whether it was there before.
    async fn create(&self, id: &str, template: &str) -> Result<bool, String> {
        let to: Address = self.chat.address(self.to.clone()).map_err(|refused| text_of(&refused))?;
        let until = Instant::now() + CREATE_WITHIN;
        let data = [(self.settings.key.clone(), String::new())];
        let created = self.chat.create_card(id, template, &data, &to, until).await;
        created.map_err(|problem| problem.to_string())
    }

    /// Shows the text as it grows, and its end. `was_there`: a call before has begun the card, and perhaps ended it.
    async fn stream(&self, id: &str, was_there: bool) -> Result<(), ChatError> {
        let (mut shown, mut next) = (0, Instant::now());
        let mut pauses = pauses(self.chat.app.limits.longest_pause);
        let mut ending: Option<Instant> = None;
        loop {
            self.shared.changed_after(shown).await;
            // Its end does not wait for the interval, but for what DingTalk asked.
            if ending.is_none() {
                tokio::select! {
                    () = sleep_until(next) => {}
                    _ = self.shared.ended() => {}
                }
            } else {
                sleep_until(next).await;
            }
            let turn = self.chat.app.streaming.acquire().await;
            let (text, version, end) = {
                let state = self.shared.state();
                (state.text.clone(), state.version, state.end.clone())
            };
            let (text, stream) = match &end {
                None => (text, StreamState::Growing),
                Some(End::Finished) => (text, StreamState::Finished),
                Some(End::Failed(reason)) => (with_reason(text, reason), StreamState::Failed),
            };
            let text = if text.is_empty() { NO_TEXT } else { &text };
            let sent = self.chat.app.open_api.stream_card(id, &self.settings.key, text, stream).await;
            drop(turn);
            self.chat.app.count_calls();
            match (sent, end) {
                (Ok(()), Some(_)) => return Ok(()),
                (Ok(()), None) => {
                    shown = version;
                    next = Instant::now() + self.settings.interval;
                    pauses = crate::pauses::pauses(self.chat.app.limits.longest_pause);
                }
                (Err(problem), None) => {
                    let pause = pause_after(&problem, pauses.next().unwrap_or_default());
                    debug!(app = self.chat.app.name, card = id, %problem, ?pause, "a live card was not updated");
                    // What does not help now is left to the end.
                    shown = if pause.is_none() { u64::MAX } else { shown };
                    next = Instant::now() + pause.unwrap_or_default().max(self.settings.interval);
                }
                (Err(problem), Some(end)) => {
                    let until = *ending.get_or_insert_with(|| Instant::now() + END_WITHIN);
                    let pause = pause_after(&problem, pauses.next().unwrap_or_default());
                    match pause.filter(|pause| Instant::now() + *pause < until) {
                        Some(pause) if !self.chat.app.stopping.is_cancelled() => {
                            next = Instant::now() + pause
                        }
                        _ => return self.without_card(id, was_there, problem, &end).await,
                    }
                }
            }
        }
    }

    /// The end could not be shown in the card.
    async fn without_card(
        &self,
        id: &str,
        was_there: bool,
        problem: OpenApiError,
        end: &End,
    ) -> Result<(), ChatError> {
        let plugin = &*self.chat.plugin;
        warn!(app = self.chat.app.name, plugin, card = id, %problem, "a live card could not be ended");
        // One that was ended by a call before takes nothing more, and its reader has the text.
        if was_there && problem.kind() != OpenApiErrorKind::CardUnknown {
            return Err(refusal(problem));
        }
        self.as_markdown(end).await
    }

    /// One message with all of the text.
    async fn as_markdown(&self, end: &End) -> Result<(), ChatError> {
        let text = self.shared.state().text.clone();
        let text = match end {
            End::Finished => text,
            End::Failed(reason) => with_reason(text, reason),
        };
        let message = Reply::Markdown(MarkdownReply { title: self.title.clone(), text, mentions: None });
        let (app, origin) = (&self.chat.app, &self.chat.origin);
        let stored = self.chat.store(self.index, self.to.clone(), message)?;
        // A card that its handler dropped ends when the event is over, and the journal takes nothing for that any more.
        if !stored.left.is_empty() && matches!(app.journal.pending_event(origin.position).await, Ok(None)) {
            for (index, payload) in stored.left {
                app.deliver(origin, index, payload, None, None);
            }
        }
        app.arrived(origin.position, &stored.places).await;
        Ok(())
    }
}

fn with_reason(text: String, reason: &str) -> String {
    if text.is_empty() { reason.to_owned() } else { format!("{text}\n\n{reason}") }
}

fn text_of(refused: &ChatError) -> String {
    match refused {
        ChatError::NotGranted(text)
        | ChatError::Invalid(text)
        | ChatError::Limit(text)
        | ChatError::Unavailable(text) => text.clone(),
    }
}
