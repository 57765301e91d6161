//! `wasi:clocks/monotonic-clock`, once more: where a call's clocks are fixed, time goes on only as far as the guest has
//! waited.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::clocks::WasiClocksView as _;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::fixed::Clock;
use crate::state::State;

/// A wait that really takes its time, and moves the fixed clock when it is over.
struct Timer {
    /// None: further away than can be told.
    due: Option<tokio::time::Instant>,
    /// What the clock shows then.
    when: u64,
    clock: Arc<Clock>,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        match self.due {
            // A wait of no time gives others their turn too: a guest that polls in a loop would starve them.
            Some(due) if due <= tokio::time::Instant::now() => tokio::task::yield_now().await,
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
        self.clock.advance_to(self.when);
    }
}

impl State {
    fn timer(&mut self, clock: Arc<Clock>, wait: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let due = tokio::time::Instant::now().checked_add(Duration::from_nanos(wait));
        let when = clock.read().saturating_add(wait);
        let timer = self.table.push(Timer { due, when, clock })?;
        subscribe(&mut self.table, timer)
    }
}

impl Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        match &self.clock {
            Some(clock) => Ok(clock.ask()),
            None => self.clocks().now(),
        }
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.clocks().resolution()
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        match self.clock.clone() {
            Some(clock) => {
                let wait = when.saturating_sub(clock.read());
                self.timer(clock, wait)
            }
            None => self.clocks().subscribe_instant(when),
        }
    }

    fn subscribe_duration(&mut self, wait: u64) -> wasmtime::Result<Resource<DynPollable>> {
        match self.clock.clone() {
            Some(clock) => self.timer(clock, wait),
            None => self.clocks().subscribe_duration(wait),
        }
    }
}
