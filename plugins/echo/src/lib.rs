//! Repeats what you say: the smallest plugin there is, and the one to copy.

use belfry_plugin::prelude::*;

struct Echo;

belfry_plugin::export!(Echo: MessageHandler, Describe);

impl MessageHandler for Echo {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        Ok(text(echo(message.content)).into())
    }
}

impl Describe for Echo {
    fn describe() -> Info {
        belfry_plugin::describe!()
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
    use belfry_plugin::testing::{message, say};
    use belfry_plugin::types::{File, Media};

    use super::*;

    #[test]
    fn text_comes_back_as_it_is() {
        assert_eq!(say::<Echo>("hello").texts(), ["hello"]);
    }

    #[test]
    fn a_file_is_named() {
        let media = Media { download_code: "code".into() };
        let file = File { media, name: "plan.pdf".into(), file_id: None, space_id: None };
        let message = Message { content: Content::File(file), ..message("") };
        assert_eq!(Echo::on_message(message).unwrap().texts(), ["You sent the file plan.pdf."]);
    }
}
