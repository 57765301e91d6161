//! What the organisation's monthly quotas are used for, kept over restarts.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use belfry_journal::{Counter, Journal, Record};
use time::{Duration as Span, OffsetDateTime};
use tracing::{error, warn};

use crate::{Quota, message::now_ms};

/// DingTalk's months begin at midnight in China.
const CHINA: Span = Span::hours(8);

/// What is counted. Both are billed by the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Calls of the OpenAPI. Fetching a token is not one.
    ApiCalls,
    /// What DingTalk pushed over the connection, repeats included.
    StreamPushes,
}

/// What one app has used this month.
#[derive(Debug)]
pub(crate) struct Usage {
    client_id: String,
    counts: Each<AtomicU64>,
}

/// One of something for each kind.
#[derive(Debug, Clone, Copy, Default)]
struct Each<T> {
    api_calls: T,
    stream_pushes: T,
}

/// What all apps have used this month: they are usually one organisation's, and the quotas are the organisation's.
pub(crate) struct Ledger {
    journal: Arc<dyn Journal>,
    quota: Quota,
    usages: Vec<Arc<Usage>>,
    page: Mutex<Page>,
}

/// What the journal was told last.
#[derive(Debug)]
struct Page {
    month: u32,
    written: Vec<Each<u64>>,
    /// What apps used that are not in the config any more.
    others: Each<u64>,
    warned: Each<Level>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    Fine,
    Low,
    UsedUp,
}

impl Kind {
    const ALL: [Self; 2] = [Self::ApiCalls, Self::StreamPushes];

    fn name(self) -> &'static str {
        match self {
            Self::ApiCalls => "api-calls",
            Self::StreamPushes => "stream-pushes",
        }
    }

    fn counter(self, client_id: &str) -> String {
        format!("{}/{client_id}", self.name())
    }
}

impl<T> Each<T> {
    fn of(&self, kind: Kind) -> &T {
        match kind {
            Kind::ApiCalls => &self.api_calls,
            Kind::StreamPushes => &self.stream_pushes,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::ApiCalls => &mut self.api_calls,
            Kind::StreamPushes => &mut self.stream_pushes,
        }
    }
}

impl Usage {
    /// So many more.
    pub(crate) fn add(&self, kind: Kind, more: u64) {
        self.counts.of(kind).fetch_add(more, Ordering::Relaxed);
    }

    /// How many there were this month.
    pub(crate) fn get(&self, kind: Kind) -> u64 {
        self.counts.of(kind).load(Ordering::Relaxed)
    }
}

impl Ledger {
    /// Goes on where the journal left off. What each app used comes beside, in the order of the apps.
    pub(crate) fn open<'a>(
        journal: Arc<dyn Journal>,
        quota: Quota,
        client_ids: impl Iterator<Item = &'a str>,
    ) -> (Self, Vec<Arc<Usage>>) {
        let month = month_of(now_ms());
        let counters = journal.counters();
        let so_far = |kind: Kind, client_id: &str| {
            let name = kind.counter(client_id);
            let counter = counters.iter().find(|counter| counter.month == month && counter.name == name);
            counter.map_or(0, |counter| counter.total)
        };
        let (usages, written): (Vec<_>, Vec<_>) = client_ids
            .map(|client_id| {
                let written = Each {
                    api_calls: so_far(Kind::ApiCalls, client_id),
                    stream_pushes: so_far(Kind::StreamPushes, client_id),
                };
                let counts = Each {
                    api_calls: AtomicU64::new(written.api_calls),
                    stream_pushes: AtomicU64::new(written.stream_pushes),
                };
                (Arc::new(Usage { client_id: client_id.to_owned(), counts }), written)
            })
            .unzip();
        let of_all = |kind: Kind| {
            let counted = counters
                .iter()
                .filter(|counter| counter.month == month)
                .filter(|counter| counter.name.split_once('/').is_some_and(|(name, _)| name == kind.name()));
            counted.map(|counter| counter.total).sum::<u64>()
        };
        let of_these = |kind: Kind| written.iter().map(|written| *written.of(kind)).sum::<u64>();
        let others = |kind: Kind| of_all(kind).saturating_sub(of_these(kind));
        let others = Each { api_calls: others(Kind::ApiCalls), stream_pushes: others(Kind::StreamPushes) };
        let page = Mutex::new(Page { month, written, others, warned: Each::default() });
        (Self { journal, quota, usages: usages.clone(), page }, usages)
    }

    /// Writes what has changed since the last time, turns the page at the end of the month, and warns an operator
    /// while there is still something left. Meant to be called about once a second: that much may be missing after a
    /// crash.
    pub(crate) fn settle(&self) {
        self.settle_at(now_ms());
    }

    fn settle_at(&self, now_ms: u64) {
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        let Page { month, written, others, warned } = &mut *page;
        for (usage, written) in self.usages.iter().zip(written.iter_mut()) {
            for kind in Kind::ALL {
                let total = usage.get(kind);
                if total != *written.of(kind) {
                    *written.of_mut(kind) = total;
                    let name = kind.counter(&usage.client_id);
                    // A journal that refuses has said so itself; the next total stands for this one.
                    let _ = self.journal.record(Record::Count(Counter { month: *month, name, total }));
                }
            }
        }
        self.warn(others, warned);
        let current = month_of(now_ms);
        // A clock that was set back does not bring the last month back.
        if current > *month {
            *month = current;
            *warned = Each::default();
            *others = Each::default();
            for (usage, written) in self.usages.iter().zip(written) {
                for kind in Kind::ALL {
                    usage.counts.of(kind).fetch_sub(*written.of(kind), Ordering::Relaxed);
                }
                *written = Each::default();
            }
        }
    }

    fn warn(&self, others: &Each<u64>, warned: &mut Each<Level>) {
        for kind in Kind::ALL {
            let used = self.sum(kind) + others.of(kind);
            let budget = self.quota.of(kind);
            let level = level(used, budget);
            let before = std::mem::replace(warned.of_mut(kind), level);
            let name = kind.name();
            match level {
                Level::Fine => {}
                _ if level <= before => {}
                Level::Low => warn!(
                    quota = name,
                    used,
                    budget,
                    "four fifths of the organisation's monthly quota are used up; [quota] in the config has the budget"
                ),
                Level::UsedUp => error!(
                    quota = name,
                    used,
                    budget,
                    "the organisation's monthly quota should be used up: DingTalk may refuse from now on (90020, 20001)"
                ),
            }
        }
    }

    /// What all apps used this month.
    pub(crate) fn total(&self, kind: Kind) -> u64 {
        self.sum(kind) + self.page.lock().unwrap_or_else(PoisonError::into_inner).others.of(kind)
    }

    fn sum(&self, kind: Kind) -> u64 {
        self.usages.iter().map(|usage| usage.get(kind)).sum()
    }

    /// The current month, as year times 100 plus month.
    pub(crate) fn month(&self) -> u32 {
        self.page.lock().unwrap_or_else(PoisonError::into_inner).month
    }
}

