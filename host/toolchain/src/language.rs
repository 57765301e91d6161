//! The languages, and how a folder shows its own.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A language that guests are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Language {
    /// Rust, with the crate `belfry-plugin`.
    Rust,
    /// JavaScript, on QuickJS.
    JavaScript,
    /// TypeScript, on QuickJS.
    TypeScript,
    /// Python.
    Python,
    /// Go, with the standard toolchain.
    Go,
    /// C, with clang and wasi-libc or with Zig's compiler.
    C,
    /// Zig.
    Zig,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 7] = [
        Language::Rust,
        Language::JavaScript,
        Language::TypeScript,
        Language::Python,
        Language::Go,
        Language::C,
        Language::Zig,
    ];

    /// The short name, as on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::JavaScript => "js",
            Language::TypeScript => "ts",
            Language::Python => "python",
            Language::Go => "go",
            Language::C => "c",
            Language::Zig => "zig",
        }
    }

    /// What a folder in this language has, one of them being enough. The first language in [`ALL`](Self::ALL)'s order but
    /// for TypeScript, which is looked for before JavaScript.
    fn marks(self) -> &'static [&'static str] {
        match self {
            Language::Rust => &["Cargo.toml"],
            Language::TypeScript => &["tsconfig.json", "bot.ts"],
            Language::JavaScript => &["package.json", "bot.js"],
            Language::Python => &["pyproject.toml", "app.py"],
            Language::Go => &["go.mod"],
            Language::C => &["bot.c"],
            Language::Zig => &["bot.zig"],
        }
    }

    /// The language of the project in `dir`, by the files there; none if none is known by them.
    pub fn detect(dir: &Path) -> Option<Language> {
        const ORDER: [Language; 7] = [
            Language::Rust,
            Language::Go,
            Language::TypeScript,
            Language::JavaScript,
            Language::Python,
            Language::Zig,
            Language::C,
        ];
        ORDER.into_iter().find(|language| language.marks().iter().any(|mark| dir.join(mark).is_file()))
    }

    /// The marks of all languages, in words.
    pub(crate) fn signs() -> String {
        let marks = Self::ALL.map(|language| format!("{} ({language})", language.marks().join(" or ")));
        marks.join(", ")
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No language has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no language there is a template for; there are {names}", names = names())]
pub struct UnknownLanguage(pub String);

fn names() -> String {
    Language::ALL.map(Language::as_str).join(", ")
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// Takes the short name, and what else people call it: `javascript`, `typescript`, `py`, `rs`, `golang`.
    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        match text.to_ascii_lowercase().as_str() {
            "rust" | "rs" => Ok(Language::Rust),
            "js" | "javascript" => Ok(Language::JavaScript),
            "ts" | "typescript" => Ok(Language::TypeScript),
            "python" | "py" => Ok(Language::Python),
            "go" | "golang" => Ok(Language::Go),
            "c" => Ok(Language::C),
            "zig" => Ok(Language::Zig),
            _ => Err(UnknownLanguage(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for language in Language::ALL {
            assert_eq!(language.to_string().parse(), Ok(language));
        }
        assert_eq!("TypeScript".parse(), Ok(Language::TypeScript));
        let error = "cobol".parse::<Language>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`cobol` is no language there is a template for; there are rust, js, ts, python, go, c, zig"
        );
    }

    #[test]
    fn a_folder_shows_its_language() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Language::detect(dir.path()), None);
        std::fs::write(dir.path().join("package.json"), "{}").unwrap();
        assert_eq!(Language::detect(dir.path()), Some(Language::JavaScript));
        std::fs::write(dir.path().join("tsconfig.json"), "{}").unwrap();
        assert_eq!(Language::detect(dir.path()), Some(Language::TypeScript));
        std::fs::write(dir.path().join("Cargo.toml"), "").unwrap();
        assert_eq!(Language::detect(dir.path()), Some(Language::Rust));
    }
}
