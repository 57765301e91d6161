//! One script that every echo bot must pass, whatever it is built on: the official SDKs prove the simulator with it,
//! and then the simulator proves Belfry.
//!
//! The bot answers every text with a reply that contains the text, through the session webhook. Where bots may
//! differ, [`Expectations`] says what this one does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::push::Push;
use crate::record::{Happening, NotSeen};
use crate::say::{Content, Person, Quoted, QuotedContent, RichRun, Say, conversation_id};
use crate::simulator::Simulator;

/// What is known about the bot under test.
#[derive(Debug, Clone)]
pub struct Expectations {
    /// The app it registers as.
    pub client_id: String,
    /// Somebody it answers.
    pub sender: Person,
    /// Replies to one message that is delivered twice under the same `msgId`: 2 for the official SDKs, which do not
    /// remember it, 1 for a host that does.
    pub replies_to_repeated: usize,
    /// Whether it answers people without a staff id.
    pub answers_external: bool,
    /// Whether it acks a message without content and with error code 20001.
    pub acks_quota: bool,
    /// Code of its ack for a topic it does not know; `None`: it does not ack.
    pub unknown_topic: Option<i64>,
    /// Whether it subscribes to events (and then acks them with 200).
    pub events: bool,
    /// Whether it answers card actions (with a `response` in the ack).
    pub cards: bool,
    /// Longest wait in each step, in real time.
    pub patience: Duration,
}

impl Expectations {
    /// A bot that handles everything and every message once.
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            sender: Person::default(),
            replies_to_repeated: 1,
            answers_external: true,
            acks_quota: true,
            unknown_topic: Some(404),
            events: true,
            cards: true,
            patience: Duration::from_secs(30),
        }
    }
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What each step took, in order.
    pub steps: Vec<(&'static str, Duration)>,
    /// From the `disconnect` frame to the next open connection.
    pub gap: Duration,
}

/// The step that failed, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed at step {step:?}: {reason}")]
pub struct Failure {
    /// The step.
    pub step: &'static str,
    /// The reason.
    pub reason: String,
}

/// Runs the script against a bot that was pointed at the simulator. Nothing else may talk to this app meanwhile.
///
/// # Errors
/// At the first step that does not go as expected.
pub async fn run(simulator: &Simulator, expected: &Expectations) -> Result<Report, Failure> {
    let mut run = Run {
        simulator,
        expected,
        private: conversation_id("scenario/private"),
        group: conversation_id("scenario/group"),
        steps: Vec::new(),
        step: "",
        since: Instant::now(),
        marks: 0,
    };
    let gap = run.all().await.map_err(|reason| Failure { step: run.step, reason })?;
    run.enter("end");
    Ok(Report { steps: run.steps, gap })
}

struct Run<'a> {
    simulator: &'a Simulator,
    expected: &'a Expectations,
    private: String,
    group: String,
    steps: Vec<(&'static str, Duration)>,
    step: &'static str,
    since: Instant,
    marks: u32,
}

