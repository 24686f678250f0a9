//! The diary of a shadow: one JSON object a line, a file a day in `<state>/diary`.
//!
//! Each file begins with what was known then, so that old ones can go. Invariant: an event is in the
//! log before it is in the diary; what the diary lacks of the log after a kill, or while the disk is
//! full, is written when there is a next time.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slated_model::{CallbackId, EventId, Matcher, PluginId, Row};

/// How often it is written down that the site was read.
const LOOKED: i64 = 10_000;

/// The end of the year 9999.
const LATEST: i64 = 253_402_300_799_999;

/// A line. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum Line {
    /// A file begins. `head` is the highest id of the site by then.
    Began { at: i64, head: EventId },
    /// The site was read.
    Looked { at: i64 },
    /// An event was seen.
    Seen(Seen),
    /// What a plugin registers.
    Plugin(Asks),
}

/// An event that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) at: i64,
    /// Its place in the shadow's log.
    pub(crate) offset: u64,
    pub(crate) id: EventId,
    #[serde(rename = "type")]
    pub(crate) event_type: Option<String>,
    #[serde(rename = "attribute")]
    pub(crate) attribute_name: Option<String>,
    /// Its id became visible after higher ones.
    pub(crate) late: bool,
}

/// What a plugin registers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asks {
    pub(crate) at: i64,
    pub(crate) plugin: PluginId,
    /// It was there when the shadow or the file began: it held before, too.
    pub(crate) first: bool,
    /// Nothing where it does not load or is gone.
    pub(crate) callbacks: Vec<Ask>,
}

/// One callback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) name: CallbackId,
    #[serde(rename = "match")]
    pub(crate) matcher: Matcher,
    pub(crate) stop_on_error: bool,
}

impl Line {
    const fn at(&self) -> i64 {
        match self {
            Self::Began { at, .. }
            | Self::Looked { at }
            | Self::Seen(Seen { at, .. })
            | Self::Plugin(Asks { at, .. }) => *at,
        }
    }
}

impl Seen {
    fn of(row: &Row, at: i64) -> Self {
        Self {
            at,
            offset: row.offset.0,
            id: row.event.id,
            event_type: row.event.head.event_type.clone(),
            attribute_name: row.event.head.attribute_name.clone(),
            late: row.late,
        }
    }
}

/// Returns the folder of the diary in a state folder.
pub(crate) fn folder(state: &Path) -> PathBuf {
    state.join("diary")
}

/// Returns its files, oldest first.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads all lines, and counts those that cannot be read. A diary that is not there is
/// [`io::ErrorKind::NotFound`].
pub(crate) fn read(state: &Path) -> io::Result<(Vec<Line>, usize)> {
    let (mut lines, mut bad) = (Vec::new(), 0);
    for file in files(&folder(state))? {
        let bytes = std::fs::read(file)?;
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Line>(line) {
                // A time that no clock shows is damage, too.
                Ok(line) if (0..=LATEST).contains(&line.at()) => lines.push(line),
                _ => bad += 1,
            }
        }
    }
    Ok((lines, bad))
}

/// Writes the diary.
pub(crate) struct Diary {
    folder: PathBuf,
    keep: Duration,
    file: Option<(String, File)>,
    /// The offset of the last event that is in it.
    last: u64,
    looked: i64,
    /// The highest id of the site, once it is known.
    head: Option<EventId>,
    plugins: BTreeMap<PluginId, Vec<Ask>>,
}

impl Diary {
    /// Opens the diary of a state.
    pub(crate) fn open(state: &Path, keep: Duration) -> io::Result<Self> {
        let folder = folder(state);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let mut last = 0;
        // The newest file may have nothing of events yet.
        for file in files(&folder)?.iter().rev() {
            let bytes = std::fs::read(file)?;
            let lines = bytes.split(|b| *b == b'\n').rev();
            let seen = lines.filter_map(|line| match serde_json::from_slice(line) {
                Ok(Line::Seen(seen)) => Some(seen.offset),
                _ => None,
            });
            // Lines of a day stand in their order.
            if let Some(offset) = seen.into_iter().next() {
                last = offset;
                break;
            }
        }
        Ok(Self {
            folder,
            keep,
            file: None,
            last,
            looked: 0,
            head: None,
            plugins: BTreeMap::new(),
        })
    }

