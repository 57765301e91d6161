//! From a guest's source folder to a component.

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

/// What a build says while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A step of ours, such as "adding the wasm32-wasip2 target with rustup".
    Step(&'a str),
    /// One line of the compiler, colours included.
    Output(&'a str),
}

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
    /// The compiler found errors; they were given to the progress callback.
    #[error("compile `{}`: {errors} error(s), shown above", .dir.display())]
    Compile {
        /// The folder.
        dir: PathBuf,
        /// How many.
        errors: usize,
    },
    /// A tool failed otherwise.
    #[error("{0}")]
    Tool(String),
}

/// Builds the guest in `dir` in release mode. Dropping the future kills the compiler.
pub async fn build(
    _dir: &Path,
    _progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Built, BuildError> {
    unimplemented!()
}
