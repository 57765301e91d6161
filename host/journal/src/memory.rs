use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::{
    Appended, Counter, DeadLetter, Journal, JournalError, JournalFuture, JournalStats, Limits, NewEvent,
    Position, Record, Route, StoredDeadLetter, StoredDelivery, StoredEvent, TracedEvent,
    fold::{Change, Fold, size},
    front::Front,
};

/// The bounds of a [`MemoryJournal`].
pub type MemoryLimits = Limits;

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
                let NewEvent { key, payload, private, .. } = event;
                let stored =
                    Event { key, payload, private, appended_at_ms: now_ms, deliveries: BTreeMap::new() };
                self.change_payloads(|payloads| {
                    payloads.events.insert(position, stored);
                });
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

impl Payloads {
    fn apply(&mut self, change: Change) {
        match change {
            Change::DeliveryAdded { event, index, payload, created_at_ms } => {
                if let Some(event) = self.events.get_mut(&event) {
                    event.deliveries.insert(index, (payload, created_at_ms));
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
        self.front.change(|fold, now_ms| {
            let changes = fold.apply(record, now_ms)?;
            self.change_payloads(|payloads| changes.into_iter().for_each(|change| payloads.apply(change)));
            Ok(())
        })
    }

    fn is_full(&self) -> bool {
        self.front.is_full()
    }

    fn stats(&self) -> JournalStats {
        self.front.lock().stats()
    }

    fn pending_events(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> JournalFuture<'_, Result<Vec<StoredEvent>, JournalError>> {
        Box::pin(async move {
            Ok(self.read(|fold, payloads| {
                let pending = fold.pending_events(after).filter_map(|(position, owed)| {
                    let event = payloads.events.get(&position)?;
                    let (payload, private) = (event.payload.clone(), event.private.clone());
                    Some(StoredEvent {
                        position,
                        key: event.key.clone(),
                        payload,
                        private,
                        attempts: owed.attempts,
                    })
                });
                pending.take(limit).collect()
            }))
        })
    }

    fn pending_deliveries(
        &self,
        after: Option<(Position, u32)>,
        limit: usize,
    ) -> JournalFuture<'_, Result<Vec<StoredDelivery>, JournalError>> {
        Box::pin(async move {
            Ok(self.read(|fold, payloads| {
                let pending = fold.pending_deliveries(after).filter_map(|(position, index, owed)| {
                    let event = payloads.events.get(&position)?;
                    let (payload, created_at_ms) = event.deliveries.get(&index)?;
                    Some(StoredDelivery {
                        event: position,
                        index,
                        key: event.key.clone(),
                        payload: payload.clone(),
                        private: event.private.clone(),
                        attempts: owed.attempts,
                        created_at_ms: *created_at_ms,
                    })
                });
                pending.take(limit).collect()
            }))
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
                newest_first
                    .map(|(&position, event)| TracedEvent {
                        position,
                        key: event.key.clone(),
                        payload: event.payload.clone(),
                        private: event.private.clone(),
                        appended_at_ms: event.appended_at_ms,
                        state: fold.state_of(position),
                    })
                    .collect()
            }))
        })
    }

    fn dead_letters(&self) -> Vec<DeadLetter> {
        self.front.lock().dead.iter().map(|death| death.letter.clone()).collect()
    }

    fn dead_letter(
        &self,
        event: Position,
        delivery: Option<u32>,
    ) -> JournalFuture<'_, Result<Option<StoredDeadLetter>, JournalError>> {
        Box::pin(async move {
            Ok(self.read(|fold, payloads| {
                let death = fold.find_dead(event, delivery)?;
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

    fn route(&self, conversation: &str) -> Option<Route> {
        self.front.lock().routes.get(conversation).cloned()
    }

    fn counters(&self) -> Vec<Counter> {
        self.front.lock().counters.all()
    }

    fn value(&self, bucket: &str, key: &str) -> JournalFuture<'_, Result<Option<Bytes>, JournalError>> {
        let key = (bucket.to_owned(), key.to_owned());
        Box::pin(async move { Ok(self.read(|_, payloads| payloads.values.get(&key).cloned())) })
    }

    fn keys(&self, bucket: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        self.front.lock().buckets.keys(bucket, after, limit)
    }

    fn bucket_bytes(&self, bucket: &str) -> usize {
        self.front.lock().buckets.bytes(bucket)
    }
}
