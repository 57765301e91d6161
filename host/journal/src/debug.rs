//! `Debug` by hand where an address may be among it: with a session webhook anybody could write into the conversation.

use std::fmt::{Debug, Formatter, Result};

use bytes::Bytes;

use crate::{NewEvent, Route, StoredDeadLetter, StoredDelivery, StoredEvent, TracedEvent};

/// Bytes of which only the length is shown.
struct Hidden<'a>(&'a Bytes);

impl Debug for Hidden<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

macro_rules! debug_hiding {
    ($hidden:ident of $name:ident { $($field:ident),* }) => {
        impl Debug for $name {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                let Self { $($field,)* $hidden } = self;
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), $field))*
                    .field(stringify!($hidden), &Hidden($hidden))
                    .finish()
            }
        }
    };
}

debug_hiding!(private of NewEvent { key, dedupe, payload });
debug_hiding!(address of Route { conversation, expires_at_ms });
debug_hiding!(private of StoredEvent { position, key, payload, attempts });
debug_hiding!(private of StoredDelivery { event, index, key, payload, attempts, created_at_ms, age });
debug_hiding!(private of StoredDeadLetter { letter, culprit, at_ms, key, payload, delivery });
debug_hiding!(private of TracedEvent { position, key, payload, appended_at_ms, state });

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        DeadLetter, EventState, NewEvent, Position, Record, Route, StoredDeadLetter, StoredDelivery,
        StoredEvent, TracedEvent, fold::Change,
    };

    #[test]
    fn an_address_is_never_shown() {
        let (event, position, key) = (Position(1), Position(1), String::new());
        let (payload, private) = (bytes::Bytes::new(), bytes::Bytes::from("webhook"));
        let letter = DeadLetter { event, delivery: None, reason: String::new(), attempts: 1 };
        let route = Route { conversation: String::new(), address: private.clone(), expires_at_ms: 0 };
        let shown = format!(
            "{:?}{:?}{:?}{:?}{:?}{:?}{:?}{:?}",
            NewEvent { key: key.clone(), dedupe: vec![], payload: payload.clone(), private: private.clone() },
            route,
            Record::Route(route.clone()),
            Change::RouteSet(route.clone()),
            StoredEvent {
                position,
                key: key.clone(),
                payload: payload.clone(),
                private: private.clone(),
                attempts: 0
            },
            StoredDelivery {
                event,
                index: 0,
                key: key.clone(),
                payload: payload.clone(),
                private: private.clone(),
                attempts: 0,
                created_at_ms: 0,
                age: Duration::ZERO
            },
            StoredDeadLetter {
                letter,
                culprit: None,
                at_ms: 0,
                key: key.clone(),
                payload: payload.clone(),
                private: private.clone(),
                delivery: None
            },
            TracedEvent { position, key, payload, private, appended_at_ms: 0, state: EventState::Done },
        );
        assert!(!shown.contains("webhook"), "{shown}");
        assert_eq!(shown.matches("(7 bytes)").count(), 8, "{shown}");
    }
}
