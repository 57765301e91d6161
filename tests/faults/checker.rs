//! Proves from what a simulated DingTalk recorded that a bot lost nothing, doubled nothing and kept the order.
//!
//! It knows every message that was said and reads every record: what was sent when and on which connection, what was
//! acknowledged, which replies came in. [`Checker::verdict`] then holds all of it against these claims:
//!
//! 1. Each message that was acknowledged is answered, in its own conversation, by the robot it was said to, with the
//!    words it asks for. Nothing else is answered. Each frame has at most one acknowledgement, with code 200.
//! 2. Within a conversation the first answers come in the order in which the messages were taken. Which message was
//!    taken first is certain if one was acknowledged before the other was sent at all, or if both came on one
//!    connection; where it is not certain, nothing is claimed.
//! 3. A reply comes once. It may come again where its outcome was unknown: the process was killed in between, or its call
//!    ended without an answer that tells ([`OutcomeUnknown`]). Then it is the same reply to the byte, `msgUuid` included,
//!    and after a kill only the last replies of a conversation come again, none from the middle, on average
//!    [`UNMARKED`] of each at most.
//! 4. If the gateway honours `msgUuid`, people see each reply once whatever happened.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

use belfry_simulator::{Happening, OutcomeUnknown, Record, Reply, Via};

/// A message of one robot: ClientID and `msgId`.
type Name = (Arc<str>, Arc<str>);

/// Messages of one conversation whose order is compared with each other; those further apart follow from it.
const NEIGHBOURS: usize = 100;

/// Replies of a conversation of which a process that is killed may not have noted that they arrived, on average over all
/// conversations: the one that is on its way, and those whose marks wait while the disk is busy.
const UNMARKED: usize = 2;

/// What a message leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// One reply that begins with this word, with which no other reply of this robot begins.
    Answer(String),
    /// The same, but its reply is a dead letter until an operator tries it again: it keeps nothing waiting, and its place
    /// among the others is lost.
    Late(String),
    /// Its handler fails for good: the person is told in one line.
    Failure,
}

struct Message {
    conversation: String,
    expect: Expect,
    /// Number of the record and connection of each frame that carried it.
    sent: Vec<(u64, Arc<str>)>,
    acked: Option<u64>,
    answers: Vec<Answer>,
    given_up: bool,
}

struct Answer {
    seq: u64,
    call: u64,
    via: Via,
    uuid: Option<String>,
    body: String,
    /// Whether people see it.
    posted: bool,
}

/// From the death of a process to the first connection of the next.
struct Kill {
    from: u64,
    until: Option<u64>,
    /// Its journal was damaged before the next began: any of its marks may be missing.
    damaged: bool,
}

/// See the module.
pub struct Checker {
    messages: BTreeMap<Name, Message>,
    by_word: HashMap<(Arc<str>, String), Name>,
    /// Messages whose handlers fail, as they were said.
    failing: Vec<Name>,
    /// Messages of which something is still missing.
    open: BTreeSet<Name>,
    kills: Vec<Kill>,
    /// Calls whose sender cannot know whether they were taken.
    unknown: HashSet<u64>,
    wrong: Vec<String>,
    report: Report,
    /// The words of a reply that tells of a failure.
    failure: Option<String>,
    honours_uuid: bool,
}

/// What was proved, in numbers.
#[derive(Debug, Default, Clone)]
pub struct Report {
    pub messages: usize,
    pub acked: usize,
    pub frames: usize,
    pub replies: usize,
    pub kills: usize,
    /// Replies that were taken, and the bot cannot know it.
    pub outcomes_unknown: usize,
    /// Replies that came again because a process was killed.
    pub repeated_after_kill: usize,
    /// Replies that came again because their outcome was unknown otherwise.
    pub repeated_unknown: usize,
    /// Pairs of messages of which it is certain which was taken first.
    pub ordered_pairs: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, acked, frames, replies, kills, outcomes_unknown, .. } = self;
        let (killed, unknown, pairs) = (self.repeated_after_kill, self.repeated_unknown, self.ordered_pairs);
        write!(
            f,
            "{messages} messages in {frames} frames, {acked} acknowledged, {replies} replies; {killed} repeated after \
             {kills} kills, {unknown} after {outcomes_unknown} unknown outcomes; {pairs} pairs compared in order"
        )
    }
}

