//! The handle to a running simulator.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;

use crate::card::{Card, CardStep, Press};
use crate::config::{Limits, SimulatorConfig};
use crate::fault::{Cut, Fault, FaultId};
use crate::gateway::{Gateway, serve};
use crate::media::Upload;
use crate::push::{Acked, CallError, Push, Pushed};
use crate::record::{Happening, NotSeen, Page, Record, Stats};
use crate::reply::Reply;
use crate::say::Say;
use crate::state::Outgoing;

/// Records shown by [`NotSeen`].
const TAIL: usize = 20;

/// Records fetched at one time by [`Watch`].
const CHUNK: usize = 256;

/// Longest wait for connections to end on [`Simulator::shutdown`].
const SHUTDOWN: Duration = Duration::from_secs(2);

/// A running simulator. Clones are handles to the same one; it stops with [`shutdown`](Self::shutdown) or
/// when the last handle is dropped.
#[derive(Clone)]
pub struct Simulator {
    owner: Arc<Owner>,
}

/// Ends the simulator when the last handle goes.
struct Owner {
    gateway: Arc<Gateway>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.gateway.stop.send_replace(true);
        self.gateway.log.close();
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("failed to listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A setting makes no sense.
    #[error("failed to use the simulator's settings: {0}")]
    Config(String),
}

/// Reads records as they come. See [`Simulator::watch`].
pub struct Watch {
    gateway: Arc<Gateway>,
    fetched: VecDeque<Arc<Record>>,
    next: u64,
    missed: u64,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("next", &self.next)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// The next record, as soon as there is one. `None` once the simulator has stopped and all was read.
    pub async fn next(&mut self) -> Option<Arc<Record>> {
        if self.fetched.is_empty() {
            let page = self.gateway.log.next_page(self.next, CHUNK).await;
            self.missed += page.missed;
            self.next = page.next;
            self.fetched = page.records.into();
        }
        self.fetched.pop_front()
    }

    /// How many records were forgotten before they were read.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl Simulator {
    /// Starts one on the current tokio runtime, which needs its I/O and time drivers.
    ///
    /// # Errors
    /// If the address cannot be listened on, or a setting makes no sense.
    pub async fn start(config: SimulatorConfig) -> Result<Self, StartError> {
        if !(config.speed.is_finite() && config.speed > 0.0) {
            return Err(StartError::Config(format!("speed {} is not above 0", config.speed)));
        }
        if config.max_deliveries == 0 {
            return Err(StartError::Config("max_deliveries is 0: nothing would ever be pushed".to_owned()));
        }
        let address = config.bind;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        let gateway = Arc::new(Gateway::new(config, bound));
        tokio::spawn(serve(Arc::clone(&gateway), listener));
        tokio::spawn(Arc::clone(&gateway).redeliver());
        Ok(Self { owner: Arc::new(Owner { gateway }) })
    }

    fn gateway(&self) -> &Arc<Gateway> {
        &self.owner.gateway
    }

    /// `http://127.0.0.1:PORT`: the base for registration, tokens and `oapi` paths alike.
    pub fn base_url(&self) -> &str {
        &self.gateway().base
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.gateway().address
    }

    /// Stops: closes the listener and all sockets, and waits (at most 2 s) until they are gone.
    pub async fn shutdown(&self) {
        let gateway = self.gateway();
        gateway.stop.send_replace(true);
        let all = u32::try_from(gateway.config.max_sockets).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(SHUTDOWN, gateway.sockets.acquire_many(all)).await;
        gateway.log.close();
    }

    /// Somebody says something to a bot. Returns its `msgId`. With no connection open, the message waits for one.
    pub fn say(&self, say: Say) -> String {
        self.gateway().say(say).id.as_ref().to_owned()
    }

    /// The same as [`say`](Self::say), returning the push's number too.
    pub fn say_tracked(&self, say: Say) -> Pushed {
        self.gateway().say(say)
    }

    /// Pushes a frame, and again until it is acked. With no connection open, it waits for one; with connections
    /// of which none has subscribed the topic, it is dropped, and recorded as such.
    pub fn push(&self, push: Push) -> Pushed {
        self.gateway().push(push, None)
    }

    /// Pushes a frame and waits for its ack (real time).
    ///
    /// # Errors
    /// If no ack came in time, or the push was given up.
    pub async fn call(&self, push: Push, timeout: Duration) -> Result<Acked, CallError> {
        self.gateway().call(push, timeout).await
    }

    /// Sends a text as it is, valid or not, on every open connection (of one app). Returns on how many.
    pub fn push_raw(&self, client_id: Option<&str>, text: &str) -> usize {
        self.gateway().send_raw(client_id, text)
    }