    /// Returns the offset of the last event that is in it.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// Writes down events, those that are not in it yet; none before the site was read, since what is
    /// read then is in the log.
    pub(crate) fn seen<'a>(
        &mut self,
        rows: impl IntoIterator<Item = &'a Row>,
        at: i64,
    ) -> io::Result<()> {
        if self.head.is_none() {
            return Ok(());
        }
        let rows = rows.into_iter().filter(|row| row.offset.0 > self.last);
        let lines: Vec<_> = rows.map(|row| Seen::of(row, at)).collect();
        let Some(last) = lines.last().map(|seen| seen.offset) else {
            return Ok(());
        };
        let lines: Vec<_> = lines.into_iter().map(Line::Seen).collect();
        self.write(at, &lines)?;
        self.last = last;
        Ok(())
    }

    /// Writes down that the site was read, now and then; `last` for the last time.
    pub(crate) fn looked(&mut self, at: i64, head: EventId, last: bool) -> io::Result<()> {
        self.head = Some(head);
        if at.saturating_sub(self.looked) < LOOKED && !last {
            return Ok(());
        }
        self.write(at, &[Line::Looked { at }])?;
        self.looked = at;
        Ok(())
    }

    /// Writes down what a plugin registers; `first` if it held before.
    pub(crate) fn asks(
        &mut self,
        at: i64,
        plugin: &PluginId,
        callbacks: Vec<Ask>,
        first: bool,
    ) -> io::Result<()> {
        self.plugins.insert(plugin.clone(), callbacks.clone());
        let plugin = plugin.clone();
        // A file begins with all that is known, so with this.
        let line = Line::Plugin(Asks {
            at,
            plugin,
            first,
            callbacks,
        });
        self.write(at, &[line])
    }

    fn write(&mut self, at: i64, lines: &[Line]) -> io::Result<()> {
        // Before the site was read there is nothing to begin with; what is known by then is not lost.
        let Some(head) = self.head else {
            return Ok(());
        };
        let day = Timestamp::from_millisecond(at).unwrap_or_default();
        let day = day.strftime("%Y-%m-%d").to_string();
        if self.file.as_ref().is_none_or(|(open, _)| *open != day) {
            let path = self.folder.join(format!("{day}.jsonl"));
            let mut file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)?;
            mend(&mut file)?;
            let began = Line::Began { at, head };
            let known = self.plugins.iter().map(|(plugin, callbacks)| {
                Line::Plugin(Asks {
                    at,
                    plugin: plugin.clone(),
                    first: true,
                    callbacks: callbacks.clone(),
                })
            });
            let begins: Vec<_> = std::iter::once(began).chain(known).collect();
            file.write_all(&text(&begins)?)?;
            self.file = Some((day, file));
            self.let_go(at);
        }
        let Some((_, file)) = &mut self.file else {
            return Ok(());
        };
        let written = file.write_all(&text(lines)?);
        if written.is_err() {
            // Opened anew, what is torn is ended.
            self.file = None;
        }
        written
    }

    /// Removes files of days that are not kept.
    fn let_go(&self, at: i64) {
        let keep = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        // A day ends a day after its name.
        let before = at.saturating_sub(keep).saturating_sub(86_400_000);
        let Ok(before) = Timestamp::from_millisecond(before) else {
            return;
        };
        let before = before.strftime("%Y-%m-%d.jsonl").to_string();
        for file in files(&self.folder).unwrap_or_default() {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if *name < *before {
                // One that stays is looked at again tomorrow.
                std::fs::remove_file(&file).unwrap_or_default();
            }
        }
    }
}

/// Ends a line that was not written to its end.
fn mend(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(())
}

