//! `belfry event replay`: a stored message once more through the plugins, and nothing is sent.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use belfry_pipeline::{asked_about, read_message, webhook_bodies};
use belfry_plugin_host::{
    Allocator, Body, CallContext, CallError, Fetch, FetchError, Host, HostConfig, Plugin, PluginSpec,
    Plugins, PluginsConfig, ServiceFuture, types,
};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::warn;

use super::event::{find, said};
use super::words::{block, line};
use crate::cli::ReplayArgs;
use crate::config::{self, Config};
use crate::control::Access;
use crate::control::protocol::{Id, Words};

/// What would have come of the message.
#[derive(Debug, Serialize)]
struct Replay {
    event: Id,
    outcome: Outcome,
    /// The plugin that replied or failed.
    plugin: Option<String>,
    /// Those that let it pass.
    passed: Vec<String>,
    /// What would be sent, in order, as a session webhook gets it.
    replies: Vec<Box<RawValue>>,
    /// Why it failed.
    reason: Option<String>,
}

/// Nothing leaves in a replay, HTTP requests that are granted included.
struct NoFetch;

impl Fetch for NoFetch {
    fn send(
        &self,
        _: http::Request<Body>,
        _: usize,
    ) -> ServiceFuture<'_, Result<http::Response<Body>, FetchError>> {
        Box::pin(std::future::ready(Err(FetchError::Refused("a replay sends no requests".to_owned()))))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Replied,
    Passed,
    FailedTemporarily,
    Failed,
}

pub(super) async fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let config = config::load_without_secrets(&args.config.config)?.config;
    // The journal is free again for a host before the plugins run.
    let event = find(&Access::open(&config).await?, args.id).await?;
    let message = read_message(event.payload.get().as_bytes())
        .map_err(|reason| anyhow::anyhow!("replay event {}: {reason}", event.head.id))?;
    let plugins = match &args.plugin {
        Some(file) => vec![one(&config, file).await?],
        None => all(&config, &message.app).await?,
    };
    let replay = replay(event.head.id, &plugins, Arc::new(message), args.plugin.is_some()).await?;
    if args.json {
        super::print_json(&replay)?
    } else {
        super::print(&to_text(&replay, &event.head.message))?
    };
    Ok(match replay.outcome {
        Outcome::Replied | Outcome::Passed => ExitCode::SUCCESS,
        Outcome::FailedTemporarily | Outcome::Failed => ExitCode::FAILURE,
    })
}

fn host(config: &Config) -> anyhow::Result<Arc<Host>> {
    let settings = HostConfig {
        cache_dir: config.cache_dir.clone(),
        // A few instances, one after the other.
        allocator: Allocator::OnDemand,
        ..HostConfig::default()
    };
    Host::new(settings).context("run plugins")
}

/// The component in `file`, with what a table says that names it.
async fn one(config: &Config, file: &Path) -> anyhow::Result<Arc<Plugin>> {
    let name = file.file_stem().map_or_else(|| "plugin".into(), |stem| stem.to_string_lossy());
    let same = |path: &Path| matches!((path.canonicalize(), file.canonicalize()), (Ok(a), Ok(b)) if a == b);
    let mut tables = config.plugins.iter();
    let table = tables.find(|table| same(&table.path)).or_else(|| {
        let mut tables = config.plugins.iter();
        tables.find(|table| table.name == name)
    });
    let spec = match table {
        Some(table) => PluginSpec { path: file.to_owned(), ..PluginSpec::from(table) },
        None => PluginSpec::new(name, file),
    };
    let loaded = host(config)?.load(spec).await;
    loaded.with_context(|| format!("use {} as a plugin", file.display()))
}

