//! Events that are no chat messages, on their way to the plugins that take them.
//!
//! Such an event is stored once for each plugin that takes it, in a lane of its own for each source and subject: plugins do
//! not wait for one another, and what fails for one is tried again, and kept as a dead letter, for that one.

use std::sync::{Arc, OnceLock, Weak};

use belfry_event::CloudEvent;
use belfry_journal::{Appended, NewEvent, Position};
use belfry_plugin_host::{Generation, Handler, Plugin, Plugins};
use serde_json::Value;
use tracing::{debug, error};

use crate::{app::App, private::Private, routing::Routes, work::Work};

/// Before the lanes of events. No conversation's id begins like this.
pub(crate) const LANE: &str = ":event/";

/// The name of the app that is not in a table of its own.
const DEFAULT_APP: &str = "default";

/// What all apps have in common where an event belongs to none of them.
pub(crate) struct Hub {
    plugins: Arc<Plugins>,
    routes: Routes,
    apps: OnceLock<Vec<Weak<App>>>,
}

/// An event for one plugin, ready to be stored.
pub(crate) struct Addressed {
    /// The app whose work it is, and through which the plugin sends.
    pub(crate) app: Arc<App>,
    pub(crate) lane: Arc<str>,
    pub(crate) event: NewEvent,
}

impl Hub {
    pub(crate) fn new(plugins: Arc<Plugins>, routes: Routes) -> Self {
        Self { plugins, routes, apps: OnceLock::new() }
    }

    /// Learns the apps, once.
    pub(crate) fn meet(&self, apps: &[Arc<App>]) {
        let _ = self.apps.set(apps.iter().map(Arc::downgrade).collect());
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The live plugins.
    pub(crate) fn plugins(&self) -> &Arc<Plugins> {
        &self.plugins
    }

    /// The plugins there are now.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        self.plugins.current()
    }

    /// Wakes with the number of each new generation.
    pub(crate) fn generations(&self) -> tokio::sync::watch::Receiver<u64> {
        self.plugins.changed()
    }

    /// Whether a plugin is loaded that handles events.
    pub(crate) fn handles_events(&self, plugin: &str) -> bool {
        self.generation().get(plugin).is_some_and(|plugin| plugin.handles(Handler::Event))
    }

    /// The plugins whose pattern takes an event; of those that an app asks, if it is an event of an app.
    fn takers(&self, event: &CloudEvent, app: Option<&App>) -> Vec<Arc<Plugin>> {
        let mut json: Option<Value> = None;
        let mut takes = |plugin: &Plugin| {
            let on = self.routes.get(plugin.name()).and_then(|route| route.on.as_ref());
            on.is_some_and(|on| {
                on.matches(
                    json.get_or_insert_with(|| serde_json::from_slice(&event.to_json()).unwrap_or_default()),
                )
            })
        };
        let generation = self.generation();
        let plugins = generation.plugins.iter().filter(|plugin| plugin.handles(Handler::Event));
        let plugins = plugins.filter(|plugin| app.is_none_or(|app| app.router.has_chosen(plugin.name())));
        plugins.filter(|plugin| takes(plugin)).cloned().collect()
    }

    /// An event of an app, for each of the app's plugins that takes it. `known_as` is the name of a repeat.
    pub(crate) fn address_of_app(
        &self,
        app: &Arc<App>,
        event: &CloudEvent,
        known_as: &str,
    ) -> Vec<Addressed> {
        let takers = self.takers(event, Some(app));
        takers.iter().map(|plugin| address(app.clone(), plugin.name(), event, known_as)).collect()
    }

    /// An event that belongs to no app, for each plugin that takes it.
    pub(crate) fn address(&self, event: &CloudEvent, known_as: &str) -> Vec<Addressed> {
        let takers = self.takers(event, None);
        let home = |plugin: &Arc<Plugin>| Some(address(self.home(plugin)?, plugin.name(), event, known_as));
        takers.iter().filter_map(home).collect()
    }

    /// An event for one plugin.
    pub(crate) fn address_to(&self, plugin: &str, event: &CloudEvent, known_as: &str) -> Option<Addressed> {
        let home = self.home(self.generation().get(plugin)?)?;
        Some(address(home, plugin, event, known_as))
    }

    /// The app through which a plugin sends what belongs to no app.
    fn home(&self, plugin: &Plugin) -> Option<Arc<App>> {
        let apps = self.apps.get()?;
        let wanted = plugin.spec().grants.chat.app.as_deref().unwrap_or(DEFAULT_APP);
        let mut upgraded = apps.iter().filter_map(Weak::upgrade);
        upgraded.find(|app| app.name == wanted).or_else(|| apps.first()?.upgrade())
    }
}

fn address(app: Arc<App>, plugin: &str, event: &CloudEvent, known_as: &str) -> Addressed {
    let subject = event.subject.as_deref().unwrap_or_default();
    let lane: Arc<str> = format!("{LANE}{plugin}{}#{subject}", event.source).into();
    let event = NewEvent {
        key: app.key(&lane),
        dedupe: vec![format!("{known_as}/{plugin}")],
        payload: event.to_json().into(),
        private: Private::of_event(&app.client_id, plugin).to_bytes(),
    };
    Addressed { app, lane, event }
}

impl Addressed {
    /// Stores it and has it handled. Whether it is stored now; while the disk takes nothing this waits.
    pub(crate) async fn enter(self) -> bool {
        let Self { app, lane, event } = self;
        match app.append(event).await {
            Ok(Appended::New(position)) => handle(&app, lane, position),
            Ok(Appended::Duplicate) => debug!(%lane, "a repeated event is dropped"),
            Err(problem) => {
                error!(%lane, %problem, "an event could not be stored");
                return false;
            }
        }
        true
    }
}

/// Has an event of the journal handled.
pub(crate) fn handle(app: &Arc<App>, lane: Arc<str>, position: Position) {
    app.handle_later(Work { app: app.clone(), position, conversation: lane, kept: None });
}
