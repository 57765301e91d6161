//! What goes: events that are over and too old, or more than the journal may hold; and old dedupe keys.

use std::time::{Duration, Instant};

use rusqlite::OptionalExtension;

use super::{
    store::{Result, Store},
    writer::Writer,
};
use crate::Position;

/// How often it is looked for, by time and by events written, while events come.
const EVERY: Duration = Duration::from_secs(1);
const AFTER: usize = 1000;
/// The pause between rounds in any case, so that they leave the disk to others.
const PAUSE: Duration = Duration::from_millis(50);
/// How many events are looked at in one round.
const AT_ONCE: usize = 2000;
/// Free pages given back in one round, and the free bytes that may stay.
const PAGES_AT_ONCE: u32 = 1000;
const FREE_BYTES: u64 = 16 << 20;

/// When to look again, and where.
pub(super) struct Retention {
    last: Instant,
    /// Events written since.
    events: usize,
    /// The last round ended before it was through.
    unfinished: bool,
    /// Everything up to here was looked at in this pass over the events.
    reached: u64,
}

impl Default for Retention {
    /// As if something had come: what grew old while the journal was closed goes soon.
    fn default() -> Self {
        Self { last: Instant::now(), events: 1, unfinished: false, reached: 0 }
    }
}

impl Retention {
    pub(super) fn note_event(&mut self) {
        self.events += 1;
    }
}

impl Writer {
    /// How long the next round can wait if nothing comes.
    pub(super) fn retention_patience(&self) -> Duration {
        let after = match &self.retention {
            Retention { unfinished: true, .. } => PAUSE,
            Retention { events: AFTER.., .. } => PAUSE,
            Retention { events: 1.., .. } => EVERY,
            // Nothing comes, and what there is grows old all the same.
            _ => (self.settings.keep_for / 16).clamp(EVERY, 600 * EVERY),
        };
        after.saturating_sub(self.retention.last.elapsed())
    }

    pub(super) fn retire_when_due(&mut self) {
        if !self.retention_patience().is_zero() {
            return;
        }
        self.retention =
            Retention { last: Instant::now(), events: 0, unfinished: false, reached: self.retention.reached };
        // Space is what it would make. If there is trouble, an append or the next sync will say what is wrong.
        if !self.broken && self.backlog.is_empty() && self.retire().is_err() {
            self.store.roll_back();
        }
    }

    fn retire(&mut self) -> Result<()> {
        let now_ms = self.front.now_ms();
        let before_ms = now_ms.saturating_sub(millis(self.settings.keep_for));
        let (used, free) = self.store.bytes()?;
        let written = self.store.connection.total_changes();
        self.store.begin()?;
        self.retire_events(before_ms, used.saturating_sub(self.settings.keep_bytes))?;
        let limits = self.settings.limits;
        self.store.retire_seen(now_ms.saturating_sub(millis(limits.dedupe_for)), limits.dedupe_keys)?;
        if self.store.connection.total_changes() > written {
            let last = self.front.lock().last;
            self.store.remember_last(last)?;
            self.store.commit()?;
            self.note_written(false);
        } else {
            self.store.roll_back();
        }
        if free > FREE_BYTES.max(used / 4) {
            self.store.shrink(PAGES_AT_ONCE)?;
            self.note_written(false);
            self.retention.events += 1;
        }
        Ok(())
    }

    /// Those from before `before_ms`, and the oldest until `over` bytes are free.
    fn retire_events(&mut self, before_ms: u64, mut over: u64) -> Result<()> {
        let mut looked_at = 0;
        while looked_at < AT_ONCE {
            // A long backlog is passed over without looking at it.
            let after = self.front.lock().ledger.last_of_run(Position(self.retention.reached)).0;
            let candidates = self.store.oldest(after, 64)?;
            if candidates.is_empty() {
                self.retention.reached = 0;
                return Ok(());
            }
            for (position, at_ms) in candidates {
                if at_ms >= before_ms && over == 0 {
                    // The next pass begins at the oldest: some of those passed over may have ended.
                    self.retention.reached = 0;
                    return Ok(());
                }
                self.retention.reached = position.0;
                // The fold is ahead of the store by what waits to be written, so the store has the last word.
                if !self.front.lock().needs(position) {
                    over = over.saturating_sub(self.store.retire(position)?);
                }
                looked_at += 1;
            }
        }
        self.retention.unfinished = true;
        Ok(())
    }
}

impl Store {
    /// What the file holds, in bytes: used, and free within it.
    fn bytes(&self) -> Result<(u64, u64)> {
        let pragma = |name: &str| -> Result<u64> {
            let value: i64 = self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
            Ok(value.cast_unsigned())
        };
        let (pages, free, page) = (pragma("page_count")?, pragma("freelist_count")?, pragma("page_size")?);
        Ok((pages.saturating_sub(free) * page, free * page))
    }

