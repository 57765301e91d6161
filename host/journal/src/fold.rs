//! The state of a journal as a fold over its records: the same for every engine, without the payloads.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound::{Excluded, Included, Unbounded},
};

use bytes::Bytes;

use crate::{
    Completion, Counter, Culprit, DeadLetter, EventState, JournalError, JournalStats, KeyValueWrite, Limits,
    NewEvent, Position, Record, Route,
    dedupe::SeenKeys,
    tables::{Buckets, Counters, Routes},
};

/// What a record changes, each complete in itself: an engine puts all changes of a record down together.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// The event is pending no more.
    EventEnded(Position),
    /// The event is pending again.
    EventReopened(Position),
    DeliveryAdded {
        event: Position,
        index: u32,
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

#[derive(Debug, Clone)]
pub(crate) struct Death {
    pub(crate) letter: DeadLetter,
    pub(crate) culprit: Option<Culprit>,
    pub(crate) at_ms: u64,
    /// What counts against the bounds if it is tried again.
    pub(crate) bytes: usize,
}

/// What is still owed to an event.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// Handling it.
    pub(crate) event: Option<Owed>,
    pub(crate) deliveries: BTreeMap<u32, Owed>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Owed {
    pub(crate) bytes: usize,
    pub(crate) attempts: u32,
}

pub(crate) struct Fold {
    pub(crate) limits: Limits,
    pub(crate) last: u64,
    pub(crate) seen: SeenKeys,
    pub(crate) open: BTreeMap<Position, Open>,
    events: usize,
    pending: usize,
    bytes: usize,
    pub(crate) dead: VecDeque<Death>,
    pub(crate) routes: Routes,
    pub(crate) buckets: Buckets,
    pub(crate) counters: Counters,
}

impl Fold {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            last: 0,
            seen: SeenKeys::new(limits.dedupe_keys, limits.dedupe_for),
            open: BTreeMap::new(),
            events: 0,
            pending: 0,
            bytes: 0,
            dead: VecDeque::new(),
            routes: Routes::default(),
            buckets: Buckets::default(),
            counters: Counters::default(),
            limits,
        }
    }

    pub(crate) fn stats(&self) -> JournalStats {
        JournalStats {
            pending_events: self.events,
            pending_deliveries: self.pending - self.events,
            pending_bytes: self.bytes,
            dead_letters: self.dead.len(),
        }
    }

    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.pending < self.limits.pending
            && (self.bytes.saturating_add(bytes) <= self.limits.pending_bytes || self.pending == 0)
    }

    /// The place of a new event, or none if it is a repeat.
    pub(crate) fn append(&mut self, event: &NewEvent, now_ms: u64) -> Option<Position> {
        if !self.seen.insert(&event.dedupe, now_ms) {
            return None;
        }
        self.last += 1;
        let position = Position(self.last);
        self.add_event(position, Owed { bytes: size(event), attempts: 0 });
        Some(position)
    }

    /// Takes an append back that could not be stored. Its position is not used again.
    pub(crate) fn take_back(&mut self, position: Position, dedupe: &[String]) {
        self.seen.remove(dedupe);
        self.end_event(position);
    }

    pub(crate) fn apply(&mut self, record: Record, now_ms: u64) -> Result<Vec<Change>, JournalError> {
        let mut changes = Vec::new();
        match record {
            Record::Done(completion) => self.complete(completion, Vec::new(), now_ms, &mut changes)?,
            Record::DoneWriting(completion, writes) => {
                self.complete(completion, writes, now_ms, &mut changes)?
            }
            Record::Delivered { event, index } => {
                if self.end_delivery(event, index).is_some() {
                    changes.push(Change::DeliveryEnded { event, index });
                    self.forget_if_over(event, &mut changes);
                }
            }
            Record::Dead(letter) => self.die(letter, None, now_ms, &mut changes),
            Record::DeadIn(letter, culprit) => self.die(letter, Some(culprit), now_ms, &mut changes),
            Record::Attempt { event, delivery, attempt } => {
                let owed = self.open.get_mut(&event).and_then(|open| match delivery {
                    Some(index) => open.deliveries.get_mut(&index),
                    None => open.event.as_mut(),
                });
                if let Some(owed) = owed
                    && owed.attempts < attempt
                {
                    owed.attempts = attempt;
                    changes.push(Change::Attempt { event, delivery, attempt });
                }
            }
            Record::Retry { event, delivery } => self.retry(event, delivery, &mut changes),
            Record::Drop { event, delivery } => {
                if self.remove_dead(event, delivery).is_some() {
                    changes.push(Change::DeadRemoved { event, delivery });
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

    pub(crate) fn pending_events(&self, after: Option<Position>) -> impl Iterator<Item = (Position, Owed)> {
        let from = after.map_or(Unbounded, Excluded);
        self.open.range((from, Unbounded)).filter_map(|(&position, open)| Some((position, open.event?)))
    }

    pub(crate) fn pending_deliveries(
        &self,
        after: Option<(Position, u32)>,
    ) -> impl Iterator<Item = (Position, u32, Owed)> {
        let from = after.map_or(Unbounded, |(event, _)| Included(event));
        let all = self.open.range((from, Unbounded)).flat_map(|(&event, open)| {
            open.deliveries.iter().map(move |(&index, &owed)| (event, index, owed))
        });
        all.skip_while(move |&(event, index, _)| after.is_some_and(|after| (event, index) <= after))
    }

    pub(crate) fn state_of(&self, event: Position) -> EventState {
        match self.open.get(&event) {
            Some(open) if open.event.is_some() => EventState::Pending,
            Some(open) => EventState::Delivering(open.deliveries.len()),
            None if self.find_dead(event, None).is_some() => EventState::Dead,
            None => EventState::Done,
        }
    }

    pub(crate) fn find_dead(&self, event: Position, delivery: Option<u32>) -> Option<&Death> {
        self.dead.iter().find(|death| death.letter.event == event && death.letter.delivery == delivery)
    }

    /// Whether the journal still needs what is stored of the event.
    pub(crate) fn needs(&self, event: Position) -> bool {
        self.open.contains_key(&event) || self.dead.iter().any(|death| death.letter.event == event)
    }

    pub(crate) fn add_event(&mut self, position: Position, owed: Owed) {
        self.open.entry(position).or_default().event = Some(owed);
        self.events += 1;
        self.pending += 1;
        self.bytes += owed.bytes;
    }

    pub(crate) fn add_delivery(&mut self, event: Position, index: u32, owed: Owed) {
        self.open.entry(event).or_default().deliveries.insert(index, owed);
        self.pending += 1;
        self.bytes += owed.bytes;
    }

    fn complete(
        &mut self,
        completion: Completion,
        writes: Vec<KeyValueWrite>,
        now_ms: u64,
        changes: &mut Vec<Change>,
    ) -> Result<(), JournalError> {
        let event = completion.event;
        // Only an event that is still pending: a repeated record must not bring its deliveries back.
        if self.open.get(&event).is_none_or(|open| open.event.is_none()) {
            return Ok(());
        }
        self.buckets.check(&writes, self.limits.bucket_bytes)?;
        self.end_event(event);
        changes.push(Change::EventEnded(event));
        for (index, payload) in (0..).zip(completion.deliveries) {
            self.add_delivery(event, index, Owed { bytes: payload.len(), attempts: 0 });
            changes.push(Change::DeliveryAdded { event, index, payload, created_at_ms: now_ms });
        }
        for write in writes {
            self.buckets.write(write, changes);
        }
        self.forget_if_over(event, changes);
        Ok(())
    }

    fn die(&mut self, letter: DeadLetter, culprit: Option<Culprit>, now_ms: u64, changes: &mut Vec<Change>) {
        let event = letter.event;
        let ended = match letter.delivery {
            Some(index) => self.end_delivery(event, index),
            None => self.end_event(event),
        };
        let Some(owed) = ended else { return };
        changes.push(match letter.delivery {
            Some(index) => Change::DeliveryEnded { event, index },
            None => Change::EventEnded(event),
        });
        if self.limits.dead_letters > 0 {
            let death = Death { letter, culprit, at_ms: now_ms, bytes: owed.bytes };
            changes.push(Change::Died(death.clone()));
            self.dead.push_back(death);
        } else {
            self.forget_if_over(event, changes);
        }
        while self.dead.len() > self.limits.dead_letters {
            let Some(oldest) = self.dead.pop_front() else { break };
            let DeadLetter { event, delivery, .. } = oldest.letter;
            changes.push(Change::DeadRemoved { event, delivery });
            self.forget_if_over(event, changes);
        }
    }

    fn retry(&mut self, event: Position, delivery: Option<u32>, changes: &mut Vec<Change>) {
        let Some(death) = self.remove_dead(event, delivery) else { return };
        changes.push(Change::DeadRemoved { event, delivery });
        let owed = Owed { bytes: death.bytes, attempts: 0 };
        match delivery {
            Some(index) => {
                self.add_delivery(event, index, owed);
                changes.push(Change::DeliveryReopened { event, index });
            }
            None => {
                self.add_event(event, owed);
                changes.push(Change::EventReopened(event));
            }
        }
    }

    fn remove_dead(&mut self, event: Position, delivery: Option<u32>) -> Option<Death> {
        let place = self
            .dead
            .iter()
            .position(|death| death.letter.event == event && death.letter.delivery == delivery)?;
        self.dead.remove(place)
    }

    fn forget_if_over(&self, event: Position, changes: &mut Vec<Change>) {
        if !self.needs(event) {
            changes.push(Change::Forgotten(event));
        }
    }

    fn end_event(&mut self, event: Position) -> Option<Owed> {
        let owed = self.open.get_mut(&event)?.event.take()?;
        self.events -= 1;
        self.end(event, owed);
        Some(owed)
    }

    fn end_delivery(&mut self, event: Position, index: u32) -> Option<Owed> {
        let owed = self.open.get_mut(&event)?.deliveries.remove(&index)?;
        self.end(event, owed);
        Some(owed)
    }

    fn end(&mut self, event: Position, owed: Owed) {
        self.pending -= 1;
        self.bytes -= owed.bytes;
        if self.open.get(&event).is_some_and(|open| open.event.is_none() && open.deliveries.is_empty()) {
            self.open.remove(&event);
        }
    }
}

/// What counts against the bounds.
pub(crate) fn size(event: &NewEvent) -> usize {
    event.payload.len().saturating_add(event.private.len())
}
