//! The tables of a durable journal, and what is written to them. `read.rs` has what is read, `retention.rs` what goes.

use std::{
    fs::{File, Metadata},
    io,
    path::PathBuf,
};

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, params};

use super::{
    files::explain,
    seal::{
        counter_sum, dead_sum, delivery_sum, event_sum, join, open_sum, route_sum, scramble, seal_attempts,
        seen_sum, value_sum,
    },
};
use crate::{Counter, DeadLetter, NewEvent, Position, Route, fold::Change, letters::Death};

/// Says that a file is a Belfry journal: "BFJL".
pub(super) const APPLICATION: i32 = 0x4246_4a4c;
/// Counted up whenever an older Belfry could not read what this one writes, or the other way round.
pub(super) const FORMAT: i32 = 2;

/// `open_event` and `open_delivery` are narrow on purpose: a mark of *done* must not rewrite the page of a payload, and
/// opening the journal reads them and no payloads. What is open is summed up in `meta` as well, see [`Store::digest`].
const SCHEMA: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE event (position INTEGER PRIMARY KEY, at INTEGER NOT NULL, key TEXT NOT NULL,
        payload BLOB NOT NULL, private BLOB NOT NULL, crc INTEGER NOT NULL);
    CREATE TABLE open_event (position INTEGER PRIMARY KEY, key TEXT NOT NULL, bytes INTEGER NOT NULL,
        attempts INTEGER NOT NULL, crc INTEGER NOT NULL);
    CREATE TABLE seen (position INTEGER PRIMARY KEY, at INTEGER NOT NULL, keys TEXT NOT NULL, crc INTEGER NOT NULL);
    CREATE TABLE delivery (event INTEGER, place INTEGER, at INTEGER NOT NULL, payload BLOB NOT NULL,
        crc INTEGER NOT NULL, PRIMARY KEY (event, place)) WITHOUT ROWID;
    CREATE TABLE open_delivery (event INTEGER, place INTEGER, key TEXT NOT NULL, bytes INTEGER NOT NULL,
        attempts INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (event, place)) WITHOUT ROWID;
    CREATE TABLE dead (number INTEGER PRIMARY KEY, event INTEGER NOT NULL, place INTEGER, key TEXT NOT NULL,
        bytes INTEGER NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL, plugin TEXT, generation INTEGER,
        at INTEGER NOT NULL, crc INTEGER NOT NULL);
    CREATE INDEX dead_about ON dead (event, place);
    CREATE TABLE route (conversation TEXT PRIMARY KEY, address BLOB NOT NULL, expires INTEGER NOT NULL,
        crc INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE value (bucket TEXT, key TEXT, value BLOB NOT NULL, crc INTEGER NOT NULL,
        PRIMARY KEY (bucket, key)) WITHOUT ROWID;
    CREATE TABLE counter (month INTEGER, name TEXT, total INTEGER NOT NULL, crc INTEGER NOT NULL,
        PRIMARY KEY (month, name)) WITHOUT ROWID;
    INSERT INTO meta VALUES ('digest', 0), ('last', 0), ('probes', 0);
";

pub(super) type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error(transparent)]
    Engine(#[from] rusqlite::Error),
    /// What is stored is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// What the disk holds is unknown until the store is opened again.
    #[error("the disk failed to sync: {0}")]
    Sync(std::io::Error),
    /// What is written goes nowhere.
    #[error("its files were removed or replaced while it was open")]
    Gone,
    /// A file cannot be created or opened. Nothing was written.
    #[error("{}", explain(.0))]
    File(std::io::Error),
}

/// The engine's log, to sync it. The store itself takes part of it over from time to time.
struct Log {
    file: File,
    /// Each with what it was when it was opened.
    files: [(PathBuf, Identity); 2],
}

/// What tells a file from another of the same name.
type Identity = (u64, u64);

