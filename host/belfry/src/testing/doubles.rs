//! What a plugin reaches in a test: key-values, chat and HTTP that live in memory and note what they are asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belfry_plugin_host::types::{ChatError, MediaKind, Reply, Target};
use belfry_plugin_host::{
    Body, Change, Chat, Fetch, FetchError, KeyValue, LiveCard, LiveSettings, ServiceFuture, Writes,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};

use super::file::{Stub, to_json};
use super::transcript::plain;

/// The bucket that a key without one belongs to.
const DEFAULT_BUCKET: &str = "default";

/// The most that is taken of a request's body.
const MOST_BODY: usize = 16 << 20;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Key-values, by bucket and key.
#[derive(Default)]
pub(super) struct MemoryKeyValue(Mutex<BTreeMap<(String, String), Bytes>>);

impl MemoryKeyValue {
    /// Begins with these, named as in a test file.
    pub(super) fn new(first: &BTreeMap<String, String>) -> Self {
        let named = |(name, value): (&String, &String)| {
            let (bucket, key) = bucket_and_key(name);
            ((bucket.to_owned(), key.to_owned()), Bytes::from(value.clone()))
        };
        Self(Mutex::new(first.iter().map(named).collect()))
    }

    /// Stores what a call wrote.
    pub(super) fn commit(&self, writes: Writes) {
        let mut values = lock(&self.0);
        for write in writes.changes {
            let place = (write.bucket, write.key);
            match write.change {
                Change::Set(value) => drop(values.insert(place, value)),
                Change::Delete => drop(values.remove(&place)),
                Change::Add(delta) => {
                    let before =
                        values.get(&place).and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
                    let sum = before.unwrap_or(0_i64).saturating_add(delta);
                    values.insert(place, sum.to_string().into());
                }
            }
        }
    }

    /// A value, by its name in a test file.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let (bucket, key) = bucket_and_key(name);
        let values = lock(&self.0);
        values
            .get(&(bucket.to_owned(), key.to_owned()))
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// All of them, named as in a test file.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let name = |bucket: &str, key: &str| match bucket {
            DEFAULT_BUCKET => key.to_owned(),
            _ => format!("{bucket}/{key}"),
        };
        lock(&self.0)
            .iter()
            .map(|((bucket, key), value)| (name(bucket, key), String::from_utf8_lossy(value).into_owned()))
            .collect()
    }
}

fn bucket_and_key(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or((DEFAULT_BUCKET, name))
}

impl KeyValue for MemoryKeyValue {
    fn get<'a>(
        &'a self,
        _plugin: &'a str,
        bucket: &'a str,
        key: &'a str,
    ) -> ServiceFuture<'a, Result<Option<Bytes>, String>> {
        let value = lock(&self.0).get(&(bucket.to_owned(), key.to_owned())).cloned();
        Box::pin(async move { Ok(value) })
    }

    fn keys<'a>(
        &'a self,
        _plugin: &'a str,
        bucket: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> ServiceFuture<'a, Result<Vec<String>, String>> {
        let values = lock(&self.0);
        let keys =
            values.keys().filter(|(of, key)| of == bucket && after.is_none_or(|after| key.as_str() > after));
        let keys = keys.map(|(_, key)| key.clone()).take(limit).collect();
        Box::pin(async move { Ok(keys) })
    }

    fn used(&self, _plugin: &str) -> u64 {
        lock(&self.0).iter().map(|((_, key), value)| (key.len() + value.len()) as u64).sum()
    }

    fn version(&self, _plugin: &str, _bucket: &str, _key: &str) -> u64 {
        // Turns come one after the other: nothing changes under a call.
        0
    }
}

/// Notes what is sent.
#[derive(Default)]
pub(super) struct NotingChat {
    noted: Mutex<Noted>,
    downloads: BTreeMap<String, String>,
    /// The turn, which makes ids that are the same in every run.
    turn: usize,
}

/// What was sent in one turn.
#[derive(Default, Clone)]
pub(super) struct Noted {
    /// To whom, and what.
    pub(super) sent: Vec<(String, String)>,
    /// The id of the card that was sent last.
    pub(super) card: Option<String>,
}

impl NotingChat {
    pub(super) fn new(downloads: BTreeMap<String, String>, turn: usize) -> Arc<Self> {
        Arc::new(Self { noted: Mutex::default(), downloads, turn })
    }

    pub(super) fn noted(&self) -> Noted {
        lock(&self.noted).clone()
    }

    fn note(&self, to: &Target, what: String) {
        lock(&self.noted).sent.push((target(to), what));
    }
}

/// A target as test files name it.
pub(super) fn target(to: &Target) -> String {
    match to {
        Target::Current => "current".to_owned(),
        Target::User(id) => format!("user {id}"),
        Target::Group(id) => format!("group {id}"),
    }
}

/// The chat of one call. A type of its own, since live cards outlive the borrow of a call.
pub(super) struct TurnChat(pub(super) Arc<NotingChat>);

