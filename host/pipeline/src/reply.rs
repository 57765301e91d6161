//! What a plugin answered, as messages for the session webhook.

use belfry_dingtalk::{ActionCard, At, Buttons, CardButton, FeedLink, OutMessage};
use belfry_plugin_host::types::{self, Reply, Target};
use bytes::Bytes;
use tracing::warn;

use crate::{
    payload::{self, Address, Content},
    private::Private,
};

/// The longest title taken from a markdown text, in characters.
const TITLE_CHARACTERS: usize = 40;

/// The ways to answer where something is handled.
#[derive(Clone, Copy)]
pub(crate) struct Ways<'a> {
    pub(crate) private: &'a Private,
    /// The conversation, if what is handled was said in one.
    pub(crate) conversation: Option<&'a str>,
    pub(crate) plugin: &'a str,
}

/// A message on its way out that has no place among the deliveries of its event yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// Into the current conversation, as its session webhook takes it.
    Reply(OutMessage),
    /// Through the OpenAPI.
    To(Address, Content),
}

impl Outgoing {
    /// As the journal keeps it. `uuid` is the same for every try.
    pub(crate) fn payload(&self, uuid: &str) -> Bytes {
        match self {
            Self::Reply(message) => message.to_body(Some(uuid)).into(),
            Self::To(address, content) => payload::addressed(address.clone(), content.clone()),
        }
    }
}

impl Ways<'_> {
    /// The current conversation as an address of the OpenAPI.
    pub(crate) fn address(&self) -> Result<Address, String> {
        let Some(conversation) = self.conversation else {
            return Err("an event has no current conversation: name a user or a group".to_owned());
        };
        match (&self.private.person, self.private.private_chat) {
            (Some(person), _) => Ok(Address::Person(person.clone())),
            (None, false) => Ok(Address::Group(conversation.to_owned())),
            (None, true) => Err("the OpenAPI cannot reach people without a staff id".to_owned()),
        }
    }
}

/// A message to `to`, split to what the webhook takes. Empty ones are left out.
///
/// # Errors
///
/// In words, when there is no current conversation.
pub(crate) fn outgoing(reply: Reply, to: Target, ways: &Ways<'_>) -> Result<Vec<Outgoing>, String> {
    let (to, private) = match to {
        Target::User(staff_id) => (Some(Address::Person(staff_id)), true),
        Target::Group(conversation) => (Some(Address::Group(conversation)), false),
        Target::Current if ways.conversation.is_none() => {
            return Err("an event has no current conversation: name a user or a group".to_owned());
        }
        // A webhook carries no files.
        Target::Current if matches!(reply, Reply::File(_)) => (ways.address().ok(), false),
        Target::Current => (None, ways.private.private_chat),
    };
    let Some(to) = to else {
        let message = to_message(reply, private, ways.plugin);
        return Ok(message.map(OutMessage::split).into_iter().flatten().map(Outgoing::Reply).collect());
    };
    let content = match reply {
        Reply::Image(reply) => Some(Content::Image(reply.source)),
        Reply::File(reply) => Some(Content::File { media_id: reply.media_id, name: reply.name }),
        other => to_message(other, private, ways.plugin).map(Content::Message),
    };
    Ok(content.map(|content| Outgoing::To(to, content)).into_iter().collect())
}

/// The messages of a plugin's replies into the current conversation.
pub(crate) fn replies(replies: Vec<Reply>, ways: &Ways<'_>) -> Vec<Outgoing> {
    replies.into_iter().filter_map(|reply| outgoing(reply, Target::Current, ways).ok()).flatten().collect()
}

/// The messages of a plugin's replies, split to what the webhook takes. Empty ones are left out.
fn to_messages(replies: Vec<Reply>, private: bool, plugin: &str) -> Vec<OutMessage> {
    replies
        .into_iter()
        .filter_map(|reply| to_message(reply, private, plugin))
        .flat_map(OutMessage::split)
        .collect()
}

