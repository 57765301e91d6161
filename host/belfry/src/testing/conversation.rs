//! One test file against one plugin, turn by turn.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use belfry_pipeline::asked_about;
use belfry_plugin_host::types::{
    self, Content, Conversation, ConversationKind, Event, Media, Message, Outcome, Request, Sender,
};
use belfry_plugin_host::{
    CallContext, CallError, ChatGrant, Done, Fixed, Grants, Handler, Host, HttpGrant, Plugin, PluginSpec,
    Scheme,
};

use super::doubles::{MemoryKeyValue, NotingChat, StubbedFetch, TurnChat};
use super::expect;
use super::file::{self, Given, Stub, Test, to_json};
use super::transcript::{self, Happened};

/// What a test lets a plugin keep: the config of a real host may allow less.
const ROOM: u64 = 16 << 20;

/// The plugin to be tested.
pub(super) struct Component {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// What came of a conversation.
pub(super) struct Held {
    /// The name the file gives itself.
    pub(super) name: Option<String>,
    pub(super) problems: Vec<String>,
    /// Those at the end of a test that failed.
    pub(super) key_values: Vec<(String, String)>,
    /// What happened, if a turn leaves its outcome to the snapshot.
    pub(super) transcript: Option<String>,
}

impl Component {
    /// Loads it with what the test gives it.
    pub(super) async fn load(&self, host: &Arc<Host>, test: &Test) -> anyhow::Result<Arc<Plugin>> {
        let everybody = || vec!["*".to_owned()];
        let spec = PluginSpec {
            config: test.config.clone(),
            grants: Grants {
                http: test.http.iter().filter_map(grant).collect(),
                chat: ChatGrant { users: everybody(), groups: everybody(), ..ChatGrant::default() },
                key_value: ROOM,
            },
            ..PluginSpec::new(&self.name, &self.path)
        };
        let loaded = host.load_bytes(spec, self.bytes.clone()).await;
        loaded.with_context(|| format!("use {} as a plugin", self.path.display()))
    }
}

/// The hosts that the test answers for are those the plugin may reach.
fn grant(stub: &Stub) -> Option<HttpGrant> {
    let url = url::Url::parse(&stub.url).ok()?;
    let scheme = if url.scheme() == "http" { Scheme::Http } else { Scheme::Https };
    let host = url.host_str()?.to_owned();
    Some(HttpGrant { scheme, host, port: url.port(), private: true, headers: Vec::new() })
}

/// Everything the turns of one conversation share.
struct Stage<'a> {
    plugin: &'a Arc<Plugin>,
    test: &'a Test,
    values: Arc<MemoryKeyValue>,
    fetch: Arc<StubbedFetch>,
    now_ms: u64,
    /// The card that was sent last.
    card: Option<String>,
}

/// Holds the conversation with a plugin loaded for it alone.
pub(super) async fn hold(host: &Arc<Host>, component: &Component, test: &Test) -> anyhow::Result<Held> {
    let plugin = component.load(host, test).await?;
    let mut stage = Stage {
        plugin: &plugin,
        test,
        values: Arc::new(MemoryKeyValue::new(&test.key_values)),
        fetch: Arc::new(StubbedFetch::new(&test.http)),
        now_ms: test.start_ms()?,
        card: None,
    };
    let mut held =
        Held { name: test.name.clone(), problems: Vec::new(), key_values: Vec::new(), transcript: None };
    let mut transcript = String::new();
    let mut snapshot = false;
    for (number, turn) in test.turn.iter().enumerate() {
        let happened = stage.play(number, &turn.given).await?;
        transcript.push_str(&transcript::turn(&turn.given, &happened));
        match &turn.expect {
            None => snapshot = true,
            Some(expect) => {
                let problems = expect::compare(expect, &happened, &stage.values);
                held.problems
                    .extend(problems.into_iter().map(|problem| format!("turn {}: {problem}", number + 1)));
            }
        }
    }
    if snapshot {
        transcript.push_str(&key_values(&stage.values));
        held.transcript = Some(transcript);
    }
    if !held.problems.is_empty() {
        held.key_values = stage.values.all();
    }
    Ok(held)
}

fn key_values(values: &MemoryKeyValue) -> String {
    let all = values.all();
    if all.is_empty() {
        return String::new();
    }
    let lines: String = all.iter().map(|(name, value)| format!("  {name} = {value}\n")).collect();
    format!("key-values:\n{lines}")
}

