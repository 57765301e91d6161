//! What tests and benchmarks run beside Belfry: the official SDKs, and the tools that build guests in JavaScript, TypeScript,
//! Python, Go, Zig and C. Each is a Python environment or a folder of Node modules under the target directory, set up once and again when
//! its list of packages changes.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::command::{command, exists, root, run, target_dir};

const PYTHON_FILES: &str = "host/simulator/tests/peers/python";
const NODE_FILES: &str = "host/simulator/tests/peers/node";
const GUEST_FILES: &str = "host/toolchain/tests/tools";
const COMPILER_FILES: &str = "host/toolchain/tests/tools/compilers";

/// What could be set up, and what could not.
pub struct Peers {
    python: Option<PathBuf>,
    node_modules: Option<PathBuf>,
    guest_python: Option<PathBuf>,
    guest_node_modules: Option<PathBuf>,
    compilers: Option<PathBuf>,
    /// One line for each thing that is missing here, with the reason.
    pub missing: Vec<String>,
}

impl Peers {
    /// Sets up what this machine can.
    pub fn set_up() -> Self {
        let mut missing = Vec::new();
        let mut keep = |what: &str, made: Result<PathBuf>| {
            made.map_err(|error| missing.push(format!("{what}: {error:#}"))).ok()
        };
        let python = keep("the official Python SDK", set_up_python("peers/python", PYTHON_FILES));
        let node_modules = keep("the official Node SDK", set_up_node("peers/node", NODE_FILES));
        let guest_python =
            keep("the builder of Python plugins", set_up_python("guest-tools/python", GUEST_FILES));
        let guest_node_modules =
            keep("the builder of JavaScript plugins", set_up_node("guest-tools/node", GUEST_FILES));
        let compilers = keep("the compilers of Go and Zig plugins", set_up_compilers());
        Self { python, node_modules, guest_python, guest_node_modules, compilers, missing }
    }

    /// The environment variables by which tests find them.
    pub fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        let mut variables = Vec::new();
        if let Some(python) = &self.python {
            variables.push(("BELFRY_PEER_PYTHON", python.join("bin/python")));
        }
        if let Some(modules) = &self.node_modules {
            variables.push(("BELFRY_PEER_NODE", "node".into()));
            variables.push(("BELFRY_PEER_NODE_MODULES", modules.clone()));
        }
        if let Some(environment) = &self.guest_python {
            variables.push(("BELFRY_GUEST_VENV", environment.clone()));
        }
        if let Some(modules) = &self.guest_node_modules {
            variables.push(("BELFRY_GUEST_NODE_MODULES", modules.clone()));
        }
        if let Some(compilers) = &self.compilers {
            variables.push(("PATH", path_with(compilers).into()));
        }
        variables
    }
}

/// Makes a folder with the programs `go` and `zig`.
fn set_up_compilers() -> Result<PathBuf> {
    let environment = set_up_python("guest-tools/compilers", COMPILER_FILES)?;
    let tools = environment.join("tools");
    std::fs::create_dir_all(&tools).with_context(|| format!("failed to create {}", tools.display()))?;
    for (program, script) in [("go", "go"), ("zig", "python-zig")] {
        let script = environment.join("bin").join(script);
        let script = script.canonicalize().with_context(|| format!("failed to find {}", script.display()))?;
        // Not a link: the script finds its Python beside itself.
        let text = format!("#!/bin/sh\nexec '{}' \"$@\"\n", script.display());
        let program = tools.join(program);
        std::fs::write(&program, text).with_context(|| format!("failed to write {}", program.display()))?;
        run(command("chmod", &["+x", &program.to_string_lossy()]))?;
    }
    Ok(tools)
}

/// `PATH` with `first` before all that is in it.
fn path_with(first: &Path) -> OsString {
    let before = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(first.to_owned()).chain(std::env::split_paths(&before));
    // A folder that cannot be in `PATH` leaves it as it is.
    std::env::join_paths(folders).unwrap_or(before)
}

/// Makes a Python environment in `folder` of the target directory, with the packages of `files`; the environment.
fn set_up_python(folder: &str, files: &str) -> Result<PathBuf> {
    let python =
        ["python3", "python"].into_iter().find(|name| exists(name)).context("Python is not installed")?;
    let folder = target_dir().join(folder);
    let requirements = root().join(files).join("requirements.txt");
    let inside = folder.join("bin/python");
    once(&folder, &[&requirements], || {
        run(command(python, &["-m", "venv", "--clear", &folder.to_string_lossy()]))?;
        let requirements = requirements.to_string_lossy();
        run(command(&inside, &["-m", "pip", "install", "--quiet", "--requirement", &requirements]))
    })?;
    Ok(folder)
}

/// Installs the packages of `files` into `folder` of the target directory; their `node_modules`.
fn set_up_node(folder: &str, files: &str) -> Result<PathBuf> {
    if !exists("node") || !exists("npm") {
        bail!("Node.js with npm is not installed");
    }
    let folder = target_dir().join(folder);
    let [package, lock] = ["package.json", "package-lock.json"].map(|name| root().join(files).join(name));
    once(&folder, &[&package, &lock], || {
        for file in [&package, &lock] {
            let name = file.file_name().context("a file has a name")?;
            std::fs::copy(file, folder.join(name))
                .with_context(|| format!("failed to copy {}", file.display()))?;
        }
        // `npm ci` refuses a lock file that leaves out optional packages nobody published, as those of componentize-qjs.
        run(command(
            "npm",
            &["install", "--silent", "--no-audit", "--no-fund", "--prefix", &folder.to_string_lossy()],
        ))
    })?;
    Ok(folder.join("node_modules"))
}

/// Does `work` in `folder` unless it was done before with the same `inputs`.
fn once(folder: &Path, inputs: &[&Path], work: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut wanted = String::new();
    for input in inputs {
        let text =
            std::fs::read_to_string(input).with_context(|| format!("failed to read {}", input.display()))?;
        wanted.push_str(&text);
    }
    let stamp = folder.join("set-up-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    work()?;
    std::fs::write(&stamp, wanted).with_context(|| format!("failed to write {}", stamp.display()))
}
