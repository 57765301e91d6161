//! `wasi:logging`: lines in the host's log.

use crate::bindings::wasi::logging::logging;
use crate::state::State;

impl logging::Host for State {
    fn log(&mut self, level: logging::Level, context: String, message: String) {
        self.call.log.log(level, &context, &message);
    }
}
