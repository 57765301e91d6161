//! Answers: functions that make a [`Reply`], methods that add to one, and what turns it into an [`Outcome`].

use crate::types::{
    ActionCardReply, Button, Effect, FeedCardLink, FileReply, ImageReply, LinkReply, MarkdownReply,
    MentionList, NewEvent, Outcome, Reply, SendEffect, Target, TextReply,
};

/// Plain text.
pub fn text(text: impl Into<String>) -> Reply {
    Reply::Text(TextReply { text: text.into(), mentions: None })
}

/// Markdown, DingTalk's subset. Its title is the first line unless [`Reply::titled`] gives one.
pub fn markdown(text: impl Into<String>) -> Reply {
    Reply::Markdown(MarkdownReply { title: String::new(), text: text.into(), mentions: None })
}

/// A card that opens a link.
pub fn link(title: impl Into<String>, text: impl Into<String>, url: impl Into<String>) -> Reply {
    Reply::Link(LinkReply { title: title.into(), text: text.into(), url: url.into(), picture_url: None })
}

/// Markdown with buttons that open links; [`Reply::button`] adds them.
pub fn action_card(title: impl Into<String>, text: impl Into<String>) -> Reply {
    let (title, text) = (title.into(), text.into());
    Reply::ActionCard(ActionCardReply { title, text, buttons: Vec::new(), horizontal: false })
}

/// A list of pictures with titles, each opening a link; from title, link and picture.
pub fn feed_card<S: Into<String>>(lines: impl IntoIterator<Item = (S, S, S)>) -> Reply {
    let line = |(title, url, picture): (S, S, S)| FeedCardLink {
        title: title.into(),
        url: url.into(),
        picture_url: picture.into(),
    };
    Reply::FeedCard(lines.into_iter().map(line).collect())
}

/// A picture: an `https` URL or a media id, as [`chat::upload`](crate::chat::upload) returns it.
pub fn image(source: impl Into<String>) -> Reply {
    Reply::Image(ImageReply { source: source.into() })
}

/// A file, by the media id of its upload.
pub fn file(media_id: impl Into<String>, name: impl Into<String>) -> Reply {
    Reply::File(FileReply { media_id: media_id.into(), name: name.into() })
}

impl Reply {
    /// Gives a markdown reply, a link or an action card this title; does nothing to others.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        match &mut self {
            Reply::Markdown(reply) => reply.title = title.into(),
            Reply::Link(reply) => reply.title = title.into(),
            Reply::ActionCard(reply) => reply.title = title.into(),
            _ => {}
        }
        self
    }

    /// Mentions a person in text or markdown, by staff id; does nothing to others, nor in private chats.
    #[must_use]
    pub fn mention(mut self, staff_id: impl Into<String>) -> Self {
        if let Some(mentions) = self.mentions() {
            mentions.user_ids.push(staff_id.into());
        }
        self
    }

    /// Mentions everybody in the group, in text or markdown.
    #[must_use]
    pub fn mention_all(mut self) -> Self {
        if let Some(mentions) = self.mentions() {
            mentions.all = true;
        }
        self
    }

    /// Adds a button to an action card; does nothing to others.
    #[must_use]
    pub fn button(mut self, title: impl Into<String>, url: impl Into<String>) -> Self {
        if let Reply::ActionCard(card) = &mut self {
            card.buttons.push(Button { title: title.into(), url: url.into() });
        }
        self
    }

    /// Gives a link its picture; does nothing to others.
    #[must_use]
    pub fn picture(mut self, url: impl Into<String>) -> Self {
        if let Reply::Link(link) = &mut self {
            link.picture_url = Some(url.into());
        }
        self
    }

    /// Its text: of text, markdown, a link or an action card; empty for others.
    pub fn text(&self) -> &str {
        match self {
            Reply::Text(reply) => &reply.text,
            Reply::Markdown(reply) => &reply.text,
            Reply::Link(reply) => &reply.text,
            Reply::ActionCard(reply) => &reply.text,
            Reply::FeedCard(_) | Reply::Image(_) | Reply::File(_) => "",
        }
    }

    fn mentions(&mut self) -> Option<&mut MentionList> {
        let mentions = match self {
            Reply::Text(reply) => &mut reply.mentions,
            Reply::Markdown(reply) => &mut reply.mentions,
            _ => return None,
        };
        let none = || MentionList { user_ids: Vec::new(), mobiles: Vec::new(), all: false };
        Some(mentions.get_or_insert_with(none))
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        crate::text(text)
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        crate::text(text)
    }
}

impl Outcome {
    /// Handled, and nothing is said.
    pub fn silent() -> Self {
        Outcome::Reply(Vec::new())
    }

    /// The texts of its replies; none if it passes.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Outcome::Pass => Vec::new(),
            Outcome::Reply(replies) => replies.iter().map(Reply::text).collect(),
        }
    }
}

impl<R: Into<Reply>> From<R> for Outcome {
    fn from(reply: R) -> Self {
        Outcome::Reply(vec![reply.into()])
    }
}

impl From<Vec<Reply>> for Outcome {
    fn from(replies: Vec<Reply>) -> Self {
        Outcome::Reply(replies)
    }
}

impl Effect {
    /// A message to a person or a group.
    pub fn send(to: Target, message: impl Into<Reply>) -> Self {
        Effect::Send(SendEffect { to, message: message.into() })
    }

    /// An event of this plugin; `data` is JSON text.
    pub fn emit(ty: impl Into<String>, subject: Option<String>, data: impl Into<String>) -> Self {
        Effect::Emit(NewEvent { type_: ty.into(), subject, data: data.into() })
    }
}

impl Target {
    /// A person, by staff id.
    pub fn user(staff_id: impl Into<String>) -> Self {
        Target::User(staff_id.into())
    }

    /// A group, by its conversation id.
    pub fn group(conversation: impl Into<String>) -> Self {
        Target::Group(conversation.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_built_up() {
        let reply = markdown("**done**").titled("Todo").mention("manager1").mention_all();
        let mentions = MentionList { user_ids: vec!["manager1".into()], mobiles: vec![], all: true };
        let wanted =
            MarkdownReply { title: "Todo".into(), text: "**done**".into(), mentions: Some(mentions) };
        assert_eq!(reply, Reply::Markdown(wanted));
        assert_eq!(Outcome::from("hi").texts(), ["hi"]);
        let Reply::ActionCard(card) = action_card("Ask", "Well?").button("Yes", "https://example.com/y")
        else {
            unreachable!()
        };
        assert_eq!(card.buttons.len(), 1);
    }
}
