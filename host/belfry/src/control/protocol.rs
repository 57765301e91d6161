//! What goes over the control socket: for each connection one JSON line there and one back.
//!
//! Nothing in it is a secret: the address a message can be answered at never leaves the journal. Numbers of events are
//! text ([`Id`]), times are milliseconds since 1970.

use std::{fmt, str::FromStr};

use belfry_journal::{DeadLetter, EventState, NOTICE, Position};
use belfry_pipeline::AppStatus;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of what follows. A host answers no other.
pub const FORMAT: u32 = 1;

/// The longest question, in bytes with its line break.
pub const LONGEST_QUESTION: usize = 64 << 10;

/// The longest answer a command takes, in bytes. One event is the most an answer holds whole.
pub const LONGEST_ANSWER: u64 = 64 << 20;

/// Ids in one question.
pub const MOST_IDS: usize = 500;

/// Entries in one answer.
pub const MOST_ENTRIES: usize = 100;

/// An event, or a delivery that came of it: `17`, `17.0`, and `17.notice` for the line that tells a person that their
/// message was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Id {
    /// The event.
    pub event: u64,
    /// Which of its deliveries; none for the event itself.
    pub delivery: Option<u32>,
}

impl Id {
    /// An event.
    #[must_use]
    pub fn event(position: Position) -> Self {
        Self { event: position.0, delivery: None }
    }

    /// A delivery.
    #[must_use]
    pub fn delivery(event: Position, index: u32) -> Self {
        Self { event: event.0, delivery: Some(index) }
    }

    /// What a dead letter is about.
    #[must_use]
    pub fn of(letter: &DeadLetter) -> Self {
        Self { event: letter.event.0, delivery: letter.delivery }
    }

    /// The event's place in the journal.
    #[must_use]
    pub fn position(self) -> Position {
        Position(self.event)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.delivery {
            None => write!(f, "{}", self.event),
            Some(NOTICE) => write!(f, "{}.notice", self.event),
            Some(index) => write!(f, "{}.{index}", self.event),
        }
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a number such as 17, or 17.0 for the first reply to 17";
        fn number<T: FromStr>(digits: &str) -> Option<T> {
            // Rust's own reader takes a sign as well.
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        }
        let (event, delivery) = match text.split_once('.') {
            None => (text, None),
            Some((event, "notice")) => (event, Some(NOTICE)),
            Some((event, index)) => {
                let index = number(index).filter(|index| *index != NOTICE);
                (event, Some(index.ok_or(EXPECTED)?))
            }
        };
        let event = number(event).ok_or(EXPECTED)?;
        Ok(Self { event, delivery })
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for Id {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A question with the version it is asked in.
#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    /// [`FORMAT`] of who asks.
    pub format: u32,
    /// What is asked.
    pub ask: Ask,
}

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// How it goes.
    Status,
    /// Events, newest first.
    Events(EventQuery),
    /// One event.
    Event(Id),
    /// Dead letters, oldest first.
    DeadLetters(DeadLetterQuery),
    /// One dead letter.
    DeadLetter(Id),
    /// Dead letters are to be tried again.
    Retry(Vec<Id>),
    /// Dead letters are to be forgotten.
    Drop(Vec<Id>),
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// How it goes.
    Status(Box<Status>),
    /// Events.
    Events(EventPage),
    /// The event, if it is kept.
    Event(Option<Box<Event>>),
    /// Dead letters.
    DeadLetters(DeadLetterPage),
    /// The dead letter, if it is kept.
    DeadLetter(Option<Box<DeadLetterWhole>>),
    /// What became of each id, in the order of the question.
    Changed(Vec<Change>),
    /// Nothing was done. A fragment that fits after "failed to …: ".
    Refused(String),
}

/// Which events.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EventQuery {
    /// Of this app.
    pub app: Option<String>,
    /// Of this conversation, by its full id.
    pub conversation: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// Older than this one.
    pub before: Option<u64>,
    /// So many at most; never more than [`MOST_ENTRIES`].
    pub limit: usize,
}

/// What an event is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not handled yet
    Pending,
    /// Handled, and replies are on their way
    Delivering,
    /// Handled, and every reply arrived
    Done,
    /// Given up, or one of its replies is
    Dead,
}

impl State {
    /// What an event is at of whose deliveries so many are dead letters.
    #[must_use]
    pub fn of(state: EventState, dead: usize) -> Self {
        match state {
            EventState::Pending => Self::Pending,
            EventState::Delivering(_) => Self::Delivering,
            EventState::Done if dead == 0 => Self::Done,
            EventState::Done | EventState::Dead => Self::Dead,
        }
    }

    /// The word shown to people; the same as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivering => "delivering",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }
}

/// Some events.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct EventPage {
    /// Newest first. May be fewer than asked for though there are more.
    pub events: Vec<EventHead>,
    /// Go on before this one; none at the end.
    pub next: Option<u64>,
}

