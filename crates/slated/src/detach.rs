//! The process that `slated start` leaves behind lets go of terminal, folder and parent.
//!
//! No fork, which needs unsafe code: `start` runs the program once more and waits. Until that one
//! says it is ready it has the terminal's stderr, so what it says of trouble reads as with `run`.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::CommandError;

/// What the process says on stdout when it runs. Its end without this word is a failed start.
pub(crate) const READY: &str = "ready\n";

/// A process in a session of its own that still has its parent's stdout and stderr.
#[derive(Debug)]
pub(crate) struct Detached {
    nowhere: File,
}

impl Detached {
    /// Leaves the terminal: its Ctrl-C and its end are no longer ours.
    pub(crate) fn leave() -> Result<Self, CommandError> {
        rustix::process::setsid().map_err(|error| {
            CommandError::usage(format!("--detached is not for people: {error}"))
                .hint("`slated start` says it by itself")
        })?;
        let nowhere = File::options().read(true).write(true).open("/dev/null");
        let nowhere = nowhere
            .map_err(|error| CommandError::internal(format!("cannot open /dev/null: {error}")))?;
        Ok(Self { nowhere })
    }
    /// Leaves the folder, so that its disk can be unmounted. Plugins begin in `/`, too.
    pub(crate) fn go_to_root() -> Result<(), CommandError> {
        rustix::process::chdir("/")
            .map_err(|error| CommandError::internal(format!("cannot go to /: {error}")))
    }
    /// Tells the parent that all is well, and lets go of what it gave us. An error: it is gone,
    /// and nobody knows that we run.
    pub(crate) fn ready(&self) -> io::Result<()> {
        // First, so that whoever reads its end waits no longer than for the word.
        rustix::stdio::dup2_stdin(&self.nowhere)?;
        rustix::stdio::dup2_stderr(&self.nowhere)?;
        let mut stdout = io::stdout();
        let told = stdout
            .write_all(READY.as_bytes())
            .and_then(|()| stdout.flush());
        rustix::stdio::dup2_stdout(&self.nowhere)?;
        told
    }
}

/// Returns a path as it is from any folder; nothing stays nothing.
pub(crate) fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Returns a program as it is from any folder: a bare name is looked for on `PATH`.
pub(crate) fn whole_program(path: &Path) -> PathBuf {
    if path.as_os_str().as_encoded_bytes().contains(&b'/') {
        whole(path)
    } else {
        path.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_those_of_this_folder() {
        let here = std::env::current_dir().unwrap();
        let check = |path: &str, any: &str, program: &str| {
            let at = |path: &str| match path.strip_prefix("HERE/") {
                Some(rest) => here.join(rest),
                None => path.into(),
            };
            assert_eq!(whole(Path::new(path)), at(any), "{path}");
            assert_eq!(whole_program(Path::new(path)), at(program), "{path}");
        };
        check(
            "env/bin/python",
            "HERE/env/bin/python",
            "HERE/env/bin/python",
        );
        check("./python", "HERE/python", "HERE/python");
        check("python3", "HERE/python3", "python3");
        check("/usr/bin/python3", "/usr/bin/python3", "/usr/bin/python3");
        check("", "", "");
    }
}
