//! Answers `/help` with what the bot can do.

use belfry_plugin::prelude::*;
use belfry_plugin::types::PluginInfo;

/// What people type for help, unless the config says otherwise.
const WORDS: &str = "/help help 帮助";

struct Help;

belfry_plugin::export!(Help: MessageHandler, Describe);

impl MessageHandler for Help {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Content::Text(text) = &message.content else { return Ok(Outcome::Pass) };
        if !asks_for_help(text, &config::get_or("words", WORDS)) {
            return Ok(Outcome::Pass);
        }
        let title = "What I can do";
        Ok(markdown(page(title, &host::plugins())).titled(title).into())
    }
}

impl Describe for Help {
    // No commands: the words of the config are asked for, whatever they are.
    fn describe() -> Info {
        belfry_plugin::describe!()
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
    use belfry_plugin::testing;

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
    fn the_words_are_the_config_s() {
        testing::set_plugins(vec![plugin("todo", "Keeps a list", &["/todo"])]);
        assert_eq!(testing::say::<Help>("help me").texts(), ["### What I can do\n\n- `/todo`: Keeps a list"]);
        testing::set_config("words", "/hilfe");
        assert!(testing::say::<Help>("/help").passed());
        assert!(!testing::say::<Help>("/hilfe").passed());
    }

    #[test]
    fn an_empty_list_is_said_so() {
        assert_eq!(page("Me", &[]), "There are no commands; just write to me.");
    }
}
