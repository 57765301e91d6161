//! From a file to a proven plugin.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre};

use crate::bindings::exports::belfry::bot::message_handler;
use crate::health::Health;
use crate::outbound::Outbound;
use crate::plugin::{About, Build, Exports, Handler};
use crate::state::State;
use crate::{Host, LoadError, Plugin, PluginSpec, diagnose, text};

/// Reads a component file on a blocking thread.
pub(crate) async fn read(path: PathBuf, max: u64) -> Result<Vec<u8>, LoadError> {
    let read = tokio::task::spawn_blocking(move || read_blocking(&path, max));
    read.await.unwrap_or_else(|error| Err(LoadError::Read(error.to_string())))
}

/// Reads at most `max` bytes of a regular file.
pub(crate) fn read_blocking(path: &Path, max: u64) -> Result<Vec<u8>, LoadError> {
    let refuse = |error: std::io::Error| LoadError::Read(format!("read `{}`: {error}", path.display()));
    // Opening a named pipe would block for good.
    let metadata = std::fs::metadata(path).map_err(refuse)?;
    if !metadata.is_file() {
        return Err(LoadError::Read(format!("`{}` is not a file", path.display())));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(max)).unwrap_or_default());
    let file = std::fs::File::open(path).map_err(refuse)?;
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(refuse)?;
    Ok(bytes)
}

/// Hex SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Compiles, links and checks a component, then starts one instance of it.
pub(crate) async fn prove(
    host: &Arc<Host>,
    spec: PluginSpec,
    bytes: Vec<u8>,
) -> Result<Arc<Plugin>, LoadError> {
    let Ok(_turn) = host.compilers.acquire().await else {
        return Err(LoadError::Rejected("the host is stopping".into()));
    };
    let compile = tokio::task::spawn_blocking({
        let host = Arc::clone(host);
        move || Compiled::new(&host, &bytes)
    });
    let compiled = match compile.await {
        Ok(compiled) => compiled?,
        Err(error) => return Err(LoadError::Rejected(format!("the compiler gave up on it ({error})"))),
    };
    let Compiled { component, exports, mut about } = compiled;
    let spec = Arc::new(spec);
    let build = Arc::new(Build {
        host: Arc::clone(host),
        name: spec.name.as_str().into(),
        outbound: Arc::new(Outbound::new(Arc::clone(&host.exit), Arc::clone(&spec))),
        spec,
        component,
        exports,
        health: Health::default(),
        share: Arc::new(Semaphore::new(host.share)),
    });
    let started = Instant::now();
    build.try_out().await?;
    about.instantiate = started.elapsed();
    Ok(Arc::new(Plugin { build, about }))
}

/// A component that has everything but a trial behind it.
struct Compiled {
    component: InstancePre<State>,
    exports: Exports,
    about: About,
}

impl Compiled {
    fn new(host: &Host, bytes: &[u8]) -> Result<Self, LoadError> {
        if bytes.len() as u64 > host.max_component {
            let max = text::size(host.max_component);
            return Err(LoadError::Rejected(format!("it is larger than {max}, the most a plugin may have")));
        }
        diagnose::bytes(bytes)?;
        let started = Instant::now();
        // Not `new`, which takes WebAssembly text as well.
        let component = Component::from_binary(&host.engine, bytes).map_err(|error| {
            LoadError::Rejected(format!("it is not a valid component: {}", diagnose::chain(&error)))
        })?;
        let compile = started.elapsed();
        let surface = diagnose::surface(&host.engine, &component)?;
        let component = host.linker.instantiate_pre(&component).map_err(|error| {
            LoadError::Rejected(format!(
                "its imports are not what this host offers: {}",
                diagnose::chain(&error)
            ))
        })?;
        let message = match surface.handlers.contains(&Handler::Message) {
            true => Some(message_handler::GuestIndices::new(&component).map_err(|error| {
                LoadError::Rejected(format!(
                    "its `message-handler` cannot be used: {}",
                    diagnose::chain(&error)
                ))
            })?),
            false => None,
        };
        let about = About {
            sha256: digest(bytes),
            bytes: bytes.len() as u64,
            compile,
            instantiate: Default::default(),
            handlers: surface.handlers,
            imports: surface.imports,
            exports: surface.exports,
        };
        Ok(Compiled { component, exports: Exports { message }, about })
    }
}
