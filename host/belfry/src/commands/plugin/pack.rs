//! `belfry plugin pack` and `belfry plugin push`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::add::config_name;
use crate::building::put_in_place;
use crate::cli::{AboutArgs, PackArgs, PushArgs, RegistryArgs};
use crate::commands::words::{line, size};
use crate::dev::Terminal;
use crate::package::reference::Address;
use crate::package::registry::{Registry, sha256};
use crate::package::source::{self, Source};
use crate::package::{Package, credentials};

pub(super) async fn pack(args: PackArgs) -> Result<ExitCode> {
    let package = make(&args.source, &args.about, true).await?;
    let out = args.out.unwrap_or_else(|| PathBuf::from(format!("{}.wasm", config_name(&package.name))));
    put_in_place(&package.wasm, &out)?;
    crate::commands::print(&format!(
        "packed {}\n\n  file    {} ({})\n  sha256  {}\n",
        titled(&package),
        out.display(),
        size(package.wasm.len() as u64),
        sha256(&package.wasm)
    ))
}

pub(super) async fn push(args: PushArgs) -> Result<ExitCode> {
    let address: Address = args
        .address
        .parse()
        .map_err(|problem| anyhow::anyhow!("read the address {:?}: {problem}", args.address))?;
    let is_folder = args.source.is_dir();
    let package = make(&args.source, &args.about, is_folder).await?;
    let RegistryArgs { username, password_stdin, insecure } = &args.registry;
    let auth = credentials::find(address.registry(), username.as_deref(), *password_stdin)?;
    let digest = Registry::of(&address, auth, *insecure)?.push(&package).await?;
    crate::commands::print(&format!(
        "pushed {}\n\n  address  {address}\n  pinned   {}\n  sha256   {}\n\nnext: belfry plugin add {address}\n",
        titled(&package),
        address.pinned(&digest),
        sha256(&package.wasm)
    ))
}

/// The package, proven to be a plugin. `within`: what it says about itself is written into the component.
async fn make(path: &Path, about: &AboutArgs, within: bool) -> Result<Package> {
    let shown = path.display().to_string();
    let found = std::fs::metadata(path).with_context(|| format!("find {shown}"))?;
    let source = if found.is_dir() { Source::Folder(path.to_owned()) } else { Source::File(path.to_owned()) };
    let come = source::come(&source, &RegistryArgs::default(), &Terminal::open(false)).await?;
    let plugin = source::prove(&come.name, &shown, come.wasm.clone()).await?;
    let mut package = source::package(come.name, come.metadata, &plugin, come.wasm);
    let metadata = &mut package.metadata;
    metadata.version = about.version.clone().or(metadata.version.take());
    metadata.description = about.description.clone().or(metadata.description.take());
    metadata.licenses = about.licence.clone().or(metadata.licenses.take());
    if within {
        package.wasm = package.metadata.write(package.wasm);
    }
    Ok(package)
}

fn titled(package: &Package) -> String {
    let version = package.metadata.version.as_deref();
    version.map_or_else(|| line(&package.name), |version| line(&format!("{} {version}", package.name)))
}
