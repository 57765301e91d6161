//! Instances that live over many calls.
//!
//! A resident plugin has one seat; who holds its lock may call the instance in it. A new build takes the state over and
//! becomes the old one's successor: calls still made on the old build then run on the new one, so that there is never a
//! second instance that knows half of what was said.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::exports::belfry::bot::resident::Guest;
use crate::call::Call;
use crate::plugin::{Build, Stop};
use crate::run::Terms;
use crate::state::State;
use crate::{CallContext, Lifetime, reason, text};

/// The most an instance may hand to the next, in bytes.
const MAX_SNAPSHOT: usize = 1 << 20;

/// A started instance.
pub(crate) struct Live {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
    /// Handler calls so far.
    pub(crate) calls: u32,
    /// Its place among the residents, if it is one.
    pub(crate) _place: Option<OwnedSemaphorePermit>,
}

/// A resident plugin's instance.
#[derive(Default)]
pub(crate) struct Residence {
    pub(crate) seat: Arc<tokio::sync::Mutex<Option<Live>>>,
    successor: Mutex<Option<Arc<Build>>>,
}

impl Residence {
    /// The build that has taken this one's place.
    pub(crate) fn successor(&self) -> Option<Arc<Build>> {
        self.successor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_successor(&self, build: Option<Arc<Build>>) {
        // What was there is dropped after the lock: it may be the last hold on a build.
        let _before =
            std::mem::replace(&mut *self.successor.lock().unwrap_or_else(PoisonError::into_inner), build);
    }
}

/// What came of asking a guest for its state or giving it one.
type Told<T> = Result<T, String>;

impl Build {
    pub(crate) fn is_resident(&self) -> bool {
        matches!(self.spec.lifetime, Lifetime::Resident { .. })
    }

    /// Starts an instance that is to stay, and calls its `init`.
    pub(crate) async fn settle(self: &Arc<Self>, context: &CallContext) -> Result<Live, Stop> {
        let Ok(place) = Arc::clone(&self.host.residents).try_acquire_owned() else {
            return Err(reason::no_place(&self.name));
        };
        let context = CallContext { fixed: context.fixed, ..CallContext::closed() };
        let started = self.call(&context, Terms::pure(), |build, call, context| async move {
            let mut live = build.start(call, context).await?;
            let said = match build.resident(&mut live) {
                Ok(Some(guest)) => guest.call_init(&mut live.store).await,
                Ok(None) => Ok(Ok(())),
                Err(error) => Err(error),
            };
            match said {
                Ok(Ok(())) => Ok((live, Ok(()))),
                Ok(Err(said)) => Ok((live, Err(said))),
                Err(error) => Err(reason::stopped(&build, &live.store, &error)),
            }
        });
        match started.await? {
            (mut live, Ok(())) => {
                live._place = Some(place);
                Ok(live)
            }
            (_, Err(said)) => Err(reason::init_refused(&self.name, &said)),
        }
    }

    /// The instance for the next call: the one at hand, a fresh one that has taken over, or the first.
    pub(crate) async fn next_live(
        self: &Arc<Self>,
        live: Option<Live>,
        context: &CallContext,
    ) -> Result<Live, Stop> {
        let Lifetime::Resident { recycle_after } = self.spec.lifetime else {
            return self.settle(context).await;
        };
        match live {
            Some(live) if live.calls < recycle_after.max(1) => Ok(live),
            Some(live) => self.recycle(live, context).await,
            None => self.settle(context).await,
        }
    }

    /// Puts a fresh instance in the place of `old`. Where the state cannot be handed over, the old one goes on: better old
    /// than without memory.
    async fn recycle(self: &Arc<Self>, old: Live, context: &CallContext) -> Result<Live, Stop> {
        let name = &self.name;
        let (mut old, state) = match self.snapshot(old).await {
            Ok((old, Ok(state))) => (old, state),
            Ok((mut old, Err(said))) => {
                tracing::warn!(plugin = %name, "the instance is not recycled: its `snapshot` said: {said}");
                old.calls = 0;
                return Ok(old);
            }
            Err(stop) => {
                tracing::warn!(plugin = %name, "the instance ends without handing over: {}", stop.error.reason());
                return self.settle(context).await;
            }
        };
        let fresh = match self.settle(context).await {
            Ok(fresh) => self.restore(fresh, state).await,
            Err(stop) => Err(stop),
        };
        match fresh {
            Ok((fresh, Ok(()))) => Ok(fresh),
            Ok((_, Err(said))) => {
                tracing::warn!(plugin = %name, "the instance is not recycled: the next one's `restore` said: {said}");
                old.calls = 0;
                Ok(old)
            }
            Err(stop) => {
                tracing::warn!(plugin = %name, "the instance is not recycled: {}", stop.error.reason());
                old.calls = 0;
                Ok(old)
            }
        }
    }

