//! Ctrl-C and SIGTERM.

use anyhow::{Context, Result};
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the program to stop, caught from [`new`](Self::new) on.
pub struct StopSignals {
    #[cfg(unix)]
    caught: [Signal; 2],
}

impl StopSignals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> Result<Self> {
        #[cfg(unix)]
        {
            let catch = |kind| signal(kind).context("catch Ctrl-C and SIGTERM");
            Ok(Self { caught: [catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?] })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next one.
    pub async fn wait(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate] = &mut self.caught;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
