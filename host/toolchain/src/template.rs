//! New projects: the files of a template, with the project's name put in.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Language, c, go, javascript, python, rust, wit, zig};

/// A file of a template. `{{name}}` in its path and its text stands for the project's name, `{{snake}}` for the name with
/// `_` for `-`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    /// Where it goes, within the project.
    pub(crate) path: &'static str,
    /// What it holds.
    pub(crate) text: &'static str,
}

/// The files of a template, `PATH => SOURCE`, the source relative to `host/toolchain/templates`.
macro_rules! files {
    ($($path:literal => $source:literal),* $(,)?) => {
        &[$($crate::template::File {
            path: $path,
            text: include_str!(concat!("../templates/", $source)),
        }),*]
    };
}
pub(crate) use files;

/// Why there is no new project.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewError {
    /// The name will not do.
    #[error("`{name}` cannot be a plugin's name: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Something is there already. Nothing was written.
    #[error("write `{}`: it is there already; choose another folder, or remove it first", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder cannot be written.
    #[error("write `{}`: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Writes a new project in `language` into the folder `dir`, which is made if it is not there, and returns the paths of its
/// files, without `dir`, in the order of their names. Nothing is ever overwritten.
///
/// `name` becomes the name of the plugin, of the package, and of the package of its WIT, so it has 1 to 64 small letters,
/// digits and single `-`; each part between `-` begins with a letter.
///
/// # Errors
///
/// A name that will not do, a file that is there already (nothing was written then), a folder that cannot be written.
pub fn new_project(dir: &Path, name: &str, language: Language) -> Result<Vec<PathBuf>, NewError> {
    check_name(name)?;
    let fill = |text: &str| text.replace("{{name}}", name).replace("{{snake}}", &name.replace('-', "_"));
    let files = files_of(language);
    let mut paths: Vec<PathBuf> = files.iter().map(|(path, _)| PathBuf::from(fill(path))).collect();
    for path in &paths {
        let path = dir.join(path);
        if path.symlink_metadata().is_ok() {
            return Err(NewError::Exists { path });
        }
    }
    for ((_, text), path) in files.iter().zip(&paths) {
        write_new(&dir.join(path), &fill(text))?;
    }
    paths.sort();
    Ok(paths)
}

/// Paths and texts, with their placeholders.
fn files_of(language: Language) -> Vec<(String, &'static str)> {
    let own = match language {
        Language::Rust => rust::TEMPLATE,
        Language::JavaScript => javascript::TEMPLATE,
        Language::TypeScript => javascript::TYPESCRIPT_TEMPLATE,
        Language::Python => python::TEMPLATE,
        Language::Go => go::TEMPLATE,
        Language::C => c::TEMPLATE,
        Language::Zig => zig::TEMPLATE,
    };
    let mut files: Vec<_> = own.iter().map(|file| (file.path.to_owned(), file.text)).collect();
    match language {
        Language::Rust => files.extend(rust::sdk()),
        _ => {
            files.extend([wit::WORLD].iter().chain(wit::FILES).map(|file| (file.path.to_owned(), file.text)))
        }
    }
    files
}

fn write_new(path: &Path, text: &str) -> Result<(), NewError> {
    let io = |source| NewError::Io { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => NewError::Exists { path: path.to_owned() },
        _ => io(error),
    })?;
    file.write_all(text.as_bytes()).map_err(io)
}

/// Names that a tool or an operating system keeps for itself.
const KEPT: &[&str] = &[
    "alloc",
    "aux",
    "belfry",
    "belfry-plugin",
    "bot",
    "build",
    "con",
    "core",
    "deps",
    "examples",
    "main",
    "nul",
    "prn",
    "proc-macro",
    "std",
    "test",
    "wasi",
    "wit-bindgen",
];

fn check_name(name: &str) -> Result<(), NewError> {
    let bad = |reason: &str| Err(NewError::Name { name: name.to_owned(), reason: reason.to_owned() });
    if name.is_empty() || name.len() > 64 {
        return bad("it must have 1 to 64 characters");
    }
    let part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_lowercase())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if !name.split('-').all(part) {
        return bad(
            "use small letters, digits and single `-`, and begin each part with a letter, such as `todo-list`",
        );
    }
    if KEPT.contains(&name) {
        return bad("it is kept for another use; add a word, such as `my-NAME`");
    }
    let mut scratch = wit_parser::Resolve::default();
    if scratch.push_str("name.wit", &format!("package bot:{name};")).is_err() {
        return bad("it is a word of WIT; add another word, such as `my-NAME`");
    }
    if RUST_WORDS.contains(&name) {
        return bad("it is a word of Rust; add another word, such as `my-NAME`");
    }
    Ok(())
}

const RUST_WORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_every_tool_takes_will_do() {
        for name in ["todo", "todo-list", "b2b"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in
            ["", "Todo", "todo_list", "-todo", "a--b", "2b", "a-2", "../x", "a/b", "con", "world", "fn", "ä"]
        {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name(&"a".repeat(65)).is_err());
    }

    #[test]
    fn nothing_is_overwritten() {
        for language in Language::ALL {
            let dir = tempfile::tempdir().unwrap();
            let paths = new_project(dir.path(), "todo-list", language).unwrap();
            for path in &paths {
                let text = std::fs::read_to_string(dir.path().join(path)).unwrap();
                assert!(!text.contains("{{name}}") && !text.contains("{{snake}}"), "{language}: {path:?}");
            }
            // A language whose template is still to come.
            let Some(last) = paths.last() else { continue };
            let last = dir.path().join(last);
            std::fs::write(&last, "mine").unwrap();
            let error = new_project(dir.path(), "todo-list", language).unwrap_err();
            assert!(matches!(error, NewError::Exists { .. }), "{language}: {error}");
            assert_eq!(std::fs::read_to_string(&last).unwrap(), "mine");
        }
    }
}
