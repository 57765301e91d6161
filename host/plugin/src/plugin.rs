//! One loaded plugin and its calls.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use wasmtime::component::InstancePre;
use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use crate::bindings::exports::belfry::bot::message_handler;
use crate::call::{Call, Metered, Tick};
use crate::guest_log::GuestLog;
use crate::health::Health;
use crate::outbound::Outbound;
use crate::reason;
use crate::state::State;
use crate::types::{Effect, Event, Failure, Message, Outcome, Request, Response};
use crate::{
    CallContext, CallError, Description, Host, Limits, LoadError, PluginInfo, PluginSpec, Writes, diagnose,
};

/// A guest that computes longer than this on average is sent to the offload runtime without being tried inline.
const HEAVY: Duration = Duration::from_micros(500);

/// An interface of `wit/` that a plugin may export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Handler {
    /// `message-handler`: answers messages.
    Message,
    /// `event-handler`: handles events and schedules.
    Event,
    /// `action-handler`: answers buttons of cards and calls of AI assistants.
    Action,
    /// `transform`: changes events on their way through a connection.
    Transform,
}

/// Facts about a loaded component, for `belfry plugin check` and the log.
#[derive(Clone, Debug)]
pub struct About {
    /// Hex SHA-256 of the file.
    pub sha256: String,
    /// The file's length.
    pub bytes: u64,
    /// What it took to compile it, or to take it from the cache.
    pub compile: Duration,
    /// What it took to start the trial instance.
    pub instantiate: Duration,
    /// The handlers it exports.
    pub handlers: Vec<Handler>,
    /// Names of all its imports.
    pub imports: Vec<String>,
    /// Names of all its exports.
    pub exports: Vec<String>,
}

/// Where the time of one call went.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// Making the store.
    pub store: Duration,
    /// Making the instance and finding its export.
    pub instantiate: Duration,
    /// The call itself: handing the message over, the guest's work, taking the answer.
    pub call: Duration,
    /// Throwing store and instance away.
    pub drop: Duration,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Done<T> {
    /// What the guest returned.
    pub value: T,
    /// What is to be stored with it.
    pub writes: Writes,
}

/// One build of one plugin, ready to be called.
pub struct Plugin {
    pub(crate) build: Arc<Build>,
    pub(crate) about: About,
}

/// The part of a plugin that calls hold on to.
pub(crate) struct Build {
    pub(crate) host: Arc<Host>,
    pub(crate) spec: Arc<PluginSpec>,
    /// `spec.name` once more, cheap to hand to every log.
    pub(crate) name: Arc<str>,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) component: InstancePre<State>,
    pub(crate) exports: Exports,
    pub(crate) health: Health,
    /// The slots this build may hold at one time: not all, so that a plugin that only waits leaves some to others.
    pub(crate) share: Arc<Semaphore>,
}

/// Where the handlers are among a component's exports.
#[derive(Default)]
pub(crate) struct Exports {
    pub(crate) message: Option<message_handler::GuestIndices>,
}

impl Plugin {
    /// What the config says about it.
    pub fn spec(&self) -> &PluginSpec {
        &self.build.spec
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.build.name
    }

    /// What other plugins are told about it.
    pub fn info(&self) -> PluginInfo {
        let PluginSpec { name, description, commands, .. } = self.spec();
        PluginInfo { name: name.clone(), description: description.clone(), commands: commands.clone() }
    }

    /// Facts about the component.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Whether it exports `handler`.
    pub fn handles(&self, handler: Handler) -> bool {
        self.about.handlers.contains(&handler)
    }

    /// One call of `on-message` under the stopwatch, on this thread and without deadline. For benchmarks.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Plugin::on_message).
    pub async fn time_call(&self, message: &Message, context: &CallContext) -> Result<Phases, CallError> {
        let build = &self.build;
        let limits = build.limits();
        let call = Arc::new(Call::new(GuestLog::new(Arc::clone(&build.name), limits.log_bytes), limits.cpu));
        let timed = Metered {
            call: Arc::clone(&call),
            ticker: Arc::clone(&build.host.ticker),
            inner: Box::pin(build.timed(call, context.clone(), message)),
        };
        timed.await.map_err(|stop| stop.error)
    }

