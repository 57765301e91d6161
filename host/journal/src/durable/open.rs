//! Opening a journal: the fold is loaded from the tables, and what is damaged is set aside.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{
    exchange,
    files::{Folder, Mark, explain},
    load::{Thoroughness, load},
    store::{APPLICATION, FORMAT, Store, StoreError, is_damage},
};
use crate::{Limits, fold::Fold};

/// Why a journal could not be opened. Reads after "failed to open the journal: ". Nothing that is stored was changed;
/// if damaged files were being set aside, opening it again goes on with that.
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
    /// A Belfry from before the first release wrote it.
    #[error("{} has format {found} of an early Belfry; this one reads format {supported}: let the Belfry that wrote it \
        finish what is pending, then move the folder away", path.display())]
    OlderFormat {
        /// The journal.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The oldest format known here.
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
    let finish = || exchange::finish(folder).map_err(|error| unusable(&folder.path, &explain(&error)));
    let mut damage = finish()?;
    let mut mark = folder.mark()?;
    refuse_other_formats(folder)?;
    let thoroughness = if folder.is_suspect() { Thoroughness::Full } else { Thoroughness::Quick };
    let loaded = match load_unless_lost(folder, limits, &mark, thoroughness) {
        Err(problem) if problem.is_damage() => {
            exchange::prepare(folder, limits, mark.last, &problem.to_string())
                .map_err(|reason| unusable(&folder.path, &reason))?;
            damage = finish()?;
            mark = folder.mark()?;
            load(&folder.store(), limits, 0, Thoroughness::Quick)
        }
        loaded => loaded,
    };
    let (store, fold) = loaded.map_err(|problem| unusable(&folder.path, &problem.to_string()))?;
    if damage.is_some() {
        mark.write(fold.last);
    }
    folder.clear_suspicion();
    Ok(Opened { store, fold, mark, damage })
}

fn load_unless_lost(
    folder: &Folder,
    limits: Limits,
    mark: &Mark,
    thoroughness: Thoroughness,
) -> Result<(Store, Fold), StoreError> {
    // Before the engine, which would begin a new one, and remove the log that belonged to it.
    if folder.has_lost_its_store(mark) {
        return Err(StoreError::Damaged("the file of what is stored is missing or empty".into()));
    }
    folder.create_store().map_err(StoreError::File)?;
    load(&folder.store(), limits, mark.last, thoroughness)
}

/// Before anything of the file is believed or changed.
pub(super) fn refuse_other_formats(folder: &Folder) -> Result<(), OpenError> {
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
        Ok((APPLICATION, format, _)) if format < FORMAT => {
            Err(OpenError::OlderFormat { path: folder.path.clone(), found: format, supported: FORMAT })
        }
        Ok((APPLICATION, ..)) => Ok(()),
        Ok(_) => Err(OpenError::NotAJournal { path: folder.path.clone() }),
        Err(error) if is_damage(&error) => Ok(()),
        Err(error) => Err(unusable(&folder.path, &error.to_string())),
    }
}

fn unusable(path: &Path, reason: &str) -> OpenError {
    OpenError::Unusable { path: path.to_owned(), reason: reason.to_owned() }
}
