//! Reading messages.

use std::borrow::Cow;

use crate::types::{Content, ConversationKind, Message, RichTextPart};

impl Message {
    /// What was said, as text: text, markdown source, the text of rich text, what was heard in a voice message. Empty for
    /// everything else.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.content {
            Content::Text(text) | Content::Markdown(text) => Cow::Borrowed(text),
            Content::Audio(audio) => Cow::Borrowed(&audio.recognition),
            Content::RichText(parts) => {
                let runs = parts.iter().filter_map(|part| match part {
                    RichTextPart::Text(text) => Some(text.as_str()),
                    _ => None,
                });
                Cow::Owned(runs.collect::<String>().trim().to_owned())
            }
            _ => Cow::Borrowed(""),
        }
    }

    /// What follows the command `name`, such as `/todo`, without white space at its ends; none if the text does not begin
    /// with it as a word, in upper or lower case, as the host routes commands.
    pub fn command(&self, name: &str) -> Option<String> {
        let text = self.text();
        let text = text.trim_start();
        let (word, rest) = text.split_at_checked(name.len())?;
        if !word.eq_ignore_ascii_case(name) {
            return None;
        }
        let ended = rest.is_empty() || rest.starts_with(char::is_whitespace);
        ended.then(|| rest.trim().to_owned())
    }

    /// Whether it was said in a group.
    pub fn in_group(&self) -> bool {
        self.conversation.kind == ConversationKind::Group
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::message;

    #[test]
    fn a_command_is_a_whole_word() {
        assert_eq!(message("/todo buy milk ").command("/todo").as_deref(), Some("buy milk"));
        assert_eq!(message("/todo").command("/todo").as_deref(), Some(""));
        assert_eq!(message("/todos").command("/todo"), None);
        assert_eq!(message("do /todo").command("/todo"), None);
        assert_eq!(message("/Todo 牛奶").command("/todo").as_deref(), Some("牛奶"));
        assert_eq!(message("/tod牛奶").command("/todo"), None);
    }
}