impl Checker {
    /// `failure`: the words a person is told when a handler fails; none if nothing is said.
    pub fn new(failure: Option<&str>, honours_uuid: bool) -> Self {
        Self {
            messages: BTreeMap::new(),
            by_word: HashMap::new(),
            failing: Vec::new(),
            open: BTreeSet::new(),
            kills: Vec::new(),
            unknown: HashSet::new(),
            wrong: Vec::new(),
            report: Report::default(),
            failure: failure.map(str::to_owned),
            honours_uuid,
        }
    }

    /// A message is about to be said; saying it again to the same robot changes nothing.
    pub fn said(&mut self, robot: &str, msg_id: &str, conversation: &str, expect: Expect) {
        let name: Name = (robot.into(), msg_id.into());
        if self.messages.contains_key(&name) {
            return;
        }
        match &expect {
            Expect::Answer(word) | Expect::Late(word) => {
                self.by_word.insert((name.0.clone(), word.clone()), name.clone());
            }
            Expect::Failure => self.failing.push(name.clone()),
        }
        self.open.insert(name.clone());
        let message = Message {
            conversation: conversation.to_owned(),
            expect,
            sent: Vec::new(),
            acked: None,
            answers: Vec::new(),
            given_up: false,
        };
        self.messages.insert(name, message);
    }

    /// The process was killed; `now`: the number of the next record.
    pub fn killed(&mut self, now: u64) {
        self.report.kills += 1;
        self.kills.push(Kill { from: now, until: None, damaged: false });
    }

    /// Messages that are not acknowledged yet, or not answered.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// How many of those that are answered late are not answered yet.
    pub fn late(&self) -> usize {
        let late =
            |message: &&Message| matches!(message.expect, Expect::Late(_)) && message.answers.is_empty();
        self.messages.values().filter(late).count()
    }

    /// How many messages were acknowledged.
    pub fn acked(&self) -> usize {
        self.report.acked
    }

    /// The journal was damaged after the last kill: what was not answered by then need not be, only acknowledged, and
    /// what was answered may be so again. Returns how much was open.
    pub fn damaged(&mut self) -> usize {
        if let Some(kill) = self.kills.last_mut() {
            kill.damaged = true;
        }
        let open: Vec<Name> = self.open.iter().cloned().collect();
        for name in &open {
            if let Some(message) = self.messages.get_mut(name) {
                message.given_up = true;
            }
            self.settle(name);
        }
        open.len()
    }

