//! The journal: whether it can be used, and whether the disk has room.

use std::io;
use std::path::Path;

use belfry_journal::{DurableJournal, OpenError};

use super::finding::{Check, Finding};
use crate::config::{Config, JournalEngine};
use crate::control;

/// With less free than this a host is about to stop acknowledging, in bytes.
const TOO_LITTLE: u64 = 16 << 20;

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.journal.engine == JournalEngine::Memory {
        findings.push(Finding::ok(
            Check::Journal,
            "messages are kept in memory: a process that is killed loses what it had not answered",
        ));
    } else {
        let path = &config.journal.path;
        findings.push(folder(path));
        findings.extend(space(path, config.journal.keep_size));
    }
    if let Some(socket) = &config.control_socket
        && let Err(problem) = control::check_path(socket)
    {
        findings.push(Finding::warning(
            Check::Journal,
            format!("failed to {problem}"),
            "the host runs without it; commands such as `belfry status` do not reach it",
        ));
    }
    findings
}

fn folder(path: &Path) -> Finding {
    let shown = path.display();
    match path.symlink_metadata() {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return not_begun(path),
        // Following a link that leads nowhere would begin one behind it.
        Ok(_) if !path.exists() => return not_begun(path),
        _ => {}
    }
    let rights = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    match DurableJournal::check(path) {
        Ok(()) if path.is_dir() && rustix::fs::access(path, rights).is_err() => Finding::error(
            Check::Journal,
            format!("the journal {shown} cannot be written"),
            "give the user who runs Belfry the right to write there",
        ),
        Ok(()) if let Some((problem, mend)) = exposed(path) => {
            Finding::warning(Check::Journal, problem, mend)
        }
        Ok(()) => Finding::ok(Check::Journal, format!("the journal {shown} can be used")),
        Err(OpenError::InUse { pid, .. }) => {
            let by = pid.map_or_else(String::new, |pid| format!(" by process {pid}"));
            Finding::ok(Check::Journal, format!("the journal {shown} is being used{by}: a host runs"))
        }
        Err(error) => Finding::error(
            Check::Journal,
            format!("failed to open the journal: {error}"),
            "Belfry does not start without it",
        ),
    }
}

/// What is wrong and how to mend it, if other users of this machine can get at what the journal in this folder holds.
pub(crate) fn exposed(path: &Path) -> Option<(String, String)> {
    let shown = path.display();
    let mode = mode(path)?;
    let can = if mode & 0o022 != 0 {
        "replaced"
    } else if has_readable(path, mode, 1) {
        "read"
    } else {
        return None;
    };
    Some((
        format!("the journal {shown} can be {can} by other users of this machine: it holds messages"),
        format!("chmod 700 {shown}"),
    ))
}

/// Whether the group or others, if they may enter this folder, may read a file in it, or so many folders further down:
/// damaged files are set aside in one.
fn has_readable(folder: &Path, mode_of_folder: u32, depth: usize) -> bool {
    let entering = mode_of_folder & 0o011;
    let Ok(entries) = folder.read_dir() else { return false };
    entering != 0
        && entries.flatten().any(|entry| {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { return false };
            let Some(mode) = mode(&path) else { return false };
            (kind.is_file() && mode & (entering << 2) != 0)
                || (kind.is_dir() && depth > 0 && has_readable(&path, mode & mode_of_folder, depth - 1))
        })
}

fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().ok().map(|there| there.permissions().mode())
}

/// A folder that `belfry run` creates, with those above it.
fn not_begun(path: &Path) -> Finding {
    let shown = path.display();
    let above = existing_above(path);
    match rustix::fs::access(above, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        Ok(()) => {
            Finding::ok(Check::Journal, format!("the journal {shown} is begun by the first `belfry run`"))
        }
        Err(cause) => Finding::error(
            Check::Journal,
            format!("the journal {shown} cannot be begun: {} refuses ({cause})", above.display()),
            "give the user who runs Belfry the right to write there, or set `path` in [journal] to another place",
        ),
    }
}

fn space(path: &Path, keep_size: u64) -> Option<Finding> {
    let disk = rustix::fs::statvfs(existing_above(path)).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let has = format!("the disk of the journal has {} MiB free", free >> 20);
    if free < TOO_LITTLE {
        return Some(Finding::error(
            Check::Journal,
            has,
            "free some: on a full disk nothing is acknowledged",
        ));
    }
    (free < keep_size).then(|| {
        let mend = format!(
            "free some, or set `keep_size` in [journal] below that: messages that are over may take {} MiB",
            keep_size >> 20
        );
        Finding::warning(Check::Journal, has, mend)
    })
}

/// The path, or what there is of it.
fn existing_above(path: &Path) -> &Path {
    let there = path.ancestors().find(|above| above.exists());
    there.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn a_journal_is_looked_at_and_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let found = super::folder(&path);
        assert_eq!(found.level, Level::Ok, "{found:?}");
        assert!(found.what.contains("is begun by"), "{found:?}");
        assert!(!folder.path().join("a").exists());

        let journal = DurableJournal::open(&path, belfry_journal::DurableSettings::default()).unwrap();
        let found = super::folder(&path);
        let pid = format!("by process {}", std::process::id());
        assert!(found.level == Level::Ok && found.what.contains(&pid), "{found:?}");
        drop(journal);
        let found = super::folder(&path);
        assert!(found.level == Level::Ok && found.what.ends_with("can be used"), "{found:?}");

        let file = folder.path().join("notes");
        std::fs::write(&file, "notes").unwrap();
        let found = super::folder(&file);
        assert!(found.level == Level::Error && found.what.contains("is not a Belfry journal"), "{found:?}");
    }

    #[test]
    fn what_others_can_get_at_is_told() {
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        drop(DurableJournal::open(&path, belfry_journal::DurableSettings::default()).unwrap());
        let all = |mode| path.read_dir().unwrap().for_each(|file| set(&file.unwrap().path(), mode));
        all(0o644);
        assert_eq!(exposed(&path), None, "nobody can enter");
        set(&path, 0o755);
        let found = super::folder(&path);
        assert!(found.level == Level::Warning && found.mend.starts_with("chmod 700"), "{found:?}");
        assert!(found.what.contains("can be read"), "{found:?}");
        all(0o600);
        assert_eq!(exposed(&path), None, "names are all there is to see");
        set(&path, 0o775);
        assert!(exposed(&path).unwrap().0.contains("can be replaced"));

        set(&path, 0o755);
        let aside = path.join("aside");
        std::fs::create_dir(&aside).unwrap();
        std::fs::write(aside.join("store"), "old").unwrap();
        set(&aside.join("store"), 0o604);
        set(&aside, 0o701);
        assert!(exposed(&path).is_some());
        set(&aside, 0o710);
        assert_eq!(exposed(&path), None, "who may enter may not read, and the other way round");
    }

    #[test]
    fn little_room_is_told_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        assert_eq!(space(&path, 1).map(|finding| finding.what), None);
        assert_eq!(space(&path, u64::MAX).map(|finding| finding.level), Some(Level::Warning));
    }
}
