//! The durable engine: SQLite behind one writer thread. `ENGINES.md` says why it is SQLite.

mod exchange;
mod files;
mod load;
mod open;
mod queue;
mod read;
mod retention;
mod salvage;
mod seal;
mod shared;
mod store;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::oneshot;

pub use self::open::{Damage, OpenError};
use self::{
    files::Folder,
    queue::{Answer, Op, Queue, Reading},
    retention::Retention,
    shared::Shared,
    store::{Store, StoreError},
    writer::Writer,
};
use crate::{
    Appended, Committed, EventState, Journal, JournalError, JournalFuture, Limits, NewEvent, Position,
    Record, StoredDeadLetter, StoredDelivery, StoredEvent, TracedEvent,
    fold::{appended, size},
    front::{Front, answered_by_the_front},
};

/// How a [`DurableJournal`] works.
#[derive(Debug, Clone, Copy)]
pub struct DurableSettings {
    /// Its bounds.
    pub limits: Limits,
    /// How long an append or a record waits for others to share its write, and an append its sync, while there is
    /// traffic: after five times as long without any, the first is written at once. Those that come during a sync share
    /// the next in any case. A process that is killed loses the records of up to about two windows, one that gathers and
    /// one that is being written, and repeats that work; only what was waited for with [`commit`](Journal::commit) it
    /// keeps for certain.
    pub commit_window: Duration,
    /// The longest that records stay unsynced when no append comes: what a power cut may undo.
    pub idle_sync: Duration,
    /// How long events that are over are kept for the trace.
    pub keep_for: Duration,
    /// What the journal may hold, in bytes, before the oldest of those go earlier. What is pending may hold more.
    pub keep_bytes: u64,
}

impl Default for DurableSettings {
    fn default() -> Self {
        let limits =
            Limits { pending: 100_000, pending_bytes: 512 << 20, dedupe_keys: 500_000, ..Limits::default() };
        Self {
            limits,
            commit_window: Duration::from_millis(20),
            idle_sync: Duration::from_secs(1),
            keep_for: Duration::from_secs(7 * 24 * 60 * 60),
            keep_bytes: 256 << 20,
        }
    }
}

/// A journal in a folder on a disk: an event appended survives a power cut, a record committed a killed process. A record
/// that nobody waited for is written within [`commit_window`](DurableSettings::commit_window), and may be lost until then.
///
/// One thread owns the files. Appends that arrive while it syncs, or within the commit window, share the next sync.
/// Dropping the journal writes and syncs what is left, which blocks for that moment.
pub struct DurableJournal {
    front: Arc<Front>,
    shared: Arc<Shared>,
    /// Sent to while the front is locked, so that the writer sees changes in the order in which they were made.
    ops: Arc<Queue>,
    writer: Mutex<Option<JoinHandle<()>>>,
    path: PathBuf,
    damage: Option<Damage>,
    /// Released last.
    _folder: Folder,
}

