//! The task that owns the live set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::health::Verdict;
use crate::live::check::{self, Found, Stamp};
use crate::live::shared::Shared;
use crate::live::slot::Slot;
use crate::live::watch::{Change, Watch};
use crate::live::{Command, PluginEvent, PluginsConfig, Problem};
use crate::{Host, Plugin, PluginSpec, PluginsError};

/// How long a file must be left alone after a change that does not say it is complete.
const QUIET: Duration = Duration::from_millis(50);

/// When to look again at a file that seems half written.
const RETRY: Duration = Duration::from_millis(100);

/// How often all files are compared with what is known of them: some file systems report no changes.
const SWEEP: Duration = Duration::from_secs(5);

/// The live set and everything that is under way for it.
pub(crate) struct Set {
    host: Arc<Host>,
    folder: Option<PathBuf>,
    slots: BTreeMap<String, Slot>,
    /// Files of the folder whose name a table has taken.
    blocked: BTreeMap<PathBuf, Problem>,
    watch: Watch,
    work: JoinSet<Done>,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    /// While everything is loaded for the first time, one generation is published at the end.
    starting: bool,
}

/// Something that was done beside the task.
enum Done {
    File { name: String, stamp: Option<Stamp>, found: Found },
    Sweep { files: Vec<PathBuf>, stamps: BTreeMap<String, Option<Stamp>> },
}

