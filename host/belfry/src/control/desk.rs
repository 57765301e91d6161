//! Answers what is asked of a journal, in the running host and in a command that reads the files alike.

mod changes;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use belfry_journal::{Counter, Journal, JournalError, Position, StoredDelivery, TracedEvent};
use belfry_pipeline::Monitor;
use belfry_plugin_host::Plugins;

use super::{
    message,
    protocol::{
        self, Answer, Ask, DeadLetterHead, DeadLetterPage, DeadLetterQuery, DeadLetterWhole, Event,
        EventHead, EventPage, EventQuery, Id, MOST_ENTRIES, MOST_IDS, Reply, State, Status,
    },
};
use crate::config::{Config, JournalEngine, Quota};

/// Events that are read at a time: each may be large.
const PAGE: usize = 20;

/// Events that are looked at for one answer. A search for something rare takes several questions, and the host has
/// other things to do between them.
const SEARCHED: usize = 1_000;

/// Answers questions about one journal.
pub struct Desk {
    journal: Arc<dyn Journal>,
    /// The journal's folder; none if it is in memory.
    path: Option<String>,
    host: Option<HostSide>,
    /// The plugins there are, if no host runs.
    plugins: Vec<String>,
    quota: Quota,
}

/// What only a running host knows.
pub struct HostSide {
    monitor: Monitor,
    plugins: Arc<Plugins>,
    started_at_ms: u64,
}

impl HostSide {
    /// A host that starts now.
    #[must_use]
    pub fn new(monitor: Monitor, plugins: Arc<Plugins>) -> Self {
        Self { monitor, plugins, started_at_ms: now_ms() }
    }
}

impl Desk {
    /// The desk of a running host.
    #[must_use]
    pub fn of_host(journal: Arc<dyn Journal>, config: &Config, host: HostSide) -> Self {
        Self::new(journal, config, Some(host), Vec::new())
    }

    /// The desk of a command that has the journal to itself.
    #[must_use]
    pub fn of_journal(journal: Arc<dyn Journal>, config: &Config) -> Self {
        Self::new(journal, config, None, crate::doctor::plugin_names(config))
    }

    fn new(journal: Arc<dyn Journal>, config: &Config, host: Option<HostSide>, plugins: Vec<String>) -> Self {
        let path = Self::place_of_journal(config);
        Self { journal, path, host, plugins, quota: config.quota }
    }

    /// The journal's folder as it is known everywhere, not only where the host was started; none in memory.
    pub(super) fn place_of_journal(config: &Config) -> Option<String> {
        let is_on_disk = config.journal.engine == JournalEngine::Disk;
        let path = config.journal.path.canonicalize();
        is_on_disk.then(|| path.as_ref().unwrap_or(&config.journal.path).display().to_string())
    }

    /// Answers, whatever happens.
    pub async fn answer(&self, ask: Ask) -> Answer {
        let answer = match ask {
            Ask::Status => Ok(Answer::Status(Box::new(self.status()))),
            Ask::Events(query) => self.events(&query).await.map(Answer::Events),
            Ask::Event(id) => self.event(id.position()).await.map(|event| Answer::Event(event.map(Box::new))),
            Ask::DeadLetters(query) => Ok(Answer::DeadLetters(self.dead_letters(&query))),
            Ask::DeadLetter(id) => {
                self.dead_letter(id).await.map(|letter| Answer::DeadLetter(letter.map(Box::new)))
            }
            Ask::Retry(ids) | Ask::Drop(ids) if ids.len() > MOST_IDS => {
                let count = ids.len();
                return Answer::Refused(format!("{count} ids at once; {MOST_IDS} at a time are possible"));
            }
            Ask::Retry(ids) => Ok(Answer::Changed(self.retry(ids).await)),
            Ask::Drop(ids) => Ok(Answer::Changed(self.drop(ids).await)),
        };
        answer.unwrap_or_else(|error: JournalError| Answer::Refused(error.to_string()))
    }

