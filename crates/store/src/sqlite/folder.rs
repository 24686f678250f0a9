//! The state folder: made private, on a local disk, and held by one process.
//!
//! Invariant: the lock is an advisory lock of the system on an open file, so that it ends
//! with its process, however that ends. The pid in the file is only for people.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::{Error, Result};

/// The database in a state folder.
pub(super) const DATABASE: &str = "state.db";
/// The file whose lock says who holds the folder.
const LOCK: &str = "lock";

/// The held lock of a state folder; dropping it lets go.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock of a folder, or says who has it.
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|err| unusable(folder, err))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(in_use(folder, &mut file)),
            Err(err) => return Err(failed(folder, err.into())),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|err| failed(folder, err))?;
        Ok(Self(file))
    }
}

/// Refuses a folder that is held, and says by whom. Makes and changes nothing.
pub(super) fn refuse_held(folder: &Path) -> Result<()> {
    let mut file = match File::open(folder.join(LOCK)) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(err) => return Err(failed(folder, err)),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(in_use(folder, &mut file)),
        Err(err) => Err(failed(folder, err.into())),
    }
}

fn in_use(folder: &Path, lock: &mut File) -> Error {
    let mut text = String::new();
    // Whoever holds it may be just writing its pid: then nobody knows it.
    let read = lock.read_to_string(&mut text);
    Error::InUse {
        folder: folder.to_owned(),
        pid: read.ok().and_then(|_| text.trim().parse().ok()),
    }
}

/// Renames a folder that nobody holds.
pub(super) fn set_aside(folder: &Path, to: &Path) -> Result<()> {
    let lock = Lock::take(folder)?;
    std::fs::rename(folder, to).map_err(|err| failed(folder, err))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = File::open(parent.unwrap_or_else(|| Path::new(".")));
    let synced = parent.and_then(|parent| parent.sync_all());
    drop(lock);
    synced.map_err(|err| failed(folder, err))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A pid left behind misleads nobody who takes the lock first; so does a failure.
        self.0.set_len(0).ok();
    }
}

/// Makes the folder, unless it stands, readable by its owner alone.
pub(super) fn prepare(folder: &Path) -> Result<()> {
    refuse_network(folder)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|err| unusable(folder, err))
}

/// Makes an empty database file that only its owner can read, unless one stands. SQLite
/// gives its companion files the same rights.
pub(super) fn create_database(folder: &Path) -> Result<PathBuf> {
    let path = folder.join(DATABASE);
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    match made {
        Ok(_) => Ok(path),
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => Ok(path),
        Err(err) => Err(unusable(folder, err)),
    }
}

/// Refuses a folder on a network file system: locks and shared memory fail there silently.
pub(super) fn refuse_network(folder: &Path) -> Result<()> {
    // A folder not made yet will stand where its nearest ancestor stands.
    let absolute = std::path::absolute(folder).map_err(|err| failed(folder, err))?;
    let Some(standing) = absolute.ancestors().find(|path| path.exists()) else {
        return Ok(());
    };
    match file_system(standing).map_err(|err| failed(folder, err))? {
        Some(kind) => Err(Error::NetworkFolder {
            folder: folder.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn file_system(path: &Path) -> io::Result<Option<&'static str>> {
    let stat = rustix::fs::statfs(path)?;
    #[expect(
        clippy::useless_conversion,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the field's type differs between machines; its lower 32 bits are the number"
    )]
    let magic = i64::from(stat.f_type) as u32;
    Ok(network_kind(magic))
}

/// Other systems do not number their file systems; their users are trusted to know.
#[cfg(not(target_os = "linux"))]
fn file_system(_: &Path) -> io::Result<Option<&'static str>> {
    Ok(None)
}

/// Names the network file system that Linux gives this number, if it is one.
///
/// FUSE is not among them: its number says nothing of what stands behind, and many a
/// local disk does.
#[cfg(any(target_os = "linux", test))]
const fn network_kind(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517B => "SMB",
        0xFF53_4D42 => "CIFS",
        0xFE53_4D42 => "SMB2",
        0x0102_1997 => "9P",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x564C => "NCP",
        0x00C3_6400 => "Ceph",
        0x0BD0_0BD0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0xAAD7_AAEA => "PanFS",
        0x786F_4256 => "a VirtualBox shared folder",
        _ => return None,
    })
}

