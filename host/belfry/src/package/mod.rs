//! Plugins as packages: where they come from, what they say about themselves, and registries.
//!
//! - `source`: a file, a project's folder or an address in a registry, and the component that is there
//! - `sections`: name, version and licence in the component itself
//! - `reference`, `credentials`, `registry`: OCI registries
//! - `needs`: what a component seems to need, as lines of its table in the config

pub(crate) mod credentials;
pub(crate) mod needs;
pub(crate) mod reference;
pub(crate) mod registry;
pub(crate) mod sections;
pub(crate) mod source;

use sections::Metadata;

/// Bytes of a component, the plugin host's own limit.
pub(crate) const LARGEST: usize = 64 << 20;

/// A component that was proven, with what is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// What it is called.
    pub(crate) name: String,
    /// What it says about itself.
    pub(crate) metadata: Metadata,
    /// The component.
    pub(crate) wasm: Vec<u8>,
    /// What it imports.
    pub(crate) imports: Vec<String>,
    /// What it exports.
    pub(crate) exports: Vec<String>,
}
