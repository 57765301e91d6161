//! One look at one plugin file: read, compare, prove. Runs beside the task that owns the live set.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::live::slot::Known;
use crate::load;
use crate::{Host, LoadError, Plugin, PluginSpec};

/// How old a file that looks cut off must be before that is taken for its final form.
const SETTLED: Duration = Duration::from_secs(1);

/// What a look showed.
pub(crate) enum Found {
    /// A proven build.
    New(Arc<Plugin>),
    /// The bytes that serve already, or that have been judged before.
    Known(String),
    /// There is no file.
    Gone,
    /// It cannot be read.
    Unreadable(String),
    /// It may still be written: look again.
    Unfinished,
    /// It cannot be used.
    Bad { sha256: String, error: LoadError },
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Stamp {
    /// None if there is no file.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Stamp { len: metadata.len(), modified: metadata.modified().ok(), inode })
    }

    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    fn is_fresh(&self) -> bool {
        // A clock that was set back makes a file from the future: that one counts as old.
        let age = self.modified.and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age < SETTLED)
    }
}

/// Looks at the file of `spec`.
///
/// A new build takes over the state of `serving` here, while it is not published yet.
pub(crate) async fn file(
    host: Arc<Host>,
    spec: PluginSpec,
    known: Known,
    serving: Option<Arc<Plugin>>,
) -> (Option<Stamp>, Found) {
    let max = host.max_component;
    let path = spec.path.clone();
    let read = tokio::task::spawn_blocking(move || {
        // Taken before reading: what is written meanwhile shows as a newer stamp.
        let stamp = Stamp::of(&path);
        let bytes = stamp.map(|_| load::read_blocking(&path, max));
        (stamp, bytes.map(|bytes| bytes.map(|bytes| (load::digest(&bytes), bytes))))
    });
    match read.await {
        Ok((stamp, None)) => (stamp, Found::Gone),
        Ok((stamp, Some(Err(error)))) => (stamp, Found::Unreadable(error.to_string())),
        Ok((stamp, Some(Ok((sha256, bytes))))) => {
            match bytes_of(host, spec, known, serving, sha256, bytes).await {
                Found::Bad { error: LoadError::Incomplete(_), .. }
                    if stamp.is_some_and(|stamp| stamp.is_fresh()) =>
                {
                    (stamp, Found::Unfinished)
                }
                found => (stamp, found),
            }
        }
        Err(error) => (None, Found::Unreadable(error.to_string())),
    }
}

async fn bytes_of(
    host: Arc<Host>,
    spec: PluginSpec,
    known: Known,
    serving: Option<Arc<Plugin>>,
    sha256: String,
    bytes: Vec<u8>,
) -> Found {
    if known.has(&sha256) {
        return Found::Known(sha256);
    }
    let plugin = match host.load_bytes(spec, bytes).await {
        Ok(plugin) => plugin,
        Err(error) => return Found::Bad { sha256, error },
    };
    if let Some(old) = serving
        && let Err(reason) = plugin.build.take_over(&old.build).await
    {
        return Found::Bad { sha256, error: LoadError::Rejected(reason) };
    }
    Found::New(plugin)
}

/// The component files in the drop-in folder, by name. An absent folder holds none.
pub(crate) fn list(folder: &Path) -> Vec<PathBuf> {
    /// More files than this are no plugin folder.
    const MOST: usize = 1_000;
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| PluginSpec::drop_in(path).is_some()).take(MOST).collect();
    paths.sort_unstable();
    paths
}
