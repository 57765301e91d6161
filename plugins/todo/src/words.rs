//! What the plugin says, in the languages it speaks.

use crate::list::{Item, Refused};

/// What is said in one language.
pub(crate) struct Words {
    pub(crate) title: &'static str,
    pub(crate) nothing: &'static str,
    pub(crate) help: &'static str,
    chinese: bool,
}

const ENGLISH: Words = Words {
    title: "To do",
    nothing: "Nothing to do. `/todo TEXT` adds something.",
    help: "- `/todo` shows what is open, `/todo all` what is done too\n- `/todo TEXT` adds something\n- `/todo done 1 2` ticks \
           it off, `/todo undo 1` opens it again\n- `/todo delete 1` deletes it, `/todo clear` deletes all that is done",
    chinese: false,
};

const CHINESE: Words = Words {
    title: "待办",
    nothing: "没有待办。发送 `/todo 内容` 添加一项。",
    help: "- `/todo` 查看未完成，`/todo 全部` 查看所有\n- `/todo 内容` 添加\n- `/todo 完成 1 2` 标记完成，`/todo 恢复 1` 重新打开\n\
           - `/todo 删除 1` 删除，`/todo 清理` 删除所有已完成",
    chinese: true,
};

impl Words {
    /// Those of a language: `zh`, or English for everything else.
    pub(crate) fn of(language: &str) -> &'static Self {
        if language.trim().eq_ignore_ascii_case("zh") { &CHINESE } else { &ENGLISH }
    }

    pub(crate) fn added(&self, item: &Item) -> String {
        let Item { number, text, .. } = item;
        if self.chinese { format!("已添加 {number}：{text}") } else { format!("Added {number}: {text}") }
    }

    pub(crate) fn done(&self, texts: &[String], left: usize) -> String {
        match self.chinese {
            true => format!("已完成：{}。还剩 {left} 项。", texts.join("、")),
            false => format!("Done: {}. {left} left.", texts.join(", ")),
        }
    }

    pub(crate) fn undone(&self, texts: &[String]) -> String {
        match self.chinese {
            true => format!("已恢复：{}", texts.join("、")),
            false => format!("Open again: {}", texts.join(", ")),
        }
    }

    pub(crate) fn deleted(&self, texts: &[String]) -> String {
        match self.chinese {
            true => format!("已删除：{}", texts.join("、")),
            false => format!("Deleted: {}", texts.join(", ")),
        }
    }

    pub(crate) fn cleared(&self, count: usize) -> String {
        if self.chinese { format!("已清理 {count} 项。") } else { format!("Cleared {count}.") }
    }

    pub(crate) fn refused(&self, refused: &Refused) -> String {
        match (refused, self.chinese) {
            (Refused::NoSuch(number), false) => format!("There is no number {number} on your list."),
            (Refused::NoSuch(number), true) => format!("列表里没有第 {number} 项。"),
            (Refused::Full(most), false) => {
                format!("Your list has {most} things, which is the most: `/todo clear` deletes what is done.")
            }
            (Refused::Full(most), true) => format!("列表已满（{most} 项）：`/todo 清理` 删除已完成的。"),
            (Refused::TooLong(most), false) => format!("That is too long: {most} characters are the most."),
            (Refused::TooLong(most), true) => format!("内容太长，最多 {most} 个字。"),
        }
    }
}
