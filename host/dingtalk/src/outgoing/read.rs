//! From a rendered body back to the message.

use serde::Deserialize;

use super::{ActionCard, At, Buttons, CardButton, FeedLink, OutMessage};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    msgtype: String,
    text: Option<Text>,
    markdown: Option<Markdown>,
    link: Option<Link>,
    action_card: Option<Card>,
    feed_card: Option<Feed>,
    at: Option<Mentions>,
    msg_uuid: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    content: String,
}

#[derive(Deserialize)]
struct Markdown {
    title: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    title: String,
    text: String,
    message_url: String,
    pic_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Card {
    title: String,
    text: String,
    single_title: Option<String>,
    #[serde(rename = "singleURL")]
    single_url: Option<String>,
    btns: Option<Vec<Button>>,
    #[serde(default)]
    btn_orientation: String,
    #[serde(default)]
    hide_avatar: String,
}

#[derive(Deserialize)]
struct Button {
    title: String,
    #[serde(rename = "actionURL")]
    url: String,
}

#[derive(Deserialize)]
struct Feed {
    links: Vec<FeedLine>,
}

#[derive(Deserialize)]
struct FeedLine {
    title: String,
    #[serde(rename = "messageURL")]
    message_url: String,
    #[serde(rename = "picURL")]
    pic_url: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Mentions {
    at_mobiles: Vec<String>,
    at_user_ids: Vec<String>,
    at_dingtalk_ids: Vec<String>,
    is_at_all: bool,
}

pub(super) fn read(body: &str) -> Option<(OutMessage, Option<String>)> {
    let body: Body = serde_json::from_str(body).ok()?;
    let at = body.at.map(At::from).unwrap_or_default();
    let message = match body.msgtype.as_str() {
        "text" => OutMessage::Text { content: body.text?.content, at },
        "markdown" => {
            let Markdown { title, text } = body.markdown?;
            OutMessage::Markdown { title, text, at }
        }
        "link" => {
            let Link { title, text, message_url, pic_url } = body.link?;
            OutMessage::Link { title, text, message_url, pic_url }
        }
        "actionCard" => OutMessage::ActionCard(body.action_card?.into_card()?),
        "feedCard" => {
            let link = |FeedLine { title, message_url, pic_url }| FeedLink { title, message_url, pic_url };
            OutMessage::FeedCard { links: body.feed_card?.links.into_iter().map(link).collect() }
        }
        "empty" => OutMessage::Empty,
        _ => return None,
    };
    Some((message, body.msg_uuid))
}

impl Card {
    fn into_card(self) -> Option<ActionCard> {
        // DingTalk goes by the single button too, where both are given.
        let buttons = match (self.single_title, self.single_url, self.btns) {
            (Some(title), Some(url), _) => Buttons::Single(CardButton { title, url }),
            (_, _, Some(buttons)) => Buttons::Multi(
                buttons.into_iter().map(|Button { title, url }| CardButton { title, url }).collect(),
            ),
            _ => return None,
        };
        Some(ActionCard {
            title: self.title,
            text: self.text,
            buttons,
            horizontal: self.btn_orientation == "1",
            hide_avatar: self.hide_avatar == "1",
        })
    }
}

impl From<Mentions> for At {
    fn from(mentions: Mentions) -> Self {
        Self {
            user_ids: mentions.at_user_ids,
            mobiles: mentions.at_mobiles,
            dingtalk_ids: mentions.at_dingtalk_ids,
            all: mentions.is_at_all,
        }
    }
}