    /// The events after `after`, oldest first, with the time they came.
    fn oldest(&self, after: u64, limit: usize) -> Result<Vec<(Position, u64)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT position, at FROM event WHERE position > ?1 ORDER BY position LIMIT ?2",
        )?;
        let bounds = (after.cast_signed(), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = statement.query_map(bounds, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        rows.map(|row| {
            let (position, at_ms) = row?;
            Ok((Position(position.cast_unsigned()), at_ms.cast_unsigned()))
        })
        .collect()
    }

    /// Forgets an event and its deliveries, unless by what is written anything is owed to it or it is a dead letter.
    /// Answers about how many bytes that frees.
    pub(super) fn retire(&self, position: Position) -> Result<u64> {
        let number = position.0.cast_signed();
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM event WHERE position = ?1
             AND NOT EXISTS (SELECT 1 FROM open_event WHERE open_event.position = ?1)
             AND NOT EXISTS (SELECT 1 FROM open_delivery WHERE open_delivery.event = ?1)
             AND NOT EXISTS (SELECT 1 FROM dead WHERE dead.event = ?1)
             RETURNING length(payload) + length(private) + length(key)",
        )?;
        let bytes: Option<i64> = statement.query_row([number], |row| row.get(0)).optional()?;
        let Some(bytes) = bytes else { return Ok(0) };
        self.run("DELETE FROM delivery WHERE event = ?1", [number])?;
        Ok(bytes.cast_unsigned())
    }

    /// Positions are never used twice, also when no event is left.
    pub(super) fn remember_last(&mut self, last: u64) -> Result<()> {
        self.run("UPDATE meta SET value = max(value, ?1) WHERE name = 'last'", [last.cast_signed()])?;
        Ok(())
    }

    /// Forgets dedupe keys from before `before_ms`, and the oldest beyond `at_most` events.
    fn retire_seen(&mut self, before_ms: u64, at_most: usize) -> Result<()> {
        let over = self.seen_rows.saturating_sub(at_most);
        let old = self.run(
            "DELETE FROM seen WHERE at < ?1 AND position IN (SELECT position FROM seen ORDER BY position LIMIT 2000)",
            [before_ms.cast_signed()],
        )?;
        let more = over.saturating_sub(old);
        let more = if more > 0 {
            let more = i64::try_from(more).unwrap_or(i64::MAX);
            self.run(
                "DELETE FROM seen WHERE position IN (SELECT position FROM seen ORDER BY position LIMIT ?1)",
                [more],
            )?
        } else {
            0
        };
        self.seen_rows = self.seen_rows.saturating_sub(old + more);
        Ok(())
    }

    /// Gives so many free pages at most back to the disk.
    fn shrink(&self, pages: u32) -> Result<()> {
        Ok(self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({pages})"))?)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::{EventState, Limits, NewEvent, Record, fold::Fold};

    /// The fold has everything at once; the store gets it bit by bit.
    #[test]
    fn an_event_goes_when_the_store_itself_owes_it_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::new(Connection::open(folder.path().join("store")).unwrap()).unwrap();
        let mut fold = Fold::new(Limits::default());
        let (payload, private) = ("payload".into(), "private".into());
        let event = NewEvent { key: "k".into(), dedupe: vec![], payload, private };
        let position = fold.append(&event, 0).unwrap();
        let letter = |delivery| {
            let (event, reason) = (position, String::new());
            Record::Dead {
                letter: crate::DeadLetter { event, delivery, reason, attempts: 1 },
                culprit: None,
                notice: None,
            }
        };
        let deliveries = vec!["one".into(), "two".into()];
        let records = [
            Record::Done(crate::Completion::new(position, deliveries)),
            Record::Delivered { event: position, index: 0 },
            letter(Some(1)),
            Record::Drop { event: position, delivery: Some(1) },
        ];
        let changes: Vec<_> = records.map(|record| fold.apply(record, 0).unwrap()).into();
        assert!(!fold.needs(position));
        store.append(position, 0, &event).unwrap();
        for changes in changes {
            assert_eq!(store.retire(position).unwrap(), 0);
            assert!(store.event(position, EventState::Done).unwrap().is_some());
            changes.iter().for_each(|change| store.apply(change).unwrap());
        }
        assert!(store.retire(position).unwrap() > 0);
        assert!(store.event(position, EventState::Done).unwrap().is_none());
        assert!(store.delivery(position, 0).unwrap().is_none());
    }
}
