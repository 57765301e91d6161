//! What can be done with plugins that are built.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArg;

/// What can be done with plugins.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Say whether a file can be used as a plugin, and if not, why
    ///
    /// Loads it as `belfry run` would, with one trial instance, and prints what it handles.
    Check {
        /// The component, a .wasm file
        file: PathBuf,
    },
    /// Show what a component exports, what is linked into it, and a table for the config
    ///
    /// What is linked is not needed: toolchains link what is never called. A grant is checked when a function is called.
    Inspect(InspectArgs),
    /// Make a package: one .wasm that carries its version, description and licence
    Pack(PackArgs),
    /// Put a plugin into an OCI registry
    Push(PushArgs),
    /// Add a plugin to the config: from a registry, a file or a project's folder
    ///
    /// Puts the component into the plugin folder and a [plugins.NAME] table with its SHA-256 into the config. Grants nothing:
    /// what the component seems to need is written into the table as comments.
    Add(AddArgs),
    /// List the plugins of the config and of the plugin folder
    List(ListArgs),
    /// Take a plugin out of the config and the plugin folder
    ///
    /// What it keeps as key-values stays in the journal.
    Remove(RemoveArgs),
}

/// Arguments of `belfry plugin inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The component, a .wasm file
    pub file: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// What a package says about itself.
#[derive(Debug, Clone, Default, Args)]
pub struct AboutArgs {
    /// Its version, such as 1.2.0 [default: what the component or the project says]
    #[arg(long = "as-version", value_name = "VERSION")]
    pub version: Option<String>,
    /// What it is for, in one line [default: what the component or the project says]
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Its licence, an SPDX expression such as Apache-2.0
    #[arg(long, value_name = "SPDX")]
    pub licence: Option<String>,
}

/// Arguments of `belfry plugin pack`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belfry plugin pack plugins/todo --as-version 1.2.0 --licence Apache-2.0
  belfry plugin pack todo.wasm -o dist/todo.wasm")]
pub struct PackArgs {
    /// A project's folder, which is built, or a .wasm file
    pub source: PathBuf,
    /// The file to write [default: NAME.wasm here]
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What it says about itself.
    #[command(flatten)]
    pub about: AboutArgs,
}

/// Who one is at a registry.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Registry")]
pub struct RegistryArgs {
    /// Sign in under this name, with the password in BELFRY_REGISTRY_PASSWORD [default: as Docker's config has it]
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// Take the password from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// Speak with the registry without TLS; one on this machine needs no leave
    #[arg(long)]
    pub insecure: bool,
}

/// Arguments of `belfry plugin push`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belfry plugin push plugins/todo oci://ghcr.io/example/todo:1.2.0 --as-version 1.2.0
  belfry plugin push todo.wasm oci://127.0.0.1:5000/todo:latest")]
pub struct PushArgs {
    /// A project's folder, which is built and packed, or a .wasm file, which is sent as it is
    pub source: PathBuf,
    /// Where it goes: oci://HOST/REPOSITORY:TAG
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// What it says about itself.
    #[command(flatten)]
    pub about: AboutArgs,
    /// Who one is.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Arguments of `belfry plugin add`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belfry plugin add oci://ghcr.io/example/todo:1.2.0
  belfry plugin add ./todo.wasm --name my-todo
  belfry plugin add plugins/todo --replace")]
pub struct AddArgs {
    /// oci://HOST/REPOSITORY:TAG (or @sha256:… for the tag), a .wasm file, or a project's folder, which is built
    pub source: String,
    /// The name in the config [default: the package's own]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Put it in the place of a plugin of this name, whose table stays but for the SHA-256 and the source
    #[arg(long)]
    pub replace: bool,
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Who one is.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Arguments of `belfry plugin list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `belfry plugin remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Its name in the config
    pub name: String,
    /// Leave the component where it is
    #[arg(long)]
    pub keep_file: bool,
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArg,
}
