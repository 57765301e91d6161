//! Days of a team.

use belfry_plugin::testing::{self, Said, message, tick};
use belfry_plugin::types::SendEffect;

use super::*;

/// 2026-01-01, 09:00 in China.
const NINE: u64 = 1_767_225_600_000 + 3_600_000;
const DAY: u64 = 86_400_000;

fn set_up() {
    testing::set_config("group", "cidG");
    testing::set_config("members", "liwei=Li Wei, mei=Mei, bob");
}

fn say(who: &str, at: u64, text: &str) -> Vec<String> {
    let mut message = message(text);
    message.sender.id = format!("$:{who}");
    message.sender.staff_id = Some(who.to_owned());
    message.sender.nick = who.to_uppercase();
    message.sent_at = at;
    Said(Standup::on_message(message)).texts()
}

/// What a tick has sent: to whom, and what.
fn due(name: &str, at: u64) -> Vec<(Target, String)> {
    let sent = |effect: Effect| match effect {
        Effect::Send(SendEffect { to, message }) => (to, message.text().to_owned()),
        Effect::Emit(event) => panic!("{event:?}"),
    };
    Standup::on_event(tick(name, at)).unwrap().into_iter().map(sent).collect()
}

#[test]
fn a_day_from_the_questions_to_the_summary() {
    set_up();
    let group = Target::group("cidG");
    let asked = due("ask", NINE);
    assert_eq!(asked[0].0, group);
    assert!(
        asked[0].1.starts_with("### Standup 2026-01-01\n\n1. What did you do since last time?\n2. "),
        "{asked:?}"
    );
    assert_eq!(say("liwei", NINE + 1, "/standup did A\nwill do *B*"), ["Noted. Say it again to change it."]);
    assert_eq!(say("bob", NINE + 2, "/Standup nothing"), ["Noted. Say it again to change it."]);
    assert_eq!(say("bob", NINE + 3, "/standup still nothing"), ["Noted, in place of what you said before."]);
    assert!(say("eve", NINE, "/standup hi").concat().starts_with("You are not one of those"));
    let reminded = due("remind", NINE + 4);
    assert_eq!(reminded.iter().map(|(to, _)| to.clone()).collect::<Vec<_>>(), [Target::user("mei")]);
    let wanted = "### Standup 2026-01-01\n\n**Li Wei**\n\n> did A  \n> will do *B*\n\n**BOB**\n\n> still nothing\n\n\
                  **Not yet (1)**: Mei";
    assert_eq!(due("summary", NINE + 5), [(group.clone(), wanted.to_owned())]);
    // A tick that is handled again says the same.
    assert_eq!(due("summary", NINE + 5), [(group.clone(), wanted.to_owned())]);
    assert!(say("mei", NINE + 6, "/standup slept").concat().ends_with("so the group gets it by itself."));
    let late = markdown("### Standup 2026-01-01 (late)\n\n**Mei**\n\n> slept").titled("Standup");
    assert_eq!(testing::sent(), [(group, late)]);
}

#[test]
fn the_state_shows_who_has_answered() {
    set_up();
    let state = say("mei", NINE, "/standup").concat();
    assert!(state.contains("Nobody has answered yet.\n\n**Not yet (3)**: Li Wei, Mei, bob"), "{state}");
    say("mei", NINE, "/standup busy");
    let state = say("mei", NINE, "/standup").concat();
    assert!(
        state.contains("**Answered (1)**: Mei") && state.ends_with("**Your answer**\n\n> busy"),
        "{state}"
    );
    let mut in_group = message("/standup");
    in_group.sent_at = NINE;
    in_group.conversation.kind = belfry_plugin::types::ConversationKind::Group;
    let state = Said(Standup::on_message(in_group)).texts().concat();
    assert!(!state.contains("busy"), "{state}");
    testing::set_config("language", "zh");
    let state = say("liwei", NINE, "/standup").concat();
    assert!(state.contains("**已回答（1）**：Mei\n\n**未回答（2）**：Li Wei、bob"), "{state}");
}

#[test]
fn anybody_may_answer_where_no_members_are_named() {
    testing::set_config("group", "cidG");
    say("eve", NINE, "/standup hi");
    assert_eq!(due("summary", NINE)[0].1, "### Standup 2026-01-01\n\n**EVE**\n\n> hi");
    assert_eq!(due("summary", NINE + DAY)[0].1, "### Standup 2026-01-02\n\nNobody has answered yet.");
}

#[test]
fn old_days_are_deleted() {
    set_up();
    testing::set_config("keep_days", "2");
    for day in 0..3 {
        say("mei", NINE + day * DAY, "/standup x");
        due("summary", NINE + day * DAY);
    }
    let kept = |day: &str| testing::value("answers", &format!("2026-01-0{day}/$:mei")).is_some();
    assert_eq!((kept("1"), kept("2"), kept("3")), (false, true, true));
    assert_eq!(testing::value("posted", "2026-01-01"), None);
}

#[test]
fn too_much_is_refused() {
    set_up();
    let long = format!("/standup {}", "长".repeat(answers::LONGEST + 1));
    assert_eq!(say("mei", NINE, &long), ["That is too long: 2000 characters are the most."]);
    for number in 0..answers::MOST {
        testing::set_value("answers", &format!("2026-01-01/{number}"), r#"{"nick":"x","text":"y","at":1}"#);
    }
    assert_eq!(say("mei", NINE, "/standup one more"), ["Today has 200 answers, which is the most."]);
}

#[test]
fn other_ticks_and_events_are_mistakes() {
    set_up();
    let failed = Standup::on_event(tick("daily", NINE)).unwrap_err();
    assert!(failed.reason().contains("name them `ask`, `remind` and `summary`"), "{failed}");
    assert!(Standup::on_event(testing::event("x.y", None, "{}")).is_err());
}
