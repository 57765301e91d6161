//! A reply on its way, with its retries and its own clock.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use belfry_dingtalk::{Advice, SendError, SessionWebhook};
use belfry_journal::{DeadLetter, Position, Record};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::path::App;

/// A reply that is to arrive.
pub(crate) struct Delivery {
    pub(crate) app: Arc<App>,
    /// The event it answers.
    pub(crate) event: Position,
    /// Its place among the replies to that event.
    pub(crate) index: u32,
    /// Where the conversation can be reached; fixed when the message came.
    pub(crate) webhook: Option<Arc<SessionWebhook>>,
    /// The message as it goes out. Every try sends the same bytes.
    pub(crate) body: String,
    /// When it was written; its time to arrive counts from here.
    pub(crate) created: Instant,
    /// How often it was tried before, by a process that has ended since.
    pub(crate) attempts: u32,
}

impl Delivery {
    /// Sends it until it arrives, cannot arrive, or its time is up.
    pub(crate) async fn deliver(self) {
        let limits = self.app.limits;
        let until = self.created + limits.deliver_within;
        let mut pauses = pauses(limits.longest_pause);
        let mut attempts = self.attempts;
        let Some(webhook) = self.webhook.clone() else {
            return self.give_up(attempts, "the message brought no session webhook to answer through");
        };
        loop {
            attempts += 1;
            self.begin(attempts);
            let failure = match self.send(&webhook).await {
                Ok(()) => return self.arrived(attempts),
                Err(failure) => failure,
            };
            let next = pauses.next().unwrap_or(limits.longest_pause);
            let Some(pause) = pause_after(failure.advice, next) else {
                return self.give_up(attempts, &failure.to_string());
            };
            if Instant::now() + pause >= until {
                return self.give_up(attempts, &failure.to_string());
            }
            self.tell_retry(attempts, &failure, pause);
            tokio::time::sleep(pause).await;
        }
    }

    async fn send(&self, webhook: &SessionWebhook) -> Result<(), SendError> {
        // Held while a connection is used, not during a pause.
        let _permit = self.app.sending.acquire().await;
        self.app.webhooks.send_body(webhook, self.body.clone(), None).await
    }

    /// Notes a try after the first, so that the count goes on after a crash.
    fn begin(&self, attempt: u32) {
        if attempt > 1 {
            let delivery = Some(self.index);
            self.app.record(Record::Attempt { event: self.event, delivery, attempt });
        }
    }

    fn arrived(&self, attempts: u32) {
        self.app.counting.delivered.add();
        debug!(app = self.app.name, event = self.event.0, index = self.index, attempts, "a reply arrived");
        self.app.record(Record::Delivered { event: self.event, index: self.index });
    }

    fn tell_retry(&self, attempts: u32, failure: &SendError, pause: Duration) {
        let (event, index) = (self.event.0, self.index);
        warn!(app = self.app.name, event, index, attempts, %failure, ?pause, "a reply will be sent again");
    }

    fn give_up(&self, attempts: u32, reason: &str) {
        self.app.counting.undelivered.add();
        let (event, index) = (self.event.0, self.index);
        error!(app = self.app.name, event, index, attempts, reason, "a reply did not arrive");
        let letter = DeadLetter {
            event: self.event,
            delivery: Some(self.index),
            reason: reason.to_owned(),
            attempts,
        };
        self.app.record(Record::Dead { letter, culprit: None, notice: None });
    }
}

/// How long to wait before the next try, which has a pause of `next` of its own; none if there is to be no next try.
fn pause_after(advice: Advice, next: Duration) -> Option<Duration> {
    match advice {
        Advice::Retry => Some(next),
        // Never sooner than without the advice: "Retry-After: 0" again and again would be a tight loop.
        Advice::Wait(asked) => Some(asked.max(next)),
        Advice::GiveUp | Advice::Expired => None,
    }
}

/// Growing pauses between tries, from about a second to `longest`, each with some chance in it.
pub(crate) fn pauses(longest: Duration) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_secs(1).min(longest))
        .with_max_delay(longest)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
        // The chance is added on top.
        .map(move |pause| pause.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_told_to_wait_never_shortens_the_pause() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(pause_after(Advice::Wait(Duration::ZERO), second), Some(second));
        assert_eq!(pause_after(Advice::Wait(minute), second), Some(minute));
        assert_eq!(pause_after(Advice::Retry, second), Some(second));
        assert_eq!(pause_after(Advice::GiveUp, second), None);
        assert_eq!(pause_after(Advice::Expired, second), None);
    }

    #[test]
    fn pauses_grow_to_the_longest_and_do_not_end() {
        let longest = Duration::from_secs(8);
        let pauses: Vec<Duration> = pauses(longest).take(50).collect();
        assert_eq!(pauses.len(), 50);
        assert!(
            pauses.iter().all(|pause| *pause >= Duration::from_secs(1) && *pause <= longest),
            "{pauses:?}"
        );
        assert!(pauses[49] >= longest);
    }
}