impl Stage<'_> {
    /// Has one thing happen.
    async fn play(&mut self, number: usize, given: &Given) -> anyhow::Result<Happened> {
        self.now_ms = self.now_ms.saturating_add(given.later_ms()?);
        let chat = NotingChat::new(self.test.downloads.clone(), number + 1);
        let context = CallContext {
            plugins: Arc::from([self.plugin.info()]),
            key_value: Some(self.values.clone()),
            chat: Some(Arc::new(TurnChat(chat.clone()))),
            fetch: Some(self.fetch.clone()),
            fixed: Some(Fixed { now_ms: self.now_ms, seed: self.test.seed.wrapping_add(number as u64) }),
        };
        let happened = match given {
            Given { event: Some(event), .. } => {
                let event = Arc::new(self.event(number, given, event));
                Happened::of_event(self.stored(self.plugin.on_event(event, &context).await))
            }
            Given { action: Some(action), .. } => {
                let request = Arc::new(self.request(number, given, action));
                Happened::of_action(self.stored(self.plugin.on_action(request, &context).await))
            }
            given => {
                let message = Arc::new(self.message(number, given));
                let plugins = std::slice::from_ref(self.plugin);
                if self.plugin.handles(Handler::Message) && asked_about(plugins, &message).next().is_none() {
                    Happened { not_asked: true, ..Happened::of_message(Ok(Outcome::Pass)) }
                } else {
                    Happened::of_message(self.stored(self.plugin.on_message(message, &context).await))
                }
            }
        };
        let noted = chat.noted();
        self.card = noted.card.clone().or(self.card.take());
        Ok(happened.noting(noted))
    }

    /// The result, its key-values stored as the host would.
    fn stored<T>(&self, done: Result<Done<T>, CallError>) -> Result<T, CallError> {
        let Done { value, writes } = done?;
        self.values.commit(writes);
        Ok(value)
    }

    fn message(&self, number: usize, given: &Given) -> Message {
        let from = given.from.as_deref().unwrap_or("alex");
        let (content, msgtype) = match (&given.message, &given.content) {
            (Some(text), _) => (Content::Text(text.trim().to_owned()), "text"),
            (None, Some(content)) => self::content(content),
            (None, None) => (Content::Unknown(String::new()), ""),
        };
        let conversation = match &given.group {
            Some(group) => Conversation {
                id: format!("cid-{group}"),
                kind: ConversationKind::Group,
                title: Some(group.clone()),
            },
            None => Conversation { id: format!("cid-{from}"), kind: ConversationKind::Private, title: None },
        };
        Message {
            id: format!("msg-{}", number + 1),
            app: "default".to_owned(),
            conversation,
            sender: Sender {
                id: format!("$:{from}"),
                staff_id: Some(from.to_owned()),
                nick: from.to_owned(),
                corp_id: None,
                union_id: None,
                admin: given.admin,
            },
            content,
            mentions: Vec::new(),
            quoted: None,
            sent_at: self.now_ms,
            attempt: given.attempt.unwrap_or(1),
            attributes: Vec::new(),
            raw: serde_json::json!({ "msgtype": msgtype, "senderStaffId": from }).to_string(),
        }
    }

    fn event(&self, number: usize, given: &Given, event: &file::Event) -> Event {
        Event {
            id: event.id.clone().unwrap_or_else(|| format!("event-{}", number + 1)),
            source: event.source.clone().unwrap_or_else(|| "/test".to_owned()),
            type_: event.kind.clone(),
            subject: event.subject.clone(),
            time: Some(self.now_ms),
            data_content_type: None,
            data: event.data.as_ref().map(|data| to_json(data).to_string()),
            extensions: Vec::new(),
            attempt: given.attempt.unwrap_or(1),
        }
    }

    fn request(&self, number: usize, given: &Given, action: &file::Action) -> Request {
        let subject = match (action.subject.as_str(), &self.card) {
            ("$card", Some(card)) => card.clone(),
            (subject, _) => subject.to_owned(),
        };
        Request {
            id: format!("action-{}", number + 1),
            kind: action.kind.clone(),
            app: "default".to_owned(),
            subject,
            actions: action.actions.clone(),
            user: Some(given.from.clone().unwrap_or_else(|| "alex".to_owned())),
            conversation: given.group.as_ref().map(|group| format!("cid-{group}")),
            params: action
                .params
                .as_ref()
                .map_or_else(|| "{}".to_owned(), |params| to_json(params).to_string()),
            attributes: Vec::new(),
            raw: "{}".to_owned(),
        }
    }
}

fn content(content: &file::Content) -> (Content, &'static str) {
    let media = |code: &str| Media { download_code: code.to_owned() };
    match content {
        file::Content::Picture(code) => (Content::Picture(media(code)), "picture"),
        file::Content::Markdown(text) => (Content::Markdown(text.clone()), "markdown"),
        file::Content::File(name) => {
            let file = types::File { media: media(name), name: name.clone(), file_id: None, space_id: None };
            (Content::File(file), "file")
        }
        file::Content::Audio(heard) => {
            let audio = types::Audio { media: media("audio"), duration: 1_000, recognition: heard.clone() };
            (Content::Audio(audio), "audio")
        }
    }
}