    /// Sends a `SYSTEM`/`ping` on every open connection (of one app) now. Returns on how many.
    pub fn ping(&self, client_id: Option<&str>) -> usize {
        self.gateway().each(client_id, |connection| connection.queue.try_send(Outgoing::Ping).is_ok())
    }

    /// Announces the end of all open connections (of one app): `disconnect` now, no pushes from now on, closed after
    /// [`close_after_disconnect`](SimulatorConfig::close_after_disconnect). Returns how many.
    pub fn disconnect(&self, client_id: Option<&str>, reason: &str) -> usize {
        self.gateway().disconnect(client_id, reason)
    }

    /// Cuts all open connections (of one app) without warning. Returns how many.
    pub fn drop_sockets(&self, client_id: Option<&str>, how: Cut) -> usize {
        self.gateway().cut(client_id, how)
    }

    /// Lets the session webhook of a conversation (or all) expire now. Returns how many.
    pub fn expire_sessions(&self, client_id: Option<&str>, conversation: Option<&str>) -> usize {
        self.gateway().state().sessions.expire(client_id, conversation)
    }

    /// Lets the access token of an app (or of all) end now: calls with it are refused with 401
    /// `InvalidAuthentication`, and the next one asked for is another. Returns how many.
    pub fn expire_tokens(&self, client_id: Option<&str>) -> usize {
        self.gateway().state().tokens.expire(client_id)
    }

    /// The cards, as they are now, in the order in which they were made. What happened to them is in the records
    /// ([`Happening::Card`]).
    pub fn cards(&self) -> Vec<Card> {
        self.gateway().state().cards.all()
    }

    /// One card.
    pub fn card(&self, out_track_id: &str) -> Option<Card> {
        self.gateway().state().cards.get(out_track_id).cloned()
    }

    /// All that happened to a card, as far as the records go back.
    pub fn card_history(&self, out_track_id: &str) -> Vec<CardStep> {
        let records = self.records(1, usize::MAX).records;
        let step = |record: &Arc<Record>| match &record.what {
            Happening::Card(step) if *step.out_track_id == *out_track_id => Some(step.clone()),
            _ => None,
        };
        records.iter().filter_map(step).collect()
    }

    /// Somebody presses a button of a card, or sends its form. The answer is an ack like any other
    /// ([`wait_for_ack`](Self::wait_for_ack)), and what it changes is shown by the card.
    ///
    /// # Errors
    /// If there is no such card, or it was not made for callbacks over Stream.
    pub fn press(&self, press: Press) -> Result<Pushed, String> {
        self.gateway().press(press)
    }

    /// The content that a bot gets for the download code of a picture, a file, a sound or a video. Without it there is a
    /// sample. At most 64 MiB are kept; beyond, the oldest is forgotten.
    pub fn put_file(&self, download_code: &str, content: impl Into<Bytes>) {
        self.gateway().state().media.give(download_code, content.into());
    }

    /// What a bot uploaded, and its content. At most 64 MiB are kept; beyond, the oldest is forgotten.
    pub fn upload(&self, media_id: &str) -> Option<(Upload, Bytes)> {
        self.gateway().state().media.uploaded(media_id)
    }

    /// What decides the draws: [`SimulatorConfig::seed`], or one of its own. To be printed by a test that fails.
    pub fn seed(&self) -> u64 {
        self.gateway().draws.seed()
    }

    /// Whether a reply with a known `msgUuid` is kept from people.
    pub fn honours_msg_uuid(&self) -> bool {
        self.gateway().state().honour_msg_uuid
    }

    /// Changes what [`honours_msg_uuid`](Self::honours_msg_uuid) says. What was seen before stays known.
    pub fn set_honour_msg_uuid(&self, honour: bool) {
        self.gateway().state().honour_msg_uuid = honour;
    }

    /// What is allowed.
    pub fn limits(&self) -> Limits {
        self.gateway().state().limits
    }

    /// Changes what is allowed. The month's numbers count from now.
    pub fn set_limits(&self, limits: Limits) {
        self.gateway().state().set_limits(limits);
    }

    /// Adds a fault after those already there.
    ///
    /// # Errors
    /// If [`Fault::check`] refuses it, or a thousand are waiting already.
    pub fn add_fault(&self, fault: Fault) -> Result<FaultId, String> {
        self.gateway().add_fault(fault)
    }

    /// Takes one fault away, or all. Returns how many there were.
    pub fn clear_faults(&self, which: Option<FaultId>) -> usize {
        self.gateway().clear_faults(which)
    }

