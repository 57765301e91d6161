//! Every template builds as it is. What is not installed is named and skipped, unless BELFRY_REQUIRE_ALL is set.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use belfry_toolchain::{
    BuildError, Language, Options, Progress, build_with, check_world, new_project, watch_paths,
};

async fn builds(language: Language) {
    let dir = tempfile::tempdir().unwrap();
    new_project(dir.path(), "todo-list", language).unwrap();
    assert_eq!(Language::detect(dir.path()), Some(language));
    let mut said = String::new();
    let mut note = |progress: Progress<'_>| said += &format!("{progress:?}\n");
    let started = std::time::Instant::now();
    let built = match build_with(dir.path(), &Options::default(), &mut note).await {
        Ok(built) => built,
        Err(error @ BuildError::ToolMissing { .. }) if std::env::var_os("BELFRY_REQUIRE_ALL").is_none() => {
            return eprintln!("skipped: {error}");
        }
        Err(error) => panic!("{error}\n{said}"),
    };
    let size = std::fs::metadata(&built.wasm).unwrap().len();
    eprintln!("{language}: {size} bytes in {:?}", started.elapsed());
    assert_eq!(built.name, "todo-list");
    assert!(!watch_paths(dir.path(), language).is_source(&built.wasm), "{:?}", built.wasm);
    // Nothing that is written by the build calls for another one.
    let again = build_with(dir.path(), &Options::default(), &mut |_| {}).await.unwrap();
    assert_eq!(again, built);
    if language == Language::C {
        says_what_is_missing(&built.wasm).await;
    }
}

/// A world that promises more than there is.
async fn says_what_is_missing(wasm: &std::path::Path) {
    let dir = tempfile::tempdir().unwrap();
    let world = "package bot:todo;\nworld bot {\n  export belfry:bot/event-handler@0.1.0;\n}\n";
    std::fs::write(dir.path().join("world.wit"), world).unwrap();
    let error = check_world(&std::fs::read(wasm).unwrap(), dir.path()).unwrap_err().to_string();
    let wanted = "`wit/world.wit` exports `belfry:bot/event-handler@0.1.0`, but the component exports \
                  `belfry:bot/message-handler@0.1.0`, `belfry:bot/describe@0.1.0`; write its functions (`on-event`)";
    assert!(error.contains(wanted), "{error}");
    let error = check_world(b"\0asm\x01\0\0\0", dir.path()).unwrap_err().to_string();
    assert!(error.starts_with("it is no component"), "{error}");
}

#[tokio::test]
async fn the_go_template_builds() {
    builds(Language::Go).await;
}

#[tokio::test]
async fn the_c_template_builds() {
    builds(Language::C).await;
}

#[tokio::test]
async fn the_zig_template_builds() {
    builds(Language::Zig).await;
}

#[tokio::test]
async fn the_rust_template_builds() {
    builds(Language::Rust).await;
}