impl Log {
    fn open(store: &str) -> io::Result<Self> {
        let (store, log) = (PathBuf::from(store), PathBuf::from(format!("{store}-wal")));
        let file = File::options().write(true).open(&log)?;
        let (of_store, of_log) = (identity(&store.metadata()?), identity(&file.metadata()?));
        Ok(Self { file, files: [(store, of_store), (log, of_log)] })
    }

    /// Whether the next start would find what is written: somebody may have removed or moved the folder, and the system
    /// goes on writing to files that nobody will see again.
    fn is_in_place(&self) -> bool {
        self.files.iter().all(|(path, then)| match path.metadata() {
            Ok(now) => identity(&now) == *then,
            // That it cannot be looked at says nothing about where it is.
            Err(problem) => problem.kind() != io::ErrorKind::NotFound,
        })
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere a file that is open cannot be removed.
#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> Identity {
    (0, 0)
}

impl StoreError {
    /// Whether the files are to blame, not the disk they are on.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Engine(error) => is_damage(error),
            Self::Sync(_) | Self::Gone | Self::File(_) => false,
        }
    }
}

pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
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

pub(super) struct Store {
    pub(super) connection: Connection,
    /// What is open, summed up: each event and delivery that is open, scrambled, all of them XORed. A row that gets lost
    /// or changed on the disk shows when the journal is opened.
    digest: u64,
    committed_digest: u64,
    last: u64,
    /// The engine's log, open from the start: a sync cannot fail for want of a file handle. None if it is only read.
    log: Option<Log>,
    pub(super) seen_rows: usize,
}

