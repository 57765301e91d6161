//! Answers questions that come again and again, from a text that people without code can keep.

mod page;

use belfry_plugin::prelude::*;

use page::Page;

struct Faq;

belfry_plugin::export!(Faq: MessageHandler, Describe);

impl Describe for Faq {
    // No command of its own routes to it: it looks at whatever nobody else took.
    fn describe() -> Info {
        belfry_plugin::describe!()
    }
}

impl MessageHandler for Faq {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let text = message.text();
        if text.trim().is_empty() {
            return Ok(Outcome::Pass);
        }
        let page = Page::parse(&config::require("answers")?)?;
        if message.command("/faq").is_some() {
            return Ok(markdown(page.overview()).titled("FAQ").into());
        }
        Ok(match (page.answer(&text), config::get("fallback")) {
            (Some(answer), _) => markdown(answer).into(),
            // In a group the bot may be talked to about anything; a question in private wants some answer.
            (None, Some(fallback)) if !message.in_group() => markdown(fallback).into(),
            (None, _) => Outcome::Pass,
        })
    }
}

#[cfg(test)]
mod tests {
    use belfry_plugin::testing::{self, message, say};

    use super::*;

    const ANSWERS: &str = "# VPN | remote access\nAsk IT.\n\n# /lunch|canteen/\n12:00, **floor 3**\n";

    #[test]
    fn what_it_knows_it_answers() {
        testing::set_config("answers", ANSWERS);
        assert_eq!(say::<Faq>("how do I get a vpn account?").texts(), ["Ask IT."]);
        assert_eq!(say::<Faq>("When is Lunch?").texts(), ["12:00, **floor 3**"]);
        assert_eq!(say::<Faq>("/faq").texts(), ["I know something about:\n\n- VPN\n- lunch|canteen"]);
        assert!(say::<Faq>("good morning").passed());
    }

    #[test]
    fn the_fallback_is_for_private_chats() {
        testing::set_config("answers", ANSWERS);
        testing::set_config("fallback", "I do not know. Ask Mei.");
        assert_eq!(say::<Faq>("good morning").texts(), ["I do not know. Ask Mei."]);
        let mut in_group = message("good morning");
        in_group.conversation.kind = belfry_plugin::types::ConversationKind::Group;
        assert_eq!(Faq::on_message(in_group), Ok(Outcome::Pass));
    }

    #[test]
    fn without_answers_it_says_what_is_missing() {
        let failed = say::<Faq>("vpn").texts();
        assert!(failed.concat().contains("the setting `answers` is missing"), "{failed:?}");
    }
}
