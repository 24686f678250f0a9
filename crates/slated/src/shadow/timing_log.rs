//! The timing log of the Python daemon, read back.
//!
//! Its times have an offset, or are naive and local, by the version of that daemon. An hour that clocks
//! show twice is told by the order of lines. What cannot be read is counted and named by its line;
//! a file of which nothing can be read is none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use slated_core::shadow::{Call, Ms};
use slated_model::EventId;

use crate::error::CommandError;

/// Lines that are named of those that cannot be read.
const NAMED: usize = 5;

/// What stands in timing logs.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimingLog {
    pub(crate) calls: Vec<Call>,
    pub(crate) files: Vec<PathBuf>,
    /// What could not be read.
    pub(crate) unread: Vec<Unread>,
}

/// Lines of a file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) file: PathBuf,
    pub(crate) lines: usize,
    /// The numbers of the first.
    pub(crate) first: Vec<usize>,
}

/// Reads timing logs; one that is named twice counts once.
pub(crate) fn read(files: &[PathBuf], zone: &TimeZone) -> Result<TimingLog, CommandError> {
    let mut log = TimingLog::default();
    let mut known = BTreeSet::new();
    for file in files {
        let unreadable = |error: &dyn std::fmt::Display| {
            CommandError::usage(format!("{} cannot be read: {error}", file.display()))
        };
        let whole = std::fs::canonicalize(file).map_err(|e| unreadable(&e))?;
        if !known.insert(whole) {
            continue;
        }
        let bytes = std::fs::read(file).map_err(|e| unreadable(&e))?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            return Err(unreadable(&"it is compressed").hint("unpack it first: gunzip --keep"));
        }
        let text = String::from_utf8_lossy(&bytes);
        let (calls, unread) = calls(&text, zone);
        if calls.is_empty() && !unread.is_empty() {
            let place = file.display();
            let error = format!(
                "{place} is not a timing log: none of its {} lines says `event_id=… callback=… start=…`",
                unread.len()
            );
            return Err(CommandError::usage(error).hint(
                "the Python daemon writes one beside its log, as `<logFile>.timing`, where [daemon] timing_log is `on`",
            ));
        }
        log.calls.extend(calls);
        if !unread.is_empty() {
            log.unread.push(Unread {
                file: file.clone(),
                lines: unread.len(),
                first: unread.into_iter().take(NAMED).collect(),
            });
        }
        log.files.push(file.clone());
    }
    Ok(log)
}

