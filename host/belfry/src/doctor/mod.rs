//! `belfry channel doctor dingtalk`: says what is wrong, in words, and what to do about it.
//!
//! - [`finding`]: what is found, for machines
//! - `print`: the same for people
//! - `network`: proxy, name look-up, TCP and TLS, once for each host
//! - `app`: credentials, registration, clock, WebSocket and allow-list of each app
//! - `journal`: the journal's folder, its lock and format, and the room on its disk
//! - `plugins`: the plugin folder and every component in it

mod app;
pub mod finding;
mod journal;
mod network;
mod plugins;
mod print;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use belfry_dingtalk::{Transport, TransportConfig};

use crate::config::{self, ConfigError, Loaded};
pub(crate) use journal::exposed as exposed_journal;
pub(crate) use plugins::names as plugin_names;

use finding::{Check, Finding, Report};

/// For each step that waits for somebody else.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to examine.
#[derive(Debug, Clone)]
pub struct Examination {
    /// The config file.
    pub config: PathBuf,
    /// One app only.
    pub app: Option<String>,
}

/// Examines everything the DingTalk channel needs. Registers and connects for a moment, changes nothing.
pub async fn examine(what: &Examination) -> Report {
    let mut findings = Vec::new();
    if let Some((loaded, transport)) = config(what, &mut findings) {
        let apps = || {
            loaded
                .config
                .dingtalk
                .apps
                .iter()
                .filter(|(name, _)| what.app.as_ref().is_none_or(|app| app == *name))
        };
        let network = match &transport {
            Some(transport) => network::examine(apps().map(|(_, app)| app), transport).await,
            None => network::Network::default(),
        };
        findings.extend_from_slice(&network.findings);
        for (name, app) in apps() {
            let way = transport.as_ref().map(|transport| (transport, &network));
            let of_app = app::examine(app, way, &loaded.config).await;
            findings.extend(of_app.into_iter().map(|finding| finding.of_app(name)));
        }
        findings.extend(journal::examine(&loaded.config));
        findings.extend(plugins::examine(&loaded.config).await);
    }
    Report { findings }
}

/// What the config says, and the transport it describes if that can be made.
fn config(what: &Examination, findings: &mut Vec<Finding>) -> Option<(Loaded, Option<Transport>)> {
    let loaded = match config::load(&what.config) {
        Ok(loaded) => loaded,
        Err(error) => {
            findings.extend(of_config_error(&error));
            return None;
        }
    };
    let apps = &loaded.config.dingtalk.apps;
    let names: Vec<&str> = apps.keys().map(String::as_str).collect();
    if let Some(app) = what.app.as_deref().filter(|app| !apps.contains_key(*app)) {
        let near = config::nearest(app, names.iter().copied()).map(|near| format!("did you mean {near}? "));
        findings.push(Finding::error(
            Check::Config,
            format!("there is no app \"{app}\" in {}", what.config.display()),
            format!("{}the apps are {}", near.unwrap_or_default(), names.join(", ")),
        ));
        return None;
    }
    findings.push(Finding::ok(
        Check::Config,
        format!(
            "{} can be used; apps: {}; plugin tables: {}",
            what.config.display(),
            names.join(", "),
            loaded.config.plugins.len()
        ),
    ));
    // An empty allow-list is a finding of its app.
    for warning in loaded.warnings.iter().filter(|warning| !warning.key.ends_with("allowed_users")) {
        findings.push(Finding::warning(
            Check::Config,
            format!("{}: {}", warning.key, warning.what),
            &warning.mend,
        ));
    }
    let transport = match Transport::new(&TransportConfig::from(&loaded.config.dingtalk.transport)) {
        Ok(transport) => {
            findings.push(Finding::ok(
                Check::Certificates,
                match &loaded.config.dingtalk.transport.ca_file {
                    Some(file) => format!("the system's roots are trusted, and {}", file.display()),
                    None => "the system's roots are trusted".to_owned(),
                },
            ));
            Some(transport)
        }
        Err(error) => {
            let check = match &error {
                belfry_dingtalk::TransportError::Proxy { .. } => Check::Proxy,
                _ => Check::Certificates,
            };
            findings.push(Finding::error(
                check,
                format!("failed to {error}"),
                "nothing that needs the network was checked; mend this first",
            ));
            None
        }
    };
    Some((loaded, transport))
}

fn of_config_error(error: &ConfigError) -> impl Iterator<Item = Finding> + '_ {
    error.problems().iter().map(|problem| {
        let place = problem.at.map_or_else(String::new, |at| format!(":{}:{}", at.line, at.column));
        let key = if problem.key.is_empty() { String::new() } else { format!(": {}", problem.key) };
        let what = format!("{}{place}{key}: {}", error.path().display(), problem.what);
        Finding::error(Check::Config, what, &problem.mend)
    })
}
