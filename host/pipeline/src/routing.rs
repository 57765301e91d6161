//! Which plugins are asked about what, in which order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arc_swap::ArcSwapOption;
use belfry_dingtalk::Subscriptions;
use belfry_event::{Known, Pattern};
use belfry_plugin_host::{Generation, Handler, Plugin, PluginInfo, Plugins, types};
use serde_json::Value;

use crate::{
    PluginRoute,
    message::{self, AI_PLUGIN_CALL, CARD_ACTION, MESSAGE_RECEIVED},
};

/// What the config says about what comes to which plugin, by its name.
pub(crate) type Routes = Arc<BTreeMap<String, PluginRoute>>;

/// Before the types of all DingTalk's events.
const DINGTALK: &str = "dingtalk.";

/// An app's view of the live plugins.
pub(crate) struct Router {
    app: String,
    plugins: Arc<Plugins>,
    /// The names the app chose; none: all.
    chosen: Option<Vec<String>>,
    routes: Routes,
    /// What was worked out for the generation seen last.
    table: ArcSwapOption<Table>,
}

/// The plugins of one generation that an app asks, in order.
pub(crate) struct Table {
    generation: Arc<Generation>,
    entries: Vec<Entry>,
    /// Of each command, in lower case, the places of those that take it.
    commands: HashMap<String, Vec<usize>>,
    /// The places of those that are asked about every message.
    others: Vec<usize>,
    /// The places of those that look on.
    observers: Vec<usize>,
    /// What a plugin is told when it asks for the plugins.
    pub(crate) infos: Arc<[PluginInfo]>,
}

struct Entry {
    plugin: Arc<Plugin>,
    on: Option<Pattern>,
}

/// An event as JSON, made when a pattern first asks for it.
struct Lazy<F> {
    make: F,
    made: Option<Value>,
}

impl Router {
    pub(crate) fn new(app: &str, plugins: Arc<Plugins>, chosen: Option<Vec<String>>, routes: Routes) -> Self {
        Self { app: app.to_owned(), plugins, chosen, routes, table: ArcSwapOption::empty() }
    }

    /// The table of the generation that is current now.
    pub(crate) fn table(&self) -> Arc<Table> {
        let generation = self.plugins.current();
        if let Some(table) = self.table.load_full()
            && Arc::ptr_eq(&table.generation, &generation)
        {
            return table;
        }
        let table = Arc::new(Table::new(generation, self.chosen.as_deref(), &self.routes));
        self.table.store(Some(table.clone()));
        table
    }

    /// Whether the app chose the plugin of this name.
    pub(crate) fn has_chosen(&self, plugin: &str) -> bool {
        self.chosen.as_ref().is_none_or(|names| names.iter().any(|name| name == plugin))
    }

    /// What has to be subscribed for the plugins there are: every push counts against a monthly quota.
    pub(crate) fn subscriptions(&self) -> Subscriptions {
        let table = self.table();
        let source = message::source(&self.app);
        let own = [MESSAGE_RECEIVED, CARD_ACTION, AI_PLUGIN_CALL];
        let wants = |handler, kind| {
            table.entries.iter().filter(|entry| entry.plugin.handles(handler)).any(|entry| match &entry.on {
                Some(on) => on.may_match("type", kind) && on.may_match("source", Known::Text(&source)),
                // Without a pattern an event handler gets its ticks and nothing else.
                None => handler != Handler::Event,
            })
        };
        Subscriptions {
            bot_messages: wants(Handler::Message, Known::Text(MESSAGE_RECEIVED)),
            card_callbacks: wants(Handler::Action, Known::Text(CARD_ACTION)),
            graph: wants(Handler::Action, Known::Text(AI_PLUGIN_CALL)),
            events: wants(Handler::Event, Known::Starts { with: DINGTALK, except: &own }),
            ..Subscriptions::NONE
        }
    }
}

impl Table {
    fn new(
        generation: Arc<Generation>,
        chosen: Option<&[String]>,
        routes: &BTreeMap<String, PluginRoute>,
    ) -> Self {
        let is_chosen =
            |plugin: &Plugin| chosen.is_none_or(|names| names.iter().any(|name| name == plugin.name()));
        let mut table = Self {
            entries: Vec::new(),
            commands: HashMap::new(),
            others: Vec::new(),
            observers: Vec::new(),
            infos: Arc::from([]),
            generation: generation.clone(),
        };
        for plugin in generation.plugins.iter().filter(|plugin| is_chosen(plugin)) {
            let place = table.entries.len();
            let route = routes.get(plugin.name());
            let on = route.and_then(|route| route.on.clone());
            table.entries.push(Entry { plugin: plugin.clone(), on });
            if !plugin.handles(Handler::Message) {
                continue;
            }
            let commands = plugin.commands();
            if route.is_some_and(|route| route.observe) {
                table.observers.push(place);
            } else if commands.is_empty() {
                table.others.push(place);
            } else {
                for command in commands {
                    let takers = table.commands.entry(command.to_ascii_lowercase()).or_default();
                    if takers.last() != Some(&place) {
                        takers.push(place);
                    }
                }
            }
        }
        table.infos = table.entries.iter().map(|entry| entry.plugin.info()).collect();
        table
    }

