//! What the writer lets others see.

use std::{
    io::Write,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use rusqlite::ErrorCode;

use super::{files::private_file, store::StoreError};
use crate::JournalError;

pub(super) struct Shared {
    /// How often appends were taken back.
    pub(super) failures: AtomicU64,
    /// Syncs so far.
    pub(super) syncs: AtomicU64,
    trouble: Mutex<Option<JournalError>>,
    /// Written when something that was read or written to turns out to be damaged.
    suspicion: PathBuf,
}

impl Shared {
    pub(super) fn new(suspicion: PathBuf) -> Self {
        Self {
            failures: AtomicU64::default(),
            syncs: AtomicU64::default(),
            trouble: Mutex::default(),
            suspicion,
        }
    }

    /// What keeps the writer from writing.
    pub(super) fn trouble(&self) -> MutexGuard<'_, Option<JournalError>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error of the store in the journal's words. Damage is noted for the next start, which then looks at everything.
    pub(super) fn explain(&self, error: &StoreError, path: String) -> JournalError {
        if error.is_damage() {
            let what = error.to_string();
            // Best effort: the next start has its own eyes.
            let _ = private_file()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&self.suspicion)
                .and_then(|mut file| file.write_all(what.as_bytes()));
            return JournalError::Damaged { path, what };
        }
        match error {
            StoreError::Engine(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == ErrorCode::DiskFull =>
            {
                JournalError::DiskFull { path }
            }
            _ => JournalError::Storage { path, reason: error.to_string() },
        }
    }
}
