//! What the plugin says, in the languages it speaks.

use crate::answers::{Answer, LONGEST, MOST, Taken};

/// What is said in one language.
pub(crate) struct Words {
    pub(crate) title: &'static str,
    pub(crate) questions: &'static [&'static str],
    pub(crate) no_member: &'static str,
    how: &'static str,
    answered: &'static str,
    missing: &'static str,
    nobody: &'static str,
    yours: &'static str,
    remind: &'static str,
    late: &'static str,
    chinese: bool,
}

const ENGLISH: Words = Words {
    title: "Standup",
    questions: &["What did you do since last time?", "What will you do today?", "What is in your way?"],
    no_member: "You are not one of those this standup asks. Whoever runs the bot can add you to `members`.",
    how: "Answer with `/standup` and your text, here or to me in private; several lines are fine.",
    answered: "Answered",
    missing: "Not yet",
    nobody: "Nobody has answered yet.",
    yours: "Your answer",
    remind: "Your answer to today's standup is still missing.",
    late: "late",
    chinese: false,
};

const CHINESE: Words = Words {
    title: "站会",
    questions: &["上次站会以来完成了什么？", "今天计划做什么？", "遇到了什么困难？"],
    no_member: "你不在本次站会的名单中，请联系机器人的管理员把你加入 `members`。",
    how: "请在群里或私聊中发送 `/standup 内容` 来回答，可以写多行。",
    answered: "已回答",
    missing: "未回答",
    nobody: "还没有人回答。",
    yours: "你的回答",
    remind: "你还没有回答今天的站会问题。",
    late: "补交",
    chinese: true,
};

impl Words {
    /// Those of a language: `zh`, or English for everything else.
    pub(crate) fn of(language: &str) -> &'static Self {
        if language.trim().eq_ignore_ascii_case("zh") { &CHINESE } else { &ENGLISH }
    }

    /// What the group is asked.
    pub(crate) fn ask(&self, day: &str, questions: &[String]) -> String {
        let Words { title, how, .. } = self;
        format!("### {title} {day}\n\n{}\n\n{how}", numbered(questions))
    }

    /// What somebody is asked who has not answered.
    pub(crate) fn remind(&self, questions: &[String]) -> String {
        let Words { remind, how, .. } = self;
        format!("{remind}\n\n{}\n\n{how}", numbered(questions))
    }

    /// The summary: everybody's answer, and who gave none.
    pub(crate) fn summary(&self, day: &str, answers: &[(String, Answer)], missing: &[&str]) -> String {
        let mut parts = vec![format!("### {} {day}", self.title)];
        parts.extend(answers.iter().map(|(name, answer)| said(name, &answer.text)));
        if answers.is_empty() {
            parts.push(self.nobody.to_owned());
        }
        parts.extend(self.list(self.missing, missing));
        parts.join("\n\n")
    }

    /// How far the day is, and what the one who asks has answered.
    pub(crate) fn state(
        &self,
        day: &str,
        answered: &[&str],
        missing: &[&str],
        own: Option<&Answer>,
    ) -> String {
        let mut parts = vec![format!("### {} {day}", self.title)];
        match answered.is_empty() {
            true => parts.push(self.nobody.to_owned()),
            false => parts.extend(self.list(self.answered, answered)),
        }
        parts.extend(self.list(self.missing, missing));
        match own {
            Some(own) => parts.push(said(self.yours, &own.text)),
            None => parts.push(self.how.to_owned()),
        }
        parts.join("\n\n")
    }

    /// What was said after the summary.
    pub(crate) fn late(&self, day: &str, name: &str, text: &str) -> String {
        let Words { title, late, .. } = self;
        format!("### {title} {day} ({late})\n\n{}", said(name, text))
    }

    pub(crate) fn taken(&self, taken: &Taken, late: bool) -> String {
        let said = match (taken, self.chinese) {
            (Taken::New, false) => "Noted. Say it again to change it.".to_owned(),
            (Taken::New, true) => "已记录，再次发送可以修改。".to_owned(),
            (Taken::Replaced, false) => "Noted, in place of what you said before.".to_owned(),
            (Taken::Replaced, true) => "已更新你的回答。".to_owned(),
            (Taken::TooLong, false) => format!("That is too long: {LONGEST} characters are the most."),
            (Taken::TooLong, true) => format!("内容太长，最多 {LONGEST} 个字。"),
            (Taken::Full, false) => format!("Today has {MOST} answers, which is the most."),
            (Taken::Full, true) => format!("今天已有 {MOST} 份回答，无法再添加。"),
        };
        match (late, self.chinese) {
            (false, _) => said,
            (true, false) => {
                format!("{said} The summary was posted already, so the group gets it by itself.")
            }
            (true, true) => format!("{said}汇总已经发布，你的回答会单独发到群里。"),
        }
    }

    fn list(&self, title: &str, names: &[&str]) -> Option<String> {
        let (colon, comma) = if self.chinese { ("：", "、") } else { (": ", ", ") };
        let (count, names_) = (names.len(), names.join(comma));
        let of = if self.chinese { format!("{title}（{count}）") } else { format!("{title} ({count})") };
        (count > 0).then(|| format!("**{of}**{colon}{names_}"))
    }
}

/// A name, and what was said as a quotation: whatever markdown is in it, the page stays whole.
fn said(name: &str, text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("> {line}").trim_end().to_owned()).collect();
    // DingTalk joins lines of markdown unless there is a blank one, or two spaces at the end.
    format!("**{name}**\n\n{}", lines.join("  \n"))
}

fn numbered(questions: &[String]) -> String {
    let lines = (1..).zip(questions).map(|(number, question)| format!("{number}. {question}"));
    lines.collect::<Vec<_>>().join("\n")
}