impl DurableJournal {
    /// Opens the journal in the folder `path`, or begins one. Damaged files are set aside, and what can be read of them
    /// is in the journal again: see [`damage`](Self::damage).
    pub fn open(path: impl AsRef<Path>, settings: DurableSettings) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        let folder = Folder::take(&path)?;
        let opened = open::open(&folder, settings.limits)?;
        let front = Arc::new(Front::new(opened.fold));
        let shared = Arc::new(Shared::new(folder.suspicion()));
        let ops = Arc::new(Queue::default());
        let writer = Writer {
            store: opened.store,
            mark: opened.mark,
            front: front.clone(),
            shared: shared.clone(),
            settings,
            path: path.display().to_string(),
            ops: ops.clone(),
            window: None,
            wrote: None,
            gathering: false,
            unanswered: Vec::new(),
            unsynced_appends: false,
            backlog: Default::default(),
            unsynced: None,
            broken: false,
            in_trouble: None,
            retention: Retention::default(),
        };
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::Unusable { path: path.clone(), reason: error.to_string() })?;
        let writer = Mutex::new(Some(writer));
        Ok(Self { front, shared, ops, writer, path, damage: opened.damage, _folder: folder })
    }

    /// Whether the journal in the folder `path` could be opened, as far as its lock, its rights and its format tell. The
    /// folder must be there. What is stored is neither read nor changed.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), where damage is none.
    pub fn check(path: impl AsRef<Path>) -> Result<(), OpenError> {
        open::refuse_other_formats(&Folder::take(path.as_ref())?)
    }

    /// What was found damaged when the journal was opened, and where it is kept.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// How often it has waited for the disk since it was opened.
    pub fn syncs(&self) -> u64 {
        self.shared.syncs.load(Ordering::Relaxed)
    }

    async fn append_when_there_is_room(&self, event: NewEvent) -> Result<Appended, JournalError> {
        let (answer, stored) = oneshot::channel();
        let appended = self
            .front
            .enter(size(&event), |fold, now_ms| {
                let (op, appended) = match fold.append(&event, now_ms) {
                    Some(position) => {
                        (Op::Append { position, at_ms: now_ms, event, answer }, Appended::New(position))
                    }
                    None => {
                        let failures = self.shared.failures.load(Ordering::Relaxed);
                        (Op::Repeat { failures, answer }, Appended::Duplicate)
                    }
                };
                self.ops.push(op)?;
                Ok(appended)
            })
            .await??;
        stored.await.map_err(|_| JournalError::Closed)??;
        Ok(appended)
    }

    /// What the record changes, with an answer from the writer if anything.
    fn change(
        &self,
        record: Record,
        answer: Option<Answer>,
    ) -> Result<(bool, Vec<(usize, Position)>), JournalError> {
        self.front.change(|fold, now_ms| {
            let changes = fold.apply(record, now_ms)?;
            if changes.is_empty() {
                return Ok((false, Vec::new()));
            }
            let appended = appended(&changes);
            self.ops.push(Op::Changes { changes, answer })?;
            Ok((true, appended))
        })
    }

    /// Has the writer read, after everything that was sent to it before.
    async fn read<T: Send + 'static>(
        &self,
        of_events: bool,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (answer, answered) = oneshot::channel();
        let (path, shared) = (self.path.display().to_string(), self.shared.clone());
        let read = Box::new(move |store: Result<&Store, JournalError>| {
            let result = store.and_then(|store| read(store).map_err(|error| shared.explain(&error, path)));
            let _ = answer.send(result);
        });
        self.ops.push(Op::Read(Reading { read, of_events }))?;
        answered.await.map_err(|_| JournalError::Closed)?
    }
}

/// What is not found may have ended and been forgotten since the question was put. Else it is lost.
fn is_over<T>(
    front: &Front,
    event: Position,
    missing: impl FnOnce() -> String,
) -> Result<Option<T>, StoreError> {
    if front.lock().needs(event) { Err(StoreError::Damaged(missing())) } else { Ok(None) }
}

impl Drop for DurableJournal {
    fn drop(&mut self) {
        let _ = self.ops.push(Op::Close);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}

impl Journal for DurableJournal {
    fn append(&self, event: NewEvent) -> JournalFuture<'_, Result<Appended, JournalError>> {
        Box::pin(self.append_when_there_is_room(event))
    }

    fn record(&self, record: Record) -> Result<(), JournalError> {
        self.change(record, None).map(drop)
    }

    fn commit(&self, record: Record) -> Result<Committed, JournalError> {
        let (answer, answered) = oneshot::channel();
        let (changed, appended) = self.change(record, Some(answer))?;
        let written =
            async move { if changed { answered.await.map_err(|_| JournalError::Closed)? } else { Ok(()) } };
        Ok(Committed { changed, appended, written: Box::pin(written) })
    }

    answered_by_the_front!();