    /// Hands the state of `old`'s instance to this build, which is its successor from then on.
    ///
    /// # Errors
    ///
    /// This build does not take the state. `old` goes on.
    pub(crate) async fn take_over(self: &Arc<Self>, old: &Arc<Build>) -> Result<(), String> {
        if !self.is_resident() || !old.is_resident() {
            return Ok(());
        }
        // Held to the end: what is said meanwhile waits, and is heard by the new build.
        let mut seat = old.residence.seat.lock().await;
        let state = match seat.take() {
            None => None,
            Some(live) => match old.snapshot(live).await {
                Ok((live, state)) => {
                    *seat = Some(live);
                    state.map_err(|said| format!("its `snapshot` said: {said}")).map(Some).unwrap_or_else(|why| {
                        tracing::warn!(plugin = %self.name, "the new build starts without the state before: {why}");
                        None
                    })
                }
                Err(stop) => {
                    let why = stop.error.reason();
                    tracing::warn!(plugin = %self.name, "the new build starts without the state before: {why}");
                    None
                }
            },
        };
        if let Some(state) = state {
            let mut own = self.residence.seat.lock().await;
            let live = match own.take() {
                Some(live) => live,
                None => self.settle(&CallContext::closed()).await.map_err(|stop| stop.error.to_string())?,
            };
            match self.restore(live, state).await {
                Ok((live, Ok(()))) => *own = Some(live),
                Ok((_, Err(said))) => {
                    return Err(format!(
                        "it does not take over the state of the build before: its `restore` said: {said}"
                    ));
                }
                Err(stop) => {
                    let reason = stop.error.reason();
                    return Err(format!("it does not take over the state of the build before: {reason}"));
                }
            }
        }
        old.residence.set_successor(Some(Arc::clone(self)));
        Ok(())
    }

    /// Serves again after a successor was taken back, with the state it had.
    pub(crate) fn go_on(&self) {
        self.residence.set_successor(None);
    }

    async fn snapshot(self: &Arc<Self>, live: Live) -> Result<(Live, Told<Vec<u8>>), Stop> {
        self.tell(live, |build, mut live| async move {
            let said = match build.resident(&mut live) {
                Ok(Some(guest)) => guest.call_snapshot(&mut live.store).await,
                Ok(None) => Ok(Ok(Vec::new())),
                Err(error) => Err(error),
            };
            (live, said)
        })
        .await
        .map(|(live, said)| match said {
            Ok(state) if state.len() > MAX_SNAPSHOT => {
                let size = text::size(state.len() as u64);
                (live, Err(format!("{size} of state, 1 MiB is the most")))
            }
            said => (live, said),
        })
    }

    async fn restore(self: &Arc<Self>, live: Live, state: Vec<u8>) -> Result<(Live, Told<()>), Stop> {
        self.tell(live, |build, mut live| async move {
            let said = match build.resident(&mut live) {
                Ok(Some(guest)) => guest.call_restore(&mut live.store, &state).await,
                Ok(None) => Ok(Ok(())),
                Err(error) => Err(error),
            };
            (live, said)
        })
        .await
    }

    /// One call of a function of `resident`.
    async fn tell<T, F>(
        self: &Arc<Self>,
        mut live: Live,
        work: impl FnOnce(Arc<Build>, Live) -> F + Send + 'static,
    ) -> Result<(Live, Told<T>), Stop>
    where
        T: Send + 'static,
        F: Future<Output = (Live, wasmtime::Result<Told<T>>)> + Send + 'static,
    {
        let fixed = live.store.data().context.fixed;
        let context = CallContext { fixed, ..CallContext::closed() };
        self.call(&context, Terms::pure(), |build, call: Arc<Call>, context| async move {
            live.store.data_mut().begin(call, context);
            let (mut live, said) = work(Arc::clone(&build), live).await;
            let result = match said {
                Ok(said) => Ok(said.map_err(|said| text::block(said.trim(), 1_000))),
                Err(error) => return Err(reason::stopped(&build, &live.store, &error)),
            };
            live.store.data_mut().end();
            result.map(|said| (live, said))
        })
        .await
    }

    fn resident(&self, live: &mut Live) -> wasmtime::Result<Option<Guest>> {
        let export = self.exports.resident.as_ref();
        export.map(|export| export.load(&mut live.store, &live.instance)).transpose()
    }
}
