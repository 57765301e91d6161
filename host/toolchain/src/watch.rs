//! Which files of a project call for another build.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::{Language, rust};

/// What a dev loop watches.
#[derive(Clone, Debug)]
pub struct WatchPaths {
    roots: Vec<PathBuf>,
}

/// What a dev loop watches for the project in `dir`.
pub fn watch_paths(dir: &Path, language: Language) -> WatchPaths {
    let mut roots = vec![dir.to_owned()];
    if language == Language::Rust {
        roots.extend(rust::path_dependencies(dir).into_iter().filter(|path| !path.starts_with(dir)));
    }
    WatchPaths { roots }
}

/// Folders that tools write, whatever the language.
const OUTPUTS: &[&str] = &[
    "__pycache__",
    "bindings",
    "build",
    "dist",
    "node_modules",
    "target",
    "venv",
    "wit_world",
    "zig-cache",
    "zig-out",
];

/// Files that tools write.
const OUTPUT_FILES: &[&str] = &["Cargo.lock", "go.sum", "package-lock.json"];

impl WatchPaths {
    /// The folders to be watched, with all below them.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Whether a change of this file calls for a build: not what a build or an editor writes, nothing hidden, no component.
    pub fn is_source(&self, path: &Path) -> bool {
        let Some(inside) = self.roots.iter().find_map(|root| path.strip_prefix(root).ok()) else {
            return false;
        };
        let skipped = |part: &OsStr| {
            let part = part.to_string_lossy();
            part.starts_with('.') || OUTPUTS.contains(&part.as_ref())
        };
        let Some(name) = inside.file_name().map(OsStr::to_string_lossy) else { return false };
        !inside.components().any(|part| skipped(part.as_os_str()))
            && !OUTPUT_FILES.contains(&name.as_ref())
            // Backups of editors, and the file by which Vim finds out whether it may write into a folder.
            && !name.ends_with('~')
            && name != "4913"
            && !name.ends_with(".wasm")
            && !name.ends_with(".new")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_or_an_editor_writes_is_no_source() {
        let watch = WatchPaths { roots: vec!["/p".into(), "/sdk".into()] };
        for path in ["/p/src/lib.rs", "/p/Cargo.toml", "/p/wit/world.wit", "/p/bot.js", "/sdk/src/lib.rs"] {
            assert!(watch.is_source(Path::new(path)), "{path}");
        }
        for path in [
            "/p/target/x.wasm",
            "/p/Cargo.lock",
            "/p/src/.lib.rs.swp",
            "/p/src/lib.rs~",
            "/p",
            "/q/src/lib.rs",
            "/p/build/bot.h",
            "/p/node_modules/a/index.js",
            "/p/__pycache__/app.pyc",
            "/p/todo.wasm",
            "/p/.git/index",
        ] {
            assert!(!watch.is_source(Path::new(path)), "{path}");
        }
    }
}
