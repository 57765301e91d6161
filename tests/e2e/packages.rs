//! New projects, and plugins as packages: in files, in the config, and in a real registry on this machine.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::bot::{PATIENCE, belfry, echo};

/// A folder with a config, and `belfry` run in it.
struct Desk {
    folder: TempDir,
}

const CONFIG: &str = "\
# The bot of the sales team.
[channels_config.dingtalk]
client_id = \"dingtest\"
client_secret = \"${env:NOT_SET_HERE}\"   # not needed to add plugins
allowed_users = [\"*\"]
";

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("belfry.toml"), CONFIG).unwrap();
        Self { folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = belfry();
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        // Nobody's credentials but the test's.
        command.env("HOME", self.folder.path()).env_remove("DOCKER_CONFIG").env_remove("REGISTRY_AUTH_FILE");
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// What a command prints that must succeed.
    async fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command says that must fail.
    async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", errors(&output));
        errors(&output)
    }

    async fn list(&self) -> Value {
        serde_json::from_str(&self.done(&["plugin", "list", "--json"]).await).unwrap()
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.path("belfry.toml")).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_language_that_is_not_named_lists_them() {
    let desk = Desk::new();
    let output = desk.run(&["new", "todo"]).await;
    assert_eq!(output.status.code(), Some(2));
    let said = errors(&output);
    for language in ["rust", "js", "ts", "python", "go", "c  ", "zig"] {
        assert!(said.contains(&format!("\n  {language}")), "{said}");
    }
    assert!(!desk.path("todo").exists());
}

#[tokio::test]
async fn a_new_project_says_what_comes_next_and_overwrites_nothing() {
    let desk = Desk::new();
    let said = desk.done(&["new", "todo", "--lang", "rust"]).await;
    assert!(said.contains("todo/Cargo.toml") && said.ends_with("next: belfry dev todo\n"), "{said}");
    assert!(desk.path("todo/Cargo.toml").is_file());
    let again = desk.refused(&["new", "todo", "--lang", "js", "--dir", "todo"]).await;
    let mixed = desk.refused(&["new", "todo", "--lang", "rust"]).await;
    assert!(again.contains("there already") || mixed.contains("there already"), "{again}{mixed}");
}

#[tokio::test]
async fn a_folder_in_no_language_is_not_built() {
    let desk = Desk::new();
    let said = desk.refused(&["build", "."]).await;
    assert!(said.contains("Cargo.toml (rust)"), "{said}");
}

#[tokio::test]
async fn a_built_component_goes_where_it_is_asked_for() {
    let desk = Desk::new();
    echo().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/echo");
    let said = desk.done(&["build", folder, "--out", "echo.wasm"]).await;
    assert!(said.starts_with("echo.wasm (") && said.contains("belfry plugin add echo.wasm"), "{said}");
    assert_eq!(std::fs::read(desk.path("echo.wasm")).unwrap(), std::fs::read(echo().await).unwrap());
}

#[tokio::test]
async fn inspect_shows_what_is_used_and_a_table_that_the_config_takes() {
    let desk = Desk::new();
    let component = echo().await;
    let shown = desk.done(&["plugin", "inspect", text(&component)]).await;
    for part in ["handles   messages", "exports   belfry:bot/", "linked    ", "[plugins.echo]", "sha256 = "] {
        assert!(shown.contains(part), "no {part:?} in:\n{shown}");
    }
    let json = desk.done(&["plugin", "inspect", text(&component), "--json"]).await;
    let inspection: Value = serde_json::from_str(&json).unwrap();
    let table = inspection["table"].as_str().unwrap();
    std::fs::write(desk.path("belfry.toml"), format!("{CONFIG}\n{table}")).unwrap();
    assert_eq!(desk.list().await[0]["state"], "pinned");
}

