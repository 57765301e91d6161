//! Who may talk to an app, and what is not worth handling.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use belfry_dingtalk::{BotMessage, ConversationKind, MessageContent};

/// What becomes of a message before anything is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is handled.
    Admit,
    /// Its sender is not allowed. It is answered with this, or not at all.
    Deny { answer: Option<String> },
    /// There is nothing in it: acknowledged and forgotten.
    Empty,
    /// The organisation's quota is used up, so DingTalk left the content out.
    OverQuota { code: i64, message: String },
}

/// An app's rule.
pub(crate) struct Admission {
    everybody: bool,
    staff: HashSet<String>,
    denied_reply: Option<String>,
    /// Senders who were told, so that each is told once. At its bound nobody else is.
    told: Mutex<HashSet<String>>,
    most_told: usize,
}

impl Admission {
    pub(crate) fn new(allowed: &[String], denied_reply: Option<String>, most_told: usize) -> Self {
        Self {
            everybody: allowed.iter().any(|user| user == "*"),
            staff: allowed.iter().filter(|user| *user != "*").cloned().collect(),
            denied_reply,
            told: Mutex::default(),
            most_told,
        }
    }

    /// Whether nobody at all may talk to the app.
    pub(crate) fn denies_all(&self) -> bool {
        !self.everybody && self.staff.is_empty()
    }

    pub(crate) fn judge(&self, message: &BotMessage) -> Verdict {
        if let Some(quota) = &message.quota_error {
            return Verdict::OverQuota {
                code: quota.code,
                message: quota.message.clone().unwrap_or_default(),
            };
        }
        if message.is_own() {
            return Verdict::Empty;
        }
        if !self.allows(message) {
            return Verdict::Deny { answer: self.answer_to(message) };
        }
        if is_empty(message) { Verdict::Empty } else { Verdict::Admit }
    }

    /// Somebody without a staff id is on no list: only `*` lets external people in.
    fn allows(&self, message: &BotMessage) -> bool {
        self.everybody || message.sender.staff_id.as_ref().is_some_and(|id| self.staff.contains(id))
    }

    fn answer_to(&self, message: &BotMessage) -> Option<String> {
        let answer = self.denied_reply.as_ref()?;
        let sender = message.sender.id.as_ref().or(message.sender.staff_id.as_ref())?;
        if message.conversation.kind != ConversationKind::Private {
            return None;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let first = told.len() < self.most_told && told.insert(sender.clone());
        first.then(|| answer.clone())
    }
}

fn is_empty(message: &BotMessage) -> bool {
    let empty = match &message.content {
        MessageContent::Text(text) | MessageContent::Markdown(text) => text.trim().is_empty(),
        MessageContent::RichText(parts) => parts.is_empty(),
        // A kind without a body is still something to tell a plugin, but a text without one is not.
        MessageContent::Missing => matches!(message.kind.as_str(), "" | "text"),
        _ => false,
    };
    empty && message.quoted.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(data: &str) -> BotMessage {
        BotMessage::parse(data).unwrap()
    }

    fn private(sender: &str) -> BotMessage {
        message(&format!(
            r#"{{"conversationId":"cid","conversationType":"1","msgtype":"text","text":{{"content":" hi "}},{sender}}}"#
        ))
    }

    fn admission(allowed: &[&str]) -> Admission {
        let allowed: Vec<String> = allowed.iter().map(|&user| user.to_owned()).collect();
        Admission::new(&allowed, Some("ask Kim".into()), 2)
    }

    #[test]
    fn the_list_decides_and_external_people_need_the_star() {
        let member = private(r#""senderId":"$:1","senderStaffId":"kim""#);
        let external = private(r#""senderId":"$:2""#);
        assert_eq!(admission(&["kim"]).judge(&member), Verdict::Admit);
        assert!(matches!(admission(&["lee"]).judge(&member), Verdict::Deny { .. }));
        assert!(matches!(admission(&["kim"]).judge(&external), Verdict::Deny { .. }));
        assert_eq!(admission(&["*"]).judge(&external), Verdict::Admit);
        assert!(admission(&[]).denies_all());
        assert!(matches!(admission(&[]).judge(&member), Verdict::Deny { .. }));
        // An empty staff id is no id.
        assert!(!admission(&[""]).allows(&external));
    }

    #[test]
    fn a_denied_person_is_told_once_in_private_and_only_so_many_are() {
        let admission = admission(&["kim"]);
        let denied = |id: u32| private(&format!(r#""senderId":"$:{id}""#));
        let answer = Verdict::Deny { answer: Some("ask Kim".into()) };
        let silence = Verdict::Deny { answer: None };
        assert_eq!(admission.judge(&denied(1)), answer);
        assert_eq!(admission.judge(&denied(1)), silence);
        let group = message(
            r#"{"conversationId":"c","conversationType":"2","msgtype":"text","text":{"content":"x"},"senderId":"$:2"}"#,
        );
        assert_eq!(admission.judge(&group), silence);
        assert_eq!(admission.judge(&denied(2)), answer);
        assert_eq!(admission.judge(&denied(3)), silence);
    }

    #[test]
    fn nothing_is_not_handled() {
        let admission = admission(&["*"]);
        let empty =
            message(r#"{"conversationId":"c","msgtype":"text","text":{"content":"  "},"senderId":"$:1"}"#);
        assert_eq!(admission.judge(&empty), Verdict::Empty);
        let own = message(
            r#"{"conversationId":"c","msgtype":"text","text":{"content":"x"},"senderId":"$:b","chatbotUserId":"$:b"}"#,
        );
        assert_eq!(admission.judge(&own), Verdict::Empty);
        let quota = message(
            r#"{"conversationId":"c","senderId":"$:1","errorCode":"20001","errorMessage":"used up"}"#,
        );
        assert_eq!(admission.judge(&quota), Verdict::OverQuota { code: 20_001, message: "used up".into() });
    }
}
