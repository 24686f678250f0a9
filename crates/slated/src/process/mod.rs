//! Another process, which a number in a file names: who it is, and signals that reach no other.
//!
//! A number alone names nobody for good: the system gives it to a stranger once its process has
//! ended. So a process is opened first, then looked at, then signalled: a signal goes to the one
//! that was looked at, or to none.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(not(target_os = "linux"), test))]
mod other;

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use rustix::process::{Pid, Signal};

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

/// A file, whatever its name: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self(meta.dev(), meta.ino())
    }
}

/// A process that was there when it was opened.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    handle: system::Handle,
}

impl Process {
    /// Opens the process of a number; `None` where there is none.
    pub(crate) fn open(pid: u32) -> io::Result<Option<Self>> {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let handle = system::Handle::open(number)?;
        Ok(handle.map(|handle| Self { pid, handle }))
    }
    /// Returns its number.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }
    /// Tells whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.handle.has_ended()
    }
    /// Sends a signal; one that has ended needs none.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.handle.signal(signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }
    /// Tells whether it holds the exclusive lock (`flock`) of a file, as far as the system can
    /// tell. `false` also if it ended meanwhile.
    pub(crate) fn holds(&self, file: FileId) -> io::Result<bool> {
        let holds = self.handle.holds(file);
        // What was looked at may have been its successor.
        if self.has_ended() {
            return Ok(false);
        }
        holds
    }
    /// Returns its command line; empty where the system does not say.
    pub(crate) fn command(&self) -> Vec<String> {
        self.handle.command()
    }
}

/// Tells whether processes whose parents have ended become children of this one.
pub(crate) fn gets_orphans() -> bool {
    std::process::id() == 1 || system::is_subreaper()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    /// A child that is killed and collected with its guard.
    pub(crate) struct Guard(pub(crate) Child);

    impl Guard {
        pub(crate) fn run(program: &str, arguments: &[&str]) -> Self {
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null());
            Self(command.stdout(Stdio::piped()).spawn().unwrap())
        }
        /// A Python that runs this text, then says so and sleeps, as a script of this name.
        pub(crate) fn python(text: &str, script: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(script);
            let wait = "import sys, time\nprint('here')\nsys.stdout.flush()\ntime.sleep(600)\n";
            std::fs::write(&path, format!("{text}\n{wait}")).unwrap();
            let python = slated_testkit::python::interpreter().unwrap();
            let arguments = [path.to_str().unwrap(), "start"];
            let mut guard = Self::run(python.to_str().unwrap(), &arguments);
            let mut here = [0; 5];
            let stdout = guard.0.stdout.as_mut().unwrap();
            stdout.read_exact(&mut here).unwrap();
            guard
        }
        pub(crate) fn process(&self) -> Process {
            Process::open(self.0.id()).unwrap().unwrap()
        }
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    pub(super) fn ends(has_ended: impl Fn() -> bool) {
        let limit = Instant::now() + Duration::from_secs(10);
        while !has_ended() {
            assert!(Instant::now() < limit, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_signal_reaches_the_process_that_was_opened() {
        let mut child = Guard::run("sleep", &["600"]);
        let process = child.process();
        assert_eq!(process.pid(), child.0.id());
        assert!(!process.has_ended());
        process.signal(Signal::TERM).unwrap();
        // Also before somebody collects it.
        ends(|| process.has_ended());
        assert_eq!(child.0.wait().unwrap().code(), None);
        assert!(process.has_ended());
        process.signal(Signal::KILL).unwrap();
        assert!(Process::open(child.0.id()).unwrap().is_none());
        assert!(Process::open(0).unwrap().is_none());
        assert!(Process::open(u32::MAX).unwrap().is_none());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_the_one_that_locked_a_file_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        let id = FileId::of(&file.metadata().unwrap());
        let open = format!("held = open({:?})", path.to_str().unwrap());
        let lock = |how: &str| format!("import fcntl\n{open}\nfcntl.flock(held, fcntl.{how})");
        let holds = |child: &Guard| child.process().holds(id).unwrap();
        // Whoever has it open, or shares its lock, is not its holder.
        assert!(!holds(&Guard::python(&open, "a.py")));
        assert!(!holds(&Guard::python(&lock("LOCK_SH"), "a.py")));
        let holder = Guard::python(&lock("LOCK_EX"), "a.py");
        assert!(holds(&holder));
        let process = holder.process();
        process.signal(Signal::KILL).unwrap();
        ends(|| process.has_ended());
        assert!(!process.holds(id).unwrap());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_command_line_is_read_in_words() {
        let child = Guard::python("", "two words.py");
        let command = child.process().command();
        assert_eq!(command.len(), 3, "{command:?}");
        assert!(command[1].ends_with("/two words.py") && command[2] == "start");
    }
}
