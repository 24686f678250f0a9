//! What an error of SQLite means for the state (promise P8).
//!
//! A full or read-only disk heals: nothing was written, and a later write may succeed. A
//! failed read, write or sync does not: what the disk holds is uncertain until the state
//! is opened again. A damaged page is neither.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{ErrorCode, ffi};

use crate::{Epoch, Error};

/// Why one piece of work stopped, before anybody knows the folder.
#[derive(Debug)]
pub(super) enum Stop {
    /// This piece of work is refused; others in the same transaction are not concerned.
    Refused(Error),
    /// A row read back is not what was written.
    Damaged(String),
    /// The database said no.
    Db(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(err: rusqlite::Error) -> Self {
        Self::Db(err)
    }
}

/// What kind of trouble an error of the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing was written; it may heal.
    NoRoom,
    /// What is on disk is uncertain.
    Failed,
    /// A page or a value is not what was written.
    Damaged,
    /// This piece of work can never be stored.
    Unfit,
}

/// Trouble with a whole transaction, told to everybody whose work was in it.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// The state was opened again elsewhere.
    Fenced { ours: Epoch, current: Epoch },
    /// The database said no.
    Db {
        kind: Kind,
        source: Arc<rusqlite::Error>,
    },
    /// A row that guards every transaction is damaged.
    Damaged(String),
}

impl Trouble {
    /// Judges an error of the database.
    pub(super) fn judge(err: rusqlite::Error, folder: &Path) -> Self {
        Self::Db {
            kind: judge(&err, || heals(folder)),
            source: Arc::new(err),
        }
    }
    /// Tells whether nothing may be written until the state is opened again.
    pub(super) const fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Db {
                kind: Kind::Failed,
                ..
            }
        )
    }
    /// Tells whether the work itself was at fault, not the state.
    pub(super) const fn is_about_the_work(&self) -> bool {
        matches!(
            self,
            Self::Db {
                kind: Kind::Unfit,
                ..
            }
        )
    }
    /// Returns the trouble that stays when this one could not be rolled back.
    pub(super) fn lasting(mut self) -> Self {
        if let Self::Db { kind, .. } = &mut self {
            *kind = Kind::Failed;
        }
        self
    }
    /// Tells it to one asker.
    pub(super) fn error(&self, folder: &Path) -> Error {
        let folder = folder.to_owned();
        match self {
            Self::Fenced { ours, current } => Error::Fenced {
                ours: *ours,
                current: *current,
            },
            Self::Damaged(what) => Error::Damaged {
                folder,
                what: what.clone(),
            },
            Self::Db { kind, source } => match kind {
                Kind::NoRoom => Error::NoRoom {
                    folder,
                    source: Box::new(Arc::clone(source)),
                },
                Kind::Failed => Error::Failed {
                    folder,
                    source: Box::new(Arc::clone(source)),
                },
                Kind::Damaged => Error::Damaged {
                    folder,
                    what: source.to_string(),
                },
                Kind::Unfit => Error::Unfit {
                    what: source.to_string(),
                },
            },
        }
    }
}

impl Stop {
    /// Tells it to the one who asked.
    pub(super) fn error(self, folder: &Path) -> Error {
        match self {
            Self::Refused(err) => err,
            Self::Damaged(what) => Error::Damaged {
                folder: folder.to_owned(),
                what,
            },
            Self::Db(err) => Trouble::judge(err, folder).error(folder),
        }
    }
}

/// Judges an error; `heals` is asked where the code alone does not tell a read-only or
/// full disk (as the system calls a quota) from a broken one.
pub(super) fn judge(err: &rusqlite::Error, heals: impl Fn() -> bool) -> Kind {
    let rusqlite::Error::SqliteFailure(code, _) = err else {
        return match err {
            rusqlite::Error::ToSqlConversionFailure(_) | rusqlite::Error::NulError(_) => {
                Kind::Unfit
            }
            // A column of another type or range than was ever written.
            _ => Kind::Damaged,
        };
    };
    match (code.code, code.extended_code) {
        // The file was moved or deleted under us: what stands under its name is not ours.
        (_, ffi::SQLITE_READONLY_DBMOVED) => Kind::Failed,
        // A lock that somebody else keeps for seconds ends, as a full disk does.
        (
            ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked,
            _,
        ) => Kind::NoRoom,
        (
            ErrorCode::SystemIoFailure,
            ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_TRUNCATE,
        ) if heals() => Kind::NoRoom,
        (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => Kind::Damaged,
        (ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch, _) => {
            Kind::Unfit
        }
        _ => Kind::Failed,
    }
}

/// Tells whether the folder refuses a small file for a reason that ends by itself.
fn heals(folder: &Path) -> bool {
    let probe = folder.join("state.probe");
    let end = std::fs::write(&probe, [0; 8192]);
    // Nothing hangs on whether the probe goes away; the next one overwrites it.
    std::fs::remove_file(&probe).ok();
    end.is_err_and(|err| {
        matches!(
            err.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(extended: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None)
    }

    #[test]
    fn a_full_or_read_only_disk_heals_and_a_broken_one_does_not() {
        for (code, healthy, wanted) in [
            (ffi::SQLITE_FULL, false, Kind::NoRoom),
            (ffi::SQLITE_READONLY, false, Kind::NoRoom),
            (ffi::SQLITE_READONLY_DIRECTORY, false, Kind::NoRoom),
            (ffi::SQLITE_READONLY_DBMOVED, true, Kind::Failed),
            (ffi::SQLITE_BUSY, false, Kind::NoRoom),
            (ffi::SQLITE_IOERR_WRITE, true, Kind::NoRoom),
            (ffi::SQLITE_IOERR_WRITE, false, Kind::Failed),
            (ffi::SQLITE_IOERR_FSYNC, true, Kind::Failed),
            (ffi::SQLITE_IOERR_DIR_FSYNC, true, Kind::Failed),
            (ffi::SQLITE_IOERR_READ, true, Kind::Failed),
            (ffi::SQLITE_CANTOPEN, true, Kind::Failed),
            (ffi::SQLITE_NOMEM, true, Kind::Failed),
            (ffi::SQLITE_CORRUPT, true, Kind::Damaged),
            (ffi::SQLITE_CORRUPT_INDEX, true, Kind::Damaged),
            (ffi::SQLITE_NOTADB, true, Kind::Damaged),
            (ffi::SQLITE_TOOBIG, true, Kind::Unfit),
            (ffi::SQLITE_CONSTRAINT_CHECK, true, Kind::Unfit),
        ] {
            assert_eq!(judge(&failure(code), || healthy), wanted, "{code}");
        }
        let odd = rusqlite::Error::IntegralValueOutOfRange(0, 1);
        assert_eq!(judge(&odd, || true), Kind::Damaged);
    }

    #[test]
    fn a_folder_that_takes_a_file_is_no_excuse() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!heals(folder.path()));
        assert!(!heals(&folder.path().join("absent")));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
