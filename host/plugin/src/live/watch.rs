//! Notices changed files.
//!
//! Directories are watched, never files: an atomic save puts a new file in the old one's place, and a watch on the old
//! one would go with it. For a directory that is not there, its nearest existing parent is watched instead.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::live::check::Stamp;

/// Changes that may wait to be looked at; if there are more, everything is looked at.
const BACKLOG: usize = 1_024;

/// A path at which something happened.
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    /// A writer has closed the file or renamed it into place: it is complete. Otherwise more may follow.
    pub(crate) complete: bool,
    /// Something is not there any more.
    pub(crate) removed: bool,
}

/// The watches.
pub(crate) struct Watch {
    /// None if the system has no more watches to give: then only looking now and then is left.
    watcher: Option<RecommendedWatcher>,
    /// The directories that matter.
    directories: BTreeSet<PathBuf>,
    /// What is watched for them.
    watched: BTreeSet<Target>,
    changes: mpsc::Receiver<Change>,
    overflow: Arc<AtomicBool>,
}

/// A watched directory; the stamp tells it from another one made later under the same name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    path: PathBuf,
    inode: Option<u64>,
}

impl Watch {
    /// Watches `directories`.
    pub(crate) fn new(directories: BTreeSet<PathBuf>) -> Self {
        let (sender, changes) = mpsc::channel(BACKLOG);
        let overflow = Arc::new(AtomicBool::new(false));
        let lost = Arc::clone(&overflow);
        let watcher = notify::recommended_watcher(move |event| report(event, &sender, &lost));
        let watcher = watcher.map_err(|error| {
            tracing::warn!("changed plugin files are noticed only after some seconds: {error}");
        });
        let watcher = watcher.ok();
        let mut watch = Watch { watcher, directories, watched: BTreeSet::new(), changes, overflow };
        watch.refresh();
        watch
    }

    /// The next change. Pending for good without a watcher.
    pub(crate) async fn next(&mut self) -> Change {
        match self.changes.recv().await {
            Some(change) => change,
            None => std::future::pending().await,
        }
    }

    /// Whether changes were lost since this was last asked.
    pub(crate) fn take_overflow(&self) -> bool {
        self.overflow.swap(false, Ordering::Relaxed)
    }

    /// Whether `path` is a directory that matters, or one above it.
    pub(crate) fn is_above(&self, path: &Path) -> bool {
        self.directories.iter().any(|directory| directory.starts_with(path))
    }

    /// `path` was removed: if it was watched, that watch is dead, even if there is a new directory of that name.
    pub(crate) fn forget(&mut self, path: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        self.watched.retain(|target| {
            let dead = target.path == path;
            if dead {
                // The system has dropped the watch already; this is for the watcher's own books.
                let _ = watcher.unwatch(path);
            }
            !dead
        });
    }

    /// Puts the watches where they belong now. True if one moved: what happened there meanwhile was not seen.
    pub(crate) fn refresh(&mut self) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let mut moved = false;
        // A directory that appears while the watch on its parent is set up is found in the next round.
        for _ in 0..8 {
            let wanted: BTreeSet<Target> = self.directories.iter().filter_map(|path| nearest(path)).collect();
            if wanted == self.watched {
                break;
            }
            moved = true;
            for target in self.watched.difference(&wanted) {
                // It fails if the directory is gone, and then there is nothing to do.
                let _ = watcher.unwatch(&target.path);
            }
            for target in wanted.difference(&self.watched) {
                if let Err(error) = watcher.watch(&target.path, RecursiveMode::NonRecursive) {
                    let path = target.path.display();
                    tracing::warn!("changes in `{path}` are noticed only after some seconds: {error}");
                }
            }
            self.watched = wanted;
        }
        moved
    }
}

fn nearest(directory: &Path) -> Option<Target> {
    let path = directory.ancestors().find(|path| path.is_dir())?.to_owned();
    let inode = Stamp::of(&path).map(|stamp| stamp.inode());
    Some(Target { path, inode })
}

/// Runs on the watcher's own thread.
fn report(event: notify::Result<Event>, sender: &mpsc::Sender<Change>, lost: &AtomicBool) {
    let event = match event {
        Ok(event) if !event.need_rescan() => event,
        _ => {
            lost.store(true, Ordering::Relaxed);
            // Wakes the task, which looks at the flag.
            let _ = sender.try_send(Change { path: PathBuf::new(), complete: false, removed: false });
            return;
        }
    };
    let complete = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Modify(ModifyKind::Name(_)) => {
            true
        }
        EventKind::Access(_) => return,
        _ => false,
    };
    let removed = event.kind.is_remove();
    for path in event.paths {
        if sender.try_send(Change { path, complete, removed }).is_err() {
            lost.store(true, Ordering::Relaxed);
        }
    }
}
