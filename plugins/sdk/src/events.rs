//! Reading events.

use crate::types::Event;

/// The type of a schedule's ticks.
const TICK: &str = "belfry.schedule.tick.v1";

impl Event {
    /// The name of the schedule, if this is one of its ticks.
    pub fn tick(&self) -> Option<&str> {
        if self.type_ == TICK { self.subject.as_deref() } else { None }
    }

    /// The payload, from JSON.
    ///
    /// # Errors
    ///
    /// It is not JSON of this shape; an event without payload counts as `null`.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.data.as_deref().unwrap_or("null"))
    }
}
