//! Proof by faults: the `belfry` program as a process, killed, starved and lied to, while a checker that knows every
//! message proves that nothing was lost, doubled or put out of order.
//!
//! Every choice comes from one number, printed at the start: `BELFRY_FAULT_SEED=… cargo test --test faults` makes the same
//! choices again. What the machine makes of them (which instruction is the last before a kill) is its own.
//! `BELFRY_FAULT_RECORDS=folder` keeps what the gateway recorded. `cargo xtask soak` runs the mix for longer.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking; clippy knows only functions marked as tests"
)]

#[path = "../e2e/bot.rs"]
#[expect(dead_code, reason = "the end-to-end tests use the rest")]
mod bot;
mod checker;
mod checker_tests;
mod clock;
mod disk;
mod gateway;
mod kill;
mod letters;
mod plugins;
mod seed;
mod soak;
mod webhook;
mod world;
