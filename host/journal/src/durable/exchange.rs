//! Putting what could be saved in the place of damaged files. Whatever stops it, nothing is lost, and the next start
//! finds the journal damaged as before or finishes the exchange:
//!
//! 1. `salvage` gets a copy of the damaged files, which reading may change, and a whole new store with what can be read
//!    of it. The damaged files stay where and as they are.
//! 2. `exchange` is written. From here on the exchange is finished, whoever does it.
//! 3. The damaged files go into `damaged-…`, the new store takes their place, and the mark follows last.
//! 4. `salvage` and `exchange` are removed.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use rusqlite::Connection;

use super::{
    Damage,
    files::{Folder, LOG, MARK, STORE, create_folder, explain, private_file},
    load::{Thoroughness, load},
    salvage::{Salvaged, salvage},
    store::{Store, StoreError},
};
use crate::Limits;

const SALVAGE: &str = "salvage";
const NEW: &str = "new.sqlite";
const NEW_LOG: &str = "new.sqlite-wal";
const EXCHANGE: &str = "exchange";
const EXCHANGE_DRAFT: &str = "exchange.draft";

/// Saves what can be read of damaged files, and decides that it takes their place: [`finish`] does that. After an error
/// the files are what and where they were.
pub(super) fn prepare(folder: &Folder, limits: Limits, marked: u64, reason: &str) -> Result<(), String> {
    let prepared = save(folder, limits, marked)
        .and_then(|salvaged| decide(folder, &salvaged, reason).map_err(|error| explain(&error)));
    if prepared.is_err() {
        let _ = step().and_then(|()| fs::remove_dir_all(folder.path.join(SALVAGE)));
    }
    prepared
}

/// Step 1.
fn save(folder: &Folder, limits: Limits, marked: u64) -> Result<Salvaged, String> {
    let refused = |error: io::Error| explain(&error);
    let broken = |error: StoreError| error.to_string();
    let place = folder.path.join(SALVAGE);
    step().and_then(|()| remove_folder(&place)).map_err(refused)?;
    step().and_then(|()| create_folder(&place)).map_err(refused)?;
    for name in [STORE, LOG] {
        let from = folder.path.join(name);
        if from.exists() {
            step().and_then(|()| fs::copy(&from, place.join(name))).map_err(refused)?;
        }
    }
    let new = place.join(NEW);
    step().and_then(|()| private_file().write(true).create_new(true).open(&new)).map_err(refused)?;
    let mut store = Connection::open(&new).map_err(StoreError::from).and_then(Store::new).map_err(broken)?;
    store.begin().map_err(broken)?;
    let salvaged = salvage(&place.join(STORE), &mut store).map_err(broken)?;
    store.remember_last(marked).map_err(broken)?;
    step().map_err(refused)?;
    store.commit().map_err(broken)?;
    drop(store);
    step().map_err(refused)?;
    // Whether it is sound. Closing moves the log into the file.
    drop(load(&new, limits, 0, Thoroughness::Quick).map_err(broken)?);
    if place.join(NEW_LOG).exists() {
        return Err("what was saved could not be written".into());
    }
    step().and_then(|()| File::open(&new)?.sync_all()).map_err(refused)?;
    step().and_then(|()| sync_folder(&place)).map_err(refused)?;
    Ok(salvaged)
}

/// Step 2.
fn decide(folder: &Folder, salvaged: &Salvaged, reason: &str) -> io::Result<()> {
    let Salvaged { saved, missing } = salvaged;
    let aside = folder.name_aside();
    let draft = folder.path.join(EXCHANGE_DRAFT);
    step()?;
    let mut file = private_file().write(true).create(true).truncate(true).open(&draft)?;
    write!(file, "{aside}\n{saved}\n{missing}\n{reason}")?;
    file.sync_all()?;
    sync_folder(&folder.path)?;
    step()?;
    fs::rename(&draft, folder.path.join(EXCHANGE))
}

/// Steps 3 and 4, wherever they were left, if an exchange was decided.
pub(super) fn finish(folder: &Folder) -> io::Result<Option<Damage>> {
    let (decided, place) = (folder.path.join(EXCHANGE), folder.path.join(SALVAGE));
    let text = match fs::read(&decided) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Of an attempt that did not come so far.
            let _ = fs::remove_dir_all(&place);
            let _ = fs::remove_file(folder.path.join(EXCHANGE_DRAFT));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    step()?;
    sync_folder(&folder.path)?;
    let damage = read_decision(folder, &String::from_utf8_lossy(&text));
    let aside = &damage.set_aside;
    if !aside.exists() {
        step()?;
        create_folder(aside)?;
    }
    let new = place.join(NEW);
    // While it is there, the files in its place are the damaged ones.
    if new.exists() {
        for name in [LOG, STORE] {
            move_if_there(&folder.path.join(name), &aside.join(name))?;
        }
        step()?;
        sync_folder(aside)?;
        sync_folder(&folder.path)?;
        step()?;
        fs::rename(&new, folder.path.join(STORE))?;
        step()?;
        sync_folder(&folder.path)?;
    }
    if !aside.join(MARK).exists() {
        move_if_there(&folder.path.join(MARK), &aside.join(MARK))?;
    }
    step()?;
    sync_folder(aside)?;
    sync_folder(&folder.path)?;
    step()?;
    remove_folder(&place)?;
    step()?;
    fs::remove_file(&decided)?;
    // If that comes back after a power cut, there is nothing left to do.
    let _ = sync_folder(&folder.path);
    Ok(Some(damage))
}

