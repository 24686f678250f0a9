//! A process that was started: its pipes, and how its end is learnt.

use std::io::{self, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use crate::End;
use crate::group::{as_pid, stat};

/// How long the parent of a process that is gone may take to say how it ended.
const WORD: Duration = Duration::from_millis(500);
/// How often a process is looked for, where the system does not say when it ends.
const LOOK: Duration = Duration::from_millis(250);

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) pipes: OurEnds,
    pub(crate) ending: Ending,
}

/// Our ends of a process's pipes.
#[derive(Debug)]
pub(crate) struct OurEnds {
    pub(crate) input: Sender,
    pub(crate) output: Receiver,
    /// None where its stderr is this process's own.
    pub(crate) errors: Option<Receiver>,
}

/// A process's ends of its pipes, none of which is inherited as it stands.
#[derive(Debug)]
pub(crate) struct TheirEnds {
    pub(crate) input: OwnedFd,
    pub(crate) output: OwnedFd,
    pub(crate) errors: OwnedFd,
}

/// Makes the pipes of a process.
pub(crate) fn new_pipes() -> io::Result<(OurEnds, TheirEnds)> {
    let (their_input, input) = pipe()?;
    let (output, their_output) = pipe()?;
    let (errors, their_errors) = pipe()?;
    let ours = OurEnds {
        input: Sender::from_owned_fd(input.into())?,
        output: Receiver::from_owned_fd(output.into())?,
        errors: Some(Receiver::from_owned_fd(errors.into())?),
    };
    let theirs = TheirEnds {
        input: their_input.into(),
        output: their_output.into(),
        errors: their_errors.into(),
    };
    Ok((ours, theirs))
}

/// Makes the socket of a process that keeps this one's stdin, stdout and stderr. Its own end is
/// inherited as it stands, by whatever starts before that is closed.
pub(crate) fn new_socket() -> io::Result<(OurEnds, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let theirs = OwnedFd::from(theirs);
    fcntl_setfd(&theirs, FdFlags::empty())?;
    // No pipes; what counts is that they can be written and read.
    let ours = OurEnds {
        input: Sender::from_owned_fd_unchecked(ours.try_clone()?.into())?,
        output: Receiver::from_owned_fd_unchecked(ours.into())?,
        errors: None,
    };
    Ok((ours, theirs))
}

/// Learns of a process's end.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It is a child of ours.
    Ours(Child),
    /// It is a child of another, who tells.
    Theirs(Told),
}

impl Ending {
    /// Waits for the end. What is awaited in between is not lost.
    pub(crate) async fn wait(&mut self) -> End {
        match self {
            Self::Ours(child) => child.wait().await.map_or(End::Unknown, Into::into),
            Self::Theirs(told) => told.wait().await,
        }
    }
}

/// The end of a process that another collects: told by that one, or, where it cannot tell any
/// more, seen.
#[derive(Debug)]
pub(crate) struct Told {
    status: oneshot::Receiver<ExitStatus>,
    /// Nobody is left to tell.
    untold: bool,
    seen: Seen,
    /// When it was seen to be gone.
    gone: Option<Instant>,
}

impl Told {
    /// Begins to watch `pid`, which a parent of its own collects and then sends `status`.
    pub(crate) fn new(pid: u32, status: oneshot::Receiver<ExitStatus>) -> Self {
        Self {
            status,
            untold: false,
            seen: Seen::new(pid),
            gone: None,
        }
    }

    async fn wait(&mut self) -> End {
        loop {
            if self.untold && self.gone.is_some() {
                return End::Unknown;
            }
            let word = self.gone.map(|at| at + WORD);
            tokio::select! {
                biased;
                status = &mut self.status, if !self.untold => match status {
                    Ok(status) => return status.into(),
                    Err(_) => self.untold = true,
                },
                () = self.seen.wait(), if self.gone.is_none() => self.gone = Some(Instant::now()),
                () = sleep_until(word.unwrap_or_else(Instant::now)), if word.is_some() => {
                    return End::Unknown;
                }
            }
        }
    }
}

/// Sees a process end that is no child of ours.
#[derive(Debug)]
enum Seen {
    /// The system says so. The descriptor is no pipe; what counts is that it can be waited for.
    Pidfd(Receiver),
    /// It is looked for: by when it started, since its number may be another's one day.
    Looked { pid: u32, started: Option<u64> },
}

impl Seen {
    fn new(pid: u32) -> Self {
        let started = stat(pid).map(|stat| stat.started);
        match pidfd(pid).and_then(Receiver::from_owned_fd_unchecked) {
            Ok(fd) => Self::Pidfd(fd),
            Err(_) => Self::Looked { pid, started },
        }
    }

    async fn wait(&self) {
        match self {
            // Readable means ended. An error, which would be one of the runtime, ends the wait, too.
            Self::Pidfd(fd) => drop(fd.readable().await),
            Self::Looked { pid, started } => loop {
                let there = stat(*pid).filter(|stat| !stat.zombie);
                if there.map(|stat| stat.started) != *started || started.is_none() {
                    return;
                }
                sleep(LOOK).await;
            },
        }
    }
}

#[cfg(target_os = "linux")]
fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    let pid = as_pid(pid).ok_or(Errno::SRCH)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

#[cfg(not(target_os = "linux"))]
fn pidfd(_pid: u32) -> io::Result<OwnedFd> {
    Err(Errno::NOSYS.into())
}