impl Set {
    pub(crate) fn new(
        host: Arc<Host>,
        config: PluginsConfig,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Result<Self, PluginsError> {
        let mut slots = BTreeMap::new();
        for mut spec in config.specs {
            spec.path = absolute(&spec.path);
            if let Some(twin) = slots.insert(spec.name.clone(), Slot::new(spec, false)) {
                return Err(PluginsError::DuplicateName(twin.spec.name));
            }
        }
        let folder = config.folder.as_deref().map(absolute);
        let parents = slots.values().filter_map(|slot| slot.spec.path.parent());
        let directories: BTreeSet<PathBuf> = parents.map(Path::to_owned).chain(folder.clone()).collect();
        Ok(Set {
            host,
            folder,
            slots,
            blocked: BTreeMap::new(),
            // Before the first look, so that nothing is missed in between.
            watch: Watch::new(directories),
            work: JoinSet::new(),
            shared,
            commands,
            starting: true,
        })
    }

    /// Loads every file once and publishes the first generation.
    pub(crate) async fn load_all(&mut self) {
        if let Some(folder) = &self.folder {
            let files = check::list(folder);
            self.adopt(&files);
        }
        let names: Vec<String> = self.slots.keys().cloned().collect();
        names.iter().for_each(|name| self.look(name));
        while let Some(done) = self.work.join_next().await {
            if let Ok(done) = done {
                self.done(done);
            }
        }
        self.starting = false;
        self.publish();
    }

    /// Keeps the set up to date until it is aborted.
    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Command>) {
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A busy slot is looked at when it is done.
            let waiting = self.slots.values().filter(|slot| !slot.busy);
            let due = waiting.filter_map(|slot| slot.due).min();
            let timer = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(command) = inbox.recv() => self.obey(command),
                change = self.watch.next() => self.changed(&change),
                Some(Ok(done)) = self.work.join_next() => self.done(done),
                () = timer => self.look_at_due(),
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Settled { name, sha256 } => {
                if let Some(slot) = self.slots.get_mut(&name).filter(|slot| slot.serves(&sha256)) {
                    slot.previous = None;
                }
            }
            Command::GiveUp { name, sha256, reason } => self.roll_back(&name, sha256, reason),
        }
    }

    /// A path changed: looks at every plugin whose file has that name, which is cheap if it is another one's.
    fn changed(&mut self, change: &Change) {
        if self.watch.take_overflow() {
            self.watch.refresh();
            self.sweep();
        }
        if self.watch.is_above(&change.path) {
            if change.removed {
                self.watch.forget(&change.path);
            }
            if self.watch.refresh() {
                self.sweep();
            }
        }
        let Some(file_name) = change.path.file_name() else { return };
        if PluginSpec::drop_in(&change.path).is_some_and(|spec| !self.slots.contains_key(&spec.name))
            && change.path.parent() == self.folder.as_deref()
        {
            self.adopt(std::slice::from_ref(&change.path));
        }
        let now = Instant::now();
        for slot in self.slots.values_mut().filter(|slot| slot.spec.path.file_name() == Some(file_name)) {
            slot.due = Some(if change.complete && slot.spec.path.exists() { now } else { now + QUIET });
        }
        self.look_at_due();
    }

    /// Gives each of `files` that no table names a slot of its own.
    fn adopt(&mut self, files: &[PathBuf]) {
        for path in files {
            let has =
                |slot: &Slot| slot.spec.path == *path || (!slot.drop_in && is_same(&slot.spec.path, path));
            if self.blocked.contains_key(path) || self.slots.values().any(has) {
                continue;
            }
            let Some(spec) = PluginSpec::drop_in(path) else { continue };
            let Some(other) = self.slots.get(&spec.name) else {
                let mut slot = Slot::new(spec, true);
                slot.due = Some(Instant::now() + QUIET);
                self.slots.insert(slot.spec.name.clone(), slot);
                continue;
            };
            let reason = format!(
                "[plugins.{}] already gives this name to `{}`; rename the file, or make it the table's `path`",
                spec.name,
                other.spec.path.display()
            );
            let problem = Problem { name: spec.name, path: path.clone(), reason };
            self.shared.tell(PluginEvent::Rejected {
                name: problem.name.clone(),
                path: path.clone(),
                reason: problem.reason.clone(),
            });
            self.blocked.insert(path.clone(), problem);
            self.publish_problems();
        }
    }

    fn look_at_due(&mut self) {
        let now = Instant::now();
        let due = self.slots.iter().filter(|(_, slot)| slot.due.is_some_and(|due| due <= now));
        let due: Vec<String> = due.map(|(name, _)| name.clone()).collect();
        due.iter().for_each(|name| self.next(name));
    }

    /// Looks at this plugin's file if it is time to, one look at a time.
    fn next(&mut self, name: &str) {
        let is_due = |slot: &&Slot| !slot.busy && slot.due.is_some_and(|due| due <= Instant::now());
        if self.slots.get(name).filter(is_due).is_some() {
            self.look(name);
        }
    }

    fn look(&mut self, name: &str) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        slot.busy = true;
        slot.due = None;
        let (host, spec, known) = (Arc::clone(&self.host), slot.spec.clone(), slot.known());
        let serving = slot.serving.clone();
        let name = name.to_owned();
        self.work.spawn(async move {
            let (stamp, found) = check::file(host, spec, known, serving).await;
            Done::File { name, stamp, found }
        });
    }

    /// Compares all files with what is known of them, on a blocking thread.
    fn sweep(&mut self) {
        let folder = self.folder.clone();
        let paths: Vec<_> =
            self.slots.iter().map(|(name, slot)| (name.clone(), slot.spec.path.clone())).collect();
        self.work.spawn_blocking(move || Done::Sweep {
            files: folder.as_deref().map(check::list).unwrap_or_default(),
            stamps: paths.into_iter().map(|(name, path)| (name, Stamp::of(&path))).collect(),
        });
    }

    fn swept(&mut self, files: &[PathBuf], stamps: BTreeMap<String, Option<Stamp>>) {
        self.watch.refresh();
        let blocked = self.blocked.len();
        self.blocked.retain(|path, _| files.contains(path));
        if self.blocked.len() != blocked {
            self.publish_problems();
        }
        self.adopt(files);
        let now = Instant::now();
        for (name, stamp) in stamps {
            let Some(slot) = self.slots.get_mut(&name) else { continue };
            if !slot.busy && slot.due.is_none() && slot.stamp != stamp {
                slot.due = Some(now + QUIET);
            }
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Sweep { files, stamps } => self.swept(&files, stamps),
            Done::File { name, stamp, found } => {
                if let Some(slot) = self.slots.get_mut(&name) {
                    slot.busy = false;
                    slot.stamp = stamp;
                }
                self.file_found(&name, found);
                self.next(&name);
            }
        }
    }

    fn file_found(&mut self, name: &str, found: Found) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        let path = slot.spec.path.clone();
        match found {
            Found::New(plugin) => return self.install(name, plugin),
            Found::Known(sha256) => slot.problem = slot.refusal(&sha256).map(str::to_owned),
            Found::Unfinished => {
                slot.due.get_or_insert(Instant::now() + RETRY);
            }
            Found::Gone => return self.remove(name),
            Found::Unreadable(reason) => {
                let news = slot.problem.as_deref() != Some(&reason);
                slot.problem = Some(reason.clone());
                if news {
                    self.shared.tell(PluginEvent::Rejected { name: name.to_owned(), path, reason });
                }
            }
            Found::Bad { sha256, error } => {
                let reason = error.to_string();
                slot.problem = Some(reason.clone());
                slot.refuse(sha256, reason.clone());
                self.shared.tell(PluginEvent::Rejected { name: name.to_owned(), path, reason });
            }
        }
        self.publish_problems();
    }

    /// Puts a proven build in its place.
    fn install(&mut self, name: &str, plugin: Arc<Plugin>) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        let sha256 = plugin.about.sha256.clone();
        let compile = plugin.about.compile;
        let commands = self.commands.clone();
        plugin.build.health.on_verdict({
            let (name, sha256) = (name.to_owned(), sha256.clone());
            move |verdict| {
                let (name, sha256) = (name.clone(), sha256.clone());
                // The set may have been dropped while generations live on.
                let _ = commands.send(match verdict {
                    Verdict::Settled => Command::Settled { name, sha256 },
                    Verdict::GiveUp(reason) => Command::GiveUp { name, sha256, reason },
                });
            }
        });
        slot.problem = None;
        slot.previous = slot.serving.replace(plugin);
        let replaced = slot.previous.is_some();
        let generation = self.publish();
        self.shared.tell(PluginEvent::Loaded {
            name: name.to_owned(),
            generation,
            sha256,
            compile,
            replaced,
        });
    }

    fn remove(&mut self, name: &str) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        let path = slot.spec.path.clone();
        let served = slot.serving.take().is_some();
        slot.previous = None;
        let reason = format!("there is no file `{}`; it is loaded as soon as there is one", path.display());
        let news = !served && slot.problem.as_deref() != Some(&reason);
        slot.problem = Some(reason.clone());
        if slot.drop_in {
            self.slots.remove(name);
        }
        if served {
            let generation = self.publish();
            self.shared.tell(PluginEvent::Removed { name: name.to_owned(), generation });
        } else {
            self.publish_problems();
            if news && self.slots.contains_key(name) {
                self.shared.tell(PluginEvent::Rejected { name: name.to_owned(), path, reason });
            }
        }
    }

    fn roll_back(&mut self, name: &str, sha256: String, reason: String) {
        let Some(slot) = self.slots.get_mut(name).filter(|slot| slot.serves(&sha256)) else { return };
        let Some(previous) = slot.previous.take() else { return };
        let refusal = format!("this build was taken back: {reason}");
        slot.problem = Some(refusal.clone());
        slot.refuse(sha256, refusal);
        previous.build.go_on();
        slot.serving = Some(previous);
        let generation = self.publish();
        self.shared.tell(PluginEvent::RolledBack { name: name.to_owned(), generation, reason });
    }

    /// Makes what serves now the current generation, and returns its number.
    fn publish(&self) -> u64 {
        self.publish_problems();
        if self.starting {
            return self.shared.number() + 1;
        }
        self.shared.publish(self.slots.values().filter_map(|slot| slot.serving.clone()).collect())
    }

    fn publish_problems(&self) {
        let of_slots = self.slots.values().filter_map(|slot| {
            let reason = slot.problem.clone()?;
            Some(Problem { name: slot.spec.name.clone(), path: slot.spec.path.clone(), reason })
        });
        self.shared.set_problems(of_slots.chain(self.blocked.values().cloned()).collect());
    }
}

/// Whether two paths lead to one file, as `../bot/plugins/x.wasm` and `plugins/x.wasm` may.
fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// `path` from the root, so that it compares with what the watcher reports.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
