//! Answers `/help` with what the bot can do.

wit_bindgen::generate!({ path: "../../wit", world: "belfry:bot/bot", generate_all });

use belfry::bot::host::{self, PluginInfo};
use belfry::bot::types::{Content, Failure, MarkdownReply, Message, Outcome, Reply};
use exports::belfry::bot::message_handler::Guest;
use wasi::config::store;

/// What people type for help, unless the config says otherwise.
const WORDS: &str = "/help help 帮助";

struct Help;

export!(Help);

impl Guest for Help {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Content::Text(text) = message.content else { return Ok(Outcome::Pass) };
        let words = store::get("words").map_err(|error| Failure::Temporary(format!("{error:?}")))?;
        if !asks_for_help(&text, words.as_deref().unwrap_or(WORDS)) {
            return Ok(Outcome::Pass);
        }
        let title = "What I can do".to_owned();
        let text = page(&title, &host::plugins());
        Ok(Outcome::Reply(vec![Reply::Markdown(MarkdownReply { title, text, mentions: None })]))
    }
}

/// Whether the first word of `text` is one of `words`, which are separated by spaces.
fn asks_for_help(text: &str, words: &str) -> bool {
    let first = text.split_whitespace().next();
    first.is_some_and(|first| words.split_whitespace().any(|word| word.eq_ignore_ascii_case(first)))
}

/// One line for each plugin that has something to say about itself.
fn page(title: &str, plugins: &[PluginInfo]) -> String {
    let lines: Vec<String> = plugins.iter().filter_map(line).collect();
    match lines.is_empty() {
        true => "There are no commands; just write to me.".to_owned(),
        false => format!("### {title}\n\n{}", lines.join("\n")),
    }
}

fn line(plugin: &PluginInfo) -> Option<String> {
    let commands: Vec<String> = plugin.commands.iter().map(|command| format!("`{command}`")).collect();
    match (commands.join(", "), plugin.description.as_str()) {
        (commands, "") if commands.is_empty() => None,
        (commands, "") => Some(format!("- {commands}")),
        (commands, description) if commands.is_empty() => Some(format!("- {description}")),
        (commands, description) => Some(format!("- {commands}: {description}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(name: &str, description: &str, commands: &[&str]) -> PluginInfo {
        PluginInfo {
            name: name.into(),
            description: description.into(),
            commands: commands.iter().map(|command| command.to_string()).collect(),
        }
    }

    #[test]
    fn only_the_first_word_counts() {
        assert!(asks_for_help("/help", WORDS));
        assert!(asks_for_help(" Help me, please", WORDS));
        assert!(asks_for_help("帮助", WORDS));
        assert!(!asks_for_help("can you help?", WORDS));
        assert!(!asks_for_help("", WORDS));
    }

    #[test]
    fn each_plugin_gets_a_line() {
        let plugins = [
            plugin("todo", "Keeps a list", &["/todo", "/done"]),
            plugin("help", "", &["/help"]),
            plugin("chatty", "Talks about the weather", &[]),
            plugin("silent", "", &[]),
        ];
        let wanted = "### Me\n\n- `/todo`, `/done`: Keeps a list\n- `/help`\n- Talks about the weather";
        assert_eq!(page("Me", &plugins), wanted);
    }

    #[test]
    fn an_empty_list_is_said_so() {
        assert_eq!(page("Me", &[]), "There are no commands; just write to me.");
    }
}
