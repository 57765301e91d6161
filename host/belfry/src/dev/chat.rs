//! What a person types, and what the bot answers.

use std::{collections::HashMap, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use belfry_journal::{Journal, JournalStats};
use belfry_pipeline::Ticks;
use belfry_simulator::{
    CardChange, CardStep, Content, Happening, Person, Reply, Say, Simulator, conversation_id,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::terminal::Terminal;
use crate::{console, wiring::Running};

const QUIT: &str = ":quit";

const HELP: &str = "\
What you type is said to the bot. Lines that begin with a colon are for belfry:
  :group             talk in a group, where the bot is mentioned; :private goes back
  :as NAME           be somebody else; :external NAME somebody from outside, without a staff id
  :send KIND         send a picture, richText, audio, video, file, markdown, interactiveCard or chatRecord
  :event TYPE [JSON] an event of the organisation, such as user_add_org {\"userId\":[\"kim\"]}
  :press CARD ACTION [NAME=VALUE …]
                     press a button of a card; the beginning of its id will do, . is the newest card
  :tick [NAME]       let the schedule of this name tick now; without a name the schedules are listed
  :help              this
  :quit              stop (Ctrl-D too)";

/// A person in front of a simulated bot.
pub struct Chat {
    simulator: Simulator,
    journal: Arc<dyn Journal>,
    ticks: Ticks,
    terminal: Terminal,
}

/// Who talks where.
struct Place {
    group: bool,
    person: Person,
}

impl Chat {
    pub fn new(simulator: Simulator, running: &Running, terminal: Terminal) -> Self {
        Self { simulator, journal: running.journal.clone(), ticks: running.pipeline.ticks(), terminal }
    }

    /// Takes lines until the person stops, and shows every answer when it comes.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub async fn talk(&self) -> Result<ExitCode> {
        let mut lines = self.terminal.lines("> ", QUIT)?;
        self.terminal.note("chat with the bot; :help lists what else there is, :quit stops");
        let mut place = Place { group: false, person: Person::default() };
        let mut watch = self.simulator.watch(self.simulator.now());
        let mut cards = LiveTexts::default();
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) if line.trim() == QUIT => break,
                    Some(line) => match tick_of(line.trim()) {
                        Some(schedule) => drop(self.tick(schedule).await),
                        None => self.hear(line.trim(), &mut place),
                    },
                    None => break,
                },
                Some(record) = watch.next() => self.show(&record.what, &mut cards),
            }
        }
        // Answers to the last line may still be on their way, as when the lines came from a pipe.
        self.settle(Duration::from_secs(5)).await;
        while let Ok(Some(record)) = tokio::time::timeout(Duration::from_millis(20), watch.next()).await {
            self.show(&record.what, &mut cards);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, what: &Happening, cards: &mut LiveTexts) {
        if let Some(text) = cards.shown(what) {
            self.terminal.answer(&text);
        }
    }

    fn hear(&self, line: &str, place: &mut Place) {
        let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
        match word {
            "" => {}
            ":help" => self.terminal.note(HELP),
            ":group" => self.go(place, |place| place.group = true),
            ":private" => self.go(place, |place| place.group = false),
            ":as" if !rest.is_empty() => {
                self.go(place, |place| place.person = Person::staff(rest.to_lowercase(), rest));
            }
            ":external" if !rest.is_empty() => self.go(place, |place| place.person = Person::external(rest)),
            ":send" => match sample(rest) {
                Some(content) => self.say(place, content),
                None => self.terminal.note(HELP),
            },
            _ if word.starts_with(':') => {
                let user = place.person.staff_id.as_deref().unwrap_or_default();
                let said = console::obey(&self.simulator, line, user);
                self.terminal.note(said.as_deref().unwrap_or(HELP));
            }
            _ => self.say(place, Content::text(line)),
        }
    }

    /// Lets a schedule tick; false if there is none of this name, or nobody takes it.
    async fn tick(&self, name: &str) -> bool {
        let ticked = self.ticks.tick(name).await;
        if ticked.is_empty() {
            let all: Vec<String> =
                self.ticks.all().iter().map(|(plugin, schedule)| format!("{schedule} ({plugin})")).collect();
            self.terminal.note(&match (name, all.is_empty()) {
                (_, true) => {
                    "no plugin has a schedule: add one to its table, and name the config with --config".into()
                }
                ("", false) => format!("the schedules are {}", all.join(", ")),
                (_, false) => format!("nobody takes a tick of {name}; the schedules are {}", all.join(", ")),
            });
            return false;
        }
        self.terminal.note(&format!("{name} ticks for {}", ticked.join(", ")));
        true
    }

    /// Changes who talks where, and says so.
    fn go(&self, place: &mut Place, change: impl FnOnce(&mut Place)) {
        change(place);
        let whereabouts = if place.group { "in the group" } else { "in a private chat" };
        let outside = if place.person.staff_id.is_none() { ", from outside" } else { "" };
        self.terminal.note(&format!("you are {}{outside}, {whereabouts}", place.person.nick));
    }

    fn say(&self, place: &Place, content: Content) {
        let name = if place.group { "group" } else { place.person.nick.as_str() };
        let conversation = conversation_id(name);
        let say = if place.group {
            Say::group(conversation, place.person.clone(), "")
        } else {
            Say::private(conversation, place.person.clone(), "")
        };
        self.simulator.say(say.content(content));
    }

    /// Says each text and prints its answers; the exit code tells whether every text got one.
    ///
    /// # Errors
    /// Never so far.
    pub async fn say_all(&self, texts: &[String], patience: Duration) -> Result<ExitCode> {
        let place = Place { group: false, person: Person::default() };
        let mut code = ExitCode::SUCCESS;
        for text in texts {
            let since = self.simulator.now();
            let settled = match tick_of(text) {
                Some(schedule) => self.tick(schedule).await && self.settle(patience).await,
                None => {
                    self.say(&place, Content::text(text));
                    self.settle_after_ack(since, patience).await
                }
            };
            let replies: Vec<String> = self.replies(since);
            for reply in &replies {
                self.terminal.answer(reply);
            }
            if replies.is_empty() {
                let why = if settled { "handled without an answer" } else { "no answer in time" };
                self.terminal.note(&format!("{why}: {text}"));
                code = ExitCode::FAILURE;
            }
        }
        Ok(code)
    }

    fn replies(&self, since: u64) -> Vec<String> {
        let page = self.simulator.records(since, usize::MAX);
        let mut cards = LiveTexts::default();
        page.records.iter().filter_map(|record| cards.shown(&record.what)).collect()
    }

    /// Waits until the message said after `since` is taken and all that came of it has arrived.
    async fn settle_after_ack(&self, since: u64, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let acked = |what: &Happening| matches!(what, Happening::Acked(_)).then_some(());
        if self.simulator.wait_for(since, patience, acked).await.is_err() {
            return false;
        }
        self.settle(until.saturating_duration_since(Instant::now())).await
    }

    /// Waits until nothing is pending.
    async fn settle(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            let JournalStats { pending_events, pending_deliveries, .. } = self.journal.stats();
            if pending_events == 0 && pending_deliveries == 0 {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// What was shown of the texts that grow in cards, by card and variable. A card that is finished is forgotten; of others at
/// most [`MAX_LIVE`].
#[derive(Default)]
struct LiveTexts(HashMap<(Arc<str>, String), String>);

/// Growing texts that are remembered; beyond, one is shown from its beginning again.
const MAX_LIVE: usize = 1_000;

impl LiveTexts {
    /// What a person reads of something that happened.
    fn shown(&mut self, what: &Happening) -> Option<String> {
        let text = match what {
            Happening::Replied(reply) => return Some(shown(reply)),
            Happening::Recalled { keys, .. } => format!("[{} taken back]", keys.len()),
            Happening::Card(CardStep { out_track_id, step, .. }) => self.card(out_track_id, step)?,
            _ => return None,
        };
        Some(plain(&text))
    }

    fn card(&mut self, id: &Arc<str>, step: &CardChange) -> Option<String> {
        Some(match step {
            CardChange::Created { template, spaces, data } => console::card(id, template, spaces, data),
            CardChange::Updated { data, .. } | CardChange::Answered { data, .. } => {
                format!("[card {id}]{}", console::variables(data))
            }
            CardChange::Streamed { key, content, flow } => {
                let name = (Arc::clone(id), key.clone());
                let before = self.0.remove(&name).unwrap_or_default();
                let new = match console::growth(&before, content) {
                    Some(new) => new.to_owned(),
                    None => format!("(anew) {content}"),
                };
                let end = console::ending(*flow);
                if end.is_none() && self.0.len() < MAX_LIVE {
                    self.0.insert(name, content.clone());
                }
                if new.is_empty() && end.is_none() {
                    return None;
                }
                let end = end.map(|end| format!(" [{end}]")).unwrap_or_default();
                format!("[card {id}] …{new}{end}")
            }
        })
    }
}

/// What a plugin wrote must not steer the terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|&c| c == '\n' || c == '\t' || !c.is_control()).collect()
}

fn sample(kind: &str) -> Option<Content> {
    Content::samples().into_iter().find(|content| {
        let value = serde_json::to_value(content).unwrap_or_default();
        value.get("kind").and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case(kind))
    })
}

/// The schedule that a line wants to tick; empty if it names none.
fn tick_of(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(":tick")?;
    (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim())
}

/// A reply as a person reads it in a terminal.
fn shown(reply: &Reply) -> String {
    let field = |path: &str| reply.body.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let items = |path: &str| reply.body.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
    let label = |item: &Value, title: &str, url: &str| {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!("\n  [{}] {}", text(title), text(url))
    };
    let text = match reply.msgtype() {
        "markdown" => field("/markdown/text"),
        "link" => {
            format!("{}\n{}\n  {}", field("/link/title"), field("/link/text"), field("/link/messageUrl"))
        }
        "actionCard" => {
            let mut text = field("/actionCard/text");
            if let Some(card) = reply.body.get("actionCard").filter(|card| card.get("singleURL").is_some()) {
                text.push_str(&label(card, "singleTitle", "singleURL"));
            }
            for button in items("/actionCard/btns") {
                text.push_str(&label(&button, "title", "actionURL"));
            }
            text
        }
        "feedCard" => {
            items("/feedCard/links").iter().map(|link| label(link, "title", "messageURL")).collect()
        }
        _ => reply.text(),
    };
    plain(&text)
}
