//! A message as the OpenAPI takes it: a key that names a template, and its parameters.

use serde_json::json;

use crate::{ActionCard, Buttons, CardButton, OutMessage};

/// The longest parameters DingTalk takes, in bytes of JSON (`invalidParameter.msgParam.tooLong` beyond).
pub const MAX_PARAM_BYTES: usize = 15_000;

/// A message for [`OpenApi`](crate::OpenApi), made of an [`OutMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMessage {
    key: &'static str,
    param: String,
    degraded: bool,
}

impl OpenMessage {
    /// The template of DingTalk's table that fits. What has none becomes markdown. Mentions are only text here: nobody is
    /// notified by them. None for [`OutMessage::Empty`].
    pub fn of(message: &OutMessage) -> Option<Self> {
        let (key, param, degraded) = match message {
            OutMessage::Text { content, at } => {
                ("sampleText", json!({ "content": content }), *at != crate::At::default())
            }
            OutMessage::Markdown { title, text, at } => {
                ("sampleMarkdown", json!({ "title": title, "text": text }), *at != crate::At::default())
            }
            OutMessage::Link { title, text, message_url, pic_url } => {
                let pic_url = pic_url.as_deref().unwrap_or_default();
                let param =
                    json!({ "title": title, "text": text, "picUrl": pic_url, "messageUrl": message_url });
                ("sampleLink", param, false)
            }
            OutMessage::ActionCard(card) => return Some(Self::card(card)),
            OutMessage::FeedCard { links } => {
                let line = |link: &crate::FeedLink| format!("- [{}]({})", link.title, link.message_url);
                let text: Vec<String> = links.iter().map(line).collect();
                let title = links.first().map_or("", |link| link.title.as_str());
                ("sampleMarkdown", json!({ "title": title, "text": text.join("\n") }), true)
            }
            OutMessage::Empty => return None,
        };
        Some(Self { key, param: param.to_string(), degraded })
    }

    /// A picture, by its `https` address or its media id.
    pub fn image(photo: &str) -> Self {
        let param = json!({ "photoURL": photo }).to_string();
        Self { key: "sampleImageMsg", param, degraded: false }
    }