    /// Calls `message-handler.on-message` in a fresh instance.
    ///
    /// The first milliseconds run on the calling thread, the rest of a long computation on the host's `offload`
    /// runtime. Waits first if as many calls are under way as the host has slots, or of this plugin as three quarters of them. Dropping the future stops the guest.
    ///
    /// # Errors
    ///
    /// The guest's own `failure`, a trap, or a limit. See [`CallError`].
    pub async fn on_message(
        &self,
        message: Arc<Message>,
        context: &CallContext,
    ) -> Result<Done<Outcome>, CallError> {
        let result = self.build.call(context, move |build, call, context| async move {
            build.on_message(call, context, &message).await
        });
        match result.await {
            Ok(Ok(outcome)) => {
                self.build.health.worked();
                Ok(Done { value: outcome, writes: Writes::default() })
            }
            Ok(Err(failure)) => {
                self.build.health.worked();
                Err(reason::returned(&self.build.name, failure))
            }
            Err(stop) => {
                self.build.health.trapped(&stop);
                Err(stop.error)
            }
        }
    }
}

impl Plugin {
    /// What it says about itself, if it exports `describe`.
    pub fn description(&self) -> Option<&Description> {
        None
    }

    /// Calls `event-handler.on-event` as [`on_message`](Plugin::on_message) calls its function.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Plugin::on_message).
    pub async fn on_event(
        &self,
        _event: Arc<Event>,
        _context: &CallContext,
    ) -> Result<Done<Vec<Effect>>, CallError> {
        Err(reason::no_handler(&self.build.name).error)
    }

    /// Calls `action-handler.on-action` as [`on_message`](Plugin::on_message) calls its function.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Plugin::on_message).
    pub async fn on_action(
        &self,
        _request: Arc<Request>,
        _context: &CallContext,
    ) -> Result<Done<Response>, CallError> {
        Err(reason::no_handler(&self.build.name).error)
    }

    /// Calls `transform.transform` as [`on_message`](Plugin::on_message) calls its function.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Plugin::on_message).
    pub async fn transform(
        &self,
        _event: Arc<Event>,
        _context: &CallContext,
    ) -> Result<Option<Event>, CallError> {
        Err(reason::no_handler(&self.build.name).error)
    }
}

/// Why a call ended without a result from the guest.
pub(crate) struct Stop {
    pub(crate) error: CallError,
    /// Whether the guest is to blame.
    pub(crate) guest: bool,
}

impl Build {
    fn limits(&self) -> &Limits {
        &self.spec.limits
    }

    /// Starts an instance and throws it away: what is wrong with it shows now, not with the first message.
    pub(crate) async fn try_out(self: &Arc<Self>) -> Result<(), LoadError> {
        let nothing = CallContext::default();
        let trial = self.call(&nothing, |build, call, context| async move {
            let mut store = build.store(call, context);
            let instance = match build.component.instantiate_async(&mut store).await {
                Ok(instance) => instance,
                Err(error) => return Err(reason::stopped(&build, &store, &error)),
            };
            let message = build.exports.message.as_ref().map(|message| message.load(&mut store, &instance));
            Ok(message.transpose().map_err(|error| diagnose::wrong_types("on-message", &error)))
        });
        match trial.await {
            Ok(loaded) => loaded.map(drop),
            Err(stop) => {
                let reason = stop.error.reason();
                Err(LoadError::Rejected(format!("a trial instance does not start: {reason}")))
            }
        }
    }

    async fn on_message(
        &self,
        call: Arc<Call>,
        context: CallContext,
        message: &Message,
    ) -> Result<Result<Outcome, Failure>, Stop> {
        let Some(export) = &self.exports.message else {
            return Err(reason::no_handler(&self.name));
        };
        let mut store = self.store(call, context);
        let result = async {
            let instance = self.component.instantiate_async(&mut store).await?;
            export.load(&mut store, &instance)?.call_on_message(&mut store, message).await
        };
        match result.await {
            Ok(Ok(outcome)) => match reason::too_large(self, &outcome) {
                None => Ok(Ok(outcome)),
                Some(stop) => Err(stop),
            },
            Ok(Err(failure)) => Ok(Err(failure)),
            Err(error) => Err(reason::stopped(self, &store, &error)),
        }
    }