/// An event in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventHead {
    /// Its number.
    pub id: Id,
    /// When it came.
    pub received_at_ms: u64,
    /// What it is at.
    pub state: State,
    /// Replies that have not arrived yet.
    pub pending_replies: usize,
    /// Of it and its replies, how many are dead letters.
    pub dead_letters: usize,
    /// What was said.
    pub message: Words,
}

/// A message in a few words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// DingTalk's id of it.
    pub id: String,
    /// The app that received it.
    pub app: String,
    /// The conversation, by its full id.
    pub conversation: String,
    /// The sender's name.
    pub sender: String,
    /// The sender's staff id; none for external people.
    pub staff_id: Option<String>,
    /// DingTalk's word for its kind.
    pub kind: String,
    /// The beginning of what was said.
    pub text: String,
}

/// An event with everything that is known of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Event {
    /// In short.
    pub head: EventHead,
    /// How often handling it was begun, as long as it is pending.
    pub attempts: Option<u32>,
    /// Replies that have not arrived.
    pub replies: Vec<Reply>,
    /// Its dead letters.
    pub dead_letters: Vec<DeadLetterHead>,
    /// The event as it was stored; text if that is no JSON.
    pub payload: Box<RawValue>,
}

/// A reply that has not arrived.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Its id.
    pub id: Id,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was written.
    pub created_at_ms: u64,
    /// The message as it goes out; text if that is no JSON.
    pub body: Box<RawValue>,
}

/// Which dead letters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DeadLetterQuery {
    /// Those that failed at the hands of this plugin.
    pub plugin: Option<String>,
    /// Given up before this.
    pub before_ms: Option<u64>,
    /// Given up after this.
    pub since_ms: Option<u64>,
    /// Those that follow this one, by time and id.
    pub after: Option<(u64, Id)>,
}

/// Some dead letters.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct DeadLetterPage {
    /// Oldest first.
    pub letters: Vec<DeadLetterHead>,
    /// Go on after this one; none at the end.
    pub next: Option<(u64, Id)>,
}

/// A dead letter in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterHead {
    /// What was given up.
    pub id: Id,
    /// When.
    pub at_ms: u64,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The plugin at whose hands it failed, if it was one.
    pub plugin: Option<String>,
    /// The generation it ran in.
    pub generation: Option<u64>,
}

/// A dead letter with what it is about.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeadLetterWhole {
    /// In short.
    pub head: DeadLetterHead,
    /// What was said.
    pub message: Words,
    /// The event as it was stored; text if that is no JSON.
    pub payload: Box<RawValue>,
    /// The reply that did not arrive, if it is one.
    pub reply: Option<Box<RawValue>>,
}

/// What became of an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The id.
    pub id: Id,
    /// Whether it was done.
    pub done: bool,
    /// Why not, or what to know all the same; may be empty.
    pub note: String,
}

/// How it goes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// The host; none if there is only its journal.
    pub host: Option<Host>,
    /// What is kept.
    pub journal: Journal,
    /// What was used of DingTalk in the month that was counted last.
    pub quotas: Vec<Quota>,
}

/// A running host.
#[derive(Debug, Serialize, Deserialize)]
pub struct Host {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it was started.
    pub started_at_ms: u64,
    /// Its apps.
    pub apps: Vec<AppStatus>,
    /// The generation of plugins that serves.
    pub generation: u64,
    /// The plugins of it, in the order in which they are asked.
    pub plugins: Vec<Plugin>,
    /// Files that do not serve.
    pub problems: Vec<Problem>,
    /// Messages and replies of apps that are not in the config, which wait in the journal.
    pub left_alone: usize,
}

/// A plugin that serves.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// The commands it takes.
    pub commands: Vec<String>,
    /// Hex SHA-256 of its file.
    pub sha256: String,
}

/// A plugin file that does not serve.
#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    /// The plugin.
    pub name: String,
    /// What is wrong and how to mend it.
    pub reason: String,
}

/// What is kept.
#[derive(Debug, Serialize, Deserialize)]
pub struct Journal {
    /// Its folder; none if it is in memory.
    pub path: Option<String>,
    /// Messages that are not handled yet.
    pub pending_events: usize,
    /// Replies that have not arrived yet.
    pub pending_replies: usize,
    /// Bytes of both.
    pub pending_bytes: usize,
    /// Dead letters kept.
    pub dead_letters: usize,
    /// Dead letters forgotten since the host was started, because there were more than are kept.
    pub forgotten_dead_letters: u64,
    /// What keeps it from storing, if anything does.
    pub trouble: Option<String>,
}

/// What was used of one of the organisation's monthly quotas, by all apps together.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// What is counted: `api_calls` or `stream_pushes`.
    pub what: String,
    /// The month in China, as year times 100 plus month.
    pub month: u32,
    /// So many were used.
    pub used: u64,
    /// So many may be, by the config; 0 if it is not known.
    pub budget: u64,
}
