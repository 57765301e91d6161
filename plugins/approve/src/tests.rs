//! Requests and decisions.

use belfry_plugin::testing::{self, Said, action, message};
use belfry_plugin::types::Mention;

use super::*;

fn set_up() {
    testing::set_config("template", "t.schema");
    testing::set_config("approvers", "mei=Mei, bob=Bob");
}

fn say(text: &str) -> Vec<String> {
    Said(Approve::on_message(message(text))).texts()
}

fn press(card: &str, what: &str, user: &str, params: &str) -> CardUpdate {
    match Approve::on_action(action(card, what, user, params)).unwrap() {
        Response::Card(update) => update,
        other => panic!("{other:?}"),
    }
}

fn variable(update: &CardUpdate, name: &str) -> String {
    let found = update.data.iter().chain(&update.private_data).find(|(of, _)| of == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

#[test]
fn one_approver_decides_and_everybody_sees_it() {
    set_up();
    assert_eq!(
        say("/approve Laptop: 8000 yuan,\nfor Ann"),
        ["\"Laptop\" was sent to Bob, Mei for approval."]
    );
    let cards = testing::cards();
    assert_eq!((&cards[0].to, &cards[1].to), (&Target::user("bob"), &Target::user("mei")));
    assert_eq!(cards[0].template, "t.schema");
    let of = |name: &str| cards[0].data[name].clone();
    assert_eq!((of("title"), of("text")), ("Laptop".to_owned(), "8000 yuan,\nfor Ann".to_owned()));
    assert_eq!((of("requester"), of("requested_at")), ("Li Wei".to_owned(), "2026-01-01 08:00".to_owned()));
    assert_eq!((of("state"), of("status")), ("waiting".to_owned(), "waiting".to_owned()));

    let update = press("c2", "approve", "mei", r#"{"comment":" fine\nby me "}"#);
    assert_eq!(
        (variable(&update, "state"), variable(&update, "decided_by")),
        ("approved".into(), "Mei".into())
    );
    assert_eq!(
        (variable(&update, "comment"), variable(&update, "notice")),
        ("fine\nby me".into(), String::new())
    );
    let told = markdown("\"Laptop\" was **approved** by Mei.\n\n> fine\n> by me").titled("Approval");
    assert_eq!(testing::sent(), [(Target::user("liwei"), told)]);
    assert_eq!(testing::cards()[0].data["state"], "approved", "the other card");
    assert_eq!(testing::cards()[1].data["state"], "waiting", "changed by the answer alone");

    // Too late, or pressed twice: told to that person alone, and nobody else.
    let update = press("c1", "reject", "bob", "{}");
    assert_eq!(variable(&update, "state"), "approved");
    assert!(variable(&update, "notice").starts_with("It was approved by Mei already, 20"), "{update:?}");
    assert_eq!(testing::sent().len(), 1);
}

#[test]
fn only_approvers_decide() {
    set_up();
    say("/approve Laptop");
    let update = press("c1", "approve", "liwei", "{}");
    assert_eq!(variable(&update, "notice"), "Only those who were asked can decide this.");
    assert!(update.data.is_empty() && testing::sent().is_empty());
    assert_eq!(
        variable(&press("c9", "approve", "mei", "{}"), "notice"),
        "This request is not known any more."
    );
    let mut nobody = action("c1", "approve", "mei", "{}");
    nobody.user = None;
    assert!(Approve::on_action(nobody).is_err());
}

#[test]
fn actions_have_several_forms() {
    set_up();
    say("/approve Laptop");
    assert_eq!(Approve::on_action(action("c1", "details", "bob", "{}")), Ok(Response::None));
    let cancelled = action("c1", "reject", "bob", r#"{"user_cancel":true}"#);
    assert_eq!(Approve::on_action(cancelled), Ok(Response::None));
    let update = press("c1", "1", "bob", r#"{"action":"reject","form":{"comment":"no"}}"#);
    assert_eq!((variable(&update, "state"), variable(&update, "comment")), ("rejected".into(), "no".into()));
    assert_eq!(testing::sent()[0].1.text(), "\"Laptop\" was **rejected** by Bob.\n\n> no");
}

#[test]
fn a_mention_chooses_the_approver() {
    set_up();
    let ask = |staff_id: Option<&str>| {
        let mention = Mention { id: "$:x".into(), staff_id: staff_id.map(str::to_owned) };
        let message = Message { mentions: vec![mention], ..message("/approve @Mei Laptop：8000") };
        Said(Approve::on_message(message)).texts()
    };
    assert_eq!(ask(Some("mei")), ["\"Laptop\" was sent to Mei for approval."]);
    assert_eq!(testing::cards()[0].data["text"], "8000");
    assert_eq!(ask(Some("eve")), ["Somebody you mentioned is no approver of this."]);
    assert_eq!(ask(None), ["Somebody you mentioned is no approver of this."]);
    assert_eq!(testing::cards().len(), 1);
}

#[test]
fn the_list_shows_both_sides() {
    set_up();
    assert_eq!(say("/approve list"), ["There are no requests of yours or for you."]);
    say("/approve Laptop: 8000");
    assert_eq!(say("/approve LIST"), ["### Yours\n\n- Laptop: waiting"]);
    let mut of_mei = message("/approve list");
    of_mei.sender.staff_id = Some("mei".into());
    let texts = Said(Approve::on_message(of_mei)).texts();
    assert_eq!(texts, ["### Waiting for you\n\n- Laptop (Li Wei, 2026-01-01 08:00)"]);
    press("c1", "reject", "bob", "{}");
    assert!(say("/approve list")[0].starts_with("### Yours\n\n- Laptop: rejected (Bob, 20"));
    testing::set_config("language", "zh");
    assert!(say("/approve 列表")[0].starts_with("### 你发起的\n\n- Laptop: 已拒绝"));
}

#[test]
fn what_cannot_be_asked_is_said() {
    set_up();
    assert!(say("/approve")[0].contains("`/approve TITLE: TEXT`"));
    assert!(say("/approve : no title")[0].contains("`/approve TITLE: TEXT`"));
    assert!(say(&format!("/approve {}", "x".repeat(101)))[0].starts_with("That is too long: 100"));
    let mut external = message("/approve x");
    external.sender.staff_id = None;
    assert_eq!(
        Said(Approve::on_message(external)).texts(),
        ["Only people of the organisation can ask for approval."]
    );
    let ask = |number: usize| {
        let message = Message { id: format!("m{number}"), ..message("/approve x") };
        Said(Approve::on_message(message)).texts().concat()
    };
    assert!((0..MOST_OPEN).all(|number| ask(number).contains("was sent")));
    assert_eq!(ask(MOST_OPEN), "20 requests of yours are waiting, which is the most.");
}

#[test]
fn old_requests_are_deleted() {
    set_up();
    say("/approve old");
    let late = Message {
        id: "m2".into(),
        sent_at: message("").sent_at + 91 * 86_400_000,
        ..message("/approve new")
    };
    Approve::on_message(late).unwrap();
    assert_eq!(testing::value("requests", "msg1"), None);
    assert_eq!(testing::value("cards", "c1"), None);
    assert!(testing::value("requests", "m2").is_some() && testing::value("cards", "c3").is_some());
}
