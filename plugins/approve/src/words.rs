//! What the plugin says, in the languages it speaks.

use crate::request::{LONGEST_TEXT, LONGEST_TITLE, MOST_OPEN};
use crate::settings::{MOST_APPROVERS, Nobody};

/// What is said in one language.
pub(crate) struct Words {
    pub(crate) title: &'static str,
    pub(crate) help: &'static str,
    pub(crate) staff_only: &'static str,
    pub(crate) waiting: &'static str,
    pub(crate) approved: &'static str,
    pub(crate) rejected: &'static str,
    pub(crate) nothing: &'static str,
    pub(crate) for_you: &'static str,
    pub(crate) yours: &'static str,
    pub(crate) unknown: &'static str,
    pub(crate) not_yours: &'static str,
    chinese: bool,
}

const ENGLISH: Words = Words {
    title: "Approval",
    help: "- `/approve TITLE: TEXT` asks for approval\n- `/approve @PERSON TITLE: TEXT` asks a certain approver, in a group\n\
           - `/approve list` shows what waits for you, and what became of yours",
    staff_only: "Only people of the organisation can ask for approval.",
    waiting: "waiting",
    approved: "approved",
    rejected: "rejected",
    nothing: "There are no requests of yours or for you.",
    for_you: "Waiting for you",
    yours: "Yours",
    unknown: "This request is not known any more.",
    not_yours: "Only those who were asked can decide this.",
    chinese: false,
};

const CHINESE: Words = Words {
    title: "审批",
    help: "- `/approve 标题：内容` 发起审批\n- `/approve @某人 标题：内容` 在群里指定审批人\n\
           - `/approve 列表` 查看待你审批的和你发起的审批",
    staff_only: "只有组织内成员可以发起审批。",
    waiting: "待审批",
    approved: "已同意",
    rejected: "已拒绝",
    nothing: "没有与你有关的审批。",
    for_you: "待你审批",
    yours: "你发起的",
    unknown: "该审批已不存在。",
    not_yours: "只有审批人可以处理。",
    chinese: true,
};

impl Words {
    /// Those of a language: `zh`, or English for everything else.
    pub(crate) fn of(language: &str) -> &'static Self {
        if language.trim().eq_ignore_ascii_case("zh") { &CHINESE } else { &ENGLISH }
    }

    pub(crate) fn decided(&self, approved: bool) -> &'static str {
        if approved { self.approved } else { self.rejected }
    }

    pub(crate) fn sent(&self, title: &str, names: &[String]) -> String {
        match self.chinese {
            true => format!("“{title}”已发送给 {} 审批。", names.join("、")),
            false => format!("\"{title}\" was sent to {} for approval.", names.join(", ")),
        }
    }

    /// What the one who asked is told. The comment is a quotation.
    pub(crate) fn result(&self, title: &str, status: &str, by: &str, comment: &str) -> String {
        let said = match self.chinese {
            true => format!("“{title}” **{status}**（{by}）"),
            false => format!("\"{title}\" was **{status}** by {by}."),
        };
        match comment {
            "" => said,
            comment => format!("{said}\n\n> {}", comment.replace('\n', "\n> ")),
        }
    }

    /// To somebody who presses a button of what was decided before.
    pub(crate) fn already(&self, status: &str, by: &str, at: &str) -> String {
        match self.chinese {
            true => format!("{by} 已于 {at} 处理：{status}。"),
            false => format!("It was {status} by {by} already, {at}."),
        }
    }

    pub(crate) fn nobody(&self, nobody: &Nobody) -> String {
        match (nobody, self.chinese) {
            (Nobody::OnlyYou, false) => {
                "Nobody but you could approve this, and that does not count.".to_owned()
            }
            (Nobody::OnlyYou, true) => "除你之外没有其他审批人，不能自己审批。".to_owned(),
            (Nobody::NotAnApprover, false) => "Somebody you mentioned is no approver of this.".to_owned(),
            (Nobody::NotAnApprover, true) => "你提到的人中有人不是审批人。".to_owned(),
            (Nobody::MentionSomebody, false) => {
                "Who is to approve it? Mention somebody, in a group.".to_owned()
            }
            (Nobody::MentionSomebody, true) => "请在群里 @ 审批人。".to_owned(),
            (Nobody::TooMany, false) => format!("{MOST_APPROVERS} approvers are the most."),
            (Nobody::TooMany, true) => format!("审批人最多 {MOST_APPROVERS} 位。"),
        }
    }

    pub(crate) fn too_long(&self) -> String {
        match self.chinese {
            true => format!("内容太长：标题最多 {LONGEST_TITLE} 个字，正文最多 {LONGEST_TEXT} 个字。"),
            false => format!(
                "That is too long: {LONGEST_TITLE} characters for the title, {LONGEST_TEXT} for the text."
            ),
        }
    }

    pub(crate) fn too_many(&self) -> String {
        match self.chinese {
            true => format!("你有 {MOST_OPEN} 项审批还在等待，已达上限。"),
            false => format!("{MOST_OPEN} requests of yours are waiting, which is the most."),
        }
    }
}
