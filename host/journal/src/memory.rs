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
    /// Held by the append whose turn it is. It is fair, so appends keep their order at the bound, large ones too.
    turn: tokio::sync::Mutex<()>,
    /// Woken whenever something ends. Only the append whose turn it is waits for it.
    room: Notify,
}

struct State {
    last: u64,
    seen: SeenKeys,
    open: HashMap<Position, Open>,
    pending: usize,
    bytes: usize,
    events: usize,
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
            dead: VecDeque::new(),
        };
        Self { limits, state: Mutex::new(state), turn: tokio::sync::Mutex::default(), room: Notify::new() }
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
        let _turn = self.turn.lock().await;
        loop {
            let woken = self.room.notified();
            {
                let mut state = self.state();
                if self.has_room(&state, bytes) {
                    return Ok(state.append(event, bytes));
                }
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

    fn apply(&mut self, record: Record, dead_letters: usize) {
        match record {
            Record::Done(completion) => self.complete(completion),
            Record::Delivered { event, index } => {
                self.end_delivery(event, index);
            }
            Record::Dead(letter) => {
                let ended = match letter.delivery {
                    Some(index) => self.end_delivery(letter.event, index),
                    None => self.end_event(letter.event),
                };
                if ended {
                    self.keep(letter, dead_letters);
                }
            }
        }
    }

    fn keep(&mut self, letter: DeadLetter, most: usize) {
        self.dead.push_back(letter);
        while self.dead.len() > most {
            self.dead.pop_front();
        }
    }

    fn complete(&mut self, completion: Completion) {
        // Only an event that is still open: a repeated record must not bring its deliveries back.
        if !self.end_event(completion.event) {
            return;
        }
        let left: HashMap<u32, usize> =
            (0..).zip(completion.deliveries.iter().map(|payload| payload.len())).collect();
        if !left.is_empty() {
            self.pending += left.len();
            self.bytes += left.values().sum::<usize>();
            self.open.insert(completion.event, Open::Deliveries { left });
        }
    }

    /// False if the event was handled or given up before.
    fn end_event(&mut self, event: Position) -> bool {
        let Some(Open::Event { bytes }) = self.open.get(&event) else { return false };
        self.bytes -= bytes;
        self.pending -= 1;
        self.events -= 1;
        self.open.remove(&event);
        true
    }

    /// False if the delivery ended before.
    fn end_delivery(&mut self, event: Position, index: u32) -> bool {
        let Some(Open::Deliveries { left }) = self.open.get_mut(&event) else { return false };
        let Some(bytes) = left.remove(&index) else { return false };
        if left.is_empty() {
            self.open.remove(&event);
        }
        self.bytes -= bytes;
        self.pending -= 1;
        true
    }
}

impl Journal for MemoryJournal {
    fn append(&self, event: NewEvent) -> JournalFuture<'_, Result<Appended, JournalError>> {
        Box::pin(self.append_when_there_is_room(event))
    }

    fn record(&self, record: Record) -> Result<(), JournalError> {
        self.state().apply(record, self.limits.dead_letters);
        self.room.notify_one();
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.turn.try_lock().is_err() || !self.has_room(&self.state(), 0)
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
