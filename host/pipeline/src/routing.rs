//! Which plugins are asked about a message, in which order.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use belfry_dingtalk::Subscriptions;
use belfry_plugin_host::{Generation, Handler, Plugin, PluginInfo, Plugins, types};

/// An app's view of the live plugins.
pub(crate) struct Router {
    plugins: Arc<Plugins>,
    /// The names the app chose; none: all.
    chosen: Option<Vec<String>>,
    /// What was worked out for the generation seen last.
    table: ArcSwapOption<Table>,
}

/// The plugins of one generation that an app asks, in order.
pub(crate) struct Table {
    generation: Arc<Generation>,
    asked: Vec<Arc<Plugin>>,
    /// What a plugin is told when it asks for the plugins.
    pub(crate) infos: Arc<[PluginInfo]>,
}

impl Router {
    pub(crate) fn new(plugins: Arc<Plugins>, chosen: Option<Vec<String>>) -> Self {
        Self { plugins, chosen, table: ArcSwapOption::empty() }
    }

    /// The table of the generation that is current now.
    pub(crate) fn table(&self) -> Arc<Table> {
        let generation = self.plugins.current();
        if let Some(table) = self.table.load_full()
            && Arc::ptr_eq(&table.generation, &generation)
        {
            return table;
        }
        let table = Arc::new(Table::new(generation, self.chosen.as_deref()));
        self.table.store(Some(table.clone()));
        table
    }

    /// What has to be subscribed for the plugins there are: every push counts against a monthly quota.
    pub(crate) fn subscriptions(&self) -> Subscriptions {
        let wanted = self.table().asked.iter().any(|plugin| plugin.handles(Handler::Message));
        Subscriptions { bot_messages: wanted, ..Subscriptions::default() }
    }
}

impl Table {
    fn new(generation: Arc<Generation>, chosen: Option<&[String]>) -> Self {
        let is_chosen =
            |plugin: &Plugin| chosen.is_none_or(|names| names.iter().any(|name| name == plugin.name()));
        let asked: Vec<Arc<Plugin>> =
            generation.plugins.iter().filter(|plugin| is_chosen(plugin)).cloned().collect();
        let infos = asked.iter().map(|plugin| plugin.info()).collect();
        Self { generation, asked, infos }
    }

    /// The number of the generation.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.number
    }

    /// The plugins to ask about a message.
    pub(crate) fn asked_about<'a>(
        &'a self,
        message: &'a types::Message,
    ) -> impl Iterator<Item = &'a Arc<Plugin>> {
        asked_about(&self.asked, message)
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
