//! The thread that owns the store: it writes what comes, groups what must be synced, and answers questions.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    DurableSettings,
    files::Mark,
    queue::{Answer, MAX_GROUP, Op, Queue, Reading},
    retention::Retention,
    shared::Shared,
    store::{Store, StoreError},
};
use crate::{JournalError, Position, fold::Change, front::Front};

/// How often writing is tried again while there is trouble and nothing else to write.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// So many commit windows without a write are a quiet time.
const QUIET: u32 = 5;

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) mark: Mark,
    pub(super) front: Arc<Front>,
    pub(super) shared: Arc<Shared>,
    pub(super) settings: DurableSettings,
    pub(super) path: String,
    pub(super) ops: Arc<Queue>,
    /// When what is being gathered is to be on the disk.
    pub(super) window: Option<Instant>,
    /// When something was written last.
    pub(super) wrote: Option<Instant>,
    /// There is an append in this window.
    pub(super) gathering: bool,
    /// Written, and waiting for the disk.
    pub(super) unanswered: Vec<Unanswered>,
    /// There is an append among those.
    pub(super) unsynced_appends: bool,
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

/// Somebody who waits for an append, their own or, with a repeat, that of somebody before them.
pub(super) struct Unanswered {
    appended: Option<Position>,
    failures: u64,
    answer: Answer,
}

impl Unanswered {
    /// Of an operation that is written. Who waits for no more than that is answered here.
    fn of(op: Op) -> Option<Self> {
        match op {
            Op::Append { position, answer, .. } => {
                Some(Self { appended: Some(position), failures: 0, answer })
            }
            Op::Repeat { failures, answer } => Some(Self { appended: None, failures, answer }),
            Op::Changes { answer: Some(answer), .. } => {
                let _ = answer.send(Ok(()));
                None
            }
            _ => None,
        }
    }
}

/// What ends a group.
enum End {
    /// Its window is over, or it is large enough.
    Over,
    Question(Reading),
    Closed,
}

