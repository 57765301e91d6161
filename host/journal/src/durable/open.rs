//! Opening a journal: the fold is loaded from the tables, and what is damaged is set aside.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{
    files::{Folder, Mark, explain},
    store::{APPLICATION, FORMAT, Store, StoreError, scramble, split},
};
use crate::{
    Counter, DeadLetter, EventState, Limits, Position, Route,
    fold::{Change, Fold},
    ledger::Owed,
};

/// Why a journal could not be opened. Reads after "failed to open the journal: ". Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is open in another process{}: stop that one, or give this one a journal of its own", path.display(),
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    InUse {
        /// The journal.
        path: PathBuf,
        /// The other process, if it could be read.
        pid: Option<u32>,
    },
    /// There is something else at its place.
    #[error("{} is not a Belfry journal: move it away, or set another path", path.display())]
    NotAJournal {
        /// The path.
        path: PathBuf,
    },
    /// A newer Belfry wrote it.
    #[error("{} has format {found}; this Belfry reads up to {supported}: run the newer Belfry that wrote it", path.display())]
    NewerFormat {
        /// The journal.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The newest format known here.
        supported: i32,
    },
    /// The folder, the disk or the system refuses.
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable {
        /// The journal.
        path: PathBuf,
        /// Why, with what to do about it.
        reason: String,
    },
}

/// Damaged files that were found and set aside when a journal was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// What was wrong.
    pub reason: String,
    /// The folder that holds the damaged files now.
    pub set_aside: PathBuf,
    /// Pending events and deliveries that could be read, and are in the journal again.
    pub saved: usize,
    /// Pending events and deliveries that are known to be missing. More may be, if what lists them is damaged.
    pub missing: usize,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { reason, set_aside, saved, missing } = self;
        let set_aside = set_aside.display();
        write!(
            f,
            "the journal was damaged ({reason}); its files are kept in {set_aside}; {saved} pending entries were saved, \
             {missing} are known to be missing"
        )
    }
}

pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) fold: Fold,
    pub(super) mark: Mark,
    pub(super) damage: Option<Damage>,
}

pub(super) fn open(folder: &Folder, limits: Limits) -> Result<Opened, OpenError> {
    let mark = folder.mark()?;
    refuse_other_formats(folder)?;
    let problem = match load(&folder.store(), limits, mark.last) {
        Ok((store, fold)) => return Ok(Opened { store, fold, mark, damage: None }),
        Err(problem) => problem,
    };
    let reason = match &problem {
        StoreError::Damaged(reason) => reason.clone(),
        StoreError::Engine(error) if is_damage(error) => error.to_string(),
        StoreError::Engine(error) => return Err(unusable(&folder.path, &error.to_string())),
    };
    start_anew(folder, limits, mark.last, reason)
}

/// Before anything of the file is believed or changed.
fn refuse_other_formats(folder: &Folder) -> Result<(), OpenError> {
    let path = folder.store();
    if std::fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
        return Ok(());
    }
    let read = || -> rusqlite::Result<(i32, i32, i64)> {
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
        // Closing must not move the log into the file: it may have to be set aside as it is.
        connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
        let (application, format) = (pragma("application_id")?, pragma("user_version")?);
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((application, format, tables))
    };
    match read() {
        // A process that was stopped while it created the file leaves it without tables.
        Ok((0, 0, 0)) => Ok(()),
        Ok((APPLICATION, format, _)) if format > FORMAT => {
            Err(OpenError::NewerFormat { path: folder.path.clone(), found: format, supported: FORMAT })
        }
        Ok((APPLICATION, ..)) => Ok(()),
        Ok(_) => Err(OpenError::NotAJournal { path: folder.path.clone() }),
        Err(error) if is_damage(&error) => Ok(()),
        Err(error) => Err(unusable(&folder.path, &error.to_string())),
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(error, _) => {
            // "unknown" is what a table that should be there and is not gives.
            matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
        }
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::QueryReturnedNoRows => true,
        _ => false,
    }
}

fn unusable(path: &Path, reason: &str) -> OpenError {
    OpenError::Unusable { path: path.to_owned(), reason: reason.to_owned() }
}

fn load(path: &Path, limits: Limits, marked: u64) -> Result<(Store, Fold), StoreError> {
    let connection = Connection::open(path)?;
    // Until it is known to be sound: see `refuse_other_formats`.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let store = Store::new(connection)?;
    let mut fold = Fold::new(limits);
    fold.last = store.last();
    let mut problems = Vec::new();
    let digest = load_open(&store, &mut fold, &mut problems)?;
    if let Some(problem) = problems.into_iter().next() {
        return Err(StoreError::Damaged(problem));
    }
    if digest != store.digest() {
        return Err(StoreError::Damaged(
            "the list of what is pending is not the one that was written".into(),
        ));
    }
    load_rest(&store, &mut fold)?;
    if fold.last < marked {
        let missing = marked - fold.last;
        return Err(StoreError::Damaged(format!("the last {missing} events that were stored are missing")));
    }
    for death in fold.dead.iter() {
        let DeadLetter { event, delivery, .. } = &death.letter;
        let there = match delivery {
            Some(index) => store.delivery(*event, *index)?.is_some(),
            None => true,
        };
        if !there || store.event(*event, EventState::Dead)?.is_none() {
            return Err(StoreError::Damaged(format!("what dead letter {} is about is missing", event.0)));
        }
    }
    store.connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok((store, fold))
}

