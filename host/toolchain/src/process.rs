//! Runs a tool and hands on what it says.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::{BuildError, OnProgress, Progress};

/// The longest line taken from a tool; what is longer is cut into several.
const MAX_LINE: u64 = 1 << 20;

/// A program to run in `dir`, in a process group of its own so that it can be stopped with all it started.
pub(crate) fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    command
}

/// Starts `command`; a program that is not installed becomes [`BuildError::ToolMissing`].
pub(crate) fn spawn(command: &mut Command, tool: &'static str, hint: &str) -> Result<Group, BuildError> {
    match command.spawn() {
        Ok(child) => Ok(Group(child)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(BuildError::ToolMissing { tool, hint: hint.to_owned() })
        }
        Err(error) => Err(BuildError::Tool(format!("start `{tool}`: {error}"))),
    }
}

/// Whether a program exists and says yes; what it printed, if so.
pub(crate) async fn ask<'a>(
    program: &str,
    dir: &Path,
    args: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let output = command(program, dir).args(args.into_iter().map(OsStr::new)).output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A child and all it started. Dropped before its end, it is killed.
pub(crate) struct Group(Child);

impl Group {
    /// Reads both outputs to their end, then waits. Lines of stderr go to `progress`, those of stdout to `stdout`.
    pub(crate) async fn run(
        &mut self,
        progress: OnProgress<'_>,
        mut stdout: impl FnMut(&str, OnProgress<'_>),
    ) -> std::io::Result<ExitStatus> {
        let mut out = Lines::new(self.0.stdout.take());
        let mut err = Lines::new(self.0.stderr.take());
        loop {
            tokio::select! {
                Some(line) = err.next() => progress(Progress::Output(&line)),
                Some(line) = out.next() => stdout(&line, progress),
                else => break,
            }
        }
        self.0.wait().await
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(pid) =
            self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // Cargo's own children would go on compiling otherwise. It fails if all have ended already.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Lines of bounded length, whatever their bytes.
struct Lines<R> {
    reader: Option<BufReader<R>>,
    /// What has been read of a line whose end has not come; kept when a read is cancelled.
    partial: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(reader: Option<R>) -> Self {
        Lines { reader: reader.map(BufReader::new), partial: Vec::new() }
    }

    /// None at the end. Safe to cancel.
    async fn next(&mut self) -> Option<String> {
        let reader = self.reader.as_mut()?;
        let room = MAX_LINE.saturating_sub(self.partial.len() as u64);
        let read = reader.take(room).read_until(b'\n', &mut self.partial).await;
        let ended = self.partial.last() != Some(&b'\n') && (self.partial.len() as u64) < MAX_LINE;
        if read.is_err() || ended {
            self.reader = None;
            if self.partial.is_empty() {
                return None;
            }
        }
        let line = std::mem::take(&mut self.partial);
        Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned())
    }
}