/// What a plugin's replies would be sent as: the bodies a session webhook gets.
pub fn webhook_bodies(replies: Vec<Reply>, private: bool, plugin: &str) -> Vec<String> {
    to_messages(replies, private, plugin).iter().map(|message| message.to_body(None)).collect()
}

fn to_message(reply: Reply, private: bool, plugin: &str) -> Option<OutMessage> {
    let message = match reply {
        Reply::Text(reply) => {
            let at = at(reply.mentions, private);
            if reply.text.trim().is_empty() && at == At::default() {
                return None;
            }
            OutMessage::Text { content: reply.text, at }
        }
        Reply::Markdown(reply) => {
            if reply.text.trim().is_empty() {
                return None;
            }
            let title = if reply.title.trim().is_empty() { title_of(&reply.text) } else { reply.title };
            OutMessage::Markdown { title, text: reply.text, at: at(reply.mentions, private) }
        }
        Reply::Link(reply) => OutMessage::Link {
            title: reply.title,
            text: reply.text,
            message_url: reply.url,
            pic_url: reply.picture_url,
        },
        Reply::ActionCard(reply) => action_card(reply),
        Reply::FeedCard(links) if links.is_empty() => return None,
        Reply::FeedCard(links) => OutMessage::FeedCard {
            links: links
                .into_iter()
                .map(|link| FeedLink { title: link.title, message_url: link.url, pic_url: link.picture_url })
                .collect(),
        },
        // The webhook knows no picture message, but markdown shows one.
        Reply::Image(reply) => OutMessage::markdown("[image]", format!("![]({})", reply.source)),
        Reply::File(reply) => {
            warn!(
                plugin,
                file = reply.name,
                "a session webhook cannot carry files: the file's name is sent as text"
            );
            OutMessage::text(reply.name)
        }
    };
    Some(message)
}

fn action_card(reply: types::ActionCardReply) -> OutMessage {
    let title = if reply.title.trim().is_empty() { title_of(&reply.text) } else { reply.title };
    let mut buttons: Vec<CardButton> =
        reply.buttons.into_iter().map(|button| CardButton { title: button.title, url: button.url }).collect();
    let buttons = match (buttons.pop(), buttons.is_empty()) {
        (None, _) => return OutMessage::markdown(title, reply.text),
        (Some(only), true) => Buttons::Single(only),
        (Some(last), false) => {
            buttons.push(last);
            Buttons::Multi(buttons)
        }
    };
    OutMessage::ActionCard(ActionCard {
        title,
        text: reply.text,
        buttons,
        horizontal: reply.horizontal,
        hide_avatar: false,
    })
}

/// In a private chat DingTalk ignores mentions, and the text would show them for nothing.
fn at(mentions: Option<types::MentionList>, private: bool) -> At {
    match mentions {
        Some(mentions) if !private => At {
            user_ids: mentions.user_ids,
            mobiles: mentions.mobiles,
            dingtalk_ids: Vec::new(),
            all: mentions.all,
        },
        _ => At::default(),
    }
}

