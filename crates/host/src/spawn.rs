//! A worker process is started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slated_model::PluginId;
use slated_wire::{
    Config, FEATURES, FrameError, Hello, Limits, PROTOCOL, PluginFile, Site, ToWorker, encode,
};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::group::{Group, Reach, offer_to_oom_killer, stat};
use crate::handle::{Handle, Order};
use crate::launch::Launched;
use crate::process::{Ending, OurEnds, Process, new_pipes, new_socket};
use crate::program::Program;
use crate::stderr::{Kept, listen};
use crate::supervisor::{ORDERS, Supervisor};
use crate::{Exit, Launch, Report, pipes};

/// One start of a worker; never used twice in the life of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u64);

/// Everything a start needs.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// Names this start in every report.
    pub worker: WorkerId,
    /// The plugin.
    pub plugin: PluginId,
    /// Its file, absolute.
    pub file: PathBuf,
    /// The file's content as the scan saw it, in lower-case hexadecimal; empty if unknown.
    pub sha256: String,
    /// How its process is started.
    pub launch: Launch,
    /// What speaks the protocol for it.
    pub program: Program,
    /// The variables it gets.
    pub env: Environment,
    /// Its working directory, or the daemon's.
    pub cwd: Option<PathBuf>,
    /// The version of the daemon, for the plugin's information.
    pub daemon_version: String,
    /// The site its clients are opened for.
    pub site: Site,
    /// Log level, import paths, umask and the like.
    pub config: Config,
    /// How many events may be in flight.
    pub window: u32,
    /// The longest frame either side accepts, in bytes; [`slated_wire::MAX_FRAME`] as a rule.
    pub max_frame: usize,
    /// How many bytes the process may use, where the system can see to it.
    pub memory: Option<u64>,
    /// How long things may take.
    pub limits: CallLimits,
}

/// The variables of a process.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Environment {
    /// Whether it starts from nothing instead of from this process's variables.
    pub clear: bool,
    /// What is set on top.
    pub set: BTreeMap<OsString, OsString>,
    /// What is not taken over.
    pub remove: Vec<OsString>,
}

/// How long things may take. `None`: as long as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// From the start until the plugin is ready.
    pub init: Duration,
    /// A call, before it is reported as slow.
    pub warn_after: Option<Duration>,
    /// A call, before the worker interrupts it.
    pub soft: Option<Duration>,
    /// A call, before the worker is ended.
    pub hard: Option<Duration>,
    /// A call in flight, after slated is gone.
    pub orphan: Duration,
}

/// A worker that could not be started: said at once, but for [`Start`](Self::Start), which is
/// [reported](Report::Unstarted).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The system did not start the program.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The working directory is not there, is no folder, or cannot be entered.
    #[error("the working directory {} {why}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Such as `does not exist`.
        why: String,
    },
    /// A path in the configuration cannot be written as JSON.
    #[error("the worker cannot be told how to run: {0}")]
    Hello(#[from] FrameError),
}

impl SpawnError {
    /// Tells whether the system had no room for a process: a later start may succeed without
    /// anything being mended.
    pub fn is_for_want_of_room(&self) -> bool {
        use rustix::io::Errno;
        let Self::Start { source, .. } = self else {
            return false;
        };
        let none = [
            Errno::AGAIN,
            Errno::NOMEM,
            Errno::MFILE,
            Errno::NFILE,
            // Somebody still has it open who wrote it.
            Errno::TXTBSY,
        ];
        Errno::from_io_error(source).is_some_and(|errno| none.contains(&errno))
    }

    /// Says what the system means by refusing a program that is there, where its words mislead.
    pub fn advice(&self) -> Option<&'static str> {
        use rustix::io::Errno;
        let Self::Start { source, .. } = self else {
            return None;
        };
        match Errno::from_io_error(source)? {
            Errno::NOENT => Some("is there a program of the name in its first line, behind `#!`?"),
            Errno::NOEXEC => Some(
                "a script begins with a line such as `#!/bin/sh`, and a program is built for this machine",
            ),
            _ => None,
        }
    }
}

