//! `belfry new`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use belfry_toolchain::Language;

use crate::cli::{NewArgs, Usage};

pub(super) fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let Some(language) = args.lang else {
        return Err(Usage(which(&args.name)).into());
    };
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let files = belfry_toolchain::new_project(&dir, &args.name, language)
        .with_context(|| format!("make the plugin {}", args.name))?;
    let mut text = format!("made {}, a plugin in {}:\n\n", args.name, in_words(language));
    for file in &files {
        let _ = writeln!(text, "  {}", dir.join(file).display());
    }
    let _ = writeln!(text, "\nnext: belfry dev {}", quoted(&dir));
    super::print(&text)
}

fn which(name: &str) -> String {
    let mut text = "which language? Name it with --lang:\n".to_owned();
    for language in Language::ALL {
        let _ = write!(text, "\n  {:<8}{}", language.as_str(), in_words(language));
    }
    let _ = write!(text, "\n\nfor example: belfry new {name} --lang rust");
    text
}

fn in_words(language: Language) -> &'static str {
    match language {
        Language::Rust => "Rust",
        Language::JavaScript => "JavaScript",
        Language::TypeScript => "TypeScript",
        Language::Python => "Python",
        Language::Go => "Go",
        Language::C => "C",
        Language::Zig => "Zig",
        _ => "another language",
    }
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+,:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
