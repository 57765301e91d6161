//! What is owed: the events that are not handled yet, and the deliveries that have not arrived yet.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
};

use crate::{PendingDelivery, PendingEvent, Position};

/// Handling an event, or a delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owed {
    /// What counts against the bounds.
    pub(crate) bytes: usize,
    pub(crate) attempts: u32,
}

#[derive(Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<Position, Entry>,
    keys: Keys,
    events: usize,
    pending: usize,
    bytes: usize,
}

/// What is owed to one event.
struct Entry {
    key: Arc<str>,
    event: Option<Owed>,
    deliveries: BTreeMap<u32, Owed>,
}

impl Ledger {
    pub(crate) fn events(&self) -> usize {
        self.events
    }

    /// Events and deliveries.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether anything is owed to the event.
    pub(crate) fn owes(&self, event: Position) -> bool {
        self.entries.contains_key(&event)
    }

    /// The last event of those owed something that follow `after` without a gap; `after` itself if there are none.
    pub(crate) fn last_of_run(&self, after: Position) -> Position {
        let next = self.entries.range((Excluded(after), Unbounded));
        let run = next.zip(1u64..).take_while(|((event, _), step)| event.0 - after.0 == *step);
        run.last().map_or(after, |((event, _), _)| *event)
    }

    /// What an event that is pending is ordered by.
    pub(crate) fn key_of_pending(&self, event: Position) -> Option<Arc<str>> {
        self.entries.get(&event).filter(|entry| entry.event.is_some()).map(|entry| entry.key.clone())
    }

    pub(crate) fn deliveries_of(&self, event: Position) -> usize {
        self.entries.get(&event).map_or(0, |entry| entry.deliveries.len())
    }

    pub(crate) fn get(&self, event: Position, delivery: Option<u32>) -> Option<Owed> {
        let entry = self.entries.get(&event)?;
        match delivery {
            Some(index) => entry.deliveries.get(&index).copied(),
            None => entry.event,
        }
    }

    pub(crate) fn get_mut(&mut self, event: Position, delivery: Option<u32>) -> Option<&mut Owed> {
        let entry = self.entries.get_mut(&event)?;
        match delivery {
            Some(index) => entry.deliveries.get_mut(&index),
            None => entry.event.as_mut(),
        }
    }

    /// Takes the place of what was owed there before.
    pub(crate) fn add(&mut self, event: Position, delivery: Option<u32>, key: &str, owed: Owed) {
        let keys = &mut self.keys;
        let entry = self.entries.entry(event).or_insert_with(|| Entry {
            key: keys.share(key),
            event: None,
            deliveries: BTreeMap::new(),
        });
        let before = match delivery {
            Some(index) => entry.deliveries.insert(index, owed),
            None => entry.event.replace(owed),
        };
        self.bytes += owed.bytes;
        match before {
            Some(before) => self.bytes -= before.bytes,
            None => {
                self.pending += 1;
                self.events += usize::from(delivery.is_none());
            }
        }
    }

    /// What was owed there, and the event's key.
    pub(crate) fn end(&mut self, event: Position, delivery: Option<u32>) -> Option<(Arc<str>, Owed)> {
        let entry = self.entries.get_mut(&event)?;
        let owed = match delivery {
            Some(index) => entry.deliveries.remove(&index)?,
            None => entry.event.take()?,
        };
        let key = entry.key.clone();
        if entry.event.is_none() && entry.deliveries.is_empty() {
            self.entries.remove(&event);
            self.keys.release(&key);
        }
        self.pending -= 1;
        self.events -= usize::from(delivery.is_none());
        self.bytes -= owed.bytes;
        Some((key, owed))
    }

    pub(crate) fn list_events(&self, after: Option<Position>, limit: usize) -> Vec<PendingEvent> {
        let entries = self.entries.range((after.map_or(Unbounded, Excluded), Unbounded));
        let pending = entries.filter(|(_, entry)| entry.event.is_some());
        pending
            .take(limit)
            .map(|(&position, entry)| PendingEvent { position, key: entry.key.clone() })
            .collect()
    }

    pub(crate) fn list_deliveries(
        &self,
        after: Option<(Position, u32)>,
        limit: usize,
    ) -> Vec<PendingDelivery> {
        let entries = self.entries.range((after.map_or(Unbounded, |(event, _)| Included(event)), Unbounded));
        let all = entries.flat_map(|(&event, entry)| {
            entry.deliveries.keys().map(move |&index| PendingDelivery {
                event,
                index,
                key: entry.key.clone(),
            })
        });
        all.skip_while(|delivery| after.is_some_and(|after| (delivery.event, delivery.index) <= after))
            .take(limit)
            .collect()
    }
}

/// One copy of each key, with the number of events that have it: conversations are few, events many.
#[derive(Default)]
struct Keys(HashMap<Arc<str>, usize>);

impl Keys {
    fn share(&mut self, key: &str) -> Arc<str> {
        let known = self.0.get_key_value(key).map(|(known, _)| known.clone());
        let key = known.unwrap_or_else(|| key.into());
        *self.0.entry(key.clone()).or_default() += 1;
        key
    }

    fn release(&mut self, key: &str) {
        if let Some(users) = self.0.get_mut(key) {
            *users -= 1;
            if *users == 0 {
                self.0.remove(key);
            }
        }
    }
}
