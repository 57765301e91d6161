//! The plugin host against real components: what guests may do, what becomes of those that misbehave, and what
//! becomes of files that are none.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod calls;
mod chat;
mod components;
mod escape;
mod fakes;
mod handlers;
mod key_value;
mod limits;
mod outbound;
mod output;
mod reload;
mod resident;
mod sandbox;
mod support;