#[tokio::test]
async fn a_file_is_added_pinned_listed_replaced_and_removed() {
    let desk = Desk::new();
    let component = echo().await;
    let packed = desk.path("echo.wasm");
    let pack = ["plugin", "pack", text(&component), "-o", "echo.wasm", "--as-version", "1.2.0"];
    desk.done(&pack).await;

    let said = desk.done(&["plugin", "add", "./echo.wasm", "--name", "repeat"]).await;
    assert!(said.contains("[plugins.repeat]"), "{said}");
    assert_eq!(std::fs::read(desk.path("plugins/repeat.wasm")).unwrap(), std::fs::read(&packed).unwrap());
    let config = desk.config();
    assert!(config.starts_with(CONFIG) && config.contains("[plugins.repeat]\n"), "{config}");
    // Everything that grants something is a comment.
    let table = config.strip_prefix(CONFIG).unwrap();
    let set: Vec<&str> = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(matches!(set[..], ["[plugins.repeat]", hash] if hash.starts_with("sha256 = ")), "{set:?}");

    let list = desk.list().await;
    assert_eq!((&list[0]["state"], &list[0]["name"]), (&"pinned".into(), &"repeat".into()));
    let again = desk.refused(&["plugin", "add", "echo.wasm", "--name", "repeat"]).await;
    assert!(again.contains("--replace"), "{again}");

    std::fs::write(
        desk.path("belfry.toml"),
        desk.config().replace("sha256 =", "kv = \"2MiB\" # mine\nsha256 ="),
    )
    .unwrap();
    let newer = ["plugin", "pack", text(&component), "-o", "echo.wasm", "--as-version", "1.3.0"];
    desk.done(&newer).await;
    std::fs::copy(&packed, desk.path("plugins/repeat.wasm")).unwrap();
    assert_eq!(desk.list().await[0]["state"], "changed");
    desk.done(&["plugin", "add", "echo.wasm", "--name", "repeat", "--replace"]).await;
    assert_eq!(desk.list().await[0]["state"], "pinned");
    assert!(desk.config().contains("kv = \"2MiB\" # mine\n"));

    std::fs::copy(&component, desk.path("plugins/dropped.wasm")).unwrap();
    assert_eq!(desk.list().await[1]["state"], "no_table");
    let unknown = desk.refused(&["plugin", "remove", "repeet"]).await;
    assert!(unknown.contains("did you mean repeat?"), "{unknown}");
    desk.done(&["plugin", "remove", "dropped"]).await;
    desk.done(&["plugin", "remove", "repeat"]).await;
    assert_eq!((desk.config(), desk.list().await), (CONFIG.to_owned(), Value::Array(Vec::new())));
    assert_eq!(std::fs::read_dir(desk.path("plugins")).unwrap().count(), 0, "a file is left");
}

#[tokio::test]
async fn what_is_no_plugin_is_not_added() {
    let desk = Desk::new();
    std::fs::write(desk.path("notes.wasm"), "buy milk").unwrap();
    assert!(desk.refused(&["plugin", "add", "notes.wasm"]).await.contains("a text file"));
    for (source, said) in [
        ("nowhere.wasm", "neither a file nor a folder"),
        ("https://example.com/todo.wasm", "oci://HOST/REPOSITORY:TAG"),
        ("oci://todo", "oci://HOST/REPOSITORY:TAG"),
        ("oci://127.0.0.1:1/todo:1", "cannot be reached"),
    ] {
        let refusal = desk.refused(&["plugin", "add", source]).await;
        assert!(refusal.contains(said), "{source}: {refusal}");
    }
    assert_eq!(desk.config(), CONFIG);
    assert!(!desk.path("plugins").exists());
}

/// The registry that Debian packages as `docker-registry`, on a port of its own.
struct Registry {
    address: String,
    folder: TempDir,
    _child: Child,
}

impl Registry {
    /// None where the program is not installed.
    async fn start(auth: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let config = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {:?}}}}}\n\
             http: {{addr: \"127.0.0.1:0\", secret: test}}\n{}",
            data,
            auth.replace("{folder}", text(folder.path()))
        );
        std::fs::write(&config, text).unwrap();
        std::fs::write(
            folder.path().join("htpasswd"),
            "me:$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n",
        )
        .unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none").kill_on_drop(true);
        let mut child =
            match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn() {
                Ok(child) => child,
                Err(_) => {
                    let required = std::env::var_os("BELFRY_REQUIRE_ALL").is_some();
                    assert!(!required, "docker-registry is not installed");
                    eprintln!(
                        "skipped: docker-registry is not installed (Debian: apt-get install docker-registry)"
                    );
                    return None;
                }
            };
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, rest)) = line.split_once("listening on ") {
                    return rest.split(['"', ' ']).next().unwrap_or_default().to_owned();
                }
            }
            panic!("the registry ended");
        };
        let address = tokio::time::timeout(PATIENCE, listening).await.unwrap();
        // Its log must not wait for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { address, folder, _child: child })
    }

    /// Where it keeps its blobs.
    fn blobs(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.path().join("data/docker/registry/v2/blobs")];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }
}

