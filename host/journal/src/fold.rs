//! The state of a journal as a fold over its records: the same for every engine, without the payloads.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    Completion, Counter, Culprit, DeadLetter, EARLY, EventState, JournalError, JournalStats, KeyValueWrite,
    Limits, NOTICE, NewEvent, Position, Record, Route,
    dedupe::SeenKeys,
    ledger::{Ledger, Owed},
    letters::{Death, Letters},
    tables::{Buckets, Counters, Routes},
};

/// What a record changes, each complete in itself: an engine puts all changes of a record down together.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// The event is pending no more.
    EventEnded(Position),
    /// An event came of another's completion, as the one at `place` among its events.
    EventAppended {
        position: Position,
        place: usize,
        at_ms: u64,
        event: NewEvent,
    },
    /// The event is pending again.
    EventReopened {
        event: Position,
        key: Arc<str>,
        bytes: usize,
    },
    DeliveryAdded {
        event: Position,
        index: u32,
        key: Arc<str>,
        payload: Bytes,
        created_at_ms: u64,
    },
    DeliveryEnded {
        event: Position,
        index: u32,
    },
    DeliveryReopened {
        event: Position,
        index: u32,
        key: Arc<str>,
        bytes: usize,
        at_ms: u64,
    },
    Attempt {
        event: Position,
        delivery: Option<u32>,
        attempt: u32,
    },
    Died(Death),
    DeadRemoved {
        event: Position,
        delivery: Option<u32>,
    },
    /// Nothing is owed to the event any more, and it is no dead letter.
    Forgotten(Position),
    RouteSet(Route),
    RouteRemoved(String),
    ValueSet {
        bucket: String,
        key: String,
        value: Bytes,
    },
    ValueRemoved {
        bucket: String,
        key: String,
    },
    CounterSet(Counter),
    CounterRemoved {
        month: u32,
        name: String,
    },
}

pub(crate) struct Fold {
    pub(crate) limits: Limits,
    pub(crate) last: u64,
    pub(crate) seen: SeenKeys,
    pub(crate) ledger: Ledger,
    pub(crate) dead: Letters,
    /// The early deliveries that events had so far which are pending, or dead and may be again.
    pub(crate) sent: HashMap<Position, BTreeSet<u32>>,
    /// How many dead letters went because there were too many.
    evicted: u64,
    pub(crate) routes: Routes,
    pub(crate) buckets: Buckets,
    pub(crate) counters: Counters,
}

