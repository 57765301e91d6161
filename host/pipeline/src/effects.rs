//! What handling an event brings about: stored as one record, then set on its way.

use std::{sync::Arc, time::Duration};

use belfry_journal::{Completion, Culprit, DeadLetter, NOTICE, NewEvent, Position, Record};
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::error;

use crate::{
    app::App,
    delivery::{Delivery, Held, Reply, Written},
    payload::{self, Sent},
    private::Private,
    store::{PluginWrites, Refused},
};

/// How long it is waited for a delivery that somebody waits for, and how often it is looked for.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An event that is being handled: what all that it brings about has in common. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Origin {
    /// Where the event is.
    pub(crate) position: Position,
    /// Its id: `msgId` of a message.
    pub(crate) id: Arc<str>,
    /// The lane of its deliveries, in which they wait for one another: of a message, its conversation's full id.
    pub(crate) lane: Arc<str>,
    /// Whether it was said in the conversation that `lane` names: then that is the current one.
    pub(crate) in_conversation: bool,
    /// The ways to answer.
    pub(crate) private: Arc<Private>,
}

impl Origin {
    /// The current conversation; an event that is no message has none.
    pub(crate) fn conversation(&self) -> Option<&str> {
        self.in_conversation.then_some(&*self.lane)
    }

    /// The key under which DingTalk can recognise a delivery that is sent again. The same for every try of it.
    pub(crate) fn uuid(&self, client_id: &str, index: u32) -> String {
        let id = &self.id;
        match index {
            NOTICE => format!("{client_id}-{id}-notice"),
            _ => format!("{client_id}-{id}-{index}"),
        }
    }
}

/// The events that came of another and are new, by their place among all that came of it, and where they are.
pub(crate) type Appended = Vec<(usize, Position)>;

/// Everything that handling an event brought about.
#[derive(Default)]
pub(crate) struct Effects {
    /// What is to be delivered, as [`payload`] writes it, in order.
    pub(crate) deliveries: Vec<Bytes>,
    /// What the plugins that were called wrote, in the order of the calls.
    pub(crate) writes: Vec<PluginWrites>,
    /// Events that come of it; the journal leaves repeats out.
    pub(crate) events: Vec<NewEvent>,
}

impl App {
    /// Stores that an event is handled and all that came of it as one record, and sets the deliveries on their way. They
    /// wait for the record: what left before could leave once more, when the event is handled again after a crash. Returns
    /// which of the events are new, by their place, and where they are: they are to be handled.
    ///
    /// # Errors
    ///
    /// Nothing was stored, and nothing leaves.
    pub(crate) fn complete(self: &Arc<Self>, origin: &Origin, effects: Effects) -> Result<Appended, Refused> {
        self.complete_noting(origin, effects).map(|(appended, _)| appended)
    }

    /// As [`complete`](Self::complete), with what the deliveries wait for, if there are any. Who waits for it too before the
    /// next event of a conversation is begun bounds what a process that is killed repeats: the replies of a burst would else
    /// all leave within the time that their marks take to the disk.
    pub(crate) fn complete_noting(
        self: &Arc<Self>,
        origin: &Origin,
        effects: Effects,
    ) -> Result<(Appended, Option<Written>), Refused> {
        let Effects { deliveries, writes, events } = effects;
        let completion = Completion { event: origin.position, deliveries: deliveries.clone(), events };
        let committed = self.key_values.commit(completion, &writes)?;
        let mut noted = None;
        // An operator may have dropped the event meanwhile: then nothing comes of it.
        if committed.changed && !deliveries.is_empty() {
            let written = committed.written.shared();
            noted = Some(written.clone());
            for (index, payload) in (0..).zip(deliveries) {
                self.deliver(origin, index, payload, Some(written.clone()), None);
            }
        }
        Ok((committed.appended, noted))
    }

    /// Keeps an event as a dead letter that cannot be handled, and has the person told, if there is one to be told. Returns
    /// what the notice waits for.
    pub(crate) fn give_up(
        self: &Arc<Self>,
        origin: &Origin,
        letter: DeadLetter,
        culprit: Option<Culprit>,
        notice: Option<Bytes>,
    ) -> Option<Written> {
        let dead = Record::Dead { letter, culprit, notice: notice.clone() };
        let committed = match self.journal.commit(dead) {
            Ok(committed) => committed,
            Err(problem) => {
                error!(app = self.name, %problem, "the journal lost a change of state; the work may be repeated");
                return None;
            }
        };
        let notice = notice.filter(|_| committed.changed)?;
        let written = committed.written.shared();
        self.deliver(origin, NOTICE, notice, Some(written.clone()), None);
        Some(written)
    }

    /// Waits until none of these deliveries is on its way any more, for half a minute at most.
    pub(crate) async fn arrived(&self, event: Position, places: &[u32]) {
        let until = Instant::now() + ARRIVES_WITHIN;
        for index in places {
            while matches!(self.journal.pending_delivery(event, *index).await, Ok(Some(_)))
                && Instant::now() < until
                && self.unless_stopping(tokio::time::sleep(LOOK_EVERY)).await.is_some()
            {}
        }
    }

    /// Puts a delivery that the journal has behind the others to the same place.
    pub(crate) fn deliver(
        self: &Arc<Self>,
        origin: &Origin,
        index: u32,
        payload: Bytes,
        written: Option<Written>,
        held: Option<Held>,
    ) {
        let sent = payload::read(payload.clone());
        let lane = match &sent {
            Sent::ToConversation(_) => origin.lane.clone(),
            Sent::To(address, _) => address.lane().into(),
        };
        let kept = self.room(payload.len()).map(|room| {
            let (private, created) = (origin.private.clone(), Instant::now());
            Box::new(Reply { sent, private, created, attempts: 0, _room: Some(room) })
        });
        self.send_later(Delivery {
            app: self.clone(),
            event: origin.position,
            index,
            lane,
            placed: true,
            since: None,
            left_behind: false,
            written,
            held,
            kept,
        });
    }
}
