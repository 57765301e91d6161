//! What is said about a config that cannot be used.

use std::fmt;
use std::path::{Path, PathBuf};

use super::MINIMAL;

/// More problems than these are counted, not shown: such a file is no config of ours.
const SHOWN: usize = 50;

/// Longer keys are cut where they are shown, in characters.
const LONGEST_KEY: usize = 200;

/// A place in the config file, both counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing that is wrong, and its mend. Holds no value of the file, since any of them could be a secret
/// in the wrong place; names and paths excepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, when it is at one place in the file.
    pub at: Option<Position>,
    /// The key's path, such as `plugins.todo.limits.memory`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what was expected.
    pub what: String,
    /// How to mend it; may have several lines.
    pub mend: String,
}

impl Problem {
    pub(super) fn into_error(self, path: &Path) -> ConfigError {
        ConfigError::new(path, vec![self])
    }

    fn of_file(what: String, mend: String) -> Self {
        Self { at: None, key: String::new(), what, mend }
    }

    /// Writes the problem as it is shown to people, with the file's name in front.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
        write!(f, "{}", path.display())?;
        if let Some(Position { line, column }) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", Cut(&self.key))?;
        }
        write!(f, ": {}", self.what)?;
        for line in self.mend.lines() {
            let indent = if line.is_empty() { "" } else { "    " };
            write!(f, "\n{indent}{line}")?;
        }
        Ok(())
    }

    /// The problem as shown to people.
    #[must_use]
    pub fn display<'a>(&'a self, path: &'a Path) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| self.write(f, path))
    }
}

/// One line, for a log.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "line {}: ", at.line)?;
        }
        if !self.key.is_empty() {
            write!(f, "{} ", Cut(&self.key))?;
        }
        f.write_str(&self.what)?;
        if !self.mend.is_empty() {
            write!(f, "; {}", self.mend.replace('\n', " "))?;
        }
        Ok(())
    }
}

/// A name from the file, cut if it is long.
struct Cut<'a>(&'a str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(LONGEST_KEY) {
            Some((end, _)) => write!(f, "{}…", self.0.get(..end).unwrap_or_default()),
            None => f.write_str(self.0),
        }
    }
}

/// Why a config cannot be used: one or more problems.
#[derive(Debug, Clone)]
pub struct ConfigError {
    path: PathBuf,
    problems: Vec<Problem>,
}

impl ConfigError {
    /// `problems` must not be empty.
    pub(super) fn new(path: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.at.map(|at| (at.line, at.column)));
        Self { path: path.to_owned(), problems }
    }

    pub(super) fn unreadable(path: &Path, cause: &std::io::Error) -> Self {
        let (what, mend) = if cause.kind() == std::io::ErrorKind::NotFound {
            (
                "there is no such file".to_owned(),
                format!("name another with --config FILE, or create it; the smallest one is\n\n{MINIMAL}"),
            )
        } else {
            (format!("the file cannot be read: {cause}"), "check its permissions".to_owned())
        };
        Problem::of_file(what, mend).into_error(path)
    }

    pub(super) fn too_large(path: &Path, most: u64) -> Self {
        Problem::of_file(
            format!("the file is larger than {} MiB", most >> 20),
            "this is not a config; name the right file with --config FILE".to_owned(),
        )
        .into_error(path)
    }

    pub(super) fn not_utf8(path: &Path, cause: &std::string::FromUtf8Error) -> Self {
        let offset = cause.utf8_error().valid_up_to();
        let line = cause.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
        Problem::of_file(
            format!("line {line} is not UTF-8 text"),
            "save the file as UTF-8 (an editor set to GBK or UTF-16 writes something else)".to_owned(),
        )
        .into_error(path)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong, in the order of the file. Never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("the config cannot be used")?,
            n => write!(f, "the config cannot be used, {n} problems")?,
        }
        for problem in self.problems.iter().take(SHOWN) {
            f.write_str("\n\n")?;
            problem.write(f, &self.path)?;
        }
        if let Some(more @ 1..) = self.problems.len().checked_sub(SHOWN) {
            write!(f, "\n\nand {more} more")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
