//! One person's list.

use serde::{Deserialize, Serialize};

/// The most things on a list; those that are done count until they are cleared.
const MOST: usize = 200;

/// The longest text of one, in characters.
const LONGEST: usize = 500;

/// One person's list. The default is an empty one.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct List {
    /// The number given last.
    #[serde(default)]
    last: u32,
    #[serde(default)]
    items: Vec<Item>,
}

/// Something to do.
#[derive(Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) number: u32,
    pub(crate) text: String,
    pub(crate) done: bool,
}

/// Why a list stays as it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NoSuch(u32),
    Full(usize),
    TooLong(usize),
}

impl List {
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// How many are not done.
    pub(crate) fn open(&self) -> usize {
        self.items.iter().filter(|item| !item.done).count()
    }

    pub(crate) fn add(&mut self, text: &str) -> Result<&Item, Refused> {
        if self.items.len() >= MOST {
            return Err(Refused::Full(MOST));
        }
        if text.chars().count() > LONGEST {
            return Err(Refused::TooLong(LONGEST));
        }
        if self.items.is_empty() {
            self.last = 0;
        }
        self.last = self.last.saturating_add(1);
        // One line each, or the page would not be a list.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.items.push(Item { number: self.last, text, done: false });
        self.items.last().ok_or(Refused::Full(MOST))
    }

    /// Marks all of these, or none if one is not there. Returns their texts.
    pub(crate) fn mark(&mut self, numbers: &[u32], done: bool) -> Result<Vec<String>, Refused> {
        self.check(numbers)?;
        let mut texts = Vec::new();
        for item in self.items.iter_mut().filter(|item| numbers.contains(&item.number)) {
            item.done = done;
            texts.push(item.text.clone());
        }
        Ok(texts)
    }

    /// Deletes all of these, or none if one is not there. Returns their texts.
    pub(crate) fn delete(&mut self, numbers: &[u32]) -> Result<Vec<String>, Refused> {
        self.check(numbers)?;
        let (gone, kept) =
            std::mem::take(&mut self.items).into_iter().partition(|item| numbers.contains(&item.number));
        self.items = kept;
        let gone: Vec<Item> = gone;
        Ok(gone.into_iter().map(|item| item.text).collect())
    }

    /// Deletes what is done, and returns how many that were.
    pub(crate) fn clear(&mut self) -> usize {
        let before = self.items.len();
        self.items.retain(|item| !item.done);
        before - self.items.len()
    }

    fn check(&self, numbers: &[u32]) -> Result<(), Refused> {
        let missing = numbers.iter().find(|number| !self.items.iter().any(|item| item.number == **number));
        missing.map_or(Ok(()), |number| Err(Refused::NoSuch(*number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_an_end() {
        let mut list = List::default();
        for _ in 0..MOST {
            list.add("x").unwrap();
        }
        assert_eq!(list.add("x").err(), Some(Refused::Full(MOST)));
        list.mark(&[1, 2], true).unwrap();
        assert_eq!(list.clear(), 2);
        assert_eq!(list.add("x").unwrap().number, 201);
        assert_eq!(list.add(&"长".repeat(LONGEST + 1)).err(), Some(Refused::TooLong(LONGEST)));
    }

    #[test]
    fn all_numbers_or_none() {
        let mut list = List::default();
        list.add("a\n b").unwrap();
        assert_eq!(list.delete(&[1, 7]), Err(Refused::NoSuch(7)));
        assert_eq!(list.delete(&[1]), Ok(vec!["a b".to_owned()]));
    }
}
