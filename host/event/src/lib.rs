//! The one form of everything that enters Belfry: a [CloudEvents 1.0][spec] event.
//!
//! A message to the bot, an organisation event, a connector's record, a tick of a schedule: each becomes a
//! [`CloudEvent`] at the door, so that whatever comes after (the journal, rules, plugins) knows a single shape.
//! This crate is pure: no I/O, no clock, no async.
//!
//! - [`CloudEvent`]: the attributes, the extensions and the data, with the JSON format in and out.
//! - [`Data`]: JSON text kept as it came ([`JsonText`]), or bytes.
//! - [`AttributeValue`]: the value of an extension attribute.
//! - [`Pattern`]: which events somebody wants, by the grammar of Alibaba Cloud's EventBridge.
//! - [`EventError`]: why JSON is not a CloudEvent, naming the attribute.
//!
//! [spec]: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md

mod cloudevent;
mod json;
mod pattern;

pub use cloudevent::{AttributeValue, CloudEvent, Data, EventError, JsonText};
pub use pattern::{Known, Mismatch, Pattern, PatternError};
