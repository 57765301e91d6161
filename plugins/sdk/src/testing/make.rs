//! Messages, events and requests for tests.

use crate::types::{
    Content, Conversation, ConversationKind, Event, Message, Outcome, Reply, Request, Sender,
};
use crate::{Failure, MessageHandler};

/// A text from Li Wei (staff id `liwei`), said in a private chat. Change its fields for anything else.
pub fn message(text: &str) -> Message {
    Message {
        id: "msg1".to_owned(),
        app: "default".to_owned(),
        conversation: Conversation { id: "cid1".to_owned(), kind: ConversationKind::Private, title: None },
        sender: Sender {
            id: "$:LWCP_v1:$liwei".to_owned(),
            staff_id: Some("liwei".to_owned()),
            nick: "Li Wei".to_owned(),
            corp_id: None,
            union_id: None,
            admin: false,
        },
        content: Content::Text(text.to_owned()),
        mentions: Vec::new(),
        quoted: None,
        sent_at: 1_767_225_600_000,
        attempt: 1,
        attributes: Vec::new(),
        raw: "{}".to_owned(),
    }
}

/// An event with JSON text as data.
pub fn event(ty: &str, subject: Option<&str>, data: &str) -> Event {
    Event {
        id: "event1".to_owned(),
        source: "/dingtalk/default".to_owned(),
        type_: ty.to_owned(),
        subject: subject.map(str::to_owned),
        time: Some(1_767_225_600_000),
        data_content_type: None,
        data: Some(data.to_owned()),
        extensions: Vec::new(),
        attempt: 1,
    }
}

/// A tick of the schedule `name`, due at `time`, milliseconds since 1970.
pub fn tick(name: &str, time: u64) -> Event {
    let event = event("belfry.schedule.tick.v1", Some(name), "{}");
    Event { source: "/schedules/test".to_owned(), time: Some(time), data: None, ..event }
}

/// A button `action` of the card `id` was pressed by `user`; `params` is JSON text.
pub fn action(id: &str, action: &str, user: &str, params: &str) -> Request {
    Request {
        id: "request1".to_owned(),
        kind: "card".to_owned(),
        app: "default".to_owned(),
        subject: id.to_owned(),
        actions: vec![action.to_owned()],
        user: Some(user.to_owned()),
        conversation: None,
        params: params.to_owned(),
        attributes: Vec::new(),
        raw: "{}".to_owned(),
    }
}

/// What a handler made of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said(pub Result<Outcome, Failure>);

/// Has `P` handle [`message(text)`](message).
pub fn say<P: MessageHandler>(text: &str) -> Said {
    Said(P::on_message(message(text)))
}

impl Said {
    /// The texts of the replies; none if it passed. A failure is one text, `failed: REASON`.
    pub fn texts(&self) -> Vec<String> {
        match &self.0 {
            Ok(outcome) => outcome.texts().into_iter().map(str::to_owned).collect(),
            Err(failure) => vec![format!("failed: {failure}")],
        }
    }

    /// The replies; none if it passed or failed.
    pub fn replies(&self) -> &[Reply] {
        match &self.0 {
            Ok(Outcome::Reply(replies)) => replies,
            _ => &[],
        }
    }

    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.0 == Ok(Outcome::Pass)
    }
}
