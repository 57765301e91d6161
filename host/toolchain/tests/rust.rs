//! Building guests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use belfry_toolchain::{BuildError, Options, Progress, build, build_with};

/// Cargo's target directory, found from this very program.
fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).unwrap().to_owned()
}

fn crate_in(dir: &Path, manifest: &str, source: &str) {
    std::fs::create_dir_all(dir.join("src")).unwrap();
    std::fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(dir.join("src/lib.rs"), source).unwrap();
}

const MANIFEST: &str = r#"
[package]
name = "tiny-guest"
version = "0.1.0"
edition = "2024"
description = "Tiny"
[lib]
crate-type = ["cdylib"]
[workspace]
"#;

async fn reason(dir: &Path) -> String {
    let error = build(dir, &mut |_| {}).await.unwrap_err();
    error.to_string().replace(&dir.display().to_string(), "DIR")
}

#[tokio::test]
async fn folders_that_are_no_guest_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert_eq!(reason(&dir.join("absent")).await, "build `DIR`: there is no such folder");
    assert!(reason(dir).await.contains("no language is known by its files; looked for"));
    std::fs::write(dir.join("Cargo.toml"), "[package").unwrap();
    assert!(reason(dir).await.contains("`Cargo.toml` is not valid"));
    std::fs::write(dir.join("Cargo.toml"), "[workspace]\nmembers = []").unwrap();
    assert!(reason(dir).await.contains("name the folder of one plugin"));
    std::fs::write(dir.join("Cargo.toml"), "[package]\nname = \"x\"").unwrap();
    assert!(reason(dir).await.contains("crate-type = [\"cdylib\"]"));
}

#[tokio::test]
async fn a_guest_is_built_and_named() {
    let dir = tempfile::tempdir().unwrap();
    crate_in(dir.path(), MANIFEST, "");
    let options = Options { target_dir: Some(target_dir().join("guests-tiny")), ..Options::default() };
    let built = build_with(dir.path(), &options, &mut |_| {}).await.unwrap();
    assert_eq!((built.name.as_str(), built.description.as_str()), ("tiny-guest", "Tiny"));
    assert!(std::fs::read(&built.wasm).unwrap().starts_with(b"\0asm\x0d"));
}

#[tokio::test]
async fn a_compile_error_is_shown_as_the_compiler_says_it() {
    let dir = tempfile::tempdir().unwrap();
    crate_in(dir.path(), MANIFEST, "fn f() -> u32 { \"text\" }");
    let mut said = String::new();
    let options = Options { target_dir: Some(dir.path().join("target")), ..Options::default() };
    let mut note = |progress: Progress<'_>| {
        if let Progress::Output(line) = progress {
            said += line;
            said.push('\n');
        }
    };
    let error = build_with(dir.path(), &options, &mut note).await.unwrap_err();
    assert!(matches!(error, BuildError::Compile { .. }), "{error}");
    assert!(said.contains("error[E0308]: mismatched types"), "{said}");
    assert!(said.contains("src/lib.rs:1"), "{said}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_dropped_build_takes_the_compiler_with_it() {
    let dir = tempfile::tempdir().unwrap();
    crate_in(dir.path(), MANIFEST, "");
    // A build script that says which process it is, then waits for much longer than this test.
    let pid_file = dir.path().join("pid");
    let script = "fn main() { std::fs::write(\"pid\", std::process::id().to_string()).unwrap(); \
                  std::thread::sleep(std::time::Duration::from_secs(600)); }";
    std::fs::write(dir.path().join("build.rs"), script).unwrap();
    let options = Options { target_dir: Some(dir.path().join("target")), ..Options::default() };
    let building = tokio::spawn({
        let dir = dir.path().to_owned();
        async move { build_with(&dir, &options, &mut |_| {}).await.map(|_| ()) }
    });
    let pid = loop {
        assert!(!building.is_finished(), "the build ended early");
        match std::fs::read_to_string(&pid_file) {
            Ok(pid) if !pid.is_empty() => break pid,
            _ => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    };
    building.abort();
    // A killed process nobody has waited for yet is a zombie.
    let runs = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z"))
    };
    while runs() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
