//! From the tables to the fold.

use std::path::Path;

use rusqlite::{Connection, config::DbConfig};

use super::{
    read::{
        COUNTERS, DEAD, OPEN_DELIVERIES, OPEN_EVENTS, ROUTES, SEEN, counter_row, dead_row, open_row,
        route_row, seen_row,
    },
    seal::{scramble, split},
    store::{Result, Store, StoreError},
};
use crate::{
    EARLY, EventState, Limits, NOTICE, Position,
    fold::Fold,
    tables::{Held, NUMBER_BYTES},
};

/// How much is looked at when a journal is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Thoroughness {
    /// The lists of what is owed, and the payloads of the first so many bytes of it: a long backlog must not hold the
    /// start up. Each of the rest is checked when it is read.
    Quick,
    /// Everything.
    Full,
}

/// What a quick look checks.
const QUICK_BYTES: usize = 16 << 20;

/// A `marked` position that the store does not know is a loss.
pub(super) fn load(
    path: &Path,
    limits: Limits,
    marked: u64,
    thoroughness: Thoroughness,
) -> Result<(Store, Fold)> {
    let connection = Connection::open(path)?;
    // Until it is known to be sound: closing must not move the log into the file, it may have to be set aside as it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let mut store = Store::new(connection)?;
    if thoroughness == Thoroughness::Full {
        check_structure(&store)?;
    }
    let mut fold = Fold::new(limits);
    fold.last = store.last();
    load_open(&store, &mut fold, thoroughness)?;
    load_rest(&mut store, &mut fold)?;
    if fold.last < marked {
        let missing = marked - fold.last;
        return Err(StoreError::Damaged(format!("the last {missing} events that were stored are missing")));
    }
    for death in fold.dead.iter() {
        let (event, delivery) = death.about();
        check(&store, event, delivery, &format!("what dead letter {} is about", event.0))?;
    }
    store.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok((store, fold))
}

/// What is owed, checked by looking it up as it will be looked up later. (A join reads neighbours in turn, and passes
/// over damage in the pages that lead to them.)
fn load_open(store: &Store, fold: &mut Fold, thoroughness: Thoroughness) -> Result<()> {
    let mut digest = 0;
    let mut left = QUICK_BYTES;
    for query in [OPEN_EVENTS, OPEN_DELIVERIES] {
        store.each(query, |row| {
            let open = open_row(row)?;
            digest ^= scramble(open.event, open.delivery);
            fold.ledger.add(open.event, open.delivery, open.key, open.owed);
            if left > 0 || thoroughness == Thoroughness::Full {
                let what = match open.delivery {
                    Some(index) => format!("delivery {index} of event {}", open.event.0),
                    None => format!("event {}", open.event.0),
                };
                check(store, open.event, open.delivery, &what)?;
                left = left.saturating_sub(open.owed.bytes.max(1));
            }
            Ok(())
        })?;
    }
    if digest != store.digest() {
        return Err(StoreError::Damaged(
            "the list of what is pending is not the one that was written".into(),
        ));
    }
    Ok(())
}

/// Whether an event is there, and the delivery of it that is asked for, each as it was written.
fn check(store: &Store, event: Position, delivery: Option<u32>, what: &str) -> Result<()> {
    let there = match delivery {
        Some(index) => store.delivery(event, index)?.is_some(),
        None => true,
    };
    if !there || store.event(event, EventState::Pending)?.is_none() {
        return Err(StoreError::Damaged(format!("{what} is missing")));
    }
    Ok(())
}

fn load_rest(store: &mut Store, fold: &mut Fold) -> Result<()> {
    let newest: Option<i64> =
        store.connection.query_row("SELECT max(position) FROM event", [], |row| row.get(0))?;
    fold.last = fold.last.max(newest.unwrap_or(0).cast_unsigned());
    let mut seen_rows = 0;
    store.each(SEEN, |row| {
        let (position, at_ms, keys) = seen_row(row)?;
        fold.last = fold.last.max(position.0);
        let keys = split(keys).ok_or_else(|| {
            StoreError::Damaged(format!("the dedupe keys of event {} cannot be read", position.0))
        })?;
        fold.seen.insert(&keys, at_ms);
        seen_rows += 1;
        Ok(())
    })?;
    store.each(DEAD, |row| {
        fold.dead.add(dead_row(row)?);
        Ok(())
    })?;
    let limits = fold.limits;
    let mut ignored = Vec::new();
    store.each(ROUTES, |row| {
        fold.routes.set(route_row(row)?, limits.routes, &mut ignored);
        ignored.clear();
        Ok(())
    })?;
    store.each(COUNTERS, |row| {
        fold.counters.set(counter_row(row)?, limits.counters, &mut ignored);
        ignored.clear();
        Ok(())
    })?;
    let values = format!(
        "SELECT bucket, key, length(value), CASE WHEN length(value) <= {NUMBER_BYTES} THEN value END FROM value"
    );
    store.each(&values, |row| {
        let bytes = usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
        let short = row.get_ref(3)?.as_blob_or_null().unwrap_or_default();
        let held = short.map_or_else(|| Held::long(bytes), Held::of);
        fold.buckets.restore(row.get(0)?, row.get(1)?, held);
        Ok(())
    })?;
    load_sent(store, fold)?;
    store.seen_rows = seen_rows;
    Ok(())
}

/// The early deliveries of events that are handled again, or may be. Events behind the last that has any delivery are not
/// looked up: most of a backlog.
fn load_sent(store: &Store, fold: &mut Fold) -> Result<()> {
    let query = format!(
        "SELECT event, place FROM delivery WHERE place >= {EARLY} AND place < {NOTICE} AND event IN
             (SELECT position FROM open_event WHERE position <= (SELECT max(event) FROM delivery)
              UNION SELECT event FROM dead WHERE place IS NULL)"
    );
    store.each(&query, |row| {
        let event = Position(row.get::<_, i64>(0)?.cast_unsigned());
        fold.sent.entry(event).or_default().insert(row.get(1)?);
        Ok(())
    })
}

/// The pages and the values, which are not looked at otherwise.
fn check_structure(store: &Store) -> Result<()> {
    let verdict: String = store.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(StoreError::Damaged(verdict));
    }
    store.each("SELECT bucket, key FROM value", |row| {
        store.value(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?).map(drop)
    })
}
