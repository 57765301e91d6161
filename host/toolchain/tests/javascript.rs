//! Builds projects in JavaScript and TypeScript with the real tools, as `belfry new` writes them and with mistakes in them.
//!
//! `cargo xtask test` installs the tools and names their folder in `BELFRY_GUEST_NODE_MODULES`; without it there is nothing to
//! build with, and each test says so and passes, unless `BELFRY_REQUIRE_ALL=1`.
#![expect(clippy::unwrap_used, reason = "this is a test, which clippy knows of functions marked as one only")]

use std::path::{Path, PathBuf};

use belfry_toolchain::{BuildError, Built, Language, Options, Progress, build_with, new_project};

/// A new project, with the tools linked into it.
struct Project(tempfile::TempDir);

impl Project {
    fn new(language: Language) -> Option<Project> {
        let Some(modules) = std::env::var_os("BELFRY_GUEST_NODE_MODULES") else {
            let required = std::env::var_os("BELFRY_REQUIRE_ALL").is_some_and(|value| value == "1");
            assert!(!required, "BELFRY_GUEST_NODE_MODULES is not set; run `cargo xtask test`");
            eprintln!("skipped: BELFRY_GUEST_NODE_MODULES is not set; run `cargo xtask test`");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        new_project(dir.path(), "todo", language).unwrap();
        std::os::unix::fs::symlink(modules, dir.path().join("node_modules")).unwrap();
        Some(Project(dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "`{name}` has no `{from}`");
        std::fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    /// What came of a build, and what it said.
    async fn build(&self) -> (Result<Built, BuildError>, String) {
        build(self.0.path()).await
    }
}

async fn build(dir: &Path) -> (Result<Built, BuildError>, String) {
    let mut said = String::new();
    let mut progress = |progress: Progress<'_>| {
        let (Progress::Step(line) | Progress::Output(line)) = progress else { return };
        said.push_str(line);
        said.push('\n');
    };
    let built = build_with(dir, &Options::default(), &mut progress).await;
    (built, said)
}

#[tokio::test]
async fn new_projects_build() {
    for language in [Language::JavaScript, Language::TypeScript] {
        let Some(project) = Project::new(language) else { return };
        let (built, said) = project.build().await;
        let built = built.unwrap_or_else(|error| panic!("{language}: {error}\n{said}"));
        assert_eq!((built.name.as_str(), said.as_str()), ("todo", ""), "{language}");
        assert!(built.wasm.is_file());
    }
}

#[tokio::test]
async fn a_misnamed_export_is_found() {
    let Some(project) = Project::new(Language::JavaScript) else { return };
    project.edit("bot.js", "onMessage(message)", "onMesage(message)");
    let (built, _) = project.build().await;
    let error = built.unwrap_err();
    assert!(matches!(error, BuildError::World { .. }), "{error:?}");
    let error = error.to_string();
    assert!(
        error.contains("`messageHandler` of `bot.js` has no function `onMessage`: it has `onMesage`"),
        "{error}"
    );
    assert!(error.contains("export const messageHandler = { onMessage(…) { … } };"), "{error}");

    project.edit("bot.js", "export const messageHandler", "export const message_handler");
    let error = project.build().await.0.unwrap_err().to_string();
    assert!(error.contains("`bot.js` does not export `messageHandler`"), "{error}");
    assert!(error.contains("it exports `describe`, `message_handler`"), "{error}");
}

#[tokio::test]
async fn mistakes_are_shown_where_they_are() {
    let Some(project) = Project::new(Language::JavaScript) else { return };
    let source = std::fs::read_to_string(project.path("bot.js")).unwrap();
    let cases = [
        ("return pass;", "return pass);", "bot.js:12:"),
        ("export const describe", "import \"node:fs\";\nexport const describe", "none of Node.js's modules"),
        (
            "export const describe",
            "import \"left-pad\";\nexport const describe",
            "Could not resolve \"left-pad\"",
        ),
        ("export const describe", "null.x;\nexport const describe", "bot.js:"),
        (
            "export const describe",
            "kv.get(\"x\");\nexport const describe",
            "`wasi:keyvalue/store@0.2.0-draft2#open` was called while a module was evaluated",
        ),
    ];
    for (from, to, expected) in cases {
        project.edit("bot.js", from, to);
        let (built, said) = project.build().await;
        assert!(matches!(built, Err(BuildError::Compile { .. })), "{to}: {built:?}\n{said}");
        assert!(said.contains(expected), "{to}: {said}");
        assert!(!said.contains("wasm backtrace") && !said.contains("user.js"), "{to}: {said}");
        std::fs::write(project.path("bot.js"), &source).unwrap();
    }
}

#[tokio::test]
async fn a_wrong_type_fails_a_build_of_typescript() {
    let Some(project) = Project::new(Language::TypeScript) else { return };
    project.edit("bot.ts", "description: \"Keeps a list\"", "description: 1");
    let (built, said) = project.build().await;
    assert!(matches!(built, Err(BuildError::Compile { .. })), "{built:?}");
    assert!(
        said.contains("bot.ts") && said.contains("Type 'number' is not assignable to type 'string'"),
        "{said}"
    );
}

#[tokio::test]
async fn a_package_that_is_not_named_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    new_project(dir.path(), "todo", Language::JavaScript).unwrap();
    std::fs::write(dir.path().join("package.json"), "{}").unwrap();
    let (built, _) = build(dir.path()).await;
    let error = built.unwrap_err().to_string();
    // Without Node.js the build says that first.
    let node = error.contains("npm install --save-dev --save-exact esbuild componentize-qjs");
    assert!(node || error.contains("https://nodejs.org"), "{error}");
}

/// Whoever makes a new project gets the versions that are tested here.
#[test]
fn the_tested_tools_are_those_of_the_templates() {
    let read = |path: &str| -> serde_json::Map<String, serde_json::Value> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        value.get("devDependencies").unwrap().as_object().unwrap().clone()
    };
    let tested = read("tests/tools/package.json");
    assert_eq!(read("templates/typescript/package.json"), tested);
    let mut javascript = tested;
    javascript.remove("typescript");
    assert_eq!(read("templates/javascript/package.json"), javascript);
    let python = Path::new(env!("CARGO_MANIFEST_DIR"));
    let version = std::fs::read_to_string(python.join("tests/tools/requirements.txt")).unwrap();
    let template = std::fs::read_to_string(python.join("templates/python/pyproject.toml")).unwrap();
    assert!(template.contains(version.trim()), "{version}");
}
