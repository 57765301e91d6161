//! All apps, from the start to the polite end.

use std::{sync::Arc, time::Duration};

use belfry_dingtalk::{ConnectionState, StreamClient, Subscriptions};
use belfry_journal::{Journal, JournalError};
use belfry_plugin_host::Plugins;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info, warn};

use crate::{
    AppSettings, Monitor, PipelineConfig,
    app::App,
    hub::Hub,
    monitor::{Shared, Watched},
    quota::Ledger,
    recovery,
    store::Store,
    ticker::{self, Ticker, Ticks},
};

/// How often the quotas' ledger is written, if anything was used.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// Of the grace of a shutdown this much is kept for closing the sockets.
const FAREWELL: Duration = Duration::from_millis(500);

/// The running path of all apps. Dropping it closes the connections without a word; [`shutdown`](Self::shutdown) is
/// the polite end.
pub struct Pipeline {
    shared: Arc<Shared>,
    hub: Arc<Hub>,
    connections: Vec<(StreamClient, JoinHandle<()>)>,
    /// Says that the rest is left to the next process.
    stopping: CancellationToken,
    /// Every lane. Closing and waiting for it means: all that was taken is done.
    tasks: TaskTracker,
    /// Follow the plugins and the connections; ended with the pipeline.
    watchers: Vec<JoinHandle<()>>,
}

/// What a shutdown could not finish in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Events that were not handled.
    pub events: usize,
    /// Replies that did not arrive.
    pub deliveries: usize,
}

impl Pipeline {
    /// Takes up what the journal holds, connects every app and runs until [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    pub async fn start(
        config: PipelineConfig,
        plugins: Arc<Plugins>,
        journal: Arc<dyn Journal>,
    ) -> Result<Self, JournalError> {
        let tasks = TaskTracker::new();
        let stopping = CancellationToken::new();
        let mut watchers = Vec::new();
        let client_ids = config.apps.iter().map(|app| app.dingtalk.client_id.as_str());
        let (ledger, usages) = Ledger::open(journal.clone(), config.quota, client_ids);
        let ledger = Arc::new(ledger);
        let key_values = Arc::new(Store::new(journal.clone()));
        let hub = Arc::new(Hub::new(plugins.clone(), Arc::new(config.routes.clone())));
        let apps = config.apps.iter().zip(usages).map(|(settings, usage)| {
            let key_values = key_values.clone();
            Arc::new(App::new(settings, &config, hub.clone(), key_values, usage, &tasks, stopping.clone()))
        });
        let apps: Vec<Arc<App>> = apps.collect();
        hub.meet(&apps);
        // Before anything new can come: what is pending goes first in its conversation.
        let left_alone = recovery::take_up(&apps, &*journal).await?;
        let connect = |(app, settings): (Arc<App>, &AppSettings)| {
            if app.admission.denies_all() {
                warn!(
                    app = app.name,
                    "allowed_users is empty: every message is refused; \"*\" lets everybody in"
                );
            }
            // Taken before the first look, so that no change between the two is missed.
            let generations = plugins.changed();
            let wanted = app.router.subscriptions();
            if wanted.is_empty() {
                info!(app = app.name, "no plugin handles messages: nothing is subscribed");
            }
            let (subscribe, subscriptions) = watch::channel(wanted);
            let (client, pushes) = StreamClient::spawn(
                settings.dingtalk.clone(),
                config.transport.clone(),
                config.stream.clone(),
                subscriptions,
            );
            watchers.push(tokio::spawn(follow_plugins(app.clone(), generations, subscribe)));
            watchers.push(tokio::spawn(tell_connection(app.name.clone(), client.state())));
            let source = tokio::spawn(app.clone().take(pushes));
            let watched = Watched { app, state: client.state(), meter: client.meter() };
            (watched, (client, source))
        };
        let (apps, connections) = apps.into_iter().zip(&config.apps).map(connect).unzip();
        let ticker = Ticker::new(&hub, &*journal).await?;
        if !ticker.is_empty() {
            ticker::tell(&ticker);
            watchers.push(tokio::spawn(ticker.run(hub.clone(), journal.clone(), stopping.clone())));
        }
        watchers.push(tokio::spawn(settle(ledger.clone())));
        let shared = Arc::new(Shared { apps, ledger, journal, left_alone });
        Ok(Self { shared, hub, connections, stopping, tasks, watchers })
    }

    /// A look into it while it runs.
    pub fn monitor(&self) -> Monitor {
        Monitor { shared: self.shared.clone() }
    }

    /// Its schedules, to let them tick by hand.
    pub fn ticks(&self) -> Ticks {
        Ticks(self.hub.clone())
    }

    /// Takes nothing more, lets acks leave and closes the sockets; then lets handlers and replies finish, all within
    /// `grace`. Where the journal outlives the process only what runs finishes, and the rest is left to the next one;
    /// otherwise as much as possible is worked off. What is left in the end is told, and ends with the runtime.
    pub async fn shutdown(self, grace: Duration) -> Left {
        let until = Instant::now() + grace;
        let Shared { apps, ledger, journal, .. } = &*self.shared;
        if journal.is_durable() {
            self.stopping.cancel();
        }
        // Acks that do not leave in time must not cost the close frame: without it the gateway would go on pushing.
        let for_acks = grace.saturating_sub(FAREWELL.min(grace / 2));
        let mut endings = Vec::new();
        let mut sources = Vec::new();
        for (client, source) in self.connections {
            endings.push(tokio::spawn(client.stop(for_acks)));
            sources.push(source);
        }
        for ending in endings.into_iter().chain(sources) {
            let _ = timeout_at(until, ending).await;
        }
        self.tasks.close();
        if timeout_at(until, self.tasks.wait()).await.is_ok() {
            recovery::note_good_end(&**journal);
        }
        for watcher in self.watchers {
            watcher.abort();
        }
        ledger.settle();
        // A question is answered when everything before it is written. Else the mark of a reply that arrived at the last
        // moment could end with the process, and the next one would send it again.
        let _ = timeout(FAREWELL, journal.events(None, 1)).await;
        for watched in apps {
            watched.app.counting.tell(&watched.app.name);
        }
        let left = journal.stats();
        Left { events: left.pending_events, deliveries: left.pending_deliveries }
    }
}

