//! Requests, one key-value each, by the id of the message that made it.

use belfry_plugin::kv;
use belfry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

const REQUESTS: &str = "requests";

/// The id of a card, and to which request it belongs.
const CARDS: &str = "cards";

/// The longest title, in characters.
pub(crate) const LONGEST_TITLE: usize = 100;

/// The longest text, in characters.
pub(crate) const LONGEST_TEXT: usize = 2_000;

/// The most requests of one person that wait for a decision.
pub(crate) const MOST_OPEN: usize = 20;

/// What somebody wants to have approved. The default is none.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Approval {
    pub(crate) title: String,
    pub(crate) text: String,
    /// The staff id of who asks.
    pub(crate) asks: String,
    /// The name of who asks, as the chat shows it.
    pub(crate) nick: String,
    /// When it was asked, in milliseconds since 1970.
    pub(crate) at: u64,
    /// The cards: whose, by staff id, and which.
    pub(crate) cards: Vec<(String, String)>,
    pub(crate) decision: Option<Decision>,
}

/// What was decided.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) approved: bool,
    /// The staff id of who decided.
    pub(crate) by: String,
    pub(crate) at: u64,
    #[serde(default)]
    pub(crate) comment: String,
}

impl Approval {
    pub(crate) fn is_for(&self, staff_id: &str) -> bool {
        self.cards.iter().any(|(approver, _)| approver == staff_id)
    }

    /// Stores it, new.
    pub(crate) fn store(&self, id: &str) -> Result<(), Failure> {
        kv::bucket(REQUESTS)?.set_json(id, self)?;
        let cards = kv::bucket(CARDS)?;
        for (_, card) in &self.cards {
            cards.set(card, id)?;
        }
        Ok(())
    }
}

/// The id of the request that a card belongs to.
pub(crate) fn of_card(card: &str) -> Result<Option<String>, Failure> {
    kv::bucket(CARDS)?.get(card)
}

/// A request.
pub(crate) fn get(id: &str) -> Result<Option<Approval>, Failure> {
    kv::bucket(REQUESTS)?.get_json(id)
}

/// Decides a request, unless it is decided: of two who press at the same time one is first. Returns it as it is then, and
/// whether this was the one who decided.
pub(crate) fn decide(id: &str, decision: &Decision) -> Result<(Approval, bool), Failure> {
    kv::bucket(REQUESTS)?.update_json(id, |approval: &mut Approval| {
        let first = approval.decision.is_none();
        if first {
            approval.decision = Some(decision.clone());
        }
        Ok((approval.clone(), first))
    })
}

/// All requests, the oldest first.
pub(crate) fn all() -> Result<Vec<Approval>, Failure> {
    let bucket = kv::bucket(REQUESTS)?;
    let mut all = Vec::new();
    for id in bucket.keys("")? {
        all.extend(bucket.get_json::<Approval>(&id)?);
    }
    all.sort_by_key(|approval| approval.at);
    Ok(all)
}

/// Deletes what was asked before a time, and says how many requests of somebody wait.
pub(crate) fn clean(before: u64, asks: &str) -> Result<usize, Failure> {
    let (bucket, cards) = (kv::bucket(REQUESTS)?, kv::bucket(CARDS)?);
    let mut open = 0;
    for id in bucket.keys("")? {
        let Some(approval) = bucket.get_json::<Approval>(&id)? else { continue };
        if approval.at < before {
            bucket.delete(&id)?;
            for (_, card) in &approval.cards {
                cards.delete(card)?;
            }
        } else if approval.decision.is_none() && approval.asks == asks {
            open += 1;
        }
    }
    Ok(open)
}
