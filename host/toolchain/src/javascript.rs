//! Guests written in JavaScript and TypeScript, on QuickJS.
//!
//! `node` runs a script of ours in the project's folder. It bundles the author's modules with esbuild, puts in what QuickJS
//! lacks and guards around the handlers (`javascript/`), and makes a component with componentize-qjs, which is what jco's
//! QuickJS backend runs too. Both are packages of the project, so its `package.json` says which versions they have.

mod shapes;
mod types;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wit_parser::CloneMaps;

use crate::process;
use crate::project::{Project, printed, put};
use crate::template::{File, files};
use crate::{BuildError, Built, OnProgress, Options, Progress};

/// The files of a new project.
pub(crate) const TEMPLATE: &[File] = files! {
    "package.json" => "javascript/package.json",
    "jsconfig.json" => "javascript/jsconfig.json",
    "bot.js" => "javascript/bot.js",
    "belfry.js" => "javascript/belfry.js",
    "belfry.d.ts" => "javascript/belfry.d.ts",
    "wit/world.d.ts" => "javascript/world.d.ts",
    ".gitignore" => "javascript/gitignore",
    "README.md" => "javascript/README.md",
    "tests/list.toml" => "list.toml",
};

/// The files of a new project in TypeScript.
pub(crate) const TYPESCRIPT_TEMPLATE: &[File] = files! {
    "package.json" => "typescript/package.json",
    "tsconfig.json" => "typescript/tsconfig.json",
    "bot.ts" => "typescript/bot.ts",
    "belfry.js" => "javascript/belfry.js",
    "belfry.d.ts" => "javascript/belfry.d.ts",
    "wit/world.d.ts" => "javascript/world.d.ts",
    ".gitignore" => "javascript/gitignore",
    "README.md" => "typescript/README.md",
    "tests/list.toml" => "list.toml",
};

const SCRIPT: &str = include_str!("javascript/build.mjs");
const GLOBALS: &str = include_str!("javascript/globals.js");
const GUARD: &str = include_str!("javascript/guard.js");
/// What `javascript/globals.js` calls beside Belfry's own interfaces.
const EXTRA_WIT: &str = include_str!("javascript/extra.wit");

const GET_NODE: &str =
    "it is not installed; JavaScript plugins need Node.js 20 or later with npm, see https://nodejs.org";

/// The newest JavaScript that QuickJS knows; esbuild rewrites what is newer.
const TARGET: &str = "es2022";