/// The plugins that `app` asks.
async fn all(config: &Config, app: &str) -> anyhow::Result<Vec<Arc<Plugin>>> {
    let specs = config.plugins.iter().map(PluginSpec::from).collect();
    let folder = Some(config.plugins_dir.clone());
    let loaded = Plugins::start(host(config)?, PluginsConfig { specs, folder }).await?;
    let chosen = match config.dingtalk.apps.get(app) {
        Some(app) => app.plugins.as_ref(),
        None => {
            warn!(app, "the config has no such app any more: all plugins are asked");
            None
        }
    };
    let is_chosen =
        |plugin: &Arc<Plugin>| chosen.is_none_or(|names| names.iter().any(|name| name == plugin.name()));
    Ok(loaded.current().plugins.iter().filter(|plugin| is_chosen(plugin)).cloned().collect())
}

/// Asks the plugins in turn, or the one there is whatever its commands.
async fn replay(
    event: Id,
    plugins: &[Arc<Plugin>],
    message: Arc<types::Message>,
    just_one: bool,
) -> anyhow::Result<Replay> {
    let context = CallContext {
        plugins: plugins.iter().map(|plugin| plugin.info()).collect(),
        fetch: Some(Arc::new(NoFetch)),
        ..CallContext::default()
    };
    let asked: Vec<&Arc<Plugin>> =
        if just_one { plugins.iter().collect() } else { asked_about(plugins, &message).collect() };
    let mut replay = Replay {
        event,
        outcome: Outcome::Passed,
        plugin: None,
        passed: Vec::new(),
        replies: Vec::new(),
        reason: None,
    };
    for plugin in asked {
        let name = plugin.name().to_owned();
        match plugin.on_message(message.clone(), &context).await.map(|done| done.value) {
            Ok(types::Outcome::Pass) => {
                replay.passed.push(name);
                continue;
            }
            Ok(types::Outcome::Reply(replies)) => {
                let private = message.conversation.kind == types::ConversationKind::Private;
                for body in webhook_bodies(replies, private, &name) {
                    replay.replies.push(RawValue::from_string(body).context("read a reply")?);
                }
                replay.outcome = Outcome::Replied;
            }
            Err(error) => {
                replay.outcome = match &error {
                    CallError::Temporary(_) => Outcome::FailedTemporarily,
                    _ => Outcome::Failed,
                };
                replay.reason = Some(error.reason().to_owned());
            }
        }
        replay.plugin = Some(name);
        break;
    }
    Ok(replay)
}

fn to_text(replay: &Replay, message: &Words) -> String {
    let mut text = format!("event {}, {} said: {}\n", replay.event, line(&message.sender), said(message));
    for name in &replay.passed {
        let _ = writeln!(text, "{name} lets it pass");
    }
    let plugin = replay.plugin.as_deref().unwrap_or_default();
    match replay.outcome {
        Outcome::Passed => text.push_str("no plugin takes it\n"),
        Outcome::Replied if replay.replies.is_empty() => {
            let _ = writeln!(text, "{plugin} takes it and replies nothing");
        }
        Outcome::Replied => {
            let _ = writeln!(text, "{plugin} would reply");
            replay.replies.iter().for_each(|reply| write_reply(&mut text, reply.get()));
        }
        Outcome::FailedTemporarily => text.push_str("it failed, and would be tried again\n"),
        Outcome::Failed => text.push_str("it failed\n"),
    }
    if let Some(reason) = &replay.reason {
        let _ = write!(text, "\n{}", block(reason));
    }
    text
}

/// A text as it reads, anything else as JSON.
fn write_reply(text: &mut String, body: &str) {
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let kind = value.get("msgtype").and_then(|kind| kind.as_str()).unwrap_or_default();
    let plain = match kind {
        "text" => value.pointer("/text/content"),
        "markdown" => value.pointer("/markdown/text"),
        _ => None,
    };
    let shown = match plain.and_then(|plain| plain.as_str()) {
        Some(plain) => plain.to_owned(),
        None => serde_json::to_string_pretty(&value).unwrap_or_default(),
    };
    let _ = write!(text, "\n[{}]\n{}", line(kind), block(&shown));
}
