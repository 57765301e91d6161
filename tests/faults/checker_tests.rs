//! The checker must find what it is there to find.

use std::sync::Arc;

use belfry_simulator::{Acked, Happening, OutcomeUnknown, Place, Record, Reply, Sent, Told, Via};
use serde_json::json;

use crate::checker::{Checker, Expect, Report};

/// A checker that is told a story, one record after the other.
struct Story {
    checker: Checker,
    seq: u64,
}

impl Story {
    fn new() -> Self {
        Self::of(Checker::new(None, false))
    }

    fn of(checker: Checker) -> Self {
        Self { checker, seq: 0 }
    }

    fn record(&mut self, what: Happening) -> &mut Self {
        self.seq += 1;
        self.checker.read(&Record { seq: self.seq, at_us: 0, what });
        self
    }

    fn say(&mut self, id: &str) -> &mut Self {
        self.checker.said("robot", id, "cid", Expect::Answer(id.to_owned()));
        self
    }

    fn sent(&mut self, id: &str, connection: &str) -> &mut Self {
        self.record(Happening::Sent(Sent {
            client_id: "robot".into(),
            connection: connection.into(),
            push: 0,
            topic: "".into(),
            id: id.into(),
            message_id: "".into(),
            attempt: 1,
        }))
    }

    fn acked(&mut self, id: &str) -> &mut Self {
        self.acked_with(id, 200, 1)
    }

    fn acked_with(&mut self, id: &str, code: i64, nth: u32) -> &mut Self {
        self.record(Happening::Acked(Acked {
            client_id: "robot".into(),
            connection: "c1".into(),
            push: 0,
            topic: "".into(),
            id: id.into(),
            message_id: "".into(),
            attempt: 1,
            nth,
            code,
            message: String::new(),
            data: String::new(),
        }))
    }

    fn taken(&mut self, id: &str) -> &mut Self {
        self.say(id).sent(id, "c1").acked(id)
    }

    fn answered(&mut self, id: &str) -> &mut Self {
        self.replied(id, "cid", &format!("uuid of {id}"))
    }

    fn replied(&mut self, id: &str, conversation: &str, uuid: &str) -> &mut Self {
        let call = self.seq + 1;
        self.record(Happening::Replied(Reply {
            client_id: "robot".into(),
            conversation: conversation.into(),
            via: Via::Webhook,
            staff_id: None,
            key: None,
            call,
            body: json!({"msgtype": "text", "text": {"content": format!("{id} is answered")}, "msgUuid": uuid}),
            uuid: Some(uuid.to_owned()),
            repeated: false,
            posted: true,
        }))
    }

    /// The answer to the last reply did not reach the bot.
    fn unknown(&mut self) -> &mut Self {
        let call = self.seq;
        self.record(Happening::OutcomeUnknown(OutcomeUnknown {
            call,
            place: Place::Webhook,
            client_id: Some("robot".into()),
            conversation: Some("cid".into()),
            uuid: None,
            taken: true,
            told: Told::Reset,
        }))
    }

    fn killed(&mut self) -> &mut Self {
        self.checker.killed(self.seq + 1);
        self
    }

    fn restarted(&mut self) -> &mut Self {
        let connection: Arc<str> = "c2".into();
        self.record(Happening::Opened { client_id: "robot".into(), connection })
    }

    fn verdict(&mut self) -> Result<Report, String> {
        std::mem::replace(&mut self.checker, Checker::new(None, false)).verdict()
    }

    fn fails_with(&mut self, words: &str) {
        let wrong = self.verdict().expect_err("something is wrong");
        assert!(wrong.contains(words), "{wrong}");
    }
}

#[test]
fn what_goes_well_is_counted() {
    let mut story = Story::new();
    for id in ["a", "b", "c"] {
        story.taken(id).answered(id);
    }
    assert_eq!(story.checker.open(), 0);
    let report = story.verdict().unwrap();
    assert_eq!((report.messages, report.acked, report.replies, report.ordered_pairs), (3, 3, 3, 3));
}

