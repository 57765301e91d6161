//! An organisation event's way into the journal, once for every plugin that takes it, and to its acknowledgement.

use std::{sync::Arc, time::Duration};

use belfry_dingtalk::{AckHandle, Push, Topic};
use belfry_journal::{Appended, JournalError, NewEvent};
use futures_util::future::join_all;
use tokio::time::timeout;
use tracing::{debug, error, warn};

use crate::{
    app::{App, LONGEST_ID, Received, Stored},
    events, hub,
};

/// How long an event may wait for its place in the journal before DingTalk is asked to push it again later; it gives up
/// after 3 seconds.
const STORE_WITHIN: Duration = Duration::from_secs(2);

impl App {
    /// Reads an organisation event. It goes on to every plugin that takes it.
    pub(crate) fn receive_event(
        self: &Arc<Self>,
        push: Push,
    ) -> Option<(AckHandle, Received, Vec<NewEvent>)> {
        let Push { headers, data, ack, .. } = push;
        let event = match events::of_push(&self.name, &headers, data) {
            Ok(event) if event.id.len() <= LONGEST_ID => event,
            problem => {
                self.counting.unreadable.add();
                let problem =
                    problem.map_or_else(|problem| problem.to_string(), |_| "its id is too long".to_owned());
                warn!(app = self.name, message_id = headers.message_id, problem, "an event is left out");
                ack.success();
                return None;
            }
        };
        let known_as = format!("{}/event/{}", self.client_id, event.id);
        let addressed = self.hub.address_of_app(self, &event, &known_as);
        if addressed.is_empty() {
            debug!(app = self.name, kind = event.kind, id = event.id, "no plugin takes the event");
            ack.success();
            return None;
        }
        let (lanes, events) =
            addressed.into_iter().map(|addressed| (addressed.lane, addressed.event)).unzip();
        Some((ack, Received::Event(lanes), events))
    }

    /// Stores what came with one push. An organisation event that finds no place soon is asked for again, and taken all the
    /// same: the repeat is known.
    pub(crate) async fn append_all(&self, ack: AckHandle, events: Vec<NewEvent>) -> Stored {
        let is_event = ack.topic() == Topic::Event;
        let appended = join_all(events.into_iter().map(|event| self.append(event)));
        if !is_event {
            return (Some(ack), appended.await);
        }
        let mut appended = std::pin::pin!(appended);
        match timeout(STORE_WITHIN, &mut appended).await {
            Ok(appended) => (Some(ack), appended),
            Err(_) => {
                ack.event_later("the journal has no room at present");
                (None, appended.await)
            }
        }
    }

    /// The journal has answered for every plugin that takes the event.
    pub(crate) fn stored_event(
        self: &Arc<Self>,
        ack: Option<AckHandle>,
        lanes: Vec<Arc<str>>,
        appended: impl Iterator<Item = Result<Appended, JournalError>>,
    ) {
        let mut refused = None;
        for (lane, appended) in lanes.into_iter().zip(appended) {
            match appended {
                Ok(Appended::New(position)) => hub::handle(self, lane, position),
                Ok(Appended::Duplicate) => {
                    debug!(app = self.name, %lane, "a repeated event is dropped");
                }
                // It will not be smaller the next time.
                Err(problem @ JournalError::TooLarge { .. }) => {
                    error!(app = self.name, %lane, %problem, "an event is left out");
                }
                Err(problem) => refused = Some(problem),
            }
        }
        match (refused, ack) {
            (Some(problem), ack) => {
                error!(app = self.name, %problem, "an event could not be stored; DingTalk will send it again");
                if let Some(ack) = ack {
                    ack.event_later("not stored");
                }
            }
            (None, Some(ack)) => ack.success(),
            (None, None) => {}
        }
    }
}
