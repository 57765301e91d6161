//! What is read of a store, each row checked against its checksum.

use bytes::Bytes;
use rusqlite::{OptionalExtension, Row, params};

use super::{
    seal::{self, counter_sum, dead_sum, delivery_sum, event_sum, open_sum, route_sum, seen_sum, value_sum},
    store::{Result, Store, StoreError},
};
use crate::{
    Counter, Culprit, DeadLetter, EventState, Position, Route, TracedEvent, ledger::Owed, letters::Death,
};

/// By position.
pub(super) const OPEN_EVENTS: &str =
    "SELECT position, NULL, key, bytes, attempts, crc FROM open_event ORDER BY position";
/// By event and index.
pub(super) const OPEN_DELIVERIES: &str =
    "SELECT event, place, key, bytes, attempts, crc FROM open_delivery ORDER BY event, place";
pub(super) const SEEN: &str = "SELECT position, at, keys, crc FROM seen ORDER BY position";
pub(super) const DEAD: &str = "SELECT event, place, key, bytes, reason, attempts, plugin, generation, at, crc FROM dead ORDER BY number";
pub(super) const ROUTES: &str = "SELECT conversation, address, expires, crc FROM route";
pub(super) const COUNTERS: &str = "SELECT month, name, total, crc FROM counter";

/// Something that is open, as its table says.
pub(super) struct OpenRow<'a> {
    pub(super) event: Position,
    pub(super) delivery: Option<u32>,
    pub(super) key: &'a str,
    pub(super) owed: Owed,
}

impl Store {
    /// Has every row of a table taken, until one fails.
    pub(super) fn each(&self, query: &str, mut take: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let mut statement = self.connection.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        Ok(())
    }

    /// What is stored of an event.
    pub(super) fn event(&self, position: Position, state: EventState) -> Result<Option<TracedEvent>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, payload, private, at, crc FROM event WHERE position = ?1")?;
        let row = statement
            .query_row([position.0.cast_signed()], |row| {
                let (key, payload, private): (String, Vec<u8>, Vec<u8>) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((key, payload, private, row.get::<_, i64>(3)?.cast_unsigned(), row.get::<_, u32>(4)?))
            })
            .optional()?;
        let Some((key, payload, private, appended_at_ms, expected)) = row else { return Ok(None) };
        if event_sum(position, appended_at_ms, key.as_bytes(), &payload, &private) != expected {
            return Err(StoreError::Damaged(format!("event {} does not match its checksum", position.0)));
        }
        let (payload, private) = (payload.into(), private.into());
        Ok(Some(TracedEvent { position, key, payload, private, appended_at_ms, state }))
    }

    pub(super) fn delivery(&self, event: Position, index: u32) -> Result<Option<(Bytes, u64)>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT payload, at, crc FROM delivery WHERE event = ?1 AND place = ?2")?;
        let row = statement
            .query_row(params![event.0.cast_signed(), index], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?.cast_unsigned(), row.get::<_, u32>(2)?))
            })
            .optional()?;
        let Some((payload, at_ms, expected)) = row else { return Ok(None) };
        if delivery_sum(event, index, at_ms, &payload) != expected {
            let what = format!("delivery {index} of event {} does not match its checksum", event.0);
            return Err(StoreError::Damaged(what));
        }
        Ok(Some((payload.into(), at_ms)))
    }

    pub(super) fn value(&self, bucket: &str, key: &str) -> Result<Option<Bytes>> {
        let mut statement =
            self.connection.prepare_cached("SELECT value, crc FROM value WHERE bucket = ?1 AND key = ?2")?;
        let row = statement
            .query_row([bucket, key], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u32>(1)?)))
            .optional()?;
        let Some((value, expected)) = row else { return Ok(None) };
        if value_sum(bucket, key, &value) != expected {
            return Err(StoreError::Damaged(format!(
                "the value of {key:?} in {bucket:?} does not match its checksum"
            )));
        }
        Ok(Some(value.into()))
    }

    /// Positions of the trace before `before`, newest first.
    pub(super) fn newest(&self, before: u64, limit: usize) -> Result<Vec<Position>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT position FROM event WHERE position < ?1 ORDER BY position DESC LIMIT ?2",
        )?;
        let bounds = (i64::try_from(before).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = statement.query_map(bounds, |row| row.get::<_, i64>(0))?;
        rows.map(|position| Ok(Position(position?.cast_unsigned()))).collect()
    }
}

