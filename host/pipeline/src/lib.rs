//! The one path of an event: received, journaled, acknowledged, routed, handled, delivered.
//!
//! [`Pipeline::start`] takes the apps, the live plugins and a journal, and runs until [`Pipeline::shutdown`]. What
//! happens to a message stands in `path.rs`, from top to bottom; the files beside it are its steps:
//!
//! - `admission`: who may talk to an app, and what is not worth handling.
//! - `message`: DingTalk's message as an event, and as the record that plugins get.
//! - `lanes`: work in order by conversation, parallel across conversations.
//! - `routing`: which plugins are asked about a message, in which order.
//! - `reply`: what a plugin answered, as messages for the session webhook.
//! - `delivery`: a reply on its way, with its retries and its own clock.
//! - `private`: what is kept of a message for the host alone.
//! - `recovery`: what the journal still holds when the process starts.
//! - `counters`: what became of the messages, told in the log at the end.

mod admission;
mod config;
mod counters;
mod delivery;
mod lanes;
mod message;
mod path;
mod pipeline;
mod private;
mod recovery;
mod reply;
mod routing;

pub use config::{AppSettings, PipelineConfig, PipelineLimits};
pub use pipeline::{Left, Pipeline};