#[tokio::test]
async fn a_package_goes_to_a_registry_and_comes_back() {
    let Some(registry) = Registry::start("").await else { return };
    let (desk, component) = (Desk::new(), echo().await);
    let address = format!("oci://{}/bots/echo:1.2.0", registry.address);
    let licence = ["--as-version", "1.2.0", "--licence", "Apache-2.0"];
    let said = desk.done(&[&["plugin", "push", text(&component), &address][..], &licence].concat()).await;
    let pinned = said.lines().find_map(|line| line.trim().strip_prefix("pinned")).unwrap().trim().to_owned();

    // The layout that other tools read.
    let read = |blob: &PathBuf| serde_json::from_slice::<Value>(&std::fs::read(blob).unwrap()).ok();
    let manifest = registry.blobs().iter().filter_map(read).find(|json| json["layers"].is_array()).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.2.0");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.licenses"], "Apache-2.0");

    desk.done(&["plugin", "add", &address]).await;
    assert_eq!(std::fs::read(desk.path("plugins/echo.wasm")).unwrap(), std::fs::read(&component).unwrap());
    let list = desk.list().await;
    assert_eq!((&list[0]["state"], list[0]["source"].as_str()), (&"pinned".into(), Some(pinned.as_str())));
    // By its digest as by its tag.
    desk.done(&["plugin", "add", &pinned, "--name", "again"]).await;
    let absent = desk.refused(&["plugin", "add", &address.replace("1.2.0", "9.9.9")]).await;
    assert!(absent.contains("no such package"), "{absent}");
}

#[tokio::test]
async fn a_component_that_was_changed_in_the_registry_is_refused() {
    let Some(registry) = Registry::start("").await else { return };
    let (desk, component) = (Desk::new(), echo().await);
    let address = format!("oci://{}/echo:1", registry.address);
    desk.done(&["plugin", "push", text(&component), &address]).await;
    let size = std::fs::metadata(&component).unwrap().len();
    let blob = registry.blobs().into_iter().find(|blob| std::fs::metadata(blob).unwrap().len() == size);
    let blob = blob.unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let refusal = desk.refused(&["plugin", "add", &address]).await;
    assert!(refusal.to_lowercase().contains("digest"), "{refusal}");
    assert_eq!(desk.config(), CONFIG);
}

#[tokio::test]
async fn a_registry_that_asks_who_one_is_is_told_and_nobody_else() {
    let auth = "auth: {htpasswd: {realm: test, path: {folder}/htpasswd}}\n";
    let Some(registry) = Registry::start(auth).await else { return };
    let (desk, component) = (Desk::new(), echo().await);
    let address = format!("oci://{}/echo:1", registry.address);
    let push = ["plugin", "push", text(&component), &address];
    let stranger = desk.refused(&push).await;
    assert!(stranger.contains("--username"), "{stranger}");

    let mut command = desk.command(&[&push[..], &["--username", "me", "-vv"]].concat());
    let output = command.env("BELFRY_REGISTRY_PASSWORD", "s3cret").output().await.unwrap();
    let said = errors(&output);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("s3cret") && !said.contains("bWU6czNjcmV0"), "{said}");

    let refused = desk.command(&["plugin", "add", &address, "--username", "me"]).output().await.unwrap();
    assert!(errors(&refused).contains("BELFRY_REGISTRY_PASSWORD"), "{}", errors(&refused));
    // As `docker login` leaves it.
    std::fs::create_dir(desk.path(".docker")).unwrap();
    let login = format!("{{\"auths\":{{\"{}\":{{\"auth\":\"bWU6czNjcmV0\"}}}}}}", registry.address);
    std::fs::write(desk.path(".docker/config.json"), login).unwrap();
    desk.done(&["plugin", "add", &address]).await;
    assert_eq!(desk.list().await[0]["name"], "echo");
}
