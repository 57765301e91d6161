//! The DingTalk channel: its apps, and the way to DingTalk.

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::Url;

use super::Resolver;
use crate::config::document::KeyPath;
use crate::config::file::{AppTable, DingTalkTable};
use crate::config::{App, DEFAULT_APP, DingTalk, MINIMAL, Proxy, ProxyUrl, Transport};

const API_BASE: &str = "https://api.dingtalk.com";
const OAPI_BASE: &str = "https://oapi.dingtalk.com";
const CHANNEL: [&str; 2] = ["channels_config", "dingtalk"];

impl Resolver<'_> {
    pub(super) fn dingtalk(&mut self, table: Option<DingTalkTable>) -> DingTalk {
        let at = KeyPath::of(&CHANNEL);
        let table = table.unwrap_or_default();
        let bases = (
            self.base(&at.then("api_base"), table.api_base.as_deref()),
            self.base(&at.then("oapi_base"), table.oapi_base.as_deref()),
        );
        let transport = Transport {
            ca_file: table.ca_file.as_deref().and_then(|file| self.path(&at.then("ca_file"), file)),
            proxy: self.proxy(&at.then("proxy"), table.proxy.as_deref()),
            no_proxy: table.no_proxy.unwrap_or_default(),
        };
        if !transport.no_proxy.is_empty() && !matches!(transport.proxy, Proxy::Url(_)) {
            self.problem(
                &at.then("no_proxy"),
                "has no effect without a URL in `proxy`",
                "set proxy = \"http://…\", or set the environment variable NO_PROXY instead",
            );
        }

        let mut tables: Vec<(String, KeyPath, AppTable)> = Vec::new();
        let plain = AppTable {
            client_id: table.client_id,
            client_secret: table.client_secret,
            allowed_users: table.allowed_users,
            api_base: None,
            oapi_base: None,
            plugins: table.plugins,
            denied_reply: table.denied_reply,
        };
        // With no app named, every key of an app in the plain table asks for a complete one there.
        let has_plain = plain.client_id.is_some()
            || plain.client_secret.is_some()
            || plain.allowed_users.is_some()
            || plain.plugins.is_some()
            || plain.denied_reply.is_some();
        if has_plain {
            tables.push((DEFAULT_APP.to_owned(), at.clone(), plain));
        } else if table.apps.is_empty() {
            self.problem(
                &at,
                "no DingTalk app is configured",
                format!("the smallest config is\n\n{MINIMAL}"),
            );
        }
        for (name, app) in table.apps {
            let path = at.then("apps").then(name.as_str());
            self.name(&path, &name);
            if name == DEFAULT_APP && has_plain {
                self.problem(
                    &path,
                    "\"default\" is the app of the plain table",
                    "give this one another name",
                );
                continue;
            }
            tables.push((name, path, app));
        }

        let mut apps = BTreeMap::new();
        let mut by_client_id: BTreeMap<String, String> = BTreeMap::new();
        for (name, path, table) in tables {
            let Some(app) = self.app(&path, table, &bases) else { continue };
            if let Some(other) = by_client_id.insert(app.client_id.clone(), name.clone()) {
                self.problem(
                    &path.then("client_id"),
                    format!("the apps \"{other}\" and \"{name}\" have the same ClientID"),
                    "DingTalk would spread the messages over both: keep one of them",
                );
            }
            apps.insert(name, app);
        }
        DingTalk { apps, transport }
    }

    fn app(&mut self, at: &KeyPath, table: AppTable, bases: &(Option<Url>, Option<Url>)) -> Option<App> {
        let client_id = self.credential(&at.then("client_id"), table.client_id.as_deref());
        let client_secret = self.credential(&at.then("client_secret"), table.client_secret.as_deref());
        if let Some(id) = &client_id
            && !id.bytes().all(|byte| byte.is_ascii_graphic())
        {
            self.problem(
                &at.then("client_id"),
                "a ClientID has no spaces and no characters outside ASCII",
                "copy it again from the app's page on open.dingtalk.com",
            );
        }
        let allowed_users = table.allowed_users.unwrap_or_default();
        for (index, user) in allowed_users.iter().enumerate() {
            let path = at.then("allowed_users").then(index);
            if user.trim().is_empty() || user.trim() != user {
                self.problem(&path, "a staff id is not empty and has no space around it", "");
            }
            self.warn_unexpanded(&path, user);
        }
        if allowed_users.is_empty() {
            self.warnings.push(self.document.problem(
                &at.then("allowed_users"),
                "is empty: nobody may talk to this app",
                "list staff ids, or write [\"*\"] to let everybody in",
            ));
        }
        let api_base = self.base(&at.then("api_base"), table.api_base.as_deref()).or_else(|| bases.0.clone());
        let oapi_base =
            self.base(&at.then("oapi_base"), table.oapi_base.as_deref()).or_else(|| bases.1.clone());
        Some(App {
            client_id: client_id?,
            client_secret: SecretString::from(client_secret?),
            allowed_users,
            api_base: api_base.or_else(|| Url::parse(API_BASE).ok())?,
            oapi_base: oapi_base.or_else(|| Url::parse(OAPI_BASE).ok())?,
            plugins: table.plugins,
            denied_reply: table.denied_reply.filter(|text| !text.trim().is_empty()),
        })
    }

    fn credential(&mut self, path: &KeyPath, text: Option<&str>) -> Option<String> {
        const WHERE: &str = "it is on the app's page on open.dingtalk.com, under Credentials";
        let Some(text) = text else {
            self.problem(path, "is missing", WHERE);
            return None;
        };
        let value = self.expanded(path, text)?;
        let trimmed = value.trim();
        if trimmed.is_empty() {
            self.problem(path, "is empty", WHERE);
            return None;
        }
        Some(trimmed.to_owned())
    }

    fn base(&mut self, path: &KeyPath, text: Option<&str>) -> Option<Url> {
        const EXPECTED: &str = "expected a URL of scheme and host, such as \"https://api.dingtalk.io\"";
        let value = self.expanded(path, text?)?;
        let wrong = match Url::parse(value.trim()) {
            Err(cause) => format!("this is not a URL ({cause})"),
            Ok(url) if !matches!(url.scheme(), "https" | "http") || !url.has_host() => {
                "only https:// and http:// URLs can be used".to_owned()
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "a user name or password has no place here".to_owned()
            }
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                "a query or fragment has no place here".to_owned()
            }
            Ok(url) => return Some(url),
        };
        self.problem(path, wrong, EXPECTED);
        None
    }

    fn proxy(&mut self, path: &KeyPath, text: Option<&str>) -> Proxy {
        let Some(value) = text.and_then(|text| self.expanded(path, text)) else { return Proxy::Environment };
        match value.trim() {
            "env" => return Proxy::Environment,
            "none" => return Proxy::None,
            _ => {}
        }
        match Url::parse(value.trim()) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Proxy::Url(ProxyUrl(url))
            }
            Ok(url) if url.scheme().starts_with("socks") => {
                self.problem(
                    path,
                    "SOCKS proxies cannot be used",
                    "name an HTTP proxy (one that knows CONNECT): \"http://proxy.example.com:8080\"",
                );
                Proxy::None
            }
            _ => {
                self.problem(
                    path,
                    "expected \"env\", \"none\" or the URL of an HTTP proxy",
                    "for example proxy = \"http://proxy.example.com:8080\"",
                );
                Proxy::None
            }
        }
    }
}
