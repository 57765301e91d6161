//! Builds projects in Python with componentize-py, as `belfry new` writes them and with mistakes in them.
//!
//! `cargo xtask test` installs it and names its environment in `BELFRY_GUEST_VENV`; without it there is nothing to build with,
//! and each test says so and passes, unless `BELFRY_REQUIRE_ALL=1`.
#![expect(clippy::unwrap_used, reason = "this is a test, which clippy knows of functions marked as one only")]

use belfry_toolchain::{BuildError, Built, Language, Options, Progress, build_with, new_project};

/// A new project, with the tool linked into it.
fn project() -> Option<tempfile::TempDir> {
    let Some(venv) = std::env::var_os("BELFRY_GUEST_VENV") else {
        let required = std::env::var_os("BELFRY_REQUIRE_ALL").is_some_and(|value| value == "1");
        assert!(!required, "BELFRY_GUEST_VENV is not set; run `cargo xtask test`");
        eprintln!("skipped: BELFRY_GUEST_VENV is not set; run `cargo xtask test`");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    new_project(dir.path(), "todo", Language::Python).unwrap();
    std::os::unix::fs::symlink(venv, dir.path().join(".venv")).unwrap();
    Some(dir)
}

/// What came of a build, and what it said.
async fn build(dir: &tempfile::TempDir) -> (Result<Built, BuildError>, String) {
    let mut said = String::new();
    let mut progress = |progress: Progress<'_>| {
        let (Progress::Step(line) | Progress::Output(line)) = progress else { return };
        said.push_str(line);
        said.push('\n');
    };
    let built = build_with(dir.path(), &Options::default(), &mut progress).await;
    (built, said)
}

#[tokio::test]
async fn a_new_project_builds() {
    let Some(dir) = project() else { return };
    let (built, said) = build(&dir).await;
    let built = built.unwrap_or_else(|error| panic!("{error}\n{said}"));
    assert_eq!((built.name.as_str(), said.as_str()), ("todo", ""));
    assert!(built.wasm.is_file());
    assert!(dir.path().join("bindings/wit_world/imports/types.py").is_file());
}

#[tokio::test]
async fn mistakes_are_shown_where_they_are() {
    let Some(dir) = project() else { return };
    let app = dir.path().join("app.py");
    let source = std::fs::read_to_string(&app).unwrap();
    let cases = [
        (
            "def on_message",
            "def on_mesage",
            "class `MessageHandler` of `app.py` has no method `on_message`: it has `on_mesage`",
        ),
        ("return PASS", "return PASS)", "  File \"app.py\", line 19\n    return PASS)"),
        (
            "class Describe",
            "kv.get(\"x\")\nclass Describe",
            "`wasi:keyvalue/store@0.2.0-draft2#open` was called while a module was imported",
        ),
    ];
    for (from, to, expected) in cases {
        std::fs::write(&app, source.replacen(from, to, 1)).unwrap();
        let (built, said) = build(&dir).await;
        let error = built.unwrap_err().to_string();
        assert!(said.contains(expected) || error.contains(expected), "{to}: {error}\n{said}");
        assert!(!said.contains("wasm backtrace") && !said.contains("belfry_guest"), "{to}: {said}");
    }
}