    fn status(&self) -> Status {
        let stats = self.journal.stats();
        Status {
            host: self.host.as_ref().map(HostSide::status),
            journal: protocol::Journal {
                path: self.path.clone(),
                pending_events: stats.pending_events,
                pending_replies: stats.pending_deliveries,
                pending_bytes: stats.pending_bytes,
                dead_letters: stats.dead_letters,
                forgotten_dead_letters: stats.evicted_dead_letters,
                trouble: self.journal.trouble().map(|trouble| trouble.to_string()),
            },
            quotas: self.quotas(),
        }
    }

    /// What all apps used: a host knows it to the last call, the journal what was written of it.
    fn quotas(&self) -> Vec<protocol::Quota> {
        let (month, api_calls, stream_pushes) = match &self.host {
            Some(host) => {
                let used = host.monitor.used();
                (used.month, used.api_calls, used.stream_pushes)
            }
            None => {
                let counters = self.journal.counters();
                let month = counters.iter().map(|counter| counter.month).max().unwrap_or(0);
                let sum = |name: &str| {
                    let of = |counter: &&Counter| {
                        counter.month == month
                            && counter.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
                    };
                    counters.iter().filter(of).map(|counter| counter.total).sum()
                };
                (month, sum("api-calls"), sum("stream-pushes"))
            }
        };
        if month == 0 {
            return Vec::new();
        }
        let quota = |what: &str, used, budget| protocol::Quota { what: what.to_owned(), month, used, budget };
        vec![
            quota("api_calls", api_calls, self.quota.api_calls),
            quota("stream_pushes", stream_pushes, self.quota.stream_pushes),
        ]
    }

    async fn events(&self, query: &EventQuery) -> Result<EventPage, JournalError> {
        let limit = query.limit.clamp(1, MOST_ENTRIES);
        let dead = self.dead_by_event();
        let mut page = EventPage { events: Vec::new(), next: query.before };
        for _ in 0..SEARCHED.div_ceil(PAGE) {
            let events = self.journal.events(page.next.map(Position), PAGE).await?;
            let is_last = events.len() < PAGE;
            for event in events {
                page.next = Some(event.position.0);
                let head = head_of(&event, dead.get(&event.position).copied().unwrap_or(0));
                if matches(&head, query) {
                    page.events.push(head);
                    if page.events.len() == limit {
                        return Ok(page);
                    }
                }
            }
            if is_last {
                page.next = None;
                break;
            }
        }
        Ok(page)
    }

    async fn event(&self, position: Position) -> Result<Option<Event>, JournalError> {
        let Some(traced) = self.journal.event(position).await? else { return Ok(None) };
        let letters = self.journal.dead_letters();
        let dead_letters: Vec<DeadLetterHead> =
            letters.into_iter().filter(|head| head.letter.event == position).map(head_of_letter).collect();
        Ok(Some(Event {
            head: head_of(&traced, dead_letters.len()),
            attempts: self.journal.pending_event(position).await?.map(|event| event.attempts),
            replies: self.replies(position).await?,
            dead_letters,
            payload: message::json(&traced.payload),
        }))
    }

    /// The replies to an event that have not arrived, up to [`MOST_ENTRIES`].
    async fn replies(&self, event: Position) -> Result<Vec<Reply>, JournalError> {
        let before = event.0.checked_sub(1).map(|before| (Position(before), u32::MAX));
        let listed = self.journal.pending_deliveries(before, MOST_ENTRIES).await?;
        let mut replies = Vec::new();
        for pending in listed.into_iter().filter(|pending| pending.event == event) {
            if let Some(StoredDelivery { index, payload, attempts, created_at_ms, .. }) =
                self.journal.pending_delivery(event, pending.index).await?
            {
                let body = message::json(&payload);
                replies.push(Reply { id: Id::delivery(event, index), attempts, created_at_ms, body });
            }
        }
        Ok(replies)
    }

