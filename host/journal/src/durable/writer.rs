//! The thread that owns the store: it writes what comes, groups what must be synced, and answers questions.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::{
    DurableSettings,
    files::Mark,
    queue::Queue,
    store::{Store, StoreError},
};
use crate::{JournalError, NewEvent, Position, fold::Change, front::Front};

/// The most operations in one transaction.
const MAX_GROUP: usize = 1024;
/// How often old events are looked for, by time and by events written.
const RETIRE_EVERY: Duration = Duration::from_secs(1);
const RETIRE_AFTER: usize = 1000;
/// How many events are looked at each time.
const RETIRE_AT_ONCE: usize = 2000;

/// What is read from the store, and who gets it.
type Reading = Box<dyn FnOnce(Result<&Store, JournalError>) + Send>;

pub(super) enum Op {
    Append {
        position: Position,
        at_ms: u64,
        event: NewEvent,
        answer: Answer,
    },
    /// A repeat of an event that may not be on the disk yet. If an append fails in between, it may have been that one.
    Repeat {
        failures: u64,
        answer: Answer,
    },
    /// What one record changes.
    Changes(Vec<Change>),
    Read(Reading),
    Close,
}

impl Op {
    /// Somebody waits for it, and it shares nothing with others.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Close)
    }
}

pub(super) type Answer = oneshot::Sender<Result<(), JournalError>>;

/// What the writer lets others see.
#[derive(Default)]
pub(super) struct Shared {
    /// How often appends were taken back.
    pub(super) failures: AtomicU64,
    /// Syncs so far.
    pub(super) syncs: AtomicU64,
    pub(super) trouble: std::sync::Mutex<Option<JournalError>>,
}

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) mark: Mark,
    pub(super) front: Arc<Front>,
    pub(super) shared: Arc<Shared>,
    pub(super) settings: DurableSettings,
    pub(super) path: String,
    pub(super) ops: Arc<Queue>,
    /// Changes that could not be written yet. They are in the fold, and go first into the next transaction.
    pub(super) backlog: VecDeque<Vec<Change>>,
    /// Since when something is written that has not been synced.
    pub(super) unsynced: Option<Instant>,
    /// A sync failed: what the disk holds is unknown until the journal is opened again.
    pub(super) broken: bool,
    pub(super) retiring: Retiring,
}

#[derive(Default)]
pub(super) struct Retiring {
    last: Option<Instant>,
    events: usize,
    /// Everything up to here was looked at in this round.
    reached: u64,
}

impl Writer {
    pub(super) fn run(mut self) {
        let mut group = Vec::new();
        loop {
            self.ops.wait(self.patience());
            let last = self.gather(&mut group);
            if !group.is_empty() || !self.backlog.is_empty() {
                self.write(&mut group);
            }
            match last {
                Some(Op::Read(read)) => self.answer(read),
                Some(_) => break,
                None => {}
            }
            if self.unsynced.is_some_and(|since| since.elapsed() >= self.settings.idle_sync) {
                self.sync();
            }
            self.retire_when_due();
        }
        if self.unsynced.is_some() {
            self.sync();
        }
    }

    /// How long it can wait when nothing comes.
    fn patience(&self) -> Option<Duration> {
        match self.unsynced {
            _ if !self.backlog.is_empty() => Some(Duration::from_secs(1)),
            Some(since) => Some(self.settings.idle_sync.saturating_sub(since.elapsed())),
            None if self.retiring.events > 0 => Some(RETIRE_EVERY),
            None => None,
        }
    }

    /// Takes what is there, and with an append or a record among it, what comes within its window. A question ends the
    /// group.
    fn gather(&self, group: &mut Vec<Op>) -> Option<Op> {
        let mut until: Option<Instant> = None;
        let mut appends = false;
        loop {
            while let Some(op) = self.ops.pop() {
                let now = Instant::now();
                until = match op {
                    Op::Read(_) | Op::Close => return Some(op),
                    Op::Append { .. } if !appends => {
                        appends = true;
                        Some(now + self.settings.commit_window)
                    }
                    Op::Append { .. } => until,
                    // A record shares the window of an append that has begun.
                    Op::Changes(_) => until.or(Some(now + self.settings.record_window)),
                    Op::Repeat { .. } => until.or(Some(now)),
                };
                group.push(op);
                if group.len() >= MAX_GROUP {
                    return None;
                }
            }
            let left = until?.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.ops.wait_for_company(left);
        }
    }

    fn write(&mut self, group: &mut Vec<Op>) {
        let durable = group.iter().any(|op| matches!(op, Op::Append { .. }));
        let written = if self.broken {
            Err(self.trouble().unwrap_or(JournalError::Closed))
        } else {
            self.transact(group, durable).map_err(|error| self.explain(&error))
        };
        match written {
            Ok(()) => {
                self.backlog.clear();
                self.set_trouble(None);
                self.note_written(durable);
                self.acknowledge(group);
            }
            Err(error) => {
                self.store.roll_back();
                self.take_back(group, &error);
                self.set_trouble(Some(error));
            }
        }
    }

    fn transact(&mut self, group: &[Op], durable: bool) -> Result<(), StoreError> {
        let nothing = self.backlog.is_empty() && group.iter().all(|op| matches!(op, Op::Repeat { .. }));
        if nothing {
            return Ok(());
        }
        self.store.begin(durable)?;
        for change in self.backlog.iter().flatten() {
            self.store.apply(change)?;
        }
        for op in group {
            match op {
                Op::Append { position, at_ms, event, .. } => self.store.append(*position, *at_ms, event)?,
                Op::Changes(changes) => {
                    for change in changes {
                        self.store.apply(change)?;
                    }
                }
                Op::Repeat { .. } | Op::Read(_) | Op::Close => {}
            }
        }
        self.store.commit()
    }

