//! Doubles of everything the host gives, kept in memory, so that `cargo test` of a plugin needs no WebAssembly and no host.
//!
//! Each thread, and so each test, has a world of its own, which starts empty. [`say`] and [`message`] make messages, the
//! other functions set up the world and look into it.

pub(crate) mod kv;
mod live;
mod make;

use std::cell::RefCell;
use std::collections::BTreeMap;

pub(crate) use live::LiveHandle;
pub use live::{Live, LiveState};
pub use make::{Said, action, event, message, say, tick};

use crate::chat;
use crate::fetch;
use crate::log::Level;
use crate::types::{MediaKind, PluginInfo, Reply, Target};

type Answer = Box<dyn FnMut(&fetch::Request) -> Result<fetch::Response, fetch::Error>>;

/// All that the doubles know.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) plugins: Vec<PluginInfo>,
    pub(crate) values: BTreeMap<(String, String), Vec<u8>>,
    pub(crate) live: Vec<Live>,
    logs: Vec<String>,
    sent: Vec<(Target, Reply)>,
    recalled: Vec<String>,
    cards: Vec<SentCard>,
    downloads: BTreeMap<String, Vec<u8>>,
    uploads: Vec<(MediaKind, String, Vec<u8>)>,
    requests: Vec<fetch::Request>,
    answer: Option<Answer>,
}

/// A card that was sent, with its variables as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentCard {
    /// Its id.
    pub id: String,
    /// To whom it went.
    pub to: Target,
    /// Its template.
    pub template: String,
    /// Its variables.
    pub data: BTreeMap<String, String>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

pub(crate) fn with<R>(f: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(f)
}

/// Forgets everything.
pub fn reset() {
    with(|world| *world = World::default());
}

/// Sets a setting of the plugin's `config`.
pub fn set_config(key: &str, value: &str) {
    with(|world| world.config.insert(key.to_owned(), value.to_owned()));
}

/// What [`host::plugins`](crate::host::plugins) answers.
pub fn set_plugins(plugins: Vec<PluginInfo>) {
    with(|world| world.plugins = plugins);
}

/// A key's value as text, from a bucket; `""` is the default one.
pub fn value(bucket: &str, key: &str) -> Option<String> {
    with(|world| {
        let value = world.values.get(&(kv::bucket_name(bucket), key.to_owned()))?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

/// Sets a key in a bucket; `""` is the default one.
pub fn set_value(bucket: &str, key: &str, value: impl AsRef<[u8]>) {
    let key = (kv::bucket_name(bucket), key.to_owned());
    with(|world| world.values.insert(key, value.as_ref().to_vec()));
}

/// How requests are answered from now on. Until it is said, all fail with [`fetch::Error::NotGranted`].
pub fn on_fetch(answer: impl FnMut(&fetch::Request) -> Result<fetch::Response, fetch::Error> + 'static) {
    with(|world| world.answer = Some(Box::new(answer)));
}

/// A response for [`on_fetch`].
pub fn response(status: u16, body: impl Into<Vec<u8>>) -> fetch::Response {
    fetch::Response {
        status,
        headers: Vec::new(),
        body: body.into(),
        url: "https://test.invalid/".to_owned(),
    }
}

/// The requests sent so far.
pub fn requests() -> Vec<fetch::Request> {
    with(|world| world.requests.clone())
}

/// What [`chat::send`] sent so far; `m1` is the id of the first.
pub fn sent() -> Vec<(Target, Reply)> {
    with(|world| world.sent.clone())
}

/// The ids of messages that were recalled.
pub fn recalled() -> Vec<String> {
    with(|world| world.recalled.clone())
}

/// The cards sent so far; `c1` is the id of the first.
pub fn cards() -> Vec<SentCard> {
    with(|world| world.cards.clone())
}

/// The live cards begun so far.
pub fn live() -> Vec<Live> {
    with(|world| world.live.clone())
}

/// What is behind a download code.
pub fn set_download(code: &str, data: impl Into<Vec<u8>>) {
    with(|world| world.downloads.insert(code.to_owned(), data.into()));
}

/// What was uploaded so far: kind, name, bytes; `@media1` is the id of the first.
pub fn uploads() -> Vec<(MediaKind, String, Vec<u8>)> {
    with(|world| world.uploads.clone())
}

/// The lines logged so far, each as `info: TEXT`.
pub fn logs() -> Vec<String> {
    with(|world| world.logs.clone())
}

pub(crate) fn logged(level: Level, _context: &str, message: &str) {
    let level = match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
        Level::Critical => "critical",
    };
    with(|world| world.logs.push(format!("{level}: {message}")));
}

pub(crate) fn fetched(request: &fetch::Request) -> Result<fetch::Response, fetch::Error> {
    let answer = with(|world| {
        world.requests.push(request.clone());
        world.answer.take()
    });
    let Some(mut answer) = answer else {
        let reason = format!("the test says nothing about {}; call testing::on_fetch first", request.url);
        return Err(fetch::Error::NotGranted(reason));
    };
    // Called outside of `with`, since it may look into the world itself.
    let response = answer(request).map(|mut response| {
        response.url.clone_from(&request.url);
        response
    });
    with(|world| {
        world.answer.get_or_insert(answer);
    });
    response
}

pub(crate) fn send(to: &Target, message: Reply) -> Result<String, chat::Error> {
    with(|world| {
        world.sent.push((to.clone(), message));
        Ok(format!("m{}", world.sent.len()))
    })
}

pub(crate) fn recall(id: &str) -> Result<(), chat::Error> {
    with(|world| {
        let number = id.strip_prefix('m').and_then(|number| number.parse::<usize>().ok());
        match number.is_some_and(|number| (1..=world.sent.len()).contains(&number)) {
            true => {
                world.recalled.push(id.to_owned());
                Ok(())
            }
            false => Err(chat::Error::Invalid(format!("no message `{id}` was sent"))),
        }
    })
}

pub(crate) fn download(code: &str) -> Result<Vec<u8>, chat::Error> {
    let none =
        || chat::Error::Invalid(format!("no content behind `{code}`; call testing::set_download first"));
    with(|world| world.downloads.get(code).cloned()).ok_or_else(none)
}

pub(crate) fn upload(kind: MediaKind, name: &str, data: &[u8]) -> Result<String, chat::Error> {
    with(|world| {
        world.uploads.push((kind, name.to_owned(), data.to_vec()));
        Ok(format!("@media{}", world.uploads.len()))
    })
}

pub(crate) fn send_card(
    to: &Target,
    template: String,
    data: Vec<(String, String)>,
) -> Result<String, chat::Error> {
    with(|world| {
        let id = format!("c{}", world.cards.len() + 1);
        let data = data.into_iter().collect();
        world.cards.push(SentCard { id: id.clone(), to: to.clone(), template, data });
        Ok(id)
    })
}

pub(crate) fn update_card(id: &str, data: Vec<(String, String)>) -> Result<(), chat::Error> {
    with(|world| match world.cards.iter_mut().find(|card| card.id == id) {
        Some(card) => {
            card.data.extend(data);
            Ok(())
        }
        None => Err(chat::Error::Invalid(format!("there is no card `{id}`"))),
    })
}
