//! The answer to a push.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{Topic, json, stream::Counters};

/// The right to answer one push, exactly once.
///
/// Every method consumes the handle; a handle that is dropped unanswered answers 500. The ack goes out on the socket the
/// push came from, also while that socket is drained. If the socket has died meanwhile the ack is dropped and counted in
/// [`StreamStats::acks_lost`](crate::StreamStats::acks_lost); the gateway then pushes again within about 60 s.
pub struct AckHandle {
    topic: Topic,
    /// `None` once answered.
    open: Option<Open>,
}

struct Open {
    message_id: String,
    socket: mpsc::UnboundedSender<Outgoing>,
    counters: Arc<Counters>,
    permit: Option<OwnedSemaphorePermit>,
}

/// An ack on its way to the socket. Its permit is given back only when it is written, which bounds the queue.
pub(crate) struct Outgoing {
    pub text: String,
    pub _permit: Option<OwnedSemaphorePermit>,
}

impl AckHandle {
    pub(crate) fn new(
        topic: Topic,
        message_id: String,
        socket: mpsc::UnboundedSender<Outgoing>,
        counters: Arc<Counters>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self { topic, open: Some(Open { message_id, socket, counters, permit }) }
    }

    /// A handle that belongs to no socket, for tests of code that takes pushes.
    pub fn detached(topic: Topic, message_id: impl Into<String>) -> (Self, DetachedAck) {
        let (socket, acks) = mpsc::unbounded_channel();
        (Self::new(topic, message_id.into(), socket, Arc::default(), None), DetachedAck { acks })
    }

    /// What it answers.
    pub const fn topic(&self) -> Topic {
        self.topic
    }

    /// Taken over: `{"response":null}` for callbacks, `{"status":"SUCCESS"}` for events.
    pub fn success(mut self) {
        self.send(200, "OK", self.success_data());
    }

    /// Please push this event again later: `{"status":"LATER"}`. For callbacks, which know no such answer, 500.
    pub fn event_later(mut self, message: &str) {
        if self.topic != Topic::Event {
            return self.send(500, message, "{}");
        }
        let mut data = String::from(r#"{"status":"LATER","message":"#);
        json::push_string(&mut data, message);
        data.push('}');
        self.send(200, "OK", &data);
    }

    /// Answers a synchronous callback: code 200 with `{"response": …}`. For an event this is [`success`](Self::success).
    pub fn respond(mut self, response: &Value) {
        if self.topic == Topic::Event {
            return self.success();
        }
        self.send(200, "OK", &format!(r#"{{"response":{response}}}"#));
    }

    /// Refuses: `code` as in HTTP (400, 404, 500), with a short reason for DingTalk's diagnosis pages.
    pub fn error(mut self, code: u16, message: &str) {
        self.send(code, message, "{}");
    }

    const fn success_data(&self) -> &'static str {
        match self.topic {
            Topic::Event => r#"{"status":"SUCCESS","message":"success"}"#,
            _ => r#"{"response":null}"#,
        }
    }

    fn send(&mut self, code: u16, message: &str, data: &str) {
        let Some(open) = self.open.take() else { return };
        let text = render(code, Some(&open.message_id), message, data);
        if open.socket.send(Outgoing { text, _permit: open.permit }).is_err() {
            open.counters.acks_lost.add(1);
            tracing::debug!(message_id = open.message_id, "the ack's socket is gone");
        }
    }
}

impl Drop for AckHandle {
    fn drop(&mut self) {
        self.send(500, "the handler did not answer", "{}");
    }
}

impl std::fmt::Debug for AckHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AckHandle").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// The other end of a [detached](AckHandle::detached) handle.
#[derive(Debug)]
pub struct DetachedAck {
    acks: mpsc::UnboundedReceiver<Outgoing>,
}

impl DetachedAck {
    /// The ack frame as JSON text, once it was given.
    pub async fn recv(&mut self) -> Option<String> {
        self.acks.recv().await.map(|ack| ack.text)
    }

    /// The ack frame as JSON text, if it was given already.
    pub fn try_recv(&mut self) -> Option<String> {
        self.acks.try_recv().ok().map(|ack| ack.text)
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// An ack frame. `data` is JSON text, which the frame carries as a string.
pub(crate) fn render(code: u16, message_id: Option<&str>, message: &str, data: &str) -> String {
    let mut out = String::with_capacity(128 + message.len() + data.len() + data.len() / 4);
    out.push_str(r#"{"code":"#);
    out.push_str(&code.to_string());
    out.push_str(r#","headers":{"contentType":"application/json""#);
    if let Some(id) = message_id {
        out.push_str(r#","messageId":"#);
        json::push_string(&mut out, id);
    }
    out.push_str(r#"},"message":"#);
    json::push_string(&mut out, message);
    out.push_str(r#","data":"#);
    json::push_string(&mut out, data);
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(topic: Topic, answer: impl FnOnce(AckHandle)) -> (Value, Value) {
        let (ack, mut sent) = AckHandle::detached(topic, "m\"1");
        answer(ack);
        let frame: Value = serde_json::from_str(&sent.try_recv().unwrap()).unwrap();
        assert!(sent.try_recv().is_none(), "answered twice");
        assert_eq!(frame["headers"], json!({"contentType": "application/json", "messageId": "m\"1"}));
        let data = serde_json::from_str(frame["data"].as_str().unwrap()).unwrap();
        (frame["code"].clone(), data)
    }

    #[test]
    fn each_topic_is_answered_in_its_shape() {
        assert_eq!(answered(Topic::BotMessage, AckHandle::success), (json!(200), json!({"response": null})));
        assert_eq!(
            answered(Topic::Event, AckHandle::success),
            (json!(200), json!({"status": "SUCCESS", "message": "success"}))
        );
        assert_eq!(
            answered(Topic::Event, |ack| ack.event_later("full \"up\"")),
            (json!(200), json!({"status": "LATER", "message": "full \"up\""}))
        );
        assert_eq!(answered(Topic::BotMessage, |ack| ack.event_later("full")).0, 500);
        let response = json!({"cardData": {"cardParamMap": {"k": "v"}}});
        assert_eq!(
            answered(Topic::CardCallback, |ack| ack.respond(&response)),
            (json!(200), json!({"response": response}))
        );
        assert_eq!(answered(Topic::Graph, |ack| ack.error(404, "no")).0, 404);
    }

    #[test]
    fn a_forgotten_handle_answers_500() {
        assert_eq!(answered(Topic::BotMessage, drop).0, 500);
    }
}
