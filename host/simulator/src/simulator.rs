//! The handle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::SimulatorConfig;
use crate::fault::{Cut, Fault, FaultId};
use crate::push::{Acked, CallError, Push, Pushed};
use crate::record::{Happening, NotSeen, Page, Record, Reply, Stats};
use crate::say::Say;

/// A running simulator. Clones are handles to the same one; it stops with [`shutdown`](Self::shutdown) or
/// when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Simulator {}

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
#[derive(Debug)]
pub struct Watch {}

impl Watch {
    /// The next record, as soon as there is one. `None` once the simulator has stopped and all was read.
    pub async fn next(&mut self) -> Option<Arc<Record>> {
        unimplemented!()
    }
    /// How many records were forgotten before they were read.
    pub fn missed(&self) -> u64 {
        unimplemented!()
    }
}

#[allow(unused_variables)]
impl Simulator {
    /// Starts one on the current tokio runtime.
    ///
    /// # Errors
    /// If the address cannot be listened on, or a setting makes no sense.
    pub async fn start(config: SimulatorConfig) -> Result<Self, StartError> {
        unimplemented!()
    }
    /// `http://127.0.0.1:PORT`: the base for registration, tokens and `oapi` paths alike.
    pub fn base_url(&self) -> &str {
        unimplemented!()
    }
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        unimplemented!()
    }
    /// Stops: closes all sockets and the listener.
    pub async fn shutdown(&self) {
        unimplemented!()
    }
    /// Somebody says something to a bot. Returns its `msgId`.
    pub fn say(&self, say: Say) -> String {
        unimplemented!()
    }
    /// Pushes a frame, and again until it is acked.
    pub fn push(&self, push: Push) -> Pushed {
        unimplemented!()
    }
    /// Pushes a frame and waits for its ack (real time).
    ///
    /// # Errors
    /// If no ack came in time, or the push was given up.
    pub async fn call(&self, push: Push, timeout: Duration) -> Result<Acked, CallError> {
        unimplemented!()
    }
    /// Sends a text as it is, valid or not, on every open connection (of one app). Returns on how many.
    pub fn push_raw(&self, client_id: Option<&str>, text: &str) -> usize {
        unimplemented!()
    }
    /// Sends a `SYSTEM`/`ping` on every open connection (of one app) now. Returns on how many.
    pub fn ping(&self, client_id: Option<&str>) -> usize {
        unimplemented!()
    }
    /// Announces the end of all open connections (of one app): `disconnect` now, no pushes from now on, closed after
    /// [`close_after_disconnect`](SimulatorConfig::close_after_disconnect). Returns how many.
    pub fn disconnect(&self, client_id: Option<&str>, reason: &str) -> usize {
        unimplemented!()
    }
    /// Cuts all open connections (of one app) without warning. Returns how many.
    pub fn drop_sockets(&self, client_id: Option<&str>, how: Cut) -> usize {
        unimplemented!()
    }
    /// Lets the session webhook of a conversation (or all) expire now. Returns how many.
    pub fn expire_sessions(&self, client_id: Option<&str>, conversation: Option<&str>) -> usize {
        unimplemented!()
    }
    /// Adds a fault after those already there.
    ///
    /// # Errors
    /// If [`Fault::check`] refuses it.
    pub fn add_fault(&self, fault: Fault) -> Result<FaultId, String> {
        unimplemented!()
    }
    /// Takes one fault away, or all. Returns how many there were.
    pub fn clear_faults(&self, which: Option<FaultId>) -> usize {
        unimplemented!()
    }
    /// The faults that may still strike, with the counts they have left.
    pub fn faults(&self) -> Vec<(FaultId, Fault)> {
        unimplemented!()
    }
    /// Simulated seconds per real second.
    pub fn speed(&self) -> f64 {
        unimplemented!()
    }
    /// Changes the speed for every wait that begins from now on. Values that are not above 0 are ignored.
    pub fn set_speed(&self, speed: f64) {
        unimplemented!()
    }
    /// Connections open for pushes (of one app); draining ones are not counted.
    pub fn connections(&self, client_id: Option<&str>) -> usize {
        unimplemented!()
    }
    /// The counters.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }
    /// The number the next record will have: pass it to the waiting functions to look only at what follows.
    pub fn now(&self) -> u64 {
        unimplemented!()
    }
    /// The records from number `since` on, at most `limit`.
    pub fn records(&self, since: u64, limit: usize) -> Page {
        unimplemented!()
    }
    /// Reads records from number `since` on as they come.
    pub fn watch(&self, since: u64) -> Watch {
        unimplemented!()
    }
    /// Waits for the first record from `since` on for which `pick` gives something (real time).
    ///
    /// # Errors
    /// If there is none in time.
    pub async fn wait_for<T>(
        &self,
        since: u64,
        timeout: Duration,
        pick: impl FnMut(&Happening) -> Option<T>,
    ) -> Result<T, NotSeen> {
        unimplemented!()
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
        unimplemented!()
    }
    /// Waits for the ack of a push.
    ///
    /// # Errors
    /// If there is none in time.
    pub async fn wait_for_ack(&self, since: u64, push: u64, timeout: Duration) -> Result<Acked, NotSeen> {
        unimplemented!()
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
        unimplemented!()
    }
}
