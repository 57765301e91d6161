use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    Appended, Completion, DeadLetter, Journal, JournalError, JournalFuture, JournalStats, NewEvent, Position,
    Record, dedupe::SeenKeys,
};

/// The bounds of a [`MemoryJournal`].
#[derive(Debug, Clone, Copy)]
pub struct MemoryLimits {
    /// Events not yet handled plus deliveries not yet arrived. At this bound an append waits.
    pub pending: usize,
    /// Their bytes. At this bound an append waits. A larger event is refused.
    pub pending_bytes: usize,
    /// Dedupe keys; beyond it the oldest are forgotten.
    pub dedupe_keys: usize,
    /// How long a dedupe key is kept.
    pub dedupe_for: Duration,
    /// Dead letters kept; beyond it the oldest are forgotten.
    pub dead_letters: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            pending: 10_000,
            pending_bytes: 32 << 20,
            dedupe_keys: 100_000,
            dedupe_for: Duration::from_secs(24 * 60 * 60),
            dead_letters: 1_000,
        }
    }
}

/// A journal in memory: for development and tests. "Stored" means accepted into its bounded memory.
pub struct MemoryJournal {
    limits: MemoryLimits,
    state: Mutex<State>,
    /// Woken whenever something ends. Waiters queue, so appends keep their order at the bound.
    room: Notify,
}

struct State {
    last: u64,
    seen: SeenKeys,
    open: HashMap<Position, Open>,
    pending: usize,
    bytes: usize,
    events: usize,
    /// Appends that wait for room; while there are any, a new one must not overtake them.
    waiting: usize,
    dead: VecDeque<DeadLetter>,
}

/// What is still owed to an event.
enum Open {
    Event { bytes: usize },
    Deliveries { left: HashMap<u32, usize> },
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new(limits: MemoryLimits) -> Self {
        let state = State {
            last: 0,
            seen: SeenKeys::new(limits.dedupe_keys, limits.dedupe_for),
            open: HashMap::new(),
            pending: 0,
            bytes: 0,
            events: 0,
            waiting: 0,
            dead: VecDeque::new(),
        };
        Self { limits, state: Mutex::new(state), room: Notify::new() }
    }

    /// The state stays whole whatever happens to a thread that held it: no code between lock and unlock can stop halfway.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        state.pending < self.limits.pending
            && (state.bytes.saturating_add(bytes) <= self.limits.pending_bytes || state.pending == 0)
    }

    async fn append_when_there_is_room(&self, event: NewEvent) -> Result<Appended, JournalError> {
        let bytes = event.payload.len().saturating_add(event.private.len());
        if bytes > self.limits.pending_bytes {
            return Err(JournalError::TooLarge { size: bytes, limit: self.limits.pending_bytes });
        }
        let mut queued = Queued { journal: self, counted: false };
        loop {
            let woken = self.room.notified();
            {
                let mut state = self.state();
                if (state.waiting == 0 || queued.counted) && self.has_room(&state, bytes) {
                    queued.leave(&mut state);
                    return Ok(state.append(event, bytes));
                }
                queued.join(&mut state);
            }
            woken.await;
        }
    }
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new(MemoryLimits::default())
    }
}

/// Counts an append among those that wait, also if its future is dropped while it does.
struct Queued<'a> {
    journal: &'a MemoryJournal,
    counted: bool,
}

impl Queued<'_> {
    fn join(&mut self, state: &mut State) {
        if !self.counted {
            self.counted = true;
            state.waiting += 1;
        }
    }

    fn leave(&mut self, state: &mut State) {
        if self.counted {
            self.counted = false;
            state.waiting -= 1;
            // There may be room for the next one as well.
            self.journal.room.notify_one();
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if self.counted {
            let mut state = self.journal.state();
            self.leave(&mut state);
        }
    }
}

impl State {
    fn append(&mut self, event: NewEvent, bytes: usize) -> Appended {
        if !self.seen.insert(event.dedupe, Instant::now()) {
            return Appended::Duplicate;
        }
        self.last += 1;
        let position = Position(self.last);
        self.open.insert(position, Open::Event { bytes });
        self.pending += 1;
        self.events += 1;
        self.bytes += bytes;
        Appended::New(position)
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Done(completion) => self.complete(completion),
            Record::Delivered { event, index } => self.end_delivery(event, index),
            Record::Dead(letter) => match letter.delivery {
                Some(index) => self.end_delivery(letter.event, index),
                None => self.end_event(letter.event),
            },
        }
    }

    fn complete(&mut self, completion: Completion) {
        // Only an event that is still open: a repeated record must not bring its deliveries back.
        if !matches!(self.open.get(&completion.event), Some(Open::Event { .. })) {
            return;
        }
        self.end_event(completion.event);
        let left: HashMap<u32, usize> =
            (0..).zip(completion.deliveries.iter().map(|payload| payload.len())).collect();
        if !left.is_empty() {
            self.pending += left.len();
            self.bytes += left.values().sum::<usize>();
            self.open.insert(completion.event, Open::Deliveries { left });
        }
    }

    fn end_event(&mut self, event: Position) {
        if let Some(Open::Event { bytes }) = self.open.get(&event) {
            self.bytes -= bytes;
            self.pending -= 1;
            self.events -= 1;
            self.open.remove(&event);
        }
    }

    fn end_delivery(&mut self, event: Position, index: u32) {
        let Some(Open::Deliveries { left }) = self.open.get_mut(&event) else { return };
        let Some(bytes) = left.remove(&index) else { return };
        if left.is_empty() {
            self.open.remove(&event);
        }
        self.bytes -= bytes;
        self.pending -= 1;
    }
}

impl Journal for MemoryJournal {
    fn append(&self, event: NewEvent) -> JournalFuture<'_, Result<Appended, JournalError>> {
        Box::pin(self.append_when_there_is_room(event))
    }

    fn record(&self, record: Record) -> Result<(), JournalError> {
        let mut state = self.state();
        if let Record::Dead(letter) = &record {
            if state.dead.len() >= self.limits.dead_letters {
                state.dead.pop_front();
            }
            state.dead.push_back(letter.clone());
        }
        let before = state.pending;
        state.apply(record);
        if state.waiting > 0 && state.pending < before {
            self.room.notify_one();
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let state = self.state();
        state.waiting > 0 || !self.has_room(&state, 0)
    }

    fn stats(&self) -> JournalStats {
        let state = self.state();
        JournalStats {
            pending_events: state.events,
            pending_deliveries: state.pending - state.events,
            pending_bytes: state.bytes,
            dead_letters: state.dead.len(),
        }
    }

    fn dead_letters(&self) -> Vec<DeadLetter> {
        self.state().dead.iter().cloned().collect()
    }
}
