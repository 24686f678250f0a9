//! The pid file: `PID\n`, written by the daemon and locked for its life.
//!
//! Invariants:
//! * The lock says whether it holds, the number only who: a lock ends with its process, however
//!   that ends, so a file that is left behind harms nobody.
//! * Whoever writes to or removes a file holds its lock, and has looked that the file still has
//!   its name. So of two starts one gets it, and none removes another's.
//! * The Python daemon writes the same file and locks nothing. While it lives, the file is its.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tokio::time::{Instant, sleep};

use crate::error::CommandError;
use crate::process::{FileId, Process};
use crate::python_daemon;

/// How long a lock may be another's who only looks, or who is about to write its number.
const PATIENCE: Duration = Duration::from_secs(1);
/// From one try to the next.
const PAUSE: Duration = Duration::from_millis(10);
/// From one look at whether the file is still there to the next.
const LOOK: Duration = Duration::from_secs(1);

/// The pid file of this process. Dropping it removes the file, if that still is ours.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    id: FileId,
    /// What stood in it, where that is worth a line of the log.
    pub(crate) notice: Option<String>,
    /// Locked.
    _file: File,
}

/// What a file that names a process says.
#[derive(Debug)]
pub(crate) enum Holder {
    /// This process holds the lock.
    Process(Process),
    /// There is no such file, nobody holds its lock, or this cannot be told without taking it.
    Nobody,
    /// Somebody holds the lock, and not the process that the file names.
    Unknown,
    /// The Python daemon, and the command that stops it.
    PythonDaemon(u32, String),
}

impl PidFile {
    /// Takes the file, or says who has it.
    pub(crate) async fn take(path: &Path) -> Result<Self, CommandError> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut file = open(path).map_err(|error| unusable(path, &error))?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    let text = read(&mut file).map_err(|error| unusable(path, &error))?;
                    if let Some(holder) = holder_of(&file, &text)? {
                        return Err(runs(path, &holder));
                    }
                    if Instant::now() >= end {
                        return Err(locked(path));
                    }
                    sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(unusable(path, &error.into())),
            }
            let id = id_of(&file).map_err(|error| unusable(path, &error))?;
            // Between our two calls its last holder removed it, or somebody replaced it.
            if std::fs::metadata(path).map_or(true, |meta| FileId::of(&meta) != id) {
                continue;
            }
            let text = read(&mut file).map_err(|error| unusable(path, &error))?;
            let notice = judge(path, &text)?;
            // Positioned behind what was read.
            let written = file
                .set_len(0)
                .and_then(|()| io::Seek::rewind(&mut file))
                .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
            written.map_err(|error| unusable(path, &error))?;
            return Ok(Self {
                path: path.to_owned(),
                id,
                notice,
                _file: file,
            });
        }
    }

    /// Returns what ends when the name no longer leads to this file. A folder that cannot be
    /// looked into says nothing.
    pub(crate) fn removed(&self) -> impl Future<Output = ()> + Send + 'static {
        let (path, id) = (self.path.clone(), self.id);
        async move {
            loop {
                match tokio::fs::metadata(&path).await {
                    Ok(meta) if FileId::of(&meta) != id => return,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                    _ => sleep(LOOK).await,
                }
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = std::fs::metadata(&self.path).is_ok_and(|meta| FileId::of(&meta) == self.id);
        if ours {
            // What is left behind is stale.
            std::fs::remove_file(&self.path).unwrap_or_default();
        }
    }
}

/// Looks who holds the file of a `.conf`'s `pidFile`. A moment in which the holder has not written
/// its number yet is waited for.
pub(crate) async fn holder(path: &Path) -> Result<Holder, CommandError> {
    let end = Instant::now() + PATIENCE;
    loop {
        let Some((file, text)) = look(path)? else {
            return Ok(Holder::Nobody);
        };
        if let Some(process) = holder_of(&file, &text)? {
            return Ok(Holder::Process(process));
        }
        if !is_locked(&file)? {
            let daemon = number(&text).and_then(lives_as_python_daemon);
            return Ok(daemon.map_or(Holder::Nobody, |(pid, stop)| {
                Holder::PythonDaemon(pid, stop)
            }));
        }
        if Instant::now() >= end {
            return Ok(Holder::Unknown);
        }
        sleep(PAUSE).await;
    }
}

/// Looks who holds a file without ever taking its lock, not even for a moment: another's start
/// may not wait for it.
pub(crate) fn holder_at_a_glance(path: &Path) -> Result<Holder, CommandError> {
    let Some((file, text)) = look(path)? else {
        return Ok(Holder::Nobody);
    };
    Ok(holder_of(&file, &text)?.map_or(Holder::Nobody, Holder::Process))
}

