//! Lines in and out. While a prompt is open, what is printed goes above it.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use rustyline::{DefaultEditor, ExternalPrinter, error::ReadlineError};
use tokio::sync::mpsc;
use tracing_subscriber::fmt::MakeWriter;

use crate::logging;

/// The person's terminal, or the pipes that stand for it. Cheap to clone.
#[derive(Clone)]
pub struct Terminal {
    printer: Arc<Mutex<Printer>>,
    editor: Arc<Mutex<Option<DefaultEditor>>>,
    colours: bool,
}

enum Printer {
    /// Above an open prompt.
    AbovePrompt(Box<dyn ExternalPrinter + Send>),
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
        Self { printer: Arc::new(Mutex::new(Printer::Plain)), editor: Arc::new(Mutex::new(editor)), colours }
    }

    /// The lines a person types, until the end of input or Ctrl-C. Opens the prompt.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub fn lines(&self, prompt: &'static str) -> Result<mpsc::Receiver<String>> {
        let (sender, lines) = mpsc::channel(16);
        let editor = self.editor.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut editor) = editor else {
            std::thread::spawn(move || read_plain_lines(&sender));
            return Ok(lines);
        };
        let printer = editor.create_external_printer().context("use the terminal")?;
        *self.printer() = Printer::AbovePrompt(Box::new(printer));
        std::thread::spawn(move || read_prompted_lines(&mut editor, prompt, &sender));
        Ok(lines)
    }

    /// An answer of the bot.
    pub fn answer(&self, text: &str) {
        self.print(&paint(self.colours, "\x1b[36m", text), true);
    }

    /// A remark of the program itself.
    pub fn note(&self, text: &str) {
        self.print(&paint(self.colours, "\x1b[2m", text), false);
    }

    /// A line of another program, as it is.
    pub fn line(&self, text: &str) {
        self.print(text, false);
    }

    /// Where the log goes.
    pub fn writer(&self) -> LogWriter {
        LogWriter { terminal: self.clone() }
    }

    fn print(&self, text: &str, answer: bool) {
        // A closed pipe at the other end is no reason to stop.
        let _ = match &mut *self.printer() {
            Printer::AbovePrompt(printer) => printer.print(format!("{text}\n")).map_err(io::Error::other),
            Printer::Plain if answer => writeln!(io::stdout(), "{text}"),
            Printer::Plain => writeln!(io::stderr(), "{text}"),
        };
    }

    fn printer(&self) -> std::sync::MutexGuard<'_, Printer> {
        self.printer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn paint(colours: bool, colour: &str, text: &str) -> String {
    if colours { format!("{colour}{text}\x1b[0m") } else { text.to_owned() }
}

fn read_prompted_lines(editor: &mut DefaultEditor, prompt: &str, lines: &mpsc::Sender<String>) {
    loop {
        match editor.readline(prompt) {
            Ok(line) => {
                let _ = editor.add_history_entry(line.as_str());
                if lines.blocking_send(line).is_err() {
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
