//! The candidates, each with the settings its manual advises for this use.

use std::{io::Write, ops::Range, path::Path};

/// What the journal would ask of an engine.
pub trait Candidate: Send {
    /// Stores events from position `first` on and marks `done`; returns when both would survive a power cut.
    fn commit(&mut self, first: u64, events: &[&[u8]], done: Range<u64>);
    /// Forgets events; need not be durable.
    fn delete(&mut self, events: Range<u64>);
    /// Gives back space.
    fn compact(&mut self);
}

pub fn candidates(name: &str, folder: &Path) -> Box<dyn Candidate> {
    match name {
        "file" => Box::new(PlainFile(std::fs::File::create(folder.join("file")).unwrap())),
        "redb" => Box::new(Redb::open(folder)),
        "fjall" => Box::new(Fjall::open(folder)),
        "sqlite" => Box::new(Sqlite::open(folder)),
        other => panic!("no engine called {other}"),
    }
}

struct PlainFile(std::fs::File);

impl Candidate for PlainFile {
    fn commit(&mut self, _: u64, events: &[&[u8]], done: Range<u64>) {
        let mut bytes = events.concat();
        for position in done {
            bytes.extend_from_slice(&position.to_be_bytes());
        }
        self.0.write_all(&bytes).unwrap();
        self.0.sync_data().unwrap();
    }

    fn delete(&mut self, _: Range<u64>) {}

    fn compact(&mut self) {}
}

const EVENTS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("events");
const DONE: redb::TableDefinition<'_, u64, ()> = redb::TableDefinition::new("done");

struct Redb(redb::Database);

impl Redb {
    fn open(folder: &Path) -> Self {
        let mut builder = redb::Database::builder();
        builder.set_cache_size(16 << 20);
        Self(builder.create(folder.join("redb")).unwrap())
    }
}

impl Candidate for Redb {
    fn commit(&mut self, first: u64, events: &[&[u8]], done: Range<u64>) {
        let transaction = self.0.begin_write().unwrap();
        {
            let mut table = transaction.open_table(EVENTS).unwrap();
            for (position, event) in (first..).zip(events) {
                table.insert(position, *event).unwrap();
            }
            let mut table = transaction.open_table(DONE).unwrap();
            for position in done {
                table.insert(position, ()).unwrap();
            }
        }
        transaction.commit().unwrap();
    }

    fn delete(&mut self, events: Range<u64>) {
        let transaction = self.0.begin_write().unwrap();
        {
            let mut table = transaction.open_table(EVENTS).unwrap();
            let mut done = transaction.open_table(DONE).unwrap();
            for position in events {
                table.remove(position).unwrap();
                done.remove(position).unwrap();
            }
        }
        transaction.commit().unwrap();
    }

    fn compact(&mut self) {
        self.0.compact().unwrap();
    }
}

struct Fjall {
    database: fjall::Database,
    events: fjall::Keyspace,
    done: fjall::Keyspace,
}

impl Fjall {
    fn open(folder: &Path) -> Self {
        let database = fjall::Database::builder(folder.join("fjall"))
            .cache_size(16 << 20)
            .max_journaling_size(64 << 20)
            .open()
            .unwrap();
        let options = || fjall::KeyspaceCreateOptions::default().max_memtable_size(16 << 20);
        let events = database.keyspace("events", options).unwrap();
        let done = database.keyspace("done", options).unwrap();
        Self { database, events, done }
    }
}

impl Candidate for Fjall {
    fn commit(&mut self, first: u64, events: &[&[u8]], done: Range<u64>) {
        let mut batch = self.database.batch().durability(Some(fjall::PersistMode::SyncData));
        for (position, event) in (first..).zip(events) {
            batch.insert(&self.events, position.to_be_bytes(), *event);
        }
        for position in done {
            batch.insert(&self.done, position.to_be_bytes(), []);
        }
        batch.commit().unwrap();
    }

    fn delete(&mut self, events: Range<u64>) {
        let mut batch = self.database.batch();
        for position in events {
            batch.remove(&self.events, position.to_be_bytes());
            batch.remove(&self.done, position.to_be_bytes());
        }
        batch.commit().unwrap();
    }

    fn compact(&mut self) {
        for keyspace in [&self.events, &self.done] {
            keyspace.rotate_memtable_and_wait().unwrap();
            keyspace.major_compact().unwrap();
        }
    }
}

struct Sqlite(rusqlite::Connection);

impl Sqlite {
    fn open(folder: &Path) -> Self {
        let connection = rusqlite::Connection::open(folder.join("sqlite")).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA locking_mode = EXCLUSIVE;
                 PRAGMA cache_size = -16000; PRAGMA auto_vacuum = INCREMENTAL;
                 CREATE TABLE event (position INTEGER PRIMARY KEY, payload BLOB NOT NULL);
                 CREATE TABLE done (position INTEGER PRIMARY KEY);",
            )
            .unwrap();
        Self(connection)
    }
}

impl Candidate for Sqlite {
    fn commit(&mut self, first: u64, events: &[&[u8]], done: Range<u64>) {
        let transaction = self.0.transaction().unwrap();
        {
            let mut insert = transaction.prepare_cached("INSERT INTO event VALUES (?1, ?2)").unwrap();
            for (position, event) in (first..).zip(events) {
                insert.execute((position as i64, event)).unwrap();
            }
            let mut mark = transaction.prepare_cached("INSERT INTO done VALUES (?1)").unwrap();
            for position in done {
                mark.execute([position as i64]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }

    fn delete(&mut self, events: Range<u64>) {
        let bounds = (events.start as i64, events.end as i64);
        let transaction = self.0.transaction().unwrap();
        transaction.execute("DELETE FROM event WHERE position >= ?1 AND position < ?2", bounds).unwrap();
        transaction.execute("DELETE FROM done WHERE position >= ?1 AND position < ?2", bounds).unwrap();
        transaction.commit().unwrap();
    }

    fn compact(&mut self) {
        self.0.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    }
}
