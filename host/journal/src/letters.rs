//! The dead letters, oldest first, found by what they are about.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Culprit, DeadLetter, DeadLetterHead, Position};

#[derive(Debug, Clone)]
pub(crate) struct Death {
    pub(crate) letter: DeadLetter,
    pub(crate) culprit: Option<Culprit>,
    pub(crate) at_ms: u64,
    /// What the event is ordered by.
    pub(crate) key: Arc<str>,
    /// What counts against the bounds if it is tried again.
    pub(crate) bytes: usize,
}

impl Death {
    pub(crate) fn about(&self) -> (Position, Option<u32>) {
        (self.letter.event, self.letter.delivery)
    }

    pub(crate) fn head(&self) -> DeadLetterHead {
        DeadLetterHead { letter: self.letter.clone(), culprit: self.culprit.clone(), at_ms: self.at_ms }
    }
}

#[derive(Default)]
pub(crate) struct Letters {
    by_age: BTreeMap<u64, Death>,
    numbers: BTreeMap<(Position, Option<u32>), u64>,
    last: u64,
}

impl Letters {
    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Death> {
        self.by_age.values()
    }

    pub(crate) fn get(&self, event: Position, delivery: Option<u32>) -> Option<&Death> {
        self.by_age.get(self.numbers.get(&(event, delivery))?)
    }

    /// Whether any of them is about the event or its deliveries.
    pub(crate) fn have(&self, event: Position) -> bool {
        self.numbers.range((event, None)..=(event, Some(u32::MAX))).next().is_some()
    }

    pub(crate) fn add(&mut self, death: Death) {
        self.last += 1;
        if let Some(before) = self.numbers.insert(death.about(), self.last) {
            self.by_age.remove(&before);
        }
        self.by_age.insert(self.last, death);
    }

    pub(crate) fn remove(&mut self, event: Position, delivery: Option<u32>) -> Option<Death> {
        self.by_age.remove(&self.numbers.remove(&(event, delivery))?)
    }

    pub(crate) fn remove_oldest(&mut self) -> Option<Death> {
        let (_, death) = self.by_age.pop_first()?;
        self.numbers.remove(&death.about());
        Some(death)
    }
}