/// Finds the timing log of a configuration with its rotated files: `NAME` and `NAME.…`.
pub(crate) fn beside(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let file = entry.file_name();
            let rest = file.to_str().and_then(|file| file.strip_prefix(name));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

/// Returns the calls of a text, and the numbers of lines that are none.
fn calls(text: &str, zone: &TimeZone) -> (Vec<Call>, Vec<usize>) {
    let (mut calls, mut unread) = (Vec::new(), Vec::new());
    let mut before = Ms::MIN;
    for (n, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match call(line, zone, before) {
            Some(call) => {
                before = call.end;
                calls.push(call);
            }
            None => unread.push(n + 1),
        }
    }
    (calls, unread)
}

fn call(line: &str, zone: &TimeZone, before: Ms) -> Option<Call> {
    // Names of plugins may have spaces in them, so fields end where the next begins.
    let (_, rest) = line.split_once("event_id=")?;
    let (event, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("callback=")?;
    let (callback, rest) = rest.split_once(" start=")?;
    let (start, rest) = rest.split_once(" end=")?;
    let (end, rest) = rest.split_once(" duration=")?;
    let (_, rest) = rest.split_once(" error=")?;
    let failed = match rest.split(' ').next()? {
        "True" => true,
        "False" => false,
        _ => return None,
    };
    let end = moment(end, zone, before)?;
    let start = moment(start, zone, before)?.min(end);
    Some(Call {
        event: EventId(event.parse().ok()?),
        callback: without_address(callback).to_owned(),
        start,
        end,
        failed,
    })
}

/// Reads a time of Python's `isoformat`. Of two that a naive one may be it is the first that does
/// not lie before the line before.
fn moment(text: &str, zone: &TimeZone, before: Ms) -> Option<Ms> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    let naive: DateTime = text.parse().ok()?;
    let ambiguous = zone.to_ambiguous_timestamp(naive);
    let earlier = ambiguous.earlier().ok()?.as_millisecond();
    let later = ambiguous.later().ok()?.as_millisecond();
    Some(if earlier < before {
        later.max(earlier)
    } else {
        earlier
    })
}

/// The Python daemon calls an instance `Class_0x7f…`, which is another name after each start.
fn without_address(callback: &str) -> &str {
    let is_address = |text: &str| {
        let digits = text.strip_suffix('L').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit())
    };
    match callback.rsplit_once("_0x") {
        Some((name, address)) if is_address(address) => name,
        _ => callback,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: &str, callback: &str, start: &str, end: &str, error: &str) -> String {
        format!(
            "2026-11-23 09:15:02,123 - timing - INFO - event_id={event} created_at=2026-11-23T09:15:01+01:00 \
             callback={callback} start={start} end={end} duration=00:00:00:00.250000 error={error} \
             delay=00:00:00:01.000000"
        )
    }

    fn zone() -> TimeZone {
        TimeZone::get("Europe/Paris").unwrap()
    }

    #[test]
    fn lines_of_the_python_daemon_are_read() {
        let check = |text: &str, wanted: Option<(u64, &str, &str, bool)>| {
            let told = call(text, &zone(), Ms::MIN).map(|call| {
                let start = Timestamp::from_millisecond(call.start).unwrap().to_string();
                (call.event.0, call.callback, start, call.failed)
            });
            let wanted = wanted.map(|(e, c, s, f)| (e, c.to_owned(), s.to_owned(), f));
            assert_eq!(told, wanted, "{text}");
        };
        let good = |callback: &str, start: &str| {
            line(
                "4711",
                callback,
                start,
                "2026-11-23T09:15:03.250000",
                "False",
            )
        };
        let at = "2026-11-23T08:15:02.5Z";
        check(
            &good("notes.f", "2026-11-23T09:15:02.500000+01:00"),
            Some((4711, "notes.f", at, false)),
        );
        // Naive, by the wall of the studio.
        check(
            &good("notes.f", "2026-11-23T09:15:02.500000"),
            Some((4711, "notes.f", at, false)),
        );
        let spaces = "shotgun AS T .on start";
        check(
            &good(spaces, "2026-11-23T09:15:02.500000"),
            Some((4711, spaces, at, false)),
        );
        check(
            &good("a.Klass_0x7f3aL", "2026-11-23T09:15:02.500000"),
            Some((4711, "a.Klass", at, false)),
        );
        check(
            &good("a.f_0xyz", "2026-11-23T09:15:02.500000"),
            Some((4711, "a.f_0xyz", at, false)),
        );
        let whole = line(
            "1",
            "a.f",
            "2026-11-23T09:15:02",
            "2026-11-23T09:15:02",
            "True",
        );
        check(&whole, Some((1, "a.f", "2026-11-23T08:15:02Z", true)));
        for bad in [
            "",
            "2026-11-23 09:15:02,123 - engine - INFO - Loading plugin at /x",
            &line(
                "x",
                "a.f",
                "2026-11-23T09:15:02",
                "2026-11-23T09:15:02",
                "False",
            ),
            &line(
                "1",
                "a.f",
                "2026-13-23T09:15:02",
                "2026-11-23T09:15:02",
                "False",
            ),
            &line("1", "a.f", "2026-11-23T09:15:02", "later", "False"),
            &line(
                "1",
                "a.f",
                "2026-11-23T09:15:02",
                "2026-11-23T09:15:02",
                "Perhaps",
            ),
            good("a.f", "2026-11-23T09:15:02")
                .split(" duration")
                .next()
                .unwrap(),
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn no_bytes_are_too_odd_for_it() {
        let good = line(
            "4711",
            "a.f",
            "2026-11-23T09:15:02.5",
            "2026-11-23T09:15:03+01:00",
            "True",
        );
        let mut dice = fastrand::Rng::with_seed(7);
        let (mut read, mut unread) = (0, 0);
        for _ in 0..20_000 {
            let mut bytes = good.clone().into_bytes();
            for _ in 0..dice.usize(1..6) {
                let at = dice.usize(0..bytes.len());
                bytes[at] = *dice.choice(b" =:-+.09\xffZTe\n").unwrap();
            }
            bytes.truncate(dice.usize(bytes.len() / 2..=bytes.len()));
            let (calls, bad) = calls(&String::from_utf8_lossy(&bytes), &zone());
            read += calls.len();
            unread += bad.len();
        }
        assert!(read > 1000 && unread > 10_000, "{read} {unread}");
    }

    #[test]
    fn the_hour_that_clocks_show_twice_is_told_by_the_order() {
        // Summer time ends at 03:00, which is 02:00 again.
        let at = |text: &str| line("1", "a.f", text, text, "False");
        let text = [
            at("2026-10-25T02:50:00"),
            at("2026-10-25T02:55:00"),
            at("2026-10-25T02:05:00"),
            at("2026-10-25T02:58:00"),
        ];
        let (calls, unread) = calls(&text.join("\n"), &zone());
        let minutes: Vec<_> = calls
            .iter()
            .map(|c| (c.start - calls[0].start) / 60_000)
            .collect();
        assert_eq!((minutes, unread), (vec![0, 5, 15, 68], vec![]));
    }

    #[test]
    fn what_cannot_be_read_is_named_and_what_is_no_log_refused() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let good = line(
            "7",
            "a.f",
            "2026-11-23T09:15:02",
            "2026-11-23T09:15:03",
            "False",
        );
        let mut mixed = format!("{good}\nnonsense\n\n{good}\n").into_bytes();
        mixed.extend(b"\xff\xfe torn");
        let mixed = put("sg.timing", &mixed);
        let old = put("sg.timing.2026-11-22", good.as_bytes());
        put("sg.timingx", b"x");
        let empty = put("empty", b"");
        let log = read(&[mixed.clone(), old.clone(), mixed.clone(), empty], &zone()).unwrap();
        assert_eq!(log.calls.len(), 3);
        let unread = Unread {
            file: mixed.clone(),
            lines: 2,
            first: vec![2, 5],
        };
        assert_eq!(log.unread, [unread]);
        assert_eq!(beside(folder.path(), "sg.timing"), [mixed, old]);

        let told = |path: PathBuf| read(&[path], &zone()).unwrap_err().told();
        let told_of = told(put("sg", b"one\ntwo\n"));
        assert!(
            told_of.contains("is not a timing log: none of its 2 lines"),
            "{told_of}"
        );
        assert!(told_of.contains("timing_log"), "{told_of}");
        let packed = told(put("sg.gz", &[0x1f, 0x8b, 8]));
        assert!(packed.contains("compressed"), "{packed}");
        assert!(told(folder.path().join("none")).contains("cannot be read"));
    }

    #[test]
    fn our_own_timing_log_reads_the_same() {
        let record = crate::tell::Timing {
            event: EventId(5),
            created_at: Some("2026-11-23T08:15:01Z".into()),
            callback: "a.f".into(),
            us: 1_500_000,
            error: true,
            end: "2026-11-23T08:15:03Z".parse().unwrap(),
        };
        let call = call(&record.line(&zone()), &zone(), Ms::MIN).unwrap();
        let end = record.end.as_millisecond();
        let wanted = Call {
            event: EventId(5),
            callback: "a.f".into(),
            start: end - 1500,
            end,
            failed: true,
        };
        assert_eq!(call, wanted);
    }
}
