//! The thread that owns the store: it writes what comes, groups what must be synced, and answers questions.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
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
    retention::Retention,
    store::{Store, StoreError},
};
use crate::{JournalError, NewEvent, Position, fold::Change, front::Front};

/// The most operations in one transaction.
const MAX_GROUP: usize = 1024;
/// How often writing is tried again while there is trouble and nothing else to write.
const TRY_AGAIN: Duration = Duration::from_secs(1);

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
pub(super) struct Shared {
    /// How often appends were taken back.
    pub(super) failures: AtomicU64,
    /// Syncs so far.
    pub(super) syncs: AtomicU64,
    pub(super) trouble: Mutex<Option<JournalError>>,
    /// Written when something that was read or written to turns out to be damaged.
    suspicion: PathBuf,
}

impl Shared {
    pub(super) fn new(suspicion: PathBuf) -> Self {
        Self {
            failures: AtomicU64::default(),
            syncs: AtomicU64::default(),
            trouble: Mutex::default(),
            suspicion,
        }
    }

    /// An error of the store in the journal's words. Damage is noted for the next start, which then looks at everything.
    pub(super) fn explain(&self, error: &StoreError, path: String) -> JournalError {
        if error.is_damage() {
            let what = error.to_string();
            // Best effort: the next start has its own eyes.
            let _ = std::fs::write(&self.suspicion, &what);
            return JournalError::Damaged { path, what };
        }
        match error {
            StoreError::Engine(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == ErrorCode::DiskFull =>
            {
                JournalError::DiskFull { path }
            }
            _ => JournalError::Storage { path, reason: error.to_string() },
        }
    }
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
    /// Since when writing failed last.
    pub(super) in_trouble: Option<Instant>,
    pub(super) retention: Retention,
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
            let due = |since: Option<Instant>, after| since.is_some_and(|since| since.elapsed() >= after);
            if due(self.unsynced, self.settings.idle_sync) || due(self.in_trouble, TRY_AGAIN) {
                self.sync();
            }
            self.retire_when_due();
        }
        if self.unsynced.is_some() {
            self.sync();
        }
    }

    /// How long it can wait when nothing comes.
    fn patience(&self) -> Duration {
        let left = |since: Instant, after: Duration| after.saturating_sub(since.elapsed());
        let backlog = (!self.backlog.is_empty()).then_some(TRY_AGAIN);
        let trouble = self.in_trouble.filter(|_| !self.broken).map(|since| left(since, TRY_AGAIN));
        let unsynced =
            self.unsynced.filter(|_| !self.broken).map(|since| left(since, self.settings.idle_sync));
        let others = [backlog, trouble, unsynced].into_iter().flatten();
        others.fold(self.retention_patience(), Duration::min)
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
            Ok(wrote) => {
                if wrote {
                    self.backlog.clear();
                    self.set_trouble(None);
                    self.note_written(durable);
                }
                self.acknowledge(group);
            }
            Err(error) => {
                self.store.roll_back();
                // Before the answers: who has one may ask at once what the trouble is.
                self.set_trouble(Some(error.clone()));
                self.take_back(group, &error);
            }
        }
    }

    /// Whether there was anything to write.
    fn transact(&mut self, group: &[Op], durable: bool) -> Result<bool, StoreError> {
        let nothing = self.backlog.is_empty() && group.iter().all(|op| matches!(op, Op::Repeat { .. }));
        if nothing {
            return Ok(false);
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
        self.store.commit()?;
        Ok(true)
    }

    pub(super) fn note_written(&mut self, durable: bool) {
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
                    self.retention.note_event();
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

    /// Brings what is written to the disk, and finds out whether the disk takes anything.
    fn sync(&mut self) {
        if self.broken {
            return;
        }
        match self.store.sync() {
            Ok(()) => {
                self.note_written(true);
                // With a backlog, it is over when that is written.
                if self.backlog.is_empty() {
                    self.set_trouble(None);
                }
            }
            Err(error) => {
                let error = self.explain(&error);
                self.store.roll_back();
                self.set_trouble(Some(error));
                self.unsynced = Some(Instant::now());
            }
        }
    }

    fn explain(&mut self, error: &StoreError) -> JournalError {
        if let StoreError::Engine(rusqlite::Error::SqliteFailure(failure, _)) = error
            && failure.extended_code == rusqlite::ffi::SQLITE_IOERR_FSYNC
        {
            self.broken = true;
            let reason = "the disk failed to sync: see to the disk, then start Belfry again".to_owned();
            return JournalError::Storage { path: self.path.clone(), reason };
        }
        self.shared.explain(error, self.path.clone())
    }

    fn not_stored(&self) -> JournalError {
        let reason = "the event of which this is a repeat could not be stored".to_owned();
        JournalError::Storage { path: self.path.clone(), reason }
    }

    fn trouble(&self) -> Option<JournalError> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&mut self, now: Option<JournalError>) {
        self.in_trouble = now.is_some().then(Instant::now);
        *self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.ops.close();
    }
}
