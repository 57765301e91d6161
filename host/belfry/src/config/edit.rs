//! Changes of the config file by commands. Everything that is not changed stays as it is written, comments too.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use toml_edit::{DocumentMut, Item, Table, value};

use super::{Secrets, parse_as};

/// What `belfry plugin add` writes into a plugin's table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pinned<'a> {
    /// Where the component came from, if not from this machine.
    pub(crate) source: Option<&'a str>,
    /// Its SHA-256.
    pub(crate) sha256: &'a str,
}

/// `text` with a new table for a plugin at its end. `comments`, whole lines, come first in it.
///
/// # Errors
/// When the file has its plugins in a form to which no table can be added.
pub(crate) fn add(
    path: &Path,
    text: &str,
    name: &str,
    comments: &str,
    pinned: &Pinned<'_>,
) -> Result<String> {
    let mut added = text.trim_end().to_owned();
    if !added.is_empty() {
        added.push_str("\n\n");
    }
    let source = pinned.source.map(|source| format!("source = {}\n", toml::Value::from(source)));
    added.push_str(&format!(
        "[plugins.{name}]\n{comments}{}sha256 = \"{}\"\n",
        source.unwrap_or_default(),
        pinned.sha256
    ));
    checked(path, added, name)
}

/// `text` with another SHA-256 and source in a plugin's table.
///
/// # Errors
/// When the plugin has no table of its own.
pub(crate) fn pin(path: &Path, text: &str, name: &str, pinned: &Pinned<'_>) -> Result<String> {
    let mut document = parse(path, text)?;
    let table = document.get_mut("plugins").and_then(|plugins| plugins.get_mut(name));
    let Some(table) = table.and_then(Item::as_table_like_mut) else {
        bail!("change [plugins.{name}] in {}: it has no such table", path.display());
    };
    match pinned.source {
        Some(source) => set(table, "source", source),
        None => drop(table.remove("source")),
    }
    set(table, "sha256", pinned.sha256);
    checked(path, document.to_string(), name)
}

/// A key's new value; what stands beside it stays.
fn set(table: &mut dyn toml_edit::TableLike, key: &str, text: &str) {
    let mut new = value(text);
    if let Some(old) = table.get(key).and_then(Item::as_value)
        && let Some(new) = new.as_value_mut()
    {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, new);
}

/// `text` without a plugin's table, or none if there is no such table. What stands above the table and apart from it stays.
///
/// # Errors
/// When the file is no TOML.
pub(crate) fn remove(path: &Path, text: &str, name: &str) -> Result<Option<String>> {
    let mut document = parse(path, text)?;
    let Some(plugins) = document.get_mut("plugins").and_then(Item::as_table_like_mut) else {
        return Ok(None);
    };
    let Some(removed) = plugins.remove(name) else { return Ok(None) };
    if let Item::Table(table) = removed {
        keep_apart(&mut document, &table);
    }
    checked(path, document.to_string(), name).map(Some)
}

/// Hands what stands above `removed`, up to the last empty line, to what comes after it.
fn keep_apart(document: &mut DocumentMut, removed: &Table) {
    let prefix = removed.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    let Some((kept, _)) = prefix.rsplit_once("\n\n") else { return };
    if kept.trim().is_empty() {
        return;
    }
    let kept = format!("{kept}\n\n");
    let after = removed.position().unwrap_or_default();
    match next(document.as_table_mut(), after) {
        Some(table) => {
            let own =
                table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
            table.decor_mut().set_prefix(format!("{kept}{}", own.trim_start_matches('\n')));
        }
        None => {
            let own = document.trailing().as_str().unwrap_or_default().to_owned();
            document.set_trailing(format!("{}\n{own}", kept.trim_end()));
        }
    }
}

/// The first table with a heading after the place `after`.
fn next(table: &mut Table, after: isize) -> Option<&mut Table> {
    fn place(table: &Table, after: isize) -> Option<isize> {
        let own = table.position().filter(|place| *place > after && !table.is_implicit());
        let below = table.iter().filter_map(|(_, item)| place(item.as_table()?, after));
        own.into_iter().chain(below).min()
    }
    let wanted = place(table, after)?;
    if table.position() == Some(wanted) {
        return Some(table);
    }
    let mut below = table.iter_mut().filter_map(|(_, item)| item.as_table_mut());
    below.find(|below| place(below, after) == Some(wanted)).and_then(|below| next(below, after))
}

