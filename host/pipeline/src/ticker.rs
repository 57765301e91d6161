//! The ticks of all schedules.

use std::{sync::Arc, time::Duration};

use belfry_event::{CloudEvent, Data};
use belfry_journal::{Journal, JournalError, KeyValueWrite, Record, ValueChange};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use crate::{
    Missed, PluginRoute, Schedule,
    hub::Hub,
    message::{now_ms, time_of},
    recovery::HOST,
};

/// The event type of a tick.
const TICK: &str = "belfry.schedule.tick.v1";

/// A tick that is later than this, in milliseconds, was missed: the machine slept.
const LATE: u64 = 60_000;

/// How often the clock is looked at: it may be put forward or back.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// When every schedule of every plugin is due. Knows no clock: it is told the time.
pub(crate) struct Ticker {
    lines: Vec<Line>,
}

/// One schedule of one plugin.
struct Line {
    plugin: String,
    schedule: Schedule,
    /// When the last tick was due, or when the schedule was first seen; none before that.
    last: Option<u64>,
    /// When the next one is; none while the plugin is not there, or never again.
    next: Option<u64>,
    active: bool,
}

/// Something that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    line: usize,
    /// In milliseconds since 1970.
    time: u64,
    /// Whether it is a tick, or only to be remembered as the time from which ticks can be missed.
    tick: bool,
}

impl Ticker {
    /// All schedules, with what the journal remembers of them.
    pub(crate) async fn new(hub: &Hub, journal: &dyn Journal) -> Result<Self, JournalError> {
        let mut lines = Vec::new();
        for (plugin, route) in hub.routes().iter() {
            for schedule in &route.schedules {
                let mut line = Line::new(plugin, schedule.clone());
                let stored = journal.value(HOST, &line.key()).await?;
                line.last = stored.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
                lines.push(line);
            }
        }
        Ok(Self { lines })
    }

    /// Whether there is no schedule at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What has become due until `now`. `is_there` says whether a plugin can take its ticks.
    fn due(&mut self, now: u64, is_there: impl Fn(&str) -> bool) -> Vec<Due> {
        let mut due = Vec::new();
        for (place, line) in self.lines.iter_mut().enumerate() {
            let there = is_there(&line.plugin);
            line.due(now, there, |time, tick| due.push(Due { line: place, time, tick }));
        }
        due
    }

    /// When the next is due.
    fn next(&self) -> Option<u64> {
        self.lines.iter().filter_map(|line| line.next).min()
    }

    /// Ticks until the process is about to end.
    pub(crate) async fn run(mut self, hub: Arc<Hub>, journal: Arc<dyn Journal>, stopping: CancellationToken) {
        let mut generations = hub.generations();
        loop {
            for due in self.due(now_ms(), |plugin| hub.handles_events(plugin)) {
                let Some(line) = self.lines.get(due.line) else { continue };
                line.enter(due, &hub, &*journal).await;
            }
            let pause = self.next().map(|next| Duration::from_millis(next.saturating_sub(now_ms())));
            let pause = pause.map_or(LOOK_EVERY, |pause| pause.min(LOOK_EVERY));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Ok(()) = generations.changed() => {}
                () = stopping.cancelled() => return,
            }
        }
    }
}

impl Line {
    fn new(plugin: &str, schedule: Schedule) -> Self {
        Self { plugin: plugin.to_owned(), schedule, last: None, next: None, active: false }
    }

    fn due(&mut self, now: u64, there: bool, mut take: impl FnMut(u64, bool)) {
        if !there {
            (self.active, self.next) = (false, None);
            return;
        }
        let late = self.next.is_some_and(|next| next.saturating_add(LATE) < now);
        if !self.active || late {
            self.catch_up(now, &mut take);
            self.active = true;
            self.next = self.schedule.next_after(now);
            return;
        }
        while let Some(next) = self.next.filter(|next| *next <= now) {
            take(next, true);
            self.last = Some(next);
            self.next = self.schedule.next_after(next);
        }
    }