impl Writer {
    pub(super) fn run(mut self) {
        let mut group = Vec::new();
        loop {
            if self.window.is_none() {
                self.ops.wait(self.patience());
            }
            match self.gather(&mut group) {
                End::Question(question) => {
                    // What came before is written for it, and those who wait for the disk keep their window.
                    self.write(&mut group, false);
                    self.answer(question);
                    if self.window.is_some_and(|until| until > Instant::now()) {
                        continue;
                    }
                    self.write(&mut group, true);
                }
                End::Over => self.write(&mut group, true),
                End::Closed => {
                    self.write(&mut group, true);
                    break;
                }
            }
            (self.window, self.gathering) = (None, false);
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

    /// Takes what is there, and with an append or a record among it, what comes within its window.
    fn gather(&mut self, group: &mut Vec<Op>) -> End {
        loop {
            while let Some(op) = self.ops.pop() {
                let now = Instant::now();
                self.window = match op {
                    Op::Read(question) => return End::Question(question),
                    Op::Close => return End::Closed,
                    Op::Append { .. } if !self.gathering => {
                        self.gathering = true;
                        Some(self.end_of_window(now))
                    }
                    Op::Append { .. } => self.window,
                    // A record shares the window that has begun.
                    Op::Changes { .. } => Some(self.window.unwrap_or_else(|| self.end_of_window(now))),
                    Op::Repeat { .. } => self.window.or(Some(now)),
                };
                group.push(op);
                if group.len() >= MAX_GROUP {
                    return End::Over;
                }
            }
            let left = self.window.map(|until| until.saturating_duration_since(Instant::now()));
            match left {
                None | Some(Duration::ZERO) => return End::Over,
                Some(left) => self.ops.wait_for_company(left, MAX_GROUP.saturating_sub(group.len())),
            }
        }
    }

    /// When what comes `now` is to be on the disk. After a quiet time at once: there is nobody to wait for.
    fn end_of_window(&self, now: Instant) -> Instant {
        let window = self.settings.commit_window;
        let busy = self.wrote.is_some_and(|wrote| now.duration_since(wrote) < window * QUIET);
        if busy { now + window } else { now }
    }

    /// Writes the group, and if the appends in it or before it are to count `now`, waits for the disk.
    fn write(&mut self, group: &mut Vec<Op>, now: bool) {
        let appends = group.iter().any(|op| matches!(op, Op::Append { .. }));
        let durable = now && (appends || self.unsynced_appends);
        let written = if self.broken {
            Err(self.shared.trouble().clone().unwrap_or(JournalError::Closed))
        } else {
            self.transact(group, durable).map_err(|error| self.explain(&error))
        };
        match written {
            Ok(wrote) => {
                self.unsynced_appends |= appends;
                self.unanswered.extend(group.drain(..).filter_map(Unanswered::of));
                if wrote {
                    self.wrote = Some(Instant::now());
                    self.backlog.clear();
                    self.set_trouble(None);
                    self.note_written(durable);
                }
            }
            Err(error) => {
                self.store.roll_back();
                // Before the answers: who has one may ask at once what the trouble is.
                self.set_trouble(Some(error.clone()));
                self.take_back(group, &error);
            }
        }
        self.acknowledge();
    }

    /// Whether there was anything to write.
    fn transact(&mut self, group: &[Op], durable: bool) -> Result<bool, StoreError> {
        let nothing = self.backlog.is_empty() && group.iter().all(|op| matches!(op, Op::Repeat { .. }));
        if nothing {
            if durable {
                self.store.sync()?;
            }
            return Ok(durable);
        }
        self.store.begin()?;
        for change in self.backlog.iter().flatten() {
            self.store.apply(change)?;
        }
        for op in group {
            match op {
                Op::Append { position, at_ms, event, .. } => self.store.append(*position, *at_ms, event)?,
                Op::Changes { changes, .. } => {
                    for change in changes {
                        self.store.apply(change)?;
                    }
                }
                Op::Repeat { .. } | Op::Read(_) | Op::Close => {}
            }
        }
        self.store.commit()?;
        if durable {
            self.store.sync()?;
        }
        Ok(true)
    }

    pub(super) fn note_written(&mut self, durable: bool) {
        if durable {
            self.shared.syncs.fetch_add(1, Ordering::Relaxed);
            self.unsynced = None;
            self.unsynced_appends = false;
        } else if self.unsynced.is_none() {
            self.unsynced = Some(Instant::now());
        }
    }

    /// Answers those whose appends are on the disk, or never will be as far as anyone knows.
    fn acknowledge(&mut self) {
        if self.unsynced_appends && !self.broken {
            return;
        }
        if let Some(last) = self.unanswered.iter().rev().find_map(|waiting| waiting.appended)
            && !self.broken
        {
            self.mark.write(last.0);
        }
        let failures = self.shared.failures.load(Ordering::Relaxed);
        let broken = self.shared.trouble().clone().filter(|_| self.broken);
        for Unanswered { appended, failures: then, answer } in std::mem::take(&mut self.unanswered) {
            if appended.is_some() {
                self.retention.note_event();
            }
            let result = match &broken {
                Some(trouble) => Err(trouble.clone()),
                None if appended.is_none() && then != failures => Err(self.not_stored()),
                None => Ok(()),
            };
            // If nobody waits any more, the event is stored all the same: its repeat will be known.
            let _ = answer.send(result);
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
                Op::Changes { changes, answer } => {
                    self.backlog.push_back(changes);
                    let _ = answer.map(|answer| answer.send(Err(error.clone())));
                }
                Op::Read(_) | Op::Close => {}
            }
        }
    }

    fn answer(&self, Reading { read, of_events }: Reading) {
        let trouble = self.shared.trouble().clone();
        match trouble {
            Some(trouble) if !self.backlog.is_empty() && !of_events => read(Err(trouble)),
            _ => read(Ok(&self.store)),
        }
    }

    /// Brings what is written to the disk, and finds out whether the disk takes anything.
    fn sync(&mut self) {
        if self.broken {
            return;
        }
        let synced = if self.in_trouble.is_some() { self.store.probe() } else { self.store.sync() };
        match synced {
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
        self.acknowledge();
    }

    fn explain(&mut self, error: &StoreError) -> JournalError {
        let failed_sync = match error {
            StoreError::Sync(_) => true,
            // The engine itself syncs where its log begins anew. A checkpoint that fails it does not tell; it writes all
            // of it again from the log later. If it was the log that failed, the system tells that to our handle too.
            StoreError::Engine(rusqlite::Error::SqliteFailure(failure, _)) => {
                failure.extended_code == rusqlite::ffi::SQLITE_IOERR_FSYNC
            }
            _ => false,
        };
        if matches!(error, StoreError::Gone) {
            self.broken = true;
            let reason = format!("{error}: put them back if you have them, then start Belfry again");
            return JournalError::Storage { path: self.path.clone(), reason };
        }
        if failed_sync {
            self.broken = true;
            let reason = format!("{error}: see to the disk, then start Belfry again");
            return JournalError::Storage { path: self.path.clone(), reason };
        }
        self.shared.explain(error, self.path.clone())
    }

    fn not_stored(&self) -> JournalError {
        let reason = "the event of which this is a repeat could not be stored".to_owned();
        JournalError::Storage { path: self.path.clone(), reason }
    }

    fn set_trouble(&mut self, now: Option<JournalError>) {
        self.in_trouble = now.is_some().then(Instant::now);
        *self.shared.trouble() = now;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.ops.close();
    }
}
