//! `belfry plugin add`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::building::put_in_place;
use crate::cli::AddArgs;
use crate::commands::words::{line, size};
use crate::config::{self, Config, edit};
use crate::dev::Terminal;
use crate::package::registry::sha256;
use crate::package::source::{self, Source};
use crate::package::{Package, needs};

pub(super) async fn run(args: AddArgs) -> Result<ExitCode> {
    let path = &args.config.config;
    let config = config::load_without_secrets(path)?.config;
    let source = Source::parse(&args.source)?;
    let come = source::come(&source, &args.registry, &Terminal::open(false)).await?;
    let name = args.name.clone().unwrap_or_else(|| config_name(&come.name));
    if name != config_name(&name) {
        bail!("add the plugin {name:?}: a name has 1 to 64 letters, digits, - or _; give it one with --name");
    }
    let place = place(&config, &name, args.replace)?;
    let plugin = source::prove(&name, &args.source, come.wasm.clone()).await?;
    let mut package = source::package(name, come.metadata, &plugin, come.wasm);
    if matches!(source, Source::Folder(_)) {
        // So that `belfry plugin list` can tell the version.
        package.wasm = package.metadata.write(package.wasm);
    }
    let hash = sha256(&package.wasm);
    let pinned = edit::Pinned { source: come.origin.as_deref(), sha256: &hash };
    let comments = needs::comments(&needs::of(plugin.about()));
    // A link stays one.
    let target = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
    let before = std::fs::read_to_string(&target).with_context(|| format!("read {}", path.display()))?;
    let has_table = config.plugins.iter().any(|plugin| plugin.name == package.name);
    let after = match has_table {
        true => edit::pin(path, &before, &package.name, &pinned)?,
        false => edit::add(path, &before, &package.name, &comments, &pinned)?,
    };
    put_both(&target, &before, &after, &place, &package.wasm)?;
    crate::commands::print(&to_text(&package, &hash, &place, path, (!has_table).then_some(&comments)))
}

/// Where the component goes; one that is there already only makes room if it may.
fn place(config: &Config, name: &str, replace: bool) -> Result<PathBuf> {
    let table = config.plugins.iter().find(|plugin| plugin.name == name);
    let place =
        table.map_or_else(|| config.plugins_dir.join(format!("{name}.wasm")), |plugin| plugin.path.clone());
    if !replace && (table.is_some() || place.exists()) {
        let what = if table.is_some() { "the config" } else { "the plugin folder" };
        bail!(
            "add the plugin {name}: {what} has one of this name; --replace puts this one in its place and keeps the rest of \
             its table, --name NAME gives this one another name"
        );
    }
    Ok(place)
}

/// The table first: a host that starts in between finds a file missing, not one without its pin.
fn put_both(config: &Path, before: &str, after: &str, place: &Path, wasm: &[u8]) -> Result<()> {
    if let Some(folder) = place.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    }
    put_in_place(after.as_bytes(), config)?;
    put_in_place(wasm, place).inspect_err(|_| {
        // Nothing was added: the table goes too. What the second failure is about was said with the first.
        let _ = put_in_place(before.as_bytes(), config);
    })
}

fn to_text(package: &Package, hash: &str, place: &Path, config: &Path, comments: Option<&String>) -> String {
    let mut text = format!("added {}", package.name);
    if let Some(version) = &package.metadata.version {
        let _ = write!(text, " {}", line(version));
    }
    if let Some(description) = &package.metadata.description {
        let _ = write!(text, ": {}", line(description));
    }
    let _ = write!(
        text,
        "\n\n  file    {} ({})\n  sha256  {hash}\n  table   [plugins.{}] in {}\n",
        place.display(),
        size(package.wasm.len() as u64),
        package.name,
        config.display()
    );
    match comments {
        Some(comments) if !comments.is_empty() => {
            text.push_str(
                "\nNothing is granted. What it may want is in its table, as comments to be taken up:\n\n",
            );
            for comment in comments.lines() {
                let _ = writeln!(text, "  {comment}");
            }
        }
        Some(_) => text.push_str("\nNothing is granted, and it seems to want nothing.\n"),
        None => text.push_str("\nThe rest of its table is as it was.\n"),
    }
    text.push_str("\nA host that runs reads the table when it starts again.\n");
    text
}

/// A name that the config takes, made of any.
pub(super) fn config_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = name.trim().chars().map(|c| if fits(c) { c } else { '-' }).take(64).collect();
    if name.is_empty() { "plugin".to_owned() } else { name }
}
