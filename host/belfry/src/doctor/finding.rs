//! What the doctor found.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but probably not as meant.
    Warning,
    /// It does not work.
    Error,
}

/// What a finding is about. The names are stable: scripts read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The config file, and what it says on the whole.
    Config,
    /// Roots of trust and the CA file.
    Certificates,
    /// Which proxy is used for which host.
    Proxy,
    /// Name look-up.
    Dns,
    /// TCP, TLS and the proxy's tunnel, to one host.
    Connection,
    /// The form of ClientID and ClientSecret.
    Credentials,
    /// Registration with the gateway.
    Registration,
    /// This machine's clock against DingTalk's.
    Clock,
    /// A WebSocket, opened and closed again.
    WebSocket,
    /// Who may talk to the bot.
    AllowList,
    /// The journal, and where the host takes commands.
    Journal,
    /// The plugin folder.
    PluginFolder,
    /// One plugin.
    Plugin,
}

impl Check {
    /// The word shown to people; the same as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Certificates => "certificates",
            Self::Proxy => "proxy",
            Self::Dns => "dns",
            Self::Connection => "connection",
            Self::Credentials => "credentials",
            Self::Registration => "registration",
            Self::Clock => "clock",
            Self::WebSocket => "web-socket",
            Self::AllowList => "allow-list",
            Self::Journal => "journal",
            Self::PluginFolder => "plugin-folder",
            Self::Plugin => "plugin",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub id: Check,
    /// The app it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// What to do about it; empty if nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mend: String,
}

impl Finding {
    /// All is well.
    pub fn ok(id: Check, what: impl Into<String>) -> Self {
        Self { id, app: None, level: Level::Ok, what: what.into(), mend: String::new() }
    }

    /// It works, but probably not as meant.
    pub fn warning(id: Check, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { id, app: None, level: Level::Warning, what: what.into(), mend: mend.into() }
    }

    /// It does not work.
    pub fn error(id: Check, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { id, app: None, level: Level::Error, what: what.into(), mend: mend.into() }
    }

    /// The same, about one app.
    #[must_use]
    pub fn of_app(self, app: &str) -> Self {
        Self { app: Some(app.to_owned()), ..self }
    }
}

/// Everything the doctor found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of the checks.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many findings have this level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    /// Whether there is no error.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.count(Level::Error) == 0
    }

    /// The report for machines, with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        let report = Json {
            healthy: self.is_healthy(),
            errors: self.count(Level::Error),
            warnings: self.count(Level::Warning),
            findings: &self.findings,
        };
        // Text and numbers always have a JSON form.
        let text = serde_json::to_string_pretty(&report).unwrap_or_default();
        format!("{text}\n")
    }
}

#[derive(Serialize)]
struct Json<'a> {
    healthy: bool,
    errors: usize,
    warnings: usize,
    findings: &'a [Finding],
}