    /// Makes good what was missed, as far as the schedule wants that.
    fn catch_up(&mut self, now: u64, take: &mut impl FnMut(u64, bool)) {
        let remembers = self.schedule.missed() == Missed::Once;
        match self.last {
            None => {
                self.last = Some(now);
                if remembers {
                    take(now, false);
                }
            }
            Some(last) => {
                let Some(missed) = self.schedule.last_before(now).filter(|missed| *missed > last) else {
                    return;
                };
                self.last = Some(missed);
                if remembers {
                    take(missed, true);
                }
            }
        }
    }

    /// Where the journal remembers it.
    fn key(&self) -> String {
        format!("tick/{}/{}", self.plugin, self.schedule.name())
    }

    /// Stores a tick, and then that it was stored: what is repeated after a crash in between is known by its id.
    async fn enter(&self, due: Due, hub: &Hub, journal: &dyn Journal) {
        let (plugin, name) = (&self.plugin, self.schedule.name());
        if due.tick {
            let event = self.event(due.time);
            let known_as = format!("{}/{}", event.source, event.id);
            // The plugin may be gone since.
            let Some(addressed) = hub.address_to(plugin, &event, &known_as) else { return };
            if !addressed.enter().await {
                return;
            }
            debug!(plugin, schedule = name, due = self.schedule.show(due.time), "a schedule ticked");
        }
        if self.schedule.missed() == Missed::Once {
            let change = ValueChange::Set(due.time.to_string().into());
            let write = KeyValueWrite { bucket: HOST.to_owned(), key: self.key(), change, limit: None };
            if let Err(problem) = journal.record(Record::Write(write)) {
                error!(plugin, schedule = name, %problem, "the journal does not remember a tick: it may come once more");
            }
        }
    }

    fn event(&self, due: u64) -> CloudEvent {
        let name = self.schedule.name();
        let mut event = CloudEvent::new(format!("{name}/{due}"), format!("/schedules/{}", self.plugin), TICK);
        event.subject = Some(name.to_owned());
        event.time = time_of(due);
        event.datacontenttype = Some("application/json".to_owned());
        let data = json!({ "schedule": name, "due": self.schedule.show(due) });
        event.data = Some(Data::parsed_json(data.to_string()));
        event
    }
}

/// Lets schedules tick by hand, whatever the time. Cheap to clone.
#[derive(Clone)]
pub struct Ticks(pub(crate) Arc<Hub>);

impl Ticks {
    /// The schedules there are: the plugin's name and the schedule's.
    pub fn all(&self) -> Vec<(String, String)> {
        let routes = self.0.routes();
        let named = |(plugin, route): (&String, &PluginRoute)| {
            let names = route.schedules.iter().map(|schedule| (plugin.clone(), schedule.name().to_owned()));
            names.collect::<Vec<_>>()
        };
        routes.iter().flat_map(named).collect()
    }

    /// Makes every schedule of this name tick now, and returns the plugins that got one. What is missed is not touched.
    pub async fn tick(&self, name: &str) -> Vec<String> {
        let mut ticked = Vec::new();
        for (plugin, route) in self.0.routes().iter() {
            let Some(schedule) = route.schedules.iter().find(|schedule| schedule.name() == name) else {
                continue;
            };
            let event = Line::new(plugin, schedule.clone()).event(now_ms());
            let known_as = format!("{}/{}", event.source, event.id);
            let Some(addressed) = self.0.address_to(plugin, &event, &known_as) else { continue };
            if addressed.enter().await {
                ticked.push(plugin.clone());
            }
        }
        ticked
    }
}

