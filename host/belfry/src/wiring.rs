//! From the config to a running host: engine, plugins, journal, pipeline.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use belfry_dingtalk::{AppConfig, StreamSettings, Transport, TransportConfig};
use belfry_journal::{DurableJournal, DurableSettings, Journal, Limits, MemoryJournal, OpenError};
use belfry_pipeline::{AppSettings, Left, Pipeline, PipelineConfig, PipelineLimits, PluginRoute};
use belfry_plugin_host::{Host, HostConfig, OutboundConfig, PluginSpec, Plugins, PluginsConfig, Proxy};
use tokio::{
    runtime::{self, Runtime},
    time::{Instant, sleep},
};
use tracing::{error, warn};
use url::Url;

use crate::{
    config::{Config, JournalEngine},
    control::{Desk, HostSide, Server},
    doctor,
};

/// A command that looks into the journal has it open for a moment; a host that starts just then waits for it.
const COMMAND: Duration = Duration::from_secs(2);

/// The two runtimes of a host. Sockets, timers and short guests share one thread: a message then costs no wake-up of
/// another. Guests that compute for longer move to the second runtime, which has a thread for each core.
pub struct Runtimes {
    io: Runtime,
    guests: Runtime,
}

/// A host that is up.
pub struct Running {
    /// The live plugins.
    pub plugins: Arc<Plugins>,
    /// The path of messages.
    pub pipeline: Pipeline,
    /// What is not done yet.
    pub journal: Arc<dyn Journal>,
    /// Where commands are answered, until the host is gone.
    _control: Option<Server>,
}

impl Runtimes {
    /// Starts both.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new() -> Result<Self> {
        let io =
            runtime::Builder::new_current_thread().enable_all().build().context("start the I/O runtime")?;
        let guests = runtime::Builder::new_multi_thread()
            .thread_name("guest")
            // A guest that has computed for long goes on here, and then may still send requests and cards.
            .enable_all()
            .build()
            .context("start the runtime of the guests")?;
        Ok(Self { io, guests })
    }

    /// Runs `work` to its end, then leaves whatever still runs behind.
    pub fn block_on<T>(self, work: impl AsyncFnOnce(runtime::Handle) -> T) -> T {
        let result = self.io.block_on(work(self.guests.handle().clone()));
        self.guests.shutdown_background();
        self.io.shutdown_background();
        result
    }
}

impl Running {
    /// Loads the plugins, then connects the apps. `guests` is where long computations of guests run.
    ///
    /// # Errors
    /// When a certificate, the proxy or the WebAssembly engine cannot be set up. A plugin that cannot be loaded and an
    /// app that cannot connect are told in the log, and the rest runs.
    pub async fn start(config: &Config, guests: runtime::Handle) -> Result<Self> {
        let transport = Transport::new(&TransportConfig::from(&config.dingtalk.transport))?;
        let host = Host::new(HostConfig {
            cache_dir: config.cache_dir.clone(),
            offload: Some(guests),
            outbound: outbound(&transport),
            ..HostConfig::default()
        })?;
        let specs = config.plugins.iter().map(PluginSpec::from).collect();
        let plugins = PluginsConfig { specs, folder: Some(config.plugins_dir.clone()) };
        let plugins = Arc::new(Plugins::start(host, plugins).await?);
        if plugins.current().plugins.is_empty() {
            warn!(folder = %config.plugins_dir.display(), "no plugin is loaded: put a .wasm into the folder");
        }
        let journal = open_journal(config).await?;
        if config.journal.engine == JournalEngine::Disk
            && let Some((problem, mend)) = doctor::exposed_journal(&config.journal.path)
        {
            warn!("{problem}; {mend}");
        }
        let pipeline =
            Pipeline::start(pipeline_config(config, transport), plugins.clone(), journal.clone()).await?;
        let host = || HostSide::new(pipeline.monitor(), plugins.clone());
        let control = control(config, || Desk::of_host(journal.clone(), config, host())).await;
        Ok(Self { plugins, pipeline, journal, _control: control })
    }

