//! Linux: a handle of the system (`pidfd`), and what `/proc` says.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::FileId;

#[derive(Debug)]
pub(super) struct Handle {
    pid: Pid,
    /// `None` on systems before Linux 5.3, which many a studio runs.
    pidfd: Option<OwnedFd>,
    /// When it started, in clock ticks after boot.
    started: u64,
}

impl Handle {
    pub(super) fn open(pid: Pid) -> io::Result<Option<Self>> {
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Some(pidfd),
            // A container may forbid it.
            Err(Errno::NOSYS | Errno::PERM) => None,
            // No process has this number, but perhaps a thread of one.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Self::known_by(pidfd, pid))
    }
    fn known_by(pidfd: Option<OwnedFd>, pid: Pid) -> Option<Self> {
        let stat = slated_host::stat(number(pid)).filter(|stat| !stat.zombie)?;
        Some(Self {
            pid,
            pidfd,
            started: stat.started,
        })
    }
    pub(super) fn has_ended(&self) -> bool {
        if let Some(pidfd) = &self.pidfd {
            // Exact: its first thread may be gone long before the last, which holds its locks.
            let mut ended = [PollFd::new(pidfd, PollFlags::IN)];
            return poll(&mut ended, Some(&Timespec::default())).is_ok_and(|ready| ready > 0);
        }
        let stat = slated_host::stat(number(self.pid));
        stat.is_none_or(|stat| stat.zombie || stat.started != self.started)
    }
    pub(super) fn signal(&self, signal: Signal) -> rustix::io::Result<()> {
        match &self.pidfd {
            Some(pidfd) => pidfd_send_signal(pidfd, signal),
            None if self.has_ended() => Err(Errno::SRCH),
            None => kill_process(self.pid, signal),
        }
    }
    pub(super) fn holds(&self, file: FileId) -> io::Result<bool> {
        let root = format!("/proc/{}", number(self.pid));
        let open = match std::fs::read_dir(format!("{root}/fd")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            open => open?,
        };
        for entry in open {
            let entry = entry?;
            let info = root.clone() + "/fdinfo/" + &entry.file_name().to_string_lossy();
            // Closed meanwhile, perhaps.
            let info = std::fs::read_to_string(info).unwrap_or_default();
            if !info.lines().any(is_exclusive) {
                continue;
            }
            // Only now: a file on a dead network share would not answer.
            let is_it = |meta| FileId::of(&meta) == file;
            if std::fs::metadata(entry.path()).is_ok_and(is_it) {
                return Ok(true);
            }
        }
        Ok(false)
    }
    pub(super) fn command(&self) -> Vec<String> {
        let text = std::fs::read(format!("/proc/{}/cmdline", number(self.pid)));
        let text = text.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let words = text.split_terminator('\0');
        words.map(str::to_owned).collect()
    }
}

/// Tells whether a line of `fdinfo` is an exclusive `flock`:
/// `lock:  1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF`.
fn is_exclusive(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.next() == Some("lock:") && words.nth(1) == Some("FLOCK") && words.nth(1) == Some("WRITE")
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_pid().unsigned_abs()
}

/// Tells whether this process asked for the orphans below it (`PR_SET_CHILD_SUBREAPER`).
pub(super) fn is_subreaper() -> bool {
    rustix::process::child_subreaper().is_ok_and(|set| set.is_some())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Guard, ends};
    use super::*;

    #[test]
    fn without_a_handle_of_the_system_the_start_time_tells_strangers_apart() {
        let mut child = Guard::run("sleep", &["600"]);
        let pid = Pid::from_child(&child.0);
        let mut handle = Handle::known_by(None, pid).unwrap();
        // The number's next owner would have started later.
        handle.started -= 1;
        assert!(handle.has_ended());
        assert_eq!(handle.signal(Signal::KILL), Err(Errno::SRCH));
        assert!(child.0.try_wait().unwrap().is_none(), "the stranger lives");
        handle.started += 1;
        handle.signal(Signal::KILL).unwrap();
        ends(|| handle.has_ended());
        assert!(
            Handle::known_by(None, pid).is_none(),
            "only to be collected"
        );
    }

    #[test]
    fn locks_are_told_apart() {
        let line = |words| format!("lock:\t1: {words} 359 00:13:11691 0 EOF");
        assert!(is_exclusive(&line("FLOCK  ADVISORY  WRITE")));
        assert!(!is_exclusive(&line("FLOCK  ADVISORY  READ")));
        assert!(!is_exclusive(&line("POSIX  ADVISORY  WRITE")));
        assert!(!is_exclusive("flags:\t02100001"));
    }
}
