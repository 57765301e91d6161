//! The one path of an event: received, journaled, acknowledged, routed, handled, delivered.
//!
//! [`Pipeline::start`] takes the apps, the live plugins and a journal, and runs until [`Pipeline::shutdown`]. The steps of
//! a message, each in a file of its own:
//!
//! - `app`: one app, and the way of a push into the journal and to its acknowledgement.
//! - `admission`: who may talk to an app, and what is not worth handling.
//! - `message`: DingTalk's message as an event, and as the record that plugins get.
//! - `private`: what is kept of a message for the host alone.
//! - `lanes`: work in order by conversation, parallel across conversations.
//! - `work`: a message that is to be handled, with its tries.
//! - `routing`: which plugins are asked about a message, in which order.
//! - `intake`, `hub`, `events`: events that are no chat messages, each stored once for every plugin that takes it, and handled.
//! - `schedule`, `ticker`: when a plugin's schedule is due, and the ticks.
//! - `actions`: requests that DingTalk waits for, answered in the acknowledgement.
//! - `reply`: what a plugin answered, as messages for the session webhook.
//! - `effects`: what handling an event brings about, stored as one record.
//! - `store`: the key-values of plugins.
//! - `chat`, `recall`, `live`: what a handler may do in DingTalk before it returns.
//! - `payload`: a delivery as the journal keeps it.
//! - `delivery`: a reply on its way, with its retries and its own clock.
//! - `pauses`: how long to wait between two tries.
//! - `recovery`: what the journal still holds when the process starts.
//! - `quota`: what the organisation's monthly quotas are used for.
//! - `counters`, `monitor`: what becomes of the messages, for an operator.

mod actions;
mod admission;
mod app;
mod chat;
mod config;
mod counters;
mod delivery;
mod effects;
mod events;
mod hub;
mod intake;
mod lanes;
mod live;
mod message;
mod monitor;
mod pauses;
mod payload;
mod pipeline;
mod private;
mod quota;
mod recall;
mod recovery;
mod reply;
mod routing;
mod schedule;
mod store;
mod ticker;
mod work;

pub use config::{AppSettings, PipelineConfig, PipelineLimits, PluginRoute, Quota};
pub use counters::Counts;
pub use monitor::{AppStatus, Connection, Monitor, RetryError, Used};
pub use pipeline::{Left, Pipeline};
pub use reply::webhook_bodies;
pub use routing::asked_about;
pub use schedule::{Missed, Schedule};
pub use ticker::Ticks;
pub use work::read_message;
