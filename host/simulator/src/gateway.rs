//! The gateway's shared state and what is done with it.

mod ack;
mod call;
mod connections;
mod control;
mod course;
mod deliver;
mod http;
mod openapi;
mod register;
mod stream;
mod webhook;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};

use crate::config::{Credentials, Limits, SimulatorConfig};
use crate::draw::Draws;
use crate::fault::{Action, Fault, FaultId, Place};
use crate::log::Log;
use crate::record::Happening;
use crate::state::State;

pub(crate) use http::serve;

/// Body of a registration refused for its credentials, as captured in the field.
pub(crate) const AUTH_FAILED: &str =
    r#"{"requestid":"ED203550-7C0E-7B0A-9B2A-0D9F6E4A1C11","code":"authFailed","message":"鉴权失败"}"#;

/// Faults that may wait at one time.
const MAX_FAULTS: usize = 1_000;

pub(crate) struct Gateway {
    pub config: SimulatorConfig,
    pub address: SocketAddr,
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    pub log: Log,
    pub draws: Draws,
    pub sockets: Arc<Semaphore>,
    pub stop: watch::Sender<bool>,
    runtime: Handle,
    state: Mutex<State>,
    /// The retry queue has a new front.
    retry_sooner: Notify,
    speed: AtomicU64,
    faults: Mutex<Vec<Armed>>,
    /// Length of `faults`, so that the path without faults takes no lock.
    armed: AtomicUsize,
    last_fault: AtomicU64,
    last_message: AtomicU64,
    last_call: AtomicU64,
}

/// A fault that waits.
pub(crate) struct Armed {
    pub id: FaultId,
    pub fault: Fault,
    /// How often it has drawn.
    drawn: u64,
}

/// A fault that strikes.
pub(crate) struct Struck {
    pub action: Action,
    pub delay: Duration,
    pub obey_first: bool,
}

impl Gateway {
    pub(crate) fn new(config: SimulatorConfig, address: SocketAddr) -> Self {
        let mut reachable = address;
        if reachable.ip().is_unspecified() {
            reachable.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let draws = Draws::new(config.seed);
        let log = Log::new(config.max_records, config.max_record_bytes);
        log.write(Happening::Started { seed: draws.seed() }, 0);
        let mut state = State { honour_msg_uuid: config.honour_msg_uuid, ..State::default() };
        state.limits = Limits {
            webhook_per_minute: config.webhook_per_minute,
            api_per_second: config.api_per_second,
            api_calls_per_month: config.api_calls_per_month,
            messages_per_month: config.messages_per_month,
        };
        if let Credentials::List(list) = &config.credentials {
            state.first_app = list.first().map(|credential| credential.client_id.as_str().into());
        }
        Self {
            base: format!("http://{reachable}"),
            address,
            log,
            draws,
            sockets: Arc::new(Semaphore::new(config.max_sockets)),
            stop: watch::Sender::new(false),
            runtime: Handle::current(),
            state: Mutex::new(state),
            retry_sooner: Notify::new(),
            speed: AtomicU64::new(config.speed.to_bits()),
            faults: Mutex::default(),
            armed: AtomicUsize::new(0),
            last_fault: AtomicU64::new(0),
            last_message: AtomicU64::new(0),
            last_call: AtomicU64::new(0),
            config,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the simulator stops.
    pub(crate) async fn stopped(&self) {
        // An error would mean that the sender is gone, which is a field of `self`.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    pub(crate) fn record(&self, what: Happening) {
        self.log.write(what, 0);
    }

    pub(crate) fn speed(&self) -> f64 {
        f64::from_bits(self.speed.load(Ordering::Relaxed))
    }

    pub(crate) fn set_speed(&self, speed: f64) {
        if speed.is_finite() && speed > 0.0 {
            self.speed.store(speed.to_bits(), Ordering::Relaxed);
        }
    }

    /// How long a simulated duration really takes; at most a year, so that adding it to a time cannot overflow.
    pub(crate) fn real(&self, simulated: Duration) -> Duration {
        const YEAR: f64 = 365.0 * 24.0 * 3_600.0;
        Duration::from_secs_f64((simulated.as_secs_f64() / self.speed()).min(YEAR))
    }

    /// A `messageId` in DingTalk's form, never the same twice.
    pub(crate) fn new_message_id(&self) -> Arc<str> {
        let number = self.last_message.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{:08x}_{:x}_{:x}_{number:x}", 0x212b_9d7c, self.address.port(), crate::clock::wall_ms())
            .into()
    }

    pub(crate) fn add_fault(&self, fault: Fault) -> Result<FaultId, String> {
        fault.check()?;
        let id = FaultId(self.last_fault.fetch_add(1, Ordering::Relaxed) + 1);
        let mut faults = self.faults();
        if faults.len() >= MAX_FAULTS {
            return Err(format!("{MAX_FAULTS} faults are waiting already: clear some first"));
        }
        if fault.times != Some(0) {
            faults.push(Armed { id, fault, drawn: 0 });
        }
        self.armed.store(faults.len(), Ordering::Release);
        Ok(id)
    }

    pub(crate) fn clear_faults(&self, which: Option<FaultId>) -> usize {
        let mut faults = self.faults();
        let before = faults.len();
        faults.retain(|armed| which.is_some_and(|which| which != armed.id));
        self.armed.store(faults.len(), Ordering::Release);
        before - faults.len()
    }

    pub(crate) fn has_faults(&self) -> bool {
        self.armed.load(Ordering::Acquire) > 0
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next call of a webhook or the OpenAPI.
    pub(crate) fn new_call(&self) -> u64 {
        self.last_call.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The fault that strikes here and now, if any, recorded and counted down. The caller holds no lock on the state.
    pub(crate) fn strike(
        &self,
        place: Place,
        client_id: Option<&str>,
        conversation: Option<&str>,
    ) -> Option<Struck> {
        let struck = self.draw(place, client_id, conversation)?;
        self.state().stats.faults += 1;
        Some(struck)
    }

    /// The same without counting it, for a caller who holds the lock.
    pub(crate) fn draw(
        &self,
        place: Place,
        client_id: Option<&str>,
        conversation: Option<&str>,
    ) -> Option<Struck> {
        if !self.has_faults() {
            return None;
        }
        let fits = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == is)
        };
        let mut faults = self.faults();
        let at = faults.iter_mut().position(|Armed { id, fault, drawn }| {
            if fault.place != place
                || !fits(&fault.client_id, client_id)
                || !fits(&fault.conversation, conversation)
            {
                return false;
            }
            *drawn += 1;
            self.draws.strikes(id.0, *drawn, fault.probability)
        })?;
        let Armed { id, fault, .. } = faults.get_mut(at)?;
        let struck = Struck {
            action: fault.action.clone(),
            delay: Duration::from_millis(fault.delay_ms),
            obey_first: fault.obey_first,
        };
        let id = *id;
        if let Some(times) = &mut fault.times {
            *times -= 1;
            if *times == 0 {
                faults.remove(at);
                self.armed.store(faults.len(), Ordering::Release);
            }
        }
        drop(faults);
        self.record(Happening::Fault { fault: id, place, client_id: client_id.map(Into::into) });
        Some(struck)
    }
}
