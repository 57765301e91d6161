//! The same bot in every language, built as an author builds it, holds the same conversation (`examples/tests`, in words in
//! `examples/CONVERSATION.md`). A language whose tools are not installed is named and skipped, unless BELFRY_REQUIRE_ALL is
//! set.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use belfry_toolchain::{BuildError, Language, Options, Progress, build_with};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Builds `examples/NAME`; none if its tools are missing here.
async fn build(name: &str) -> Option<PathBuf> {
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().nth(3).unwrap().join("examples").join(name);
    let options = Options { target_dir: Some(target), ..Options::default() };
    let mut said = String::new();
    let mut note = |progress: Progress<'_>| said += &format!("{progress:?}\n");
    let started = Instant::now();
    match build_with(&examples().join(name), &options, &mut note).await {
        Ok(built) => {
            let size = std::fs::metadata(&built.wasm).unwrap().len();
            eprintln!("{name}: {size} bytes, built in {:.1} s", started.elapsed().as_secs_f64());
            assert_eq!((built.name.as_str(), built.description.as_str()), ("notes", "Keeps notes"));
            Some(built.wasm)
        }
        Err(error @ BuildError::ToolMissing { .. }) if std::env::var_os("BELFRY_REQUIRE_ALL").is_none() => {
            eprintln!("skipped {name}: {error}");
            None
        }
        Err(error) => panic!("{error}\n{said}"),
    }
}

/// Builds the bot in `examples/NAME` and holds the conversation with it.
async fn converses(name: &str, language: Language) {
    assert_eq!(Language::detect(&examples().join(name)), Some(language));
    let Some(wasm) = build(name).await else { return };
    let mut belfry = tokio::process::Command::new(env!("CARGO_BIN_EXE_belfry"));
    belfry.arg("test").arg(examples()).arg("--plugin").arg(wasm).stdin(Stdio::null());
    let output = belfry.output().await.unwrap();
    let out = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}");
    assert!(out.contains("2 passed, 0 failed"), "{out}");
}

#[tokio::test]
async fn rust() {
    converses("rust", Language::Rust).await;
}

#[tokio::test]
async fn c() {
    converses("c", Language::C).await;
}

#[tokio::test]
async fn go() {
    converses("go", Language::Go).await;
}

#[tokio::test]
async fn zig() {
    converses("zig", Language::Zig).await;
}