#[test]
fn a_lost_message_is_found() {
    Story::new().taken("a").taken("b").answered("b").fails_with("never answered");
    Story::new().say("a").sent("a", "c1").fails_with("not acknowledged");
}

#[test]
fn a_doubled_reply_is_found_unless_its_outcome_was_unknown() {
    Story::new().taken("a").answered("a").answered("a").fails_with("nothing excuses");
    let report = Story::new().taken("a").answered("a").unknown().answered("a").verdict().unwrap();
    assert_eq!(report.repeated_unknown, 1);
    // It excuses one repeat, not two.
    Story::new().taken("a").answered("a").unknown().answered("a").answered("a").fails_with("nothing excuses");
}

#[test]
fn a_kill_excuses_what_it_interrupted() {
    let report = Story::new().taken("a").answered("a").killed().restarted().answered("a").verdict().unwrap();
    assert_eq!(report.repeated_after_kill, 1);
    Story::new().taken("a").killed().restarted().answered("a").answered("a").fails_with("nothing excuses");
    // A reply from the middle: its mark was written, for that of the next one was.
    let mut story = Story::new();
    story.taken("a").answered("a").taken("b").answered("b").killed().restarted().answered("a");
    story.fails_with("but not that of");
    // Two kills: the first reply came again after the one and was marked, the second only after the other.
    let mut story = Story::new();
    story.taken("a").answered("a").taken("b").answered("b").killed().restarted().answered("a");
    story.killed().restarted().answered("b").verdict().unwrap();
}

#[test]
fn not_everything_may_come_again_after_a_kill() {
    let mut story = Story::new();
    for id in ["a", "b", "c"] {
        story.taken(id).answered(id);
    }
    story.killed().restarted().answered("a").answered("b").answered("c").fails_with("3 replies came again");
}

#[test]
fn a_repeat_must_be_the_same() {
    let mut story = Story::new();
    story.taken("a").answered("a").unknown().replied("a", "cid", "another uuid");
    story.fails_with("answered differently");
}

#[test]
fn answers_out_of_order_are_found_where_the_order_is_certain() {
    Story::new().taken("a").taken("b").answered("b").answered("a").fails_with("out of order");
    // On one connection the order of the frames is the order of the messages, whenever they are acknowledged.
    let mut story = Story::new();
    story.say("a").say("b").sent("a", "c1").sent("b", "c1").acked("b").acked("a");
    story.answered("b").answered("a").fails_with("out of order");
    // On two connections it is not.
    let mut story = Story::new();
    story.say("a").say("b").sent("a", "c1").sent("b", "c2").acked("b").acked("a");
    story.answered("b").answered("a").verdict().unwrap();
    // Nor if the first frame may have been lost.
    let mut story = Story::new();
    story.say("a").say("b").sent("a", "c1").sent("b", "c1").acked("b").sent("a", "c1").acked("a");
    story.answered("b").answered("a").verdict().unwrap();
}

#[test]
fn answers_in_the_wrong_place_or_to_nothing_are_found() {
    Story::new().taken("a").replied("a", "elsewhere", "u").fails_with("instead of cid");
    Story::new().taken("a").answered("a").answered("ghost").fails_with("answers nothing");
    Story::new().taken("a").answered("a").acked_with("a", 200, 2).fails_with("strange acknowledgement");
    Story::new().say("a").sent("a", "c1").acked_with("a", 500, 1).answered("a").fails_with("strange");
}

#[test]
fn seen_twice_is_found_where_msg_uuid_is_honoured() {
    let mut story = Story::of(Checker::new(None, true));
    story.taken("a").answered("a").unknown().answered("a").fails_with("2 times");
}

#[test]
fn a_failure_is_told_once() {
    let mut story = Story::of(Checker::new(Some("failure is answered"), false));
    story.checker.said("robot", "a", "cid", Expect::Failure);
    story.sent("a", "c1").acked("a");
    assert_eq!(story.checker.open(), 1);
    story.replied("failure", "cid", "robot-a-notice");
    assert_eq!(story.checker.open(), 0);
    story.verdict().unwrap();
}
