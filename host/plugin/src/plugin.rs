//! One loaded plugin and its calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use wasmtime::component::InstancePre;

use crate::call::{Call, Metered};
use crate::exports::{Exports, OnAction, OnEvent, OnMessage, Transform};
use crate::health::Health;
use crate::outbound::Outbound;
use crate::reason;
use crate::residence::Residence;
use crate::run::Terms;
use crate::state::State;
use crate::types::{Effect, Event, Message, Outcome, Request, Response};
use crate::{CallContext, CallError, Description, Host, PluginInfo, PluginSpec, Writes};

/// How long DingTalk waits for the answer to an action (its page on card callbacks says 2 s).
const ACTION: Duration = Duration::from_secs(2);

/// An interface of `wit/` that a plugin may export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Handler {
    /// `message-handler`: answers messages.
    Message,
    /// `event-handler`: handles events and schedules.
    Event,
    /// `action-handler`: answers buttons of cards and calls of AI assistants.
    Action,
    /// `transform`: changes events on their way through a connection.
    Transform,
}

impl Handler {
    /// The interface's name.
    pub fn interface(self) -> &'static str {
        match self {
            Handler::Message => "message-handler",
            Handler::Event => "event-handler",
            Handler::Action => "action-handler",
            Handler::Transform => "transform",
        }
    }
}

/// Facts about a loaded component, for `belfry plugin check` and the log.
#[derive(Clone, Debug)]
pub struct About {
    /// Hex SHA-256 of the file.
    pub sha256: String,
    /// The file's length.
    pub bytes: u64,
    /// What the compiled code takes, in bytes, constants and tables of the compiler included.
    pub code: u64,
    /// What it took to compile it, or to take it from the cache.
    pub compile: Duration,
    /// What it took to start the trial instance.
    pub instantiate: Duration,
    /// The handlers it exports.
    pub handlers: Vec<Handler>,
    /// Names of all its imports.
    pub imports: Vec<String>,
    /// Names of all its exports.
    pub exports: Vec<String>,
    /// Those of its exports that this host uses; it ignores the others.
    pub used_exports: Vec<String>,
    /// The size its largest memory starts with, in bytes; none if it has no memory or does not tell.
    pub initial_memory: Option<u64>,
}

impl About {
    /// The exports this host ignores.
    pub fn ignored_exports(&self) -> impl Iterator<Item = &str> {
        self.exports.iter().filter(|export| !self.used_exports.contains(export)).map(String::as_str)
    }

    /// Its imports of Belfry's own package.
    pub fn own_imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(String::as_str).filter(|import| import.starts_with("belfry:"))
    }

    /// Its other imports, which are WASI's. Toolchains import what they never call.
    pub fn wasi_imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(String::as_str).filter(|import| !import.starts_with("belfry:"))
    }
}

/// Where the time of one call went.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// Making the store.
    pub store: Duration,
    /// Making the instance and finding its export.
    pub instantiate: Duration,
    /// The call itself: handing the message over, the guest's work, taking the answer.
    pub call: Duration,
    /// Throwing store and instance away.
    pub drop: Duration,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Done<T> {
    /// What the guest returned.
    pub value: T,
    /// What is to be stored with it.
    pub writes: Writes,
}

/// One build of one plugin, ready to be called.
pub struct Plugin {
    pub(crate) build: Arc<Build>,
    pub(crate) about: About,
    pub(crate) description: Option<Description>,
    /// The names of the commands in `description`.
    pub(crate) described: Vec<String>,
}

/// The part of a plugin that calls hold on to.
pub(crate) struct Build {
    pub(crate) host: Arc<Host>,
    pub(crate) spec: Arc<PluginSpec>,
    /// `spec.name` once more, cheap to hand to every log.
    pub(crate) name: Arc<str>,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) component: InstancePre<State>,
    pub(crate) exports: Exports,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) health: Health,
    /// The slots this build may hold at one time: not all, so that a plugin that only waits leaves some to others.
    pub(crate) share: Arc<Semaphore>,
    /// The instance that lives on, of a resident plugin.
    pub(crate) residence: Residence,
}

impl Plugin {
    /// What the config says about it.
    pub fn spec(&self) -> &PluginSpec {
        &self.build.spec
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.build.name
    }

    /// What other plugins are told about it.
    pub fn info(&self) -> PluginInfo {
        let PluginSpec { name, description, .. } = self.spec();
        let description = match (&self.description, description.is_empty()) {
            (Some(described), true) => described.description.clone(),
            _ => description.clone(),
        };
        PluginInfo { name: name.clone(), description, commands: self.commands().to_vec() }
    }

