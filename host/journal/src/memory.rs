use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::{
    Appended, Committed, Journal, JournalError, JournalFuture, Limits, NewEvent, Position, Record,
    StoredDeadLetter, StoredDelivery, StoredEvent, TracedEvent,
    fold::{Change, Fold, appended, size},
    front::{Front, answered_by_the_front},
};

/// A journal in memory: for development and tests. "Stored" means accepted into its bounded memory. Of the trace it
/// keeps only what is still owed something, and dead letters.
pub struct MemoryJournal {
    front: Front,
    /// Always locked after the front.
    payloads: Mutex<Payloads>,
}

#[derive(Default)]
struct Payloads {
    events: BTreeMap<Position, Event>,
    values: HashMap<(String, String), Bytes>,
}

#[derive(Clone)]
struct Event {
    key: String,
    payload: Bytes,
    private: Bytes,
    appended_at_ms: u64,
    deliveries: BTreeMap<u32, (Bytes, u64)>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new(limits: Limits) -> Self {
        Self { front: Front::new(Fold::new(limits)), payloads: Mutex::default() }
    }

    fn read<T>(&self, read: impl FnOnce(&Fold, &Payloads) -> T) -> T {
        let fold = self.front.lock();
        let payloads = self.payloads.lock().unwrap_or_else(PoisonError::into_inner);
        read(&fold, &payloads)
    }

    fn change_payloads(&self, change: impl FnOnce(&mut Payloads)) {
        change(&mut self.payloads.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn append_when_there_is_room(&self, event: NewEvent) -> Result<Appended, JournalError> {
        self.front
            .enter(size(&event), |fold, now_ms| {
                let Some(position) = fold.append(&event, now_ms) else { return Appended::Duplicate };
                self.change_payloads(|payloads| payloads.append(position, now_ms, event));
                Appended::New(position)
            })
            .await
    }
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Event {
    fn traced(&self, position: Position, fold: &Fold) -> TracedEvent {
        let Self { key, payload, private, appended_at_ms, .. } = self.clone();
        TracedEvent { position, key, payload, private, appended_at_ms, state: fold.state_of(position) }
    }
}

impl Payloads {
    fn append(&mut self, position: Position, appended_at_ms: u64, event: NewEvent) {
        let NewEvent { key, payload, private, .. } = event;
        let stored = Event { key, payload, private, appended_at_ms, deliveries: BTreeMap::new() };
        self.events.insert(position, stored);
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::EventAppended { position, at_ms, event, .. } => self.append(position, at_ms, event),
            Change::DeliveryAdded { event, index, payload, created_at_ms, .. } => {
                if let Some(event) = self.events.get_mut(&event) {
                    event.deliveries.insert(index, (payload, created_at_ms));
                }
            }
            Change::DeliveryReopened { event, index, at_ms, .. } => {
                if let Some(delivery) =
                    self.events.get_mut(&event).and_then(|event| event.deliveries.get_mut(&index))
                {
                    delivery.1 = at_ms;
                }
            }
            Change::Forgotten(event) => {
                self.events.remove(&event);
            }
            Change::ValueSet { bucket, key, value } => {
                self.values.insert((bucket, key), value);
            }
            Change::ValueRemoved { bucket, key } => {
                self.values.remove(&(bucket, key));
            }
            // The rest is in the fold.
            _ => {}
        }
    }
}

impl Journal for MemoryJournal {
    fn append(&self, event: NewEvent) -> JournalFuture<'_, Result<Appended, JournalError>> {
        Box::pin(self.append_when_there_is_room(event))
    }

    fn record(&self, record: Record) -> Result<(), JournalError> {
        self.commit(record).map(drop)
    }

    fn commit(&self, record: Record) -> Result<Committed, JournalError> {
        self.front.change(|fold, now_ms| {
            let changes = fold.apply(record, now_ms)?;
            let (changed, appended) = (!changes.is_empty(), appended(&changes));
            self.change_payloads(|payloads| changes.into_iter().for_each(|change| payloads.apply(change)));
            Ok(Committed { changed, appended, written: Box::pin(std::future::ready(Ok(()))) })
        })
    }

    answered_by_the_front!();

    fn is_durable(&self) -> bool {
        false
    }

    fn trouble(&self) -> Option<JournalError> {
        None
    }

    fn pending_event(
        &self,
        position: Position,
    ) -> JournalFuture<'_, Result<Option<StoredEvent>, JournalError>> {
        Box::pin(async move {
            Ok(self.read(|fold, payloads| {
                let attempts = fold.ledger.get(position, None)?.attempts;
                let Event { key, payload, private, .. } = payloads.events.get(&position)?.clone();
                Some(StoredEvent { position, key, payload, private, attempts })
            }))
        })
    }

    fn pending_delivery(
        &self,
        event: Position,
        index: u32,
    ) -> JournalFuture<'_, Result<Option<StoredDelivery>, JournalError>> {
        Box::pin(async move {
            Ok(self.read(|fold, payloads| {
                let attempts = fold.ledger.get(event, Some(index))?.attempts;
                let Event { key, private, deliveries, .. } = payloads.events.get(&event)?.clone();
                let (payload, created_at_ms) = deliveries.get(&index)?.clone();
                let age = self.front.age(created_at_ms);
                Some(StoredDelivery { event, index, key, payload, private, attempts, created_at_ms, age })
            }))
        })
    }

    fn event(&self, position: Position) -> JournalFuture<'_, Result<Option<TracedEvent>, JournalError>> {
        Box::pin(async move {
            Ok(self.read(|fold, payloads| Some(payloads.events.get(&position)?.traced(position, fold))))
        })
    }

    fn events(
        &self,
        before: Option<Position>,
        limit: usize,
    ) -> JournalFuture<'_, Result<Vec<TracedEvent>, JournalError>> {
        Box::pin(async move {
            Ok(self.read(|fold, payloads| {
                let end = before.unwrap_or(Position(u64::MAX));
                let newest_first = payloads.events.range(..end).rev().take(limit);
                newest_first.map(|(&position, event)| event.traced(position, fold)).collect()
            }))
        })
    }

    fn dead_letter(
        &self,
        event: Position,
        delivery: Option<u32>,
    ) -> JournalFuture<'_, Result<Option<StoredDeadLetter>, JournalError>> {
        Box::pin(async move {
            Ok(self.read(|fold, payloads| {
                let death = fold.dead.get(event, delivery)?;
                let stored = payloads.events.get(&event)?;
                Some(StoredDeadLetter {
                    letter: death.letter.clone(),
                    culprit: death.culprit.clone(),
                    at_ms: death.at_ms,
                    key: stored.key.clone(),
                    payload: stored.payload.clone(),
                    private: stored.private.clone(),
                    delivery: delivery
                        .and_then(|index| stored.deliveries.get(&index))
                        .map(|found| found.0.clone()),
                })
            }))
        })
    }

    fn value(&self, bucket: &str, key: &str) -> JournalFuture<'_, Result<Option<Bytes>, JournalError>> {
        let key = (bucket.to_owned(), key.to_owned());
        Box::pin(async move { Ok(self.read(|_, payloads| payloads.values.get(&key).cloned())) })
    }
}
