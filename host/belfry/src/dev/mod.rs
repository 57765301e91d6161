//! `belfry dev`: plugins, a simulated DingTalk and a chat, in one process.
//!
//! - `workshop`: builds a plugin, and again on every save.
//! - `chat`: what a person types, and what the bot answers.
//! - `terminal`: lines in and out, the log above the prompt.

mod chat;
mod terminal;
mod workshop;

use std::{collections::BTreeMap, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use belfry_dingtalk::SecretString;
use belfry_plugin_host::{Handler, PluginEvent};
use belfry_simulator::{Simulator, SimulatorConfig};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::{runtime::Handle, sync::broadcast};
use url::Url;

use crate::{
    cli::{DevArgs, Global},
    config::{
        self, App, Config, DEFAULT_APP, DingTalk, Journal, Loaded, Log, Pipeline, Plugin, Quota, Transport,
        default_cache_dir,
    },
    logging,
    signals::StopSignals,
    wiring::{Running, Runtimes},
};
use chat::Chat;
pub(crate) use terminal::Terminal;
use workshop::Workshop;

/// Builds the plugins, then chats with them.
///
/// # Errors
/// When the config cannot be used, a plugin cannot be built the first time, or the host cannot be set up.
pub fn run(args: &DevArgs, global: Global) -> Result<ExitCode> {
    let terminal = Terminal::open(args.say.is_empty());
    logging::start_to(global.log(Log::default()), terminal.writer())?;
    let result = Runtimes::new()?.block_on(async |guests| develop(args, terminal.clone(), guests).await);
    terminal.close();
    result
}

async fn develop(args: &DevArgs, terminal: Terminal, guests: Handle) -> Result<ExitCode> {
    let mut stop = StopSignals::new()?;
    let serving =
        tempfile::Builder::new().prefix("belfry-dev-").tempdir().context("create a folder for builds")?;
    let tables = args.config.as_deref().map(config::load_for_dev).transpose()?;
    let mut workshops = Vec::new();
    for dir in &args.dirs {
        workshops.push(tokio::select! {
            workshop = Workshop::open(dir, serving.path(), terminal.clone()) => workshop?,
            () = stop.wait() => return Ok(ExitCode::FAILURE),
        });
    }
    let plugins = workshops.iter().map(|workshop| with_table(workshop, tables.as_ref(), &terminal));
    let (simulator, running) = start(plugins.collect(), &serving, guests).await?;
    let chat = Chat::new(simulator.clone(), &running, terminal.clone());
    let code = if args.say.is_empty() {
        let news = running.plugins.events();
        tokio::select! {
            // The chat ends with the person's last line, the others only with the chat.
            code = chat.talk() => code?,
            _ = join_all(workshops.iter_mut().map(Workshop::rebuild_on_save)) => ExitCode::FAILURE,
            () = tell_news(news, terminal.clone()) => ExitCode::FAILURE,
            () = stop.wait() => ExitCode::SUCCESS,
        }
    } else {
        tokio::select! {
            code = chat.say_all(&args.say, args.timeout) => code?,
            () = stop.wait() => ExitCode::FAILURE,
        }
    };
    terminal.close();
    running.shutdown(Duration::from_secs(2)).await;
    simulator.shutdown().await;
    Ok(code)
}

/// The plugin with its table, if the config has one.
fn with_table(workshop: &Workshop, tables: Option<&Loaded>, terminal: &Terminal) -> Plugin {
    let Some(loaded) = tables else { return workshop.plugin(None) };
    let table = loaded.config.plugins.iter().find(|plugin| plugin.name == workshop.name());
    if table.is_none() {
        let (name, path) = (workshop.name(), loaded.path.display());
        terminal.note(&format!("{path} has no [plugins.{name}]: it has no settings and no grants"));
    }
    workshop.plugin(table)
}

/// A simulated DingTalk, and a host with the plugins that is connected to it.
async fn start(plugins: Vec<Plugin>, serving: &TempDir, guests: Handle) -> Result<(Simulator, Running)> {
    let simulator = Simulator::start(SimulatorConfig::default()).await?;
    let config = config(plugins, serving.path(), simulator.base_url())?;
    let running = Running::start(&config, guests).await?;
    if let Some(problem) = running.plugins.problems().first() {
        anyhow::bail!("load {}: {}", problem.name, problem.reason);
    }
    // Plugins that only the clock calls subscribe to nothing, and a host that subscribes to nothing does not connect.
    let hears = |plugin: &Arc<belfry_plugin_host::Plugin>| {
        plugin.handles(Handler::Message) || plugin.handles(Handler::Action)
    };
    let subscribes = config.plugins.iter().any(|plugin| plugin.on.is_some());
    if !subscribes && !running.plugins.current().plugins.iter().any(hears) {
        return Ok((simulator, running));
    }
    let connected = simulator.wait_for_connections(None, 1, Duration::from_secs(10)).await;
    connected.context("connect the bot to the simulated DingTalk")?;
    Ok((simulator, running))
}

fn config(plugins: Vec<Plugin>, folder: &Path, simulator: &str) -> Result<Config> {
    let base = Url::parse(simulator).context("use the simulator's address")?;
    let app = App {
        client_id: "dingsimulator".to_owned(),
        client_secret: SecretString::from("simulated"),
        allowed_users: vec!["*".to_owned()],
        api_base: base.clone(),
        oapi_base: base,
        plugins: None,
        denied_reply: None,
    };
    Ok(Config {
        dingtalk: DingTalk {
            apps: BTreeMap::from([(DEFAULT_APP.to_owned(), app)]),
            transport: Transport { proxy: crate::config::Proxy::None, ..Transport::default() },
        },
        plugins,
        // Nothing is dropped in here: the files of the workshops have their tables.
        plugins_dir: folder.join("plugins"),
        cache_dir: default_cache_dir(),
        control_socket: None,
        journal: Journal::in_memory(),
        // A person who tries a plugin is not to wait for DingTalk's limits.
        pipeline: Pipeline { replies_per_minute: None, ..Pipeline::default() },
        quota: Quota::default(),
        log: Log::default(),
    })
}

/// Says when a new build serves, or why it does not.
async fn tell_news(mut news: broadcast::Receiver<PluginEvent>, terminal: Terminal) {
    loop {
        match news.recv().await {
            Ok(PluginEvent::Loaded { name, generation, .. }) => {
                terminal.note(&format!("{name} is live, generation {generation}"));
            }
            Ok(PluginEvent::Rejected { name, reason, .. }) => {
                terminal.note(&format!("{name} was refused, the old build keeps answering: {reason}"));
            }
            Ok(PluginEvent::RolledBack { name, reason, .. }) => {
                terminal.note(&format!("{name} is back on the build before: {reason}"));
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // The plugins end with the chat.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
