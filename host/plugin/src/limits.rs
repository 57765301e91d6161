//! What one plugin may use for one message.

use std::time::Duration;

/// What one plugin may use for one message, `[plugins.NAME.limits]` in the config.
///
/// At a limit the call is stopped, the message fails for good, and the reason names the key to raise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `limits.memory`: bytes of linear memory, all memories of the plugin together. 64 MiB, at most 4 GiB.
    pub memory: u64,
    /// `limits.cpu`: time the guest may compute. Waiting for the host is not billed. 1 s.
    pub cpu: Duration,
    /// `limits.deadline`: time from the start of the call to its end, waiting included. 30 s.
    pub deadline: Duration,
    /// `limits.host_bytes`: bytes the guest may hand to the host in one call of a host function; never less than
    /// `output` needs. 4 MiB.
    pub host_bytes: u64,
    /// `limits.output`: bytes of everything the handler returns. 1 MiB.
    pub output: u64,
    /// `limits.log_bytes`: bytes of log lines one call may write, stdout and stderr included; more is dropped and said so
    /// once. 64 KiB.
    pub log_bytes: u64,
    /// `limits.transfer`: bytes of one HTTP response, one download or one upload. 8 MiB.
    pub transfer: u64,
    /// `limits.requests`: HTTP requests, downloads, uploads and changes of cards of one call. 32.
    pub requests: u32,
    /// `limits.sends`: messages and cards that one call may send before it returns. 32.
    pub sends: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: 64 << 20,
            cpu: Duration::from_secs(1),
            deadline: Duration::from_secs(30),
            host_bytes: 4 << 20,
            output: 1 << 20,
            log_bytes: 64 << 10,
            transfer: 8 << 20,
            requests: 32,
            sends: 32,
        }
    }
}
