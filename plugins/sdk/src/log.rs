//! Log lines, each under the plugin's name in the host's log: `log::info!("{count} open")`.

use std::fmt;

pub use crate::bindings::wasi::logging::logging::Level;
pub use crate::{__debug as debug, __error as error, __info as info, __trace as trace, __warn as warn};

/// Writes one line. `context` groups lines of one subject; the macros give the module.
pub fn line(level: Level, context: &str, message: fmt::Arguments<'_>) {
    let message = message.to_string();
    #[cfg(target_arch = "wasm32")]
    crate::bindings::wasi::logging::logging::log(level, context, &message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::logged(level, context, &message);
}

/// What the program does, step by step.
#[doc(hidden)]
#[macro_export]
macro_rules! __trace {
    ($($words:tt)*) => { $crate::log::line($crate::log::Level::Trace, module_path!(), format_args!($($words)*)) };
}

/// For finding a fault.
#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($words:tt)*) => { $crate::log::line($crate::log::Level::Debug, module_path!(), format_args!($($words)*)) };
}

/// For somebody who watches.
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($words:tt)*) => { $crate::log::line($crate::log::Level::Info, module_path!(), format_args!($($words)*)) };
}

/// Something went wrong, but not badly.
#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($words:tt)*) => { $crate::log::line($crate::log::Level::Warn, module_path!(), format_args!($($words)*)) };
}

/// Something went wrong.
#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($words:tt)*) => { $crate::log::line($crate::log::Level::Error, module_path!(), format_args!($($words)*)) };
}
