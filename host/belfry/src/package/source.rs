//! Where a plugin comes from: a component file, a project's folder, or an address in a registry.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use belfry_plugin_host::{Allocator, Host, HostConfig, Plugin, PluginSpec};
use oci_client::annotations;

use super::reference::Address;
use super::registry::{Registry, too_large};
use super::sections::Metadata;
use super::{LARGEST, Package, credentials};
use crate::building::{self, Teller};
use crate::cli::RegistryArgs;

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A component file.
    File(PathBuf),
    /// The folder of a project, to be built.
    Folder(PathBuf),
    /// A registry.
    Registry(Address),
}

impl Source {
    /// What `text` means: an address begins with `oci://`, the rest are paths.
    ///
    /// # Errors
    /// When it is a malformed address, or nothing is there.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if Address::is_meant(text) {
            let address =
                text.parse().map_err(|problem| anyhow::anyhow!("read the address {text:?}: {problem}"))?;
            return Ok(Self::Registry(address));
        }
        ensure!(
            !text.contains("://"),
            "read the address {text:?}: plugins come from a file, a project's folder or oci://HOST/REPOSITORY:TAG"
        );
        let path = PathBuf::from(text);
        let found = std::fs::metadata(&path).with_context(|| {
            format!("find {text}: it is neither a file nor a folder, and an address in a registry begins with oci://")
        })?;
        Ok(if found.is_dir() { Self::Folder(path) } else { Self::File(path) })
    }
}

/// A component that has come, and what was said about it on the way.
pub(crate) struct Come {
    /// The component.
    pub(crate) wasm: Vec<u8>,
    /// What it is called, by its file, project or repository.
    pub(crate) name: String,
    /// What the project or the registry says about it.
    pub(crate) metadata: Metadata,
    /// Where it came from, as the config keeps it; none for what was built or copied here.
    pub(crate) origin: Option<String>,
}

/// Fetches, builds or reads the component.
///
/// # Errors
/// When it cannot be had.
pub(crate) async fn come(source: &Source, registry: &RegistryArgs, teller: &impl Teller) -> Result<Come> {
    match source {
        Source::File(path) => {
            let name = path.file_stem().map_or_else(|| "plugin".into(), |stem| stem.to_string_lossy());
            Ok(Come {
                wasm: read(path)?,
                name: name.into_owned(),
                metadata: Metadata::default(),
                origin: None,
            })
        }
        Source::Folder(dir) => {
            let built = building::build(dir, None, teller).await?;
            let metadata = Metadata {
                description: Some(built.description).filter(|text| !text.is_empty()),
                ..Metadata::default()
            };
            Ok(Come { wasm: read(&built.wasm)?, name: built.name, metadata, origin: None })
        }
        Source::Registry(address) => {
            let auth =
                credentials::find(address.registry(), registry.username.as_deref(), registry.password_stdin)?;
            let pulled = Registry::of(address, auth, registry.insecure)?.pull().await?;
            let said = |key: &str| text(&pulled.annotations, key);
            let name = said(annotations::ORG_OPENCONTAINERS_IMAGE_TITLE);
            Ok(Come {
                name: name.unwrap_or_else(|| address.short_name().to_owned()),
                metadata: Metadata {
                    version: said(annotations::ORG_OPENCONTAINERS_IMAGE_VERSION),
                    description: said(annotations::ORG_OPENCONTAINERS_IMAGE_DESCRIPTION),
                    licenses: said(annotations::ORG_OPENCONTAINERS_IMAGE_LICENSES),
                },
                origin: Some(address.pinned(&pulled.digest)),
                wasm: pulled.wasm,
            })
        }
    }
}

fn text(annotations: &BTreeMap<String, String>, key: &str) -> Option<String> {
    let text = annotations.get(key)?.trim();
    (!text.is_empty() && text.len() <= 4096).then(|| text.to_owned())
}

/// A component file, at most 64 MiB of it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let what = || format!("read {}", path.display());
    let mut wasm = Vec::new();
    let most = LARGEST as u64 + 1;
    let file = std::fs::File::open(path).with_context(what)?;
    file.take(most).read_to_end(&mut wasm).with_context(what)?;
    ensure!(wasm.len() <= LARGEST, "{}: {}", what(), too_large());
    Ok(wasm)
}

/// Loads the component as `belfry run` would, with one trial instance.
///
/// # Errors
/// Why it cannot be used as a plugin.
pub(crate) async fn prove(name: &str, shown: &str, wasm: Vec<u8>) -> Result<Arc<Plugin>> {
    // Nothing is cached: what is looked at is mostly looked at once, and the time to compile is of interest.
    let host = Host::new(HostConfig { allocator: Allocator::OnDemand, ..HostConfig::default() })
        .context("look at the plugin")?;
    let spec = PluginSpec::new(name, shown);
    host.load_bytes(spec, wasm).await.with_context(|| format!("use {shown} as a plugin"))
}

/// What is known of a component that was proven: what it says itself counts, then what was said on the way.
pub(crate) fn package(name: String, metadata: Metadata, plugin: &Plugin, wasm: Vec<u8>) -> Package {
    let own = Metadata::read(&wasm);
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let described = plugin.description();
    let about = plugin.about();
    Package {
        name,
        metadata: Metadata {
            version: described.and_then(|said| filled(&said.version)).or(own.version).or(metadata.version),
            description: described
                .and_then(|said| filled(&said.description))
                .or(own.description)
                .or(metadata.description),
            licenses: own.licenses.or(metadata.licenses),
        },
        imports: about.imports.clone(),
        exports: about.exports.clone(),
        wasm,
    }
}