    fn note_written(&mut self, durable: bool) {
        if durable {
            self.shared.syncs.fetch_add(1, Ordering::Relaxed);
            self.unsynced = None;
        } else if self.unsynced.is_none() {
            self.unsynced = Some(Instant::now());
        }
    }

    fn acknowledge(&mut self, group: &mut Vec<Op>) {
        let last = group.iter().rev().find_map(|op| match op {
            Op::Append { position, .. } => Some(position.0),
            _ => None,
        });
        if let Some(last) = last {
            self.mark.write(last);
        }
        let failures = self.shared.failures.load(Ordering::Relaxed);
        for op in group.drain(..) {
            match op {
                Op::Append { answer, .. } => {
                    self.retiring.events += 1;
                    // Nobody waits any more: the event is stored all the same, its repeat will be known.
                    let _ = answer.send(Ok(()));
                }
                Op::Repeat { failures: then, answer } => {
                    let _ = answer.send(if then == failures { Ok(()) } else { Err(self.not_stored()) });
                }
                _ => {}
            }
        }
    }

    /// Nothing of the group is stored: appends fail, and changes wait.
    fn take_back(&mut self, group: &mut Vec<Op>, error: &JournalError) {
        self.front.change(|fold, _| {
            for op in group.iter() {
                if let Op::Append { position, event, .. } = op {
                    fold.take_back(*position, &event.dedupe);
                    self.shared.failures.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for op in group.drain(..) {
            match op {
                Op::Append { answer, .. } | Op::Repeat { answer, .. } => {
                    let _ = answer.send(Err(error.clone()));
                }
                Op::Changes(changes) => self.backlog.push_back(changes),
                Op::Read(_) | Op::Close => {}
            }
        }
    }

    fn answer(&self, read: Reading) {
        match self.trouble() {
            Some(trouble) if !self.backlog.is_empty() => read(Err(trouble)),
            _ => read(Ok(&self.store)),
        }
    }

    fn sync(&mut self) {
        if self.broken {
            return;
        }
        match self.store.sync() {
            Ok(()) => {
                self.shared.syncs.fetch_add(1, Ordering::Relaxed);
                self.unsynced = None;
            }
            Err(error) => {
                let error = self.explain(&error);
                self.store.roll_back();
                self.set_trouble(Some(error));
                self.unsynced = Some(Instant::now());
            }
        }
    }

    fn retire_when_due(&mut self) {
        let due = self.retiring.events >= RETIRE_AFTER
            || self.retiring.events > 0
                && self.retiring.last.is_none_or(|last| last.elapsed() >= RETIRE_EVERY);
        if !due || self.broken || !self.backlog.is_empty() {
            return;
        }
        self.retiring.last = Some(Instant::now());
        self.retiring.events = 0;
        if self.retire().is_err() {
            // Space is what it would have made; an append will say what is wrong.
            self.store.roll_back();
        }
    }

    /// Forgets events that are over and too old, or too many.
    fn retire(&mut self) -> Result<(), StoreError> {
        let now_ms = self.front.now_ms();
        let before_ms = now_ms.saturating_sub(millis(self.settings.keep_for));
        let (used, free) = self.store.bytes()?;
        let mut over = used.saturating_sub(self.settings.keep_bytes);
        self.store.begin(false)?;
        let last = self.front.lock().last;
        self.store.remember_last(last)?;
        let mut looked_at = 0;
        'all: while looked_at < RETIRE_AT_ONCE {
            let candidates = self.store.oldest(self.retiring.reached, 64)?;
            if candidates.is_empty() {
                self.retiring.reached = 0;
                break;
            }
            for (position, at_ms) in candidates {
                if at_ms >= before_ms && over == 0 {
                    // The next round begins at the oldest again: some of those passed over may have ended.
                    self.retiring.reached = 0;
                    break 'all;
                }
                self.retiring.reached = position.0;
                if !self.front.lock().needs(position) {
                    over = over.saturating_sub(self.store.retire(position)?);
                }
                looked_at += 1;
            }
        }
        let limits = self.settings.limits;
        self.store.retire_seen(now_ms.saturating_sub(millis(limits.dedupe_for)), limits.dedupe_keys)?;
        self.store.commit()?;
        self.note_written(false);
        if looked_at >= RETIRE_AT_ONCE {
            self.retiring.events = RETIRE_AFTER;
        }
        if free > (16 << 20).max(used / 4) {
            self.store.shrink(1000)?;
            self.retiring.events = self.retiring.events.max(1);
        }
        Ok(())
    }

    fn explain(&mut self, error: &StoreError) -> JournalError {
        let path = self.path.clone();
        match error {
            StoreError::Engine(rusqlite::Error::SqliteFailure(failure, _)) => {
                if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_FSYNC {
                    self.broken = true;
                    let reason =
                        "the disk failed to sync: see to the disk, then start Belfry again".to_owned();
                    return JournalError::Storage { path, reason };
                }
                match failure.code {
                    ErrorCode::DiskFull => JournalError::DiskFull { path },
                    _ => JournalError::Storage { path, reason: error.to_string() },
                }
            }
            _ => JournalError::Storage { path, reason: error.to_string() },
        }
    }

    fn not_stored(&self) -> JournalError {
        let reason = "the event of which this is a repeat could not be stored".to_owned();
        JournalError::Storage { path: self.path.clone(), reason }
    }

    fn trouble(&self) -> Option<JournalError> {
        self.shared.trouble.lock().ok().and_then(|trouble| trouble.clone())
    }

    fn set_trouble(&self, now: Option<JournalError>) {
        if let Ok(mut trouble) = self.shared.trouble.lock() {
            *trouble = now;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.ops.close();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
