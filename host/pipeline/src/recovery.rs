//! What the journal still holds when the process starts: taken up before anything new.

use std::{sync::Arc, time::Duration};

use belfry_dingtalk::{BotMessage, SessionWebhook};
use belfry_event::CloudEvent;
use belfry_journal::{DeadLetter, Journal, JournalError, Record, StoredDelivery, StoredEvent};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    admission::Verdict,
    delivery::Delivery,
    message,
    path::{App, Work},
    private::Private,
};

/// Read at a time.
const PAGE: usize = 256;

/// Puts every pending event and delivery into its lane, in the journal's order.
pub(crate) async fn take_up(apps: &[Arc<App>], journal: &dyn Journal) -> Result<(), JournalError> {
    let (mut events, mut deliveries) = (0, 0);
    let mut after = None;
    loop {
        let page = journal.pending_deliveries(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.event, last.index));
        deliveries += page.len();
        for pending in page {
            if let Some(stored) = journal.pending_delivery(pending.event, pending.index).await? {
                take_up_delivery(apps, journal, stored);
            }
        }
    }
    let mut after = None;
    loop {
        let page = journal.pending_events(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.position);
        events += page.len();
        for pending in page {
            if let Some(stored) = journal.pending_event(pending.position).await? {
                take_up_event(apps, journal, stored);
            }
        }
    }
    if events > 0 || deliveries > 0 {
        info!(messages = events, replies = deliveries, "taking up what was left from the run before");
    }
    Ok(())
}

fn take_up_event(apps: &[Arc<App>], journal: &dyn Journal, stored: StoredEvent) {
    let position = stored.position;
    let attempts = stored.attempts;
    if let Err(reason) = work_of(apps, stored).map(App::enqueue) {
        give_up(journal, DeadLetter { event: position, delivery: None, reason, attempts });
    }
}

fn work_of(apps: &[Arc<App>], stored: StoredEvent) -> Result<Work, String> {
    let event = CloudEvent::from_json(&stored.payload)
        .map_err(|error| format!("the event cannot be read: {error}"))?;
    let name =
        message::app_of(&event).ok_or_else(|| format!("no app is named by the source `{}`", event.source))?;
    let app = apps.iter().find(|app| app.name == name).ok_or_else(|| no_app(name))?;
    let raw = event.json_data().ok_or_else(|| "the event has no data".to_owned())?.to_owned();
    let parsed = BotMessage::parse(&raw).map_err(|error| error.to_string())?;
    let private = Private::from_bytes(&stored.private);
    // The config may have changed since: whoever is not allowed now is not answered by a plugin.
    let answer = match app.admission.judge(&parsed) {
        Verdict::Admit => None,
        Verdict::Deny { answer } => Some(answer.unwrap_or_default()),
        Verdict::Empty | Verdict::OverQuota { .. } => Some(String::new()),
    };
    let lane = parsed.conversation.id.as_str().into();
    let mut message = message::to_plugin(&app.name, &event.id, parsed, raw);
    message.attempt = stored.attempts.saturating_add(1);
    Ok(Work {
        app: app.clone(),
        position: stored.position,
        lane,
        message: Arc::new(message),
        webhook: private.webhook().map(Arc::new),
        answer,
    })
}

fn take_up_delivery(apps: &[Arc<App>], journal: &dyn Journal, stored: StoredDelivery) {
    let (event, index, attempts) = (stored.event, stored.index, stored.attempts);
    if let Err(reason) = delivery_of(apps, stored).map(App::send_later) {
        give_up(journal, DeadLetter { event, delivery: Some(index), reason, attempts });
    }
}

fn delivery_of(apps: &[Arc<App>], stored: StoredDelivery) -> Result<(Arc<str>, Delivery), String> {
    let private = Private::from_bytes(&stored.private);
    let app = apps
        .iter()
        .find(|app| app.client_id == private.client_id)
        .ok_or_else(|| no_app(&private.client_id))?;
    let body = String::from_utf8(stored.payload.to_vec()).map_err(|_| "the reply is not UTF-8".to_owned())?;
    let age = Duration::from_millis(message::now_ms().saturating_sub(stored.created_at_ms));
    let conversation = stored.key.strip_prefix(&format!("{}/", app.client_id)).unwrap_or(&stored.key);
    let delivery = Delivery {
        app: app.clone(),
        event: stored.event,
        index: stored.index,
        webhook: private.webhook().map(Arc::<SessionWebhook>::new),
        body,
        created: Instant::now().checked_sub(age).unwrap_or_else(Instant::now),
        attempts: stored.attempts,
    };
    Ok((conversation.into(), delivery))
}

fn no_app(name: &str) -> String {
    format!("the config has no app `{name}` any more")
}

fn give_up(journal: &dyn Journal, letter: DeadLetter) {
    warn!(event = letter.event.0, delivery = ?letter.delivery, reason = letter.reason, "left from the run before, and given up");
    // What cannot be recorded is found again at the next start.
    let _ = journal.record(Record::Dead { letter, culprit: None, notice: None });
}
