//! The answer to a push.

use serde_json::Value;

/// The right to answer one push, exactly once.
///
/// Every method consumes the handle; a handle that is dropped unanswered answers 500. The ack goes out on the socket the
/// push came from, also while that socket is drained. If the socket has died meanwhile the ack is dropped and counted in
/// [`StreamStats::acks_lost`](crate::StreamStats::acks_lost); the gateway then pushes again within about 60 s.
pub struct AckHandle {}

impl AckHandle {
    /// Taken over: `{"response":null}` for callbacks, `{"status":"SUCCESS"}` for events.
    pub fn success(self) {}

    /// Please push this event again later: `{"status":"LATER"}`. For callbacks, which know no such answer, 500.
    pub fn event_later(self, message: &str) {
        let _ = message;
    }

    /// Answers a synchronous callback: code 200 with `{"response": …}`. For an event this is [`success`](Self::success).
    pub fn respond(self, response: &Value) {
        let _ = response;
    }

    /// Refuses: `code` as in HTTP (400, 404, 500), with a short reason for DingTalk's diagnosis pages.
    pub fn error(self, code: u16, message: &str) {
        let _ = (code, message);
    }
}