/// Tells an operator when what is due next.
pub(crate) fn tell(ticker: &Ticker) {
    for line in &ticker.lines {
        let next =
            line.schedule.next_after(now_ms()).map_or_else(String::new, |next| line.schedule.show(next));
        info!(plugin = line.plugin, schedule = line.schedule.name(), next, "a schedule is set");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 00:00 UTC.
    const MIDNIGHT: u64 = 1_795_219_200_000;
    const MINUTE: u64 = 60_000;

    fn ticker(cron: &str, missed: Missed, last: Option<u64>) -> Ticker {
        let mut line = Line::new("p", Schedule::parse("s", cron, "UTC", missed).unwrap());
        line.last = last;
        Ticker { lines: vec![line] }
    }

    /// The times of the ticks, and after a minus those that are only remembered.
    fn times(due: &[Due]) -> Vec<i64> {
        let sign = |due: &Due| if due.tick { 1 } else { -1 };
        due.iter().map(|due| sign(due) * i64::try_from(due.time - MIDNIGHT).unwrap() / 60_000).collect()
    }

    fn at(ticker: &mut Ticker, minute: u64) -> Vec<i64> {
        times(&ticker.due(MIDNIGHT + minute * MINUTE, |_| true))
    }

    #[test]
    fn each_due_time_ticks_once() {
        let mut ticker = ticker("*/10 * * * *", Missed::Skip, None);
        assert_eq!(at(&mut ticker, 5), [0i64; 0]);
        assert_eq!(ticker.next(), Some(MIDNIGHT + 10 * MINUTE));
        assert_eq!(at(&mut ticker, 9), [0i64; 0]);
        assert_eq!(at(&mut ticker, 10), [10]);
        assert_eq!(at(&mut ticker, 10), [0i64; 0]);
        // The clock was put back: nothing comes twice.
        assert_eq!(at(&mut ticker, 7), [0i64; 0]);
        assert_eq!(at(&mut ticker, 10), [0i64; 0]);
        assert_eq!(at(&mut ticker, 20), [20]);
    }

    #[test]
    fn what_was_missed_is_skipped_or_comes_once() {
        for (missed, expected) in [(Missed::Skip, vec![]), (Missed::Once, vec![40])] {
            // The process was down from minute 10 on.
            let mut down = ticker("*/10 * * * *", missed, Some(MIDNIGHT + 10 * MINUTE));
            assert_eq!(at(&mut down, 45), expected);
            assert_eq!(at(&mut down, 50), [50]);
            // The machine slept.
            assert_eq!(at(&mut down, 105), if missed == Missed::Once { vec![100] } else { vec![] });
            assert_eq!(at(&mut down, 110), [110]);
        }
        // Nothing was due meanwhile.
        let mut idle = ticker("0 0 * * *", Missed::Once, Some(MIDNIGHT));
        assert_eq!(at(&mut idle, 45), [0i64; 0]);
        // A schedule that is new has missed nothing, and remembers since when it is there.
        assert_eq!(at(&mut ticker("*/10 * * * *", Missed::Once, None), 45), [-45]);
    }

    #[test]
    fn a_plugin_that_is_gone_gets_no_ticks() {
        let mut ticker = ticker("*/10 * * * *", Missed::Skip, None);
        assert_eq!(at(&mut ticker, 5), [0i64; 0]);
        assert!(ticker.due(MIDNIGHT + 10 * MINUTE, |_| false).is_empty());
        assert_eq!(ticker.next(), None);
        assert_eq!(at(&mut ticker, 11), [0i64; 0]);
        assert_eq!(at(&mut ticker, 20), [20]);
    }

    #[test]
    fn a_tick_is_the_same_event_each_time() {
        let line = &ticker("0 9 * * *", Missed::Skip, None).lines[0];
        let due = MIDNIGHT + 9 * 60 * MINUTE;
        let event: serde_json::Value = serde_json::from_slice(&line.event(due).to_json()).unwrap();
        let expected = json!({
            "specversion": "1.0", "id": format!("s/{due}"), "source": "/schedules/p", "type": TICK, "subject": "s",
            "time": "2026-11-21T09:00:00Z", "datacontenttype": "application/json",
            "data": { "schedule": "s", "due": "2026-11-21T09:00:00+00:00" }
        });
        assert_eq!(event, expected);
    }
}