/// The first line that says something, without its markdown.
fn title_of(text: &str) -> String {
    let line =
        text.lines().map(|line| line.trim_matches(['#', '*', '>', '-', '`', ' '])).find(|l| !l.is_empty());
    let line = line.unwrap_or("…");
    let mut title: String = line.chars().take(TITLE_CHARACTERS).collect();
    if title.len() < line.len() {
        title.push('…');
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(reply: Reply) -> OutMessage {
        let mut messages = to_messages(vec![reply], false, "test");
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    fn text(text: &str, mentions: Option<types::MentionList>) -> Reply {
        Reply::Text(types::TextReply { text: text.into(), mentions })
    }

    fn card(buttons: usize) -> Reply {
        let button = |n| types::Button { title: format!("b{n}"), url: format!("https://x/{n}") };
        Reply::ActionCard(types::ActionCardReply {
            title: "t".into(),
            text: "body".into(),
            buttons: (0..buttons).map(button).collect(),
            horizontal: true,
        })
    }

    #[test]
    fn files_and_other_targets_go_through_the_openapi() {
        let file = || Reply::File(types::FileReply { media_id: "@m".into(), name: "a.pdf".into() });
        let content = Content::File { media_id: "@m".into(), name: "a.pdf".into() };
        let group = Private::default();
        let external = Private { private_chat: true, ..Private::default() };
        let member = Private { person: Some("kim".into()), ..external.clone() };
        let current = |private: &Private, reply| {
            let ways = Ways { private, conversation: Some("cid"), plugin: "test" };
            outgoing(reply, Target::Current, &ways).unwrap()
        };
        assert_eq!(current(&group, file()), [Outgoing::To(Address::Group("cid".into()), content.clone())]);
        assert_eq!(current(&member, file()), [Outgoing::To(Address::Person("kim".into()), content)]);
        assert_eq!(current(&external, file()), [Outgoing::Reply(OutMessage::text("a.pdf"))]);
        assert_eq!(current(&member, text("hi", None)), [Outgoing::Reply(OutMessage::text("hi"))]);
        let event = Ways { private: &group, conversation: None, plugin: "test" };
        assert!(outgoing(text("hi", None), Target::Current, &event).is_err());
        let image = Reply::Image(types::ImageReply { source: "@i".into() });
        assert_eq!(
            outgoing(image, Target::User("kim".into()), &event).unwrap(),
            [Outgoing::To(Address::Person("kim".into()), Content::Image("@i".into()))]
        );
        let long = text(&"x ".repeat(30_000), None);
        assert_eq!(
            outgoing(long.clone(), Target::Group("g".into()), &event).unwrap().len(),
            1,
            "split when sent"
        );
        assert!(current(&group, long).len() > 1);
    }

    #[test]
    fn the_number_of_buttons_decides_the_card() {
        assert_eq!(one(card(0)), OutMessage::markdown("t", "body"));
        assert!(
            matches!(one(card(1)), OutMessage::ActionCard(ActionCard { buttons: Buttons::Single(b), .. }) if b.title == "b0")
        );
        let OutMessage::ActionCard(ActionCard { buttons: Buttons::Multi(buttons), horizontal: true, .. }) =
            one(card(3))
        else {
            panic!("three buttons");
        };
        assert_eq!(buttons.iter().map(|b| b.title.as_str()).collect::<Vec<_>>(), ["b0", "b1", "b2"]);
    }

    #[test]
    fn nothing_is_not_sent() {
        assert!(to_messages(vec![text(" \n", None), Reply::FeedCard(Vec::new())], false, "test").is_empty());
    }

    #[test]
    fn mentions_are_for_groups() {
        let mentions = types::MentionList { user_ids: vec!["kim".into()], mobiles: Vec::new(), all: false };
        let group = to_messages(vec![text("hi", Some(mentions.clone()))], false, "test");
        assert!(matches!(&group[..], [OutMessage::Text { at, .. }] if at.user_ids == ["kim"]));
        let private = to_messages(vec![text("hi", Some(mentions))], true, "test");
        assert!(matches!(&private[..], [OutMessage::Text { at, .. }] if *at == At::default()));
    }

    #[test]
    fn a_markdown_without_title_takes_its_first_line() {
        assert_eq!(title_of("\n## **Orders** \n- one"), "Orders");
        assert_eq!(title_of("***"), "…");
        assert_eq!(title_of(&"长".repeat(50)), format!("{}…", "长".repeat(40)));
    }

    #[test]
    fn a_picture_goes_as_markdown_and_a_file_by_its_name() {
        let image = Reply::Image(types::ImageReply { source: "@lALx".into() });
        assert_eq!(one(image), OutMessage::markdown("[image]", "![](@lALx)"));
        let file = Reply::File(types::FileReply { media_id: "@x".into(), name: "a.pdf".into() });
        assert_eq!(one(file), OutMessage::text("a.pdf"));
    }
}
