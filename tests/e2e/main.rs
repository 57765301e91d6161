//! End to end: the `belfry` program as a process, against a simulated DingTalk, over real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking; clippy knows only functions marked as tests"
)]

mod bot;
mod cards;
mod commands;
mod deliveries;
mod dev;
mod durable;
mod effects;
mod events;
mod journal;
mod lifecycle;
mod messages;
mod packages;
mod path;
mod plugins;
mod ready;
mod testing;
mod trouble;
