//! What a plugin says about itself, checked and made safe to print.

use crate::{Description, text};

/// The longest line, in bytes.
const MAX_LINE: usize = 1_000;

/// The longest help, in bytes.
const MAX_HELP: usize = 16 << 10;

/// Commands one plugin may have.
const MAX_COMMANDS: usize = 100;

/// Cleans what `describe` returned and cuts what is too long.
///
/// # Errors
///
/// A command that could never be typed, or too many of them.
pub(crate) fn check(mut said: Description) -> Result<Description, String> {
    if said.commands.len() > MAX_COMMANDS {
        let count = said.commands.len();
        return Err(format!("its `describe` names {count} commands, {MAX_COMMANDS} are possible"));
    }
    for command in &mut said.commands {
        let word = command.name.strip_prefix('/').unwrap_or_default();
        let odd = |char: char| char.is_whitespace() || char.is_control();
        if word.is_empty() || word.contains(odd) || command.name.len() > MAX_LINE {
            return Err(format!(
                "its `describe` names the command `{}`; a command is a slash and a word, such as `/todo`",
                text::line(&command.name, 100)
            ));
        }
        command.help = text::line(&command.help, MAX_LINE);
    }
    for line in [&mut said.name, &mut said.version, &mut said.description] {
        *line = text::line(line, MAX_LINE);
    }
    said.help = text::block(&said.help, MAX_HELP);
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::exports::belfry::bot::describe::Command;

    fn said(commands: &[&str]) -> Description {
        let command = |name: &&str| Command { name: (*name).to_owned(), help: "a\nb".to_owned() };
        Description {
            name: "x".repeat(2_000),
            version: "1\u{1b}[31m".to_owned(),
            description: String::new(),
            commands: commands.iter().map(command).collect(),
            help: "line\n".repeat(10_000),
        }
    }

    #[test]
    fn long_and_dangerous_text_is_cut_and_cleaned() {
        let said = check(said(&["/todo"])).unwrap();
        assert!(said.name.len() <= MAX_LINE + 3 && said.help.len() <= MAX_HELP + 3);
        assert_eq!((said.version.as_str(), said.commands[0].help.as_str()), ("1", "a b"));
    }

    #[test]
    fn commands_must_be_words_behind_a_slash() {
        for name in ["todo", "/", "", "/to do", "/a\u{7}"] {
            assert!(check(said(&[name])).unwrap_err().contains("a slash and a word"), "{name:?}");
        }
        assert!(check(said(&["/a"; 101])).unwrap_err().contains("101 commands"));
    }
}
