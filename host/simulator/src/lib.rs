//! A DingTalk Stream Mode gateway on loopback.
//!
//! Bots built on any DingTalk Stream SDK run against it unchanged.

mod clock;
mod config;
pub mod fault;
mod gateway;
mod log;
mod payload;
mod push;
mod record;
mod say;
pub mod scenario;
mod sessions;
mod simulator;
mod socket;
mod state;

pub use config::{Credential, Credentials, SimulatorConfig};
pub use fault::{Action, Cut, Fault, FaultId, Place};
pub use push::{Acked, CallError, FrameType, Push, Pushed, topic};
pub use record::{ClosedBy, Happening, NotSeen, Page, Record, Reply, Sent, Stats, Subscription};
pub use say::{Content, Delegate, Person, Quoted, QuotedContent, RichRun, Say, conversation_id};
pub use simulator::{Simulator, StartError, Watch};
