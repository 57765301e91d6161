//! What the gateway knows, behind one lock that is never held across an await.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::card::Cards;
use crate::config::Limits;
use crate::draw::Draws;
use crate::media::Media;
use crate::push::{Acked, CallError, FrameType, Push};
use crate::record::{Stats, Subscription};
use crate::say::Say;
use crate::sent::SentMessages;
use crate::sessions::Sessions;
use crate::socket::Switch;
use crate::tokens::Tokens;
use crate::usage::Usage;

/// Pushes kept while no app is known at all; beyond it the oldest is given up.
pub(crate) const MAX_UNADDRESSED: usize = 1_000;

/// Apps known; further ones cannot register and get no pushes.
const MAX_APPS: usize = 10_000;

/// Tickets kept; beyond it the oldest is forgotten.
const MAX_TICKETS: usize = 10_000;

#[derive(Default)]
pub(crate) struct State {
    pub apps: HashMap<Arc<str>, App>,
    /// The app that a push without a client id goes to.
    pub first_app: Option<Arc<str>>,
    pub tickets: Tickets,
    pub sessions: Sessions,
    /// Pushes neither acked nor given up, by number, so the oldest is the first.
    pub pushes: BTreeMap<u64, Pending>,
    pub last_push: u64,
    pub deliveries: Deliveries,
    pub retries: Retries,
    pub unaddressed: VecDeque<Request>,
    pub stats: Stats,
    pub tokens: Tokens,
    pub cards: Cards,
    pub media: Media,
    pub sent: SentMessages,
    pub usage: Usage,
    pub limits: Limits,
    pub honour_msg_uuid: bool,
}

impl State {
    /// Whether this app is known or may become so.
    pub(crate) fn has_room_for(&self, client_id: &str) -> bool {
        self.apps.len() < MAX_APPS || self.apps.contains_key(client_id)
    }

    /// Changes what is allowed; the counts begin anew.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.usage = Usage::default();
    }
}

pub(crate) struct App {
    pub client_id: Arc<str>,
    pub app_id: String,
    /// The bot's encrypted user id.
    pub bot: String,
    /// Connections that take pushes.
    pub open: Vec<Connection>,
    /// Connections that were told to go.
    pub draining: Vec<Connection>,
    /// Numbers of pushes that wait for a connection.
    pub held: VecDeque<u64>,
}

impl App {
    pub(crate) fn new(client_id: &Arc<str>) -> Self {
        Self {
            client_id: Arc::clone(client_id),
            app_id: uuid::Uuid::new_v4().to_string(),
            bot: crate::payload::bot_user_id(client_id),
            open: Vec::new(),
            draining: Vec::new(),
            held: VecDeque::new(),
        }
    }

    /// A random open connection that subscribed the topic.
    pub(crate) fn choose(
        &self,
        draws: &Draws,
        frame_type: FrameType,
        topic: &str,
        anyway: bool,
    ) -> Option<&Connection> {
        let takes = |c: &&Connection| anyway || c.subscriptions.iter().any(|s| s.covers(frame_type, topic));
        let first = self.open.get(draws.choose(self.open.len()))?;
        if takes(&first) {
            return Some(first);
        }
        let fitting: Vec<&Connection> = self.open.iter().filter(takes).collect();
        fitting.get(draws.choose(fitting.len())).copied()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Connection> {
        self.open.iter().chain(&self.draining)
    }
}

/// One WebSocket, as the rest of the gateway sees it.
#[derive(Clone)]
pub(crate) struct Connection {
    pub id: Arc<str>,
    pub subscriptions: Arc<[Subscription]>,
    pub queue: mpsc::Sender<Outgoing>,
    pub switch: Arc<Switch>,
}

/// What a connection's task is told to send.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Text(String),
    Ping,
    Disconnect(String),
    Close(&'static str),
}

/// A ticket's owner and what it subscribed.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub client_id: Arc<str>,
    pub subscriptions: Arc<[Subscription]>,
    expires: Instant,
}

/// Tickets, single use. All live equally long, so the oldest expires first.
#[derive(Default)]
pub(crate) struct Tickets {
    by_name: HashMap<String, Option<Ticket>>,
    order: VecDeque<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TicketError {
    Unknown,
    Used,
    Expired,
}

impl Tickets {
    pub(crate) fn issue(&mut self, client_id: Arc<str>, subs: Arc<[Subscription]>, ttl: Duration) -> String {
        let name = uuid::Uuid::new_v4().to_string();
        let ticket = Ticket { client_id, subscriptions: subs, expires: Instant::now() + ttl };
        self.by_name.insert(name.clone(), Some(ticket));
        self.order.push_back(name.clone());
        while self.order.len() > MAX_TICKETS {
            let Some(oldest) = self.order.pop_front() else { break };
            self.by_name.remove(&oldest);
        }
        name
    }

