//! Interactive cards: what bots make of them, and what people press.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of all cards' variables that are kept; beyond it the oldest card is forgotten.
const MAX_BYTES: usize = 64 << 20;

/// Variables and their values.
pub type CardData = BTreeMap<String, String>;

/// A card as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// The app that made it.
    pub client_id: Arc<str>,
    /// Its id.
    pub out_track_id: Arc<str>,
    /// Its template's id.
    pub template: String,
    /// Where it stands. Empty: a fault kept it from everybody.
    pub spaces: Vec<CardSpace>,
    /// What everybody sees.
    pub data: CardData,
    /// What one person sees, by user id.
    pub private_data: BTreeMap<String, CardData>,
    /// How far a text that is streamed into it has come.
    pub flow: Flow,
    /// Whether pressing it reaches the bot (`callbackType` `STREAM`).
    pub callbacks: bool,
}

/// Where a card stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CardSpace {
    /// In a group.
    Group {
        /// Its conversation id.
        conversation: String,
    },
    /// In a private chat with the bot.
    Person {
        /// Whose.
        staff_id: String,
    },
}

/// How far a streamed text has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Flow {
    /// Nothing was streamed yet.
    Processing,
    /// It grows.
    Inputting,
    /// It was finished.
    Finished,
    /// It was ended as failed.
    Failed,
}

/// One thing that happened to a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CardStep {
    /// The app.
    pub client_id: Arc<str>,
    /// The card.
    pub out_track_id: Arc<str>,
    /// Number of the call; none for the answer to a callback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<u64>,
    /// What it was.
    pub step: CardChange,
}

/// What happens to cards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CardChange {
    /// It was made and delivered.
    Created {
        /// The template's id.
        template: String,
        /// Where it stands.
        spaces: Vec<CardSpace>,
        /// Its variables.
        data: CardData,
    },
    /// Variables were changed.
    Updated {
        /// For everybody.
        data: CardData,
        /// For one person, by user id.
        private_data: BTreeMap<String, CardData>,
    },
    /// A text was streamed.
    Streamed {
        /// The variable.
        key: String,
        /// The whole text, or what was added to it.
        content: String,
        /// How far it has come now.
        flow: Flow,
    },
    /// The bot answered a callback with new values.
    Answered {
        /// Who had pressed.
        user: String,
        /// For everybody.
        data: CardData,
        /// For that person.
        private_data: CardData,
    },
}

/// Somebody presses a button of a card, or sends its form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Press {
    /// The card.
    pub out_track_id: String,
    /// The ids of the actions, normally one.
    pub actions: Vec<String>,
    /// The parameters of the action, an object.
    #[serde(default)]
    pub params: Value,
    /// Staff id of the one who presses.
    #[serde(default = "somebody")]
    pub user: String,
}

fn somebody() -> String {
    crate::say::Person::default().staff_id.unwrap_or_default()
}

impl Press {
    /// The person of [`Person::default`](crate::Person::default) presses a button.
    pub fn new(out_track_id: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            out_track_id: out_track_id.into(),
            actions: vec![action.into()],
            params: Value::Null,
            user: somebody(),
        }
    }

    /// The same with parameters.
    #[must_use]
    pub fn params(self, params: Value) -> Self {
        Self { params, ..self }
    }

    /// The same by somebody else.
    #[must_use]
    pub fn by(self, user: impl Into<String>) -> Self {
        Self { user: user.into(), ..self }
    }
}

/// The cards that are known, the newest of them only.
#[derive(Debug, Default)]
pub(crate) struct Cards {
    by_id: HashMap<Arc<str>, Card>,
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

fn size(data: &CardData) -> usize {
    data.iter().map(|(key, value)| key.len() + value.len() + 64).sum()
}

impl Card {
    fn size(&self) -> usize {
        512 + size(&self.data) + self.private_data.values().map(size).sum::<usize>()
    }
}

impl Cards {
    pub(crate) fn get(&self, id: &str) -> Option<&Card> {
        self.by_id.get(id)
    }

    /// In the order in which they were made.
    pub(crate) fn all(&self) -> Vec<Card> {
        self.order.iter().filter_map(|id| self.by_id.get(id)).cloned().collect()
    }

    pub(crate) fn insert(&mut self, card: Card, max: usize) {
        self.bytes += card.size();
        self.order.push_back(Arc::clone(&card.out_track_id));
        self.by_id.insert(Arc::clone(&card.out_track_id), card);
        self.trim(max);
    }

    /// Changes a card, if it is this app's.
    pub(crate) fn change(
        &mut self,
        client_id: &str,
        id: &str,
        max: usize,
        change: impl FnOnce(&mut Card),
    ) -> bool {
        let Some(card) = self.by_id.get_mut(id).filter(|card| *card.client_id == *client_id) else {
            return false;
        };
        self.bytes -= card.size();
        change(card);
        self.bytes += card.size();
        self.trim(max);
        true
    }

    fn trim(&mut self, max: usize) {
        while self.order.len() > max || (self.bytes > MAX_BYTES && self.order.len() > 1) {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(card) = self.by_id.remove(&oldest) {
                self.bytes -= card.size();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(id: &str, text: usize) -> Card {
        Card {
            client_id: "app".into(),
            out_track_id: id.into(),
            template: "t".into(),
            spaces: vec![],
            data: [("content".to_owned(), "x".repeat(text))].into(),
            private_data: BTreeMap::new(),
            flow: Flow::Processing,
            callbacks: true,
        }
    }

    #[test]
    fn the_oldest_cards_are_forgotten() {
        let mut cards = Cards::default();
        for id in ["a", "b", "c"] {
            cards.insert(card(id, 1), 2);
        }
        assert!(cards.get("a").is_none() && cards.all().len() == 2);
        assert!(!cards.change("other", "b", 2, |_| unreachable!()));
        let large = "x".repeat(MAX_BYTES);
        assert!(cards.change("app", "c", 2, |card| {
            card.data.insert("k".into(), large);
        }));
        assert_eq!(cards.all().len(), 1, "too many bytes");
        assert!(cards.get("c").is_some());
    }
}
