//! What a handler may do in DingTalk before it returns.

use std::{sync::Arc, time::Duration};

use belfry_dingtalk::{Advice, CardTarget, MediaKind, NewCard, OpenApiError, OpenApiErrorKind};
use belfry_journal::{EARLY, Record};
use belfry_plugin_host::{
    CallContext, Chat, LiveCard, LiveSettings, Plugin, PluginInfo, ServiceFuture,
    types::{self, ChatError, Reply, Target},
};
use bytes::Bytes;
use futures_util::FutureExt;
use sha2::{Digest, Sha256};
use tokio::{runtime::Handle, time::Instant};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::{
    app::App,
    delivery::Held,
    effects::Origin,
    live,
    payload::Address,
    recall,
    reply::{self, Ways},
};

/// Sends and cards of one call; the index of the last would be that of [`belfry_journal::NOTICE`].
const MOST_SENDS: u32 = 1_023;

/// Messages that one send may be split into.
const MOST_PARTS: usize = 16;

/// How long a card that cannot be sent at once is tried.
const CARD_WITHIN: Duration = Duration::from_secs(15);

/// Lets what a handler sends leave, when it is opened or dropped.
pub(crate) struct Gate(tokio::sync::watch::Sender<bool>);

impl Gate {
    /// A closed gate, and what waits for it.
    pub(crate) fn closed() -> (Self, Held) {
        let (open, held) = tokio::sync::watch::channel(false);
        (Self(open), held)
    }

    /// Lets everything leave, from now on.
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }
}

/// What became of a message that was to be stored.
pub(crate) struct Stored {
    /// The places of its parts.
    pub(crate) places: Vec<u32>,
    /// What the journal did not take: it was sent by the call before this one, or its event is over.
    pub(crate) left: Vec<(u32, Bytes)>,
}

/// The way to DingTalk for one call of one plugin. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CallChat {
    pub(crate) app: Arc<App>,
    pub(crate) origin: Origin,
    pub(crate) plugin: Arc<str>,
    /// Where its work is done: a guest that has computed for long goes on in another runtime, and its sockets and tasks shall
    /// not be there, among those that compute.
    pub(crate) runtime: Handle,
    /// What it sends waits for this.
    pub(crate) held: Option<Held>,
}

impl App {
    /// What a call of this plugin for this event may use. What it sends waits until it is not `held` any more.
    pub(crate) fn context(
        self: &Arc<Self>,
        origin: &Origin,
        plugin: &Plugin,
        plugins: Arc<[PluginInfo]>,
        held: Option<Held>,
    ) -> CallContext {
        let (app, origin, name) = (self.clone(), origin.clone(), plugin.name().into());
        let chat = CallChat { app, origin, plugin: name, runtime: Handle::current(), held };
        let (key_value, chat) = (Some(self.key_values.clone() as _), Some(Arc::new(chat) as _));
        CallContext { plugins, key_value, chat, ..CallContext::default() }
    }
}

/// The place of a part of a send among the deliveries of its event: the same whenever the handler runs again. Plugins are
/// told apart by a hash of their names, which of ten gives two the same once in 3 000 configs.
pub(crate) fn place(plugin: &str, index: u32, part: u32) -> u32 {
    EARLY + ((slot(plugin) << 14) | (index << 4) | part)
}

/// Whether this place is one of this plugin's.
pub(crate) fn is_place_of(plugin: &str, place: u32) -> bool {
    place.checked_sub(EARLY).is_some_and(|place| place >> 14 == slot(plugin))
}

fn slot(plugin: &str) -> u32 {
    let [a, b, c, ..] = <[u8; 32]>::from(Sha256::digest(plugin));
    u32::from_be_bytes([0, a, b, c]) >> 7
}

/// The plugin that sent a card, by the card's id (`outTrackId`).
pub(crate) fn plugin_of_card(id: &str) -> Option<&str> {
    Some(id.rsplit_once('.')?.0)
}

impl CallChat {
    /// Does this in the app's own runtime, as long as somebody waits for it.
    fn outside<'a, T, F>(&self, work: impl FnOnce(Self) -> F) -> ServiceFuture<'a, Result<T, ChatError>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ChatError>> + Send + 'static,
    {
        let task = AbortOnDropHandle::new(self.runtime.spawn(work(self.clone())));
        let stopping = |_| Err(ChatError::Unavailable("the host is stopping".to_owned()));
        Box::pin(async move { task.await.unwrap_or_else(stopping) })
    }