    /// A file, by its media id. DingTalk takes the type from the end of its name: xlsx, pdf, zip, rar, doc or docx.
    pub fn file(media_id: &str, name: &str) -> Self {
        let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind).to_lowercase();
        let param = json!({ "mediaId": media_id, "fileName": name, "fileType": kind }).to_string();
        Self { key: "sampleFile", param, degraded: false }
    }

    /// Cards have templates for one button, for two to five below each other, and for two side by side.
    fn card(card: &ActionCard) -> Self {
        let ActionCard { title, text, buttons, horizontal, .. } = card;
        let mut param = json!({ "title": title, "text": text });
        let mut set = |name: String, value: &str| {
            if let Some(fields) = param.as_object_mut() {
                fields.insert(name, value.into());
            }
        };
        let single = |button: &CardButton, set: &mut dyn FnMut(String, &str)| {
            set("singleTitle".to_owned(), &button.title);
            set("singleURL".to_owned(), &button.url);
        };
        let key = match buttons {
            Buttons::Single(button) => {
                single(button, &mut set);
                "sampleActionCard"
            }
            Buttons::Multi(buttons) => match (buttons.as_slice(), *horizontal) {
                ([button], _) => {
                    single(button, &mut set);
                    "sampleActionCard"
                }
                ([first, second], true) => {
                    for (number, button) in [(1, first), (2, second)] {
                        set(format!("buttonTitle{number}"), &button.title);
                        set(format!("buttonUrl{number}"), &button.url);
                    }
                    "sampleActionCard6"
                }
                (buttons @ ([_, _] | [_, _, _] | [_, _, _, _] | [_, _, _, _, _]), _) => {
                    for (number, button) in (1..).zip(buttons) {
                        set(format!("actionTitle{number}"), &button.title);
                        set(format!("actionURL{number}"), &button.url);
                    }
                    match buttons.len() {
                        2 => "sampleActionCard2",
                        3 => "sampleActionCard3",
                        4 => "sampleActionCard4",
                        _ => "sampleActionCard5",
                    }
                }
                (buttons, _) => {
                    let links: Vec<String> =
                        buttons.iter().map(|button| format!("[{}]({})", button.title, button.url)).collect();
                    let text = format!("{text}\n\n{}", links.join("\n\n"));
                    let param = json!({ "title": title, "text": text }).to_string();
                    return Self { key: "sampleMarkdown", param, degraded: true };
                }
            },
        };
        let degraded = *horizontal && !matches!(key, "sampleActionCard" | "sampleActionCard6");
        Self { key, param: param.to_string(), degraded }
    }

    /// `msgKey`.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// `msgParam`: JSON text.
    pub fn param(&self) -> &str {
        &self.param
    }

    /// Whether something of the message was lost on the way: mentions, an arrangement of buttons, a kind of card.
    pub fn is_degraded(&self) -> bool {
        self.degraded
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{At, FeedLink};

    fn open(message: &OutMessage) -> (&'static str, Value, bool) {
        let open = OpenMessage::of(message).unwrap();
        (open.key(), serde_json::from_str(open.param()).unwrap(), open.is_degraded())
    }

    fn card(count: usize, horizontal: bool) -> OutMessage {
        let button = |n| CardButton { title: format!("b{n}"), url: format!("https://x/{n}") };
        OutMessage::ActionCard(ActionCard {
            title: "t".into(),
            text: "body".into(),
            buttons: Buttons::Multi((1..=count).map(button).collect()),
            horizontal,
            hide_avatar: false,
        })
    }

    #[test]
    fn texts_and_links_have_templates() {
        assert_eq!(open(&OutMessage::text("hi")), ("sampleText", json!({"content": "hi"}), false));
        assert_eq!(
            open(&OutMessage::markdown("t", "*x*")),
            ("sampleMarkdown", json!({"title": "t", "text": "*x*"}), false)
        );
        let at = At { user_ids: vec!["kim".into()], ..At::default() };
        assert!(open(&OutMessage::Text { content: "@kim".into(), at }).2, "the OpenAPI notifies nobody");
        let link = OutMessage::Link {
            title: "t".into(),
            text: "x".into(),
            message_url: "https://m".into(),
            pic_url: None,
        };
        let param = json!({"title": "t", "text": "x", "picUrl": "", "messageUrl": "https://m"});
        assert_eq!(open(&link), ("sampleLink", param, false));
        assert_eq!(OpenMessage::of(&OutMessage::Empty), None);
    }

    #[test]
    fn pictures_and_files_are_named_by_media_id() {
        let image = OpenMessage::image("@lAL");
        assert_eq!((image.key(), image.param()), ("sampleImageMsg", r#"{"photoURL":"@lAL"}"#));
        for (name, kind) in [("Report.PDF", "pdf"), ("report", "")] {
            let file = OpenMessage::file("@lAL", name);
            let param: Value = serde_json::from_str(file.param()).unwrap();
            assert_eq!(file.key(), "sampleFile");
            assert_eq!(param, json!({"mediaId": "@lAL", "fileName": name, "fileType": kind}));
        }
    }

    #[test]
    fn the_number_of_buttons_picks_the_template() {
        for (count, horizontal, key, degraded) in [
            (1, true, "sampleActionCard", false),
            (2, false, "sampleActionCard2", false),
            (2, true, "sampleActionCard6", false),
            (3, true, "sampleActionCard3", true),
            (4, false, "sampleActionCard4", false),
            (5, false, "sampleActionCard5", false),
            (6, false, "sampleMarkdown", true),
        ] {
            let (found, param, lost) = open(&card(count, horizontal));
            assert_eq!((found, lost), (key, degraded), "{count} {horizontal}");
            assert!(param.to_string().contains(&format!("https://x/{count}")), "{param}");
        }
        let (_, param, _) = open(&card(2, false));
        assert_eq!(param["actionURL2"], "https://x/2");
        let (_, param, _) = open(&card(2, true));
        assert_eq!(param["buttonUrl2"], "https://x/2");
    }

    #[test]
    fn a_feed_becomes_a_list_of_links() {
        let link = |n| FeedLink {
            title: format!("n{n}"),
            message_url: format!("https://x/{n}"),
            pic_url: "p".into(),
        };
        let (key, param, degraded) = open(&OutMessage::FeedCard { links: vec![link(1), link(2)] });
        assert_eq!((key, degraded), ("sampleMarkdown", true));
        assert_eq!(param, json!({"title": "n1", "text": "- [n1](https://x/1)\n- [n2](https://x/2)"}));
    }
}
