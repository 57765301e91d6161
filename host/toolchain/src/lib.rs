//! From a guest's source folder to a component.
//!
//! [`build`] finds out which language the folder holds, makes sure of the tools, and runs them. It says what it does
//! as it goes, line by line, through a callback. Dropping its future stops the compiler and everything it started.

mod process;
mod rust;

use std::path::{Path, PathBuf};

/// What a build made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The package's name.
    pub name: String,
    /// The package's description, empty if it has none.
    pub description: String,
    /// The component.
    pub wasm: PathBuf,
}

/// How a build is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether the compiler may colour its output.
    pub color: bool,
    /// Where the compiler puts its files; none leaves it to the tool.
    pub target_dir: Option<PathBuf>,
}

/// What a build says while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A step of ours, such as "adding the target wasm32-wasip2 with rustup".
    Step(&'a str),
    /// One line of a tool.
    Output(&'a str),
}

/// Takes what a build says.
pub type OnProgress<'a> = &'a mut (dyn FnMut(Progress<'_>) + Send);

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The folder holds no guest of a known language.
    #[error("build `{}`: {reason}", .dir.display())]
    NotAGuest {
        /// The folder.
        dir: PathBuf,
        /// What was looked for.
        reason: String,
    },
    /// A tool is missing.
    #[error("run `{tool}`: {hint}")]
    ToolMissing {
        /// The program.
        tool: &'static str,
        /// How to get it.
        hint: String,
    },
    /// The compiler found errors; they were given to the callback.
    #[error("compile `{}`: the compiler's errors are above", .dir.display())]
    Compile {
        /// The folder.
        dir: PathBuf,
    },
    /// A tool failed otherwise.
    #[error("{0}")]
    Tool(String),
}

/// Builds the guest in `dir` in release mode.
///
/// # Errors
///
/// No guest there, a tool missing that cannot be installed, or a compile error. What served before need not be
/// touched: the component is only replaced by a finished one.
pub async fn build(dir: &Path, progress: OnProgress<'_>) -> Result<Built, BuildError> {
    build_with(dir, &Options::default(), progress).await
}

/// As [`build`], with options.
///
/// # Errors
///
/// As [`build`].
pub async fn build_with(
    dir: &Path,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Built, BuildError> {
    if !dir.is_dir() {
        return Err(BuildError::NotAGuest { dir: dir.to_owned(), reason: "there is no such folder".into() });
    }
    match rust::Guest::detect(dir)? {
        Some(guest) => guest.build(options, progress).await,
        None => Err(BuildError::NotAGuest {
            dir: dir.to_owned(),
            reason: "it has no Cargo.toml, so it is no Rust plugin; other languages are not built here yet"
                .into(),
        }),
    }
}
