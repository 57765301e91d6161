//! What a plugin needs from outside, as traits: whoever embeds the host gives them with each call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::PluginInfo;
use crate::types::{ChatError, MediaKind, Reply, Target};

/// A future of a service.
pub type ServiceFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What one call may use besides its argument. Cheap to clone.
#[derive(Clone, Default)]
pub struct CallContext {
    /// The answer of `host.plugins()`.
    pub plugins: Arc<[PluginInfo]>,
    /// Where key-values are kept. None: `wasi:keyvalue` says `access-denied`.
    pub key_value: Option<Arc<dyn KeyValue>>,
    /// The way to DingTalk for this call. None: `chat`, `cards` and `live-card` say `unavailable`.
    pub chat: Option<Arc<dyn Chat>>,
    /// What carries HTTP requests that are granted. None: the host's own client.
    pub fetch: Option<Arc<dyn Fetch>>,
    /// What the guest's clocks and random numbers show. None: the real ones.
    pub fixed: Option<Fixed>,
}

impl CallContext {
    /// For what a plugin does outside of any call: key-values, chat and HTTP refuse.
    pub(crate) fn closed() -> Self {
        CallContext { fetch: Some(Arc::new(Closed)), ..CallContext::default() }
    }
}

/// Carries no request.
struct Closed;

impl Fetch for Closed {
    fn send(
        &self,
        _request: http::Request<Body>,
        _grant: usize,
    ) -> ServiceFuture<'_, Result<http::Response<Body>, FetchError>> {
        let words = "HTTP requests can be sent only while a message, an event or an action is handled";
        Box::pin(async { Err(FetchError::Refused(words.to_owned())) })
    }
}

/// Clocks that stand still and random numbers that repeat, for tests of plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// What the wall clock shows, in milliseconds since 1970.
    pub now_ms: u64,
    /// The seed of the random numbers.
    pub seed: u64,
}

/// The stored key-values of all plugins. Reads show what calls before have stored; a call's own writes are kept over them
/// until it ends, and come back as [`Writes`].
pub trait KeyValue: Send + Sync {
    /// A value.
    ///
    /// # Errors
    ///
    /// In words for the plugin's author, when the store cannot be read.
    fn get<'a>(
        &'a self,
        plugin: &'a str,
        bucket: &'a str,
        key: &'a str,
    ) -> ServiceFuture<'a, Result<Option<Bytes>, String>>;

    /// The keys of a bucket after `after`, in the order of their bytes.
    ///
    /// # Errors
    ///
    /// As [`get`](KeyValue::get).
    fn keys<'a>(
        &'a self,
        plugin: &'a str,
        bucket: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> ServiceFuture<'a, Result<Vec<String>, String>>;

    /// What the plugin's buckets hold, in bytes of keys and values.
    fn used(&self, plugin: &str) -> u64;

    /// A number that changes whenever a stored value of this key changes. It may change for other reasons too.
    fn version(&self, plugin: &str, bucket: &str, key: &str) -> u64;
}

/// What a call wants to have stored, together with what it returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// The changes, at most one for each key.
    pub changes: Vec<Write>,
    /// What the call has built upon: if any of these versions is another one now, its work must be thrown away and done
    /// again.
    pub seen: Vec<Seen>,
}

impl Writes {
    /// Whether there is nothing to store and nothing to check.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.seen.is_empty()
    }
}

/// One changed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The bucket, by its name within the plugin.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// What becomes of it.
    pub change: Change,
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has this value.
    Set(Bytes),
    /// It has none.
    Delete,
    /// Its number, decimal text, grows by this. Saturates.
    Add(i64),
}

/// A key whose version a call has built upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The bucket, by its name within the plugin.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Its [`version`](KeyValue::version) when it was read.
    pub version: u64,
}

/// The way to DingTalk for one call. Grants are checked before anything here is called.
///
/// `index` counts the sends of a call from 0. The same index of the same event always means the same message, so that a
/// handler that runs again sends nothing twice.
pub trait Chat: Send + Sync {
    /// Stores a message for delivery and returns its id.
    fn send(&self, index: u32, to: Target, message: Reply) -> ServiceFuture<'_, Result<String, ChatError>>;

    /// Takes back what [`send`](Chat::send) sent.
    fn recall<'a>(&'a self, id: &'a str) -> ServiceFuture<'a, Result<(), ChatError>>;

    /// The content behind a download code, at most `limit` bytes.
    fn download<'a>(&'a self, code: &'a str, limit: u64) -> ServiceFuture<'a, Result<Bytes, ChatError>>;

    /// Uploads a file and returns its media id.
    fn upload<'a>(
        &'a self,
        kind: MediaKind,
        name: &'a str,
        data: Bytes,
    ) -> ServiceFuture<'a, Result<String, ChatError>>;

    /// Sends a card and returns its id.
    fn send_card<'a>(
        &'a self,
        index: u32,
        to: Target,
        template: &'a str,
        data: Vec<(String, String)>,
    ) -> ServiceFuture<'a, Result<String, ChatError>>;

    /// Changes variables of a card.
    fn update_card<'a>(
        &'a self,
        id: &'a str,
        data: Vec<(String, String)>,
    ) -> ServiceFuture<'a, Result<(), ChatError>>;

    /// Begins a message that grows.
    fn open_live<'a>(
        &'a self,
        index: u32,
        to: Target,
        title: &'a str,
        settings: &'a LiveSettings,
    ) -> ServiceFuture<'a, Result<Box<dyn LiveCard>, ChatError>>;
}

/// How live cards are shown, `chat` in the plugin's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSettings {
    /// `chat.card_template`: the template; none sends one markdown message at the end.
    pub template: Option<String>,
    /// `chat.card_key`: the template's variable that takes the markdown.
    pub key: String,
    /// `chat.card_interval`: the least time between two updates.
    pub interval: std::time::Duration,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self { template: None, key: "content".to_owned(), interval: std::time::Duration::from_millis(800) }
    }
}

/// A message that grows. Dropped before its end, it ends with the text it has.
pub trait LiveCard: Send + Sync {
    /// Shows this text soon; what was to be shown before and was not, is left out.
    fn show(&self, text: &str);

    /// Ends it with the text it has, and waits until DingTalk has it.
    fn finish(&self) -> ServiceFuture<'_, Result<(), ChatError>>;

    /// Ends it as failed, with a sentence for the reader.
    fn fail<'a>(&'a self, reason: &'a str) -> ServiceFuture<'a, Result<(), ChatError>>;
}

/// Carries one HTTP request, whose host is granted already, and follows no redirect.
pub trait Fetch: Send + Sync {
    /// Sends it. `grant` is the one that allows it, by its place in the plugin's list.
    fn send(
        &self,
        request: http::Request<Body>,
        grant: usize,
    ) -> ServiceFuture<'_, Result<http::Response<Body>, FetchError>>;
}

/// The body of a request or a response.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, FetchError>;

/// Why there is no response, in words for the plugin's author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The host's address is not one that plugins may reach.
    #[error("{0}")]
    Refused(String),
    /// More than the limit.
    #[error("{0}")]
    Limit(String),
    /// It took too long.
    #[error("{0}")]
    Timeout(String),
    /// No connection, no such name, TLS, a broken response.
    #[error("{0}")]
    Failed(String),
}
