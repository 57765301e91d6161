//! One app: may it register, does a connection open, and who may talk to it.

use std::time::SystemTime;

use belfry_dingtalk::{
    AppConfig, Registration, RegistrationErrorKind, Subscriptions, Transport, open_socket, register,
};

use super::PATIENCE;
use super::finding::{Check, Finding};
use super::network::{self, Network};
use crate::config::{App, Config};

/// The largest message the trial socket takes, in bytes. It is closed before any is read.
const MAX_MESSAGE: usize = 4 << 20;

/// `way` is the transport and what is known of the network, if there is a transport.
pub(super) async fn examine(app: &App, way: Option<(&Transport, &Network)>, config: &Config) -> Vec<Finding> {
    let mut findings = vec![credentials(app)];
    match way {
        Some((_, network)) if network.is_unreachable(&app.api_base) => findings.push(Finding::error(
            Check::Registration,
            format!("not tried, because {} cannot be reached", network::host_and_port(&app.api_base)),
            "mend what is said of it under network",
        )),
        Some((transport, _)) => findings.extend(connect(app, transport).await),
        None => {}
    }
    findings.push(allow_list(app));
    findings.extend(choice_of_plugins(app, config));
    findings
}

/// ClientIDs begin with `ding` (apps of an organisation) or `suite` (third-party apps). Field: people paste the name
/// of the channel, a robot code or a webhook's token instead.
fn credentials(app: &App) -> Finding {
    let id = &app.client_id;
    let at_dingtalk = app.api_base.host_str().is_some_and(|host| host.contains("dingtalk"));
    let what = format!("ClientID {id}, with a secret");
    let odd =
        at_dingtalk && (!(id.starts_with("ding") || id.starts_with("suite")) || id.starts_with("dingtalk"));
    if odd {
        return Finding::warning(
            Check::Credentials,
            format!("{what}: that does not look like a ClientID, which begins with \"ding\" or \"suite\""),
            "copy Client ID (AppKey) and Client Secret (AppSecret) from the app's page on open.dingtalk.com, under \
             Credentials",
        );
    }
    Finding::ok(Check::Credentials, what)
}

/// Registers for bot messages and opens the connection that was granted, then closes it. For that moment DingTalk may
/// push to it; what it pushes is not acknowledged and comes again to the bot that runs.
async fn connect(app: &App, transport: &Transport) -> Vec<Finding> {
    let subscriptions = Subscriptions::bot_messages();
    let registration = match register(&AppConfig::from(app), transport, &subscriptions, PATIENCE).await {
        Ok(registration) => registration,
        Err(error) => {
            let finding = match error.kind {
                RegistrationErrorKind::RateLimited | RegistrationErrorKind::Unavailable => Finding::warning,
                _ => Finding::error,
            };
            let mend = network::about_certificate(&error.message).unwrap_or_else(|| error.hint());
            return vec![finding(Check::Registration, format!("failed to {error}"), mend.to_owned())];
        }
    };
    let mut findings =
        vec![Finding::ok(Check::Registration, "DingTalk accepts the app and grants a connection")];
    findings.extend(registration.server_date.map(|server| network::clock(server, SystemTime::now())));
    findings.push(web_socket(&registration, transport).await);
    findings
}

async fn web_socket(registration: &Registration, transport: &Transport) -> Finding {
    let host = network::host_and_port(&registration.endpoint);
    let way = match transport.proxy_for(&registration.endpoint) {
        Some(proxy) => format!("through the proxy {proxy}"),
        None => "directly".to_owned(),
    };
    match open_socket(registration, transport, MAX_MESSAGE, PATIENCE).await {
        Ok(socket) => {
            socket.close().await;
            Finding::ok(Check::WebSocket, format!("{host} was opened {way} and closed again"))
        }
        Err(error) => {
            let mend = network::about_certificate(&error.message).unwrap_or_else(|| error.hint());
            Finding::error(Check::WebSocket, format!("failed to {error} ({way})"), mend)
        }
    }
}

fn allow_list(app: &App) -> Finding {
    let users = &app.allowed_users;
    if users.is_empty() {
        return Finding::warning(
            Check::AllowList,
            "allowed_users is empty: the bot answers nobody",
            "list the staff ids that may talk to it, or write allowed_users = [\"*\"] to let everybody in",
        );
    }
    if users.iter().any(|user| user == "*") {
        return Finding::ok(
            Check::AllowList,
            "everybody may talk to the bot, people outside the organisation too",
        );
    }
    match users.len() {
        1 => Finding::ok(Check::AllowList, "one staff id may talk to the bot"),
        count => Finding::ok(Check::AllowList, format!("{count} staff ids may talk to the bot")),
    }
}

fn choice_of_plugins(app: &App, config: &Config) -> Vec<Finding> {
    let Some(chosen) = &app.plugins else { return Vec::new() };
    if chosen.is_empty() {
        return vec![Finding::warning(
            Check::Plugin,
            "plugins = [] chooses no plugin: the bot answers nothing",
            "name plugins, or leave the key out for all of them",
        )];
    }
    let known = super::plugins::names(config);
    let missing = chosen.iter().filter(|name| !known.contains(name));
    missing
        .map(|name| {
            Finding::warning(
                Check::Plugin,
                format!("the plugin \"{name}\" chosen for this app does not exist"),
                match known.is_empty() {
                    true => format!("there is no plugin at all in {}", config.plugins_dir.display()),
                    false => format!("the plugins are {}", known.join(", ")),
                },
            )
        })
        .collect()
}
