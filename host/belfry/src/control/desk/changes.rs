//! Dead letters that are tried again or forgotten. Nothing is said to be done that is not written.

use belfry_journal::{JournalError, Record};
use belfry_pipeline::RetryError;
use futures_util::future::{BoxFuture, join_all};

use super::Desk;
use crate::control::protocol::{Change, DeadLetterHead, Id};

/// Dead letters that are changed at a time: each is read as a whole, and may be large.
const AT_ONCE: usize = 25;

impl Desk {
    pub(super) async fn retry(&self, ids: Vec<Id>) -> Vec<Change> {
        let letters = self.letters();
        let plugins = self.plugin_names();
        let retry = |id: Id| -> BoxFuture<'_, Change> {
            let head = letters.get(&id);
            let note = head.map(|head| gone(head, &plugins));
            Box::pin(async move {
                match note {
                    Some(note) => change(id, self.retry_one(id).await, note),
                    None => unknown(id),
                }
            })
        };
        some_at_a_time(ids.into_iter().map(retry).collect()).await
    }

    async fn retry_one(&self, id: Id) -> Result<(), String> {
        match &self.host {
            Some(host) => match host.monitor.retry(id.position(), id.delivery).await {
                Err(RetryError::Journal(error)) => Err(self.unwritten(&error)),
                retried => retried.map_err(|error| error.to_string()),
            },
            // The next host finds it pending.
            None => self.write(Record::Retry { event: id.position(), delivery: id.delivery }).await,
        }
    }

    pub(super) async fn drop(&self, ids: Vec<Id>) -> Vec<Change> {
        let letters = self.letters();
        let forget = |id: Id| -> BoxFuture<'_, Change> {
            let is_there = letters.contains_key(&id);
            let record = Record::Drop { event: id.position(), delivery: id.delivery };
            Box::pin(async move {
                if is_there { change(id, self.write(record).await, String::new()) } else { unknown(id) }
            })
        };
        some_at_a_time(ids.into_iter().map(forget).collect()).await
    }

    /// Resolves when the end of this process would not lose it any more.
    async fn write(&self, record: Record) -> Result<(), String> {
        let written = match self.journal.commit(record) {
            Ok(committed) => committed.written.await,
            Err(error) => Err(error),
        };
        written.map_err(|error| self.unwritten(&error))
    }

    /// What to know of a change that counts here and is not written.
    fn unwritten(&self, error: &JournalError) -> String {
        match (error, &self.host) {
            (JournalError::DiskFull { .. } | JournalError::Storage { .. }, Some(_)) => format!(
                "{error}; nothing is lost: the host writes the change when the disk takes it, and should it end before, \
                 the dead letter is there again"
            ),
            (JournalError::DiskFull { .. } | JournalError::Storage { .. }, None) => {
                format!("{error}; nothing is lost: say it again when that is mended")
            }
            _ => error.to_string(),
        }
    }
}

/// What became of each, in the same order. Changes that are asked for together share their writes to the disk.
async fn some_at_a_time(mut deeds: Vec<BoxFuture<'_, Change>>) -> Vec<Change> {
    let mut changes = Vec::with_capacity(deeds.len());
    while !deeds.is_empty() {
        let next: Vec<_> = deeds.drain(..deeds.len().min(AT_ONCE)).collect();
        changes.extend(join_all(next).await);
    }
    changes
}

fn unknown(id: Id) -> Change {
    Change { id, done: false, note: "there is no such dead letter".to_owned() }
}

fn change(id: Id, result: Result<(), String>, note: String) -> Change {
    match result {
        Ok(()) => Change { id, done: true, note },
        Err(problem) => Change { id, done: false, note: problem },
    }
}

/// What to know of a retry whose plugin is not there any more.
fn gone(head: &DeadLetterHead, plugins: &[String]) -> String {
    match &head.plugin {
        Some(plugin) if !plugins.contains(plugin) => {
            format!("the plugin `{plugin}` is not there any more: the plugins there are now are asked")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command, sync::Arc, time::Duration};

    use belfry_journal::{DeadLetter, DurableJournal, DurableSettings, Journal, NewEvent, Position};

    use super::*;
    use crate::{
        config,
        control::protocol::{Answer, Ask},
    };

    /// A disk of four megabytes, where this user may mount one.
    struct SmallDisk(tempfile::TempDir);

    impl SmallDisk {
        fn mount() -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder.path());
            mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
        }
    }

    #[tokio::test]
    async fn on_a_full_disk_nothing_is_said_to_be_done() {
        let Some(disk) = SmallDisk::mount() else { return };
        let settings = DurableSettings { commit_window: Duration::ZERO, ..DurableSettings::default() };
        let journal = DurableJournal::open(disk.0.path().join("journal"), settings).unwrap();
        let event = || NewEvent {
            key: "dingdefault/cid".into(),
            dedupe: Vec::new(),
            payload: vec![7; 2000].into(),
            private: "p".into(),
        };
        let mut count = 0;
        while journal.append(event()).await.is_ok() {
            count += 1;
        }
        assert!(count > 2);
        for position in [1, 2] {
            let reason = "it trapped".to_owned();
            let letter = DeadLetter { event: Position(position), delivery: None, reason, attempts: 1 };
            journal.record(Record::Dead { letter, culprit: None, notice: None }).unwrap();
        }
        let env = |_: &str| Some("x".to_owned());
        let config = config::parse(Path::new("/srv/belfry.toml"), config::MINIMAL, &env).unwrap().config;
        let desk = Desk::of_journal(Arc::new(journal), &config);
        let id = |number| vec![Id::event(Position(number))];
        for ask in [Ask::Retry(id(1)), Ask::Drop(id(2))] {
            let Answer::Changed(changes) = desk.answer(ask).await else { panic!("it was asked to change") };
            let [Change { done: false, note, .. }] = changes.as_slice() else { panic!("{changes:?}") };
            assert!(note.contains("the disk is full") && note.contains("nothing is lost"), "{note}");
        }
    }
}