/// What [`decide`] wrote. That it is there counts: what cannot be read of it is made up for.
fn read_decision(folder: &Folder, text: &str) -> Damage {
    let mut lines = text.splitn(4, '\n');
    let aside = lines.next().filter(|name| name.starts_with("damaged-") && !name.contains(['/', '\\']));
    let aside = aside.map_or_else(|| folder.name_aside(), str::to_owned);
    let mut number = || lines.next().and_then(|line| line.parse().ok()).unwrap_or(0);
    let (saved, missing) = (number(), number());
    let reason = lines.next().unwrap_or("its files were being exchanged").to_owned();
    Damage { reason, set_aside: folder.path.join(aside), saved, missing }
}

fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    if from.exists() {
        step()?;
        fs::rename(from, to)?;
    }
    Ok(())
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Where a test can stop the process: this step and all after it fail.
fn step() -> io::Result<()> {
    #[cfg(test)]
    tests::step()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{DurableJournal, DurableSettings, Journal, NewEvent};

    thread_local!(static LEFT: Cell<u32> = const { Cell::new(u32::MAX) });

    pub(super) fn step() -> io::Result<()> {
        let left = LEFT.get();
        LEFT.set(left.saturating_sub(1));
        if left == 0 { Err(io::Error::other("stopped by the test")) } else { Ok(()) }
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A journal of 20 events, one of them damaged.
    async fn damaged(path: &Path) {
        let journal = DurableJournal::open(path, DurableSettings::default()).unwrap();
        for n in 0..20 {
            let (payload, private) = (format!("payload {n} ").repeat(100).into(), "p".into());
            let event = NewEvent { key: "k".into(), dedupe: vec![n.to_string()], payload, private };
            journal.append(event).await.unwrap();
        }
        drop(journal);
        let mut bytes = fs::read(path.join(STORE)).unwrap();
        let place = bytes.windows(11).position(|window| window == b"payload 12 ").unwrap();
        bytes[place] ^= 1;
        fs::write(path.join(STORE), bytes).unwrap();
    }

    #[tokio::test]
    async fn a_salvage_stopped_anywhere_is_done_by_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole");
        damaged(&whole).await;
        let original = fs::read(whole.join(STORE)).unwrap();
        let mut stops = 0;
        for steps in 0.. {
            let path = folder.path().join(steps.to_string());
            copy(&whole, &path);
            LEFT.set(steps);
            let stopped = DurableJournal::open(&path, DurableSettings::default()).err();
            LEFT.set(u32::MAX);
            if stopped.is_none() {
                break;
            }
            stops += 1;
            // A second stop, elsewhere, changes nothing either.
            LEFT.set(steps / 2);
            let _ = DurableJournal::open(&path, DurableSettings::default());
            LEFT.set(u32::MAX);
            let before = names(&path);
            let journal = DurableJournal::open(&path, DurableSettings::default()).unwrap();
            if before.iter().any(|name| name == EXCHANGE)
                || before.iter().all(|name| !name.starts_with("damaged-"))
            {
                let damage = journal.damage().unwrap_or_else(|| panic!("unsaid after {steps} steps"));
                assert_eq!((damage.saved, damage.missing), (19, 1), "after {steps} steps");
                assert!(damage.reason.contains("event 13 does not match its checksum"), "{damage}");
            }
            assert_eq!(journal.stats().pending_events, 19, "after {steps} steps");
            drop(journal);
            let aside: Vec<String> =
                names(&path).into_iter().filter(|name| name.starts_with("damaged-")).collect();
            assert_eq!(aside.len(), 1, "after {steps} steps: {aside:?}");
            let aside = path.join(&aside[0]);
            assert!(fs::read(aside.join(STORE)).unwrap() == original, "after {steps} steps");
            assert!(aside.join(MARK).exists(), "after {steps} steps");
            assert_eq!(names(&path)[1..], ["journal.sqlite", "lock", "mark"], "after {steps} steps");
        }
        assert!(stops > 15, "{stops}");
    }

    #[tokio::test]
    async fn a_salvage_that_cannot_be_done_leaves_the_files_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        damaged(&path).await;
        let before = fs::read(path.join(STORE)).unwrap();
        LEFT.set(3);
        let error = DurableJournal::open(&path, DurableSettings::default()).err().unwrap();
        LEFT.set(u32::MAX);
        assert!(error.to_string().contains("stopped by the test"), "{error}");
        assert!(fs::read(path.join(STORE)).unwrap() == before);
        assert!(names(&path).iter().all(|name| !name.starts_with("damaged-")));
    }

    /// The engine would take the log of an empty file for a leftover, and remove it.
    #[tokio::test]
    async fn the_log_of_an_emptied_store_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, path) = (folder.path().join("whole"), folder.path().join("copy"));
        let journal = DurableJournal::open(&whole, DurableSettings::default()).unwrap();
        let (payload, private) = ("payload".into(), "p".into());
        journal.append(NewEvent { key: "k".into(), dedupe: vec![], payload, private }).await.unwrap();
        copy(&whole, &path);
        File::create(path.join(STORE)).unwrap();
        let log = fs::read(path.join(LOG)).unwrap();
        let journal = DurableJournal::open(&path, DurableSettings::default()).unwrap();
        let damage = journal.damage().unwrap();
        assert!(fs::read(damage.set_aside.join(LOG)).unwrap() == log);
    }
}