/// Says why nothing can be made in a folder: as long as nobody changes that, nothing can be.
fn unusable(folder: &Path, err: io::Error) -> Error {
    match failed(folder, err) {
        Error::Failed { folder, source } => match source.downcast() {
            Ok(source) => Error::Unusable {
                folder,
                source: *source,
            },
            Err(source) => Error::Failed { folder, source },
        },
        other => other,
    }
}

/// Says what the system said about a folder.
pub(super) fn failed(folder: &Path, err: io::Error) -> Error {
    let folder = folder.to_owned();
    let source = Box::new(err);
    match source.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem => Error::NoRoom { folder, source },
        _ => Error::Failed { folder, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn folders_on_a_network_are_told_by_their_number() {
        for (magic, wanted) in [
            (0x6969, Some("NFS")),
            (0x517B, Some("SMB")),
            (0xFF53_4D42, Some("CIFS")),
            (0xFE53_4D42, Some("SMB2")),
            (0x0102_1997, Some("9P")),
            (0x0BD0_0BD0, Some("Lustre")),
            (0x00C3_6400, Some("Ceph")),
            (0xEF53, None),      // ext4
            (0x5846_5342, None), // XFS
            (0x9123_683E, None), // Btrfs
            (0x2FC1_2FC1, None), // ZFS
            (0x0102_1994, None), // tmpfs
            (0x794C_7630, None), // overlayfs
            (0x6573_5546, None), // FUSE
            (0, None),
        ] {
            assert_eq!(network_kind(magic), wanted, "{magic:#x}");
        }
    }

    #[test]
    fn a_folder_is_made_for_its_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        prepare(&folder).unwrap();
        prepare(&folder).unwrap();
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let database = create_database(&folder).unwrap();
        let mode = std::fs::metadata(database).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_no_failure_of_the_disk() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        for folder in [file.join("state"), file] {
            match prepare(&folder).and_then(|()| Lock::take(&folder).map(drop)) {
                Err(Error::Unusable { folder: named, .. }) => assert_eq!(named, folder),
                other => panic!("{}: {other:?}", folder.display()),
            }
        }
    }

    #[test]
    fn a_held_folder_names_its_holder() {
        let root = tempfile::tempdir().unwrap();
        let lock = Lock::take(root.path()).unwrap();
        match Lock::take(root.path()) {
            Err(Error::InUse { folder, pid }) => {
                assert_eq!(folder, root.path());
                assert_eq!(pid, Some(std::process::id()));
            }
            other => panic!("{other:?}"),
        }
        drop(lock);
        Lock::take(root.path()).unwrap();
    }

    #[test]
    fn who_holds_a_folder_is_told_without_a_trace() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("state");
        refuse_held(&folder).unwrap();
        assert!(!folder.exists());
        prepare(&folder).unwrap();
        let lock = Lock::take(&folder).unwrap();
        let held = refuse_held(&folder).unwrap_err();
        let us = Some(std::process::id());
        assert!(
            matches!(held, Error::InUse { pid, .. } if pid == us),
            "{held}"
        );
        drop(lock);
        refuse_held(&folder).unwrap();
    }

    #[test]
    fn only_a_folder_that_nobody_holds_is_set_aside() {
        let root = tempfile::tempdir().unwrap();
        let (folder, aside) = (root.path().join("state"), root.path().join("before"));
        prepare(&folder).unwrap();
        let lock = Lock::take(&folder).unwrap();
        let refused = set_aside(&folder, &aside).unwrap_err();
        assert!(matches!(refused, Error::InUse { .. }), "{refused}");
        assert!(folder.exists() && !aside.exists());
        drop(lock);
        set_aside(&folder, &aside).unwrap();
        assert!(!folder.exists() && aside.exists());
        Lock::take(&aside).unwrap();
    }
}
