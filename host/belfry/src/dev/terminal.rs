//! Lines in and out. While a prompt is open, what is printed goes above it.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use rustyline::{DefaultEditor, ExternalPrinter, error::ReadlineError};
use tokio::sync::mpsc;
use tracing_subscriber::fmt::MakeWriter;

use crate::{building::Teller, logging};

/// The person's terminal, or the pipes that stand for it. Cheap to clone.
#[derive(Clone)]
pub struct Terminal {
    printer: Arc<Mutex<Printer>>,
    editor: Arc<Mutex<Option<DefaultEditor>>>,
    colours: bool,
    /// What goes on just now, on the last line; for a terminal at standard error alone.
    status: Option<Arc<Mutex<String>>>,
}

enum Printer {
    /// Above an open prompt, in a terminal that was like this before.
    AbovePrompt(Box<dyn ExternalPrinter + Send>, Mode),
    /// Plainly: answers to standard output, everything else to standard error.
    Plain,
}

impl Terminal {
    /// With a prompt if `interactive` and there is a terminal at both ends.
    pub fn open(interactive: bool) -> Self {
        let colours = logging::colours(io::stdout().is_terminal());
        let editor = (interactive && io::stdin().is_terminal() && io::stdout().is_terminal())
            .then(|| DefaultEditor::new().ok())
            .flatten();
        let status = io::stderr().is_terminal().then(Arc::default);
        Self {
            printer: Arc::new(Mutex::new(Printer::Plain)),
            editor: Arc::new(Mutex::new(editor)),
            colours,
            status,
        }
    }

    /// The lines a person types, until `last`, the end of input or Ctrl-C. Opens the prompt.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub fn lines(&self, prompt: &'static str, last: &'static str) -> Result<mpsc::Receiver<String>> {
        let (sender, lines) = mpsc::channel(16);
        let editor = self.editor.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut editor) = editor else {
            std::thread::spawn(move || read_plain_lines(&sender));
            return Ok(lines);
        };
        let printer = editor.create_external_printer().context("use the terminal")?;
        *self.printer() = Printer::AbovePrompt(Box::new(printer), Mode::now());
        std::thread::spawn(move || read_prompted_lines(&mut editor, prompt, last, &sender));
        Ok(lines)
    }

    /// Gives the terminal back as it was before the prompt. The thread that reads may still wait for a line, as when a
    /// signal ended the program: it will not get to it.
    pub fn close(&self) {
        if let Printer::AbovePrompt(_, before) = std::mem::replace(&mut *self.printer(), Printer::Plain) {
            before.restore();
        }
    }

    /// An answer of the bot.
    pub fn answer(&self, text: &str) {
        let text = paint(self.colours, "\x1b[36m", text);
        // Beside a prompt it must be seen who speaks; in a pipe the answer stands alone.
        let beside_prompt = matches!(*self.printer(), Printer::AbovePrompt(..));
        self.print(&if beside_prompt { format!("bot: {text}") } else { text }, true);
    }

    /// A remark of the program itself.
    pub fn note(&self, text: &str) {
        self.print(&paint(self.colours, "\x1b[2m", text), false);
    }

    /// Where the log goes.
    pub fn writer(&self) -> LogWriter {
        LogWriter { terminal: self.clone() }
    }

    fn print(&self, text: &str, answer: bool) {
        let mut printer = self.printer();
        // A closed pipe at the other end is no reason to stop.
        let _ = match &mut *printer {
            Printer::AbovePrompt(printer, _) => printer.print(format!("{text}\n")).map_err(io::Error::other),
            Printer::Plain => {
                let status = self.status().map(|status| status.clone()).unwrap_or_default();
                self.draw(&status, "");
                let written =
                    if answer { writeln!(io::stdout(), "{text}") } else { writeln!(io::stderr(), "{text}") };
                self.draw("", &status);
                written
            }
        };
    }

    /// Puts one text in the place of another on the last line.
    fn draw(&self, before: &str, after: &str) {
        if before != after {
            let _ = write!(io::stderr(), "\r\x1b[K{after}");
            let _ = io::stderr().flush();
        }
    }

    fn status(&self) -> Option<std::sync::MutexGuard<'_, String>> {
        Some(self.status.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn printer(&self) -> std::sync::MutexGuard<'_, Printer> {
        self.printer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Teller for Terminal {
    fn note(&self, text: &str) {
        Terminal::note(self, text);
    }

    fn line(&self, text: &str) {
        self.print(text, false);
    }

    fn busy(&self, text: Option<&str>) {
        let printer = self.printer();
        // Above a prompt nothing can be replaced.
        if let (Printer::Plain, Some(mut status)) = (&*printer, self.status()) {
            // A line that wraps cannot be replaced either.
            let text: String = text.unwrap_or_default().chars().take(78).collect();
            self.draw(&status, &text);
            *status = text;
        }
    }
}

fn paint(colours: bool, colour: &str, text: &str) -> String {
    if colours { format!("{colour}{text}\x1b[0m") } else { text.to_owned() }
}

fn read_prompted_lines(editor: &mut DefaultEditor, prompt: &str, last: &str, lines: &mpsc::Sender<String>) {
    loop {
        match editor.readline(prompt) {
            Ok(line) => {
                let _ = editor.add_history_entry(line.as_str());
                // Another prompt would change the terminal's mode just when it is given back.
                let ends = line.trim() == last;
                if lines.blocking_send(line).is_err() || ends {
                    return;
                }
            }
            // The window changed its size.
            Err(ReadlineError::Signal(_)) => {}
            Err(_) => return,
        }
    }
}

fn read_plain_lines(lines: &mpsc::Sender<String>) {
    for line in io::stdin().lines() {
        let Ok(line) = line else { return };
        if lines.blocking_send(line).is_err() {
            return;
        }
    }
}

/// What the terminal makes of keys: the prompt wants them one by one and shows them itself.
#[cfg(unix)]
struct Mode(Option<rustix::termios::Termios>);

#[cfg(unix)]
impl Mode {
    fn now() -> Self {
        Self(rustix::termios::tcgetattr(io::stdin()).ok())
    }

    fn restore(self) {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let Some(before) = self.0 else { return };
        let prompt_is_open = tcgetattr(io::stdin())
            .is_ok_and(|now| now.local_modes & LocalModes::ICANON != before.local_modes & LocalModes::ICANON);
        if prompt_is_open {
            // Nobody is left to be told if it fails. The prompt goes, and pasted text is no longer marked as such.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
            let _ = write!(io::stdout(), "\r\x1b[K\x1b[?2004l");
            let _ = io::stdout().flush();
        }
    }
}

/// Other systems set the mode back by themselves.
#[cfg(not(unix))]
struct Mode;

#[cfg(not(unix))]
impl Mode {
    fn now() -> Self {
        Self
    }

    fn restore(self) {}
}

/// Writes whole log lines to the terminal.
#[derive(Clone)]
pub struct LogWriter {
    terminal: Terminal,
}

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.terminal.print(text.trim_end_matches('\n'), false);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
