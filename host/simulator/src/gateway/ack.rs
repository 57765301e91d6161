//! What a bot's answer to a frame brings about.

use std::sync::Arc;

use super::Gateway;
use crate::fault::{Action, Place};
use crate::push::{Acked, FrameType, topic};
use crate::record::Happening;

/// A bot's answer to a frame, taken apart.
pub(super) struct AckFrame {
    pub code: i64,
    pub message: String,
    pub data: String,
}

impl Gateway {
    /// Takes a bot's answer. False: it answers no frame known here.
    pub(super) fn ack(&self, connection: &Arc<str>, message_id: &str, ack: AckFrame) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        let Some(delivery) = state.deliveries.get(message_id) else { return false };
        if state.pushes.contains_key(&delivery.names.number)
            && let Some(struck) = self.draw(Place::Ack, Some(&delivery.names.client_id), None)
        {
            let names = &delivery.names;
            self.record(Happening::AckLost {
                client_id: Arc::clone(&names.client_id),
                connection: Arc::clone(connection),
                push: names.number,
                id: Arc::clone(&names.id),
                message_id: message_id.into(),
                code: ack.code,
            });
            if struck.action == Action::Reset
                && let Some(app) = state.apps.get(&names.client_id)
                && let Some(connection) = app.all().find(|other| other.id == *connection)
            {
                connection.switch.reset();
            }
            state.stats.faults += 1;
            state.stats.acks_lost += 1;
            return true;
        }
        delivery.acks += 1;
        let names = Arc::clone(&delivery.names);
        let acked = Acked {
            client_id: Arc::clone(&names.client_id),
            connection: Arc::clone(connection),
            push: names.number,
            topic: Arc::clone(&names.topic),
            id: Arc::clone(&names.id),
            message_id: message_id.into(),
            attempt: delivery.attempt,
            nth: delivery.acks,
            code: ack.code,
            message: ack.message,
            data: ack.data,
        };
        let delivery_is_first = delivery.acks == 1;
        if delivery_is_first {
            state.stats.acked += 1;
        } else {
            state.stats.acked_again += 1;
        }
        if let Some(pending) = state.pushes.get_mut(&names.number) {
            if let Some(waiter) = pending.waiter.take() {
                let _ = waiter.send(Ok(acked.clone()));
            }
            // Only an event can be asked for again: `LATER`, or an error of the bot (Go's SDK sends 500 with it).
            let again = pending.frame_type == FrameType::Event
                && (acked.status().as_deref() == Some("LATER") || acked.code == 500);
            if &*names.topic == topic::CARD_CALLBACK && delivery_is_first {
                let data = std::mem::take(&mut pending.data);
                self.card_answered(&mut state.cards, &names.client_id, &data, &acked);
                pending.data = data;
            }
            if !again {
                state.pushes.remove(&names.number);
                state.retries.trim(&state.pushes);
            }
        }
        let size = acked.data.len() + acked.message.len();
        self.log.write(Happening::Acked(acked), size);
        true
    }
}