fn look(path: &Path) -> Result<Option<(File, String)>, CommandError> {
    let opened = File::open(path).and_then(|mut file| {
        let text = read(&mut file)?;
        Ok((file, text))
    });
    match opened {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CommandError::configuration(format!(
            "{} cannot be read: {error}",
            path.display()
        ))
        .hint("run this as the user slated runs as")),
    }
}

/// Returns the process that a file names, if it holds the file's lock.
fn holder_of(file: &File, text: &str) -> Result<Option<Process>, CommandError> {
    let Some(pid) = number(text) else {
        return Ok(None);
    };
    let fail = |error: io::Error| {
        CommandError::configuration(format!("process {pid} cannot be looked at: {error}"))
            .hint("run this as the user slated runs as")
    };
    let Some(process) = Process::open(pid).map_err(fail)? else {
        return Ok(None);
    };
    let holds = match id_of(file).and_then(|id| process.holds(id)) {
        // A stranger of another user: no daemon of ours.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_locked(file)? => false,
        holds => holds.map_err(fail)?,
    };
    Ok((holds && is_locked(file)?).then_some(process))
}

/// Tells whether somebody holds the exclusive lock of a file.
fn is_locked(file: &File) -> Result<bool, CommandError> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            // Closing it does the same.
            rustix::fs::flock(file, FlockOperation::Unlock).unwrap_or_default();
            Ok(false)
        }
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(CommandError::configuration(format!(
            "the lock of a pid file cannot be looked at: {error}"
        ))
        .hint("keep it on a local disk")),
    }
}

/// Decides about a file whose lock nobody holds, by what stands in it; returns what is worth a
/// line of the log.
fn judge(path: &Path, text: &str) -> Result<Option<String>, CommandError> {
    // A disk that lost power may leave nothing, or zeros.
    if text.trim_matches(is_blank).is_empty() {
        return Ok(None);
    }
    let place = path.display();
    let Some(pid) = number(text) else {
        return Err(CommandError::configuration(format!(
            "{place} is to be the pid file, and holds something else; it was left as it is"
        ))
        .hint("correct `[daemon] pidFile`, or remove the file if nothing needs it"));
    };
    // Containers give the same number again and again.
    if pid == std::process::id() {
        return Ok(Some(stale(path, pid, "an earlier process of this number")));
    }
    if let Some((pid, stop)) = lives_as_python_daemon(pid) {
        return Err(CommandError::configuration(format!(
            "the Python event daemon runs as process {pid} ({place} names it): both would call every plugin"
        ))
        .hint(format!("stop it first: {stop}")));
    }
    let process = Process::open(pid).ok().flatten();
    let Some(process) = process else {
        return Ok(Some(stale(path, pid, "a process that has ended")));
    };
    if cfg!(not(target_os = "linux")) && process.command().is_empty() {
        return Err(CommandError::configuration(format!(
            "{place} names process {pid}, which may be the Python event daemon"
        ))
        .hint("stop it first; if it is another program, remove the file"));
    }
    Ok(Some(stale(
        path,
        pid,
        "a process that is another program's now",
    )))
}

fn stale(path: &Path, pid: u32, whose: &str) -> String {
    let place = path.display();
    format!("The pid file {place} was left behind: it named {pid}, {whose}.")
}

fn lives_as_python_daemon(pid: u32) -> Option<(u32, String)> {
    let process = Process::open(pid).ok().flatten()?;
    let stop = python_daemon::stopped_by(&process.command())?;
    Some((pid, stop))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path)
}

/// Reads as much as a number can be long, from the beginning.
fn read(file: &mut File) -> io::Result<String> {
    io::Seek::rewind(file)?;
    let mut bytes = Vec::new();
    file.take(64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn number(text: &str) -> Option<u32> {
    text.trim_matches(is_blank).parse().ok()
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\0'
}

fn id_of(file: &File) -> io::Result<FileId> {
    Ok(FileId::of(&file.metadata()?))
}

fn unusable(path: &Path, error: &io::Error) -> CommandError {
    let place = path.display();
    let error =
        CommandError::configuration(format!("the pid file {place} cannot be written: {error}"));
    if path.parent().is_some_and(Path::is_dir) {
        error.hint(
            "make it writable for the user slated runs as, or name another: `[daemon] pidFile`",
        )
    } else {
        error.hint("make its folder, or name another: `[daemon] pidFile`")
    }
}

fn runs(path: &Path, holder: &Process) -> CommandError {
    CommandError::configuration(format!(
        "slated runs already, as process {} ({} is its pid file)",
        holder.pid(),
        path.display()
    ))
    .hint("`slated status` shows it; `slated stop` stops it, `slated restart` begins anew")
}

fn locked(path: &Path) -> CommandError {
    CommandError::configuration(format!(
        "the pid file {} is locked, and not by the process it names",
        path.display()
    ))
    .hint("slated may run in a container or on another machine: stop it there, or name another `[daemon] pidFile`")
}

#[cfg(test)]
mod tests;
