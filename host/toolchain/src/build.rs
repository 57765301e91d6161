//! Building a folder, whatever its language.

use std::path::{Path, PathBuf};

use crate::{Language, c, go, javascript, python, rust, zig};

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
    /// Where the compiler puts its files; none leaves it to the tool (Rust), or is `build` in the project's folder.
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
    /// It compiled, but the component does not do what the project's WIT promises.
    #[error("build `{}`: {reason}", .dir.display())]
    World {
        /// The folder.
        dir: PathBuf,
        /// What is missing or differs, and how to mend it.
        reason: String,
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
    let not_a_guest = |reason: String| BuildError::NotAGuest { dir: dir.to_owned(), reason };
    if !dir.is_dir() {
        return Err(not_a_guest("there is no such folder".into()));
    }
    let Some(language) = Language::detect(dir) else {
        return Err(not_a_guest(format!(
            "no language is known by its files; looked for {}",
            Language::signs()
        )));
    };
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    match language {
        Language::Rust => rust::build(&absolute, options, progress).await,
        Language::JavaScript => javascript::build(&absolute, options, progress).await,
        Language::TypeScript => javascript::build_typescript(&absolute, options, progress).await,
        Language::Python => python::build(&absolute, options, progress).await,
        Language::Go => go::build(&absolute, options, progress).await,
        Language::C => c::build(&absolute, options, progress).await,
        Language::Zig => zig::build(&absolute, options, progress).await,
    }
}
