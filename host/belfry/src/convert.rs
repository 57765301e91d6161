//! From the config's types to those of the crates that are set up with them.

use belfry_dingtalk::{AppConfig, ProxyConfig, TransportConfig};
use belfry_journal::DurableSettings;
use belfry_pipeline::PluginRoute;
use belfry_plugin_host as plugin;

use crate::config::{App, Journal, Limits, Plugin, Proxy, Transport};

impl From<&App> for AppConfig {
    fn from(app: &App) -> Self {
        Self {
            client_id: app.client_id.clone(),
            client_secret: app.client_secret.clone(),
            api_base: app.api_base.clone(),
            oapi_base: app.oapi_base.clone(),
        }
    }
}

impl From<&Transport> for TransportConfig {
    fn from(transport: &Transport) -> Self {
        Self {
            ca_file: transport.ca_file.clone(),
            proxy: match &transport.proxy {
                Proxy::Environment => ProxyConfig::from_env(),
                Proxy::None => ProxyConfig::none(),
                Proxy::Url(url) => ProxyConfig::explicit(url.expose(), &transport.no_proxy.join(",")),
            },
        }
    }
}

impl From<&Journal> for DurableSettings {
    fn from(journal: &Journal) -> Self {
        Self {
            commit_window: journal.commit_window,
            keep_for: journal.keep_for,
            keep_bytes: journal.keep_size,
            ..Self::default()
        }
    }
}

impl From<&Plugin> for plugin::PluginSpec {
    fn from(plugin: &Plugin) -> Self {
        Self {
            name: plugin.name.clone(),
            path: plugin.path.clone(),
            description: plugin.description.clone(),
            commands: plugin.commands.clone(),
            order: plugin.order,
            config: plugin.config.clone(),
            limits: plugin::Limits::from(&plugin.limits),
            grants: plugin.grants.clone(),
            sha256: plugin.sha256.clone(),
            lifetime: plugin.lifetime,
        }
    }
}

impl From<&Plugin> for PluginRoute {
    fn from(plugin: &Plugin) -> Self {
        Self {
            on: plugin.on.clone(),
            observe: plugin.observe,
            schedules: plugin.schedules.clone(),
            failure_reply: plugin.failure_reply.clone(),
        }
    }
}

impl From<&Limits> for plugin::Limits {
    fn from(limits: &Limits) -> Self {
        let default = Self::default();
        Self {
            memory: limits.memory.unwrap_or(default.memory),
            cpu: limits.cpu.unwrap_or(default.cpu),
            deadline: limits.deadline.unwrap_or(default.deadline),
            host_bytes: limits.host_bytes.unwrap_or(default.host_bytes),
            output: limits.output.unwrap_or(default.output),
            log_bytes: limits.log_bytes.unwrap_or(default.log_bytes),
            transfer: limits.transfer.unwrap_or(default.transfer),
            requests: limits.requests.unwrap_or(default.requests),
            sends: limits.sends.unwrap_or(default.sends),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Pipeline, schema};

    #[test]
    fn defaults_are_those_of_the_crates() {
        let (here, memory) = (Pipeline::default(), belfry_journal::Limits::default());
        let disk = DurableSettings::default().limits;
        let documented = [(disk.pending, disk.pending_bytes), (memory.pending, memory.pending_bytes)];
        assert_eq!(
            documented,
            [(100_000, 512 << 20), (10_000, 32 << 20)],
            "change the words in config/file.rs too"
        );
        let (kept, durable) = (Journal::on_disk("x".into()), DurableSettings::default());
        assert_eq!(
            (kept.commit_window, kept.keep_for, kept.keep_size),
            (durable.commit_window, durable.keep_for, durable.keep_bytes)
        );
        for words in ["Default 20ms", "Default 7d", "Default 256MiB"] {
            assert!(schema().contains(words), "{words}");
        }
        let path = belfry_pipeline::PipelineLimits::default();
        assert_eq!((here.handle_within, here.deliver_within), (path.handle_within, path.deliver_within));
    }

    #[test]
    fn documented_limits_are_those_of_the_plugin_host() {
        let documented = plugin::Limits {
            memory: 64 << 20,
            cpu: Duration::from_secs(1),
            deadline: Duration::from_secs(30),
            host_bytes: 4 << 20,
            output: 1 << 20,
            log_bytes: 64 << 10,
            transfer: 8 << 20,
            requests: 32,
            sends: 32,
        };
        assert_eq!(
            plugin::Limits::from(&Limits::default()),
            documented,
            "change the words in config/file.rs too"
        );
        for words in [
            "Default 64MiB",
            "Default 1s",
            "Default 30s",
            "Default 4MiB",
            "Default 1MiB",
            "Default 64KiB",
            "Default 8MiB",
            "Default 32.",
            "Default 800ms",
        ] {
            assert!(schema().contains(words), "{words}");
        }
    }
}