/// Says what keeps a path from being a process's working directory, such as `does not exist`.
pub fn unfit_folder(folder: &Path) -> Option<String> {
    use rustix::fs::{Access, access};
    match std::fs::metadata(folder) {
        Ok(meta) if !meta.is_dir() => Some("is not a folder".into()),
        Ok(_) => access(folder, Access::EXEC_OK)
            .err()
            .map(|errno| format!("cannot be entered: {errno}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("does not exist".into()),
        Err(error) => Some(format!("cannot be looked at: {error}")),
    }
}

/// A worker process.
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Starts a worker. What happens to it is sent to `reports`, a start that fails too; where
    /// those are not taken, the worker waits. Must be called within a tokio runtime.
    pub fn start(
        spawn: &Spawn,
        reports: mpsc::Sender<(WorkerId, Report)>,
    ) -> Result<Handle, SpawnError> {
        let hello = encode(&ToWorker::Hello(Box::new(spawn.hello())), spawn.max_frame)?;
        // Looked at first: the system's error would be about the interpreter.
        if let Some(folder) = &spawn.cwd
            && let Some(why) = unfit_folder(folder)
        {
            let folder = folder.clone();
            return Err(SpawnError::Folder { folder, why });
        }
        let (orders_sender, orders) = mpsc::channel(ORDERS);
        let handle = Handle {
            id: spawn.worker,
            soft_ms: spawn.limits.soft.map(millis),
            max_frame: spawn.max_frame,
            orders: orders_sender,
            kill: CancellationToken::new(),
        };
        let kill = handle.kill.clone();
        tokio::spawn(begin(spawn.clone(), hello, kill, reports, orders));
        Ok(handle)
    }
}

/// Starts the process and sees to it until its end.
async fn begin(
    spawn: Spawn,
    hello: Vec<u8>,
    kill: CancellationToken,
    reports: mpsc::Sender<(WorkerId, Report)>,
    orders: mpsc::Receiver<Order>,
) {
    let launched = tokio::select! {
        biased;
        () = kill.cancelled() => {
            let exit = Report::Exited(Box::new(Exit::before_start()));
            return drop(reports.send((spawn.worker, exit)).await);
        }
        () = reports.closed() => return,
        launched = spawn.launch.start(&spawn) => launched,
    };
    let Launched { process, note } = match launched {
        Ok(launched) => launched,
        Err(error) => {
            return drop(reports.send((spawn.worker, Report::Unstarted(error))).await);
        }
    };
    let Process { pid, pipes, ending } = process;
    let reach = if spawn.at_terminal() {
        Reach::Alone
    } else {
        Reach::Group
    };
    let group = Group::reaching(pid, reach);
    offer_to_oom_killer(pid);

    let (line_sender, lines) = mpsc::channel(ORDERS + 2);
    let (heard_sender, heard) = mpsc::channel(pipes::HEARD);
    let (printed_sender, printed) = mpsc::channel(256);
    let kept = Kept::default();
    tokio::spawn(pipes::write(pipes.input, lines));
    tokio::spawn(pipes::read(pipes.output, spawn.max_frame, heard_sender));
    if let Some(errors) = pipes.errors {
        tokio::spawn(listen(errors, kept.clone(), printed_sender));
    }
    // The queue is empty and has room for this one.
    drop(line_sender.try_send(hello));

    let started = Report::Started {
        pid,
        started: stat(pid).map(|stat| stat.started),
        note,
    };
    if reports.send((spawn.worker, started)).await.is_err() {
        // Dropping the group kills it; its parent collects it.
        return;
    }
    let supervisor = Supervisor::new(&spawn, pid, kill, reports, group, kept, line_sender);
    supervisor.run(ending, orders, heard, printed).await;
}

pub(crate) fn millis(duration: Duration) -> u64 {
    // A limit below a millisecond is still a limit.
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

impl Spawn {
    fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL,
            features: FEATURES.iter().map(ToString::to_string).collect(),
            daemon_version: self.daemon_version.clone(),
            plugin: PluginFile {
                name: self.plugin.stem().to_owned(),
                path: self.file.clone(),
                sha256: self.sha256.clone(),
            },
            site: self.site.clone(),
            config: self.config.clone(),
            limits: Limits {
                max_frame: self.max_frame,
                window: self.window,
                orphan_grace_ms: millis(self.limits.orphan),
                memory: self.memory,
            },
        }
    }

    /// Starts the process by itself.
    pub(crate) fn run(&self) -> Result<Process, SpawnError> {
        self.try_run().map_err(|source| SpawnError::Start {
            program: self.program.path().to_owned(),
            source,
        })
    }

    /// Tells whether its process stays in this one's group and has its stdin, stdout and stderr:
    /// a debugger's terminal is in them.
    pub(crate) fn at_terminal(&self) -> bool {
        self.config.debug
    }

    fn try_run(&self) -> io::Result<Process> {
        if self.at_terminal() {
            return self.run_at_terminal();
        }
        let (pipes, theirs) = new_pipes()?;
        let mut command = self.program.command(&self.env, self.config.umask);
        // At the head of a group that dies with it.
        command
            .process_group(0)
            .stdin(theirs.input)
            .stdout(theirs.output)
            .stderr(theirs.errors);
        self.begin(command, pipes)
    }

    fn run_at_terminal(&self) -> io::Result<Process> {
        let (pipes, theirs) = new_socket()?;
        let mut command = self.program.command(&self.env, self.config.umask);
        command.env("SLATED_FD", theirs.as_raw_fd().to_string());
        self.begin(command, pipes)
    }

    /// Starts what is spoken to over `pipes`. What the command inherits must stand until then.
    fn begin(&self, mut command: Command, pipes: OurEnds) -> io::Result<Process> {
        command.env("SLATED_WORKER_ID", self.worker.0.to_string());
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        let child = command.spawn()?;
        Ok(Process {
            pid: child.id().unwrap_or_default(),
            pipes,
            ending: Ending::Ours(child),
        })
    }
}

