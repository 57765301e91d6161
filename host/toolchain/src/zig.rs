//! Guests written in zig.

use std::path::Path;

use crate::template::{File, files};
use crate::{BuildError, Built, OnProgress, Options};

/// The files of a new project.
pub(crate) const TEMPLATE: &[File] = files! {};

/// Builds the project in `dir`.
pub(crate) async fn build(
    dir: &Path,
    _options: &Options,
    _progress: OnProgress<'_>,
) -> Result<Built, BuildError> {
    Err(BuildError::Tool(format!("build `{}`: this language is not built here yet", dir.display())))
}
