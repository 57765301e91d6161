//! Ctrl-C, SIGTERM, and the terminal being closed.

use anyhow::{Context, Result};
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the program to stop, caught from [`new`](Self::new) on.
pub struct StopSignals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    /// None under `nohup`, which is there so that a closed terminal stops nothing.
    #[cfg(unix)]
    hang_up: Option<Signal>,
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
            Ok(Self {
                interrupt: catch(SignalKind::interrupt())?,
                terminate: catch(SignalKind::terminate())?,
                hang_up: if hang_up_is_ignored() { None } else { Some(catch(SignalKind::hangup())?) },
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next one.
    pub async fn wait(&mut self) {
        #[cfg(unix)]
        {
            let Self { interrupt, terminate, hang_up } = self;
            let hung_up = async {
                match hang_up {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hung_up => {}
            }
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Whether the process was started with SIGHUP ignored; not known outside Linux, and then taken to be so.
#[cfg(unix)]
fn hang_up_is_ignored() -> bool {
    ignores_hang_up(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

#[cfg(unix)]
fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is signal 1.
    mask.is_none_or(|mask| mask & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_respected() {
        assert!(ignores_hang_up("Name:\tbelfry\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n"));
        assert!(!ignores_hang_up("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(ignores_hang_up(""), "where it is not known nothing is caught");
    }
}
