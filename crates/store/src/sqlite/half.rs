//! A file that is written beside its place and gets its name when it is whole.
//!
//! Invariant: under its name it is complete and synced. What a process leaves half that was killed is
//! in nobody's way: the next one writes over it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// A file on its way, readable by its owner alone. Dropped before it has its name, it goes away.
pub(super) struct Half {
    path: PathBuf,
    to: PathBuf,
    /// Held, so that no other process writes the same file.
    file: File,
    placed: bool,
}

impl Half {
    /// Begins a file that is to stand at `to`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] where another process is just writing it, and those of the
    /// disk.
    pub(super) fn begin(to: &Path) -> io::Result<Self> {
        let mut name = to.as_os_str().to_owned();
        name.push(".half");
        let path = PathBuf::from(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(&path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(
            |err| match err {
                rustix::io::Errno::WOULDBLOCK => io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    format!("another process is just writing {}", path.display()),
                ),
                err => err.into(),
            },
        )?;
        file.set_len(0)?;
        Ok(Self {
            path,
            to: to.to_owned(),
            file,
            placed: false,
        })
    }
    /// Returns where it stands meanwhile.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
    /// Returns the open file, to write to.
    pub(super) const fn file(&mut self) -> &mut File {
        &mut self.file
    }
    /// Gives it its name, in the place of what stands there.
    pub(super) fn replace(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, &self.to)?;
        self.placed = true;
        sync_folder_of(&self.to)
    }
    /// Gives it its name unless something stands there, which is an error.
    pub(super) fn place(self) -> io::Result<()> {
        self.file.sync_all()?;
        // A link fails where something stands, a rename would replace it. The other name goes with us.
        std::fs::hard_link(&self.path, &self.to)?;
        let to = self.to.clone();
        drop(self);
        sync_folder_of(&to)
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if !self.placed {
            // It is in nobody's way; what made it useless matters more.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// Makes a change of names in the folder of `path` last.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
            .into_iter()
            .map(|n| n.into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("copy");
        let mut half = Half::begin(&to).unwrap();
        half.file().write_all(b"one").unwrap();
        // Nobody else writes it meanwhile.
        assert!(Half::begin(&to).is_err());
        assert_eq!(names(folder.path()), ["copy.half"]);
        half.place().unwrap();
        assert_eq!(names(folder.path()), ["copy"]);
        let mode = to.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // What stands is replaced only where that is wanted.
        let mut half = Half::begin(&to).unwrap();
        half.file().write_all(b"two").unwrap();
        let stands = half.place().unwrap_err();
        assert_eq!(stands.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "one");
        let mut half = Half::begin(&to).unwrap();
        half.file().write_all(b"two").unwrap();
        half.replace().unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "two");
        assert_eq!(names(folder.path()), ["copy"]);
    }

    #[test]
    fn what_a_killed_process_left_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("copy");
        std::fs::write(folder.path().join("copy.half"), "longer than what comes").unwrap();
        let mut half = Half::begin(&to).unwrap();
        half.file().write_all(b"new").unwrap();
        half.place().unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "new");
        assert_eq!(names(folder.path()), ["copy"]);
    }
}
