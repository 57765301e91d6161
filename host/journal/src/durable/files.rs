//! The files of a durable journal: its folder, the lock, the mark.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::OpenError;

pub(super) const STORE: &str = "journal.sqlite";
pub(super) const LOG: &str = "journal.sqlite-wal";
const LOCK: &str = "lock";
pub(super) const MARK: &str = "mark";
const SUSPECT: &str = "suspect";

/// The folder of a journal, held by this process alone while this lives.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    _lock: File,
}

impl Folder {
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let unusable =
            |error: io::Error| OpenError::Unusable { path: path.to_owned(), reason: explain(&error) };
        if path.exists() && !path.is_dir() {
            return Err(OpenError::NotAJournal { path: path.to_owned() });
        }
        create_folder(path).map_err(unusable)?;
        let mut lock = private_file()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = lock.read_to_string(&mut pid);
                return Err(OpenError::InUse { path: path.to_owned(), pid: pid.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let write_pid = |lock: &mut File| -> io::Result<()> {
            lock.set_len(0)?;
            lock.seek(SeekFrom::Start(0))?;
            writeln!(lock, "{}", std::process::id())
        };
        write_pid(&mut lock).map_err(unusable)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// The file that asks the next start to look at everything.
    pub(super) fn suspicion(&self) -> PathBuf {
        self.path.join(SUSPECT)
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.suspicion().exists()
    }

    pub(super) fn clear_suspicion(&self) {
        let _ = fs::remove_file(self.suspicion());
    }

    pub(super) fn mark(&self) -> Result<Mark, OpenError> {
        Mark::open(&self.path.join(MARK))
            .map_err(|error| OpenError::Unusable { path: self.path.clone(), reason: explain(&error) })
    }

    /// Whether the store is gone, or emptied, although something was stored.
    pub(super) fn has_lost_its_store(&self, mark: &Mark) -> bool {
        let length = |name: &str| fs::metadata(self.path.join(name)).map_or(0, |file| file.len());
        length(STORE) == 0 && (mark.last > 0 || length(LOG) > 0)
    }

    /// Creates the store, empty, if there is none. The engine gives its log the rights of this file.
    pub(super) fn create_store(&self) -> io::Result<()> {
        private_file().write(true).create(true).truncate(false).open(self.store()).map(drop)
    }

    /// The name of a folder, after the time, that is not there yet.
    pub(super) fn name_aside(&self) -> String {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let name = format!("damaged-{}", stamp(now.as_secs()));
        let names = std::iter::once(name.clone()).chain((2..1000).map(|n| format!("{name}-{n}")));
        names.into_iter().find(|name| !self.path.join(name).exists()).unwrap_or(name)
    }
}

/// Makes the folder, for this user alone: messages are private, and with a session webhook anybody could write into the
/// conversation. A folder that is there keeps its rights.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(path)
}

/// How files are created here: for this user alone, as the folder may be one that others can read.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The last event that was acknowledged, beside the store. If the store knows less, it lost something: an engine whose
/// log is damaged takes the damage for the end of the log.
pub(super) struct Mark {
    file: File,
    pub(super) last: u64,
}

impl Mark {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = private_file().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // A mark that cannot be read says nothing: it is written without a sync, a power cut may tear it.
        let last = bytes.first_chunk::<12>().and_then(|bytes| {
            let (last, sum) = bytes.split_at(8);
            (crc32fast::hash(last).to_le_bytes() == sum)
                .then_some(last)?
                .try_into()
                .ok()
                .map(u64::from_le_bytes)
        });
        Ok(Self { file, last: last.unwrap_or(0) })
    }

    /// Best effort: without it a loss may go unseen, with a wrong one nothing is lost.
    pub(super) fn write(&mut self, last: u64) {
        let mut bytes = last.to_le_bytes().to_vec();
        bytes.extend_from_slice(&crc32fast::hash(&last.to_le_bytes()).to_le_bytes());
        if self.file.seek(SeekFrom::Start(0)).is_ok() && self.file.write_all(&bytes).is_ok() {
            self.last = last;
        }
    }
}

/// An error of the system, with what to do about it.
pub(super) fn explain(error: &io::Error) -> String {
    let mend = match error.kind() {
        io::ErrorKind::PermissionDenied => ": give the user who runs Belfry the right to write there",
        io::ErrorKind::ReadOnlyFilesystem => ": put the journal on a disk that can be written",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": free some space",
        io::ErrorKind::NotADirectory => ": a part of the path is a file",
        _ => "",
    };
    format!("{error}{mend}")
}

/// `20261120T225947Z`, from seconds since 1970 (days to civil date after Howard Hinnant's `civil_from_days`).
fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_stamp_is_a_date() {
        assert_eq!(super::stamp(0), "19700101T000000Z");
        assert_eq!(super::stamp(1_709_164_799), "20240228T235959Z");
        assert_eq!(super::stamp(1_709_164_800), "20240229T000000Z");
    }
}
