//! The tables of a durable journal, and every statement about them.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Counter, Culprit, DeadLetter, EventState, NewEvent, Position, Route, TracedEvent, fold::Change,
    letters::Death,
};

/// Says that a file is a Belfry journal: "BFJL".
pub(super) const APPLICATION: i32 = 0x4246_4a4c;
/// Counted up whenever an older Belfry could not read what this one writes.
pub(super) const FORMAT: i32 = 1;

/// `open_event` and `open_delivery` are narrow on purpose: a mark of *done* must not rewrite the page of a payload.
/// Rows with a payload carry a checksum of it; what is open is summed up in `meta` (see [`Store::digest`]).
const SCHEMA: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE event (position INTEGER PRIMARY KEY, at INTEGER NOT NULL, key TEXT NOT NULL,
        payload BLOB NOT NULL, private BLOB NOT NULL, crc INTEGER NOT NULL);
    CREATE TABLE open_event (position INTEGER PRIMARY KEY, attempts INTEGER NOT NULL);
    CREATE TABLE seen (position INTEGER PRIMARY KEY, at INTEGER NOT NULL, keys TEXT NOT NULL);
    CREATE TABLE delivery (event INTEGER, place INTEGER, at INTEGER NOT NULL, payload BLOB NOT NULL,
        crc INTEGER NOT NULL, PRIMARY KEY (event, place)) WITHOUT ROWID;
    CREATE TABLE open_delivery (event INTEGER, place INTEGER, attempts INTEGER NOT NULL,
        PRIMARY KEY (event, place)) WITHOUT ROWID;
    CREATE TABLE dead (number INTEGER PRIMARY KEY, event INTEGER NOT NULL, place INTEGER, reason TEXT NOT NULL,
        attempts INTEGER NOT NULL, plugin TEXT, generation INTEGER, at INTEGER NOT NULL, bytes INTEGER NOT NULL);
    CREATE TABLE route (conversation TEXT PRIMARY KEY, address BLOB NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE value (bucket TEXT, key TEXT, value BLOB NOT NULL, crc INTEGER NOT NULL,
        PRIMARY KEY (bucket, key)) WITHOUT ROWID;
    CREATE TABLE counter (month INTEGER, name TEXT, total INTEGER NOT NULL, PRIMARY KEY (month, name)) WITHOUT ROWID;
    INSERT INTO meta VALUES ('digest', 0), ('last', 0), ('syncs', 0);
";

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error(transparent)]
    Engine(#[from] rusqlite::Error),
    /// What is stored is not what was written.
    #[error("{0}")]
    Damaged(String),
}

pub(super) struct Store {
    pub(super) connection: Connection,
    /// What is open, summed up: each event and delivery that is open, scrambled, all of them XORed. A row that gets lost
    /// or changed on the disk shows when the journal is opened.
    digest: u64,
    committed_digest: u64,
    last: u64,
    synchronous: bool,
    seen_rows: usize,
}

impl Store {
    /// Takes over a connection to a file that is empty or of this format.
    pub(super) fn new(connection: Connection) -> Result<Self> {
        connection.set_prepared_statement_cache_capacity(64);
        // Exclusive before the first use: then no shared memory is needed beside the file.
        connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL; PRAGMA cache_size = -16000; PRAGMA wal_autocheckpoint = 2000;
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
        let seen_rows: i64 = connection.query_row("SELECT count(*) FROM seen", [], |row| row.get(0))?;
        Ok(Self {
            connection,
            digest,
            committed_digest: digest,
            last,
            synchronous: true,
            seen_rows: usize::try_from(seen_rows).unwrap_or(0),
        })
    }

    /// A store that is only read, and may be damaged anywhere.
    pub(super) fn to_read(connection: Connection) -> Self {
        Self { connection, digest: 0, committed_digest: 0, last: 0, synchronous: true, seen_rows: 0 }
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// Begins a transaction; its commit waits for the disk only if it is to be `durable`.
    pub(super) fn begin(&mut self, durable: bool) -> Result<()> {
        if self.synchronous != durable {
            self.connection.execute_batch(if durable {
                "PRAGMA synchronous = FULL"
            } else {
                "PRAGMA synchronous = NORMAL"
            })?;
            self.synchronous = durable;
        }
        self.run("BEGIN IMMEDIATE", [])?;
        Ok(())
    }

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

    /// Brings everything committed to the disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.begin(true)?;
        self.run("UPDATE meta SET value = value + 1 WHERE name = 'syncs'", [])?;
        self.commit()
    }

    pub(super) fn append(&mut self, position: Position, at_ms: u64, event: &NewEvent) -> Result<()> {
        self.keep_event(position, at_ms, &event.key, &event.payload, &event.private)?;
        if !event.dedupe.is_empty() {
            self.keep_seen(position, at_ms, &join(&event.dedupe))?;
        }
        self.open_event(position, 0)
    }

