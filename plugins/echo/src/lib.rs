//! Repeats what you say: the smallest plugin there is, and the one to copy.

wit_bindgen::generate!({ path: "../../wit", world: "belfry:bot/bot", generate_all });

use belfry::bot::types::{Content, Failure, Message, Outcome, Reply, TextReply};
use exports::belfry::bot::message_handler::Guest;

struct Echo;

export!(Echo);

impl Guest for Echo {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let answer = TextReply { text: echo(message.content), mentions: None };
        Ok(Outcome::Reply(vec![Reply::Text(answer)]))
    }
}

/// Text comes back as it is; of everything else, Echo says what it got.
fn echo(content: Content) -> String {
    match content {
        Content::Text(text) | Content::Markdown(text) => text,
        Content::Picture(_) => "You sent a picture.".to_owned(),
        Content::RichText(parts) => format!("You sent rich text in {} parts.", parts.len()),
        Content::Audio(audio) => format!("You said: {}", audio.recognition),
        Content::Video(video) => format!("You sent a video of {} s.", video.duration / 1000),
        Content::File(file) => format!("You sent the file {}.", file.name),
        Content::InteractiveCard(_) => "You sent a card.".to_owned(),
        Content::ChatRecord(record) => format!("You forwarded a chat: {}", record.summary),
        Content::Unknown(kind) => format!("You sent something I do not know: {kind}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use belfry::bot::types::{File, Media};

    #[test]
    fn text_comes_back_as_it_is() {
        assert_eq!(echo(Content::Text("hello".into())), "hello");
    }

    #[test]
    fn a_file_is_named() {
        let media = Media { download_code: "code".into() };
        let file = File { media, name: "plan.pdf".into(), file_id: None, space_id: None };
        assert_eq!(echo(Content::File(file)), "You sent the file plan.pdf.");
    }
}