impl Store {
    /// Takes over a connection to a file that is empty or of this format.
    pub(super) fn new(connection: Connection) -> Result<Self> {
        connection.set_prepared_statement_cache_capacity(64);
        // Exclusive before the first use: then no shared memory is needed beside the file.
        connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000; PRAGMA wal_autocheckpoint = 2000;
             PRAGMA journal_size_limit = 33554432; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;",
        )?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            connection.execute_batch(&format!(
                "BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
            ))?;
        }
        let meta = |name: &str| -> Result<u64> {
            let value: i64 =
                connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))?;
            Ok(value.cast_unsigned())
        };
        let (digest, last) = (meta("digest")?, meta("last")?);
        // The engine creates it at the first look at the file, and while it is the only one, keeps it.
        let log = Log::open(connection.path().unwrap_or_default()).map_err(StoreError::File)?;
        Ok(Self { digest, committed_digest: digest, last, log: Some(log), ..Self::to_read(connection) })
    }

    /// A store that is only read, and may be damaged anywhere.
    pub(super) fn to_read(connection: Connection) -> Self {
        Self { connection, digest: 0, committed_digest: 0, last: 0, log: None, seen_rows: 0 }
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn begin(&self) -> Result<()> {
        self.run("BEGIN IMMEDIATE", []).map(drop)
    }

    /// From here on the transaction survives a killed process; a power cut it survives after [`sync`](Self::sync).
    pub(super) fn commit(&mut self) -> Result<()> {
        if self.digest != self.committed_digest {
            self.run("UPDATE meta SET value = ?1 WHERE name = 'digest'", [self.digest.cast_signed()])?;
        }
        self.run("COMMIT", [])?;
        self.committed_digest = self.digest;
        Ok(())
    }

    pub(super) fn roll_back(&mut self) {
        self.digest = self.committed_digest;
        // Some failures have ended the transaction already.
        if !self.connection.is_autocommit() {
            let _ = self.run("ROLLBACK", []);
        }
    }

    /// Brings everything committed to the disk. The engine would do so with each commit, but must be told by a statement
    /// before those that are to wait and those that are not, and waits for the times of the file as well.
    pub(super) fn sync(&self) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        log.file.sync_data().map_err(StoreError::Sync)?;
        if log.is_in_place() { Ok(()) } else { Err(StoreError::Gone) }
    }

    /// Finds out whether the disk takes anything.
    pub(super) fn probe(&mut self) -> Result<()> {
        self.begin()?;
        self.run("UPDATE meta SET value = value + 1 WHERE name = 'probes'", [])?;
        self.commit()?;
        self.sync()
    }

    pub(super) fn append(&mut self, position: Position, at_ms: u64, event: &NewEvent) -> Result<()> {
        let NewEvent { key, dedupe, payload, private } = event;
        self.keep_event(position, at_ms, key, payload, private)?;
        if !dedupe.is_empty() {
            self.keep_seen(position, at_ms, &join(dedupe))?;
        }
        self.open(position, None, key, crate::fold::size(event), 0)
    }

    pub(super) fn keep_event(
        &self,
        position: Position,
        at_ms: u64,
        key: &str,
        payload: &[u8],
        private: &[u8],
    ) -> Result<()> {
        let crc = event_sum(position, at_ms, key.as_bytes(), payload, private);
        let values = params![position.0.cast_signed(), at_ms.cast_signed(), key, payload, private, crc];
        self.run("INSERT OR IGNORE INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6)", values)?;
        Ok(())
    }

    pub(super) fn keep_seen(&mut self, position: Position, at_ms: u64, keys: &str) -> Result<()> {
        let crc = seen_sum(position, at_ms, keys);
        let values = params![position.0.cast_signed(), at_ms.cast_signed(), keys, crc];
        self.seen_rows += self.run("INSERT OR IGNORE INTO seen VALUES (?1, ?2, ?3, ?4)", values)?;
        Ok(())
    }

    pub(super) fn keep_delivery(
        &self,
        event: Position,
        index: u32,
        at_ms: u64,
        payload: &[u8],
    ) -> Result<()> {
        let crc = delivery_sum(event, index, at_ms, payload);
        let values = params![event.0.cast_signed(), index, at_ms.cast_signed(), payload, crc];
        self.run("INSERT OR REPLACE INTO delivery VALUES (?1, ?2, ?3, ?4, ?5)", values)?;
        Ok(())
    }

    pub(super) fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::EventEnded(event) => self.end(*event, None)?,
            Change::EventAppended { position, at_ms, event, .. } => self.append(*position, *at_ms, event)?,
            Change::EventReopened { event, key, bytes } => self.open(*event, None, key, *bytes, 0)?,
            Change::DeliveryAdded { event, index, key, payload, created_at_ms } => {
                self.keep_delivery(*event, *index, *created_at_ms, payload)?;
                self.open(*event, Some(*index), key, payload.len(), 0)?;
            }
            Change::DeliveryEnded { event, index } => self.end(*event, Some(*index))?,
            Change::DeliveryReopened { event, index, key, bytes, at_ms } => {
                // If it cannot be read, that shows when its turn comes.
                if let Ok(Some((payload, _))) = self.delivery(*event, *index) {
                    self.keep_delivery(*event, *index, *at_ms, &payload)?;
                }
                self.open(*event, Some(*index), key, *bytes, 0)?;
            }
            Change::Attempt { event, delivery, attempt } => self.attempt(*event, *delivery, *attempt)?,
            Change::Died(death) => self.add_dead(death)?,
            Change::DeadRemoved { event, delivery } => {
                let about = params![event.0.cast_signed(), delivery];
                self.run("DELETE FROM dead WHERE event = ?1 AND place IS ?2", about)?;
            }
            // It stays for the trace until `retire`.
            Change::Forgotten(_) => {}
            Change::RouteSet(route) => self.set_route(route)?,
            Change::RouteRemoved(conversation) => {
                self.run("DELETE FROM route WHERE conversation = ?1", [conversation])?;
            }
            Change::ValueSet { bucket, key, value } => self.set_value(bucket, key, value)?,
            Change::ValueRemoved { bucket, key } => {
                self.run("DELETE FROM value WHERE bucket = ?1 AND key = ?2", [bucket, key])?;
            }
            Change::CounterSet(counter) => self.set_counter(counter)?,
            Change::CounterRemoved { month, name } => {
                self.run("DELETE FROM counter WHERE month = ?1 AND name = ?2", params![month, name])?;
            }
        }
        Ok(())
    }

    pub(super) fn open(
        &mut self,
        event: Position,
        delivery: Option<u32>,
        key: &str,
        bytes: usize,
        attempts: u32,
    ) -> Result<()> {
        let (number, attempts) = (event.0.cast_signed(), seal_attempts(attempts));
        let crc = open_sum(event, delivery, key.as_bytes(), bytes);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let added = match delivery {
            Some(index) => self.run(
                "INSERT OR IGNORE INTO open_delivery VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![number, index, key, bytes, attempts, crc],
            )?,
            None => self.run(
                "INSERT OR IGNORE INTO open_event VALUES (?1, ?2, ?3, ?4, ?5)",
                params![number, key, bytes, attempts, crc],
            )?,
        };
        self.toggle(added > 0, event, delivery);
        Ok(())
    }

    fn end(&mut self, event: Position, delivery: Option<u32>) -> Result<()> {
        let number = event.0.cast_signed();
        let ended = match delivery {
            Some(index) => {
                let at = params![number, index];
                self.run("DELETE FROM open_delivery WHERE event = ?1 AND place = ?2", at)?
            }
            None => self.run("DELETE FROM open_event WHERE position = ?1", [number])?,
        };
        self.toggle(ended > 0, event, delivery);
        Ok(())
    }

    fn attempt(&self, event: Position, delivery: Option<u32>, attempt: u32) -> Result<()> {
        let (number, attempts) = (event.0.cast_signed(), seal_attempts(attempt));
        match delivery {
            Some(index) => self.run(
                "UPDATE open_delivery SET attempts = ?3 WHERE event = ?1 AND place = ?2",
                params![number, index, attempts],
            )?,
            None => self
                .run("UPDATE open_event SET attempts = ?2 WHERE position = ?1", params![number, attempts])?,
        };
        Ok(())
    }

    pub(super) fn add_dead(&self, death: &Death) -> Result<()> {
        let DeadLetter { event, delivery, reason, attempts } = &death.letter;
        let culprit = death.culprit.as_ref();
        self.run(
            "INSERT INTO dead (event, place, key, bytes, reason, attempts, plugin, generation, at, crc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                event.0.cast_signed(),
                delivery,
                &*death.key,
                i64::try_from(death.bytes).unwrap_or(i64::MAX),
                reason,
                attempts,
                culprit.map(|culprit| &culprit.plugin),
                culprit.map(|culprit| culprit.generation.cast_signed()),
                death.at_ms.cast_signed(),
                dead_sum(death),
            ],
        )?;
        Ok(())
    }

    fn set_route(&self, route: &Route) -> Result<()> {
        let Route { conversation, address, expires_at_ms } = route;
        let values = params![conversation, &address[..], expires_at_ms.cast_signed(), route_sum(route)];
        self.run("INSERT OR REPLACE INTO route VALUES (?1, ?2, ?3, ?4)", values)?;
        Ok(())
    }

    fn set_value(&self, bucket: &str, key: &str, value: &Bytes) -> Result<()> {
        let values = params![bucket, key, &value[..], value_sum(bucket, key, value)];
        self.run("INSERT OR REPLACE INTO value VALUES (?1, ?2, ?3, ?4)", values)?;
        Ok(())
    }

    fn set_counter(&self, counter: &Counter) -> Result<()> {
        let Counter { month, name, total } = counter;
        let values = params![month, name, total.cast_signed(), counter_sum(counter)];
        self.run("INSERT OR REPLACE INTO counter VALUES (?1, ?2, ?3, ?4)", values)?;
        Ok(())
    }

    fn toggle(&mut self, changed: bool, event: Position, delivery: Option<u32>) {
        if changed {
            self.digest ^= scramble(event, delivery);
        }
    }

    pub(super) fn run(&self, statement: &str, values: impl rusqlite::Params) -> Result<usize> {
        Ok(self.connection.prepare_cached(statement)?.execute(values)?)
    }
}
