//! Guests written in Rust.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::{self, ask};
use crate::template::{File, files};
use crate::{BuildError, Built, OnProgress, Options, Progress, wit};

/// The files of a new project, but for the SDK.
pub(crate) const TEMPLATE: &[File] = files! {
    ".gitignore" => "rust/gitignore",
    "Cargo.toml" => "rust/Cargo.toml.in",
    "README.md" => "rust/README.md",
    "belfry-plugin/Cargo.toml" => "rust/sdk.toml.in",
    "src/lib.rs" => "rust/lib.rs.in",
    "tests/remembers.toml" => "remembers.toml",
};

macro_rules! sdk {
    ($($path:literal),* $(,)?) => {
        &[$(File {
            path: concat!("belfry-plugin/src/", $path),
            text: include_str!(concat!("../../../plugins/sdk/src/", $path)),
        }),*]
    };
}

/// The source of the crate `belfry-plugin`.
const SDK: &[File] = sdk! {
    "bindings.rs",
    "cards.rs",
    "chat.rs",
    "config.rs",
    "events.rs",
    "failure.rs",
    "fetch.rs",
    "handlers.rs",
    "host.rs",
    "kv.rs",
    "lib.rs",
    "live.rs",
    "log.rs",
    "message.rs",
    "reply.rs",
    "testing.rs",
    "testing/kv.rs",
    "testing/live.rs",
    "testing/make.rs",
};

/// The crate `belfry-plugin`, which a new project holds until it is published: paths and texts.
pub(crate) fn sdk() -> impl Iterator<Item = (String, &'static str)> {
    let wit = wit::FILES.iter().map(|file| {
        let path = file.path.replacen("wit/deps/belfry-bot/", "wit/", 1);
        (format!("belfry-plugin/{path}"), file.text)
    });
    SDK.iter().map(|file| (file.path.to_owned(), file.text)).chain(wit)
}

const TARGET: &str = "wasm32-wasip2";

const GET_RUST: &str = "it is not installed; get Rust from https://rustup.rs";

