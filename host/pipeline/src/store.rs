//! The key-values of plugins, kept in the journal: one bucket of it for each plugin, so that a quota is a plugin's.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use belfry_journal::{Committed, Completion, Journal, JournalError, KeyValueWrite, Record, ValueChange};
use belfry_plugin_host::{CallError, Change, KeyValue, Plugin, Seen, ServiceFuture, Write, Writes};
use bytes::Bytes;

/// Before a plugin's name: its bucket in the journal.
const PREFIX: &str = "plugin/";

/// Between the name of a bucket within the plugin and a key. Bucket names do not have it.
const BETWEEN: char = '\0';

/// Keys share a version with others. Of two calls at the same time that write different keys, so few have to be done again
/// for it that more would be a waste.
const VERSIONS: usize = 4096;

/// What the journal counts for a key besides its bytes and those of its value.
const KEY_COST: usize = 64;

/// The stored key-values of all plugins. What calls want to have stored is stored with the completion of their event.
pub(crate) struct Store {
    journal: Arc<dyn Journal>,
    versions: Box<[AtomicU64]>,
    hasher: RandomState,
    /// Held while what a call has seen is compared and its writes are recorded.
    commits: Mutex<()>,
}

/// What one call of a plugin wants to have stored.
pub(crate) struct PluginWrites {
    plugin: Arc<str>,
    /// `kv` of the plugin's table.
    quota: u64,
    writes: Writes,
}

/// Why effects were not stored. Nothing of them was.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Something that a call has built upon was changed by another: the event is to be handled again, at once.
    Conflict,
    /// As if this plugin had failed; none: nobody is to blame.
    Failed { plugin: Option<Arc<str>>, error: CallError },
}

impl PluginWrites {
    pub(crate) fn of(plugin: &Plugin, writes: Writes) -> Self {
        Self { plugin: plugin.name().into(), quota: plugin.spec().grants.key_value, writes }
    }
}

impl Store {
    pub(crate) fn new(journal: Arc<dyn Journal>) -> Self {
        let versions = std::iter::repeat_with(AtomicU64::default).take(VERSIONS).collect();
        Self { journal, versions, hasher: RandomState::new(), commits: Mutex::default() }
    }

    pub(crate) fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// Records that an event is handled, with all that came of it, unless one of the calls has built upon a value that is
    /// another one now.
    pub(crate) fn commit(
        &self,
        completion: Completion,
        calls: &[PluginWrites],
    ) -> Result<Committed, Refused> {
        if calls.iter().all(|call| call.writes.is_empty()) {
            return self.record(Record::Done(completion), calls);
        }
        // What it guards is whole at any moment.
        let _one_at_a_time = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let has_changed = |(plugin, seen): (&str, &Seen)| {
            let Seen { bucket, key, version } = seen;
            self.version_of(plugin, bucket, key).load(Ordering::Acquire) != *version
        };
        let mut seen =
            calls.iter().flat_map(|call| call.writes.seen.iter().map(|seen| (&*call.plugin, seen)));
        if seen.any(has_changed) {
            return Err(Refused::Conflict);
        }
        let committed = self.record(Record::DoneWriting(completion, journal_writes(calls)), calls)?;
        for call in calls {
            for Write { bucket, key, .. } in &call.writes.changes {
                self.version_of(&call.plugin, bucket, key).fetch_add(1, Ordering::Release);
            }
        }
        Ok(committed)
    }

    fn record(&self, record: Record, calls: &[PluginWrites]) -> Result<Committed, Refused> {
        let named = |bucket: &str| {
            let name = bucket.strip_prefix(PREFIX).unwrap_or_default();
            calls.iter().find(|call| &*call.plugin == name)
        };
        self.journal.commit(record).map_err(|problem| match &problem {
            // Another call has made it something else since.
            JournalError::NotANumber { .. } => Refused::Conflict,
            JournalError::BucketFull { bucket, size, .. } => {
                let plugin = named(bucket).map(|call| call.plugin.clone());
                let name = plugin.as_deref().unwrap_or_default();
                let quota = named(bucket).map_or(0, |call| call.quota);
                let reason = format!(
                    "plugin `{name}` would keep {size} bytes of key-values; it may keep {quota} (64 for each key included): \
                     delete keys, or raise `kv` in [plugins.{name}]"
                );
                Refused::Failed { plugin, error: CallError::Permanent(reason) }
            }
            JournalError::NoRoom { .. } => {
                let error = CallError::Temporary(format!("the journal is full: {problem}"));
                Refused::Failed { plugin: calls.last().map(|call| call.plugin.clone()), error }
            }
            _ => Refused::Failed { plugin: None, error: CallError::Permanent(problem.to_string()) },
        })
    }

    fn version_of(&self, plugin: &str, bucket: &str, key: &str) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        let hash = self.hasher.hash_one((plugin, bucket, key));
        let place = usize::try_from(hash % VERSIONS as u64).unwrap_or(0);
        self.versions.get(place).unwrap_or(&NONE)
    }
}

/// The writes of all calls in the order of the calls.
fn journal_writes(calls: &[PluginWrites]) -> Vec<KeyValueWrite> {
    let of_call = |call: &PluginWrites| {
        let PluginWrites { plugin, quota, writes } = call;
        // The call was told what its bytes come to. What its keys cost besides must not refuse it after that.
        let besides = writes.changes.iter().map(|write| KEY_COST + write.bucket.len() + BETWEEN.len_utf8());
        let limit = besides.fold(usize::try_from(*quota).unwrap_or(usize::MAX), usize::saturating_add);
        let bucket = bucket_of(plugin);
        let write = move |Write { bucket: within, key, change }: &Write| KeyValueWrite {
            bucket: bucket.clone(),
            key: key_of(within, key),
            change: match change {
                Change::Set(value) => ValueChange::Set(value.clone()),
                Change::Delete => ValueChange::Delete,
                Change::Add(more) => ValueChange::Add(*more),
            },
            limit: Some(limit),
        };
        writes.changes.iter().map(write).collect::<Vec<_>>()
    };
    calls.iter().flat_map(of_call).collect()
}

fn bucket_of(plugin: &str) -> String {
    format!("{PREFIX}{plugin}")
}

fn key_of(bucket: &str, key: &str) -> String {
    format!("{bucket}{BETWEEN}{key}")
}

impl KeyValue for Store {
    fn get<'a>(
        &'a self,
        plugin: &'a str,
        bucket: &'a str,
        key: &'a str,
    ) -> ServiceFuture<'a, Result<Option<Bytes>, String>> {
        Box::pin(async move {
            let value = self.journal.value(&bucket_of(plugin), &key_of(bucket, key)).await;
            value.map_err(|problem| problem.to_string())
        })
    }

    fn keys<'a>(
        &'a self,
        plugin: &'a str,
        bucket: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> ServiceFuture<'a, Result<Vec<String>, String>> {
        // The name of the bucket alone comes before each of its keys, and is none.
        let after = after.map_or_else(|| bucket.to_owned(), |after| key_of(bucket, after));
        let keys = self.journal.keys(&bucket_of(plugin), Some(&after), limit);
        let within = |key: &String| key.strip_prefix(bucket)?.strip_prefix(BETWEEN).map(str::to_owned);
        let keys = keys.iter().map_while(within).collect();
        Box::pin(std::future::ready(Ok(keys)))
    }

    fn used(&self, plugin: &str) -> u64 {
        self.journal.bucket_bytes(&bucket_of(plugin)) as u64
    }

    fn version(&self, plugin: &str, bucket: &str, key: &str) -> u64 {
        self.version_of(plugin, bucket, key).load(Ordering::Acquire)
    }
}
