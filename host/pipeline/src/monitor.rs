//! A look into the running host, and a hand for what it has given up.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use belfry_dingtalk::{ConnectionState, StreamMeter};
use belfry_journal::{Journal, JournalError, Position, Record};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};

use crate::{
    Counts,
    app::{App, parts_of},
    quota::{Kind, Ledger},
    recovery::{self, Begun},
};

/// Tells what the apps of a running pipeline do. Cheap to clone.
#[derive(Clone)]
pub struct Monitor {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) apps: Vec<Watched>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) journal: Arc<dyn Journal>,
    /// What belongs to apps that the config does not have.
    pub(crate) left_alone: usize,
}

pub(crate) struct Watched {
    pub(crate) app: Arc<App>,
    pub(crate) state: watch::Receiver<ConnectionState>,
    pub(crate) meter: StreamMeter,
}

/// What one app does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Its name in the config.
    pub name: String,
    /// Its ClientID.
    pub client_id: String,
    /// Its connection to DingTalk.
    pub connection: Connection,
    /// When the last frame came, in milliseconds since 1970; none if none came yet. DingTalk sends one at least twice a
    /// minute.
    pub last_frame_ms: Option<u64>,
    /// What became of its messages since the start.
    pub counts: Counts,
    /// What it used of the organisation's monthly quotas.
    pub used: Used,
}

/// A connection to DingTalk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// `open`, `connecting`, `waiting` (an attempt failed, the next one follows), `misconfigured` (DingTalk refuses the
    /// app, somebody must act), `idle` (no plugin handles messages) or `stopped`.
    pub state: String,
    /// More about it, in words: the endpoint, or what failed and what to do.
    pub detail: String,
    /// Since when it is open, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// In how many milliseconds the next attempt follows.
    pub retry_in_ms: Option<u64>,
}

/// What was used of the organisation's monthly quotas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The month in China, as year times 100 plus month: 202611.
    pub month: u32,
    /// Calls of the OpenAPI.
    pub api_calls: u64,
    /// What DingTalk pushed over the connection.
    pub stream_pushes: u64,
}

/// Why a dead letter was not put back to work.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// There is no such dead letter.
    #[error("there is no such dead letter")]
    Unknown,
    /// Its app is not in the config any more.
    #[error("the config has no app with the client_id `{0}` any more")]
    NoApp(String),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Monitor {
    /// What every app does, in the order of the config.
    pub fn apps(&self) -> Vec<AppStatus> {
        let month = self.shared.ledger.month();
        self.shared.apps.iter().map(|watched| watched.status(month)).collect()
    }

    /// What all apps used this month of the organisation's quotas, those that left the config included.
    pub fn used(&self) -> Used {
        let ledger = &self.shared.ledger;
        Used {
            month: ledger.month(),
            api_calls: ledger.total(Kind::ApiCalls),
            stream_pushes: ledger.total(Kind::StreamPushes),
        }
    }

    /// How many messages and replies of the journal belong to apps that are not in the config: they wait there until the
    /// app is back.
    pub fn left_alone(&self) -> usize {
        self.shared.left_alone
    }

    /// Puts a dead letter back to work: the message is handled again, or the reply sent again, behind whatever its
    /// conversation has waiting.
    ///
    /// # Errors
    ///
    /// When there is no such dead letter, nobody to work on it, or the journal fails. It is kept then, but for one case: a
    /// disk that does not take the change. The retry goes on all the same, and a crash before the disk takes it undoes it.
    pub async fn retry(&self, event: Position, delivery: Option<u32>) -> Result<(), RetryError> {
        let journal = &self.shared.journal;
        let letter = journal.dead_letter(event, delivery).await?.ok_or(RetryError::Unknown)?;
        let apps: Vec<Arc<App>> = self.shared.apps.iter().map(|watched| watched.app.clone()).collect();
        let client_id = parts_of(&letter.key).map_or(letter.key.as_str(), |(client_id, _)| client_id);
        if !apps.iter().any(|app| app.client_id == client_id) {
            return Err(RetryError::NoApp(client_id.to_owned()));
        }
        let committed = journal.commit(Record::Retry { event, delivery })?;
        // It counts even where the disk does not take it yet.
        recovery::take_up_one(&apps, &letter.key, (event, delivery), Begun::Anew);
        Ok(committed.written.await?)
    }
}

impl Watched {
    fn status(&self, month: u32) -> AppStatus {
        let last_frame_ms = self.meter.stats().last_frame_ms;
        let app = &self.app;
        AppStatus {
            name: app.name.clone(),
            client_id: app.client_id.clone(),
            connection: Connection::of(&self.state.borrow()),
            last_frame_ms: (last_frame_ms > 0).then_some(last_frame_ms),
            counts: app.counting.counts(),
            used: Used {
                month,
                api_calls: app.usage.get(Kind::ApiCalls),
                stream_pushes: app.usage.get(Kind::StreamPushes),
            },
        }
    }
}

impl Connection {
    fn of(state: &ConnectionState) -> Self {
        let new = |state: &str, detail: String| Self {
            state: state.to_owned(),
            detail,
            since_ms: None,
            retry_in_ms: None,
        };
        match state {
            ConnectionState::Idle => new("idle", "no plugin handles messages".to_owned()),
            ConnectionState::Connecting { attempt } => new("connecting", format!("attempt {attempt}")),
            ConnectionState::Open { endpoint, since, .. } => {
                let since = since.duration_since(UNIX_EPOCH).ok();
                Self { since_ms: since.map(milliseconds), ..new("open", endpoint.clone()) }
            }
            ConnectionState::Waiting { error, until } => {
                let detail = [&*error.to_string(), error.hint()].join("; ");
                Self {
                    retry_in_ms: Some(in_ms(*until)),
                    ..new("waiting", detail.trim_end_matches("; ").to_owned())
                }
            }
            ConnectionState::Misconfigured { error, hint, until } => {
                Self { retry_in_ms: Some(in_ms(*until)), ..new("misconfigured", format!("{error}; {hint}")) }
            }
            ConnectionState::Stopped => new("stopped", String::new()),
        }
    }
}

fn in_ms(until: Instant) -> u64 {
    milliseconds(until.saturating_duration_since(Instant::now()))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
