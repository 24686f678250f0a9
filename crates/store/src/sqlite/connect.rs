//! Opening the database: pragmas, whose file it is, its format, and the way to a newer one.
//!
//! Invariant: before a file changes its format, a copy of it stands beside it, synced.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::fault::Stop;
use super::folder::{DATABASE, failed};
use super::half::Half;
use super::schema::APPLICATION_ID;
use super::{Migrated, meta};
use crate::{Epoch, Error, Result};

/// How long to wait for a lock that somebody else, such as a `sqlite3` shell, holds.
const BUSY: Duration = Duration::from_secs(5);
/// Memory for pages, in KiB, of each connection.
const CACHE_KIB: i64 = 2048;
/// What the write-ahead log shrinks back to, in bytes, after it has been carried over.
const WAL_LIMIT: i64 = 16 << 20;
/// More than the different statements in use, so that each is prepared once.
const STATEMENTS: usize = 64;

/// Opens the database for writing, in the newest format.
pub(super) fn for_writing(
    folder: &Path,
    migrations: &[&str],
) -> Result<(Connection, Option<Migrated>)> {
    let path = super::folder::create_database(folder)?;
    refuse_emptied(folder)?;
    let open = || {
        let conn = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        common(&conn)?;
        Ok(conn)
    };
    let mut conn = open().map_err(|err| Stop::error(err, folder))?;
    let known = migrations.len();
    let found = match format(&conn).map_err(|err| err.error(folder))? {
        Format::Empty => 0,
        Format::Slated(found) => found,
        Format::Foreign => return Err(foreign(folder)),
    };
    if found as usize > known {
        return Err(newer(&conn, folder, found, known));
    }
    durable(&conn).map_err(|err| err.error(folder))?;
    if found as usize == known {
        return Ok((conn, None));
    }
    let copy = match found {
        0 => None,
        _ => Some(copy(&conn, folder, found)?),
    };
    let to = migrate(&mut conn, migrations, found).map_err(|err| err.error(folder))?;
    let migrated = copy.map(|copy| Migrated {
        from: found,
        to,
        copy,
    });
    Ok((conn, migrated))
}

/// Refuses a database that is empty beside a write-ahead log that is not: SQLite would remove the log
/// and begin anew. It writes nothing into a log before the file has its first page.
fn refuse_emptied(folder: &Path) -> Result<()> {
    let size = |name: &str| match std::fs::metadata(folder.join(name)) {
        Ok(meta) => Ok(meta.len()),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(err) => Err(failed(folder, err)),
    };
    let log = format!("{DATABASE}-wal");
    if size(DATABASE)? == 0 && size(&log)? > 0 {
        return Err(Error::Damaged {
            folder: folder.to_owned(),
            what: format!("{DATABASE} is empty, and {log} is not"),
        });
    }
    Ok(())
}

/// Opens the database for reading beside the process that writes it.
pub(super) fn for_reading(folder: &Path) -> Result<Connection> {
    reading(&folder.join(DATABASE), OpenFlags::empty()).map_err(|err| err.error(folder))
}

/// Opens a database that nobody writes, without making a file beside it.
pub(super) fn immutable(folder: &Path) -> Result<Connection> {
    immutable_file(&folder.join(DATABASE))
}

/// Opens a database file that nobody writes, without making a file beside it.
pub(super) fn immutable_file(path: &Path) -> Result<Connection> {
    let path = std::path::absolute(path).map_err(|err| failed(path, err))?;
    let folder = path.parent().unwrap_or(&path);
    reading(&immutable_uri(&path), OpenFlags::SQLITE_OPEN_URI).map_err(|err| err.error(folder))
}

fn reading(path: &Path, more: OpenFlags) -> std::result::Result<Connection, Stop> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let conn = Connection::open_with_flags(path, flags)?;
    common(&conn)?;
    Ok(conn)
}

/// Tells whether a database opened for reading is one that can be read here.
pub(super) fn readable(conn: &Connection, folder: &Path, known: usize) -> Result<()> {
    match format(conn).map_err(|err| err.error(folder))? {
        Format::Empty => Err(Error::Absent {
            folder: folder.to_owned(),
        }),
        Format::Foreign => Err(foreign(folder)),
        Format::Slated(found) if found as usize == known => Ok(()),
        Format::Slated(found) if found as usize > known => Err(newer(conn, folder, found, known)),
        Format::Slated(found) => Err(Error::Older {
            folder: folder.to_owned(),
            found,
            known: count(known),
        }),
    }
}

