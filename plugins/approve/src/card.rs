//! The variables of a card.

use crate::request::Approval;
use crate::settings::Settings;

/// What only the person who pressed sees.
pub(crate) const NOTICE: &str = "notice";

/// All variables of a new card.
pub(crate) fn whole(approval: &Approval, settings: &Settings) -> Vec<(&'static str, String)> {
    let mut data = vec![
        ("title", approval.title.clone()),
        ("text", approval.text.clone()),
        ("requester", approval.nick.clone()),
        ("requested_at", settings.show_time(approval.at)),
        (NOTICE, String::new()),
    ];
    data.extend(outcome(approval, settings));
    data
}

/// The variables that a decision changes.
pub(crate) fn outcome(approval: &Approval, settings: &Settings) -> Vec<(&'static str, String)> {
    let words = settings.words;
    let (state, status, by, at, comment) = match &approval.decision {
        None => ("waiting", words.waiting, String::new(), String::new(), String::new()),
        Some(decision) => (
            if decision.approved { "approved" } else { "rejected" },
            words.decided(decision.approved),
            settings.name_of(&decision.by),
            settings.show_time(decision.at),
            decision.comment.clone(),
        ),
    };
    vec![
        ("state", state.to_owned()),
        ("status", status.to_owned()),
        ("decided_by", by),
        ("decided_at", at),
        ("comment", comment),
    ]
}
