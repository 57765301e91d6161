//! How log lines are written: to standard error, for people or for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat, LogLevel};

/// The environment variable that overrides the level, in the notation of `tracing`.
const VARIABLE: &str = "RUST_LOG";

/// Other crates log what they send and receive, credentials included, below this level.
const OTHER_CRATES: &str = "warn";

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `RUST_LOG` is not understood.
    #[error(
        "use the environment variable {VARIABLE}: {0}; write for example {VARIABLE}=info or {VARIABLE}=belfry=debug"
    )]
    Filter(String),
    /// Somebody set it up before.
    #[error("set up logging: it is set up already")]
    Twice,
}

/// Starts logging to standard error for the rest of the process. `RUST_LOG`, if set, wins over `log.level`.
///
/// # Errors
/// When `RUST_LOG` is not understood or logging was started before.
pub fn start(log: Log) -> Result<(), LoggingError> {
    start_to(log, std::io::stderr)
}

/// [`start`], with what plugins say themselves at another level than what Belfry says of them.
///
/// # Errors
/// As [`start`].
pub fn start_with_plugins(log: Log, plugins: LogLevel) -> Result<(), LoggingError> {
    start_with(log, plugins, std::io::stderr)
}

/// [`start`] with another place for the lines. Colours still go by standard error.
///
/// # Errors
/// As [`start`].
pub fn start_to<W>(log: Log, writer: W) -> Result<(), LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    start_with(log, log.level, writer)
}

fn start_with<W>(log: Log, plugins: LogLevel, writer: W) -> Result<(), LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter(log.level, plugins, std::env::var(VARIABLE).ok().as_deref())?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match log.format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
        }
        LogFormat::Human => {
            lines.with_ansi(colours(std::io::stderr().is_terminal())).event_format(human::Lines).try_init()
        }
    }
    .map_err(|_| LoggingError::Twice)
}

