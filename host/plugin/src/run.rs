//! One call: its turn, its instance, its limits, the thread it runs on.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use crate::call::{Call, Metered, Tick};
use crate::exports::Function;
use crate::guest_log::GuestLog;
use crate::plugin::{Build, Stop};
use crate::residence::Live;
use crate::state::State;
use crate::types::Failure;
use crate::{CallContext, CallError, Done, reason};

/// A guest that computes longer than this on average is sent to the offload runtime without being tried inline.
const HEAVY: Duration = Duration::from_micros(500);

/// How a call differs from others.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// It must leave the world as it is.
    pub(crate) pure: bool,
    /// When somebody stops waiting, the wait for a turn included. None: only `limits.deadline` counts, from the turn on.
    pub(crate) until: Option<Instant>,
}

impl Terms {
    pub(crate) fn usual() -> Self {
        Terms { pure: false, until: None }
    }

    pub(crate) fn pure() -> Self {
        Terms { pure: true, until: None }
    }
}

type Result<T> = std::result::Result<T, Stop>;

/// What a guest that was not stopped has returned.
type Returned<T> = std::result::Result<Done<T>, Failure>;

impl Build {
    /// Calls a handler's function, in a fresh instance or in the resident one.
    pub(crate) async fn run<F: Function>(
        self: &Arc<Self>,
        argument: Arc<F::Argument>,
        context: &CallContext,
        terms: Terms,
    ) -> std::result::Result<Done<F::Answer>, CallError> {
        if !self.handles(F::HANDLER) {
            return Err(reason::no_handler(&self.name, F::HANDLER).error);
        }
        if self.is_resident() {
            return self.run_resident::<F>(argument, context, terms).await;
        }
        let result = self.call(context, terms, move |build, call, context| async move {
            let mut live = build.start(call, context).await?;
            build.invoke::<F>(&mut live, &argument).await
        });
        let result = result.await;
        self.judge(result)
    }

    async fn run_resident<F: Function>(
        self: &Arc<Self>,
        argument: Arc<F::Argument>,
        context: &CallContext,
        terms: Terms,
    ) -> std::result::Result<Done<F::Answer>, CallError> {
        let mut build = Arc::clone(self);
        loop {
            let turn = before(terms.until, Arc::clone(&build.residence.seat).lock_owned()).await;
            let Some(mut seat) = turn else {
                return Err(reason::no_turn(&build.name).error);
            };
            if let Some(successor) = build.residence.successor() {
                drop(seat);
                build = successor;
                continue;
            }
            let live = seat.take();
            let live = match build.next_live(live, context).await {
                Ok(live) => live,
                Err(stop) => return build.judge(Err(stop)),
            };
            let result = build.call(context, terms, move |build, call, context| async move {
                let mut live = live;
                live.store.data_mut().begin(call, context);
                live.calls += 1;
                let returned = build.invoke::<F>(&mut live, &argument).await?;
                live.store.data_mut().end();
                Ok((live, returned))
            });
            let result = match result.await {
                Ok((live, returned)) => {
                    *seat = Some(live);
                    Ok(returned)
                }
                Err(stop) => {
                    tracing::warn!(
                        plugin = %build.name,
                        "the resident instance was ended by its call; the next one starts without its state"
                    );
                    Err(stop)
                }
            };
            drop(seat);
            return build.judge(result);
        }
    }

    /// Notes how the build does, and turns what came out into words.
    fn judge<T>(&self, result: Result<Returned<T>>) -> std::result::Result<Done<T>, CallError> {
        match result {
            Ok(returned) => {
                self.health.worked();
                returned.map_err(|failure| reason::returned(&self.name, failure))
            }
            Err(stop) => {
                self.health.trapped(&stop);
                Err(stop.error)
            }
        }
    }

    /// Starts an instance.
    pub(crate) async fn start(&self, call: Arc<Call>, context: CallContext) -> Result<Live> {
        let mut store = self.store(call, context);
        match self.component.instantiate_async(&mut store).await {
            Ok(instance) => Ok(Live { store, instance, calls: 0, _place: None }),
            Err(error) => Err(reason::stopped(self, &store, &error)),
        }
    }

    async fn invoke<F: Function>(
        &self,
        live: &mut Live,
        argument: &F::Argument,
    ) -> Result<Returned<F::Answer>> {
        match F::call(&self.exports, &mut live.store, &live.instance, argument).await {
            Ok(Ok(value)) => match reason::too_large(self, F::weigh(&value)) {
                None => Ok(Ok(Done { value, writes: live.store.data_mut().overlay.take_writes() })),
                Some(stop) => Err(stop),
            },
            Ok(Err(failure)) => Ok(Err(failure)),
            Err(error) => Err(reason::stopped(self, &live.store, &error)),
        }
    }

    pub(crate) fn store(&self, call: Arc<Call>, context: CallContext) -> Store<State> {
        let limits = &self.spec.limits;
        let mut store = Store::new(
            &self.host.engine,
            State::new(call, Arc::clone(&self.spec), Arc::clone(&self.outbound), context),
        );
        store.limiter(|state| &mut state.memory);
        // One figure bounds what crosses over in both directions of a call; what is returned is weighed again, exactly, as
        // is what is transferred.
        let room = limits.output.max(limits.transfer).saturating_add(64 << 10);
        store.set_hostcall_fuel(usize::try_from(limits.host_bytes.max(room)).unwrap_or(usize::MAX));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(on_epoch);
        store
    }

    pub(crate) fn new_call(&self, pure: bool) -> Arc<Call> {
        let limits = &self.spec.limits;
        Arc::new(Call::new(GuestLog::new(Arc::clone(&self.name), limits.log_bytes), limits.cpu, pure))
    }

    /// Runs one call under the deadline, in a slot, on the right thread.
    pub(crate) async fn call<T, F>(
        self: &Arc<Self>,
        context: &CallContext,
        terms: Terms,
        work: impl FnOnce(Arc<Build>, Arc<Call>, CallContext) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let Some(slots) = before(terms.until, self.slots()).await else {
            return Err(reason::no_turn(&self.name));
        };
        let slots = slots?;
        let limits = &self.spec.limits;
        let left = terms.until.map(|until| until.saturating_duration_since(Instant::now()));
        let deadline = left.map_or(limits.deadline, |left| left.min(limits.deadline));
        let call = self.new_call(terms.pure);
        let inner = work(Arc::clone(self), Arc::clone(&call), context.clone());
        let job = Metered {
            call: Arc::clone(&call),
            ticker: Arc::clone(&self.host.ticker),
            inner: Box::pin(in_slot(slots, inner)),
        };
        let heavy = self.health.average() > HEAVY;
        let run = drive(job, &call, self.host.offload.as_ref(), heavy);
        let result = match tokio::time::timeout(deadline, run).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(reason::stopping(&self.name)),
            Err(_) => Err(reason::too_late(self, &call, terms.until.is_some())),
        };
        self.health.ran(call.spent());
        call.log.finish();
        result
    }

    async fn slots(&self) -> Result<[OwnedSemaphorePermit; 2]> {
        match (
            Arc::clone(&self.share).acquire_owned().await,
            Arc::clone(&self.host.slots).acquire_owned().await,
        ) {
            (Ok(share), Ok(slot)) => Ok([share, slot]),
            _ => Err(reason::stopping(&self.name)),
        }
    }
}

/// Waits for `future`, but not beyond `until`.
async fn before<F: Future>(until: Option<Instant>, future: F) -> Option<F::Output> {
    match until {
        Some(until) => tokio::time::timeout_at(until, future).await.ok(),
        None => Some(future.await),
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
