//! Messages the session webhook takes.

mod body;
mod read;
mod split;

/// Largest body the session webhook accepts, in bytes (errcode 460101 beyond).
pub const MAX_BODY_BYTES: usize = 20_000;

/// A reply through the session webhook.
///
/// Images, files, audio and video cannot be sent this way; images only inside markdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutMessage {
    /// Plain text.
    Text {
        /// The text.
        content: String,
        /// Mentions.
        at: At,
    },
    /// Markdown.
    Markdown {
        /// Shown in the chat list and in notifications.
        title: String,
        /// DingTalk's subset of markdown.
        text: String,
        /// Mentions; the highlight is unreliable in markdown.
        at: At,
    },
    /// A link with a preview.
    Link {
        /// Headline.
        title: String,
        /// Preview text.
        text: String,
        /// Address opened on a tap.
        message_url: String,
        /// Address of a preview picture.
        pic_url: Option<String>,
    },
    /// Markdown with buttons.
    ActionCard(ActionCard),
    /// A list of links with pictures.
    FeedCard {
        /// The links, in order.
        links: Vec<FeedLink>,
    },
    /// Deliberately nothing.
    Empty,
}

/// Whom a text or markdown message mentions; at most 50 in all, the rest is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct At {
    /// Staff ids.
    pub user_ids: Vec<String>,
    /// Mobile numbers.
    pub mobiles: Vec<String>,
    /// Encrypted ids, for external people.
    pub dingtalk_ids: Vec<String>,
    /// Everybody in the group.
    pub all: bool,
}

/// Markdown with buttons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionCard {
    /// Shown in the chat list and in notifications.
    pub title: String,
    /// Markdown source.
    pub text: String,
    /// The buttons.
    pub buttons: Buttons,
    /// Buttons side by side (`btnOrientation` 1) instead of below each other.
    pub horizontal: bool,
    /// Without the sender's picture.
    pub hide_avatar: bool,
}

/// The buttons of an action card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buttons {
    /// The whole card leads to one address.
    Single(CardButton),
    /// Several independent buttons.
    Multi(Vec<CardButton>),
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardButton {
    /// Its label.
    pub title: String,
    /// Address opened on a tap.
    pub url: String,
}

/// One line of a feed card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedLink {
    /// Headline.
    pub title: String,
    /// Address opened on a tap.
    pub message_url: String,
    /// Address of the picture.
    pub pic_url: String,
}

impl OutMessage {
    /// Plain text without mentions.
    pub fn text(content: impl Into<String>) -> Self {
        OutMessage::Text { content: content.into(), at: At::default() }
    }

    /// Markdown without mentions.
    pub fn markdown(title: impl Into<String>, text: impl Into<String>) -> Self {
        OutMessage::Markdown { title: title.into(), text: text.into(), at: At::default() }
    }

    /// The JSON body. Mentioned people whose `@id` does not stand in the text are appended to it, since DingTalk
    /// highlights nobody otherwise. `uuid` becomes `msgUuid`, DingTalk's key for recognising a repeated send.
    pub fn to_body(&self, uuid: Option<&str>) -> String {
        body::render(self, uuid)
    }

    /// Reads back what [`to_body`](Self::to_body) wrote: the message and its `msgUuid`. None for anything else.
    ///
    /// The message is the one whose body it is, not always the one it was made of: mentions that were appended stand in its
    /// text, and those beyond 50 are gone. Its body is again the same, byte for byte.
    pub fn from_body(body: &str) -> Option<(Self, Option<String>)> {
        read::read(body)
    }

    /// Splits into messages whose bodies stay under [`MAX_BODY_BYTES`], in order; one that fits comes back as it is.
    ///
    /// Texts are cut between paragraphs, else lines, else words, never inside a character; a code fence that is cut is
    /// closed and opened again. Titles are repeated. A mention stays in the part that names it; the buttons of an action
    /// card go with its last part, the others become markdown. A feed card is split between its links and the text of a
    /// link shortened. What no cut can make fit (an address of 20 kB) comes back too long; DingTalk refuses it with 460101.
    pub fn split(self) -> Vec<OutMessage> {
        self.split_within(MAX_BODY_BYTES)
    }

    /// As [`split`](Self::split), with another limit: [`MAX_PARAM_BYTES`](crate::MAX_PARAM_BYTES) for the OpenAPI.
    pub fn split_within(self, limit: usize) -> Vec<OutMessage> {
        split::split(self, limit)
    }
}

#[cfg(test)]
mod tests;
