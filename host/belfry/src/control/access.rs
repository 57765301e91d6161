//! The way a command takes to a journal.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use belfry_journal::OpenError;
use tokio::time::{Instant, sleep};

use super::{
    desk::Desk,
    protocol::{Answer, Ask, Status},
    socket,
};
use crate::{
    config::{Config, JournalEngine},
    wiring,
};

/// A host that has its journal open listens a moment later.
const STARTING: Duration = Duration::from_secs(3);

/// Somebody who answers.
pub enum Access {
    /// The running host, at its socket.
    Host(PathBuf),
    /// The journal's files, which this process has to itself as long as this lives.
    Journal(Box<Desk>),
}

impl Access {
    /// Finds the running host, or else opens the journal.
    ///
    /// # Errors
    /// When there is neither, or one that cannot be used.
    pub async fn open(config: &Config) -> Result<Self> {
        let until = Instant::now() + STARTING;
        loop {
            if let Some(socket) = running(config).await? {
                return Ok(Self::Host(socket));
            }
            match files(config)? {
                Some(access) => return Ok(access),
                None if Instant::now() < until => sleep(Duration::from_millis(100)).await,
                None => return Err(unreachable(config)),
            }
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// When the host went away meanwhile, or refuses.
    pub async fn ask(&self, ask: Ask) -> Result<Answer> {
        let answer = match self {
            Self::Host(socket) => socket::ask(socket, ask).await?,
            Self::Journal(desk) => desk.answer(ask).await,
        };
        match answer {
            Answer::Refused(reason) => bail!("use the journal: {reason}"),
            answer => Ok(answer),
        }
    }

    /// Whether a host runs.
    #[must_use]
    pub fn is_host(&self) -> bool {
        matches!(self, Self::Host(_))
    }

    /// Asks how it goes.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn status(&self) -> Result<Status> {
        match self.ask(Ask::Status).await? {
            Answer::Status(status) => Ok(*status),
            _ => Err(strange()),
        }
    }
}

/// An answer to another question.
pub(crate) fn strange() -> anyhow::Error {
    anyhow::anyhow!("use the journal: the host answered another question")
}

/// The socket, if somebody listens there.
async fn running(config: &Config) -> Result<Option<PathBuf>> {
    let Some(path) = &config.control_socket else { return Ok(None) };
    match socket::ask(path, Ask::Status).await {
        Ok(Answer::Status(status)) => {
            let (theirs, ours) = (status.journal.path, Desk::place_of_journal(config));
            if theirs != ours {
                let name = |place: Option<String>| place.unwrap_or_else(|| "memory".to_owned());
                bail!(
                    "use the control socket {}: the host of another config listens there, with its journal in {} and \
                     not in {}; give each its own `control_socket` in [host]",
                    path.display(),
                    name(theirs),
                    name(ours)
                );
            }
            Ok(Some(path.clone()))
        }
        Ok(_) => Err(strange()),
        Err(problem) if problem.is_nobody() => Ok(None),
        Err(problem) => Err(problem.into()),
    }
}

/// The journal's files; none if another process has them.
fn files(config: &Config) -> Result<Option<Access>> {
    if config.journal.engine == JournalEngine::Memory {
        match &config.control_socket {
            Some(socket) => bail!("find a running host: nobody listens at {}", socket.display()),
            None => bail!(
                "find a running host: with the journal in memory it listens only where `control_socket` in [host] says"
            ),
        }
    }
    let path = &config.journal.path;
    if !has_journal(path) {
        bail!("find a journal: there is none at {}; `belfry run` begins it", path.display());
    }
    match wiring::open_durable(config) {
        Ok(journal) => Ok(Some(Access::Journal(Box::new(Desk::of_journal(journal, config))))),
        Err(OpenError::InUse { .. }) => Ok(None),
        Err(error) => Err(error).context("open the journal"),
    }
}

/// Looking must not begin one. What cannot be looked at is there, and opening it says what is wrong.
fn has_journal(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(problem) => problem.kind() != ErrorKind::NotFound,
    }
}

/// What to say of a journal that another process has, and nobody answers for.
fn unreachable(config: &Config) -> anyhow::Error {
    let problem = match wiring::open_durable(config) {
        Err(error) => anyhow::Error::new(error).context("open the journal"),
        Ok(_) => anyhow::anyhow!("open the journal: another process had it a moment ago; try again"),
    };
    match &config.control_socket {
        Some(socket) => problem.context(format!(
            "reach the running host: nobody answers at its control socket {}; its log says why",
            socket.display()
        )),
        None => problem,
    }
}
