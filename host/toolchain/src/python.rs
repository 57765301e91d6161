//! Guests written in Python.
//!
//! componentize-py runs the author's modules once, in the CPython that it puts into the component. What it is given is a module
//! of ours that imports them and stands guards around the handlers (`python/belfry_guard.py`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use heck::{ToSnakeCase, ToUpperCamelCase};
use wit_parser::{FunctionKind, Resolve, Type, TypeDefKind, WorldId, WorldItem};

use crate::process;
use crate::project::{Project, printed, put};
use crate::template::{File, files};
use crate::{BuildError, Built, OnProgress, Options, Progress};

/// The files of a new project.
pub(crate) const TEMPLATE: &[File] = files! {
    "app.py" => "python/app.py",
    "belfry.py" => "python/belfry.py",
    "pyproject.toml" => "python/pyproject.toml",
    ".gitignore" => "python/gitignore",
    "README.md" => "python/README.md",
    "tests/list.toml" => "list.toml",
};

const GUARD: &str = include_str!("python/belfry_guard.py");

/// The module that componentize-py is given.
const ENTRY: &str = "belfry_guest";

const GET_COMPONENTIZE: &str = "it is not installed; run `python3 -m venv .venv && .venv/bin/pip install \
                                componentize-py==0.25.1` in the plugin's folder, or `pip install componentize-py==0.25.1`";

/// Builds the project in `dir`.
pub(crate) async fn build(
    dir: &Path,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Built, BuildError> {
    let project = Project::open(dir, options)?;
    if !project.dir.join("app.py").is_file() && !project.dir.join("app").is_dir() {
        let reason = "it has no app.py, the module with the handlers".into();
        return Err(BuildError::NotAGuest { dir: project.dir, reason });
    }
    let made = project.out.join("python");
    put(&made.join("belfry_guard.py"), GUARD.as_bytes())?;
    put(&made.join(format!("{ENTRY}.py")), entry(&project.resolve, project.world).as_bytes())?;
    let tool = Tool::find(&project.dir).await?;
    let world = project.resolve.worlds.get(project.world).map(|world| world.name.clone());
    let world = world.unwrap_or_default();
    let text = printed(&project.resolve, project.world, true)
        .map_err(|error| BuildError::Tool(format!("print the WIT: {error:#}")))?;
    let wit = made.join("world.wit");
    put(&wit, text.as_bytes())?;
    bindings(&project, &tool, &wit, &text, &world).await?;

    let component = made.join("component.wasm");
    let mut command = tool.command(&project.dir);
    command.args(["--quiet", "--world", &world, "--wit-path"]).arg(&wit);
    command.args(["componentize", "--python-path", "."]);
    command.arg("--python-path").arg(&made).arg("--output").arg(&component).arg(ENTRY);
    let mut running = process::spawn(&mut command, "componentize-py", GET_COMPONENTIZE)?;
    let mut said = String::new();
    let mut gather = |text: Progress<'_>| {
        let (Progress::Output(line) | Progress::Step(line)) = text;
        said.push_str(line);
        said.push('\n');
    };
    let status = running.run(&mut gather, |line, gather| gather(Progress::Output(line))).await;
    let status =
        status.map_err(|error| BuildError::Tool(format!("read the output of componentize-py: {error}")))?;
    if !status.success() {
        return Err(explain(project.dir, &said, progress));
    }
    let bytes = std::fs::read(&component)
        .map_err(|error| BuildError::Tool(format!("read `{}`: {error}", component.display())))?;
    project.finish(&bytes)
}

/// How componentize-py is run here.
struct Tool {
    program: PathBuf,
    /// Arguments before its own: it may be a module.
    before: &'static [&'static str],
}

impl Tool {
    /// That of the project's own environment, else the one in the path, else the module of the Python in the path.
    async fn find(dir: &Path) -> Result<Tool, BuildError> {
        for own in [".venv/bin/componentize-py", ".venv/Scripts/componentize-py.exe"] {
            let program = dir.join(own);
            if program.is_file() {
                return Ok(Tool { program, before: &[] });
            }
        }
        let there = |program: &'static str, args: &'static [&'static str]| async move {
            process::ask(program, dir, args.iter().copied().chain(["--version"])).await.is_some()
        };
        if there("componentize-py", &[]).await {
            return Ok(Tool { program: "componentize-py".into(), before: &[] });
        }
        if there("python3", &["-m", "componentize_py"]).await {
            return Ok(Tool { program: "python3".into(), before: &["-m", "componentize_py"] });
        }
        Err(BuildError::ToolMissing { tool: "componentize-py", hint: GET_COMPONENTIZE.into() })
    }

