//! Systems without `/proc` and `pidfd`: a number is all there is.
//!
//! So the caller's care is what protects strangers: it signals a number only while the lock of the
//! file that names it is held by somebody.

#![expect(clippy::unnecessary_wraps, reason = "elsewhere these may fail")]

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::FileId;

#[derive(Debug)]
pub(super) struct Handle(Pid);

impl Handle {
    pub(super) fn open(pid: Pid) -> io::Result<Option<Self>> {
        Ok(Some(Self(pid)).filter(|handle| !handle.has_ended()))
    }
    pub(super) fn has_ended(&self) -> bool {
        test_kill_process(self.0) == Err(Errno::SRCH)
    }
    pub(super) fn signal(&self, signal: Signal) -> rustix::io::Result<()> {
        kill_process(self.0, signal)
    }
    /// Cannot be told here: as long as there is a process, it may be the holder.
    pub(super) fn holds(&self, _: FileId) -> io::Result<bool> {
        Ok(!self.has_ended())
    }
    #[expect(clippy::unused_self, reason = "elsewhere it is told; here of none")]
    pub(super) const fn command(&self) -> Vec<String> {
        Vec::new()
    }
}

/// There is no such thing here.
pub(super) const fn is_subreaper() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Guard, ends};
    use super::*;

    #[test]
    fn a_number_is_signalled_until_nobody_has_it() {
        let mut child = Guard::run("sleep", &["600"]);
        let pid = Pid::from_child(&child.0);
        let handle = Handle::open(pid).unwrap().unwrap();
        assert!(!handle.has_ended());
        let meta = std::fs::metadata("/dev/null").unwrap();
        assert!(handle.holds(FileId::of(&meta)).unwrap());
        assert!(handle.command().is_empty());
        assert!(!is_subreaper());
        handle.signal(Signal::KILL).unwrap();
        child.0.wait().unwrap();
        ends(|| handle.has_ended());
        assert!(Handle::open(pid).unwrap().is_none());
    }
}