    /// Facts about the component.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Whether it exports `handler`.
    pub fn handles(&self, handler: Handler) -> bool {
        self.about.handlers.contains(&handler)
    }

    /// One call of `on-message` under the stopwatch, on this thread and without deadline. For benchmarks.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Plugin::on_message).
    pub async fn time_call(&self, message: &Message, context: &CallContext) -> Result<Phases, CallError> {
        let build = &self.build;
        let call = build.new_call(false);
        let timed = Metered {
            call: Arc::clone(&call),
            ticker: Arc::clone(&build.host.ticker),
            inner: Box::pin(build.timed(call, context.clone(), message)),
        };
        timed.await.map_err(|stop| stop.error)
    }

    /// Calls `message-handler.on-message`, in a fresh instance or, where the spec says so, in the resident one.
    ///
    /// The first milliseconds run on the calling thread, the rest of a long computation on the host's `offload`
    /// runtime. Waits first if as many calls are under way as the host has slots, or of this plugin as three quarters of
    /// them; a resident plugin's calls wait for each other. Dropping the future stops the guest, and ends a resident
    /// instance.
    ///
    /// # Errors
    ///
    /// The guest's own `failure`, a trap, or a limit. See [`CallError`]. Nothing of it is to be stored.
    pub async fn on_message(
        &self,
        message: Arc<Message>,
        context: &CallContext,
    ) -> Result<Done<Outcome>, CallError> {
        self.build.run::<OnMessage>(message, context, Terms::usual()).await
    }

    /// Calls `event-handler.on-event` as [`on_message`](Plugin::on_message) calls its function.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Plugin::on_message).
    pub async fn on_event(
        &self,
        event: Arc<Event>,
        context: &CallContext,
    ) -> Result<Done<Vec<Effect>>, CallError> {
        self.build.run::<OnEvent>(event, context, Terms::usual()).await
    }

    /// Calls `action-handler.on-action` as [`on_message`](Plugin::on_message) calls its function, but for at most 2 s, the
    /// wait for a turn included: DingTalk takes no later answer.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Plugin::on_message).
    pub async fn on_action(
        &self,
        request: Arc<Request>,
        context: &CallContext,
    ) -> Result<Done<Response>, CallError> {
        let patience = self.build.spec.limits.deadline.min(ACTION);
        let terms = Terms { until: Some(tokio::time::Instant::now() + patience), ..Terms::usual() };
        self.build.run::<OnAction>(request, context, terms).await
    }

    /// Calls `transform.transform` as [`on_message`](Plugin::on_message) calls its function, without key-values, chat and
    /// HTTP, whatever the context has.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Plugin::on_message).
    pub async fn transform(
        &self,
        event: Arc<Event>,
        context: &CallContext,
    ) -> Result<Option<Event>, CallError> {
        let CallContext { plugins, fixed, .. } = context.clone();
        let context = CallContext { plugins, fixed, ..CallContext::closed() };
        Ok(self.build.run::<Transform>(event, &context, Terms::pure()).await?.value)
    }

    /// What it says about itself, if it exports `describe`: each line cut to 1000 bytes, the help to 16 KiB, made safe to
    /// print.
    pub fn description(&self) -> Option<&Description> {
        self.description.as_ref()
    }

    /// The commands routed to it: those of the config, or where it has none, those that `describe` named.
    pub fn commands(&self) -> &[String] {
        match self.spec().commands.as_slice() {
            [] => &self.described,
            commands => commands,
        }
    }
}

/// Why a call ended without a result from the guest.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) error: CallError,
    /// Whether the guest is to blame.
    pub(crate) guest: bool,
}

impl Build {
    /// Whether it exports `handler`.
    pub(crate) fn handles(&self, handler: Handler) -> bool {
        self.handlers.contains(&handler)
    }

    async fn timed(&self, call: Arc<Call>, context: CallContext, message: &Message) -> Result<Phases, Stop> {
        let Some(export) = &self.exports.message else {
            return Err(reason::no_handler(&self.name, Handler::Message));
        };
        let start = Instant::now();
        let mut store = self.store(call, context);
        let stored = Instant::now();
        let guest = async {
            let instance = self.component.instantiate_async(&mut store).await?;
            export.load(&mut store, &instance)
        };
        let guest = guest.await.map_err(|error| reason::stopped(self, &store, &error))?;
        let instantiated = Instant::now();
        let result = guest.call_on_message(&mut store, message).await;
        let called = Instant::now();
        result.map_err(|error| reason::stopped(self, &store, &error))?.ok();
        drop(store);
        Ok(Phases {
            store: stored - start,
            instantiate: instantiated - stored,
            call: called - instantiated,
            drop: called.elapsed(),
        })
    }
}