async fn settle(ledger: Arc<Ledger>) {
    let mut times = tokio::time::interval(SETTLE_EVERY);
    times.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        ledger.settle();
    }
}

/// Keeps the subscriptions of an app to what its plugins handle.
async fn follow_plugins(
    app: Arc<App>,
    mut generations: watch::Receiver<u64>,
    subscribe: watch::Sender<Subscriptions>,
) {
    while generations.changed().await.is_ok() {
        let wanted = app.router.subscriptions();
        subscribe.send_if_modified(|subscribed| std::mem::replace(subscribed, wanted) != wanted);
    }
}

/// Tells an operator what the connection does.
async fn tell_connection(app: String, mut state: watch::Receiver<ConnectionState>) {
    while state.changed().await.is_ok() {
        let state = state.borrow_and_update().clone();
        match state {
            ConnectionState::Idle => info!(app, "no plugin handles messages: nothing is subscribed"),
            ConnectionState::Connecting { attempt } => debug!(app, attempt, "connecting to DingTalk"),
            ConnectionState::Open { endpoint, .. } => info!(app, endpoint, "connected to DingTalk"),
            ConnectionState::Waiting { error, until } => {
                let retry_in = until.saturating_duration_since(Instant::now());
                warn!(app, %error, hint = error.hint(), ?retry_in, "not connected to DingTalk");
            }
            ConnectionState::Misconfigured { error, hint, until } => {
                let retry_in = until.saturating_duration_since(Instant::now());
                error!(app, %error, hint, ?retry_in, "DingTalk refuses the app");
            }
            ConnectionState::Stopped => info!(app, "disconnected from DingTalk"),
        }
    }
}
