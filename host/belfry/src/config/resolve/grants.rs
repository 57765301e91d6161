//! What a plugin may reach: `http`, `chat`, `kv`.

use std::time::Duration;

use belfry_plugin_host::{LiveSettings, Scheme};
use secrecy::SecretString;

use super::{Resolver, Secrets};
use crate::config::document::KeyPath;
use crate::config::file::{ChatTable, HttpEntry, HttpScheme, HttpTable, PluginTable};
use crate::config::{ChatGrant, Grants, HttpGrant, nearest};

/// Key-values are kept in memory too.
const MOST_KEY_VALUES: u64 = 64 << 20;
const CARD_INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60);

impl Resolver<'_> {
    pub(super) fn grants(&mut self, at: &KeyPath, table: &PluginTable) -> Grants {
        let default = Grants::default();
        let kv = at.then("kv");
        let key_value = self.size(&kv, table.kv.as_deref());
        if key_value.is_some_and(|bytes| bytes > MOST_KEY_VALUES) {
            self.problem(&kv, "a plugin keeps at most 64MiB", "");
        }
        let http = table.http.iter().enumerate();
        Grants {
            http: http.filter_map(|(place, entry)| self.http(&at.then("http").then(place), entry)).collect(),
            chat: self.chat(&at.then("chat"), &table.chat),
            key_value: key_value.unwrap_or(default.key_value),
        }
    }

    fn http(&mut self, at: &KeyPath, entry: &HttpEntry) -> Option<HttpGrant> {
        match entry {
            HttpEntry::Base(base) => self.http_host(at, base, HttpGrant::parse),
            HttpEntry::Table(table) => self.http_table(at, table),
        }
    }

    fn http_table(&mut self, at: &KeyPath, table: &HttpTable) -> Option<HttpGrant> {
        let path = at.then("host");
        let scheme = match table.scheme {
            HttpScheme::Https => Scheme::Https,
            HttpScheme::Http => Scheme::Http,
        };
        let grant = match &table.host {
            Some(host) if has_port(host) => {
                self.problem(
                    &path,
                    "has a port behind the name",
                    "the port is a key of its own: port = 8443",
                );
                None
            }
            Some(host) => self.http_host(&path, host, |host| HttpGrant::new(scheme, host, table.port)),
            None => {
                self.problem(&path, "the host is missing", "for example host = \"api.example.com\"");
                None
            }
        };
        // What is wrong with the headers is told too where the host is wrong.
        let mut headers = HttpGrant::new(scheme, "localhost", None).ok()?;
        for (name, value) in &table.headers {
            let path = at.then("headers").then(name.as_str());
            let Some(value) = self.expanded(&path, value) else { continue };
            if let Err(problem) = headers.header(name, SecretString::from(value)) {
                self.problem(&path, problem, "");
            }
        }
        Some(HttpGrant { private: table.private, headers: headers.headers, ..grant? })
    }

    fn http_host(
        &mut self,
        path: &KeyPath,
        text: &str,
        read: impl FnOnce(&str) -> Result<HttpGrant, String>,
    ) -> Option<HttpGrant> {
        let refers = text.contains("${");
        if refers && self.secrets == Secrets::LeftOut {
            return None;
        }
        let expanded = self.expanded(path, text)?;
        read(&expanded)
            .map_err(|problem| {
                // What a reference stands for may be a secret in the wrong place.
                let what = if refers {
                    "is no host of HTTP requests once it is expanded".to_owned()
                } else {
                    problem
                };
                self.problem(path, what, "");
            })
            .ok()
    }

    fn chat(&mut self, at: &KeyPath, table: &ChatTable) -> ChatGrant {
        if let Some(app) = &table.app
            && !self.apps.contains(app)
        {
            let mend = match nearest(app, self.apps.iter().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if self.apps.is_empty() => String::new(),
                None => format!("the apps are {}", self.apps.join(", ")),
            };
            self.problem(&at.then("app"), "there is no such app", mend);
        }
        for (key, ids) in [("users", &table.users), ("groups", &table.groups)] {
            for (place, id) in ids.iter().enumerate() {
                let path = at.then(key).then(place);
                if id.is_empty() || id.trim() != id {
                    self.problem(&path, "an id is not empty and has no space around it", "");
                }
                self.warn_unexpanded(&path, id);
            }
        }
        ChatGrant {
            app: table.app.clone(),
            users: table.users.clone(),
            groups: table.groups.clone(),
            live: self.live(at, table),
        }
    }

    fn live(&mut self, at: &KeyPath, table: &ChatTable) -> LiveSettings {
        let default = LiveSettings::default();
        for (key, text) in [("card_template", &table.card_template), ("card_key", &table.card_key)] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                self.problem(&at.then(key), "is empty", "leave the key out for the default");
            }
        }
        if table.card_template.is_none() {
            let keys = [("card_key", &table.card_key), ("card_interval", &table.card_interval)];
            for (key, _) in keys.into_iter().filter(|(_, value)| value.is_some()) {
                let mend =
                    "set card_template = \"….schema\", the id of a template from DingTalk's card builder";
                self.problem(&at.then(key), "has no effect without card_template", mend);
            }
        }
        let path = at.then("card_interval");
        let interval = self.time(&path, table.card_interval.as_deref());
        if interval.is_some_and(|interval| !CARD_INTERVALS.contains(&interval)) {
            self.problem(&path, "expected 100ms to 1m: each update is a call of DingTalk's API", "");
        }
        LiveSettings {
            template: table.card_template.clone(),
            key: table.card_key.clone().unwrap_or(default.key),
            interval: interval.unwrap_or(default.interval),
        }
    }
}

/// Whether a port stands behind a host that is no IPv6 address.
fn has_port(host: &str) -> bool {
    let behind = host.rsplit_once("]:").or_else(|| host.split_once(':'));
    behind.is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}
