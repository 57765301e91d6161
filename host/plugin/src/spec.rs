//! What the config says about one plugin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Grants, Limits};

/// What the config says about one plugin: its `[plugins.NAME]` table, or the defaults for a file dropped into the
/// plugin folder.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    /// Its name in config, logs and errors.
    pub name: String,
    /// The component's file.
    pub path: PathBuf,
    /// What it is for, in one line; empty if nobody said.
    pub description: String,
    /// The commands routed to it, such as `/todo`.
    pub commands: Vec<String>,
    /// Its place among the plugins that are asked about a message: lower first, equal ones by name.
    pub order: i32,
    /// What the guest reads through `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// What one call may use.
    pub limits: Limits,
    /// What it may reach.
    pub grants: Grants,
    /// Hex SHA-256 that the file must have; none takes any.
    pub sha256: Option<String>,
    /// How long an instance lives.
    pub lifetime: Lifetime,
}

/// How long an instance of a plugin lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// For one call.
    #[default]
    Call,
    /// For so many calls, one after the other; then it hands over to a fresh one.
    Resident {
        /// The number of calls.
        recycle_after: u32,
    },
}

impl PluginSpec {
    /// A plugin with no commands, no settings and default limits, asked in the middle (order 0).
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        PluginSpec {
            name: name.into(),
            path: path.into(),
            description: String::new(),
            commands: Vec::new(),
            order: 0,
            config: BTreeMap::new(),
            limits: Limits::default(),
            grants: Grants::default(),
            sha256: None,
            lifetime: Lifetime::Call,
        }
    }

    /// The spec of a file in the plugin folder that no table names: called after the file, asked after all others.
    /// None if the file's name cannot be a plugin's name.
    pub fn drop_in(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".wasm")?;
        if name.is_empty() || name.starts_with('.') || name.chars().any(char::is_control) {
            return None;
        }
        Some(PluginSpec { order: i32::MAX, ..PluginSpec::new(name, path) })
    }
}