impl Chat for TurnChat {
    fn send(&self, index: u32, to: Target, message: Reply) -> ServiceFuture<'_, Result<String, ChatError>> {
        self.0.note(&to, plain(&message));
        let id = format!("sent-{}-{index}", self.0.turn);
        Box::pin(async move { Ok(id) })
    }

    fn recall<'a>(&'a self, id: &'a str) -> ServiceFuture<'a, Result<(), ChatError>> {
        lock(&self.0.noted).sent.push(("recall".to_owned(), id.to_owned()));
        Box::pin(async { Ok(()) })
    }

    fn download<'a>(&'a self, code: &'a str, _limit: u64) -> ServiceFuture<'a, Result<Bytes, ChatError>> {
        let content = self.0.downloads.get(code).cloned().map(Bytes::from);
        let missing = move || {
            ChatError::Invalid(format!(
                "the test has no download `{code}`; add it under [downloads]: {code:?} = \"…\""
            ))
        };
        Box::pin(async move { content.ok_or_else(missing) })
    }

    fn upload<'a>(
        &'a self,
        _kind: MediaKind,
        name: &'a str,
        data: Bytes,
    ) -> ServiceFuture<'a, Result<String, ChatError>> {
        lock(&self.0.noted).sent.push(("upload".to_owned(), format!("{name} ({} bytes)", data.len())));
        Box::pin(async move { Ok(format!("@{name}")) })
    }

    fn send_card<'a>(
        &'a self,
        index: u32,
        to: Target,
        template: &'a str,
        data: Vec<(String, String)>,
    ) -> ServiceFuture<'a, Result<String, ChatError>> {
        self.0.note(&to, format!("card {template} {}", variables(&data)));
        let id = format!("card-{}-{index}", self.0.turn);
        lock(&self.0.noted).card = Some(id.clone());
        Box::pin(async move { Ok(id) })
    }

    fn update_card<'a>(
        &'a self,
        id: &'a str,
        data: Vec<(String, String)>,
    ) -> ServiceFuture<'a, Result<(), ChatError>> {
        lock(&self.0.noted).sent.push((format!("card {id}"), variables(&data)));
        Box::pin(async { Ok(()) })
    }

    fn open_live<'a>(
        &'a self,
        _index: u32,
        to: Target,
        _title: &'a str,
        _settings: &'a LiveSettings,
    ) -> ServiceFuture<'a, Result<Box<dyn LiveCard>, ChatError>> {
        let card = NotedCard { chat: self.0.clone(), to, text: Mutex::default() };
        Box::pin(async move { Ok(Box::new(card) as Box<dyn LiveCard>) })
    }
}

fn variables(data: &[(String, String)]) -> String {
    let pairs: Vec<String> = data.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(", ")
}

/// Notes its last text when it ends.
struct NotedCard {
    chat: Arc<NotingChat>,
    to: Target,
    /// None once it has ended.
    text: Mutex<Option<String>>,
}

impl NotedCard {
    fn end(&self, reason: &str) {
        if let Some(text) = lock(&self.text).take() {
            self.chat.note(&self.to, format!("{text}{reason}"));
        }
    }
}

impl LiveCard for NotedCard {
    fn show(&self, text: &str) {
        *lock(&self.text) = Some(text.to_owned());
    }

    fn finish(&self) -> ServiceFuture<'_, Result<(), ChatError>> {
        self.end("");
        Box::pin(async { Ok(()) })
    }

    fn fail<'a>(&'a self, reason: &'a str) -> ServiceFuture<'a, Result<(), ChatError>> {
        self.end(&format!(" (failed: {reason})"));
        Box::pin(async { Ok(()) })
    }
}

impl Drop for NotedCard {
    fn drop(&mut self) {
        self.end("");
    }
}

/// Answers from the test file, and nothing else.
pub(super) struct StubbedFetch {
    /// With how often each may still answer.
    stubs: Mutex<Vec<(Stub, u32)>>,
}

impl StubbedFetch {
    pub(super) fn new(stubs: &[Stub]) -> Self {
        let left = |stub: &Stub| (stub.clone(), stub.times.unwrap_or(u32::MAX));
        Self { stubs: Mutex::new(stubs.iter().map(left).collect()) }
    }

    fn answer(&self, method: &str, url: &str, body: &[u8]) -> Result<http::Response<Body>, FetchError> {
        let body = String::from_utf8_lossy(body);
        let fits = |stub: &Stub| {
            stub.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && same_url(&stub.url, url)
                && stub.sent.as_deref().is_none_or(|part| body.contains(part))
        };
        let mut stubs = lock(&self.stubs);
        let Some((stub, left)) = stubs.iter_mut().find(|(stub, left)| *left > 0 && fits(stub)) else {
            return Err(FetchError::Failed(format!(
                "the test has no answer to {method} {url}; add one:\n[[http]]\nmethod = \"{method}\"\nurl = {url:?}\n\
                 body = \"…\""
            )));
        };
        *left -= 1;
        if let Some(error) = &stub.error {
            return Err(FetchError::Failed(error.clone()));
        }
        let mut response = http::Response::builder().status(stub.status);
        for (name, value) in &stub.headers {
            response = response.header(name, value);
        }
        let body = match (&stub.body, &stub.json) {
            (Some(body), _) => body.clone(),
            (None, Some(json)) => to_json(json).to_string(),
            (None, None) => String::new(),
        };
        let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
        response
            .body(body.boxed_unsync())
            .map_err(|error| FetchError::Failed(format!("the test's answer: {error}")))
    }
}

fn same_url(wanted: &str, url: &str) -> bool {
    matches!((url::Url::parse(wanted), url::Url::parse(url)), (Ok(a), Ok(b)) if a == b)
}

impl Fetch for StubbedFetch {
    fn send(
        &self,
        request: http::Request<Body>,
        _grant: usize,
    ) -> ServiceFuture<'_, Result<http::Response<Body>, FetchError>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = Limited::new(body, MOST_BODY).collect().await;
            let body =
                body.map_err(|error| FetchError::Failed(format!("the request's body: {error}")))?.to_bytes();
            self.answer(head.method.as_str(), &head.uri.to_string(), &body)
        })
    }
}