impl Run<'_> {
    fn enter(&mut self, step: &'static str) {
        if !self.step.is_empty() {
            self.steps.push((self.step, self.since.elapsed()));
        }
        self.step = step;
        self.since = Instant::now();
    }

    /// A word that no other message of this run contains.
    fn mark(&mut self, name: &str) -> String {
        self.marks += 1;
        format!("{name} no. {} of the script", self.marks)
    }

    fn say(&self, say: Say) -> u64 {
        self.simulator.say_tracked(say.to(&self.expected.client_id)).push
    }

    fn text(&self, text: &str) -> Say {
        Say::private(&self.private, self.expected.sender.clone(), text)
    }

    /// Says it, and waits for the ack and the reply.
    async fn converse(&self, say: Say, part: &str) -> Result<(), String> {
        let since = self.simulator.now();
        let conversation = say.conversation.clone();
        let push = self.say(say);
        self.acked(since, push).await?;
        self.replied(since, &conversation, part).await
    }

    async fn acked(&self, since: u64, push: u64) -> Result<(), String> {
        let acked = self.simulator.wait_for_ack(since, push, self.expected.patience).await;
        let acked = acked.map_err(|missing| format!("no ack: {missing}"))?;
        if acked.code == 200 {
            Ok(())
        } else {
            Err(format!("acked with code {}: {}", acked.code, acked.message))
        }
    }

    async fn replied(&self, since: u64, conversation: &str, part: &str) -> Result<(), String> {
        let reply = self.simulator.wait_for_reply(since, conversation, part, self.expected.patience).await;
        reply.map(|_| ()).map_err(|missing: NotSeen| format!("no reply with {part:?}: {missing}"))
    }

    /// Whether the bot still answers: a text in the private chat.
    async fn alive(&mut self) -> Result<(), String> {
        let mark = self.mark("still there?");
        self.converse(self.text(&mark), &mark).await
    }

    fn count_replies(&self, since: u64, part: &str) -> usize {
        let records = self.simulator.records(since, usize::MAX).records;
        let hit = |what: &Happening| matches!(what, Happening::Replied(reply) if reply.text().contains(part));
        records.iter().filter(|record| hit(&record.what)).count()
    }

    async fn all(&mut self) -> Result<Duration, String> {
        let app = Some(self.expected.client_id.as_str());
        let patience = self.expected.patience;

        self.enter("register and connect");
        let connected = self.simulator.wait_for_connections(app, 1, patience).await;
        connected.map_err(|missing| format!("no connection: {missing}"))?;

        self.enter("ping");
        let since = self.simulator.now();
        self.simulator.ping(app);
        let echoed = self.simulator.wait_for(since, patience, |what| match what {
            Happening::SystemAcked { topic, echoed, .. } if &**topic == "ping" => Some(*echoed),
            _ => None,
        });
        if !echoed.await.map_err(|missing| format!("the ping was not answered: {missing}"))? {
            return Err("the answer to the ping lacks its opaque value".to_owned());
        }

        self.enter("text in a private chat");
        let mark = self.mark("private text");
        self.converse(self.text(&mark), &mark).await?;

        self.enter("text in a group");
        let mark = self.mark("group text");
        let mut say = Say::group(&self.group, self.expected.sender.clone(), &mark);
        say.mentions.push(Person::external("Visitor"));
        self.converse(say, &mark).await?;

        self.enter("text from an external user");
        if self.expected.answers_external {
            let mark = self.mark("external text");
            let conversation = conversation_id("scenario/external");
            self.converse(Say::private(conversation, Person::external("Visitor"), &mark), &mark).await?;
        }

        self.enter("every kind of message");
        self.kinds().await?;

        self.enter("event");
        if self.expected.events {
            let push =
                Push::event("user_add_org", json!({"timestamp": "1685501863357", "userId": ["0151227"]}));
            let acked = self.simulator.call(push.to(&self.expected.client_id), patience).await;
            let acked = acked.map_err(|problem| format!("the event was not acked: {problem}"))?;
            if acked.code != 200 {
                return Err(format!("the event was acked with code {}", acked.code));
            }
        }

        self.enter("card action");
        if self.expected.cards {
            let push = Push::card_action("track_1", "manager1234", &["agree"], json!({"note": "fine"}));
            let acked = self.simulator.call(push.to(&self.expected.client_id), patience).await;
            let acked = acked.map_err(|problem| format!("the card action was not acked: {problem}"))?;
            if acked.code != 200 || acked.response().is_none() {
                return Err(format!(
                    "the card action's ack holds no response: {} {}",
                    acked.code, acked.data
                ));
            }
        }

        self.enter("unknown topic");
        self.unknown_topic().await?;

        self.enter("one message delivered twice");
        self.twice().await?;

        self.enter("disconnect");
        let gap = self.reconnect().await?;

        self.enter("one ack a frame");
        let again = self.simulator.stats().acked_again;
        if again > 0 { Err(format!("{again} frames were acked more than once")) } else { Ok(gap) }
    }

    async fn kinds(&mut self) -> Result<(), String> {
        let since = self.simulator.now();
        let mut pushes = BTreeMap::new();
        for content in Content::samples() {
            let name = format!("{content:?}");
            pushes.insert(self.say(self.text("").content(content)), name);
        }
        for quoted in quoted_samples() {
            let name = format!("{quoted:?}");
            pushes.insert(self.say(self.text("about that").quoting(quoted)), name);
        }
        let quota = self.say(self.text("").content(Content::QuotaExhausted));
        if self.expected.acks_quota {
            pushes.insert(quota, "the message of an exhausted quota".to_owned());
        }
        for (push, name) in pushes {
            self.acked(since, push).await.map_err(|reason| format!("{name}: {reason}"))?;
        }
        self.alive().await
    }

    async fn unknown_topic(&mut self) -> Result<(), String> {
        let since = self.simulator.now();
        let push =
            Push::callback("/v1.0/never/heard/of", json!({})).to(&self.expected.client_id).unsubscribed();
        let push = self.simulator.push(push).push;
        if let Some(code) = self.expected.unknown_topic {
            let acked = self.simulator.wait_for_ack(since, push, self.expected.patience).await;
            let acked = acked.map_err(|missing| format!("no ack: {missing}"))?;
            if acked.code != code {
                return Err(format!("acked with code {} instead of {code}", acked.code));
            }
        }
        self.alive().await?;
        let records = self.simulator.records(since, usize::MAX).records;
        let acked = records.iter().any(|r| matches!(&r.what, Happening::Acked(acked) if acked.push == push));
        if acked && self.expected.unknown_topic.is_none() {
            return Err("it was acked, contrary to what is known of this bot".to_owned());
        }
        Ok(())
    }

    async fn twice(&mut self) -> Result<(), String> {
        let since = self.simulator.now();
        let mark = self.mark("told twice");
        let say = self.text(&mark).with_msg_id(crate::payload::new_msg_id());
        self.converse(say.clone(), &mark).await?;
        let again = self.say(say);
        self.acked(since, again).await?;
        let mut replies = 0;
        let enough = self.simulator.wait_for(since, self.expected.patience, |what| {
            if matches!(what, Happening::Replied(reply) if reply.text().contains(&mark)) {
                replies += 1;
            }
            (replies >= self.expected.replies_to_repeated).then_some(())
        });
        enough.await.map_err(|missing| format!("too few replies: {missing}"))?;
        // What comes later in the same conversation is answered later by a bot that keeps the order.
        self.alive().await?;
        match self.count_replies(since, &mark) {
            n if n == self.expected.replies_to_repeated => Ok(()),
            n => Err(format!("{n} replies instead of {}", self.expected.replies_to_repeated)),
        }
    }

    async fn reconnect(&mut self) -> Result<Duration, String> {
        let app = Some(self.expected.client_id.as_str());
        let since = self.simulator.now();
        let before = Instant::now();
        let told = self.simulator.disconnect(app, "persistent connection is timeout");
        if told == 0 {
            return Err("there was no connection to end".to_owned());
        }
        let mut marks = Vec::new();
        for _ in 0..3 {
            let mark = self.mark("around the reconnect");
            self.say(self.text(&mark));
            marks.push(mark);
        }
        let open = self.simulator.wait_for_connections(app, 1, self.expected.patience).await;
        open.map_err(|missing| format!("no new connection: {missing}"))?;
        let gap = before.elapsed();
        let mut closed = 0;
        let gone = self.simulator.wait_for(since, self.expected.patience, |what| {
            closed += usize::from(matches!(what, Happening::Closed { .. }));
            (closed >= told).then_some(())
        });
        gone.await.map_err(|missing| format!("the old connection was not closed: {missing}"))?;
        for mark in &marks {
            self.replied(since, &self.private, mark).await?;
        }
        self.alive().await?;
        for mark in &marks {
            match self.count_replies(since, mark) {
                1 => {}
                n => return Err(format!("{n} replies to {mark:?}")),
            }
        }
        Ok(gap)
    }
}

/// Every known shape of a quoted message.
fn quoted_samples() -> Vec<Quoted> {
    let code = "mIofN681YE3f".to_owned();
    let contents = [
        QuotedContent::Text { text: "before".into() },
        QuotedContent::Picture { download_code: code.clone() },
        QuotedContent::RichText {
            runs: vec![RichRun::Text { text: "see".into() }, RichRun::Picture { download_code: code }],
        },
        QuotedContent::Markdown { text: "**before**".into() },
        QuotedContent::Unknown,
        QuotedContent::InteractiveCard,
        QuotedContent::Untyped { text: "before".into() },
    ];
    let quoted = |(n, content)| Quoted {
        msg_id: format!("msgQuoted{n}=="),
        sender_id: Some(Person::default().dingtalk_id()),
        process_query_key: (content == QuotedContent::InteractiveCard).then(|| "queryKey1".to_owned()),
        content,
    };
    contents.into_iter().enumerate().map(quoted).collect()
}
