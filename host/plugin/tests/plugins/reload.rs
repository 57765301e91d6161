//! The live set: files that come, change and go while messages are answered.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use belfry_plugin_host::{PluginEvent, PluginSpec, Plugins, PluginsConfig, PluginsError};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

use crate::support::{ask, fail, host, naughty_build, say};

/// A plugin folder, the live set on it, and what happened.
struct Fixture {
    folder: PathBuf,
    plugins: Plugins,
    events: Receiver<PluginEvent>,
    _dir: TempDir,
}

impl Fixture {
    /// Starts with `files` in the folder, by name and build.
    async fn start(files: &[(&str, &str)]) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("plugins");
        std::fs::create_dir(&folder).unwrap();
        for (name, build) in files {
            std::fs::write(folder.join(name), naughty_build(build).await).unwrap();
        }
        Fixture::with(dir, folder, Vec::new()).await
    }

    async fn with(dir: TempDir, folder: PathBuf, specs: Vec<PluginSpec>) -> Fixture {
        let config = PluginsConfig { specs, folder: Some(folder.clone()) };
        let plugins = Plugins::start(host(), config).await.unwrap();
        let events = plugins.events();
        Fixture { folder, plugins, events, _dir: dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn names(&self) -> Vec<String> {
        self.plugins.current().plugins.iter().map(|plugin| plugin.name().to_owned()).collect()
    }

    /// What happens next, other than the sweep that follows every start.
    async fn event(&mut self) -> PluginEvent {
        let wait = tokio::time::timeout(Duration::from_secs(60), self.events.recv());
        wait.await.expect("an event").unwrap()
    }

    async fn loaded(&mut self) -> (String, bool) {
        match self.event().await {
            PluginEvent::Loaded { name, replaced, .. } => (name, replaced),
            other => panic!("{other:?}"),
        }
    }

    async fn rejected(&mut self) -> String {
        match self.event().await {
            PluginEvent::Rejected { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    /// The build that answers as `name`.
    async fn build(&self, name: &str) -> String {
        ask(self.plugins.current().get(name).unwrap(), "build").await
    }
}

/// Puts `bytes` in place as careful tools do.
fn rename_into(path: &Path, bytes: &[u8]) {
    let temporary = path.with_extension("tmp");
    std::fs::write(&temporary, bytes).unwrap();
    std::fs::rename(temporary, path).unwrap();
}

#[tokio::test]
async fn what_is_in_the_folder_is_loaded_at_the_start() {
    let fixture = Fixture::start(&[("b.wasm", "BBB"), ("a.wasm", "AAA")]).await;
    assert_eq!(fixture.names(), ["a", "b"]);
    assert_eq!(fixture.plugins.current().number, 1);
    assert!(fixture.plugins.problems().is_empty());
}

#[tokio::test]
async fn files_come_change_and_go() {
    let mut fixture = Fixture::start(&[]).await;
    let path = fixture.path("a.wasm");
    let mut changed = fixture.plugins.changed();
    changed.mark_unchanged();
    std::fs::write(&path, naughty_build("AAA").await).unwrap();
    assert_eq!(fixture.loaded().await, ("a".into(), false));
    assert_eq!(fixture.build("a").await, "AAA");
    assert!(changed.has_changed().unwrap());

    std::fs::write(&path, naughty_build("BBB").await).unwrap();
    assert_eq!(fixture.loaded().await, ("a".into(), true));
    assert_eq!(fixture.build("a").await, "BBB");

    rename_into(&path, &naughty_build("CCC").await);
    assert_eq!(fixture.loaded().await, ("a".into(), true));
    assert_eq!(fixture.build("a").await, "CCC");

    std::fs::remove_file(&path).unwrap();
    assert!(matches!(fixture.event().await, PluginEvent::Removed { name, .. } if name == "a"));
    assert!(fixture.names().is_empty());
}

#[tokio::test]
async fn a_call_in_flight_finishes_on_its_build() {
    let mut fixture = Fixture::start(&[("a.wasm", "AAA")]).await;
    let old = Arc::clone(fixture.plugins.current().get("a").unwrap());
    let call = tokio::spawn(async move {
        let slept = ask(&old, "sleep 200").await;
        (slept, ask(&old, "build").await)
    });
    rename_into(&fixture.path("a.wasm"), &naughty_build("BBB").await);
    fixture.loaded().await;
    assert_eq!(fixture.build("a").await, "BBB");
    assert_eq!(call.await.unwrap(), ("slept".into(), "AAA".into()));
}

#[tokio::test]
async fn unchanged_bytes_change_nothing() {
    let mut fixture = Fixture::start(&[("a.wasm", "AAA")]).await;
    std::fs::write(fixture.path("a.wasm"), naughty_build("AAA").await).unwrap();
    rename_into(&fixture.path("a.wasm"), &naughty_build("AAA").await);
    // The next thing that happens is the next change.
    std::fs::write(fixture.path("b.wasm"), naughty_build("BBB").await).unwrap();
    assert_eq!(fixture.loaded().await, ("b".into(), false));
    assert_eq!(fixture.plugins.current().number, 2);
}

#[tokio::test]
async fn a_half_written_file_is_waited_for() {
    let mut fixture = Fixture::start(&[("a.wasm", "AAA")]).await;
    let bytes = naughty_build("BBB").await;
    let (half, rest) = bytes.split_at(bytes.len() / 2);
    let mut file = std::fs::File::create(fixture.path("a.wasm")).unwrap();
    let started = std::time::Instant::now();
    file.write_all(half).unwrap();
    // Long enough for the half to be looked at, which must not be seen in any event.
    tokio::time::sleep(Duration::from_millis(150)).await;
    file.write_all(rest).unwrap();
    drop(file);
    match fixture.event().await {
        PluginEvent::Loaded { replaced, .. } => assert!(replaced),
        // On a machine that stood still in between, the half was taken for the whole.
        other => assert!(started.elapsed() > Duration::from_millis(900), "{other:?}"),
    }
}

#[tokio::test]
async fn bad_files_are_told_once_and_change_nothing() {
    let mut fixture = Fixture::start(&[("a.wasm", "AAA")]).await;
    let path = fixture.path("a.wasm");
    let module = wat::parse_str("(module)").unwrap();
    let foreign = wat::parse_str(r#"(component (import "belfry:bot/host@0.2.0" (instance)))"#).unwrap();
    for (bytes, words) in [
        (b"fn main() {}".to_vec(), "a text file"),
        (vec![0x9d; 4096], "not WebAssembly"),
        (module.clone(), "core module"),
        (wat::parse_str("(component)").unwrap(), "exports nothing"),
        (foreign, "belfry:bot@0.2.0"),
    ] {
        rename_into(&path, &bytes);
        let reason = fixture.rejected().await;
        assert!(reason.contains(words), "{reason}");
        assert_eq!(fixture.plugins.problems()[0].reason, reason);
        assert_eq!(fixture.build("a").await, "AAA");
    }
    // The same bytes again, then good ones: only those are told.
    rename_into(&path, &module);
    rename_into(&path, &naughty_build("BBB").await);
    assert_eq!(fixture.loaded().await, ("a".into(), true));
    assert!(fixture.plugins.problems().is_empty());
}

#[tokio::test]
async fn a_build_that_only_traps_is_taken_back() {
    let mut fixture = Fixture::start(&[("a.wasm", "AAA")]).await;
    rename_into(&fixture.path("a.wasm"), &naughty_build("BAD").await);
    fixture.loaded().await;
    for _ in 0..3 {
        let plugin = Arc::clone(fixture.plugins.current().get("a").unwrap());
        fail(&plugin, "say hello").await;
    }
    let PluginEvent::RolledBack { name, reason, .. } = fixture.event().await else { panic!() };
    assert_eq!(name, "a");
    assert!(reason.starts_with("its first 3 calls failed"), "{reason}");
    assert_eq!(fixture.build("a").await, "AAA");
    assert!(fixture.plugins.problems()[0].reason.starts_with("this build was taken back"));

    // Those bytes are not taken again; others are.
    rename_into(&fixture.path("a.wasm"), &naughty_build("BAD").await);
    rename_into(&fixture.path("a.wasm"), &naughty_build("CCC").await);
    assert_eq!(fixture.loaded().await, ("a".into(), true));
}

#[tokio::test]
async fn a_build_that_lacks_its_function_is_taken_back_at_once() {
    let mut fixture = Fixture::start(&[("a.wasm", "AAA")]).await;
    rename_into(&fixture.path("a.wasm"), &naughty_build("GON").await);
    fixture.loaded().await;
    fail(fixture.plugins.current().get("a").unwrap(), "say hello").await;
    let PluginEvent::RolledBack { reason, .. } = fixture.event().await else { panic!() };
    assert!(reason.starts_with("its first call did not find its function"), "{reason}");
    assert_eq!(fixture.build("a").await, "AAA");
}

#[tokio::test]
async fn a_build_that_has_worked_stays() {
    let mut fixture = Fixture::start(&[("a.wasm", "AAA")]).await;
    rename_into(&fixture.path("a.wasm"), &naughty_build("BBB").await);
    fixture.loaded().await;
    let plugin = Arc::clone(fixture.plugins.current().get("a").unwrap());
    say(&plugin, "temporary later").await.unwrap_err();
    for _ in 0..5 {
        fail(&plugin, "trap").await;
    }
    std::fs::write(fixture.path("b.wasm"), naughty_build("BBB").await).unwrap();
    assert_eq!(fixture.loaded().await, ("b".into(), false));
    assert_eq!(fixture.build("a").await, "BBB");
}

#[tokio::test]
async fn the_folder_may_come_later_go_and_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("deep/plugins");
    let mut fixture = Fixture::with(dir, folder.clone(), Vec::new()).await;
    for build in ["AAA", "BBB", "CCC"] {
        let bytes = naughty_build(build).await;
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.wasm"), bytes).unwrap();
        assert_eq!(fixture.loaded().await, ("a".into(), false));
        assert_eq!(fixture.build("a").await, build);
        std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
        assert!(matches!(fixture.event().await, PluginEvent::Removed { .. }));
    }
}

#[tokio::test]
async fn tables_name_files_anywhere_and_set_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("plugins");
    std::fs::create_dir(&folder).unwrap();
    let bytes = naughty_build("AAA").await;
    for file in ["last.wasm", "first.wasm", "drop.wasm", "taken.wasm"] {
        std::fs::write(folder.join(file), &bytes).unwrap();
    }
    let spec = |name: &str, path: PathBuf, order| PluginSpec { order, ..PluginSpec::new(name, path) };
    let specs = vec![
        spec("last", folder.join("last.wasm"), 5),
        spec("first", folder.join("first.wasm"), -5),
        spec("taken", dir.path().join("elsewhere.wasm"), 0),
    ];
    let mut fixture = Fixture::with(dir, folder.clone(), specs).await;
    assert_eq!(fixture.names(), ["first", "last", "drop"]);
    let problems = fixture.plugins.problems();
    let reasons: Vec<_> = problems.iter().map(|problem| problem.reason.as_str()).collect();
    assert!(reasons[0].starts_with("there is no file `"), "{reasons:?}");
    assert!(reasons[1].starts_with("[plugins.taken] already gives this name"), "{reasons:?}");

    // The table's file turns up, outside the folder.
    std::fs::write(folder.parent().unwrap().join("elsewhere.wasm"), &bytes).unwrap();
    assert_eq!(fixture.loaded().await, ("taken".into(), false));
    assert_eq!(fixture.names(), ["first", "taken", "last", "drop"]);
}

#[tokio::test]
async fn a_file_that_a_table_names_by_another_path_is_loaded_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("plugins");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("file.wasm"), naughty_build("AAA").await).unwrap();
    let spec = PluginSpec::new("table", dir.path().join("plugins/../plugins/file.wasm"));
    let fixture = Fixture::with(dir, folder, vec![spec]).await;
    assert_eq!(fixture.names(), ["table"]);
}

#[tokio::test]
async fn two_tables_of_one_name_are_refused() {
    let specs = vec![PluginSpec::new("a", "a.wasm"), PluginSpec::new("a", "b.wasm")];
    let started = Plugins::start(host(), PluginsConfig { specs, folder: None }).await;
    assert!(matches!(started.err().unwrap(), PluginsError::DuplicateName(name) if name == "a"));
}