    fn is_durable(&self) -> bool {
        true
    }

    /// Records written meanwhile are kept in memory until the disk takes them.
    fn trouble(&self) -> Option<JournalError> {
        self.shared.trouble().clone()
    }

    fn pending_event(
        &self,
        position: Position,
    ) -> JournalFuture<'_, Result<Option<StoredEvent>, JournalError>> {
        Box::pin(async move {
            let Some(owed) = self.front.lock().ledger.get(position, None) else { return Ok(None) };
            let front = self.front.clone();
            self.read(true, move |store| {
                let missing = || format!("event {} is missing", position.0);
                let Some(event) = store.event(position, EventState::Pending)? else {
                    return is_over(&front, position, missing);
                };
                let TracedEvent { key, payload, private, .. } = event;
                Ok(Some(StoredEvent { position, key, payload, private, attempts: owed.attempts }))
            })
            .await
        })
    }

    fn pending_delivery(
        &self,
        event: Position,
        index: u32,
    ) -> JournalFuture<'_, Result<Option<StoredDelivery>, JournalError>> {
        Box::pin(async move {
            let Some(owed) = self.front.lock().ledger.get(event, Some(index)) else { return Ok(None) };
            let front = self.front.clone();
            self.read(false, move |store| {
                let missing = || format!("delivery {index} of event {} is missing", event.0);
                let found = (store.delivery(event, index)?, store.event(event, EventState::Done)?);
                let (Some((payload, created_at_ms)), Some(TracedEvent { key, private, .. })) = found else {
                    return is_over(&front, event, missing);
                };
                let (attempts, age) = (owed.attempts, front.age(created_at_ms));
                Ok(Some(StoredDelivery { event, index, key, payload, private, attempts, created_at_ms, age }))
            })
            .await
        })
    }

    fn event(&self, position: Position) -> JournalFuture<'_, Result<Option<TracedEvent>, JournalError>> {
        Box::pin(async move {
            let front = self.front.clone();
            self.read(true, move |store| {
                let state = front.lock().state_of(position);
                store.event(position, state)
            })
            .await
        })
    }

    fn events(
        &self,
        before: Option<Position>,
        limit: usize,
    ) -> JournalFuture<'_, Result<Vec<TracedEvent>, JournalError>> {
        Box::pin(async move {
            let front = self.front.clone();
            let before = before.map_or(u64::MAX, |before| before.0);
            self.read(true, move |store| {
                let positions = store.newest(before, limit)?;
                let events = positions.into_iter().map(|position| {
                    let state = front.lock().state_of(position);
                    store.event(position, state)
                });
                events.filter_map(Result::transpose).collect()
            })
            .await
        })
    }

    fn dead_letter(
        &self,
        event: Position,
        delivery: Option<u32>,
    ) -> JournalFuture<'_, Result<Option<StoredDeadLetter>, JournalError>> {
        Box::pin(async move {
            let Some(death) = self.front.lock().dead.get(event, delivery).cloned() else { return Ok(None) };
            self.read(false, move |store| {
                let state = EventState::Dead;
                let Some(TracedEvent { key, payload, private, .. }) = store.event(event, state)? else {
                    return Ok(None);
                };
                let delivery = match delivery {
                    Some(index) => store.delivery(event, index)?.map(|(payload, _)| payload),
                    None => None,
                };
                let (letter, culprit, at_ms) = (death.letter, death.culprit, death.at_ms);
                Ok(Some(StoredDeadLetter { letter, culprit, at_ms, key, payload, private, delivery }))
            })
            .await
        })
    }

    fn value(&self, bucket: &str, key: &str) -> JournalFuture<'_, Result<Option<Bytes>, JournalError>> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Box::pin(async move {
            // What is not there needs no look at the disk.
            if !self.front.lock().buckets.has(&bucket, &key) {
                return Ok(None);
            }
            self.read(false, move |store| store.value(&bucket, &key)).await
        })
    }
}
