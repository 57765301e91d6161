//! From a file to a proven plugin.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre};

use crate::exports::Exports;
use crate::health::Health;
use crate::outbound::Outbound;
use crate::plugin::{About, Build, Stop};
use crate::residence::Residence;
use crate::run::Terms;
use crate::state::State;
use crate::{
    CallContext, Description, Host, LoadError, Plugin, PluginSpec, describe, diagnose, reason, text,
};

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
        let (host, name, pin) = (Arc::clone(host), spec.name.clone(), spec.sha256.clone());
        move || {
            check_pin(&name, pin.as_deref(), &bytes)?;
            Compiled::new(&host, &bytes)
        }
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
        handlers: about.handlers.clone(),
        health: Health::default(),
        share: Arc::new(Semaphore::new(host.share)),
        residence: Residence::default(),
    });
    let started = Instant::now();
    let description = try_out(&build).await?.map(describe::check).transpose().map_err(LoadError::Rejected)?;
    about.instantiate = started.elapsed();
    if build.is_resident() {
        let first = build.settle(&CallContext::closed()).await;
        let first = first.map_err(|stop| not_starting("the resident instance", &stop))?;
        *build.residence.seat.lock().await = Some(first);
    }
    let described = description.iter().flat_map(|said| &said.commands).map(|command| command.name.clone());
    Ok(Arc::new(Plugin { described: described.collect(), build, about, description }))
}

/// Refuses bytes that are not those the config wants.
fn check_pin(name: &str, pin: Option<&str>, bytes: &[u8]) -> Result<(), LoadError> {
    let Some(expected) = pin else { return Ok(()) };
    let found = digest(bytes);
    if expected.eq_ignore_ascii_case(&found) {
        return Ok(());
    }
    let expected = text::line(expected, 100);
    Err(LoadError::Rejected(format!(
        "its SHA-256 is {found}, [plugins.{name}] expects {expected}; put the expected file back, or this digest into \
         `sha256` if you trust it"
    )))
}

/// Starts an instance and throws it away: what is wrong with it shows now, not with the first message. Returns what it says
/// about itself.
async fn try_out(build: &Arc<Build>) -> Result<Option<Description>, LoadError> {
    let nothing = CallContext::closed();
    let trial = build.call(&nothing, Terms::pure(), |build, call, context| async move {
        let mut live = build.start(call, context).await?;
        if let Err((function, error)) = build.exports.check(&mut live.store, &live.instance) {
            return Ok(Err(diagnose::wrong_types(function, &error)));
        }
        let Some(export) = &build.exports.describe else { return Ok(Ok(None)) };
        let said = match export.load(&mut live.store, &live.instance) {
            Ok(guest) => guest.call_describe(&mut live.store).await,
            Err(error) => Err(error),
        };
        Ok(said.map(Some).map_err(|error| {
            let stop = reason::stopped(&build, &live.store, &error);
            LoadError::Rejected(format!("its `describe` fails: {}", stop.error.reason()))
        }))
    });
    match trial.await {
        Ok(said) => said,
        Err(stop) => Err(not_starting("a trial instance", &stop)),
    }
}

fn not_starting(what: &str, stop: &Stop) -> LoadError {
    LoadError::Rejected(format!("{what} does not start: {}", stop.error.reason()))
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
        let code = component.image_range();
        let code = (code.end.addr() - code.start.addr()) as u64;
        let initial_memory = component
            .resources_required()
            .and_then(|needs| needs.max_initial_memory_size)
            .map(|pages| pages.saturating_mul(64 << 10));
        let component = host.linker.instantiate_pre(&component).map_err(|error| {
            LoadError::Rejected(format!(
                "its imports are not what this host offers: {}",
                diagnose::chain(&error)
            ))
        })?;
        let exports = Exports::find(&component, |interface| surface.interfaces.contains(&interface));
        let exports = exports.map_err(LoadError::Rejected)?;
        let about = About {
            sha256: digest(bytes),
            bytes: bytes.len() as u64,
            code,
            compile,
            instantiate: Default::default(),
            handlers: surface.handlers,
            imports: surface.imports,
            exports: surface.exports,
            used_exports: surface.used,
            initial_memory,
        };
        Ok(Compiled { component, exports, about })
    }
}
