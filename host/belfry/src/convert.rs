//! From the config's types to those of the crates that are set up with them.

use belfry_dingtalk::{AppConfig, ProxyConfig, TransportConfig};
use belfry_plugin_host as plugin;

use crate::config::{App, Limits, Plugin, Proxy, Transport};

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
        }
    }
}
