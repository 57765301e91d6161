//! What the journal still holds when the process starts: taken up before anything new.

use std::sync::Arc;

use belfry_journal::{Journal, JournalError, Position};
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
/// comes, so that a long backlog takes little memory and time. What belongs to an app that the config does not have is
/// left alone, and counted: a mistake in the config must not cost messages.
pub(crate) async fn take_up(apps: &[Arc<App>], journal: &dyn Journal) -> Result<usize, JournalError> {
    let (mut events, mut deliveries, mut left_alone) = (0, 0, 0);
    let mut after = None;
    loop {
        let page = journal.pending_deliveries(after, PAGE).await?;
        after = page.last().map(|last| (last.event, last.index));
        for pending in &page {
            let taken = take_up_one(apps, &pending.key, (pending.event, Some(pending.index)), None);
            *(if taken { &mut deliveries } else { &mut left_alone }) += 1;
        }
        if page.len() < PAGE {
            break;
        }
    }
    let mut after = None;
    loop {
        let page = journal.pending_events(after, PAGE).await?;
        after = page.last().map(|last| last.position);
        for pending in &page {
            let taken = take_up_one(apps, &pending.key, (pending.position, None), None);
            *(if taken { &mut events } else { &mut left_alone }) += 1;
        }
        if page.len() < PAGE {
            break;
        }
    }
    if events > 0 || deliveries > 0 {
        info!(messages = events, replies = deliveries, "taking up what was left from the run before");
    }
    if left_alone > 0 {
        error!(
            left_alone,
            "the journal holds messages or replies of apps that are not in the config: they wait there until an app with \
             that client_id is in it again"
        );
    }
    Ok(left_alone)
}

/// Puts an event, or one of its deliveries, behind the others of its conversation, if its app is one of these. The time of
/// a delivery to arrive begins `since` then, or when it was written.
pub(crate) fn take_up_one(
    apps: &[Arc<App>],
    key: &str,
    (position, delivery): (Position, Option<u32>),
    since: Option<Instant>,
) -> bool {
    let (client_id, conversation) = parts_of(key).unwrap_or((key, ""));
    let Some(app) = apps.iter().find(|app| app.client_id == client_id) else { return false };
    let (app, conversation) = (app.clone(), conversation.into());
    match delivery {
        None => app.clone().handle_later(Work { app, position, conversation, kept: None }),
        Some(index) => {
            let left_behind = since.is_none();
            app.clone().send_later(Delivery {
                app,
                event: position,
                index,
                conversation,
                since,
                left_behind,
                kept: None,
            });
        }
    }
    true
}
