//! One call's clock and log, shared by the store, the future that runs it, and whoever waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::PluginSpec;
use crate::guest_log::GuestLog;
use crate::ticker::Ticker;

/// A guest that was only just resumed when the epoch ticked is left alone until the next tick.
const SLICE: Duration = Duration::from_millis(1);

/// What one call has used and said.
pub(crate) struct Call {
    pub(crate) log: GuestLog,
    /// The zero of the two times below.
    start: Instant,
    /// When the guest was last resumed, in nanoseconds.
    resumed: AtomicU64,
    /// How long it ran before that, in nanoseconds. The time between two resumptions, spent waiting for the host, is
    /// in neither.
    spent: AtomicU64,
    limit: Duration,
    over_limit: AtomicBool,
    wants_offload: AtomicBool,
    /// Whether it must leave the world as it is, and see nothing of it.
    pure: bool,
    /// Downloads, uploads and HTTP requests so far.
    requests: AtomicU32,
}

/// What the epoch callback does with a running guest.
pub(crate) enum Tick {
    GoOn,
    Yield,
    Stop,
}

impl Call {
    pub(crate) fn new(log: GuestLog, cpu_limit: Duration, pure: bool) -> Self {
        Call {
            pure,
            log,
            start: Instant::now(),
            resumed: AtomicU64::new(0),
            spent: AtomicU64::new(0),
            limit: cpu_limit,
            over_limit: AtomicBool::new(false),
            wants_offload: AtomicBool::new(false),
            requests: AtomicU32::new(0),
        }
    }

    /// Time since the call began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Counts a download, an upload or an HTTP request.
    ///
    /// # Errors
    ///
    /// There were as many as `limits.requests` allows, or this call may make none.
    pub(crate) fn take_request(&self, spec: &PluginSpec) -> Result<(), String> {
        if self.pure {
            return Err(
                "`describe`, `transform` and the functions of `resident` may make no requests".to_owned()
            );
        }
        let most = spec.limits.requests;
        let more = |made: u32| (made < most).then_some(made + 1);
        match self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!(
                "one call may make {most} requests (HTTP, downloads and uploads together); raise `limits.requests` in \
                 [plugins.{}]",
                spec.name
            )),
        }
    }

    /// Time the guest has been running.
    pub(crate) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    /// Whether the guest was stopped for computing too long.
    pub(crate) fn over_limit(&self) -> bool {
        self.over_limit.load(Ordering::Relaxed)
    }

    /// Whether the guest has used up a slice since this was last asked.
    pub(crate) fn take_wants_offload(&self) -> bool {
        self.wants_offload.swap(false, Ordering::Relaxed)
    }

    /// Called while the guest runs, at an epoch tick.
    pub(crate) fn tick(&self) -> Tick {
        let running = self.now().saturating_sub(self.resumed.load(Ordering::Relaxed));
        let total = self.spent.load(Ordering::Relaxed).saturating_add(running);
        if u128::from(total) > self.limit.as_nanos() {
            self.over_limit.store(true, Ordering::Relaxed);
            Tick::Stop
        } else if u128::from(running) < SLICE.as_nanos() {
            Tick::GoOn
        } else {
            self.wants_offload.store(true, Ordering::Relaxed);
            Tick::Yield
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A future whose running time is counted, and that keeps the epoch ticking while it runs.
pub(crate) struct Metered<F> {
    pub(crate) call: Arc<Call>,
    pub(crate) ticker: Arc<Ticker>,
    pub(crate) inner: Pin<Box<F>>,
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _running = this.ticker.enter();
        let resumed = this.call.now();
        this.call.resumed.store(resumed, Ordering::Relaxed);
        let poll = this.inner.as_mut().poll(cx);
        this.call.spent.fetch_add(this.call.now().saturating_sub(resumed), Ordering::Relaxed);
        poll
    }
}
