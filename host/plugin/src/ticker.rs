//! The clock that interrupts guests: one thread per engine, asleep while no guest runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::EngineWeak;

/// How long a guest may run before somebody else gets a turn.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Under steady traffic of quick guests the thread only looks now and then: hardly any tick would find one, and each costs
/// as much as a quarter of a message. The first long guest may thus hold its thread this long before it moves.
const CALM_TICK: Duration = Duration::from_millis(20);

/// How many ticks without a guest pass before the thread goes to sleep. Waking it costs a system call on the path of a
/// message; under steady traffic it stays awake.
const IDLE_TICKS: u32 = 2;

/// Ticks the engine's epoch while guests run.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    /// Guests running this moment.
    running: AtomicUsize,
    /// Guests ever started or resumed.
    entered: AtomicU64,
    parked: AtomicBool,
    stopped: AtomicBool,
}

impl Ticker {
    /// Starts the thread. It ends when the ticker is dropped.
    pub(crate) fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            entered: AtomicU64::new(0),
            parked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let handle = thread::Builder::new().name("belfry-epoch".into()).stack_size(64 << 10).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(&engine)
        })?;
        Ok(Ticker { shared, thread: handle.thread().clone() })
    }

    /// Keeps the epoch ticking until the guard is dropped.
    pub(crate) fn enter(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        self.shared.entered.fetch_add(1, Ordering::Relaxed);
        // With the thread's own order (say "parked", then look for guests) one of the two sees the other.
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Shared {
    fn run(&self, engine: &EngineWeak) {
        let mut idle = 0;
        let mut seen = 0;
        let mut busy = false;
        while !self.stopped.load(Ordering::SeqCst) {
            thread::sleep(if busy { TICK } else { CALM_TICK });
            busy = self.running.load(Ordering::SeqCst) > 0;
            if busy {
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                idle = 0;
                continue;
            }
            let entered = self.entered.load(Ordering::Relaxed);
            idle = if entered == seen { idle + 1 } else { 0 };
            seen = entered;
            if idle >= IDLE_TICKS {
                idle = 0;
                self.parked.store(true, Ordering::SeqCst);
                if self.running.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.parked.store(false, Ordering::SeqCst);
            }
        }
    }
}

/// While this lives, a guest runs.
pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