    async fn timed(&self, call: Arc<Call>, context: CallContext, message: &Message) -> Result<Phases, Stop> {
        let Some(export) = &self.exports.message else {
            return Err(reason::no_handler(&self.name));
        };
        let start = Instant::now();
        let mut store = self.store(call, context);
        let stored = Instant::now();
        let guest = async {
            let instance = self.component.instantiate_async(&mut store).await?;
            export.load(&mut store, &instance)
        };
        let guest = guest.await.map_err(|error| reason::stopped(self, &store, &error))?;
        let instantiated = Instant::now();
        let result = guest.call_on_message(&mut store, message).await;
        let called = Instant::now();
        result.map_err(|error| reason::stopped(self, &store, &error))?.ok();
        drop(store);
        Ok(Phases {
            store: stored - start,
            instantiate: instantiated - stored,
            call: called - instantiated,
            drop: called.elapsed(),
        })
    }

    fn store(&self, call: Arc<Call>, context: CallContext) -> Store<State> {
        let limits = self.limits();
        let state = State::new(call, Arc::clone(&self.spec), Arc::clone(&self.outbound), context);
        let mut store = Store::new(&self.host.engine, state);
        store.limiter(|state| &mut state.memory);
        // One figure bounds what crosses over in both directions of a call; what is returned is weighed again, exactly.
        let fuel = limits.host_bytes.max(limits.output.saturating_add(64 << 10));
        store.set_hostcall_fuel(usize::try_from(fuel).unwrap_or(usize::MAX));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(on_epoch);
        store
    }

    /// Runs one call under the deadline, in a slot, on the right thread.
    async fn call<T, F>(
        self: &Arc<Self>,
        context: &CallContext,
        work: impl FnOnce(Arc<Build>, Arc<Call>, CallContext) -> F,
    ) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Stop>> + Send + 'static,
    {
        let (Ok(share), Ok(slot)) = (
            Arc::clone(&self.share).acquire_owned().await,
            Arc::clone(&self.host.slots).acquire_owned().await,
        ) else {
            return Err(reason::stopping(&self.name));
        };
        let limits = self.limits();
        let call = Arc::new(Call::new(GuestLog::new(Arc::clone(&self.name), limits.log_bytes), limits.cpu));
        let inner = work(Arc::clone(self), Arc::clone(&call), context.clone());
        let job = Metered {
            call: Arc::clone(&call),
            ticker: Arc::clone(&self.host.ticker),
            inner: Box::pin(in_slot([share, slot], inner)),
        };
        let heavy = self.health.average() > HEAVY;
        let run = drive(job, &call, self.host.offload.as_ref(), heavy);
        let result = match tokio::time::timeout(limits.deadline, run).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(reason::stopping(&self.name)),
            Err(_) => Err(reason::too_late(self, &call)),
        };
        self.health.ran(call.spent());
        call.log.finish();
        result
    }
}

async fn in_slot<F: Future>(_slot: [OwnedSemaphorePermit; 2], inner: F) -> F::Output {
    inner.await
}

/// Polls `job` here until it has used up a slice, then on the offload runtime. None if that runtime is gone.
async fn drive<T, F>(
    job: Metered<F>,
    call: &Call,
    offload: Option<&tokio::runtime::Handle>,
    heavy: bool,
) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let Some(offload) = offload else {
        return Some(job.await);
    };
    let mut job = job;
    if !heavy {
        let inline = poll_fn(|cx| match Pin::new(&mut job).poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if call.take_wants_offload() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        if let Some(result) = inline.await {
            return Some(result);
        }
    }
    Aborting(offload.spawn(job)).join().await
}

/// A task that ends when nobody waits for it any more.
struct Aborting<T>(JoinHandle<T>);

impl<T> Aborting<T> {
    async fn join(mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }
}

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[expect(clippy::unnecessary_wraps, reason = "wasmtime's signature")]
fn on_epoch(context: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    Ok(match context.data().call.tick() {
        Tick::GoOn => UpdateDeadline::Continue(1),
        Tick::Yield => UpdateDeadline::Yield(1),
        Tick::Stop => UpdateDeadline::Interrupt,
    })
}