    fn command(&self, dir: &Path) -> tokio::process::Command {
        let mut command = process::command(&self.program.to_string_lossy(), dir);
        command.args(self.before);
        // It is a Rust program: its own stack says nothing to the author.
        command.env("RUST_BACKTRACE", "0").env("PYTHONDONTWRITEBYTECODE", "1");
        if dir.join(".venv").is_dir() {
            command.env("VIRTUAL_ENV", dir.join(".venv"));
        }
        command
    }
}

/// Writes the WIT, which is in the file `wit` too, as Python into `bindings/`, for the editor, if it has changed.
async fn bindings(
    project: &Project,
    tool: &Tool,
    wit: &Path,
    text: &str,
    world: &str,
) -> Result<(), BuildError> {
    let folder = project.dir.join("bindings");
    let stamp = folder.join(".made-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(&folder);
    let mut command = tool.command(&project.dir);
    command.args(["--quiet", "--world", world, "--wit-path"]).arg(wit).args(["bindings", "bindings"]);
    let output = command.output().await;
    let output = output.map_err(|error| BuildError::Tool(format!("start `componentize-py`: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(BuildError::Tool(format!("write `bindings` with componentize-py: {}", said.trim())));
    }
    put(&stamp, text.as_bytes())
}

/// The module that is made a component: the author's classes behind guards.
fn entry(resolve: &Resolve, world: WorldId) -> String {
    let mut text = String::from("import app\nfrom belfry_guard import guard\n\n");
    let items = resolve.worlds.get(world).into_iter().flat_map(|world| world.exports.values());
    for item in items {
        let WorldItem::Interface { id, .. } = item else { continue };
        let Some(interface) = resolve.interfaces.get(*id) else { continue };
        let functions = interface.functions.values();
        let functions = functions.filter(|function| matches!(function.kind, FunctionKind::Freestanding));
        let functions: Vec<String> = functions
            .map(|function| {
                let fails = fails(resolve, function.result.as_ref());
                let fails = fails.map_or_else(|| "None".into(), |fails| format!("\"{fails}\""));
                format!("\"{}\": {fails}", function.name.to_snake_case())
            })
            .collect();
        let name = interface.name.as_deref().unwrap_or_default().to_upper_camel_case();
        let _ = writeln!(text, "{name} = guard(app, \"app.py\", \"{name}\", {{{}}})", functions.join(", "));
    }
    text
}

/// The name that the type of a failure has in Python; none if a function cannot fail.
fn fails(resolve: &Resolve, result: Option<&Type>) -> Option<String> {
    let kind = |ty: &Type| match ty {
        Type::Id(id) => resolve.types.get(*id),
        _ => None,
    };
    let TypeDefKind::Result(result) = &kind(result?)?.kind else { return None };
    match result.err? {
        Type::String => Some("str".into()),
        ty => Some(kind(&ty)?.name.as_deref()?.to_upper_camel_case()),
    }
}

/// What componentize-py said when it failed, as the author should read it.
fn explain(dir: PathBuf, said: &str, progress: OnProgress<'_>) -> BuildError {
    let said = said.split_once("AssertionError: ").map_or(said, |(_, said)| said);
    if let Some((_, refused)) = said.split_once('\u{1}')
        && let Some((reason, _)) = refused.split_once('\u{2}')
    {
        return BuildError::World { dir, reason: reason.to_owned() };
    }
    if let Some((_, stub)) = said.split_once("called trapping stub: ") {
        let name = stub.lines().next().unwrap_or_default();
        progress(Progress::Output(&format!(
            "`{name}` was called while a module was imported, which happens when the plugin is built: call it in a handler"
        )));
        return BuildError::Compile { dir };
    }
    // The cause says the last line of the traceback again.
    let traceback = said
        .split_once("\nCaused by:")
        .map_or(said, |(traceback, cause)| if traceback.trim().is_empty() { cause } else { traceback });
    let mut ours = false;
    for line in traceback.trim_end().lines() {
        if line.starts_with("  File ") {
            ours = line.contains(ENTRY) || line.contains("belfry_guard.py") || line.contains("<frozen ");
        } else if !line.starts_with("    ") {
            ours = false;
        }
        if !ours && !line.is_empty() {
            progress(Progress::Output(&line.replace("\"/0/", "\"")));
        }
    }
    BuildError::Compile { dir }
}