/// What is pending, each entry checked by looking it up as it will be looked up later. (A join reads neighbours in turn,
/// and passes over damage in the pages that lead to them.) Entries that cannot be used become problems.
fn load_open(store: &Store, fold: &mut Fold, problems: &mut Vec<String>) -> Result<u64, StoreError> {
    let mut digest = 0;
    each(store, "SELECT position, attempts FROM open_event ORDER BY position", |row| {
        let (position, attempts) = (Position(row.get::<_, i64>(0)?.cast_unsigned()), row.get(1)?);
        digest ^= scramble(position, None);
        match store.event_bytes(position)? {
            Some((key, bytes)) => fold.ledger.add(position, None, &key, Owed { bytes, attempts }),
            None => problems.push(format!("event {} is missing", position.0)),
        }
        Ok(())
    })?;
    each(store, "SELECT event, place, attempts FROM open_delivery ORDER BY event, place", |row| {
        let (event, index) = (Position(row.get::<_, i64>(0)?.cast_unsigned()), row.get(1)?);
        digest ^= scramble(event, Some(index));
        match (store.event_bytes(event)?, store.delivery(event, index)?) {
            (Some((key, _)), Some((payload, _))) => {
                let owed = Owed { bytes: payload.len(), attempts: row.get(2)? };
                fold.ledger.add(event, Some(index), &key, owed);
            }
            _ => problems.push(format!("delivery {index} of event {} is missing", event.0)),
        }
        Ok(())
    })?;
    Ok(digest)
}

fn load_rest(store: &Store, fold: &mut Fold) -> Result<(), StoreError> {
    let newest: Option<i64> =
        store.connection.query_row("SELECT max(position) FROM event", [], |row| row.get(0))?;
    fold.last = fold.last.max(newest.unwrap_or(0).cast_unsigned());
    store.dead()?.into_iter().for_each(|death| fold.dead.add(death));
    let limits = fold.limits;
    let mut ignored = Vec::<Change>::new();
    load_seen(store, fold)?;
    each(store, "SELECT conversation, address, expires FROM route", |row| {
        let route = Route {
            conversation: row.get(0)?,
            address: row.get::<_, Vec<u8>>(1)?.into(),
            expires_at_ms: row.get::<_, i64>(2)?.cast_unsigned(),
        };
        fold.routes.set(route, limits.routes, &mut ignored);
        ignored.clear();
        Ok(())
    })?;
    each(store, "SELECT bucket, key, length(value) FROM value", |row| {
        fold.buckets.restore(row.get(0)?, row.get(1)?, usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0));
        Ok(())
    })?;
    each(store, "SELECT month, name, total FROM counter", |row| {
        let counter =
            Counter { month: row.get(0)?, name: row.get(1)?, total: row.get::<_, i64>(2)?.cast_unsigned() };
        fold.counters.set(counter, limits.counters, &mut ignored);
        ignored.clear();
        Ok(())
    })
}

fn load_seen(store: &Store, fold: &mut Fold) -> Result<(), StoreError> {
    each(store, "SELECT position, at, keys FROM seen ORDER BY position", |row| {
        let (position, at, keys): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        fold.last = fold.last.max(position.cast_unsigned());
        let keys = split(&keys).ok_or_else(|| {
            StoreError::Damaged(format!("the dedupe keys of event {position} cannot be read"))
        })?;
        fold.seen.insert(&keys, at.cast_unsigned());
        Ok(())
    })
}

fn each(
    store: &Store,
    query: &str,
    mut take: impl FnMut(&rusqlite::Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = store.connection.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

/// Sets the damaged files aside and begins a new journal with what can be read of them.
fn start_anew(folder: &Folder, limits: Limits, marked: u64, reason: String) -> Result<Opened, OpenError> {
    let refused = |error: std::io::Error| unusable(&folder.path, &explain(&error));
    let broken = |error: StoreError| unusable(&folder.path, &error.to_string());
    let set_aside = folder.set_aside().map_err(refused)?;
    let copy = folder.copy_to_salvage(&set_aside).map_err(refused)?;
    let mut store =
        Connection::open(folder.store()).map_err(StoreError::from).and_then(Store::new).map_err(broken)?;
    store.begin(true).map_err(broken)?;
    let salvaged = super::salvage::salvage(&copy.join(super::files::STORE), &mut store).map_err(broken)?;
    store.remember_last(marked).map_err(broken)?;
    store.commit().map_err(broken)?;
    let _ = std::fs::remove_dir_all(copy);
    drop(store);
    let mut mark = folder.mark()?;
    let (store, mut fold) = load(&folder.store(), limits, 0).map_err(broken)?;
    fold.last = fold.last.max(marked);
    mark.write(fold.last);
    let damage = Damage { reason, set_aside, saved: salvaged.saved, missing: salvaged.missing };
    Ok(Opened { store, fold, mark, damage: Some(damage) })
}