/// Of [`OPEN_EVENTS`] or [`OPEN_DELIVERIES`].
pub(super) fn open_row<'a>(row: &'a Row<'_>) -> Result<OpenRow<'a>> {
    let (event, delivery) = (Position(row.get::<_, i64>(0)?.cast_unsigned()), row.get(1)?);
    let damaged = || {
        let event = event.0;
        StoreError::Damaged(match delivery {
            Some(index) => {
                format!("what is owed of delivery {index} of event {event} does not match its checksum")
            }
            None => format!("what is owed of event {event} does not match its checksum"),
        })
    };
    let key = row.get_ref(2)?.as_str().map_err(|_| damaged())?;
    let bytes = usize::try_from(row.get::<_, i64>(3)?).map_err(|_| damaged())?;
    let attempts = seal::attempts(row.get(4)?).ok_or_else(damaged)?;
    if row.get::<_, u32>(5)? != open_sum(event, delivery, key.as_bytes(), bytes) {
        return Err(damaged());
    }
    Ok(OpenRow { event, delivery, key, owed: Owed { bytes, attempts } })
}

/// Of [`SEEN`]: where, when, and the keys as they are kept.
pub(super) fn seen_row<'a>(row: &'a Row<'_>) -> Result<(Position, u64, &'a str)> {
    let (position, at_ms) =
        (Position(row.get::<_, i64>(0)?.cast_unsigned()), row.get::<_, i64>(1)?.cast_unsigned());
    match row.get_ref(2)?.as_str() {
        Ok(keys) if row.get::<_, u32>(3)? == seen_sum(position, at_ms, keys) => Ok((position, at_ms, keys)),
        _ => Err(StoreError::Damaged(format!("the dedupe keys of event {} cannot be read", position.0))),
    }
}

/// Of [`DEAD`].
pub(super) fn dead_row(row: &Row<'_>) -> Result<Death> {
    let plugin: Option<String> = row.get(6)?;
    let generation: Option<i64> = row.get(7)?;
    let death = Death {
        letter: DeadLetter {
            event: Position(row.get::<_, i64>(0)?.cast_unsigned()),
            delivery: row.get(1)?,
            reason: row.get(4)?,
            attempts: row.get(5)?,
        },
        culprit: plugin
            .zip(generation)
            .map(|(plugin, generation)| Culprit { plugin, generation: generation.cast_unsigned() }),
        at_ms: row.get::<_, i64>(8)?.cast_unsigned(),
        key: row.get::<_, String>(2)?.into(),
        bytes: usize::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
    };
    if dead_sum(&death) != row.get::<_, u32>(9)? {
        let what = format!("dead letter {} does not match its checksum", death.letter.event.0);
        return Err(StoreError::Damaged(what));
    }
    Ok(death)
}

/// Of [`ROUTES`].
pub(super) fn route_row(row: &Row<'_>) -> Result<Route> {
    let route = Route {
        conversation: row.get(0)?,
        address: row.get::<_, Vec<u8>>(1)?.into(),
        expires_at_ms: row.get::<_, i64>(2)?.cast_unsigned(),
    };
    if route_sum(&route) != row.get::<_, u32>(3)? {
        return Err(StoreError::Damaged("a route does not match its checksum".into()));
    }
    Ok(route)
}

/// Of [`COUNTERS`].
pub(super) fn counter_row(row: &Row<'_>) -> Result<Counter> {
    let counter =
        Counter { month: row.get(0)?, name: row.get(1)?, total: row.get::<_, i64>(2)?.cast_unsigned() };
    if counter_sum(&counter) != row.get::<_, u32>(3)? {
        let what = format!("the counter {:?} of {} does not match its checksum", counter.name, counter.month);
        return Err(StoreError::Damaged(what));
    }
    Ok(counter)
}