fn text(lines: &[Line]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use slated_model::{Event, Offset};

    use super::*;

    const DAY: i64 = 86_400_000;
    const KEEP: Duration = Duration::from_hours(24);

    fn row(offset: u64) -> Row {
        Row {
            offset: Offset(offset),
            late: false,
            event: Event::parse(&format!(r#"{{"id":{},"event_type":"A"}}"#, 100 + offset)).unwrap(),
        }
    }

    fn seen(state: &Path) -> Vec<u64> {
        let (lines, _) = read(state).unwrap();
        let seen = lines.into_iter().filter_map(|line| match line {
            Line::Seen(seen) => Some(seen.offset),
            _ => None,
        });
        seen.collect()
    }

    #[test]
    fn it_goes_on_behind_what_it_has_though_a_line_was_torn() {
        let state = tempfile::tempdir().unwrap();
        let mut diary = Diary::open(state.path(), KEEP).unwrap();
        diary.looked(DAY, EventId(100), false).unwrap();
        diary.seen(&[row(1), row(2)], DAY + 1).unwrap();
        drop(diary);
        let file = folder(state.path()).join("1970-01-02.jsonl");
        let text = std::fs::read(&file).unwrap();
        std::fs::write(&file, &text[..text.len() - 5]).unwrap();
        let mut diary = Diary::open(state.path(), KEEP).unwrap();
        assert_eq!(diary.last(), 1, "the second was torn");
        diary.looked(DAY + 2, EventId(103), true).unwrap();
        diary.seen(&[row(1), row(2), row(3)], DAY + 3).unwrap();
        assert_eq!(seen(state.path()), [1, 2, 3]);
        let (lines, bad) = read(state.path()).unwrap();
        assert_eq!(bad, 1);
        let began = |line: &&Line| matches!(line, Line::Began { .. });
        assert_eq!(lines.iter().filter(began).count(), 2, "{lines:?}");
    }

    #[test]
    fn each_day_begins_with_what_is_known_and_old_ones_go() {
        let state = tempfile::tempdir().unwrap();
        let mut diary = Diary::open(state.path(), KEEP).unwrap();
        let plugin = PluginId::new("plugins", "a");
        let ask = Ask {
            name: CallbackId::new("f", 1),
            matcher: Matcher::everything(),
            stop_on_error: true,
        };
        // Known before the site was read: the first file begins with it.
        diary.asks(DAY, &plugin, vec![ask.clone()], true).unwrap();
        for day in 1..=5 {
            diary.looked(day * DAY, EventId(100), false).unwrap();
            diary
                .seen(&[row(day.unsigned_abs())], day * DAY + 1)
                .unwrap();
        }
        assert_eq!(seen(state.path()), [3, 4, 5]);
        let (lines, _) = read(state.path()).unwrap();
        assert_eq!(
            lines[..2],
            [
                Line::Began {
                    at: 3 * DAY,
                    head: EventId(100)
                },
                Line::Plugin(Asks {
                    at: 3 * DAY,
                    plugin,
                    first: true,
                    callbacks: vec![ask]
                }),
            ]
        );
    }

    #[test]
    fn a_time_that_no_clock_shows_is_damage() {
        use std::fmt::Write as _;

        let state = tempfile::tempdir().unwrap();
        let mut diary = Diary::open(state.path(), KEEP).unwrap();
        diary.looked(DAY, EventId(100), false).unwrap();
        drop(diary);
        let file = folder(state.path()).join("1970-01-02.jsonl");
        let mut text = std::fs::read_to_string(&file).unwrap();
        for at in [i64::MAX, i64::MIN] {
            writeln!(text, "{{\"what\":\"looked\",\"at\":{at}}}").unwrap();
        }
        std::fs::write(&file, text).unwrap();
        let (lines, bad) = read(state.path()).unwrap();
        assert_eq!((lines.len(), bad), (2, 2), "{lines:?}");
        assert_eq!(crate::shadow::book::of(lines).until, DAY);
    }

    #[test]
    fn none_is_told_apart_from_an_empty_one() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(
            read(state.path()).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        Diary::open(state.path(), KEEP).unwrap();
        assert_eq!(read(state.path()).unwrap(), (vec![], 0));
    }
}