    /// The faults that may still strike, with the counts they have left.
    pub fn faults(&self) -> Vec<(FaultId, Fault)> {
        self.gateway().faults().iter().map(|armed| (armed.id, armed.fault.clone())).collect()
    }

    /// Simulated seconds per real second.
    pub fn speed(&self) -> f64 {
        self.gateway().speed()
    }

    /// Changes the speed for every wait that begins from now on. Values that are not above 0 are ignored.
    pub fn set_speed(&self, speed: f64) {
        self.gateway().set_speed(speed);
    }

    /// Connections open for pushes (of one app); draining ones are not counted.
    pub fn connections(&self, client_id: Option<&str>) -> usize {
        let state = self.gateway().state();
        let apps = state.apps.values().filter(|app| client_id.is_none_or(|id| id == &*app.client_id));
        apps.map(|app| app.open.len()).sum()
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.gateway().stats()
    }

    /// The number the next record will have: pass it to the waiting functions to look only at what follows.
    pub fn now(&self) -> u64 {
        self.gateway().log.next()
    }

    /// The records from number `since` on, at most `limit`.
    pub fn records(&self, since: u64, limit: usize) -> Page {
        self.gateway().log.page(since, limit)
    }

    /// Reads records from number `since` on as they come.
    pub fn watch(&self, since: u64) -> Watch {
        Watch { gateway: Arc::clone(self.gateway()), fetched: VecDeque::new(), next: since, missed: 0 }
    }

    /// Waits for the first record from `since` on for which `pick` gives something (real time).
    ///
    /// # Errors
    /// If there is none in time.
    pub async fn wait_for<T>(
        &self,
        since: u64,
        timeout: Duration,
        mut pick: impl FnMut(&Happening) -> Option<T>,
    ) -> Result<T, NotSeen> {
        let mut watch = self.watch(since);
        let seen = tokio::time::timeout(timeout, async {
            while let Some(record) = watch.next().await {
                if let Some(found) = pick(&record.what) {
                    return Some(found);
                }
            }
            None
        });
        match seen.await {
            Ok(Some(found)) => Ok(found),
            Ok(None) | Err(_) => Err(self.not_seen(timeout)),
        }
    }

    fn not_seen(&self, waited: Duration) -> NotSeen {
        let tail = self.records(self.now().saturating_sub(TAIL as u64), TAIL).records;
        let lines = tail.iter().map(|record| serde_json::to_string(record).unwrap_or_default());
        NotSeen { waited, tail: lines.collect::<Vec<_>>().join("\n") }
    }

    /// Waits for a reply in a conversation whose text contains `part`.
    ///
    /// # Errors
    /// If there is none in time.
    pub async fn wait_for_reply(
        &self,
        since: u64,
        conversation: &str,
        part: &str,
        timeout: Duration,
    ) -> Result<Reply, NotSeen> {
        self.wait_for(since, timeout, |what| match what {
            Happening::Replied(reply)
                if *reply.conversation == *conversation && reply.text().contains(part) =>
            {
                Some(reply.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits until there is a card that is as wanted, the oldest such if there are several (real time).
    ///
    /// # Errors
    /// If there is none in time.
    pub async fn wait_for_card(
        &self,
        timeout: Duration,
        mut wanted: impl FnMut(&Card) -> bool,
    ) -> Result<Card, NotSeen> {
        let mut watch = self.watch(self.now());
        let seen = tokio::time::timeout(timeout, async {
            loop {
                if let Some(card) = self.cards().into_iter().find(|card| wanted(card)) {
                    return Some(card);
                }
                watch.next().await?;
            }
        });
        seen.await.ok().flatten().ok_or_else(|| self.not_seen(timeout))
    }

    /// Waits for the ack of a push.
    ///
    /// # Errors
    /// If there is none in time.
    pub async fn wait_for_ack(&self, since: u64, push: u64, timeout: Duration) -> Result<Acked, NotSeen> {
        self.wait_for(since, timeout, |what| match what {
            Happening::Acked(acked) if acked.push == push => Some(acked.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until an app has at least so many connections open for pushes.
    ///
    /// # Errors
    /// If it has fewer when the time is over.
    pub async fn wait_for_connections(
        &self,
        client_id: Option<&str>,
        count: usize,
        timeout: Duration,
    ) -> Result<(), NotSeen> {
        let mut watch = self.watch(self.now());
        let reached = tokio::time::timeout(timeout, async {
            while self.connections(client_id) < count {
                if watch.next().await.is_none() {
                    std::future::pending::<()>().await;
                }
            }
        });
        reached.await.map_err(|_| self.not_seen(timeout))
    }
}