fn common(conn: &Connection) -> std::result::Result<(), Stop> {
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    // Else what is done beside every appended event is planned anew for each.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// What makes a commit survive a loss of power.
fn durable(conn: &Connection) -> std::result::Result<(), Stop> {
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Stop::Damaged(format!("its journal is `{mode}`, not `wal`")));
    }
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
    // The writer carries the log over itself, so that it sees when that fails.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(())
}

/// Carries the write-ahead log of a database that nobody uses over into it.
pub(super) fn carry_over(path: &Path) -> std::result::Result<(), Stop> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Closes a connection without touching the database's pages, which may be uncertain.
pub(super) fn abandon(conn: Connection) {
    // If even this fails, closing does what it always does, and the next opening checks.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .ok();
    drop(conn);
}

enum Format {
    Empty,
    Slated(u32),
    Foreign,
}

fn format(conn: &Connection) -> std::result::Result<Format, Stop> {
    let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let id = number("application_id")?;
    let version = number("user_version")?;
    if id == APPLICATION_ID {
        let version = u32::try_from(version)
            .map_err(|_| Stop::Damaged(format!("its format is {version}")))?;
        return Ok(Format::Slated(version));
    }
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(if id == 0 && version == 0 && tables == 0 {
        Format::Empty
    } else {
        Format::Foreign
    })
}

fn foreign(folder: &Path) -> Error {
    Error::Damaged {
        folder: folder.to_owned(),
        what: format!("{DATABASE} is not a state of slated"),
    }
}

fn newer(conn: &Connection, folder: &Path, found: u32, known: usize) -> Error {
    // Whatever else a newer format holds, it is refused; the name is all it is asked for.
    let version = conn
        .query_row(
            "SELECT value FROM meta WHERE key = ?1",
            [meta::VERSION],
            |row| row.get(0),
        )
        .optional();
    Error::Newer {
        folder: folder.to_owned(),
        found,
        known: count(known),
        version: version
            .ok()
            .flatten()
            .unwrap_or_else(|| "an unknown version".into()),
    }
}

fn count(formats: usize) -> u32 {
    u32::try_from(formats).unwrap_or(u32::MAX)
}

fn migrate(
    conn: &mut Connection,
    migrations: &[&str],
    from: u32,
) -> std::result::Result<u32, Stop> {
    let to = count(migrations.len());
    let txn = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for step in migrations.iter().skip(from as usize) {
        txn.execute_batch(step)?;
    }
    txn.pragma_update(None, "application_id", APPLICATION_ID)?;
    txn.pragma_update(None, "user_version", to)?;
    txn.commit()?;
    Ok(to)
}

/// Copies the database as it stands to `state.db.v<N>.bak`.
fn copy(conn: &Connection, folder: &Path, format: u32) -> Result<PathBuf> {
    let path = folder.join(format!("{DATABASE}.v{format}.bak"));
    let half = Half::begin(&path).map_err(|err| failed(folder, err))?;
    write_copy(conn, half.path()).map_err(|err| err.error(folder))?;
    half.replace().map_err(|err| failed(folder, err))?;
    Ok(path)
}

/// Copies a database as it stands at one moment.
pub(super) fn write_copy(conn: &Connection, path: &Path) -> std::result::Result<(), Stop> {
    let mut to = Connection::open(path)?;
    let backup = Backup::new(conn, &mut to)?;
    match backup.step(-1)? {
        StepResult::Done => Ok(()),
        other => Err(Stop::Damaged(format!("it cannot be copied: {other:?}"))),
    }
}

/// Reads the epoch, bumps it, and writes down who opened the state.
pub(super) fn bump_epoch(conn: &mut Connection, version: &str) -> std::result::Result<Epoch, Stop> {
    let txn = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let epoch = match meta::get(&txn, meta::EPOCH)? {
        None if has_rows(&txn)? => {
            return Err(Stop::Damaged("meta row `epoch` is gone".into()));
        }
        None => 1,
        Some(text) => meta::number(meta::EPOCH, &text)?.saturating_add(1),
    };
    meta::put(&txn, meta::EPOCH, &epoch.to_string())?;
    meta::put(&txn, meta::VERSION, version)?;
    txn.commit()?;
    Ok(Epoch(epoch))
}

/// Tells whether a state is one that was opened before.
fn has_rows(conn: &Connection) -> std::result::Result<bool, Stop> {
    let sql = "SELECT EXISTS (SELECT 1 FROM event) OR EXISTS (SELECT 1 FROM lane)
        OR EXISTS (SELECT 1 FROM cursor)";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

fn immutable_uri(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            // Writing to a string cannot fail.
            byte => write!(uri, "%{byte:02X}").unwrap_or_default(),
        }
    }
    uri.push_str("?immutable=1");
    uri.into()
}