    /// Ends it politely within `grace`.
    pub async fn shutdown(self, grace: Duration) -> Left {
        self.pipeline.shutdown(grace).await
    }
}

/// The control socket. A host that cannot have one runs all the same.
async fn control(config: &Config, desk: impl FnOnce() -> Desk) -> Option<Server> {
    let socket = config.control_socket.as_ref()?;
    match Server::start(socket, Arc::new(desk())).await {
        Ok(server) => Some(server),
        Err(problem) => {
            warn!("commands such as `belfry status` do not reach this host: failed to {problem}");
            None
        }
    }
}

/// Plugins trust the same authorities and take the same proxy as everything else here.
fn outbound(transport: &Transport) -> OutboundConfig {
    let rule = transport.clone();
    let rule = move |url: &Url| {
        let (url, authorization) = rule.proxy_and_authorization(url)?;
        Some(Proxy { url, authorization })
    };
    OutboundConfig { tls: Some(transport.tls()), proxy: Some(Arc::new(rule)), ..OutboundConfig::default() }
}

/// The journal that the config asks for.
async fn open_journal(config: &Config) -> Result<Arc<dyn Journal>> {
    if config.journal.engine == JournalEngine::Memory {
        return Ok(Arc::new(MemoryJournal::new(with_bounds(Limits::default(), config))));
    }
    let until = Instant::now() + COMMAND;
    loop {
        match open_durable(config) {
            Err(OpenError::InUse { .. }) if Instant::now() < until => sleep(Duration::from_millis(50)).await,
            opened => return opened.context("open the journal"),
        }
    }
}

/// The journal on the disk, whose folder the config names.
pub(crate) fn open_durable(config: &Config) -> Result<Arc<dyn Journal>, OpenError> {
    let settings = DurableSettings::from(&config.journal);
    let limits = with_bounds(settings.limits, config);
    let journal = DurableJournal::open(&config.journal.path, DurableSettings { limits, ..settings })?;
    if let Some(damage) = journal.damage() {
        error!(
            reason = damage.reason,
            set_aside = %damage.set_aside.display(),
            saved = damage.saved,
            missing = damage.missing,
            "the journal was damaged: its files were set aside, and what could be read was taken over"
        );
    }
    Ok(Arc::new(journal))
}

fn with_bounds(limits: Limits, config: &Config) -> Limits {
    Limits {
        pending: config.pipeline.pending.unwrap_or(limits.pending),
        pending_bytes: config.pipeline.pending_bytes.unwrap_or(limits.pending_bytes),
        ..limits
    }
}

fn pipeline_config(config: &Config, transport: Transport) -> PipelineConfig {
    let apps = config.dingtalk.apps.iter().map(|(name, app)| AppSettings {
        name: name.clone(),
        dingtalk: AppConfig::from(app),
        allowed_users: app.allowed_users.clone(),
        plugins: app.plugins.clone(),
        denied_reply: app.denied_reply.clone(),
    });
    PipelineConfig {
        apps: apps.collect(),
        transport,
        stream: StreamSettings::default(),
        limits: PipelineLimits {
            handle_within: config.pipeline.handle_within,
            deliver_within: config.pipeline.deliver_within,
            replies_per_minute: config.pipeline.replies_per_minute,
            ..PipelineLimits::default()
        },
        quota: config.quota,
        failure_reply: config.pipeline.failure_reply.clone(),
        routes: config
            .plugins
            .iter()
            .map(|plugin| (plugin.name.clone(), PluginRoute::from(plugin)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_can_open_sockets_wherever_they_run() {
        let runtimes = Runtimes::new().unwrap();
        runtimes.block_on(async |guests| {
            let bound = guests.spawn(tokio::net::TcpListener::bind("127.0.0.1:0"));
            bound.await.unwrap().unwrap();
        });
    }
}
