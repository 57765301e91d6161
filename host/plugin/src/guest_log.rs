//! Where a guest's output goes: whole lines in the host's log, under the plugin's name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tracing::{debug, error, info, trace, warn};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::bindings::wasi::logging::logging::Level;
use crate::text;

/// A longer line is written in pieces.
const MAX_LINE: usize = 8 << 10;

/// How much of stderr is kept for the reason of a failure.
const TAIL: usize = 4 << 10;

/// The output of one call.
pub(crate) struct GuestLog {
    plugin: Arc<str>,
    state: Mutex<State>,
}

struct State {
    /// Bytes this call may still write.
    left: u64,
    said_dropped: bool,
    /// What has been written since the last line break.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// At least the last [`TAIL`] bytes of stderr, and at most twice as many.
    tail: Vec<u8>,
}

/// One of the two standard outputs.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl GuestLog {
    pub(crate) fn new(plugin: Arc<str>, budget: u64) -> Self {
        let state = State {
            left: budget,
            said_dropped: false,
            stdout: Vec::new(),
            stderr: Vec::new(),
            tail: Vec::new(),
        };
        GuestLog { plugin, state: Mutex::new(state) }
    }

    /// A line of `wasi:logging`.
    pub(crate) fn log(&self, level: Level, context: &str, message: &str) {
        if !self.state().take(&self.plugin, context.len() + message.len()) {
            return;
        }
        let plugin = &*self.plugin;
        let context = text::line(context, 256);
        let context = (!context.is_empty()).then_some(context.as_str());
        let message = text::line(message, MAX_LINE);
        match level {
            Level::Trace => trace!(target: "plugin", plugin, context, "{message}"),
            Level::Debug => debug!(target: "plugin", plugin, context, "{message}"),
            Level::Info => info!(target: "plugin", plugin, context, "{message}"),
            Level::Warn => warn!(target: "plugin", plugin, context, "{message}"),
            Level::Error | Level::Critical => error!(target: "plugin", plugin, context, "{message}"),
        }
    }

    /// Bytes written to a standard output: whole lines are logged, the rest waits for its line break.
    pub(crate) fn write(&self, stream: Stream, bytes: &[u8]) {
        let mut state = self.state();
        if stream == Stream::Stderr {
            state.remember(bytes);
        }
        if !state.take(&self.plugin, bytes.len()) {
            return;
        }
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            let mut whole = std::mem::take(state.partial(stream));
            whole.extend_from_slice(line);
            self.emit(stream, &whole);
        }
        let partial = state.partial(stream);
        partial.extend_from_slice(rest);
        if partial.len() >= MAX_LINE {
            let whole = std::mem::take(partial);
            self.emit(stream, &whole);
        }
    }

    /// Logs what was written without a line break. Called when the call is over.
    pub(crate) fn finish(&self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let line = std::mem::take(self.state().partial(stream));
            if !line.is_empty() {
                self.emit(stream, &line);
            }
        }
    }

    /// The last 4 KB of stderr, cleaned; empty if there was none.
    pub(crate) fn stderr_tail(&self) -> String {
        let state = self.state();
        let start = state.tail.len().saturating_sub(TAIL);
        let tail = String::from_utf8_lossy(state.tail.get(start..).unwrap_or_default());
        text::block(tail.trim(), TAIL * 2)
    }

    fn emit(&self, stream: Stream, bytes: &[u8]) {
        let plugin = &*self.plugin;
        for piece in bytes.chunks(MAX_LINE) {
            let message = text::line(String::from_utf8_lossy(piece).trim_end(), MAX_LINE * 2);
            match stream {
                Stream::Stdout => info!(target: "plugin", plugin, stream = "stdout", "{message}"),
                Stream::Stderr => warn!(target: "plugin", plugin, stream = "stderr", "{message}"),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes `len` bytes from the budget, or says once that there is none left.
    fn take(&mut self, plugin: &str, len: usize) -> bool {
        // Empty lines cost something too.
        let cost = len as u64 + 1;
        if self.left >= cost && !self.said_dropped {
            self.left -= cost;
            return true;
        }
        if !self.said_dropped {
            self.said_dropped = true;
            warn!(
                target: "plugin",
                plugin,
                "further output of this call is dropped; raise `limits.log_bytes` in [plugins.{plugin}] to see it"
            );
        }
        false
    }

    fn partial(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        let start = bytes.len().saturating_sub(TAIL);
        self.tail.extend_from_slice(bytes.get(start..).unwrap_or_default());
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }
}

/// One standard output of one call, as WASI wants to see it. Never blocks, never fails.
#[derive(Clone)]
pub(crate) struct GuestStream {
    /// The call under way: an instance may live over several.
    pub(crate) call: Arc<arc_swap::ArcSwap<crate::call::Call>>,
    pub(crate) stream: Stream,
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for this one, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.call.load().log.write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}
