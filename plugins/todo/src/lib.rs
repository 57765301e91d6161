//! A list of things to do for each person, kept in the key-values.

mod list;
mod words;

use belfry_plugin::prelude::*;

use list::{List, Refused};
use words::Words;

struct Todo;

belfry_plugin::export!(Todo: MessageHandler, Describe);

impl Describe for Todo {
    fn describe() -> Info {
        belfry_plugin::describe!("/todo" => "shows your list; `/todo help` says what else it can do")
    }
}

impl MessageHandler for Todo {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Some(said) = message.command("/todo") else { return Ok(Outcome::Pass) };
        let words = Words::of(&config::get_or("language", "en"));
        let key = format!("list/{}", message.sender.id);
        let answer = match Wish::of(&said) {
            Wish::Help => words.help.to_owned(),
            Wish::Show { all } => page(&kv::get_json::<List>(&key)?.unwrap_or_default(), all, words),
            wish => match kv::update_json(&key, |list: &mut List| Ok(change(list, &wish, words)))? {
                Ok(answer) => answer,
                Err(refused) => words.refused(&refused),
            },
        };
        Ok(markdown(answer).titled(words.title).into())
    }
}

/// What somebody wants.
#[derive(Debug, PartialEq, Eq)]
enum Wish<'a> {
    Help,
    Show { all: bool },
    Add(&'a str),
    Done(Vec<u32>),
    Undo(Vec<u32>),
    Delete(Vec<u32>),
    Clear,
}

impl<'a> Wish<'a> {
    /// A word and numbers is a wish; everything else is something to do.
    fn of(said: &'a str) -> Self {
        let (word, rest) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
        let rest = rest.trim();
        let numbers = numbers(rest);
        match (word.to_lowercase().as_str(), rest, numbers) {
            ("" | "list" | "列表", "", _) => Wish::Show { all: false },
            ("all" | "全部", "", _) => Wish::Show { all: true },
            ("help" | "?" | "帮助", "", _) => Wish::Help,
            ("clear" | "清理", "", _) => Wish::Clear,
            ("done" | "完成", _, Some(numbers)) => Wish::Done(numbers),
            ("undo" | "恢复", _, Some(numbers)) => Wish::Undo(numbers),
            ("delete" | "删除", _, Some(numbers)) => Wish::Delete(numbers),
            ("add" | "添加", rest, _) if !rest.is_empty() => Wish::Add(rest),
            _ => Wish::Add(said),
        }
    }
}

/// `2 5` or `2,5`; none if anything else is there, or nothing.
fn numbers(text: &str) -> Option<Vec<u32>> {
    let parts = text.split([' ', ',', '，', '、']).filter(|part| !part.is_empty());
    let numbers: Vec<u32> =
        parts.map(|part| part.trim_start_matches('#').parse().ok()).collect::<Option<_>>()?;
    (!numbers.is_empty()).then_some(numbers)
}

fn change(list: &mut List, wish: &Wish<'_>, words: &Words) -> Result<String, Refused> {
    Ok(match wish {
        Wish::Add(text) => words.added(list.add(text)?),
        Wish::Done(numbers) => words.done(&list.mark(numbers, true)?, list.open()),
        Wish::Undo(numbers) => words.undone(&list.mark(numbers, false)?),
        Wish::Delete(numbers) => words.deleted(&list.delete(numbers)?),
        Wish::Clear => words.cleared(list.clear()),
        Wish::Help | Wish::Show { .. } => String::new(),
    })
}

/// The list as markdown. Numbers stay with their things, so that `done 2` means the same tomorrow.
fn page(list: &List, all: bool, words: &Words) -> String {
    let shown: Vec<String> = list
        .items()
        .iter()
        .filter(|item| all || !item.done)
        .map(|item| {
            let number = item.number;
            if item.done {
                format!("- ~~{number}. {}~~", item.text)
            } else {
                format!("- {number}. {}", item.text)
            }
        })
        .collect();
    if shown.is_empty() {
        return words.nothing.to_owned();
    }
    format!("### {}\n\n{}", words.title, shown.join("\n"))
}

#[cfg(test)]
mod tests {
    use belfry_plugin::testing::{self, message, say};

    use super::*;

    fn said(text: &str) -> String {
        say::<Todo>(text).texts().concat()
    }

    #[test]
    fn words_with_numbers_are_wishes_and_the_rest_is_to_do() {
        assert_eq!(Wish::of("done 1, #3"), Wish::Done(vec![1, 3]));
        assert_eq!(Wish::of("完成 2"), Wish::Done(vec![2]));
        assert_eq!(Wish::of("done is better than perfect"), Wish::Add("done is better than perfect"));
        assert_eq!(Wish::of("add done 1"), Wish::Add("done 1"));
        assert_eq!(Wish::of("delete"), Wish::Add("delete"));
        assert_eq!(Wish::of("LIST"), Wish::Show { all: false });
        assert_eq!(Wish::of("list the guests"), Wish::Add("list the guests"));
    }

    #[test]
    fn a_day_with_a_list() {
        assert_eq!(said("/todo"), "Nothing to do. `/todo TEXT` adds something.");
        assert_eq!(said("/todo buy milk"), "Added 1: buy milk");
        assert_eq!(said("/todo call Mei"), "Added 2: call Mei");
        assert_eq!(said("/todo done 1"), "Done: buy milk. 1 left.");
        assert_eq!(said("/todo"), "### To do\n\n- 2. call Mei");
        assert_eq!(said("/todo all"), "### To do\n\n- ~~1. buy milk~~\n- 2. call Mei");
        assert_eq!(said("/todo undo 1"), "Open again: buy milk");
        assert_eq!(said("/todo delete 1 2"), "Deleted: buy milk, call Mei");
        assert_eq!(said("/todo done 9"), "There is no number 9 on your list.");
        assert!(say::<Todo>("/todos").passed());
    }

    #[test]
    fn everybody_has_a_list_of_their_own() {
        said("/todo buy milk");
        let mut other = message("/todo");
        other.sender.id = "$:somebody".into();
        let answer = Todo::on_message(other).unwrap();
        assert_eq!(answer.texts(), ["Nothing to do. `/todo TEXT` adds something."]);
    }

    #[test]
    fn it_speaks_chinese_where_the_config_says_so() {
        testing::set_config("language", "zh");
        assert_eq!(said("/todo 买牛奶"), "已添加 1：买牛奶");
        assert_eq!(said("/todo 完成 1"), "已完成：买牛奶。还剩 0 项。");
    }
}
