//! What a host embeds, in memory: key-values that calls really commit to, and a chat that notes what it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use belfry_plugin_host::types::{ChatError, MediaKind, Reply, Target};
use belfry_plugin_host::{
    CallContext, Change, Chat, KeyValue, LiveCard, LiveSettings, ServiceFuture, Writes,
};
use bytes::Bytes;

type Key = (String, String, String);

/// Key-values of all plugins.
#[derive(Default)]
pub struct Store {
    keys: Mutex<BTreeMap<Key, Bytes>>,
    /// One version for all is allowed: "it may change for other reasons too".
    version: Mutex<u64>,
}

impl Store {
    /// Does what the pipeline does with what a call has written.
    pub fn commit(&self, plugin: &str, writes: Writes) {
        let mut keys = self.keys.lock().unwrap();
        for write in writes.changes {
            let key = (plugin.to_owned(), write.bucket, write.key);
            match write.change {
                Change::Set(value) => drop(keys.insert(key, value)),
                Change::Delete => drop(keys.remove(&key)),
                Change::Add(delta) => {
                    let old = keys.get(&key).map_or("0", |value| std::str::from_utf8(value).unwrap());
                    let new = old.parse::<i64>().unwrap() + delta;
                    keys.insert(key, new.to_string().into());
                }
            }
        }
        *self.version.lock().unwrap() += 1;
    }

    pub fn get(&self, plugin: &str, bucket: &str, key: &str) -> Option<String> {
        let key = (plugin.to_owned(), bucket.to_owned(), key.to_owned());
        self.keys.lock().unwrap().get(&key).map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    pub fn context(self: &Arc<Self>) -> CallContext {
        CallContext { key_value: Some(Arc::clone(self) as _), ..CallContext::default() }
    }
}

impl KeyValue for Store {
    fn get<'a>(
        &'a self,
        plugin: &'a str,
        bucket: &'a str,
        key: &'a str,
    ) -> ServiceFuture<'a, Result<Option<Bytes>, String>> {
        Box::pin(async move { Ok(Store::get(self, plugin, bucket, key).map(Bytes::from)) })
    }

    fn keys<'a>(
        &'a self,
        plugin: &'a str,
        bucket: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> ServiceFuture<'a, Result<Vec<String>, String>> {
        Box::pin(async move {
            let keys = self.keys.lock().unwrap();
            let here = keys.keys().filter(|(p, b, k)| p == plugin && b == bucket && Some(k.as_str()) > after);
            Ok(here.map(|(_, _, key)| key.clone()).take(limit).collect())
        })
    }

    fn used(&self, plugin: &str) -> u64 {
        let keys = self.keys.lock().unwrap();
        let own = keys.iter().filter(|((name, _, _), _)| name == plugin);
        own.map(|((_, bucket, key), value)| (bucket.len() + 1 + key.len() + value.len()) as u64).sum()
    }

    fn version(&self, _: &str, _: &str, _: &str) -> u64 {
        *self.version.lock().unwrap()
    }
}

/// A chat that says yes to everything.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub fn context(&self) -> CallContext {
        CallContext { chat: Some(Arc::new(self.clone())), ..CallContext::default() }
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

fn to(target: &Target) -> String {
    match target {
        Target::Current => "current".into(),
        Target::User(id) => format!("user {id}"),
        Target::Group(id) => format!("group {id}"),
    }
}

impl Chat for Notes {
    fn send(
        &self,
        index: u32,
        target: Target,
        message: Reply,
    ) -> ServiceFuture<'_, Result<String, ChatError>> {
        let Reply::Text(text) = message else { panic!("{message:?}") };
        self.note(format!("{index} to {}: {}", to(&target), text.text));
        Box::pin(async move { Ok(format!("message {index}")) })
    }

    fn recall<'a>(&'a self, id: &'a str) -> ServiceFuture<'a, Result<(), ChatError>> {
        self.note(format!("recall {id}"));
        Box::pin(async { Ok(()) })
    }

    fn download<'a>(&'a self, code: &'a str, limit: u64) -> ServiceFuture<'a, Result<Bytes, ChatError>> {
        self.note(format!("download {code} up to {limit}"));
        Box::pin(async { Ok(Bytes::from_static(b"content")) })
    }

    fn upload<'a>(
        &'a self,
        kind: MediaKind,
        name: &'a str,
        data: Bytes,
    ) -> ServiceFuture<'a, Result<String, ChatError>> {
        self.note(format!("upload {kind:?} {name} {}", data.len()));
        Box::pin(async { Ok("@media".into()) })
    }

    fn send_card<'a>(
        &'a self,
        index: u32,
        target: Target,
        template: &'a str,
        data: Vec<(String, String)>,
    ) -> ServiceFuture<'a, Result<String, ChatError>> {
        self.note(format!("{index} card {template} to {}: {data:?}", to(&target)));
        Box::pin(async move { Ok(format!("card {index}")) })
    }

    fn update_card<'a>(
        &'a self,
        id: &'a str,
        data: Vec<(String, String)>,
    ) -> ServiceFuture<'a, Result<(), ChatError>> {
        self.note(format!("update {id}: {data:?}"));
        Box::pin(async { Ok(()) })
    }

    fn open_live<'a>(
        &'a self,
        index: u32,
        target: Target,
        title: &'a str,
        settings: &'a LiveSettings,
    ) -> ServiceFuture<'a, Result<Box<dyn LiveCard>, ChatError>> {
        self.note(format!("{index} live `{title}` to {} as {:?}", to(&target), settings.template));
        let card = Growing { notes: self.clone(), text: Mutex::default(), ended: Mutex::default() };
        Box::pin(async move { Ok(Box::new(card) as Box<dyn LiveCard>) })
    }
}

struct Growing {
    notes: Notes,
    text: Mutex<String>,
    ended: Mutex<bool>,
}

impl LiveCard for Growing {
    fn show(&self, text: &str) {
        *self.text.lock().unwrap() = text.to_owned();
    }

    fn finish(&self) -> ServiceFuture<'_, Result<(), ChatError>> {
        *self.ended.lock().unwrap() = true;
        self.notes.note(format!("finish `{}`", self.text.lock().unwrap()));
        Box::pin(async { Ok(()) })
    }

    fn fail<'a>(&'a self, reason: &'a str) -> ServiceFuture<'a, Result<(), ChatError>> {
        *self.ended.lock().unwrap() = true;
        self.notes.note(format!("fail `{}`: {reason}", self.text.lock().unwrap()));
        Box::pin(async { Ok(()) })
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        if !*self.ended.lock().unwrap() {
            let text = self.text.lock().unwrap();
            self.notes.note(match text.len() {
                0..100 => format!("drop `{text}`"),
                long => format!("drop {long} bytes"),
            });
        }
    }
}
