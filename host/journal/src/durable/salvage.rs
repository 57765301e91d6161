//! Reading what can be read of a damaged store.

use std::path::Path;

use rusqlite::{Connection, Row};

use super::{
    read::{COUNTERS, DEAD, ROUTES, counter_row, dead_row, route_row},
    seal::{self, seen_sum},
    store::{Result, Store},
};
use crate::{EARLY, EventState, NOTICE, Position, TracedEvent, fold::Change};

#[derive(Default)]
pub(super) struct Salvaged {
    pub(super) saved: usize,
    pub(super) missing: usize,
}

/// Copies what is pending, dead or remembered into `new`, row by row: a row that cannot be read costs only itself, as
/// far as the pages around it are sound. Errors are those of `new`; nothing about the damaged store stops it.
pub(super) fn salvage(damaged: &Path, new: &mut Store) -> Result<Salvaged> {
    let mut salvaged = Salvaged::default();
    let Ok(connection) = Connection::open(damaged) else { return Ok(salvaged) };
    let _ = connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE");
    let old = Store::to_read(connection);
    let last = last(&old);
    new.remember_last(last.cast_unsigned())?;

    // What is owed is taken from the event and the delivery themselves: of the lists only that they name it.
    let open = by_number(
        &old,
        "SELECT position, attempts FROM open_event WHERE position >= ?1 ORDER BY position LIMIT ?2",
        last,
        |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)),
    );
    for (position, attempts) in open {
        let event = copy_event(&old, new, position_of(position))?;
        count(&mut salvaged, event.is_some());
        if let Some(TracedEvent { position, key, payload, private, .. }) = event {
            let attempts = seal::attempts(attempts).unwrap_or(0);
            new.open(position, None, &key, payload.len() + private.len(), attempts)?;
            copy_early(&old, new, position)?;
        }
    }
    let open = by_number(
        &old,
        "SELECT event, place, attempts FROM open_delivery WHERE event >= ?1 ORDER BY event LIMIT ?2",
        last,
        |row| Ok((row.get(0)?, (row.get::<_, u32>(1)?, row.get::<_, i64>(2)?))),
    );
    for (event, (index, attempts)) in open {
        let event = copy_event(&old, new, position_of(event))?;
        let delivery = match &event {
            Some(event) => copy_delivery(&old, new, event.position, index)?,
            None => None,
        };
        count(&mut salvaged, delivery.is_some());
        if let (Some(event), Some(bytes)) = (event, delivery) {
            let attempts = seal::attempts(attempts).unwrap_or(0);
            new.open(event.position, Some(index), &event.key, bytes, attempts)?;
        }
    }
    for death in scan(&old, DEAD, dead_row) {
        let (event, delivery) = death.about();
        let copied = copy_event(&old, new, event)?.is_some()
            && match delivery {
                Some(index) => copy_delivery(&old, new, event, index)?.is_some(),
                None => true,
            };
        if copied {
            new.add_dead(&death)?;
        }
    }
    remembered(&old, new, last)?;
    Ok(salvaged)
}

fn remembered(old: &Store, new: &mut Store, last: i64) -> Result<()> {
    let seen = by_number(
        old,
        "SELECT position, at, keys, crc FROM seen WHERE position >= ?1 ORDER BY position LIMIT ?2",
        last,
        |row| Ok((row.get(0)?, (row.get::<_, i64>(1)?, row.get::<_, String>(2)?, row.get::<_, u32>(3)?))),
    );
    for (position, (at, keys, sum)) in seen {
        let (position, at_ms) = (position_of(position), at.cast_unsigned());
        if seen_sum(position, at_ms, &keys) == sum {
            new.keep_seen(position, at_ms, &keys)?;
        }
    }
    for route in scan(old, ROUTES, route_row) {
        new.apply(&Change::RouteSet(route))?;
    }
    let keys = scan(old, "SELECT bucket, key FROM value", |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    });
    for (bucket, key) in keys {
        if let Ok(Some(value)) = old.value(&bucket, &key) {
            new.apply(&Change::ValueSet { bucket, key, value })?;
        }
    }
    for counter in scan(old, COUNTERS, counter_row) {
        new.apply(&Change::CounterSet(counter))?;
    }
    Ok(())
}

fn count(salvaged: &mut Salvaged, copied: bool) {
    if copied {
        salvaged.saved += 1;
    } else {
        salvaged.missing += 1;
    }
}

fn copy_event(old: &Store, new: &Store, position: Position) -> Result<Option<TracedEvent>> {
    let Ok(Some(event)) = old.event(position, EventState::Pending) else { return Ok(None) };
    new.keep_event(position, event.appended_at_ms, &event.key, &event.payload, &event.private)?;
    Ok(Some(event))
}

/// Answers how many bytes the delivery has.
fn copy_delivery(old: &Store, new: &Store, event: Position, index: u32) -> Result<Option<usize>> {
    let Ok(Some((payload, at_ms))) = old.delivery(event, index) else { return Ok(None) };
    new.keep_delivery(event, index, at_ms, &payload)?;
    Ok(Some(payload.len()))
}

/// That they were sent keeps them from being sent again.
fn copy_early(old: &Store, new: &Store, event: Position) -> Result<()> {
    let (event_number, range) = (event.0, EARLY..NOTICE);
    let query = format!(
        "SELECT place FROM delivery WHERE event = {event_number} AND place >= {} AND place < {}",
        range.start, range.end
    );
    for index in scan(old, &query, |row| Ok(row.get::<_, u32>(0)?)) {
        copy_delivery(old, new, event, index)?;
    }
    Ok(())
}

fn position_of(number: i64) -> Position {
    Position(number.cast_unsigned())
}

/// The highest position that anything readable speaks of.
fn last(old: &Store) -> i64 {
    let queries = [
        "SELECT value FROM meta WHERE name = 'last'",
        "SELECT max(position) FROM event",
        "SELECT max(position) FROM open_event",
        "SELECT max(position) FROM seen",
    ];
    let read =
        |query: &str| old.connection.query_row(query, [], |row| row.get::<_, Option<i64>>(0)).ok().flatten();
    queries.into_iter().filter_map(read).max().unwrap_or(0)
}

/// The rows that fit their checksums, as far as the table can be read.
fn scan<T>(old: &Store, query: &str, take: impl Fn(&Row<'_>) -> Result<T>) -> Vec<T> {
    let mut rows = Vec::new();
    let _ = old.each(query, |row| {
        rows.extend(take(row));
        Ok(())
    });
    rows
}

/// All rows that can be read of a table whose first column is a number up to `last`: behind a damaged page it goes on.
fn by_number<T>(
    old: &Store,
    query: &str,
    last: i64,
    take: impl Fn(&Row<'_>) -> rusqlite::Result<(i64, T)>,
) -> Vec<(i64, T)> {
    let mut all: Vec<(i64, T)> = Vec::new();
    let Ok(mut statement) = old.connection.prepare(query) else { return all };
    let (mut from, mut failures) = (0i64, 0u32);
    while from <= last {
        let Ok(rows) = statement.query_map((from, -1i64), &take) else { return all };
        let (before, mut whole) = (all.len(), true);
        for row in rows {
            match row {
                Ok(row) => all.push(row),
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        if whole {
            break;
        }
        failures = if all.len() > before { 0 } else { failures.saturating_add(1) };
        // Small steps first; when nothing comes for long, larger ones, so that it ends.
        let step = 1i64 << (failures / 50).min(40);
        let reached = all.last().map_or(from, |(number, _)| from.max(*number));
        from = if all.len() > before { reached.saturating_add(1) } else { from.saturating_add(step) };
    }
    all
}
