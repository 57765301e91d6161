//! Keeps notes: the bot of `../CONVERSATION.md`, in Rust.

use belfry_plugin::prelude::*;

struct Notes;

belfry_plugin::export!(Notes: MessageHandler, Describe);

impl Describe for Notes {
    fn describe() -> Info {
        belfry_plugin::describe!("/note" => "Notes: add TEXT, list, fetch", "/hello" => "Greets")
    }
}

impl MessageHandler for Notes {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Content::Text(_) = message.content else { return Ok(Outcome::Pass) };
        let number = kv::increment("count", 1).map_err(Failure::temporary)?;
        let nick = &message.sender.nick;
        log::info!("message {number} from {nick}");
        let Some(command) = message.command("/note") else {
            let greeting = config::get_or("greeting", "Hello");
            return Ok(text(format!("{greeting}, {nick}! This is message {number}.")).into());
        };
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((&command, ""));
        let key = format!("notes/{}", message.conversation.id);
        let answer = match word {
            "add" => add(&key, rest.trim())?,
            "list" => list(&key)?,
            "fetch" => fetch_motto(),
            "crash" => crash(),
            _ => "I know /note add TEXT, /note list and /note fetch.".to_owned(),
        };
        Ok(text(answer).into())
    }
}

fn add(key: &str, note: &str) -> Result<String, Failure> {
    if note.is_empty() {
        return Ok("What shall I note? Write /note add TEXT.".to_owned());
    }
    let note = note.replace('\n', " ");
    let notes = kv::get(key)?.unwrap_or_default() + &note + "\n";
    kv::set(key, &notes).map_err(Failure::temporary)?;
    let count = notes.lines().count();
    let plural = if count == 1 { "" } else { "s" };
    Ok(format!("Noted: {note} ({count} note{plural})"))
}

fn list(key: &str) -> Result<String, Failure> {
    let notes = kv::get(key)?.unwrap_or_default();
    let lines: Vec<String> =
        notes.lines().enumerate().map(|(at, note)| format!("{}. {note}", at + 1)).collect();
    Ok(if lines.is_empty() { "No notes yet.".to_owned() } else { lines.join("\n") })
}

fn fetch_motto() -> String {
    let Some(url) = config::get("url") else { return "Set url in the config first.".to_owned() };
    match fetch::get(url) {
        Ok(page) if page.status == 200 => {
            format!("The page says: {}", page.text().lines().next().unwrap_or_default())
        }
        Ok(page) => format!("The page answered {}.", page.status),
        Err(error) => {
            log::warn!("the page: {}", error.reason());
            "I cannot reach the page.".to_owned()
        }
    }
}

/// Any panic ends the message as a permanent failure; the log has the words and the line.
fn crash() -> String {
    panic!("crashed as asked")
}

#[cfg(test)]
mod tests {
    use belfry_plugin::testing::{logs, on_fetch, response, say, set_config};

    use super::*;

    #[test]
    fn notes_are_kept() {
        assert_eq!(say::<Notes>("/note add tea").texts(), ["Noted: tea (1 note)"]);
        assert_eq!(say::<Notes>("/note list").texts(), ["1. tea"]);
        assert_eq!(logs(), ["info: message 1 from Li Wei", "info: message 2 from Li Wei"]);
    }

    #[test]
    fn the_first_line_of_the_page_is_shown() {
        set_config("url", "https://page.example/");
        on_fetch(|_| Ok(response(200, "one\ntwo")));
        assert_eq!(say::<Notes>("/note fetch").texts(), ["The page says: one"]);
    }
}