    pub(super) fn keep_event(
        &self,
        position: Position,
        at_ms: u64,
        key: &str,
        payload: &[u8],
        private: &[u8],
    ) -> Result<()> {
        self.run(
            "INSERT OR IGNORE INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                position.0.cast_signed(),
                at_ms.cast_signed(),
                key,
                payload,
                private,
                crc(&[key.as_bytes(), payload, private])
            ],
        )?;
        Ok(())
    }

    pub(super) fn keep_seen(&mut self, position: Position, at_ms: u64, keys: &str) -> Result<()> {
        self.seen_rows += self.run(
            "INSERT OR IGNORE INTO seen VALUES (?1, ?2, ?3)",
            params![position.0.cast_signed(), at_ms.cast_signed(), keys],
        )?;
        Ok(())
    }

    pub(super) fn keep_delivery(
        &self,
        event: Position,
        index: u32,
        at_ms: u64,
        payload: &[u8],
    ) -> Result<()> {
        self.run(
            "INSERT OR REPLACE INTO delivery VALUES (?1, ?2, ?3, ?4, ?5)",
            params![event.0.cast_signed(), index, at_ms.cast_signed(), payload, crc(&[payload])],
        )?;
        Ok(())
    }

    pub(super) fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::EventEnded(position) => {
                let ended =
                    self.run("DELETE FROM open_event WHERE position = ?1", [position.0.cast_signed()])?;
                self.toggle(ended > 0, *position, None);
            }
            Change::EventReopened { event, .. } => self.open_event(*event, 0)?,
            Change::DeliveryAdded { event, index, payload, created_at_ms, .. } => {
                self.keep_delivery(*event, *index, *created_at_ms, payload)?;
                self.open_delivery(*event, *index, 0)?;
            }
            Change::DeliveryEnded { event, index } => {
                let ended = self.run(
                    "DELETE FROM open_delivery WHERE event = ?1 AND place = ?2",
                    params![event.0.cast_signed(), index],
                )?;
                self.toggle(ended > 0, *event, Some(*index));
            }
            Change::DeliveryReopened { event, index, .. } => self.open_delivery(*event, *index, 0)?,
            Change::Attempt { event, delivery: None, attempt } => {
                self.run(
                    "UPDATE open_event SET attempts = ?2 WHERE position = ?1",
                    params![event.0.cast_signed(), attempt],
                )?;
            }
            Change::Attempt { event, delivery: Some(index), attempt } => {
                self.run(
                    "UPDATE open_delivery SET attempts = ?3 WHERE event = ?1 AND place = ?2",
                    params![event.0.cast_signed(), index, attempt],
                )?;
            }
            Change::Died(death) => self.add_dead(death)?,
            Change::DeadRemoved { event, delivery } => {
                self.run(
                    "DELETE FROM dead WHERE event = ?1 AND place IS ?2",
                    params![event.0.cast_signed(), delivery],
                )?;
            }
            // It stays for the trace until `retire`.
            Change::Forgotten(_) => {}
            Change::RouteSet(Route { conversation, address, expires_at_ms }) => {
                self.run(
                    "INSERT OR REPLACE INTO route VALUES (?1, ?2, ?3)",
                    params![conversation, &address[..], expires_at_ms.cast_signed()],
                )?;
            }
            Change::RouteRemoved(conversation) => {
                self.run("DELETE FROM route WHERE conversation = ?1", [conversation])?;
            }
            Change::ValueSet { bucket, key, value } => {
                self.run(
                    "INSERT OR REPLACE INTO value VALUES (?1, ?2, ?3, ?4)",
                    params![bucket, key, &value[..], crc(&[value])],
                )?;
            }
            Change::ValueRemoved { bucket, key } => {
                self.run("DELETE FROM value WHERE bucket = ?1 AND key = ?2", [bucket, key])?;
            }
            Change::CounterSet(Counter { month, name, total }) => {
                self.run(
                    "INSERT OR REPLACE INTO counter VALUES (?1, ?2, ?3)",
                    params![month, name, total.cast_signed()],
                )?;
            }
            Change::CounterRemoved { month, name } => {
                self.run("DELETE FROM counter WHERE month = ?1 AND name = ?2", params![month, name])?;
            }
        }
        Ok(())
    }

    pub(super) fn open_event(&mut self, position: Position, attempts: u32) -> Result<()> {
        let added = self.run(
            "INSERT OR IGNORE INTO open_event VALUES (?1, ?2)",
            params![position.0.cast_signed(), attempts],
        )?;
        self.toggle(added > 0, position, None);
        Ok(())
    }

    pub(super) fn open_delivery(&mut self, event: Position, index: u32, attempts: u32) -> Result<()> {
        let added = self.run(
            "INSERT OR IGNORE INTO open_delivery VALUES (?1, ?2, ?3)",
            params![event.0.cast_signed(), index, attempts],
        )?;
        self.toggle(added > 0, event, Some(index));
        Ok(())
    }

    pub(super) fn add_dead(&self, death: &Death) -> Result<()> {
        let DeadLetter { event, delivery, reason, attempts } = &death.letter;
        let culprit = death.culprit.as_ref();
        self.run(
            "INSERT INTO dead (event, place, reason, attempts, plugin, generation, at, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                event.0.cast_signed(),
                delivery,
                reason,
                attempts,
                culprit.map(|culprit| &culprit.plugin),
                culprit.map(|culprit| culprit.generation.cast_signed()),
                death.at_ms.cast_signed(),
                i64::try_from(death.bytes).unwrap_or(i64::MAX),
            ],
        )?;
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