impl Quota {
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::ApiCalls => self.api_calls,
            Kind::StreamPushes => self.stream_pushes,
        }
    }
}

fn level(used: u64, budget: u64) -> Level {
    match used {
        _ if budget == 0 => Level::Fine,
        _ if used >= budget => Level::UsedUp,
        _ if used >= budget - budget / 5 => Level::Low,
        _ => Level::Fine,
    }
}

fn month_of(now_ms: u64) -> u32 {
    let seconds = i64::try_from(now_ms / 1000).unwrap_or(0);
    let Ok(now) = OffsetDateTime::from_unix_timestamp(seconds) else { return 0 };
    let date = (now + CHINA).date();
    u32::try_from(date.year()).unwrap_or(0) * 100 + u32::from(u8::from(date.month()))
}

#[cfg(test)]
mod tests {
    use belfry_journal::MemoryJournal;

    use super::*;

    const QUOTA: Quota = Quota { api_calls: 10, stream_pushes: 0 };

    fn ledger(journal: &Arc<dyn Journal>) -> (Ledger, Vec<Arc<Usage>>) {
        Ledger::open(journal.clone(), QUOTA, ["a", "b"].into_iter())
    }

    #[test]
    fn counts_go_on_after_a_restart_and_per_app() {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let (first, usages) = ledger(&journal);
        usages[0].add(Kind::ApiCalls, 1);
        usages[0].add(Kind::ApiCalls, 1);
        usages[1].add(Kind::StreamPushes, 1);
        first.settle();
        let (_, usages) = ledger(&journal);
        let get = |app: usize, kind| usages[app].get(kind);
        assert_eq!(
            [
                get(0, Kind::ApiCalls),
                get(0, Kind::StreamPushes),
                get(1, Kind::ApiCalls),
                get(1, Kind::StreamPushes)
            ],
            [2, 0, 0, 1]
        );
    }

    #[test]
    fn an_app_that_left_the_config_has_used_what_it_used() {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let (first, usages) = ledger(&journal);
        usages[0].add(Kind::StreamPushes, 3);
        usages[1].add(Kind::StreamPushes, 4);
        first.settle();
        let (second, usages) = Ledger::open(journal.clone(), QUOTA, ["b"].into_iter());
        usages[0].add(Kind::StreamPushes, 1);
        assert_eq!((second.total(Kind::StreamPushes), second.total(Kind::ApiCalls)), (8, 0));
    }

    #[test]
    fn a_new_month_starts_at_nothing_and_keeps_the_last_one() {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let (ledger, usages) = ledger(&journal);
        let usage = &usages[0];
        let last = ledger.month();
        usage.add(Kind::ApiCalls, 1);
        ledger.settle_at(now_ms() + 32 * 24 * 60 * 60 * 1000);
        assert_eq!(usage.get(Kind::ApiCalls), 0);
        assert!(ledger.month() > last);
        // The clock is set back: still the new month.
        usage.add(Kind::ApiCalls, 1);
        ledger.settle();
        assert!(ledger.month() > last);
        assert_eq!(usage.get(Kind::ApiCalls), 1);
        let kept = journal.counters();
        let of = |month| kept.iter().find(|counter| counter.month == month).map(|counter| counter.total);
        assert_eq!((of(last), of(ledger.month())), (Some(1), Some(1)));
    }

    #[test]
    fn an_operator_is_warned_in_time() {
        assert_eq!(level(7, 10), Level::Fine);
        assert_eq!(level(8, 10), Level::Low);
        assert_eq!(level(10, 10), Level::UsedUp);
        assert_eq!(level(1_000, 0), Level::Fine);
    }

    #[test]
    fn months_are_those_of_china() {
        // 2026-10-31T16:00:00Z is midnight there.
        assert_eq!(month_of(1_793_462_399_000), 202_610);
        assert_eq!(month_of(1_793_462_400_000), 202_611);
    }
}
