//! What the journal still holds when the process starts: taken up before anything new.

use std::sync::Arc;

use belfry_journal::{DeadLetter, Journal, JournalError, Position, Record};
use tokio::time::Instant;
use tracing::{error, info};

use crate::{
    app::{App, parts_of},
    delivery::Delivery,
    work::Work,
};

/// Listed at a time.
const PAGE: usize = 4096;

/// Puts every pending event and delivery into its lane, in the journal's order. Nothing of them is read before its turn
/// comes, so that a long backlog takes little memory and time.
pub(crate) async fn take_up(apps: &[Arc<App>], journal: &dyn Journal) -> Result<(), JournalError> {
    let (mut events, mut deliveries) = (0, 0);
    let mut after = None;
    loop {
        let page = journal.pending_deliveries(after, PAGE).await?;
        deliveries += page.len();
        after = page.last().map(|last| (last.event, last.index));
        for pending in &page {
            let what = (pending.event, Some(pending.index));
            if let Err(reason) = take_up_one(apps, &pending.key, what, None) {
                give_up(journal, what, reason);
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    let mut after = None;
    loop {
        let page = journal.pending_events(after, PAGE).await?;
        events += page.len();
        after = page.last().map(|last| last.position);
        for pending in &page {
            let what = (pending.position, None);
            if let Err(reason) = take_up_one(apps, &pending.key, what, None) {
                give_up(journal, what, reason);
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    if events > 0 || deliveries > 0 {
        info!(messages = events, replies = deliveries, "taking up what was left from the run before");
    }
    Ok(())
}

/// Puts an event, or one of its deliveries, behind the others of its conversation. The time of a delivery to arrive
/// begins `since` then, or when it was written.
pub(crate) fn take_up_one(
    apps: &[Arc<App>],
    key: &str,
    (position, delivery): (Position, Option<u32>),
    since: Option<Instant>,
) -> Result<(), String> {
    let (client_id, conversation) = parts_of(key).unwrap_or((key, ""));
    let app = apps
        .iter()
        .find(|app| app.client_id == client_id)
        .ok_or_else(|| format!("the config has no app with the client_id `{client_id}` any more"))?;
    let (app, conversation) = (app.clone(), conversation.into());
    match delivery {
        None => app.clone().handle_later(Work { app, position, conversation, kept: None }),
        Some(index) => {
            app.clone().send_later(Delivery { app, event: position, index, conversation, since, kept: None });
        }
    }
    Ok(())
}

fn give_up(journal: &dyn Journal, (event, delivery): (Position, Option<u32>), reason: String) {
    error!(event = event.0, delivery, reason, "left from the run before, and given up");
    let letter = DeadLetter { event, delivery, reason, attempts: 0 };
    // What cannot be recorded is found again at the next start.
    let _ = journal.record(Record::Dead { letter, culprit: None, notice: None });
}