    /// Up to `most` messages of which something is missing, in words.
    pub fn missing(&self, most: usize) -> String {
        let lines = self.open.iter().take(most).filter_map(|name| {
            let message = self.messages.get(name)?;
            let Message { conversation, expect, sent, acked, answers, .. } = message;
            let answers = answers.len();
            Some(format!(
                "{name:?} in {conversation}: {expect:?}, {sent:?}, acked {acked:?}, {answers} answers"
            ))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Takes the next record.
    pub fn read(&mut self, record: &Record) {
        let seq = record.seq;
        match &record.what {
            Happening::Sent(sent) => {
                self.report.frames += 1;
                if let Some(message) = self.messages.get_mut(&(sent.client_id.clone(), sent.id.clone())) {
                    message.sent.push((seq, sent.connection.clone()));
                }
            }
            Happening::Acked(acked) => {
                if acked.code != 200 || acked.nth != 1 {
                    self.wrong.push(format!("{seq}: a strange acknowledgement: {acked:?}"));
                }
                let name = (acked.client_id.clone(), acked.id.clone());
                if let Some(message) = self.messages.get_mut(&name)
                    && message.acked.is_none()
                {
                    message.acked = Some(seq);
                    self.report.acked += 1;
                    self.settle(&name);
                }
            }
            Happening::Replied(reply) => self.replied(seq, reply),
            Happening::Opened { .. } => {
                for kill in self.kills.iter_mut().rev().take_while(|kill| kill.until.is_none()) {
                    kill.until = Some(seq);
                }
            }
            Happening::OutcomeUnknown(OutcomeUnknown { call, taken: true, .. }) => {
                self.report.outcomes_unknown += 1;
                self.unknown.insert(*call);
            }
            Happening::Stray { text, .. } => self.wrong.push(format!("{seq}: answers no frame: {text}")),
            Happening::Dropped { id, reason, .. } => {
                self.wrong.push(format!("{seq}: the gateway gave up {id}: {reason}"));
            }
            _ => {}
        }
    }

    fn replied(&mut self, seq: u64, reply: &Reply) {
        self.report.replies += 1;
        let words = reply.text();
        let Some(name) = self.answered(reply, &words) else {
            self.wrong.push(format!("{seq}: a reply that answers nothing: {reply:?}"));
            return;
        };
        let Some(message) = self.messages.get_mut(&name) else { return };
        if *message.conversation != *reply.conversation {
            let meant = &message.conversation;
            self.wrong
                .push(format!("{seq}: {words} is answered in {} instead of {meant}", reply.conversation));
        }
        if message.sent.is_empty() {
            self.wrong.push(format!("{seq}: {words} is answered before it was sent"));
        }
        message.answers.push(Answer {
            seq,
            call: reply.call,
            via: reply.via,
            uuid: reply.uuid.clone(),
            body: reply.body.to_string(),
            posted: reply.posted,
        });
        self.settle(&name);
    }

    /// Which message a reply answers: its first word tells, or for the line about a failure the `msgId` in its `msgUuid`.
    fn answered(&self, reply: &Reply, words: &str) -> Option<Name> {
        if self.failure.as_deref() != Some(words) {
            let first = words.split_whitespace().next().unwrap_or_default();
            return self.by_word.get(&(reply.client_id.clone(), first.to_owned())).cloned();
        }
        let uuid = reply.uuid.as_deref()?;
        let meant = |name: &&Name| name.0 == reply.client_id && uuid.contains(&*name.1);
        self.failing.iter().rev().find(meant).cloned()
    }

    fn settle(&mut self, name: &Name) {
        let Some(message) = self.messages.get(name) else { return };
        let silent = match message.expect {
            Expect::Answer(_) => message.given_up,
            Expect::Late(_) => true,
            Expect::Failure => message.given_up || self.failure.is_none(),
        };
        if message.acked.is_some() && (silent || !message.answers.is_empty()) {
            self.open.remove(name);
        }
    }

    /// Whether everything went as claimed.
    ///
    /// # Errors
    /// All that did not, up to 20 lines.
    pub fn verdict(mut self) -> Result<Report, String> {
        let mut wrong = std::mem::take(&mut self.wrong);
        let mut report = std::mem::take(&mut self.report);
        report.messages = self.messages.len();
        let mut excused = 0;
        for (name, message) in &self.messages {
            self.check_answers(name, message, &mut wrong);
            for pair in message.answers.windows(2) {
                let [first, again] = pair else { continue };
                if self.unknown.contains(&first.call) {
                    report.repeated_unknown += 1;
                } else if let Some(kill) = self.kills.iter().find(|kill| kill.spans(first.seq, again.seq)) {
                    report.repeated_after_kill += 1;
                    excused += usize::from(!kill.damaged);
                } else {
                    let (first, again) = (first.seq, again.seq);
                    wrong.push(format!(
                        "{name:?} is answered at {first} and again at {again}, which nothing excuses"
                    ));
                }
            }
        }
        let mut conversations: BTreeMap<(&str, &str), Vec<&Message>> = BTreeMap::new();
        for ((robot, _), message) in self.messages.iter().filter(|(_, message)| !message.sent.is_empty()) {
            conversations.entry((robot, &message.conversation)).or_default().push(message);
        }
        for messages in conversations.values_mut() {
            messages.sort_by_key(|message| message.sent.first().map(|(seq, _)| *seq));
            report.ordered_pairs += check_order(messages, &mut wrong);
            let next = self.kills.iter().skip(1).map(|kill| kill.from).chain([u64::MAX]);
            let mut since = 0;
            for (kill, next) in self.kills.iter().zip(next) {
                if kill.damaged {
                    since = kill.from;
                } else {
                    kill.check_repeats(since, next, messages, &mut wrong);
                }
            }
        }
        let most = UNMARKED * conversations.len() * self.kills.len();
        if excused > most {
            wrong.push(format!("{excused} replies came again after kills, more than {most}"));
        }
        if wrong.is_empty() {
            return Ok(report);
        }
        let lines: Vec<String> = wrong.iter().take(20).map(|line| line.chars().take(600).collect()).collect();
        Err(format!("{} claims do not hold ({report}):\n{}", wrong.len(), lines.join("\n")))
    }

    fn check_answers(&self, name: &Name, message: &Message, wrong: &mut Vec<String>) {
        let Message { expect, acked, answers, given_up, .. } = message;
        let silent = *given_up || (*expect == Expect::Failure && self.failure.is_none());
        match acked {
            Some(at) if answers.is_empty() && !silent => {
                wrong.push(format!("{name:?} is acknowledged at {at} and never answered ({expect:?})"));
            }
            None => wrong.push(format!("{name:?} is not acknowledged")),
            _ => {}
        }
        let Some(first) = answers.first() else { return };
        if first.uuid.is_none() && first.via == Via::Webhook {
            wrong.push(format!("{name:?} is answered without a msgUuid"));
        }
        if let Some(other) = answers.iter().find(|other| other.via == first.via && other.body != first.body) {
            wrong.push(format!("{name:?} is answered differently: {} and {}", first.body, other.body));
        }
        let seen = answers.iter().filter(|answer| answer.posted).count();
        if self.honours_uuid && first.via == Via::Webhook && seen != 1 {
            wrong.push(format!("{name:?} is answered {seen} times before people's eyes"));
        }
    }
}

impl Kill {
    /// Whether the process that did the first may have died before it learned of it.
    fn spans(&self, first: u64, again: u64) -> bool {
        first < self.until.unwrap_or(u64::MAX) && again >= self.from
    }

    /// The marks of what arrived are written in order: if one was missing before the `next` kill, so were all that follow
    /// it. Marks of before `since`, when the journal was damaged, may be missing anywhere, and be found so later.
    fn check_repeats(&self, since: u64, next: u64, messages: &[&Message], wrong: &mut Vec<String>) {
        let before = |message: &Message| {
            message.answers.first().map(|answer| answer.seq).filter(|seq| (since..self.from).contains(seq))
        };
        let again = |message: &Message, until: u64| {
            message.answers.iter().any(|answer| (self.from..until).contains(&answer.seq))
        };
        let repeated = messages.iter().filter(|message| again(message, next));
        let Some(first) = repeated.filter_map(|message| before(message)).min() else { return };
        for message in messages {
            if let Some(later) = before(message)
                && later > first
                && !again(message, u64::MAX)
            {
                wrong.push(format!(
                    "after the kill at {} the reply of {first} came again, but not that of {later}, {:?}",
                    self.from, message.expect
                ));
            }
        }
    }
}

impl Message {
    /// Whether it was taken before `other` for certain: whichever of its frames was the one that counted.
    fn was_taken_before(&self, other: &Self) -> bool {
        let Some(acked) = self.acked else { return false };
        let until = other.acked.unwrap_or(u64::MAX);
        self.sent.iter().filter(|(seq, _)| *seq < acked).all(|(sent, connection)| {
            other.sent.iter().filter(|(seq, _)| *seq < until).all(|(other_sent, other_connection)| {
                acked < *other_sent || (connection == other_connection && sent < other_sent)
            })
        })
    }
}

/// Returns the number of pairs that were compared.
fn check_order(messages: &[&Message], wrong: &mut Vec<String>) -> usize {
    let mut pairs = 0;
    for (at, one) in messages.iter().enumerate() {
        for other in messages.iter().skip(at + 1).take(NEIGHBOURS) {
            let (Some(first), Some(second)) = (one.answers.first(), other.answers.first()) else { continue };
            if [one, other].iter().any(|message| matches!(message.expect, Expect::Late(_))) {
                continue;
            }
            let in_order = match (one.was_taken_before(other), other.was_taken_before(one)) {
                (true, _) => first.seq < second.seq,
                (_, true) => second.seq < first.seq,
                _ => continue,
            };
            pairs += 1;
            if !in_order {
                wrong.push(format!(
                    "out of order in {}: {:?} at {} and {:?} at {}",
                    one.conversation, one.expect, first.seq, other.expect, second.seq
                ));
            }
        }
    }
    pairs
}
