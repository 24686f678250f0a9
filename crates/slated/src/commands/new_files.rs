//! Files that a command makes for a person: all of them or none, and none over another.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::CommandError;

/// A file to be.
pub(super) struct NewFile {
    pub(super) path: PathBuf,
    pub(super) content: Vec<u8>,
    /// Its permission bits, of which the umask takes away what it should.
    pub(super) mode: u32,
}

/// Returns those of `paths` where something stands, a link that leads nowhere too.
pub(super) fn in_the_way<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Vec<&'a Path> {
    let all = paths.into_iter();
    all.filter(|path| fs::symlink_metadata(path).is_ok())
        .collect()
}

/// Writes files. Their folders must be there; `over` replaces what stands in their place.
pub(super) fn write(files: &[NewFile], over: bool) -> Result<(), CommandError> {
    // Everything that can fail for want of room or rights fails before anything has its name.
    let drafts = files.iter().map(|file| Ok((file, draft(file)?)));
    let drafts = drafts.collect::<Result<Vec<_>, CommandError>>()?;
    let mut done = Vec::new();
    for (file, draft) in drafts {
        let put = if over {
            draft.persist(&file.path)
        } else {
            draft.persist_noclobber(&file.path)
        };
        if let Err(error) = put {
            for path in done.into_iter().filter(|_| !over) {
                // What cannot be taken back is named by the next try.
                fs::remove_file(path).ok();
            }
            return Err(fail(&file.path, &error.error));
        }
        done.push(&file.path);
    }
    Ok(())
}

fn draft(file: &NewFile) -> Result<NamedTempFile, CommandError> {
    let write = || -> io::Result<NamedTempFile> {
        let folder = file.path.parent().filter(|p| !p.as_os_str().is_empty());
        let mut draft = tempfile::Builder::new()
            .prefix(".slated-")
            .permissions(Permissions::from_mode(file.mode))
            .tempfile_in(folder.unwrap_or_else(|| Path::new(".")))?;
        draft.write_all(&file.content)?;
        draft.as_file().sync_all()?;
        Ok(draft)
    };
    write().map_err(|error| fail(&file.path, &error))
}

fn fail(path: &Path, error: &io::Error) -> CommandError {
    // Without the name of the draft, which nobody knows.
    let error = error.to_string();
    let why = error.split(" at path ").next().unwrap_or_default();
    CommandError::configuration(format!("cannot write {}: {why}", path.display()))
        .hint("nothing was written; name a folder that is there and that you may write to")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: PathBuf, mode: u32) -> NewFile {
        let content = b"new".to_vec();
        NewFile {
            path,
            content,
            mode,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn all_are_written_or_none() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        write(&[file(at("a"), 0o600), file(at("b"), 0o644)], false).unwrap();
        let mode = fs::metadata(at("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(names(root.path()), ["a", "b"]);
        // One is taken; the other must not stay.
        fs::write(at("b"), "old").unwrap();
        let error = write(&[file(at("c"), 0o644), file(at("b"), 0o644)], false).unwrap_err();
        assert!(error.to_string().contains("/b: "), "{error}");
        assert_eq!(names(root.path()), ["a", "b"]);
        assert_eq!(fs::read(at("b")).unwrap(), b"old");
        let error = write(&[file(at("c"), 0o644), file(at("no/d"), 0o644)], true);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no/d: No such file"), "{error}");
        assert!(!error.contains(".slated-"), "{error}");
        assert_eq!(names(root.path()), ["a", "b"]);
        write(&[file(at("b"), 0o644)], true).unwrap();
        assert_eq!(fs::read(at("b")).unwrap(), b"new");
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        let (a, link, none) = (at("a"), at("link"), at("none"));
        let found = in_the_way([a.as_path(), &link, &none]);
        assert_eq!(found, [a.as_path(), &link]);
    }
}
