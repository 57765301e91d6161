//! How commands look into a journal: through the running host's socket, or in its files when no host runs.
//!
//! - [`protocol`]: questions and answers, one JSON line each way
//! - [`Desk`]: answers them, in the host and in the command alike
//! - [`Server`]: the socket of a running host
//! - [`Access`]: the way a command takes

mod access;
mod desk;
mod message;
pub mod protocol;
mod socket;

pub use access::Access;
pub(crate) use access::strange;
pub(crate) use desk::now_ms;
pub use desk::{Desk, HostSide};
pub(crate) use socket::check_path;
pub use socket::{ControlError, Server};

#[cfg(test)]
mod tests;
