//! A delivery as the journal keeps it: the body that a session webhook takes, or a message with the address it goes to.

use belfry_dingtalk::OutMessage;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// To whom a delivery goes that does not go through the session webhook of its event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Address {
    /// A person, by staff id, in the private chat with the robot.
    Person(String),
    /// A group, by its conversation id.
    Group(String),
}

/// What goes to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// What a webhook could take as well.
    Message(OutMessage),
    /// A picture, by its `https` address or its media id.
    Image(String),
    /// A file.
    File {
        /// Its media id.
        media_id: String,
        /// Its name with extension.
        name: String,
    },
}

/// A delivery that was read back.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The body for a session webhook. Every try sends the same bytes.
    ToConversation(Bytes),
    /// What is sent through the OpenAPI in any case; none if it cannot be read.
    To(Address, Option<Content>),
}

#[derive(Serialize, Deserialize)]
struct Addressed {
    to: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<File>,
}

#[derive(Serialize, Deserialize)]
struct File {
    media_id: String,
    name: String,
}

impl Address {
    /// What deliveries to this address wait for one another in. A group's is that of the replies in it.
    pub(crate) fn lane(&self) -> String {
        match self {
            Self::Person(staff_id) => format!("person/{staff_id}"),
            Self::Group(conversation) => conversation.clone(),
        }
    }
}

/// A message to an address, as the journal keeps it.
pub(crate) fn addressed(to: Address, content: Content) -> Bytes {
    let mut addressed = Addressed { to, message: None, image: None, file: None };
    match content {
        Content::Message(message) => addressed.message = RawValue::from_string(message.to_body(None)).ok(),
        Content::Image(source) => addressed.image = Some(source),
        Content::File { media_id, name } => addressed.file = Some(File { media_id, name }),
    }
    // Strings, and JSON that was written here: there is nothing that serde_json refuses.
    serde_json::to_vec(&addressed).unwrap_or_default().into()
}

pub(crate) fn read(payload: Bytes) -> Sent {
    // No body of a webhook has a member `to`.
    let Ok(Addressed { to, message, image, file }) = serde_json::from_slice(&payload) else {
        return Sent::ToConversation(payload);
    };
    let message = message.and_then(|body| Some(Content::Message(OutMessage::from_body(body.get())?.0)));
    let file = file.map(|File { media_id, name }| Content::File { media_id, name });
    Sent::To(to, message.or(image.map(Content::Image)).or(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_with_what_goes_to_it() {
        let file = Content::File { media_id: "@m".into(), name: "a.pdf".into() };
        let contents =
            [Content::Message(OutMessage::markdown("t", "*x*")), Content::Image("@i".into()), file];
        for to in [Address::Person("kim".into()), Address::Group("cid==".into())] {
            for content in &contents {
                let Sent::To(address, Some(read)) = read(addressed(to.clone(), content.clone())) else {
                    panic!("{content:?}");
                };
                assert_eq!((&address, &read), (&to, content));
            }
        }
    }

    #[test]
    fn anything_else_is_for_the_webhook() {
        for body in [OutMessage::text("hi").to_body(Some("uuid")), "?".to_owned(), String::new()] {
            assert!(matches!(read(body.clone().into()), Sent::ToConversation(bytes) if bytes == body));
        }
    }
}
