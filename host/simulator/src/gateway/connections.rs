//! What is done to open connections as a whole.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use crate::fault::Cut;
use crate::record::{Happening, Stats};
use crate::state::{App, Connection, Outgoing};

impl Gateway {
    /// Tells connections to go, and closes them a while later.
    pub(crate) fn disconnect(&self, client_id: Option<&str>, reason: &str) -> usize {
        let mut state = self.state();
        let mut count = 0;
        for app in state.apps.values_mut().filter(|app| client_id.is_none_or(|id| id == &*app.client_id)) {
            for connection in app.open.drain(..) {
                count += 1;
                self.send_away(&app.client_id, &connection, reason);
                app.draining.push(connection);
            }
        }
        count
    }

    /// Tells one connection to go, and closes it a while later.
    pub(super) fn send_away(&self, client_id: &Arc<str>, connection: &Connection, reason: &str) {
        let wait: Duration = self.real(self.config.close_after_disconnect);
        self.record(Happening::Disconnecting {
            client_id: Arc::clone(client_id),
            connection: Arc::clone(&connection.id),
            reason: reason.to_owned(),
        });
        // With a full queue the announcement is lost, as it would be on a dead socket; the close is not.
        let _ = connection.queue.try_send(Outgoing::Disconnect(reason.to_owned()));
        let queue = connection.queue.clone();
        let switch = Arc::clone(&connection.switch);
        self.runtime.spawn(async move {
            tokio::select! {
                () = queue.closed() => return,
                () = tokio::time::sleep(wait) => {}
            }
            if queue.try_send(Outgoing::Close("disconnected")).is_err() {
                switch.cut();
            }
        });
    }

    /// Calls `f` for every connection (of one app), draining ones included; counts where it returned true.
    pub(crate) fn each(&self, client_id: Option<&str>, mut f: impl FnMut(&Connection) -> bool) -> usize {
        let state = self.state();
        let apps = state.apps.values().filter(|app| client_id.is_none_or(|id| id == &*app.client_id));
        apps.flat_map(App::all).filter(|connection| f(connection)).count()
    }

    /// Sends any text on every connection (of one app).
    pub(crate) fn send_raw(&self, client_id: Option<&str>, text: &str) -> usize {
        self.each(client_id, |connection| connection.queue.try_send(Outgoing::Text(text.to_owned())).is_ok())
    }

    /// Ends every connection (of one app) without warning.
    pub(crate) fn cut(&self, client_id: Option<&str>, how: Cut) -> usize {
        self.each(client_id, |connection| {
            match how {
                Cut::Reset => connection.switch.reset(),
                Cut::Abrupt => connection.switch.cut(),
                Cut::Silence => connection.switch.silence(),
                Cut::Clean => return connection.queue.try_send(Outgoing::Close("dropped")).is_ok(),
            }
            true
        })
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.state();
        let pending = state.pushes.len() + state.unaddressed.len();
        Stats { pending: pending as u64, ..state.stats.clone() }
    }
}