    pub(crate) fn redeem(&mut self, name: &str) -> Result<Ticket, TicketError> {
        let ticket = self.by_name.get_mut(name).ok_or(TicketError::Unknown)?;
        let ticket = ticket.take().ok_or(TicketError::Used)?;
        if ticket.expires <= Instant::now() { Err(TicketError::Expired) } else { Ok(ticket) }
    }
}

/// What the caller of a push waits for.
pub(crate) type Waiter = oneshot::Sender<Result<Acked, CallError>>;

/// Something to push that has no app yet.
pub(crate) struct Request {
    pub number: u64,
    pub id: Arc<str>,
    pub what: What,
    pub waiter: Option<Waiter>,
}

pub(crate) enum What {
    Say(Box<Say>),
    Push(Box<Push>),
}

/// The names of a push, shared by all records about it.
#[derive(Debug)]
pub(crate) struct Names {
    pub number: u64,
    pub client_id: Arc<str>,
    pub topic: Arc<str>,
    pub id: Arc<str>,
}

/// A push that is neither acked nor given up.
pub(crate) struct Pending {
    pub names: Arc<Names>,
    pub frame_type: FrameType,
    pub headers: BTreeMap<String, String>,
    pub data: String,
    pub unsubscribed: bool,
    pub attempts: u32,
    pub waiter: Option<Waiter>,
}

/// One frame that went out.
pub(crate) struct Delivery {
    pub names: Arc<Names>,
    pub attempt: u32,
    pub acks: u32,
}

/// Frames that went out, by `messageId`, the newest of them only: enough to match late and repeated acks.
#[derive(Default)]
pub(crate) struct Deliveries {
    by_message_id: HashMap<Arc<str>, Delivery>,
    order: VecDeque<Arc<str>>,
}

impl Deliveries {
    pub(crate) fn insert(&mut self, message_id: Arc<str>, delivery: Delivery, max: usize) {
        self.by_message_id.insert(Arc::clone(&message_id), delivery);
        self.order.push_back(message_id);
        while self.order.len() > max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.by_message_id.remove(&oldest);
        }
    }

    /// The frame's name and itself.
    pub(crate) fn get(&mut self, message_id: &str) -> Option<&mut Delivery> {
        self.by_message_id.get_mut(message_id)
    }
}

/// When which push is due again. All wait equally long (until the speed changes), so this is a queue
/// whose front is due first; acked ones at the front leave early.
#[derive(Default)]
pub(crate) struct Retries {
    queue: VecDeque<Retry>,
}

#[derive(Clone, Copy)]
pub(crate) struct Retry {
    pub due: Instant,
    pub push: u64,
    pub attempt: u32,
}

impl Retries {
    /// Adds one. True: it is due before all others.
    pub(crate) fn add(&mut self, retry: Retry) -> bool {
        if self.queue.back().is_none_or(|last| last.due <= retry.due) {
            self.queue.push_back(retry);
            return self.queue.len() == 1;
        }
        let at = self.queue.partition_point(|other| other.due <= retry.due);
        self.queue.insert(at, retry);
        at == 0
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.queue.front().map(|retry| retry.due)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Retry> {
        self.queue.pop_front_if(|retry| retry.due <= now)
    }

    /// Drops what is acked from the front, and the rest of it when it has become the greater part.
    pub(crate) fn trim(&mut self, pushes: &BTreeMap<u64, Pending>) {
        while self.queue.pop_front_if(|retry| !pushes.contains_key(&retry.push)).is_some() {}
        if self.queue.len() > 1_024 + 4 * pushes.len() {
            self.queue.retain(|retry| pushes.contains_key(&retry.push));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_works_once_and_not_for_ever() {
        let mut tickets = Tickets::default();
        let ticket = tickets.issue("app".into(), Arc::new([]), Duration::from_secs(90));
        assert!(tickets.redeem(&ticket).is_ok());
        assert_eq!(tickets.redeem(&ticket).err(), Some(TicketError::Used));
        let late = tickets.issue("app".into(), Arc::new([]), Duration::ZERO);
        assert_eq!(tickets.redeem(&late).err(), Some(TicketError::Expired));
        assert_eq!(tickets.redeem("never issued").err(), Some(TicketError::Unknown));
    }

    #[test]
    fn retries_come_in_the_order_they_are_due() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut retries = Retries::default();
        for (push, due) in [(1, 5), (2, 6), (3, 2)] {
            retries.add(Retry { due: at(due), push, attempt: 1 });
        }
        assert_eq!(retries.next_due(), Some(at(2)));
        let due: Vec<u64> = std::iter::from_fn(|| retries.pop_due(at(5))).map(|r| r.push).collect();
        assert_eq!(due, [3, 1]);
        retries.trim(&BTreeMap::new());
        assert_eq!(retries.next_due(), None);
    }
}