/// Whether to colour output that goes to a terminal or not: see <https://no-color.org>.
#[must_use]
pub fn colours(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn filter(level: LogLevel, plugins: LogLevel, variable: Option<&str>) -> Result<EnvFilter, LoggingError> {
    if let Some(text) = variable.filter(|text| !text.trim().is_empty()) {
        return EnvFilter::try_new(text).map_err(|cause| LoggingError::Filter(cause.to_string()));
    }
    let others = if level == LogLevel::Error { "error" } else { OTHER_CRATES };
    let (level, plugins) = (name(level), name(plugins));
    // A directive covers every target that starts with it: all crates of the workspace.
    EnvFilter::try_new(format!("{others},belfry={level},plugin={plugins}"))
        .map_err(|cause| LoggingError::Filter(cause.to_string()))
}

fn name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

mod human {
    //! `12:34:56.789 info  message key=value`; a plugin's own lines begin with its name.

    use std::fmt::{self, Write as _};
    use std::time::{SystemTime, UNIX_EPOCH};

    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Subscriber};
    use tracing_subscriber::fmt::format::Writer;
    use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
    use tracing_subscriber::registry::LookupSpan;

    /// Lines of a guest (its log calls, standard output and standard error) have this target.
    const GUEST: &str = "plugin";

    pub(super) struct Lines;

    impl<S, N> FormatEvent<S, N> for Lines
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        fn format_event(
            &self,
            _: &FmtContext<'_, S, N>,
            mut to: Writer<'_>,
            event: &Event<'_>,
        ) -> fmt::Result {
            let mut parts = Parts::default();
            event.record(&mut parts);
            let colours = to.has_ansi_escapes();
            let (name, colour) = match *event.metadata().level() {
                Level::ERROR => ("error", "\x1b[31m"),
                Level::WARN => ("warn ", "\x1b[33m"),
                Level::INFO => ("info ", "\x1b[32m"),
                Level::DEBUG => ("debug", "\x1b[34m"),
                Level::TRACE => ("trace", "\x1b[35m"),
            };
            let time = TimeOfDay::now();
            if colours {
                write!(to, "\x1b[2m{time}\x1b[0m {colour}{name}\x1b[0m ")?
            } else {
                write!(to, "{time} {name} ")?
            }
            if event.metadata().target().starts_with(GUEST) && !parts.plugin.is_empty() {
                write!(to, "[{}] {}", parts.plugin, parts.message)?;
            } else {
                to.write_str(&parts.message)?;
                if !parts.plugin.is_empty() {
                    write!(to, " plugin={}", parts.plugin)?;
                }
            }
            if colours {
                write!(to, "\x1b[2m{}\x1b[0m", parts.others)?
            } else {
                to.write_str(&parts.others)?
            }
            writeln!(to)
        }
    }

    /// Seconds since midnight UTC; people read logs of the last minutes, machines read JSON.
    struct TimeOfDay(u128);

    impl TimeOfDay {
        fn now() -> Self {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Self(since.as_millis() % 86_400_000)
        }
    }

    impl fmt::Display for TimeOfDay {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let (seconds, ms) = (self.0 / 1000, self.0 % 1000);
            write!(f, "{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
    }

    #[derive(Default)]
    struct Parts {
        message: String,
        plugin: String,
        others: String,
    }

    impl Visit for Parts {
        fn record_str(&mut self, field: &Field, value: &str) {
            match field.name() {
                "message" => push_clean(&mut self.message, value),
                "plugin" => push_clean(&mut self.plugin, value),
                _ if value.is_empty() => {}
                name if value.contains([' ', '"', '=']) => {
                    let _ = write!(self.others, " {name}={value:?}");
                }
                name => {
                    let _ = write!(self.others, " {name}=");
                    push_clean(&mut self.others, value);
                }
            }
        }

        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.record_str(field, &format!("{value:?}"));
        }
    }

    /// Lines may hold what a guest or a stranger wrote: no control character but a line break reaches the terminal,
    /// and what follows a line break is indented, so that nobody can forge a line.
    fn push_clean(to: &mut String, text: &str) {
        for c in text.trim_end().chars() {
            match c {
                '\n' => to.push_str("\n    "),
                '\t' => to.push('\t'),
                c if c.is_control() => to.extend(c.escape_default()),
                c => to.push(c),
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::io::Write;
        use std::sync::{Arc, Mutex};

        use super::*;

        #[derive(Clone, Default)]
        struct Sink(Arc<Mutex<Vec<u8>>>);

        impl Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        fn written(log: impl FnOnce()) -> String {
            let sink = Sink::default();
            let to = sink.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_ansi(false)
                .event_format(Lines)
                .with_writer(move || to.clone())
                .finish();
            tracing::subscriber::with_default(subscriber, log);
            let bytes = sink.0.lock().unwrap().clone();
            // The time of day in front has a fixed width.
            String::from_utf8(bytes).unwrap().lines().map(|line| format!("{}\n", &line[13..])).collect()
        }

        #[test]
        fn fields_follow_the_message() {
            let line =
                written(|| tracing::warn!(app = "sales", reason = "no answer", attempt = 3, "not connected"));
            assert_eq!(line, "warn  not connected app=sales reason=\"no answer\" attempt=3\n");
        }

        #[test]
        fn a_plugins_line_begins_with_its_name() {
            let line = written(
                || tracing::info!(target: "plugin", plugin = "echo", context = "", stream = "stderr", "hello"),
            );
            assert_eq!(line, "info  [echo] hello stream=stderr\n");
        }

        #[test]
        fn control_characters_are_shown() {
            let line = written(|| tracing::info!("{}", "a\x1b[31mb\rc"));
            assert_eq!(line, "info  a\\u{1b}[31mb\\rc\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_over_the_level() {
        let filter = |variable| filter(LogLevel::Warn, LogLevel::Info, variable);
        assert_eq!(filter(None).unwrap().to_string(), "plugin=info,belfry=warn,warn");
        assert_eq!(filter(Some("debug")).unwrap().to_string(), "debug");
        assert!(filter(Some("belfry=loud")).is_err());
    }
}
