//! What the journal still holds when the process starts: taken up before anything new.

use std::sync::Arc;

use belfry_journal::{Journal, JournalError, KeyValueWrite, Position, Record, ValueChange};
use bytes::Bytes;
use tokio::time::Instant;
use tracing::{error, info};

use crate::{
    app::{App, parts_of},
    delivery::Delivery,
    work::Work,
};

/// The host's own bucket. No plugin has such a name.
pub(crate) const HOST: &str = ":host";

/// There while no process runs, if the last one ended well.
const ENDED_WELL: &str = "ended-well";

/// Listed at a time.
const PAGE: usize = 4096;

/// Puts every pending event and delivery into its lane, in the journal's order. Nothing of them is read before its turn
/// comes, so that a long backlog takes little memory and time. What belongs to an app that the config does not have is
/// left alone, and counted: a mistake in the config must not cost messages.
pub(crate) async fn take_up(apps: &[Arc<App>], journal: &dyn Journal) -> Result<usize, JournalError> {
    let begun = if ended_well(journal).await? { Begun::No } else { Begun::Perhaps };
    let (mut events, mut deliveries, mut left_alone) = (0, 0, 0);
    let mut after = None;
    loop {
        let page = journal.pending_deliveries(after, PAGE).await?;
        after = page.last().map(|last| (last.event, last.index));
        for pending in &page {
            let taken = take_up_one(apps, &pending.key, (pending.event, Some(pending.index)), begun);
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
            let taken = take_up_one(apps, &pending.key, (pending.position, None), begun);
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

/// Whether the process before ended politely, and so knew of every reply whether it had arrived. Asked once.
async fn ended_well(journal: &dyn Journal) -> Result<bool, JournalError> {
    let ended_well = journal.value(HOST, ENDED_WELL).await?.is_some();
    if ended_well {
        journal.commit(Record::Write(ended_well_is(ValueChange::Delete)))?.written.await?;
    }
    Ok(ended_well)
}

/// Notes that every reply that was begun came to an end.
pub(crate) fn note_good_end(journal: &dyn Journal) {
    // Without the note a reply counts as perhaps repeated that is not.
    let _ = journal.record(Record::Write(ended_well_is(ValueChange::Set(Bytes::from_static(b"1")))));
}

fn ended_well_is(change: ValueChange) -> KeyValueWrite {
    KeyValueWrite { bucket: HOST.to_owned(), key: ENDED_WELL.to_owned(), change, limit: None }
}

/// What is known of a delivery that is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Somebody wants it sent again: its time to arrive begins now.
    Anew,
    /// It was not sent.
    No,
    /// It may have been sent by a process that did not live to see the answer.
    Perhaps,
}

/// Puts an event, or one of its deliveries, behind the others of its conversation, if its app is one of these.
pub(crate) fn take_up_one(
    apps: &[Arc<App>],
    key: &str,
    (position, delivery): (Position, Option<u32>),
    begun: Begun,
) -> bool {
    let (client_id, conversation) = parts_of(key).unwrap_or((key, ""));
    let Some(app) = apps.iter().find(|app| app.client_id == client_id) else { return false };
    let (app, conversation) = (app.clone(), conversation.into());
    match delivery {
        None => app.clone().handle_later(Work { app, position, conversation, kept: None }),
        Some(index) => {
            let since = (begun == Begun::Anew).then(Instant::now);
            let left_behind = begun == Begun::Perhaps;
            app.clone().send_later(Delivery {
                app,
                event: position,
                index,
                lane: conversation,
                placed: false,
                since,
                left_behind,
                written: None,
                held: None,
                kept: None,
            });
        }
    }
    true
}