impl Environment {
    /// Gives these variables to a command.
    pub(crate) fn apply(&self, command: &mut Command) {
        if self.clear {
            command.env_clear();
        }
        for name in &self.remove {
            command.env_remove(name);
        }
        command.envs(&self.set);
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("clear", &self.clear)
            .field("set", &self.set.keys())
            .field("remove", &self.remove)
            .finish()
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            init: Duration::from_secs(30),
            warn_after: Some(Duration::from_mins(1)),
            soft: None,
            hard: Some(Duration::from_hours(1)),
            orphan: Duration::from_secs(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_system_without_room_may_start_it_later() {
        use rustix::io::Errno;
        for (errno, room) in [
            (Errno::AGAIN, true),
            (Errno::NOMEM, true),
            (Errno::MFILE, true),
            (Errno::NOENT, false),
            (Errno::ACCESS, false),
            (Errno::NOEXEC, false),
        ] {
            let error = SpawnError::Start {
                program: "python3".into(),
                source: errno.into(),
            };
            assert_eq!(error.is_for_want_of_room(), room, "{error}");
        }
    }

    #[test]
    fn a_folder_that_does_not_do_says_why() {
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("file");
        std::fs::write(&file, "").unwrap();
        for (path, wanted) in [
            (here.path().to_owned(), None),
            (here.path().join("nowhere"), Some("does not exist")),
            (file.clone(), Some("is not a folder")),
        ] {
            let found = unfit_folder(&path);
            assert_eq!(found.as_deref(), wanted, "{}", path.display());
        }
        assert!(unfit_folder(&file.join("x")).is_some());
    }
}