    fn dead_letters(&self, query: &DeadLetterQuery) -> DeadLetterPage {
        let mut letters: Vec<DeadLetterHead> =
            self.journal.dead_letters().into_iter().map(head_of_letter).collect();
        letters.sort_by_key(|head| (head.at_ms, head.id));
        letters.retain(|head| {
            query.plugin.as_ref().is_none_or(|plugin| head.plugin.as_ref() == Some(plugin))
                && query.before_ms.is_none_or(|before| head.at_ms < before)
                && query.since_ms.is_none_or(|since| head.at_ms >= since)
                && query.after.is_none_or(|after| (head.at_ms, head.id) > after)
        });
        let is_last = letters.len() <= MOST_ENTRIES;
        letters.truncate(MOST_ENTRIES);
        let last = letters.last().map(|head| (head.at_ms, head.id));
        DeadLetterPage { letters, next: last.filter(|_| !is_last) }
    }

    async fn dead_letter(&self, id: Id) -> Result<Option<DeadLetterWhole>, JournalError> {
        let Some(stored) = self.journal.dead_letter(id.position(), id.delivery).await? else {
            return Ok(None);
        };
        let head = belfry_journal::DeadLetterHead {
            letter: stored.letter,
            culprit: stored.culprit,
            at_ms: stored.at_ms,
        };
        Ok(Some(DeadLetterWhole {
            head: head_of_letter(head),
            message: message::words(&stored.key, &stored.payload),
            payload: message::json(&stored.payload),
            reply: stored.delivery.as_deref().map(message::json),
        }))
    }

    fn letters(&self) -> BTreeMap<Id, DeadLetterHead> {
        let letters = self.journal.dead_letters().into_iter().map(head_of_letter);
        letters.map(|head| (head.id, head)).collect()
    }

    fn dead_by_event(&self) -> BTreeMap<Position, usize> {
        let mut counts = BTreeMap::new();
        for head in self.journal.dead_letters() {
            *counts.entry(head.letter.event).or_default() += 1;
        }
        counts
    }

    fn plugin_names(&self) -> Vec<String> {
        match &self.host {
            Some(host) => {
                host.plugins.current().plugins.iter().map(|plugin| plugin.name().to_owned()).collect()
            }
            None => self.plugins.clone(),
        }
    }
}

impl HostSide {
    fn status(&self) -> protocol::Host {
        let generation = self.plugins.current();
        let plugins = generation.plugins.iter().map(|plugin| protocol::Plugin {
            name: plugin.name().to_owned(),
            commands: plugin.commands().to_vec(),
            sha256: plugin.about().sha256.clone(),
        });
        let problems = self.plugins.problems().into_iter();
        protocol::Host {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at_ms: self.started_at_ms,
            apps: self.monitor.apps(),
            generation: generation.number,
            plugins: plugins.collect(),
            problems: problems
                .map(|problem| protocol::Problem { name: problem.name, reason: problem.reason })
                .collect(),
            left_alone: self.monitor.left_alone(),
        }
    }
}

/// The time by this machine's clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn head_of(event: &TracedEvent, dead_letters: usize) -> EventHead {
    let pending_replies = match event.state {
        belfry_journal::EventState::Delivering(count) => count,
        _ => 0,
    };
    EventHead {
        id: Id::event(event.position),
        received_at_ms: event.appended_at_ms,
        state: State::of(event.state, dead_letters),
        pending_replies,
        dead_letters,
        message: message::words(&event.key, &event.payload),
    }
}

fn matches(head: &EventHead, query: &EventQuery) -> bool {
    query.state.is_none_or(|state| state == head.state)
        && query.conversation.as_ref().is_none_or(|conversation| *conversation == head.message.conversation)
        && query.app.as_ref().is_none_or(|app| *app == head.message.app)
}

fn head_of_letter(head: belfry_journal::DeadLetterHead) -> DeadLetterHead {
    let (plugin, generation) = head.culprit.map(|culprit| (culprit.plugin, culprit.generation)).unzip();
    DeadLetterHead {
        id: Id::of(&head.letter),
        at_ms: head.at_ms,
        reason: head.letter.reason,
        attempts: head.letter.attempts,
        plugin,
        generation,
    }
}
