//! Running other programs.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").components().collect()
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command in the repository, with its words.
pub fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// The cargo that runs this.
pub fn cargo(arguments: &[&str]) -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// Runs it with its output on ours.
pub fn run(mut command: Command) -> Result<()> {
    let words = words(&command);
    eprintln!("+ {words}");
    let status = command.status().with_context(|| format!("failed to start `{words}`"))?;
    if !status.success() {
        bail!("`{words}` ended with {status}");
    }
    Ok(())
}

/// Runs it and returns what it printed; what it writes to stderr stays on ours.
pub fn output(mut command: Command) -> Result<String> {
    let words = words(&command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("failed to start `{words}`"))?;
    if !output.status.success() {
        bail!("`{words}` ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{words}` printed something that is not UTF-8"))
}

/// Runs it, passing its output on line by line; tells whether it succeeded.
pub fn run_reading(mut command: Command, mut line_seen: impl FnMut(&str)) -> Result<bool> {
    let words = words(&command);
    eprintln!("+ {words}");
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("failed to start `{words}`"))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.with_context(|| format!("failed to read the output of `{words}`"))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            line_seen(&line);
        }
    }
    Ok(child.wait()?.success())
}

/// Whether the program answers to `--version`.
pub fn exists(program: &str) -> bool {
    let status = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn words(command: &Command) -> String {
    let mut words = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        words.push(' ');
        words.push_str(&argument.to_string_lossy());
    }
    words
}
