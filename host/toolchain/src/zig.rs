//! Guests written in Zig, against the bindings for C.
//!
//! `zig translate-c` makes `c.zig` of `bot.h`, so that the types come with it; `belfry.zig` stands on that.

use std::path::Path;

use crate::process;
use crate::project::{Project, put};
use crate::template::{File, files};
use crate::{BuildError, Built, OnProgress, Options, Progress, c};

/// The files of a new project.
pub(crate) const TEMPLATE: &[File] = files! {
    ".gitignore" => "zig/gitignore",
    "tests/remembers.toml" => "remembers.toml",
    "README.md" => "zig/README.md",
    "bot.zig" => "zig/bot.zig",
};

const HELPER: &str = include_str!("../templates/zig/belfry.zig");

const GET: &str =
    "it is not installed; get Zig from https://ziglang.org/download, or by `pip install ziglang`";

const TARGET: [&str; 2] = ["-target", "wasm32-wasi"];

/// Builds `bot.zig` in `dir`.
pub(crate) async fn build(
    dir: &Path,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Built, BuildError> {
    let project = Project::open(dir, options)?;
    c::bindings(&project)?;
    put(&project.out.join("belfry.zig"), HELPER.as_bytes())?;
    let Some((program, first)) = c::zig(dir).await else {
        return Err(BuildError::ToolMissing { tool: "zig", hint: GET.to_owned() });
    };
    let zig = Zig { project: &project, program, first };
    zig.translate(progress).await?;
    zig.compile(options, progress).await
}

struct Zig<'a> {
    project: &'a Project,
    program: String,
    first: Vec<String>,
}

impl Zig<'_> {
    fn command(&self) -> tokio::process::Command {
        let mut command = process::command(&self.program, &self.project.dir);
        command.args(&self.first);
        command
    }

    /// Makes `c.zig`, unless the one that is there was made of the same `bot.h`: it takes Zig seconds.
    async fn translate(&self, progress: OnProgress<'_>) -> Result<(), BuildError> {
        let out = &self.project.out;
        let header = out.join(format!("{}.h", self.project.world_name()));
        let translated = std::fs::read(&header)
            .map_err(|error| BuildError::Tool(format!("read `{}`: {error}", header.display())))?;
        let (copy, bindings) = (out.join("translated.h"), out.join("c.zig"));
        if bindings.is_file() && std::fs::read(&copy).is_ok_and(|copy| copy == translated) {
            return Ok(());
        }
        progress(Progress::Step("translating the bindings for Zig; the first time takes Zig a minute"));
        let mut command = self.command();
        command.arg("translate-c").args(TARGET).arg("-lc").arg(&header);
        let mut text = String::new();
        let mut running = process::spawn(&mut command, "zig", GET)?;
        let status = running.run(progress, |line, _| {
            text.push_str(line);
            text.push('\n');
        });
        match status.await {
            Ok(status) if status.success() => {
                put(&bindings, text.as_bytes())?;
                put(&copy, &translated)
            }
            Ok(_) => Err(BuildError::Tool("translate the bindings: zig's errors are above".into())),
            Err(error) => Err(BuildError::Tool(format!("read zig's output: {error}"))),
        }
    }

    async fn compile(&self, options: &Options, progress: OnProgress<'_>) -> Result<Built, BuildError> {
        progress(Progress::Step("compiling with Zig"));
        let out = &self.project.out;
        let module = |name: &str, file: &Path| format!("-M{name}={}", file.display());
        let core = out.join("core.wasm");
        let mut command = self.command();
        command.arg("build-exe").args(TARGET).args(["-mexec-model=reactor", "-O", "ReleaseSmall"]);
        command.args(["-fstrip", "--stack", "131072", "-lc"]);
        command.arg(out.join(format!("{}.c", self.project.world_name())));
        command
            .args(["--dep", "belfry", "--dep", "c"])
            .arg(module("root", &self.project.dir.join("bot.zig")));
        command.args(["--dep", "c"]).arg(module("belfry", &out.join("belfry.zig")));
        command.arg(module("c", &out.join("c.zig")));
        command.arg(format!("-femit-bin={}", core.display()));
        command.args(["--color", if options.color { "on" } else { "off" }]);
        let mut running = process::spawn(&mut command, "zig", GET)?;
        let status = running.run(progress, |line, progress| progress(Progress::Output(line))).await;
        match status {
            Ok(status) if status.success() => c::finish(self.project, &core),
            Ok(_) => Err(BuildError::Compile { dir: self.project.dir.clone() }),
            Err(error) => Err(BuildError::Tool(format!("read zig's output: {error}"))),
        }
    }
}