/// Reading.
impl Store {
    /// What is stored of an event, checked against its checksum.
    pub(super) fn event(&self, position: Position, state: EventState) -> Result<Option<TracedEvent>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, payload, private, at, crc FROM event WHERE position = ?1")?;
        let row = statement
            .query_row([position.0.cast_signed()], |row| {
                let (key, payload, private): (String, Vec<u8>, Vec<u8>) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((key, payload, private, row.get::<_, i64>(3)?, row.get::<_, u32>(4)?))
            })
            .optional()?;
        let Some((key, payload, private, at, expected)) = row else { return Ok(None) };
        if crc(&[key.as_bytes(), &payload, &private]) != expected {
            return Err(StoreError::Damaged(format!("event {} does not match its checksum", position.0)));
        }
        let (payload, private) = (payload.into(), private.into());
        Ok(Some(TracedEvent { position, key, payload, private, appended_at_ms: at.cast_unsigned(), state }))
    }

    /// What counts of an event against the bounds, checked as [`event`](Self::event) does, without a copy.
    pub(super) fn event_bytes(&self, position: Position) -> Result<Option<(String, usize)>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, payload, private, crc FROM event WHERE position = ?1")?;
        let mut rows = statement.query([position.0.cast_signed()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let parts = (row.get_ref(0)?.as_bytes(), row.get_ref(1)?.as_blob(), row.get_ref(2)?.as_blob());
        match (parts, row.get::<_, u32>(3)) {
            ((Ok(key), Ok(payload), Ok(private)), Ok(expected))
                if crc(&[key, payload, private]) == expected =>
            {
                Ok(Some((row.get(0)?, payload.len() + private.len())))
            }
            _ => Err(StoreError::Damaged(format!("event {} does not match its checksum", position.0))),
        }
    }

    pub(super) fn has_event(&self, position: Position) -> Result<bool> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM event WHERE position = ?1")?;
        Ok(statement.exists([position.0.cast_signed()])?)
    }

    pub(super) fn delivery(&self, event: Position, index: u32) -> Result<Option<(Bytes, u64)>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT payload, at, crc FROM delivery WHERE event = ?1 AND place = ?2")?;
        let row = statement
            .query_row(params![event.0.cast_signed(), index], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, row.get::<_, u32>(2)?))
            })
            .optional()?;
        let Some((payload, at, expected)) = row else { return Ok(None) };
        if crc(&[&payload]) != expected {
            let what = format!("delivery {index} of event {} does not match its checksum", event.0);
            return Err(StoreError::Damaged(what));
        }
        Ok(Some((payload.into(), at.cast_unsigned())))
    }

    pub(super) fn value(&self, bucket: &str, key: &str) -> Result<Option<Bytes>> {
        let mut statement =
            self.connection.prepare_cached("SELECT value, crc FROM value WHERE bucket = ?1 AND key = ?2")?;
        let row = statement
            .query_row([bucket, key], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u32>(1)?)))
            .optional()?;
        let Some((value, expected)) = row else { return Ok(None) };
        if crc(&[&value]) != expected {
            return Err(StoreError::Damaged(format!(
                "the value of {key:?} in {bucket:?} does not match its checksum"
            )));
        }
        Ok(Some(value.into()))
    }

    /// Positions of the trace before `before`, newest first.
    pub(super) fn newest(&self, before: u64, limit: usize) -> Result<Vec<Position>> {
        self.positions(
            "SELECT position FROM event WHERE position < ?1 ORDER BY position DESC LIMIT ?2",
            before,
            limit,
        )
    }

    fn positions(&self, statement: &str, bound: u64, limit: usize) -> Result<Vec<Position>> {
        let mut statement = self.connection.prepare_cached(statement)?;
        let bounds = (i64::try_from(bound).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = statement.query_map(bounds, |row| row.get::<_, i64>(0))?;
        rows.map(|position| Ok(Position(position?.cast_unsigned()))).collect()
    }
}

