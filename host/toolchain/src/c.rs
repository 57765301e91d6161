//! Guests written in C, with clang and wasi-libc, or with the compiler in Zig.

use std::path::{Path, PathBuf};

use wit_bindgen_core::Files;

use crate::process::{self, ask};
use crate::project::{Project, put};
use crate::template::{File, files};
use crate::{BuildError, Built, OnProgress, Options, Progress, component};

/// The files of a new project.
pub(crate) const TEMPLATE: &[File] = files! {
    ".gitignore" => "c/gitignore",
    "tests/remembers.toml" => "remembers.toml",
    "README.md" => "c/README.md",
    "bot.c" => "c/bot.c",
    "compile_flags.txt" => "c/compile_flags.txt",
};

/// What makes the bindings bearable; written beside them.
const HELPER: &str = include_str!("../templates/c/belfry.h");

const GET: &str = "no C compiler for WebAssembly is installed; on Debian and Ubuntu `apt install clang lld wasi-libc \
                   libclang-rt-dev-wasm32`, elsewhere Zig, from https://ziglang.org/download or by `pip install ziglang`, or \
                   the WASI SDK with WASI_SDK_PATH set to its folder";

/// Builds the project in `dir`: every `.c` file in it and in its folder `src`.
pub(crate) async fn build(
    dir: &Path,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Built, BuildError> {
    let project = Project::open(dir, options)?;
    bindings(&project)?;
    let sources = sources(&project, "c");
    let compiler = Compiler::find(dir).await?;
    progress(Progress::Step(&format!("compiling with {}", compiler.name)));
    let module = project.out.join("core.wasm");
    let mut command = process::command(&compiler.program, dir);
    command.args(&compiler.arguments).args(["-mexec-model=reactor", "-Os", "-s", "-Wall"]);
    // The bindings are generated: their warnings are nobody's.
    command.arg("-isystem").arg(&project.out).arg("-I.");
    command.args(["-Wl,-z,stack-size=131072", "-Wl,--stack-first", "-o"]).arg(&module).args(sources);
    command.arg(format!("-f{}color-diagnostics", if options.color { "" } else { "no-" }));
    let mut running = process::spawn(&mut command, "clang", GET)?;
    let status = running.run(progress, |line, progress| progress(Progress::Output(line))).await;
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => return Err(BuildError::Compile { dir: dir.to_owned() }),
        Err(error) => return Err(BuildError::Tool(format!("read {}'s output: {error}", compiler.name))),
    }
    finish(&project, &module)
}

/// Makes a component of the module and puts it in its place.
pub(crate) fn finish(project: &Project, module: &Path) -> Result<Built, BuildError> {
    let bytes = std::fs::read(module)
        .map_err(|error| BuildError::Tool(format!("read `{}`: {error}", module.display())))?;
    project.finish(&component::encode(project, &bytes)?)
}

/// Writes `bot.h`, `bot.c` and `belfry.h` (the first two named after the world) into the folder of outputs.
pub(crate) fn bindings(project: &Project) -> Result<(), BuildError> {
    let options = wit_bindgen_c::Opts { no_object_file: true, ..wit_bindgen_c::Opts::default() };
    let mut files = Files::default();
    let mut resolve = project.resolve.clone();
    let generated = options.build().generate(&mut resolve, project.world, &mut files);
    generated.map_err(|error| BuildError::Tool(format!("make C of `wit/`: {error:#}")))?;
    for (name, bytes) in files.iter() {
        let mut bytes = bytes.to_vec();
        if name.ends_with(".c") {
            // It would be in an object file with the component's type, which is put into the module afterwards instead.
            let world = project.world_name();
            let line = format!("\nvoid __component_type_object_force_link_{world}(void) {{}}\n");
            bytes.extend(line.as_bytes());
        }
        put(&project.out.join(name), &bytes)?;
    }
    let describes = files
        .iter()
        .any(|(_, bytes)| String::from_utf8_lossy(bytes).contains("exports_belfry_bot_describe_info_t"));
    let define = if describes { "#define BELFRY_DESCRIBE\n" } else { "" };
    put(&project.out.join("belfry.h"), format!("{define}{HELPER}").as_bytes())
}

/// The files of the project to be compiled, and the bindings.
fn sources(project: &Project, extension: &str) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for folder in [project.dir.clone(), project.dir.join("src")] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        sources.extend(paths.filter(|path| path.extension().is_some_and(|found| found == extension)));
    }
    sources.sort();
    sources.push(project.out.join(format!("{}.c", project.world_name())));
    sources
}

/// A C compiler that makes WebAssembly with a libc.
struct Compiler {
    name: &'static str,
    program: String,
    arguments: Vec<String>,
}

impl Compiler {
    async fn find(dir: &Path) -> Result<Compiler, BuildError> {
        if let Some(sdk) = std::env::var_os("WASI_SDK_PATH").map(PathBuf::from) {
            let program = sdk.join("bin/clang").to_string_lossy().into_owned();
            return Ok(Compiler {
                name: "the WASI SDK",
                program,
                arguments: vec!["--target=wasm32-wasip1".into()],
            });
        }
        // Where Debian's wasi-libc puts its headers.
        if Path::new("/usr/include/wasm32-wasi/stdio.h").is_file()
            && ask("clang", dir, ["--version"]).await.is_some()
        {
            let arguments = vec!["--target=wasm32-wasi".into(), "--sysroot=/usr".into()];
            return Ok(Compiler { name: "clang", program: "clang".into(), arguments });
        }
        match zig(dir).await {
            Some((program, mut arguments)) => {
                arguments.extend(["cc".into(), "-target".into(), "wasm32-wasi".into()]);
                Ok(Compiler { name: "zig cc", program, arguments })
            }
            None => Err(BuildError::ToolMissing { tool: "clang", hint: GET.to_owned() }),
        }
    }
}

/// Zig in the `PATH`, or that of the Python package `ziglang`: a program and its first arguments.
pub(crate) async fn zig(dir: &Path) -> Option<(String, Vec<String>)> {
    if ask("zig", dir, ["version"]).await.is_some() {
        return Some(("zig".into(), Vec::new()));
    }
    for python in ["python3", "python"] {
        if ask(python, dir, ["-m", "ziglang", "version"]).await.is_some() {
            return Some((python.into(), vec!["-m".into(), "ziglang".into()]));
        }
    }
    None
}
