use super::*;
use crate::ServiceFuture;

/// Two stored keys and what the tests add, under one version.
#[derive(Default)]
struct Fake {
    keys: std::sync::Mutex<BTreeMap<String, Bytes>>,
    version: std::sync::atomic::AtomicU64,
}

impl Fake {
    fn put(&self, key: &str, value: &str) {
        self.keys.lock().unwrap().insert(key.to_owned(), Bytes::copy_from_slice(value.as_bytes()));
        self.version.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

impl KeyValue for Fake {
    fn get<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        key: &'a str,
    ) -> ServiceFuture<'a, std::result::Result<Option<Bytes>, String>> {
        Box::pin(async move { Ok(self.keys.lock().unwrap().get(key).cloned()) })
    }

    fn keys<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> ServiceFuture<'a, std::result::Result<Vec<String>, String>> {
        Box::pin(async move {
            let keys = self.keys.lock().unwrap();
            Ok(keys.keys().filter(|key| Some(key.as_str()) > after).take(limit).cloned().collect())
        })
    }

    fn used(&self, _: &str) -> u64 {
        self.keys.lock().unwrap().iter().map(|(key, value)| (8 + key.len() + value.len()) as u64).sum()
    }

    fn version(&self, _: &str, _: &str, _: &str) -> u64 {
        self.version.load(std::sync::atomic::Ordering::Relaxed)
    }
}

fn overlay(quota: u64) -> (Arc<Fake>, Overlay) {
    let fake = Arc::new(Fake::default());
    let mut spec = PluginSpec::new("todo", "todo.wasm");
    spec.grants.key_value = quota;
    (Arc::clone(&fake), Overlay::new(Some(fake), Arc::new(spec)))
}

const B: &str = "default";

#[tokio::test]
async fn own_writes_are_read_at_once_and_come_back_in_order() {
    let (fake, mut overlay) = overlay(1 << 20);
    fake.put("a", "stored");
    fake.put("b", "stored");
    overlay.set(B, "c", Bytes::from_static(b"new")).await.unwrap();
    overlay.delete(B, "a").await.unwrap();
    assert_eq!(overlay.get(B, "a").await.unwrap(), None);
    assert_eq!(overlay.get(B, "b").await.unwrap().unwrap(), "stored");
    assert_eq!(overlay.get(B, "c").await.unwrap().unwrap(), "new");
    assert_eq!(overlay.keys(B, None).await.unwrap().keys, ["b", "c"]);
    let writes = overlay.take_writes();
    let changes: Vec<_> = writes.changes.iter().map(|write| (write.key.as_str(), &write.change)).collect();
    assert_eq!(changes, [("a", &Change::Delete), ("c", &Change::Set(Bytes::from_static(b"new")))]);
    assert!(overlay.take_writes().is_empty());
}

#[tokio::test]
async fn increments_stay_differences_until_the_key_is_set() {
    let (fake, mut overlay) = overlay(1 << 20);
    fake.put("n", "40");
    assert_eq!(overlay.increment(B, "n", 1).await.unwrap(), 41);
    assert_eq!(overlay.increment(B, "n", 1).await.unwrap(), 42);
    assert_eq!(overlay.get(B, "n").await.unwrap().unwrap(), "42");
    overlay.set(B, "m", Bytes::from_static(b"1")).await.unwrap();
    assert_eq!(overlay.increment(B, "m", -3).await.unwrap(), -2);
    overlay.delete(B, "d").await.unwrap();
    assert_eq!(overlay.increment(B, "d", i64::MAX).await.unwrap(), i64::MAX);
    assert_eq!(overlay.increment(B, "d", 1).await.unwrap(), i64::MAX);
    fake.put("word", "three");
    assert!(overlay.increment(B, "word", 1).await.unwrap_err().to_string().contains("no whole number"));
    let changes: Vec<_> = overlay.take_writes().changes.into_iter().map(|write| write.change).collect();
    let max = Bytes::from(i64::MAX.to_string());
    assert_eq!(changes, [Change::Set(max), Change::Set(Bytes::from_static(b"-2")), Change::Add(2)]);
}