    /// The number of the generation.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.number
    }

    /// The plugins to ask about a message, in order: first those whose command it is, then those without commands; of both
    /// those whose pattern takes it.
    pub(crate) fn asked_about(&self, message: &types::Message) -> Vec<Arc<Plugin>> {
        let command = command_of(&message.content).map(str::to_ascii_lowercase);
        let by_command = command.and_then(|command| self.commands.get(&command));
        self.taking(by_command.into_iter().flatten().chain(&self.others), message)
    }

    /// The plugins that look on.
    pub(crate) fn observers(&self, message: &types::Message) -> Vec<Arc<Plugin>> {
        self.taking(&self.observers, message)
    }

    fn taking<'a>(
        &'a self,
        places: impl IntoIterator<Item = &'a usize>,
        message: &types::Message,
    ) -> Vec<Arc<Plugin>> {
        let mut event = Lazy { make: || message::as_json(message), made: None };
        let entries = places.into_iter().filter_map(|place| self.entries.get(*place));
        entries.filter(|entry| event.is_taken_by(entry)).map(|entry| entry.plugin.clone()).collect()
    }

    /// The plugin to ask about a callback whose event this is: of those that handle such and whose pattern, if they have one,
    /// takes it, the one that sent the card, else the first.
    pub(crate) fn asked_to_act(
        &self,
        sender: Option<&str>,
        event: impl Fn() -> Value,
    ) -> Option<Arc<Plugin>> {
        let mut event = Lazy { make: event, made: None };
        let entries = || self.entries.iter().filter(|entry| entry.plugin.handles(Handler::Action));
        let sent = entries().filter(|entry| Some(entry.plugin.name()) == sender);
        sent.chain(entries()).find(|entry| event.is_taken_by(entry)).map(|entry| entry.plugin.clone())
    }
}

impl<F: Fn() -> Value> Lazy<F> {
    fn is_taken_by(&mut self, entry: &Entry) -> bool {
        let Self { make, made } = self;
        entry.on.as_ref().is_none_or(|on| on.matches(made.get_or_insert_with(&*make)))
    }
}

/// Of these plugins, in the order in which they are to be asked, those to ask about a message: first those whose command
/// it is, then those without commands.
pub fn asked_about<'a>(
    plugins: &'a [Arc<Plugin>],
    message: &'a types::Message,
) -> impl Iterator<Item = &'a Arc<Plugin>> {
    let command = command_of(&message.content);
    let takes_command = move |plugin: &&Arc<Plugin>| {
        command.is_some_and(|word| plugin.commands().iter().any(|c| c.eq_ignore_ascii_case(word)))
    };
    let by_command = plugins.iter().filter(takes_command);
    let everything = plugins.iter().filter(|plugin| plugin.commands().is_empty());
    by_command.chain(everything).filter(|plugin| plugin.handles(Handler::Message))
}

/// The first word of a text, if it is a command.
fn command_of(content: &types::Content) -> Option<&str> {
    let text = match content {
        types::Content::Text(text) | types::Content::Markdown(text) => text.as_str(),
        types::Content::RichText(parts) => parts.iter().find_map(|part| match part {
            types::RichTextPart::Text(text) if !text.trim().is_empty() => Some(text.as_str()),
            _ => None,
        })?,
        _ => return None,
    };
    text.split_whitespace().next().filter(|word| word.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_the_first_word() {
        let text = |text: &str| types::Content::Text(text.to_owned());
        assert_eq!(command_of(&text("/todo buy milk")), Some("/todo"));
        assert_eq!(command_of(&text("/todo\nmilk")), Some("/todo"));
        assert_eq!(command_of(&text("  /todo")), Some("/todo"));
        assert_eq!(command_of(&text("todo /x")), None);
        assert_eq!(command_of(&text("")), None);
        let rich = vec![types::RichTextPart::Text(" ".into()), types::RichTextPart::Text("/a b".into())];
        assert_eq!(command_of(&types::Content::RichText(rich)), Some("/a"));
        assert_eq!(command_of(&types::Content::Picture(types::Media { download_code: String::new() })), None);
    }
}
