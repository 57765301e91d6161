//! The official SDKs that tests and benchmarks run beside Belfry: a Python environment and a folder of Node modules
//! under the target directory, set up once and again when their list of packages changes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{command, exists, root, run, target_dir};

const PYTHON_FILES: &str = "host/simulator/tests/peers/python";
const NODE_FILES: &str = "host/simulator/tests/peers/node";

/// What could be set up, and what could not.
#[derive(Default)]
pub struct Peers {
    python: Option<PathBuf>,
    node_modules: Option<PathBuf>,
    /// One line for each thing that is missing here, with the reason.
    pub missing: Vec<String>,
}

impl Peers {
    /// Sets up what this machine can.
    pub fn set_up() -> Self {
        let mut peers = Self::default();
        match set_up_python() {
            Ok(python) => peers.python = Some(python),
            Err(error) => peers.missing.push(format!("the official Python SDK: {error:#}")),
        }
        match set_up_node() {
            Ok(modules) => peers.node_modules = Some(modules),
            Err(error) => peers.missing.push(format!("the official Node SDK: {error:#}")),
        }
        peers
    }

    /// The environment variables by which tests find them.
    pub fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        let mut variables = Vec::new();
        if let Some(python) = &self.python {
            variables.push(("BELFRY_PEER_PYTHON", python.clone()));
        }
        if let Some(modules) = &self.node_modules {
            variables.push(("BELFRY_PEER_NODE", "node".into()));
            variables.push(("BELFRY_PEER_NODE_MODULES", modules.clone()));
        }
        variables
    }
}

fn set_up_python() -> Result<PathBuf> {
    let python =
        ["python3", "python"].into_iter().find(|name| exists(name)).context("Python is not installed")?;
    let folder = target_dir().join("peers/python");
    let requirements = root().join(PYTHON_FILES).join("requirements.txt");
    let inside = folder.join("bin/python");
    once(&folder, &[&requirements], || {
        run(command(python, &["-m", "venv", "--clear", &folder.to_string_lossy()]))?;
        let requirements = requirements.to_string_lossy();
        run(command(&inside, &["-m", "pip", "install", "--quiet", "--requirement", &requirements]))
    })?;
    Ok(inside)
}

fn set_up_node() -> Result<PathBuf> {
    if !exists("node") || !exists("npm") {
        bail!("Node.js with npm is not installed");
    }
    let folder = target_dir().join("peers/node");
    let [package, lock] =
        ["package.json", "package-lock.json"].map(|name| root().join(NODE_FILES).join(name));
    once(&folder, &[&package, &lock], || {
        for file in [&package, &lock] {
            let name = file.file_name().context("a file has a name")?;
            std::fs::copy(file, folder.join(name))
                .with_context(|| format!("failed to copy {}", file.display()))?;
        }
        run(command(
            "npm",
            &["ci", "--silent", "--no-audit", "--no-fund", "--prefix", &folder.to_string_lossy()],
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
