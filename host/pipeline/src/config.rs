use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use belfry_dingtalk::{AppConfig, StreamSettings, Transport};
use belfry_event::Pattern;

use crate::Schedule;

/// What a [`Pipeline`](crate::Pipeline) runs on.
#[derive(Debug, Clone)]
pub struct PipelineConfig {
    /// The apps. Nothing that is keyed by a message or a conversation is shared between them.
    pub apps: Vec<AppSettings>,
    /// How DingTalk is reached.
    pub transport: Transport,
    /// Times and bounds of each app's connection.
    pub stream: StreamSettings,
    /// Times and bounds of the path itself.
    pub limits: PipelineLimits,
    /// What the organisation may use by the month.
    pub quota: Quota,
    /// What a person is told, in one line, whose message became a dead letter. None: nothing.
    pub failure_reply: Option<String>,
    /// What comes to which plugin, by its name. A plugin that is not in it is asked about every message that its commands
    /// allow, and gets no events.
    pub routes: BTreeMap<String, PluginRoute>,
}

/// What comes to a plugin, besides what its commands say.
#[derive(Debug, Clone, Default)]
pub struct PluginRoute {
    /// Narrows the messages it is asked about, and says which events it gets: without it an event handler gets the ticks of
    /// its own schedules only.
    pub on: Option<Pattern>,
    /// It sees every message after it was handled, whoever handled it, and answers nothing.
    pub observe: bool,
    /// When it gets a tick.
    pub schedules: Vec<Schedule>,
    /// What a person is told whose message this plugin could not handle; empty: nothing. None: what the pipeline says.
    pub failure_reply: Option<String>,
}

/// What an organisation may use by the month, for all its apps together. Only for warnings: DingTalk enforces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Calls of the OpenAPI; 0: not known. Default 5 000, the standard edition's.
    pub api_calls: u64,
    /// Pushes over the connection; 0: not known. Default 3 000, the standard edition's.
    pub stream_pushes: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { api_calls: 5_000, stream_pushes: 3_000 }
    }
}

/// One DingTalk app (robot).
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// Its name in the config, logs and `message.app`.
    pub name: String,
    /// Its credentials and bases.
    pub dingtalk: AppConfig,
    /// The staff ids that may talk to it. Empty: nobody. `*`: everybody, external people too.
    pub allowed_users: Vec<String>,
    /// The plugins it asks; none: all that are loaded.
    pub plugins: Option<Vec<String>>,
    /// What somebody who is not allowed is told, once, in a private chat. None: nothing.
    pub denied_reply: Option<String>,
}

/// Times and bounds of the path.
#[derive(Debug, Clone, Copy)]
pub struct PipelineLimits {
    /// Events of one app on their way into the journal. Beyond it no push is taken; what is not taken is not
    /// acknowledged. Default 128.
    pub appending: usize,
    /// How long a handler that fails temporarily may hold its conversation back. Default 30 s.
    pub handle_within: Duration,
    /// How long a reply may take to arrive. Default 30 min.
    pub deliver_within: Duration,
    /// Replies of one app that are sent at the same time, each over a connection of its own; more wait for their turn.
    /// Without a bound a slow DingTalk would use up the process's files, and no socket could be opened any more.
    /// Default 128.
    pub sending: usize,
    /// Replies to one conversation in a minute; more wait. DingTalk refuses more than 20, for ten minutes where it is
    /// strict. None: no limit. Default 20.
    pub replies_per_minute: Option<NonZeroU32>,
    /// Conversations per app whose replies of the last minute are remembered for that. Default 10 000.
    pub conversations: usize,
    /// So long before it expires a session webhook is not used any more. Default 60 s.
    pub webhook_margin: Duration,
    /// Bytes of messages and replies per app that wait in memory. What waits beyond them is read back from the journal
    /// when its turn comes. Default 16 MiB.
    pub memory: usize,
    /// Messages and replies per app that were read back from the journal and are worked on at the same time.
    /// Default 128.
    pub loading: usize,
    /// The longest pause between two tries of a handler or a delivery. Default 60 s.
    pub longest_pause: Duration,
    /// Replies to one message; a plugin that returns more fails. Default 100.
    pub replies: usize,
    /// People per app who are remembered as told that they are not allowed; beyond it nobody else is told.
    /// Default 10 000.
    pub denied_told: usize,
}

impl Default for PipelineLimits {
    fn default() -> Self {
        Self {
            appending: 128,
            handle_within: Duration::from_secs(30),
            deliver_within: Duration::from_secs(30 * 60),
            sending: 128,
            replies_per_minute: NonZeroU32::new(20),
            conversations: 10_000,
            webhook_margin: Duration::from_secs(60),
            memory: 16 << 20,
            loading: 128,
            longest_pause: Duration::from_secs(60),
            replies: 100,
            denied_told: 10_000,
        }
    }
}
