//! A state looked through, copied and put back: what a person does to it with no daemon's help.
//!
//! Invariant: a copy is a whole state of one moment, also of one that a process writes meanwhile, and
//! a state that is replaced stands beside the one that took its place.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use slated_model::Offset;

use super::fault::Stop;
use super::folder::{self, DATABASE, Lock, failed};
use super::half::{self, Half};
use super::{connect, query, readers, schema};
use crate::{Error, Result, kill_point};

/// Rows looked at in one read.
const PAGE: usize = 1000;
/// How much damage is named.
const NAMED: usize = 20;

/// What a look through a state found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Events in the log.
    pub events: u64,
    /// Finished units of work.
    pub outcomes: u64,
    /// What is wrong, the first 20 of it.
    pub damage: Vec<String>,
    /// How much is wrong beyond that.
    pub more: u64,
}

impl Checked {
    /// Tells whether all is as it was written.
    pub const fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
    fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        // What a start reads stands in a table that is looked at, too.
        if self.damage.contains(&what) {
            return;
        }
        if self.damage.len() < NAMED {
            self.damage.push(what);
        } else {
            self.more += 1;
        }
    }
    fn note_stop(&mut self, stop: &Stop) {
        match stop {
            Stop::Damaged(what) => self.note(what.clone()),
            Stop::Db(err) => self.note(err.to_string()),
            Stop::Refused(err) => self.note(err.to_string()),
        }
    }
}

/// Looks through a state, whether or not a process writes it.
pub(super) fn check(folder: &Path) -> Result<Checked> {
    readers::visit(folder, look_through)
}

/// Copies a state to a file that is not there yet, readable by its owner alone; returns what a look
/// through the copy found.
pub(super) fn back_up(folder: &Path, to: &Path) -> Result<Checked> {
    let fail = |err: io::Error| Error::NoCopy {
        file: to.to_owned(),
        source: err.into(),
    };
    let half = Half::begin(to).map_err(fail)?;
    readers::visit(folder, |conn| connect::write_copy(conn, half.path()))?;
    kill_point("in_backup");
    half.place().map_err(fail)?;
    look_at_copy(to)
}

/// Puts a copy in the place of a state that no process holds. A state that stands there is renamed;
/// returns to what.
pub(super) fn restore(folder: &Path, from: &Path) -> Result<(Checked, Option<PathBuf>)> {
    let checked = look_at_copy(from).map_err(|error| bad_copy(from, error))?;
    if !checked.is_sound() {
        return Ok((checked, None));
    }
    folder::prepare(folder)?;
    let lock = Lock::take(folder)?;
    let fail = |err| failed(folder, err);
    let mut half = Half::begin(&folder.join(DATABASE)).map_err(fail)?;
    File::open(from)
        .and_then(|mut from| io::copy(&mut from, half.file()))
        .map_err(fail)?;
    let aside = keep_aside(folder).map_err(fail)?;
    kill_point("in_restore");
    half.replace().map_err(fail)?;
    kill_point("in_restore");
    drop(lock);
    Ok((checked, aside))
}

/// Says of a file what a state would be told of its folder.
fn bad_copy(file: &Path, error: Error) -> Error {
    let what = match error {
        Error::Damaged { what, .. } => what,
        Error::Absent { .. } => "there is no such file".into(),
        Error::Failed { source, .. } => source.to_string(),
        other => return other,
    };
    Error::BadCopy {
        file: file.to_owned(),
        what,
    }
}

/// Gives what stands there a second name, with what its write-ahead log still holds, and takes the
/// log away. Killed at any moment, a whole state stands under each of the names that are there.
fn keep_aside(folder: &Path) -> io::Result<Option<PathBuf>> {
    let database = folder.join(DATABASE);
    if !database.exists() {
        return Ok(None);
    }
    // Without its log a state is an older one. One that is too damaged for this keeps its log.
    connect::carry_over(&database).ok();
    let free = (1..).map(|n| folder.join(format!("{DATABASE}.replaced-{n}")));
    let to = free.into_iter().find(|path| !path.exists());
    let to = to.unwrap_or_else(|| folder.join(format!("{DATABASE}.replaced")));
    let part = |path: &Path, part: &str| PathBuf::from(format!("{}{part}", path.display()));
    let absent_is_well = |end: io::Result<()>| match end {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    };
    for name in ["-wal", ""] {
        let link = std::fs::hard_link(part(&database, name), part(&to, name));
        absent_is_well(link)?;
    }
    half::sync_folder_of(&database)?;
    kill_point("in_restore");
    // A log of another state would be played into the copy.
    for name in ["-wal", "-shm"] {
        absent_is_well(std::fs::remove_file(part(&database, name)))?;
    }
    Ok(Some(to))
}

fn look_at_copy(path: &Path) -> Result<Checked> {
    if !path.exists() {
        return Err(Error::Absent {
            folder: path.to_owned(),
        });
    }
    let conn = connect::immutable_file(path)?;
    connect::readable(&conn, path, schema::MIGRATIONS.len())?;
    look_through(&conn).map_err(|stop| stop.error(path))
}

fn look_through(conn: &Connection) -> std::result::Result<Checked, Stop> {
    let mut checked = Checked::default();
    let mut statement = conn.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let what: String = row.get(0)?;
        if what != "ok" {
            checked.note(what);
        }
    }
    if let Err(stop) = query::snapshot(conn) {
        checked.note_stop(&stop);
    }
    if let Err(stop) = query::all_fits_together(conn) {
        checked.note_stop(&stop);
    }
    let offsets = "SELECT offset FROM event WHERE offset > ?1 ORDER BY offset LIMIT ?2";
    checked.events = look_at(conn, &mut checked, offsets, |after, limit| {
        query::rows(conn, Offset(after.unsigned_abs()), limit).map(drop)
    })?;
    let void = "SELECT offset FROM void WHERE offset > ?1 ORDER BY offset LIMIT ?2";
    look_at(conn, &mut checked, void, |after, limit| {
        query::void_rows(conn, after, limit).map(drop)
    })?;
    let numbers = "SELECT seq FROM outcome WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    checked.outcomes = look_at(conn, &mut checked, numbers, |after, limit| {
        query::outcomes_after(conn, after, limit).map(drop)
    })?;
    Ok(checked)
}

/// Reads what stands behind keys, a page at a time, and where that fails one by one; returns how many
/// there are.
fn look_at(
    conn: &Connection,
    checked: &mut Checked,
    keys: &str,
    read: impl Fn(i64, usize) -> std::result::Result<(), Stop>,
) -> std::result::Result<u64, Stop> {
    let mut keys = conn.prepare(keys)?;
    let (mut after, mut count) = (0, 0);
    loop {
        let page = keys
            .query_map((after, PAGE.cast_signed()), |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<i64>>>()?;
        let Some(last) = page.last() else {
            return Ok(count);
        };
        count += page.len() as u64;
        if read(after, PAGE).is_err() {
            for key in &page {
                if let Err(stop) = read(key - 1, 1) {
                    checked.note_stop(&stop);
                }
            }
        }
        after = *last;
    }
}
