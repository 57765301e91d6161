//! What authors of plugins ask for: new projects, builds, the dev loop.

use std::path::PathBuf;
use std::time::Duration;

use belfry_toolchain::Language;
use clap::Args;

/// Arguments of `belfry new`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belfry new todo --lang rust
  belfry new faq --lang js --dir plugins/faq

Languages: rust, js, ts, python, go, c, zig")]
pub struct NewArgs {
    /// The plugin's name: small letters, digits and `-`
    pub name: String,
    /// The language it is written in
    #[arg(short, long, value_name = "LANGUAGE")]
    pub lang: Option<Language>,
    /// The folder to make [default: the name]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `belfry build`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belfry build
  belfry build plugins/todo --out plugins/todo.wasm")]
pub struct BuildArgs {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Put the component here too
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `belfry dev`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belfry dev todo
  belfry dev todo faq --config belfry.toml
  belfry dev todo --say '/todo buy milk' --say /todo")]
pub struct DevArgs {
    /// The folders of the plugins, in any language
    #[arg(value_name = "DIR", default_value = ".")]
    pub dirs: Vec<PathBuf>,
    /// Take the [plugins.NAME] tables from this config: settings, grants, commands, schedules
    ///
    /// References such as ${env:KEY} are expanded in these tables; the rest of the file is not used. Without it a plugin
    /// has no grants and no settings.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say this, print the answers and exit; may be given several times
    ///
    /// The exit code is 0 if every text was answered, 1 if one was not within --timeout.
    #[arg(long, value_name = "TEXT")]
    pub say: Vec<String>,
    /// How long to wait for each answer to --say, such as 500ms, 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::time)]
    pub timeout: Duration,
}
