//! A file put in place as a whole, beside which the one before it stays.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::CommandError;

/// How many files from before are kept, at most.
const KEPT: u32 = 1_000;

/// Puts a file at `path`, durably; returns where it stands and where what stood there is kept.
///
/// A link is followed, so that a studio's link stays one. Rights and owner are those of the
/// file before, as far as we may give them: the Python daemon must be able to write it.
pub(super) fn put(path: &Path, content: &[u8]) -> Result<(PathBuf, Option<PathBuf>), CommandError> {
    let fail = |error: io::Error| {
        CommandError::configuration(format!("cannot write {}: {error}", path.display()))
            .hint("nothing was changed there; name a file in a folder that you may write to")
    };
    let before = match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(CommandError::usage(format!(
                "{} is not a file",
                path.display()
            )));
        }
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(fail(error)),
    };
    let path = match before {
        Some(_) => fs::canonicalize(path),
        None => std::path::absolute(path),
    }
    .map_err(fail)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let mut draft = tempfile::Builder::new()
        .prefix(".slated-")
        // As any program makes a file: the umask takes away what it should.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(fail)?;
    draft.write_all(content).map_err(fail)?;
    if let Some(before) = &before {
        // Only root may give files away; for everybody else they are their own already.
        std::os::unix::fs::fchown(draft.as_file(), Some(before.uid()), Some(before.gid())).ok();
        let same = Permissions::from_mode(before.mode() & 0o777);
        draft.as_file().set_permissions(same).map_err(fail)?;
    }
    draft.as_file().sync_all().map_err(fail)?;
    let kept = before.map(|_| keep(&path)).transpose().map_err(fail)?;
    draft.persist(&path).map_err(|error| fail(error.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(fail)?;
    Ok((path, kept))
}

/// Gives a file a second name that nothing had before.
fn keep(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(".bak");
    for n in 1..KEPT {
        let mut kept = name.clone();
        if n > 1 {
            kept.push(format!(".{n}"));
        }
        let kept = PathBuf::from(kept);
        match fs::hard_link(path, &kept) {
            Ok(()) => return Ok(kept),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // Some file systems have no second names.
            Err(_) => match File::create_new(&kept) {
                Ok(mut copy) => {
                    io::copy(&mut File::open(path)?, &mut copy)?;
                    copy.sync_all()?;
                    return Ok(kept);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            },
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("{KEPT} files from before are kept beside it"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_stood_there_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("events.id");
        let (put_at, kept) = put(&path, b"one").unwrap();
        assert_eq!((put_at, kept), (path.clone(), None));
        fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        for (content, kept_as) in [("two", "events.id.bak"), ("three", "events.id.bak.2")] {
            let (_, kept) = put(&path, content.as_bytes()).unwrap();
            assert_eq!(kept, Some(root.path().join(kept_as)));
        }
        let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
        assert_eq!(read("events.id"), "three");
        assert_eq!(read("events.id.bak"), "one");
        assert_eq!(read("events.id.bak.2"), "two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        let wanted = ["events.id", "events.id.bak", "events.id.bak.2"];
        assert_eq!(names(root.path()), wanted);
    }

    #[test]
    fn a_link_stays_one() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().join("shared.id");
        let link = root.path().join("events.id");
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink("shared.id", &link).unwrap();
        put(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert_eq!(
            names(root.path()),
            ["events.id", "shared.id", "shared.id.bak"]
        );
    }

    #[test]
    fn what_cannot_be_written_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let error = put(root.path(), b"x").unwrap_err();
        assert!(error.to_string().contains("is not a file"), "{error}");
        let error = put(&root.path().join("no/where"), b"x").unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
        assert_eq!(names(root.path()), Vec::<String>::new());
    }
}