#[tokio::test]
async fn a_swap_compares_and_is_checked_again_when_stored() {
    let (fake, mut overlay) = overlay(1 << 20);
    fake.put("k", "one");
    let seen = overlay.look(B, "k").await.unwrap();
    fake.put("k", "two");
    let fresh = overlay.swap(B, "k", &seen, Bytes::from_static(b"x")).await.unwrap().unwrap_err();
    assert_eq!(fresh.value.as_ref().unwrap(), "two");
    overlay.swap(B, "k", &fresh, Bytes::from_static(b"three")).await.unwrap().unwrap();
    // The second swap builds on the first one, which this call made itself.
    let own = overlay.look(B, "k").await.unwrap();
    overlay.swap(B, "k", &own, Bytes::from_static(b"four")).await.unwrap().unwrap();
    let writes = overlay.take_writes();
    assert_eq!(writes.seen, [Seen { bucket: B.into(), key: "k".into(), version: 2 }]);
    assert_eq!(writes.changes[0].change, Change::Set(Bytes::from_static(b"four")));
}

#[tokio::test]
async fn the_quota_counts_what_would_be_there_afterwards() {
    let (fake, mut overlay) = overlay(40);
    fake.put("old", "0123456789");
    let value = |len: usize| Bytes::from(vec![b'x'; len]);
    let refused = overlay.set(B, "new", value(20)).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "the key-values would take 52 bytes, they may take 40 bytes; raise `kv` in [plugins.todo]"
    );
    overlay.delete(B, "old").await.unwrap();
    overlay.set(B, "new", value(20)).await.unwrap();
    overlay.set(B, "new", value(29)).await.unwrap();
    overlay.set(B, "new", value(30)).await.unwrap_err();
    // Back to what there was: nothing grows.
    overlay.set(B, "new", value(1)).await.unwrap();
}

#[tokio::test]
async fn bounds_hold() {
    let (_, mut overlay) = overlay(64 << 20);
    for name in ["../other", "other\0x", "a/b", "ü", &"x".repeat(65)] {
        assert_eq!(overlay.open(name), Err(KeyValueError::NoSuchBucket), "{name:?}");
    }
    assert_eq!(overlay.open(""), Ok("default"));
    overlay.set(B, &"k".repeat(1025), Bytes::new()).await.unwrap_err();
    overlay.set(B, "k", Bytes::from(vec![0; MAX_VALUE + 1])).await.unwrap_err();
    for number in 0..MAX_CHANGES {
        overlay.set(B, &number.to_string(), Bytes::new()).await.unwrap();
    }
    assert!(overlay.delete("other", "one more").await.unwrap_err().to_string().contains("1000 keys"));
    overlay.set(B, "0", Bytes::new()).await.unwrap();
}

#[tokio::test]
async fn pages_merge_stored_and_written_keys() {
    let (fake, mut overlay) = overlay(64 << 20);
    (0..1_500).for_each(|number| fake.put(&format!("{number:05}"), ""));
    for number in 0..600 {
        overlay.delete(B, &format!("{:05}", number * 2)).await.unwrap();
        let own = format!("{:05}x", number * 2);
        if number < 400 {
            overlay.set(B, &own, Bytes::new()).await.unwrap();
        }
    }
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = overlay.keys(B, after.as_deref()).await.unwrap();
        let numbered = overlay.keys_from(B, all.len() as u64).await.unwrap();
        assert_eq!(page, numbered);
        all.extend(page.keys);
        if !page.more {
            break;
        }
        after = all.last().cloned();
    }
    assert_eq!(all.len(), 1_500 - 600 + 400);
    assert!(all.is_sorted());
    assert_eq!(overlay.keys_from(B, 5_000).await.unwrap().keys, [""; 0]);
}

#[tokio::test]
async fn without_a_store_everything_is_denied() {
    let mut overlay = Overlay::new(None, Arc::new(PluginSpec::new("todo", "todo.wasm")));
    assert_eq!(overlay.open(""), Err(KeyValueError::Denied));
    assert_eq!(overlay.get(B, "k").await, Err(KeyValueError::Denied));
    assert_eq!(overlay.increment(B, "k", 1).await, Err(KeyValueError::Denied));
    assert_eq!(overlay.delete(B, "k").await, Err(KeyValueError::Denied));
}