impl Fold {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            last: 0,
            seen: SeenKeys::new(limits.dedupe_keys, limits.dedupe_for),
            ledger: Ledger::default(),
            dead: Letters::default(),
            sent: HashMap::new(),
            evicted: 0,
            routes: Routes::default(),
            buckets: Buckets::default(),
            counters: Counters::default(),
            limits,
        }
    }

    pub(crate) fn stats(&self) -> JournalStats {
        let pending_events = self.ledger.events();
        JournalStats {
            pending_events,
            pending_deliveries: self.ledger.pending() - pending_events,
            pending_bytes: self.ledger.bytes(),
            dead_letters: self.dead.len(),
            evicted_dead_letters: self.evicted,
        }
    }

    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let (pending, held) = (self.ledger.pending(), self.ledger.bytes());
        pending < self.limits.pending
            && (held.saturating_add(bytes) <= self.limits.pending_bytes || pending == 0)
    }

    /// The place of a new event, or none if it is a repeat.
    pub(crate) fn append(&mut self, event: &NewEvent, now_ms: u64) -> Option<Position> {
        if !self.seen.insert(&event.dedupe, now_ms) {
            return None;
        }
        self.last += 1;
        let position = Position(self.last);
        self.ledger.add(position, None, &event.key, Owed { bytes: size(event), attempts: 0 });
        Some(position)
    }

    /// Takes an append back that could not be stored. Its position is not used again.
    pub(crate) fn take_back(&mut self, position: Position, dedupe: &[String]) {
        self.seen.remove(dedupe);
        self.ledger.end(position, None);
    }

    pub(crate) fn apply(&mut self, record: Record, now_ms: u64) -> Result<Vec<Change>, JournalError> {
        let mut changes = Vec::new();
        match record {
            Record::Done(completion) => self.complete(completion, Vec::new(), now_ms, &mut changes)?,
            Record::DoneWriting(completion, writes) => {
                self.complete(completion, writes, now_ms, &mut changes)?
            }
            Record::Send { event, index, payload } => {
                if (EARLY..NOTICE).contains(&index)
                    && let Some(key) = self.ledger.key_of_pending(event)
                    && self.sent.entry(event).or_default().insert(index)
                {
                    self.deliver(event, index, &key, payload, now_ms, &mut changes);
                }
            }
            Record::Delivered { event, index } => {
                if self.ledger.end(event, Some(index)).is_some() {
                    changes.push(Change::DeliveryEnded { event, index });
                    self.forget_if_over(event, &mut changes);
                }
            }
            Record::Dead { letter, culprit, notice } => {
                self.die(letter, culprit, notice, now_ms, &mut changes)
            }
            Record::Attempt { event, delivery, attempt } => {
                if let Some(owed) = self.ledger.get_mut(event, delivery)
                    && owed.attempts < attempt
                {
                    owed.attempts = attempt;
                    changes.push(Change::Attempt { event, delivery, attempt });
                }
            }
            Record::Retry { event, delivery } => self.retry(event, delivery, now_ms, &mut changes),
            Record::Drop { event, delivery } => {
                if self.dead.remove(event, delivery).is_some() {
                    changes.push(Change::DeadRemoved { event, delivery });
                    self.forget_sent(event, delivery);
                    self.forget_if_over(event, &mut changes);
                }
            }
            Record::Route(route) => self.routes.set(route, self.limits.routes, &mut changes),
            Record::Write(write) => {
                self.buckets.check(std::slice::from_ref(&write), self.limits.bucket_bytes)?;
                self.buckets.write(write, &mut changes);
            }
            Record::Count(counter) => self.counters.set(counter, self.limits.counters, &mut changes),
        }
        Ok(changes)
    }

    pub(crate) fn state_of(&self, event: Position) -> EventState {
        if self.ledger.get(event, None).is_some() {
            return EventState::Pending;
        }
        if self.dead.get(event, None).is_some() {
            return EventState::Dead;
        }
        match self.ledger.deliveries_of(event) {
            0 => EventState::Done,
            deliveries => EventState::Delivering(deliveries),
        }
    }

    /// Whether the journal still needs what is stored of the event.
    pub(crate) fn needs(&self, event: Position) -> bool {
        self.ledger.owes(event) || self.dead.have(event)
    }

    fn complete(
        &mut self,
        completion: Completion,
        writes: Vec<KeyValueWrite>,
        now_ms: u64,
        changes: &mut Vec<Change>,
    ) -> Result<(), JournalError> {
        let Completion { event, deliveries, events } = completion;
        // Only an event that is still pending: a repeated record must not bring its deliveries back.
        if self.ledger.get(event, None).is_none() {
            return Ok(());
        }
        self.buckets.check(&writes, self.limits.bucket_bytes)?;
        self.check_room(&events)?;
        let Some((key, _)) = self.ledger.end(event, None) else { return Ok(()) };
        self.sent.remove(&event);
        changes.push(Change::EventEnded(event));
        for (place, event) in events.into_iter().enumerate() {
            if let Some(position) = self.append(&event, now_ms) {
                changes.push(Change::EventAppended { position, place, at_ms: now_ms, event });
            }
        }
        for (index, payload) in (0..).zip(deliveries) {
            self.deliver(event, index, &key, payload, now_ms, changes);
        }
        for write in writes {
            self.buckets.write(write, changes);
        }
        self.forget_if_over(event, changes);
        Ok(())
    }

    /// Waiting for room is no way for what makes room itself, so there is some beyond the bound.
    fn check_room(&self, events: &[NewEvent]) -> Result<(), JournalError> {
        let Limits { pending: most, pending_bytes: most_bytes, .. } = self.limits;
        let bytes = events.iter().map(size).fold(self.ledger.bytes(), usize::saturating_add);
        let pending = self.ledger.pending();
        // The event that brings them about ends with that.
        let after = pending.saturating_sub(1).saturating_add(events.len());
        let fits =
            after <= most.saturating_add(most / 2) && bytes <= most_bytes.saturating_add(most_bytes / 2);
        if events.is_empty() || fits {
            return Ok(());
        }
        Err(JournalError::NoRoom { events: events.len(), pending })
    }

    fn forget_sent(&mut self, event: Position, delivery: Option<u32>) {
        if delivery.is_none() {
            self.sent.remove(&event);
        }
    }

    fn deliver(
        &mut self,
        event: Position,
        index: u32,
        key: &Arc<str>,
        payload: Bytes,
        created_at_ms: u64,
        changes: &mut Vec<Change>,
    ) {
        self.ledger.add(event, Some(index), key, Owed { bytes: payload.len(), attempts: 0 });
        changes.push(Change::DeliveryAdded { event, index, key: key.clone(), payload, created_at_ms });
    }

    fn die(
        &mut self,
        letter: DeadLetter,
        culprit: Option<Culprit>,
        notice: Option<Bytes>,
        now_ms: u64,
        changes: &mut Vec<Change>,
    ) {
        let DeadLetter { event, delivery, .. } = letter;
        let Some((key, owed)) = self.ledger.end(event, delivery) else { return };
        changes.push(match delivery {
            Some(index) => Change::DeliveryEnded { event, index },
            None => Change::EventEnded(event),
        });
        if let (None, Some(notice)) = (delivery, notice) {
            self.give_notice(event, &key, notice, now_ms, changes);
        }
        let death = Death { letter, culprit, at_ms: now_ms, key, bytes: owed.bytes };
        if self.limits.dead_letters > 0 {
            changes.push(Change::Died(death.clone()));
            self.dead.add(death);
        } else {
            self.evicted += 1;
            self.forget_sent(event, delivery);
            self.forget_if_over(event, changes);
        }
        while self.dead.len() > self.limits.dead_letters {
            let Some(oldest) = self.dead.remove_oldest() else { break };
            self.evicted += 1;
            let (event, delivery) = oldest.about();
            changes.push(Change::DeadRemoved { event, delivery });
            self.forget_sent(event, delivery);
            self.forget_if_over(event, changes);
        }
    }

    fn give_notice(
        &mut self,
        event: Position,
        key: &Arc<str>,
        notice: Bytes,
        now_ms: u64,
        changes: &mut Vec<Change>,
    ) {
        if self.ledger.end(event, Some(NOTICE)).is_some() {
            changes.push(Change::DeliveryEnded { event, index: NOTICE });
        }
        if self.dead.remove(event, Some(NOTICE)).is_some() {
            changes.push(Change::DeadRemoved { event, delivery: Some(NOTICE) });
        }
        self.deliver(event, NOTICE, key, notice, now_ms, changes);
    }

    fn retry(&mut self, event: Position, delivery: Option<u32>, at_ms: u64, changes: &mut Vec<Change>) {
        let Some(Death { key, bytes, .. }) = self.dead.remove(event, delivery) else { return };
        changes.push(Change::DeadRemoved { event, delivery });
        self.ledger.add(event, delivery, &key, Owed { bytes, attempts: 0 });
        changes.push(match delivery {
            Some(index) => Change::DeliveryReopened { event, index, key, bytes, at_ms },
            None => Change::EventReopened { event, key, bytes },
        });
    }

    fn forget_if_over(&self, event: Position, changes: &mut Vec<Change>) {
        if !self.needs(event) {
            changes.push(Change::Forgotten(event));
        }
    }
}

/// What counts against the bounds.
pub(crate) fn size(event: &NewEvent) -> usize {
    event.payload.len().saturating_add(event.private.len())
}

/// Which of a completion's events were appended, and where.
pub(crate) fn appended(changes: &[Change]) -> Vec<(usize, Position)> {
    let appended = changes.iter().filter_map(|change| match change {
        Change::EventAppended { position, place, .. } => Some((*place, *position)),
        _ => None,
    });
    appended.collect()
}
