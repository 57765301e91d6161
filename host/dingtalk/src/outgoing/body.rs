//! The JSON of outgoing messages.

use serde::Serialize;

use super::{At, Buttons, CardButton, FeedLink, OutMessage};

/// DingTalk takes at most so many mentions.
const MAX_MENTIONS: usize = 50;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    msgtype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<Markdown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Link<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_card: Option<Card<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feed_card: Option<Feed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Mentions<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg_uuid: Option<&'a str>,
}

#[derive(Serialize)]
struct Text<'a> {
    content: &'a str,
}

#[derive(Serialize)]
struct Markdown<'a> {
    title: &'a str,
    text: &'a str,
}

/// `Url` here …
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link<'a> {
    text: &'a str,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pic_url: Option<&'a str>,
    message_url: &'a str,
}

/// … and `URL` here and in the feed card: DingTalk's spelling.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Card<'a> {
    title: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    single_title: Option<&'a str>,
    #[serde(rename = "singleURL", skip_serializing_if = "Option::is_none")]
    single_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    btns: Option<Vec<Button<'a>>>,
    btn_orientation: &'static str,
    hide_avatar: &'static str,
}

#[derive(Serialize)]
struct Button<'a> {
    title: &'a str,
    #[serde(rename = "actionURL")]
    url: &'a str,
}

#[derive(Serialize)]
struct Feed<'a> {
    links: Vec<FeedLine<'a>>,
}

#[derive(Serialize)]
struct FeedLine<'a> {
    title: &'a str,
    #[serde(rename = "messageURL")]
    message_url: &'a str,
    #[serde(rename = "picURL")]
    pic_url: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mentions<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    at_mobiles: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    at_user_ids: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    at_dingtalk_ids: &'a [String],
    is_at_all: bool,
}

impl<'a> Body<'a> {
    fn new(msgtype: &'static str, uuid: Option<&'a str>) -> Self {
        Self {
            msgtype,
            text: None,
            markdown: None,
            link: None,
            action_card: None,
            feed_card: None,
            at: None,
            msg_uuid: uuid,
        }
    }
}

pub(super) fn render(message: &OutMessage, uuid: Option<&str>) -> String {
    let named;
    let body = match message {
        OutMessage::Text { content, at } => {
            named = with_mentions(content, at);
            Body { text: Some(Text { content: &named }), at: mentions(at), ..Body::new("text", uuid) }
        }
        OutMessage::Markdown { title, text, at } => {
            named = with_mentions(text, at);
            Body {
                markdown: Some(Markdown { title, text: &named }),
                at: mentions(at),
                ..Body::new("markdown", uuid)
            }
        }
        OutMessage::Link { title, text, message_url, pic_url } => {
            let link = Link { text, title, pic_url: pic_url.as_deref(), message_url };
            Body { link: Some(link), ..Body::new("link", uuid) }
        }
        OutMessage::ActionCard(card) => {
            let (single, btns) = match &card.buttons {
                Buttons::Single(button) => (Some(button), None),
                Buttons::Multi(buttons) => (None, Some(buttons.iter().map(Button::from).collect())),
            };
            let card = Card {
                title: &card.title,
                text: &card.text,
                single_title: single.map(|button| button.title.as_str()),
                single_url: single.map(|button| button.url.as_str()),
                btns,
                btn_orientation: if card.horizontal { "1" } else { "0" },
                hide_avatar: if card.hide_avatar { "1" } else { "0" },
            };
            Body { action_card: Some(card), ..Body::new("actionCard", uuid) }
        }
        OutMessage::FeedCard { links } => {
            let feed = Feed { links: links.iter().map(FeedLine::from).collect() };
            Body { feed_card: Some(feed), ..Body::new("feedCard", uuid) }
        }
        OutMessage::Empty => Body::new("empty", uuid),
    };
    // Strings, booleans and lists always serialise.
    serde_json::to_string(&body).unwrap_or_default()
}

impl<'a> From<&'a CardButton> for Button<'a> {
    fn from(button: &'a CardButton) -> Self {
        Self { title: &button.title, url: &button.url }
    }
}

impl<'a> From<&'a FeedLink> for FeedLine<'a> {
    fn from(link: &'a FeedLink) -> Self {
        Self { title: &link.title, message_url: &link.message_url, pic_url: &link.pic_url }
    }
}

/// The lists cut to 50 mentions in all.
fn bounded(at: &At) -> [&[String]; 3] {
    let mut room = MAX_MENTIONS;
    [&at.user_ids, &at.mobiles, &at.dingtalk_ids].map(|ids| {
        let taken = ids.get(..room.min(ids.len())).unwrap_or_default();
        room -= taken.len();
        taken
    })
}

/// The mentions that are not left out.
pub(super) fn within_bound(at: &At) -> At {
    let [user_ids, mobiles, dingtalk_ids] = bounded(at).map(<[String]>::to_vec);
    At { user_ids, mobiles, dingtalk_ids, all: at.all }
}

fn mentions(at: &At) -> Option<Mentions<'_>> {
    let [at_user_ids, at_mobiles, at_dingtalk_ids] = bounded(at);
    let nobody = at_user_ids.is_empty() && at_mobiles.is_empty() && at_dingtalk_ids.is_empty() && !at.all;
    (!nobody).then_some(Mentions { at_mobiles, at_user_ids, at_dingtalk_ids, is_at_all: at.all })
}

/// The text with the `@id` of everybody mentioned.
pub(super) fn with_mentions(text: &str, at: &At) -> String {
    let mut out = text.to_owned();
    for id in bounded(at).into_iter().flatten() {
        if !is_mentioned(&out, id) {
            if !out.is_empty() && !out.ends_with(char::is_whitespace) {
                out.push(' ');
            }
            out.push('@');
            out.push_str(id);
        }
    }
    out
}

/// Whether `@id` stands in `text` as a whole: `@user12` does not mention `user1`.
pub(super) fn is_mentioned(text: &str, id: &str) -> bool {
    let mut rest = text;
    while let Some((_, after_at)) = rest.split_once('@') {
        if let Some(after) = after_at.strip_prefix(id)
            && !after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
        {
            return true;
        }
        rest = after_at;
    }
    false
}
