//! What a component seems to need, as lines of its table in the config. Toolchains link what is never called, so these are
//! hints for a person, and never grants.

use belfry_plugin_host::{About, Handler};

/// One hint: a line of TOML, and what it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// The line.
    pub(crate) line: &'static str,
    /// Why it is there.
    pub(crate) because: &'static str,
}

/// What is linked, and the line that grants it.
const LINKED: [(&[&str], Need); 5] = [
    (
        &["belfry:bot/fetch", "wasi:http/outgoing-handler"],
        Need { line: r#"http = ["https://api.example.com"]"#, because: "it can send HTTP requests" },
    ),
    (
        &["belfry:bot/chat", "belfry:bot/cards", "belfry:bot/live-card"],
        Need {
            line: r#"chat = { users = ["*"], groups = ["cid…"] }"#,
            because: "it can write to people and groups",
        },
    ),
    (
        &["belfry:bot/live-card"],
        Need { line: r#"chat.card_template = "….schema""#, because: "it can stream into a card" },
    ),
    (
        &["wasi:keyvalue/"],
        Need { line: r#"kv = "1MiB""#, because: "it can keep key-values; this is the default" },
    ),
    (&["wasi:config/"], Need { line: r#"config = { greeting = "hello" }"#, because: "it can read settings" }),
];

const EVENTS: [Need; 2] = [
    Need { line: r#"on = { type = ["dingtalk.user_add_org"] }"#, because: "it handles events" },
    Need {
        line: r#"schedule = [{ name = "daily", cron = "0 9 * * 1-5" }]"#,
        because: "it handles events, ticks of the clock among them",
    },
];

const RESIDENT: Need = Need { line: r#"per = "resident""#, because: "it can live for many calls" };

/// What a component seems to need.
pub(crate) fn of(about: &About) -> Vec<Need> {
    let imports =
        |names: &[&str]| about.imports.iter().any(|import| names.iter().any(|name| is_named(import, name)));
    let linked = LINKED.iter().filter(|(names, _)| imports(names)).map(|(_, need)| need.clone());
    let mut needs: Vec<Need> = linked.collect();
    if about.handlers.contains(&Handler::Event) {
        needs.extend(EVENTS);
    }
    if about.exports.iter().any(|export| is_named(export, "belfry:bot/resident")) {
        needs.push(RESIDENT);
    }
    needs
}

/// Whether an import or export is of this interface, or, with a slash at the end, of this package.
pub(crate) fn is_named(item: &str, name: &str) -> bool {
    match item.strip_prefix(name) {
        Some(rest) => name.ends_with('/') || rest.is_empty() || rest.starts_with('@'),
        None => false,
    }
}

/// The hints as comments, the lines that begin a table's body.
pub(crate) fn comments(needs: &[Need]) -> String {
    let widest = needs.iter().map(|need| need.line.chars().count()).max().unwrap_or(0);
    let comment = |need: &Need| {
        let pad = widest - need.line.chars().count();
        format!("# {}{:pad$}   # {}\n", need.line, "", need.because)
    };
    needs.iter().map(comment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_told_from_one_whose_name_is_longer() {
        assert!(is_named("belfry:bot/chat@0.1.0", "belfry:bot/chat"));
        assert!(is_named("wasi:keyvalue/store@0.2.0-draft2", "wasi:keyvalue/"));
        assert!(!is_named("belfry:bot/chats@0.1.0", "belfry:bot/chat"));
        assert!(!is_named("wasi:http/types@0.2.6", "wasi:http/outgoing-handler"));
    }

    #[test]
    fn every_hint_is_a_line_that_the_config_takes() {
        let needs = LINKED.iter().map(|(_, need)| need).chain(&EVENTS).chain([&RESIDENT]);
        for need in needs {
            // As a person would have it: `chat` once, with all that is in it.
            let text = format!(
                "[channels_config.dingtalk]\nclient_id = \"a\"\nclient_secret = \"b\"\nallowed_users = [\"*\"]\n\
                 [plugins.todo]\n{}\n",
                need.line
            );
            let parsed = crate::config::parse(std::path::Path::new("belfry.toml"), &text, &|_| None);
            assert!(parsed.is_ok(), "{}: {}", need.line, parsed.unwrap_err());
        }
    }
}