    fn ways(&self) -> Ways<'_> {
        Ways { private: &self.origin.private, conversation: self.origin.conversation(), plugin: &self.plugin }
    }

    /// Stores a message for delivery.
    pub(crate) fn store(&self, index: u32, to: Target, message: Reply) -> Result<Stored, ChatError> {
        if index >= MOST_SENDS {
            return Err(ChatError::Limit(format!("one call may send {MOST_SENDS} messages and cards")));
        }
        let parts = reply::outgoing(message, to, &self.ways()).map_err(ChatError::Invalid)?;
        if parts.len() > MOST_PARTS {
            let text =
                format!("the message would be split into {} parts; {MOST_PARTS} are the most", parts.len());
            return Err(ChatError::Limit(text));
        }
        let (mut places, mut left) = (Vec::with_capacity(parts.len()), Vec::new());
        for (part, outgoing) in (0..).zip(parts) {
            let index = place(&self.plugin, index, part);
            let payload = outgoing.payload(&self.origin.uuid(&self.app.client_id, index));
            let event = self.origin.position;
            let send = Record::Send { event, index, payload: payload.clone() };
            let committed = self.app.journal.commit(send);
            let committed = committed.map_err(|problem| ChatError::Unavailable(problem.to_string()))?;
            places.push(index);
            if committed.changed {
                let written = Some(committed.written.shared());
                self.app.deliver(&self.origin, index, payload, written, self.held.clone());
            } else {
                left.push((index, payload));
            }
        }
        Ok(Stored { places, left })
    }

    /// Until what this call sends may leave.
    pub(crate) async fn released(&self) {
        if let Some(mut held) = self.held.clone() {
            let _ = held.wait_for(|released| *released).await;
        }
    }

    /// Where a card goes.
    pub(crate) fn address(&self, to: Target) -> Result<Address, ChatError> {
        let ways = self.ways();
        match to {
            Target::User(staff_id) => Ok(Address::Person(staff_id)),
            Target::Group(conversation) => Ok(Address::Group(conversation)),
            Target::Current => ways.address().map_err(ChatError::Invalid),
        }
    }

    /// The id of a card: the same whenever the handler runs again, and with the plugin's name, so that its callbacks find
    /// their plugin.
    pub(crate) fn card_id(&self, index: u32) -> String {
        let mut digest = Sha256::new();
        for part in [self.app.client_id.as_bytes(), self.origin.id.as_bytes(), &index.to_be_bytes()] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let digest: String = digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{}.{digest}", self.plugin)
    }

    /// Creates a card, again after what may pass, until `until`. Whether it was there before the first try.
    pub(crate) async fn create_card(
        &self,
        id: &str,
        template: &str,
        data: &[(String, String)],
        to: &Address,
        until: Instant,
    ) -> Result<bool, OpenApiError> {
        let target = match to {
            Address::Person(staff_id) => CardTarget::Person(staff_id),
            Address::Group(conversation) => CardTarget::Group(conversation),
        };
        let robot_code = self.origin.private.robot_of(&self.app.client_id);
        let card = NewCard { template, out_track_id: id, data, robot_code, target };
        let mut pauses = crate::pauses::pauses(self.app.limits.longest_pause);
        let mut may_be_ours = false;
        loop {
            let created = self.app.open_api.create_card(&card).await;
            self.app.count_calls();
            let error = match created {
                Ok(()) => return Ok(false),
                Err(error) if error.kind() == OpenApiErrorKind::CardExists => return Ok(!may_be_ours),
                Err(error) => error,
            };
            may_be_ours |= error.outcome_unknown();
            let pause = pause_after(&error, pauses.next().unwrap_or_default());
            match pause.filter(|pause| Instant::now() + *pause < until) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    /// Changes a card, again after what may pass, until `until`.
    async fn change_card(
        &self,
        id: &str,
        data: &[(String, String)],
        until: Instant,
    ) -> Result<(), OpenApiError> {
        let mut pauses = crate::pauses::pauses(self.app.limits.longest_pause);
        loop {
            let changed = self.app.open_api.update_card(id, data).await;
            self.app.count_calls();
            let Err(error) = changed else { return Ok(()) };
            let pause = pause_after(&error, pauses.next().unwrap_or_default());
            match pause.filter(|pause| Instant::now() + *pause < until) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    async fn send_card_now(
        &self,
        index: u32,
        to: Target,
        template: &str,
        data: Vec<(String, String)>,
    ) -> Result<String, ChatError> {
        let (id, address) = (self.card_id(index), self.address(to)?);
        let until = Instant::now() + CARD_WITHIN;
        if self.held.is_none() {
            self.create_card(&id, template, &data, &address, until).await.map_err(refusal)?;
            return Ok(id);
        }
        let (chat, template, card) = (self.clone(), template.to_owned(), id.clone());
        self.app.tasks.spawn(async move {
            chat.released().await;
            let until = Instant::now() + CARD_WITHIN;
            if let Err(problem) = chat.create_card(&card, &template, &data, &address, until).await {
                warn!(app = chat.app.name, plugin = &*chat.plugin, %problem, "a card could not be sent");
            }
        });
        Ok(id)
    }
}

impl Chat for CallChat {
    fn send(&self, index: u32, to: Target, message: Reply) -> ServiceFuture<'_, Result<String, ChatError>> {
        self.outside(move |chat| async move {
            let places = chat.store(index, to, message)?.places;
            Ok(recall::id(chat.origin.position, place(&chat.plugin, index, 0), places.len()))
        })
    }

    fn recall<'a>(&'a self, id: &'a str) -> ServiceFuture<'a, Result<(), ChatError>> {
        let id = id.to_owned();
        self.outside(|chat| async move { recall::recall(&chat.app, &chat.plugin, &id).await })
    }

    fn download<'a>(&'a self, code: &'a str, limit: u64) -> ServiceFuture<'a, Result<Bytes, ChatError>> {
        let code = code.to_owned();
        self.outside(|chat| async move {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let robot = chat.origin.private.robot_of(&chat.app.client_id);
            let content = chat.app.open_api.download(robot, &code, limit).await;
            chat.app.count_calls();
            content.map_err(refusal)
        })
    }

    fn upload<'a>(
        &'a self,
        kind: types::MediaKind,
        name: &'a str,
        data: Bytes,
    ) -> ServiceFuture<'a, Result<String, ChatError>> {
        let kind = match kind {
            types::MediaKind::Image => MediaKind::Image,
            types::MediaKind::File => MediaKind::File,
            types::MediaKind::Voice => MediaKind::Voice,
            types::MediaKind::Video => MediaKind::Video,
        };
        let name = name.to_owned();
        self.outside(move |chat| async move {
            let uploaded = chat.app.open_api.upload(kind, &name, data).await;
            chat.app.count_calls();
            uploaded.map_err(refusal)
        })
    }

    fn send_card<'a>(
        &'a self,
        index: u32,
        to: Target,
        template: &'a str,
        data: Vec<(String, String)>,
    ) -> ServiceFuture<'a, Result<String, ChatError>> {
        let template = template.to_owned();
        self.outside(move |chat| async move { chat.send_card_now(index, to, &template, data).await })
    }

    fn update_card<'a>(
        &'a self,
        id: &'a str,
        data: Vec<(String, String)>,
    ) -> ServiceFuture<'a, Result<(), ChatError>> {
        let id = id.to_owned();
        self.outside(move |chat| async move {
            if plugin_of_card(&id) != Some(&*chat.plugin) {
                return Err(ChatError::Invalid(format!("`{id}` is no card of this plugin")));
            }
            if chat.held.is_some() {
                let app = chat.app.clone();
                app.tasks.spawn(async move {
                    chat.released().await;
                    let until = Instant::now() + CARD_WITHIN;
                    if let Err(problem) = chat.change_card(&id, &data, until).await {
                        warn!(app = chat.app.name, plugin = &*chat.plugin, %problem, "a card could not be changed");
                    }
                });
                return Ok(());
            }
            let until = Instant::now() + CARD_WITHIN;
            chat.change_card(&id, &data, until).await.map_err(refusal)
        })
    }

    fn open_live<'a>(
        &'a self,
        index: u32,
        to: Target,
        title: &'a str,
        settings: &'a LiveSettings,
    ) -> ServiceFuture<'a, Result<Box<dyn LiveCard>, ChatError>> {
        let (title, settings) = (title.to_owned(), settings.clone());
        self.outside(move |chat| async move {
            let card = live::open(&chat, index, to, &title, &settings)?;
            Ok(Box::new(card) as Box<dyn LiveCard>)
        })
    }
}

