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

#[cfg(test)]
mod tests {
    use belfry_journal::{Appended, MemoryJournal, NewEvent, Position};

    use super::*;

    fn store() -> Store {
        Store::new(Arc::new(MemoryJournal::default()))
    }

    async fn event(store: &Store, id: &str) -> Completion {
        let (payload, private) = (Bytes::new(), Bytes::new());
        let event = NewEvent { key: "a/c".into(), dedupe: vec![id.to_owned()], payload, private };
        let Ok(Appended::New(position)) = store.journal.append(event).await else { panic!("{id} is new") };
        Completion::new(position, Vec::new())
    }

    fn write(key: &str, change: Change) -> Write {
        Write { bucket: "default".into(), key: key.into(), change }
    }

    fn set(key: &str, value: &'static str) -> Write {
        write(key, Change::Set(value.into()))
    }

    fn call(plugin: &str, changes: Vec<Write>, seen: Vec<Seen>) -> PluginWrites {
        PluginWrites { plugin: plugin.into(), quota: 1000, writes: Writes { changes, seen } }
    }

    async fn value(store: &Store, plugin: &str, key: &str) -> Option<Bytes> {
        store.get(plugin, "default", key).await.unwrap()
    }

    #[tokio::test]
    async fn of_two_who_saw_the_same_value_the_second_must_look_again() {
        let store = store();
        let (first, second) = (event(&store, "1").await, event(&store, "2").await);
        let look = || {
            let (bucket, key) = ("default".to_owned(), "k".to_owned());
            let version = store.version("todo", &bucket, &key);
            vec![Seen { bucket, key, version }]
        };
        let (one, two) = (look(), look());
        assert!(store.commit(first, &[call("todo", vec![set("k", "one")], one)]).unwrap().changed);
        let late = [call("todo", vec![set("k", "two"), write("n", Change::Add(1))], two)];
        assert!(matches!(store.commit(second.clone(), &late), Err(Refused::Conflict)));
        assert_eq!(value(&store, "todo", "k").await.unwrap(), "one");
        assert_eq!(value(&store, "todo", "n").await, None, "all of its work is thrown away");
        let again = [call("todo", vec![set("k", "two")], look())];
        assert!(store.commit(second, &again).unwrap().changed);
        assert_eq!(value(&store, "todo", "k").await.unwrap(), "two");
    }

    #[tokio::test]
    async fn what_is_added_counts_without_a_look() {
        let store = store();
        for id in ["1", "2", "3"] {
            let add = call("todo", vec![write("n", Change::Add(2))], Vec::new());
            assert!(store.commit(event(&store, id).await, &[add]).unwrap().changed);
        }
        assert_eq!(value(&store, "todo", "n").await.unwrap(), "6");
        let text = call("todo", vec![set("n", "many")], Vec::new());
        assert!(store.commit(event(&store, "4").await, &[text]).unwrap().changed);
        let add = call("todo", vec![write("n", Change::Add(2))], Vec::new());
        let refused = store.commit(event(&store, "5").await, &[add]);
        assert!(matches!(refused, Err(Refused::Conflict)), "the handler will be told when it looks");
    }

    #[tokio::test]
    async fn buckets_are_apart_within_a_plugin_and_between_them() {
        let store = store();
        let within = |bucket: &str, key: &str| Write {
            bucket: bucket.into(),
            key: key.into(),
            change: Change::Set(bucket.to_owned().into()),
        };
        let writes =
            vec![within("a", "x"), within("a", "y"), within("a", ""), within("ab", "x"), within("b", "x")];
        let calls = [call("todo", writes, Vec::new())];
        assert!(store.commit(event(&store, "1").await, &calls).unwrap().changed);
        assert_eq!(store.keys("todo", "a", None, 9).await.unwrap(), ["", "x", "y"]);
        assert_eq!(store.keys("todo", "a", Some("x"), 9).await.unwrap(), ["y"]);
        assert_eq!(store.keys("todo", "a", None, 1).await.unwrap(), [""]);
        assert_eq!(store.keys("todo", "ab", None, 9).await.unwrap(), ["x"]);
        assert!(store.keys("tod", "a", None, 9).await.unwrap().is_empty());
        assert_eq!(store.get("todo", "b", "x").await.unwrap().unwrap(), "b");
        assert_eq!(store.get("faq", "b", "x").await.unwrap(), None);
        assert_eq!((store.used("faq"), store.used("todo") > 5 * KEY_COST as u64), (0, true));
    }

    #[tokio::test]
    async fn a_full_bucket_fails_for_good_and_says_what_to_raise() {
        let store = store();
        let calls = [
            call("faq", vec![set("k", "v")], Vec::new()),
            call("todo", vec![write("k", Change::Set(vec![0; 1200].into()))], Vec::new()),
        ];
        let Err(Refused::Failed { plugin, error: CallError::Permanent(reason) }) =
            store.commit(event(&store, "1").await, &calls)
        else {
            panic!("it is too much");
        };
        assert_eq!(plugin.as_deref(), Some("todo"));
        assert!(reason.ends_with("delete keys, or raise `kv` in [plugins.todo]"), "{reason}");
        assert_eq!(value(&store, "faq", "k").await, None, "nothing of it is stored");
    }

    #[tokio::test]
    async fn an_event_is_completed_once() {
        let store = store();
        let event = event(&store, "1").await;
        let add = || [call("todo", vec![write("n", Change::Add(1))], Vec::new())];
        assert!(store.commit(event.clone(), &add()).unwrap().changed);
        assert!(!store.commit(event, &add()).unwrap().changed);
        assert_eq!(value(&store, "todo", "n").await.unwrap(), "1");
        let unknown = Completion::new(Position(99), Vec::new());
        assert!(!store.commit(unknown, &add()).unwrap().changed);
    }
}