/// Builds the crate in `dir`.
pub(crate) async fn build(
    dir: &Path,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Built, BuildError> {
    Guest::open(dir)?.build(options, progress).await
}

/// The folders of the crates that the one in `dir` depends on by path.
pub(crate) fn path_dependencies(dir: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap_or_default();
    let Ok(manifest) = text.parse::<toml::Table>() else { return Vec::new() };
    let Some(dependencies) = manifest.get("dependencies").and_then(|it| it.as_table()) else {
        return Vec::new();
    };
    let paths = dependencies.values().filter_map(|dependency| dependency.get("path")?.as_str());
    paths.filter_map(|path| dir.join(path).canonicalize().ok()).collect()
}

/// A folder with a `Cargo.toml` that makes a component.
struct Guest {
    dir: PathBuf,
    manifest: toml::Table,
}

impl Guest {
    fn open(dir: &Path) -> Result<Guest, BuildError> {
        let not_a_guest = |reason: String| BuildError::NotAGuest { dir: dir.to_owned(), reason };
        let path = dir.join("Cargo.toml");
        let text = std::fs::read_to_string(&path)
            .map_err(|error| not_a_guest(format!("read `Cargo.toml`: {error}")))?;
        let manifest: toml::Table =
            text.parse().map_err(|error| not_a_guest(format!("`Cargo.toml` is not valid: {error}")))?;
        if !manifest.contains_key("package") {
            let reason = "its `Cargo.toml` is that of a workspace; name the folder of one plugin in it";
            return Err(not_a_guest(reason.into()));
        }
        if !is_cdylib(&manifest) {
            let reason =
                "its `Cargo.toml` makes no component; add `[lib]` with `crate-type = [\"cdylib\"]` to it";
            return Err(not_a_guest(reason.into()));
        }
        Ok(Guest { dir: dir.to_owned(), manifest })
    }

    async fn build(&self, options: &Options, mut progress: OnProgress<'_>) -> Result<Built, BuildError> {
        self.add_target(progress).await?;
        let mut cargo = process::command("cargo", &self.dir);
        cargo.args(["build", "--release", "--lib", "--target", TARGET]);
        cargo.arg("--message-format=json-render-diagnostics");
        cargo.args(["--color", if options.color { "always" } else { "never" }]);
        if let Some(dir) = &options.target_dir {
            cargo.arg("--target-dir").arg(dir);
        }
        let name = self.name();
        let mut wasm = None;
        let mut running = process::spawn(&mut cargo, "cargo", GET_RUST)?;
        let status = running.run(&mut progress, |line, progress| match serde_json::from_str(line) {
            Ok(message) => wasm = self.artifact(&message).or(wasm.take()),
            // A build script that prints to stdout, say.
            Err(_) => progress(Progress::Output(line)),
        });
        let status =
            status.await.map_err(|error| BuildError::Tool(format!("read cargo's output: {error}")))?;
        if !status.success() {
            return Err(BuildError::Compile { dir: self.dir.clone() });
        }
        let Some(wasm) = wasm else {
            return Err(BuildError::Tool(format!("find the component of `{name}`: cargo named none")));
        };
        Ok(Built { description: self.description().await, name, wasm })
    }

    /// Makes sure of the standard library for the target.
    async fn add_target(&self, progress: OnProgress<'_>) -> Result<(), BuildError> {
        let libdir = ask("rustc", &self.dir, ["--print", "target-libdir", "--target", TARGET]).await;
        if libdir.is_some_and(|libdir| Path::new(&libdir).is_dir()) {
            return Ok(());
        }
        progress(Progress::Step(&format!("adding the target {TARGET} with rustup")));
        let hint = match ask("cargo", &self.dir, ["--version"]).await {
            Some(_) => format!(
                "it is not installed, and this Rust lacks the target {TARGET}; get Rust from https://rustup.rs, or \
                 your system's package of that target"
            ),
            None => GET_RUST.to_owned(),
        };
        let mut rustup = process::command("rustup", &self.dir);
        rustup.args(["target", "add", TARGET]);
        let mut running = process::spawn(&mut rustup, "rustup", &hint)?;
        let status = running.run(progress, |line, progress| progress(Progress::Output(line))).await;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(BuildError::Tool(format!(
                "add the target {TARGET}: rustup failed, see above; `rustup target add {TARGET}` must work"
            ))),
            Err(error) => Err(BuildError::Tool(format!("read rustup's output: {error}"))),
        }
    }

    /// The component in one of cargo's messages, if it is this package's.
    fn artifact(&self, message: &Value) -> Option<PathBuf> {
        if message.get("reason")? != "compiler-artifact" {
            return None;
        }
        let manifest = Path::new(message.get("manifest_path")?.as_str()?);
        let own = self.dir.join("Cargo.toml");
        if manifest != own && manifest.canonicalize().ok()? != own.canonicalize().ok()? {
            return None;
        }
        let files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str);
        files.map(PathBuf::from).find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
    }

    fn package(&self, key: &str) -> Option<&toml::Value> {
        self.manifest.get("package")?.get(key)
    }

    fn name(&self) -> String {
        self.package("name").and_then(|name| name.as_str()).unwrap_or("plugin").to_owned()
    }

    /// The description, from the workspace if it is inherited.
    async fn description(&self) -> String {
        match self.package("description") {
            None => String::new(),
            Some(toml::Value::String(description)) => description.clone(),
            Some(_) => self.inherited_description().await.unwrap_or_default(),
        }
    }

    async fn inherited_description(&self) -> Option<String> {
        let args = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
        let metadata: Value = serde_json::from_str(&ask("cargo", &self.dir, args).await?).ok()?;
        let name = self.name();
        let package = metadata.get("packages")?.as_array()?.iter().find(|p| p["name"] == name.as_str())?;
        Some(package.get("description")?.as_str()?.to_owned())
    }
}

fn is_cdylib(manifest: &toml::Table) -> bool {
    let lib = manifest.get("lib");
    let types = lib.and_then(|lib| lib.get("crate-type").or_else(|| lib.get("crate_type")));
    let types = types.and_then(|types| types.as_array());
    types.is_some_and(|types| types.iter().any(|ty| ty.as_str() == Some("cdylib")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_of_the_sdk_is_held() {
        fn collect(dir: &Path, found: &mut BTreeSet<PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => collect(&path, found),
                    false => drop(found.insert(path)),
                }
            }
        }
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/sdk");
        let mut there = BTreeSet::new();
        collect(&sdk.join("src"), &mut there);
        let held = SDK.iter().map(|file| sdk.join(file.path.trim_start_matches("belfry-plugin/")));
        assert_eq!(held.collect::<BTreeSet<_>>(), there, "add the new file to `SDK`");
    }
}
