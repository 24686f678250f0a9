//! A log file that is renamed to `NAME.YYYY-MM-DD` at local midnight.
//!
//! Invariants: the day in a name is the day its first line was written; no file is ever written
//! over; ten renamed ones are kept. It knows no clock: whoever writes says what time it is. Trouble
//! never ends anything: what could not be written is counted, the file is opened anew a second
//! later.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// How many renamed files are kept.
const KEPT: usize = 10;
/// After a failure, how long until the file is opened again.
const RETRY: Duration = Duration::from_secs(1);

/// What became of a write, where it is worth a word.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Trouble that nobody has been told of.
    pub(super) trouble: Option<String>,
    /// How many lines had been lost before this one; it was written.
    pub(super) healed: u64,
}

#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    zone: TimeZone,
    file: Option<File>,
    /// The day its lines are of.
    day: Date,
    /// When that day ends.
    ends: Timestamp,
    /// Whether the last line was cut off.
    torn: bool,
    lost: u64,
    retry: Timestamp,
}

impl RotatingFile {
    /// Opens the file, which is made where it is missing. Lines that an earlier process left in it
    /// are of the day it was last written.
    pub(super) fn open(path: PathBuf, zone: TimeZone, now: Timestamp) -> io::Result<Self> {
        let today = date(now, &zone);
        let mut this = Self::closed(path, zone, now);
        this.day = written_on(&this.path, &this.zone).map_or(today, |day| day.min(today));
        this.ends = end_of(this.day, &this.zone);
        this.file = Some(append(&this.path)?);
        Ok(this)
    }

    /// Makes one that is opened at its first line.
    pub(super) fn closed(path: PathBuf, zone: TimeZone, now: Timestamp) -> Self {
        let day = date(now, &zone);
        let ends = end_of(day, &zone);
        Self {
            path,
            zone,
            file: None,
            day,
            ends,
            torn: false,
            lost: 0,
            retry: now,
        }
    }

    /// Writes a line, which ends with a line break.
    pub(super) fn write(&mut self, line: &str, now: Timestamp) -> Written {
        let mut written = Written::default();
        if now >= self.ends {
            written.trouble = self.rotate(now);
        }
        if let Err(error) = self.put(line, now) {
            // Once for each time of trouble.
            if let Some(error) = error.filter(|_| self.lost == 0) {
                written.trouble = Some(format!(
                    "the log file {} cannot be written ({error}); lines are lost until it can",
                    self.path.display()
                ));
            }
            self.lost += 1;
            return written;
        }
        written.healed = std::mem::take(&mut self.lost);
        written
    }

    /// Opens the file anew by its name, after something else has renamed it.
    pub(super) fn reopen(&mut self, now: Timestamp) -> Option<String> {
        match Self::open(self.path.clone(), self.zone.clone(), now) {
            Ok(new) => {
                (self.file, self.day, self.ends) = (new.file, new.day, new.ends);
                None
            }
            Err(error) => Some(format!(
                "the log file {} cannot be opened anew ({error}); the one that was open is written further",
                self.path.display()
            )),
        }
    }

    /// `Err(None)`: it was not tried, since it failed a moment ago.
    fn put(&mut self, line: &str, now: Timestamp) -> Result<(), Option<io::Error>> {
        let file = match &mut self.file {
            Some(file) => file,
            // A clock that was set back must not keep the file closed for long.
            None if now < self.retry && now + RETRY >= self.retry => return Err(None),
            None => {
                self.retry = now + RETRY;
                self.file.insert(append(&self.path)?)
            }
        };
        let line = if self.torn {
            format!("\n{line}")
        } else {
            line.to_owned()
        };
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(n) if n > 0 => rest = rest.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    self.torn |= rest.len() < line.len();
                    self.file = None;
                    self.retry = now + RETRY;
                    let error = result
                        .err()
                        .unwrap_or_else(|| io::ErrorKind::WriteZero.into());
                    return Err(Some(error));
                }
            }
        }
        self.torn = false;
        Ok(())
    }

    fn rotate(&mut self, now: Timestamp) -> Option<String> {
        let day = std::mem::replace(&mut self.day, date(now, &self.zone));
        self.ends = end_of(self.day, &self.zone);
        match fs::metadata(&self.path) {
            Ok(meta) if meta.is_file() => {}
            // A device or a pipe has no days.
            Ok(_) => return None,
            // Something else has taken it away.
            Err(_) => {
                self.file = None;
                self.retry = now;
                return None;
            }
        }
        let target = free_name(&self.path, day);
        if let Err(error) = fs::rename(&self.path, &target) {
            return Some(format!(
                "the log file {} cannot be renamed to {} ({error}); it is written further",
                self.path.display(),
                target.display()
            ));
        }
        self.file = None;
        self.retry = now;
        prune(&self.path).err().map(|error| {
            format!(
                "old log files of {} cannot be removed ({error})",
                self.path.display()
            )
        })
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn date(at: Timestamp, zone: &TimeZone) -> Date {
    at.to_zoned(zone.clone()).date()
}

/// The first moment of the next day, which is not midnight where summer time begins at midnight.
fn end_of(day: Date, zone: &TimeZone) -> Timestamp {
    let next = day.tomorrow().and_then(|next| next.to_zoned(zone.clone()));
    next.map_or(Timestamp::MAX, |next| next.timestamp())
}

fn written_on(path: &Path, zone: &TimeZone) -> Option<Date> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    Some(date(Timestamp::try_from(modified).ok()?, zone))
}

/// `NAME.YYYY-MM-DD`, with a number behind it where that one is taken.
fn free_name(path: &Path, day: Date) -> PathBuf {
    let name = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{day}"));
        if n > 1 {
            name.push(format!(".{n}"));
        }
        PathBuf::from(name)
    };
    (1..=u32::MAX)
        .map(name)
        .find(|name| fs::symlink_metadata(name).is_err())
        .unwrap_or_else(|| name(1))
}

/// Removes all but the newest renamed files.
fn prune(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Ok(());
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let mut old = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.file_name();
        let behind = file
            .to_str()
            .and_then(|f| f.strip_prefix(name)?.strip_prefix('.'));
        let day = behind.and_then(|b| b.split('.').next()?.parse::<Date>().ok());
        if let (Some(day), Some(behind)) = (day, behind) {
            old.push((day, behind.len(), file));
        }
    }
    old.sort();
    let gone = old.len().saturating_sub(KEPT);
    old.iter()
        .take(gone)
        .try_for_each(|(.., file)| fs::remove_file(folder.join(file)))
}

#[cfg(test)]
mod tests;