/// Retention.
impl Store {
    /// What the file holds, in bytes: used, and free within it.
    pub(super) fn bytes(&self) -> Result<(u64, u64)> {
        let pragma = |name: &str| -> Result<u64> {
            let value: i64 = self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
            Ok(value.cast_unsigned())
        };
        let (pages, free, page) = (pragma("page_count")?, pragma("freelist_count")?, pragma("page_size")?);
        Ok((pages.saturating_sub(free) * page, free * page))
    }

    /// The events after `after`, oldest first, with the time they came.
    pub(super) fn oldest(&self, after: u64, limit: usize) -> Result<Vec<(Position, u64)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT position, at FROM event WHERE position > ?1 ORDER BY position LIMIT ?2",
        )?;
        let bounds = (after.cast_signed(), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = statement.query_map(bounds, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        rows.map(|row| row.map(|(position, at)| (Position(position.cast_unsigned()), at.cast_unsigned())))
            .map(|row| Ok(row?))
            .collect()
    }

    /// Forgets an event and its deliveries; answers about how many bytes that frees.
    pub(super) fn retire(&self, position: Position) -> Result<u64> {
        let number = position.0.cast_signed();
        let mut statement = self.connection.prepare_cached(
            "SELECT length(payload) + length(private) + length(key) FROM event WHERE position = ?1",
        )?;
        let bytes: Option<i64> = statement.query_row([number], |row| row.get(0)).optional()?;
        self.run("DELETE FROM event WHERE position = ?1", [number])?;
        self.run("DELETE FROM delivery WHERE event = ?1", [number])?;
        Ok(bytes.unwrap_or(0).cast_unsigned())
    }

    /// Positions are never used twice, also when no event is left.
    pub(super) fn remember_last(&mut self, last: u64) -> Result<()> {
        self.run("UPDATE meta SET value = max(value, ?1) WHERE name = 'last'", [last.cast_signed()])?;
        Ok(())
    }

    /// Forgets dedupe keys from before `before_ms`, and the oldest beyond `at_most` events.
    pub(super) fn retire_seen(&mut self, before_ms: u64, at_most: usize) -> Result<()> {
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
    pub(super) fn shrink(&self, pages: u32) -> Result<()> {
        Ok(self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({pages})"))?)
    }
}

/// Of the parts with their lengths, so that bytes cannot move from one to the next.
pub(super) fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

/// A number for what is open, such that the XOR of many tells whether one is missing (the finaliser of splitmix64).
pub(super) fn scramble(event: Position, delivery: Option<u32>) -> u64 {
    let place = delivery.map_or(0, |index| u64::from(index) + 1);
    let mut x = event.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ place.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(32);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Dedupe keys in one column, each behind its length.
fn join(keys: &[String]) -> String {
    keys.iter().map(|key| format!("{}:{key}", key.len())).collect()
}

pub(super) fn split(mut joined: &str) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    while !joined.is_empty() {
        let (length, rest) = joined.split_once(':')?;
        let length = length.parse().ok()?;
        keys.push(rest.get(..length)?.to_owned());
        joined = rest.get(length..)?;
    }
    Some(keys)
}

/// Loading, when the journal is opened.
impl Store {
    /// What was remembered of dead letters, oldest first.
    pub(super) fn dead(&self) -> Result<Vec<Death>> {
        let mut statement = self.connection.prepare(
            "SELECT dead.event, place, reason, attempts, plugin, generation, dead.at, bytes, event.key
             FROM dead LEFT JOIN event ON event.position = dead.event ORDER BY number",
        )?;
        let rows = statement.query_map([], |row| {
            let plugin: Option<String> = row.get(4)?;
            let generation: Option<i64> = row.get(5)?;
            Ok(Death {
                letter: DeadLetter {
                    event: Position(row.get::<_, i64>(0)?.cast_unsigned()),
                    delivery: row.get(1)?,
                    reason: row.get(2)?,
                    attempts: row.get(3)?,
                },
                culprit: plugin
                    .zip(generation)
                    .map(|(plugin, generation)| Culprit { plugin, generation: generation.cast_unsigned() }),
                at_ms: row.get::<_, i64>(6)?.cast_unsigned(),
                key: row.get::<_, Option<String>>(8)?.unwrap_or_default().into(),
                bytes: usize::try_from(row.get::<_, i64>(7)?).unwrap_or(0),
            })
        })?;
        rows.map(|row| Ok(row?)).collect()
    }
}