fn parse(path: &Path, text: &str) -> Result<DocumentMut> {
    text.parse().with_context(|| format!("read {}", path.display()))
}

/// The new text, if it is a config still.
fn checked(path: &Path, text: String, name: &str) -> Result<String> {
    parse_as(path, &text, &|_| None, Secrets::LeftOut)
        .with_context(|| format!("change [plugins.{name}] in {}: change it by hand", path.display()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "belfry.toml";
    const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const BEFORE: &str = "\
# The bot of the sales team.
[channels_config.dingtalk]
client_id = \"a\"   # from open.dingtalk.com
client_secret = \"${env:SECRET}\"

[plugins.help]
order = 5 # last

# What follows is about the journal.

[journal]
keep_for = \"1d\"
";

    fn pinned() -> Pinned<'static> {
        Pinned { source: Some("oci://ghcr.io/example/todo@sha256:0"), sha256: SHA }
    }

    #[test]
    fn what_is_added_and_removed_leaves_the_rest() {
        let path = Path::new(PATH);
        let with = add(path, BEFORE, "todo", "# kv = \"1MiB\"\n", &pinned()).unwrap();
        assert_eq!(
            with,
            format!(
                "{BEFORE}\n[plugins.todo]\n# kv = \"1MiB\"\nsource = \"oci://ghcr.io/example/todo@sha256:0\"\n\
                 sha256 = \"{SHA}\"\n"
            )
        );
        assert_eq!(remove(path, &with, "todo").unwrap().as_deref(), Some(BEFORE));
        assert_eq!(remove(path, BEFORE, "todo").unwrap(), None);
    }

    #[test]
    fn what_stands_apart_above_a_table_stays() {
        let path = Path::new(PATH);
        let text =
            format!("{BEFORE}# kept: about the log below\n\n# goes: about todo\n[plugins.todo]\norder = 1\n");
        let text =
            format!("{text}limits.cpu = \"2s\"\n\n[plugins.todo.chat]\nusers = []\n\n# the log\n[log]\n");
        let without = remove(path, &text, "todo").unwrap().unwrap();
        assert_eq!(without, format!("{BEFORE}# kept: about the log below\n\n# the log\n[log]\n"));
        let last = format!("{BEFORE}# kept\n\n# goes\n[plugins.todo]\n");
        assert_eq!(remove(path, &last, "todo").unwrap().unwrap(), format!("{BEFORE}# kept\n"));
    }

    #[test]
    fn a_replaced_file_changes_two_keys() {
        let path = Path::new(PATH);
        let text = format!(
            "{BEFORE}[plugins.todo] # mine\nsha256 = \"{}\" # pinned\nkv = \"2MiB\"\n",
            "0".repeat(64)
        );
        let pinned_text = pin(path, &text, "todo", &pinned()).unwrap();
        assert!(pinned_text.starts_with(BEFORE));
        assert!(
            pinned_text.contains(&format!("sha256 = \"{SHA}\" # pinned\nkv = \"2MiB\"\n")),
            "{pinned_text}"
        );
        assert!(pinned_text.contains("source = \"oci://"), "{pinned_text}");
        let here = pin(path, &pinned_text, "todo", &Pinned { source: None, sha256: SHA }).unwrap();
        assert!(!here.contains("source"), "{here}");
    }

    #[test]
    fn a_file_that_takes_no_table_is_left_alone() {
        let path = Path::new(PATH);
        let inline = format!(
            "plugins = {{ help = {{}} }}\n{}",
            BEFORE.replace("[plugins.help]\norder = 5 # last\n", "")
        );
        let error = add(path, &inline, "todo", "", &pinned()).unwrap_err();
        assert!(error.to_string().contains("change it by hand"), "{error}");
        assert!(remove(path, &inline, "help").unwrap().unwrap().contains("plugins = {"));
    }
}