/// Builds the project in `dir`.
pub(crate) async fn build(
    dir: &Path,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Built, BuildError> {
    let project = Project::open(dir, options)?;
    let entry = entry(&project.dir)?;
    let typescript = project.dir.join("tsconfig.json").is_file();
    put(
        &project.dir.join("wit/world.d.ts"),
        types::declarations(&project.resolve, project.world).as_bytes(),
    )?;
    let made = project.out.join("javascript");
    let component = made.join("component.wasm");
    for (name, text) in [("build.mjs", SCRIPT), ("globals.js", GLOBALS), ("guard.js", GUARD)] {
        put(&made.join(name), text.as_bytes())?;
    }
    let wit = made.join("world.wit");
    put(&wit, extended_wit(&project)?.as_bytes())?;
    let (exports, shapes) = shapes::exports(&project.resolve, project.world);
    let task = json!({
        "entry": entry,
        "world": project.resolve.worlds.get(project.world).map(|world| &world.name),
        "wit": wit,
        "exports": exports,
        "types": shapes,
        "out": component,
        "color": options.color,
        "typescript": typescript,
        "target": TARGET,
    });
    let task_file = made.join("task.json");
    put(&task_file, task.to_string().as_bytes())?;
    let script = [made.join("build.mjs"), task_file];
    let mut end = run(&project, &script, progress).await?;
    if let End::Missing(packages) = end {
        install(&project, &packages, progress).await?;
        end = run(&project, &script, progress).await?;
    }
    match end {
        End::Built => {
            let bytes = std::fs::read(&component)
                .map_err(|error| BuildError::Tool(format!("read `{}`: {error}", component.display())))?;
            project.finish(&bytes)
        }
        End::Refused(reason) => Err(BuildError::World { dir: project.dir, reason }),
        End::Errors => Err(BuildError::Compile { dir: project.dir }),
        End::Missing(packages) => Err(BuildError::Tool(needed(&project.dir, &packages))),
    }
}

/// Builds the project in TypeScript in `dir`.
pub(crate) async fn build_typescript(
    dir: &Path,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Built, BuildError> {
    build(dir, options, progress).await
}

/// The module that exports the handlers: what `package.json` names as `main`, or `bot.ts`, or `bot.js`.
fn entry(dir: &Path) -> Result<String, BuildError> {
    let not_a_guest = |reason: String| BuildError::NotAGuest { dir: dir.to_owned(), reason };
    let main = match std::fs::read(dir.join("package.json")) {
        Ok(bytes) => {
            let package: Value = serde_json::from_slice(&bytes)
                .map_err(|error| not_a_guest(format!("its `package.json` is not valid: {error}")))?;
            package.get("main").and_then(Value::as_str).map(str::to_owned)
        }
        Err(_) => None,
    };
    if let Some(main) = main {
        let main = main.trim_start_matches("./").to_owned();
        return match dir.join(&main).is_file() {
            true => Ok(main),
            false => Err(not_a_guest(format!(
                "its `package.json` says that `main` is `{main}`, and there is no such file"
            ))),
        };
    }
    let found = ["bot.ts", "bot.js", "bot.mjs"].into_iter().find(|name| dir.join(name).is_file());
    found.map(str::to_owned).ok_or_else(|| {
        not_a_guest(
            "it has neither bot.ts nor bot.js; name the module with the handlers as `main` in `package.json`"
                .into(),
        )
    })
}

/// The project's WIT as one file, its world extended by what our own modules import.
fn extended_wit(project: &Project) -> Result<String, BuildError> {
    let extend = || -> anyhow::Result<String> {
        let mut resolve = project.resolve.clone();
        let extra = resolve.push_str("extra.wit", EXTRA_WIT)?;
        let extra = resolve.select_world(&[extra], None)?;
        resolve.merge_worlds(extra, project.world, &mut CloneMaps::default())?;
        printed(&resolve, project.world, false)
    };
    extend().map_err(|error| BuildError::Tool(format!("write the WIT for QuickJS: {error:#}")))
}

/// How a run of the script ended.
enum End {
    Built,
    /// The handlers do not fit the world; why.
    Refused(String),
    /// Compile errors, handed on already.
    Errors,
    /// Packages that are not installed.
    Missing(Vec<String>),
}

async fn run(project: &Project, script: &[PathBuf], mut progress: OnProgress<'_>) -> Result<End, BuildError> {
    let mut node = process::command("node", &project.dir);
    node.args(script);
    let mut running = process::spawn(&mut node, "node", GET_NODE)?;
    let mut told = None;
    let status = running.run(&mut progress, |line, progress| {
        match serde_json::from_str::<Value>(line).ok().and_then(said) {
            Some(end) => told = Some(end),
            None => progress(Progress::Output(line)),
        }
    });
    let status =
        status.await.map_err(|error| BuildError::Tool(format!("read the output of node: {error}")))?;
    Ok(match told {
        Some(end) => end,
        None if status.success() => End::Built,
        None => End::Errors,
    })
}

/// What the script's line of JSON means.
fn said(line: Value) -> Option<End> {
    if let Some(reason) = line.get("refused") {
        return Some(End::Refused(reason.as_str()?.to_owned()));
    }
    let packages = line.get("missing")?.as_array()?.iter();
    Some(End::Missing(packages.filter_map(Value::as_str).map(str::to_owned).collect()))
}

/// Installs the project's packages, as its lock file says if it has one.
async fn install(project: &Project, packages: &[String], progress: OnProgress<'_>) -> Result<(), BuildError> {
    let package: Value = std::fs::read(project.dir.join("package.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let named = |name: &String| {
        ["devDependencies", "dependencies"]
            .iter()
            .any(|kind| package.get(kind).is_some_and(|all| all.get(name).is_some()))
    };
    if !packages.iter().all(named) {
        return Err(BuildError::Tool(needed(&project.dir, packages)));
    }
    // Not `npm ci`, though there may be a lock file: it refuses those that leave out optional packages nobody published, as
    // componentize-qjs 0.4.5 has some. `npm install` keeps to the lock file as well.
    progress(Progress::Step(&format!("installing {} with `npm install`", packages.join(", "))));
    let mut npm = process::command("npm", &project.dir);
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]);
    let mut running = process::spawn(&mut npm, "npm", GET_NODE)?;
    let status = running.run(progress, |line, progress| progress(Progress::Output(line))).await;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(BuildError::Tool(format!(
            "install {}: npm failed, see above; `npm install` in `{}` must work",
            packages.join(", "),
            project.dir.display()
        ))),
        Err(error) => Err(BuildError::Tool(format!("read npm's output: {error}"))),
    }
}

fn needed(dir: &Path, packages: &[String]) -> String {
    format!(
        "find {}: not installed for this project; run `npm install --save-dev --save-exact {}` in `{}`",
        packages.join(", "),
        packages.join(" "),
        dir.display()
    )
}