/// How long to wait before the next try, which has a pause of `next` of its own; none if there is to be none.
pub(crate) fn pause_after(error: &OpenApiError, next: Duration) -> Option<Duration> {
    match error.advice {
        Advice::Retry => Some(next),
        Advice::Wait(asked) => Some(asked.max(next)),
        Advice::GiveUp | Advice::Expired => None,
    }
}

/// For the plugin.
pub(crate) fn refusal(error: OpenApiError) -> ChatError {
    let text = error.to_string();
    match error.kind() {
        OpenApiErrorKind::TooLarge => ChatError::Limit(text),
        _ if error.is_quota() || error.is_too_fast() => ChatError::Limit(text),
        _ if pause_after(&error, Duration::ZERO).is_some() => ChatError::Unavailable(text),
        _ => ChatError::Invalid(text),
    }
}

#[cfg(test)]
mod tests {
    use belfry_journal::NOTICE;

    use super::*;

    #[test]
    fn places_are_a_plugins_own_and_never_the_notices() {
        let last = place("todo", MOST_SENDS - 1, 15);
        assert!(is_place_of("todo", last) && !is_place_of("faq", last));
        assert!((EARLY..NOTICE).contains(&last) && (EARLY..NOTICE).contains(&place("todo", 0, 0)));
        assert!(!is_place_of("todo", 3));
        let all = [place("todo", 0, 0), place("todo", 0, 1), place("todo", 1, 0), place("faq", 0, 0)];
        assert!(all.iter().enumerate().all(|(n, place)| !all.iter().skip(n + 1).any(|other| other == place)));
    }

    #[test]
    fn a_card_tells_its_plugin() {
        assert_eq!(plugin_of_card("my.bot.00ff"), Some("my.bot"));
        assert_eq!(plugin_of_card("other"), None);
    }
}
