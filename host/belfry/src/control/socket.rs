//! The control socket: the host's end, and one question from the other.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::AbortHandle,
    time::timeout,
};
use tracing::{debug, warn};

use super::{
    desk::Desk,
    protocol::{Answer, Ask, FORMAT, LONGEST_ANSWER, LONGEST_QUESTION, Question},
};

/// Commands that are served at the same time; more wait to be accepted, which takes no more than milliseconds.
const CONNECTIONS: usize = 8;

/// For a question to come: who has a turn and says nothing must not keep others waiting.
const HESITATION: Duration = Duration::from_secs(2);

/// For a question to come and its answer to leave.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of what a refused connection still sends so much is read: a socket closed on unread bytes would lose the answer.
const UNREAD: u64 = 1 << 20;

/// What a path of a socket may have, in bytes: `sun_path` less its end (Linux has 108, others 104).
const LONGEST_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Why there is no control socket, or no answer from one. Reads after "failed to ".
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A path that no socket can have.
    #[error("use {} as the control socket: the path has {} bytes, a socket's has {LONGEST_PATH} at most; set `control_socket` in [host] to a shorter one", path.display(), path.as_os_str().len())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// Something else is at its place.
    #[error("use {} as the control socket: {what}; set `control_socket` in [host] to another path", path.display())]
    Taken {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The system refuses.
    #[error("use the control socket {}: {cause}{}", path.display(), mend(cause))]
    System {
        /// The path.
        path: PathBuf,
        /// What it says.
        cause: io::Error,
    },
    /// The host said no, or nothing that makes sense.
    #[error("get an answer from the running host: {0}")]
    Refused(String),
}

fn mend(cause: &io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::PermissionDenied => "; be the user who runs the host, or root",
        _ => "",
    }
}

impl ControlError {
    /// Whether there is just nobody at the other end.
    pub(super) fn is_nobody(&self) -> bool {
        let Self::System { cause, .. } = self else { return matches!(self, Self::TooLong { .. }) };
        matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory)
    }
}

/// The socket of a running host. Dropping it closes and removes it.
pub struct Server {
    path: PathBuf,
    task: AbortHandle,
}

impl Server {
    /// Listens at `path`, for this user alone. A socket that a process left behind when it was killed is replaced.
    ///
    /// # Errors
    /// When the path cannot be used. A host runs without a control socket as well.
    pub async fn start(path: &Path, desk: Arc<Desk>) -> Result<Self, ControlError> {
        check_path(path)?;
        clear(path).await?;
        let system = |cause| ControlError::System { path: path.to_owned(), cause };
        let listener = UnixListener::bind(path).map_err(system)?;
        restrict(path).map_err(system)?;
        let task = tokio::spawn(listen(listener, desk)).abort_handle();
        Ok(Self { path: path.to_owned(), task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a socket can have this path at all.
pub(crate) fn check_path(path: &Path) -> Result<(), ControlError> {
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(ControlError::TooLong { path: path.to_owned() });
    }
    Ok(())
}

/// Makes way where nobody listens any more. Nothing but a socket is removed.
async fn clear(path: &Path) -> Result<(), ControlError> {
    use std::os::unix::fs::FileTypeExt as _;
    let taken = |what| ControlError::Taken { path: path.to_owned(), what };
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(found) if !found.file_type().is_socket() => Err(taken("there is a file of another kind")),
        Ok(_) if UnixStream::connect(path).await.is_ok() => Err(taken("another process listens there")),
        Ok(_) => fs::remove_file(path).map_err(|cause| ControlError::System { path: path.to_owned(), cause }),
    }
}

fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

async fn listen(listener: UnixListener, desk: Arc<Desk>) {
    let turns = Arc::new(Semaphore::new(CONNECTIONS));
    // It is never closed.
    while let Ok(turn) = turns.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = desk.clone();
                tokio::spawn(async move {
                    serve(stream, &desk).await;
                    drop(turn);
                });
            }
            Err(problem) => {
                // No file is free, most likely: it gets better, or the log says so elsewhere.
                warn!(%problem, "the control socket takes no connection");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve(mut stream: UnixStream, desk: &Desk) {
    let talk = async {
        let answer = if is_allowed(&stream) {
            match timeout(HESITATION, read(&mut stream)).await? {
                Ok(Ok(ask)) => desk.answer(ask).await,
                Ok(Err(problem)) => Answer::Refused(problem),
                Err(problem) => return Err(problem),
            }
        } else {
            Answer::Refused("only the user who runs the host may ask it".to_owned())
        };
        let mut line = serde_json::to_vec(&answer).map_err(io::Error::other)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(UNREAD), &mut tokio::io::sink()).await
    };
    match timeout(PATIENCE, talk).await {
        Ok(Ok(_)) => {}
        Ok(Err(problem)) => debug!(%problem, "a command went away"),
        Err(_) => debug!("a command took too long"),
    }
}

/// The user who runs the host, and root.
fn is_allowed(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn read(stream: &mut UnixStream) -> io::Result<Result<Ask, String>> {
    let mut line = Vec::new();
    let most = LONGEST_QUESTION as u64;
    BufReader::new(stream.take(most)).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Ok(Err(format!("a question is one line of at most {LONGEST_QUESTION} bytes")));
    }
    #[derive(serde::Deserialize)]
    struct Version {
        format: u32,
    }
    match serde_json::from_slice(&line) {
        Ok(Version { format: FORMAT }) => {}
        Ok(Version { .. }) => {
            let version = env!("CARGO_PKG_VERSION");
            return Ok(Err(format!("the host is belfry {version}: ask it with the same version")));
        }
        Err(problem) => return Ok(Err(format!("the question cannot be read: {problem}"))),
    }
    let question: Result<Question, _> = serde_json::from_slice(&line);
    Ok(question
        .map(|question| question.ask)
        .map_err(|problem| format!("the question cannot be read: {problem}")))
}

/// Asks the host that listens at `path`.
///
/// # Errors
/// When nobody listens there, or what comes is no answer. [`Answer::Refused`] is an answer.
pub(super) async fn ask(path: &Path, ask: Ask) -> Result<Answer, ControlError> {
    check_path(path)?;
    let system = |cause| ControlError::System { path: path.to_owned(), cause };
    let mut stream = UnixStream::connect(path).await.map_err(system)?;
    let talk = async {
        let mut line = serde_json::to_vec(&Question { format: FORMAT, ask }).map_err(io::Error::other)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = match timeout(PATIENCE, talk).await {
        Ok(answer) => answer.map_err(system)?,
        Err(_) => return Err(ControlError::Refused(format!("it said nothing for {} s", PATIENCE.as_secs()))),
    };
    if answer.is_empty() {
        return Err(ControlError::Refused("it closed the connection".to_owned()));
    }
    serde_json::from_slice(&answer)
        .map_err(|problem| ControlError::Refused(format!("what it says cannot be read: {problem}")))
}
