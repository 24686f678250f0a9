//! What stands in the files, byte for byte.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc;

use jiff::tz::TimeZone;
use slated_config::Level;

use super::files::{Desk, Layout};
use super::*;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("the system's time zones")
}

fn now() -> Timestamp {
    "2026-11-23T08:15:02.123Z".parse().expect("a time")
}

fn notes() -> PluginId {
    PluginId::new("plugins", "notes")
}

fn on_status() -> CallbackId {
    "on_status".parse().expect("a callback")
}

fn facts() -> [Fact; 4] {
    [
        Fact::SiteRead {
            url: "https://studio.example".into(),
            high: EventId(7),
        },
        Fact::Dispatched {
            plugin: notes(),
            callback: on_status(),
            event: EventId(7),
        },
        Fact::PluginLog {
            plugin: notes(),
            level: 35,
            logger: "plugin.notes.on_status".into(),
            message: "two\nlines".into(),
            call: Some(Call {
                event: EventId(7),
                callback: CallbackId::new("on_status", 1),
                attempt: 2,
            }),
            at_us: 1_795_421_702_007_000,
            source: Source {
                path: "/p/notes.py".into(),
                func: "on_status".into(),
                line: 3,
            },
        },
        Fact::PluginPrinted {
            plugin: notes(),
            line: "hello".into(),
        },
    ]
}

fn layout(folder: &Path, per_plugin: bool, json: bool) -> Layout {
    Layout {
        main: Some((folder.into(), "shotgunEventDaemon".into())),
        per_plugin,
        json,
        echo: false,
        background: false,
        own: "engine",
    }
}

fn write(desk: &mut Desk) {
    for fact in facts() {
        desk.write(&Record::of(&fact, now()), now());
    }
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).expect("a log file")
}

const ENGINE: &str =
    "2026-11-23 09:15:02,123 - engine - INFO - Following https://studio.example from event 7.\n";
const PLUGIN: &str = "\
2026-11-23 09:15:02,123 - plugin.notes - DEBUG - Dispatching event 7 to callback on_status.
2026-11-23 09:15:02,007 - plugin.notes.on_status - Level 35 - two
lines
2026-11-23 09:15:02,123 - plugin.notes - INFO - plugins/notes printed: hello
";

#[test]
fn under_log_mode_1_each_plugin_has_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = layout(folder.path(), true, false);
    write(&mut Desk::quiet(
        layout,
        berlin(),
        Box::new(std::io::sink()),
    ));
    assert_eq!(text(folder.path(), "shotgunEventDaemon"), ENGINE);
    assert_eq!(text(folder.path(), "plugin.notes"), PLUGIN);
}

#[test]
fn under_log_mode_0_all_stands_in_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = layout(folder.path(), false, false);
    write(&mut Desk::quiet(
        layout,
        berlin(),
        Box::new(std::io::sink()),
    ));
    let text = text(folder.path(), "shotgunEventDaemon");
    assert_eq!(text, format!("{ENGINE}{PLUGIN}"));
}

#[test]
fn each_line_of_json_is_an_object_that_says_where_it_came_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = layout(folder.path(), false, true);
    write(&mut Desk::quiet(
        layout,
        berlin(),
        Box::new(std::io::sink()),
    ));
    let text = text(folder.path(), "shotgunEventDaemon");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[2],
        serde_json::json!({
            "time": "2026-11-23T08:15:02.007000Z", "level": "Level 35", "levelno": 35,
            "logger": "plugin.notes.on_status", "message": "two\nlines",
            "plugin": "plugins/notes", "callback": "on_status", "event": 7, "attempt": 2,
            "path": "/p/notes.py", "func": "on_status", "line": 3,
        })
    );
    assert_eq!(lines[0]["logger"], "engine");
}

#[test]
fn the_timing_log_is_the_python_daemons() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = layout(folder.path(), true, false);
    let mut desk = Desk::quiet(layout, berlin(), Box::new(std::io::sink()));
    let timing = Timing {
        event: EventId(7),
        created_at: Some("2026-11-23T08:15:00Z".into()),
        callback: "notes.on_status".into(),
        us: 1_500_000,
        error: false,
        end: "2026-11-23T08:15:02.623Z".parse().expect("a time"),
    };
    desk.time(&timing, now());
    // The worker's or the site's clock is ahead; the site said nothing.
    for created_at in [Some("2026-11-23T08:15:03.5Z".into()), None] {
        let timing = Timing {
            created_at,
            us: 623_000,
            error: true,
            ..timing.clone()
        };
        desk.time(&timing, now());
    }
    let expected = "\
2026-11-23 09:15:02,623 - timing - INFO - event_id=7 created_at=2026-11-23T09:15:00+01:00 callback=notes.on_status start=2026-11-23T09:15:01.123000+01:00 end=2026-11-23T09:15:02.623000+01:00 duration=00:00:00:01.500000 error=False delay=00:00:00:01.123000
2026-11-23 09:15:02,623 - timing - INFO - event_id=7 created_at=2026-11-23T09:15:03.500000+01:00 callback=notes.on_status start=2026-11-23T09:15:02+01:00 end=2026-11-23T09:15:02.623000+01:00 duration=00:00:00:00.623000 error=True delay=-1:23:59:58.500000
2026-11-23 09:15:02,623 - timing - INFO - event_id=7 created_at=None callback=notes.on_status start=2026-11-23T09:15:02+01:00 end=2026-11-23T09:15:02.623000+01:00 duration=00:00:00:00.623000 error=True delay=None
";
    assert_eq!(text(folder.path(), "shotgunEventDaemon.timing"), expected);
}

#[test]
fn what_a_plugin_says_does_not_move_a_terminals_cursor() {
    let record = Record::own(now(), record::INFO, "\u{1b}[2Jgone\r".into());
    let line = lines::human(&record, &berlin(), false);
    assert_eq!(line, "2026-11-23 09:15:02,123 INFO \\u{1b}[2Jgone\\r\n");
}

#[test]
fn a_line_of_a_helper_modules_logger_names_the_plugin() {
    let mut record = Record::own(now(), record::INFO, "no such shot".into());
    record.plugin = Some(PluginId::new("plugins", "notes"));
    record.source = Some(Source {
        path: "/lib/studio.py".into(),
        func: "find".into(),
        line: 3,
    });
    for (logger, told) in [
        ("plugin.notes.cb", "plugin.notes.cb: no such shot"),
        ("studio", "plugins/notes: studio: no such shot"),
    ] {
        record.logger = Some(logger.into());
        let line = lines::human(&record, &berlin(), false);
        assert_eq!(line, format!("2026-11-23 09:15:02,123 INFO {told}\n"));
    }
}

/// A stderr that takes nothing until it is told to.
struct Stuck {
    go: mpsc::Receiver<()>,
    seen: Arc<Mutex<String>>,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.go.recv().unwrap_or_default();
        let text = String::from_utf8_lossy(bytes);
        self.seen.lock().expect("a lock").push_str(&text);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_terminal_of_a_start_hears_warnings_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let (go, held) = mpsc::channel();
    drop(go);
    let seen = Arc::new(Mutex::new(String::new()));
    let terminal = Stuck {
        go: held,
        seen: seen.clone(),
    };
    let layout = Layout {
        echo: true,
        background: true,
        ..layout(folder.path(), false, false)
    };
    let mut desk = Desk::quiet(layout, TimeZone::UTC, Box::new(terminal));
    for (level, word) in [(record::INFO, "calm"), (record::WARNING, "odd")] {
        desk.write(&Record::own(now(), level, word.into()), now());
    }
    let file = text(folder.path(), "shotgunEventDaemon");
    assert!(file.contains("calm") && file.contains("odd"), "{file}");
    let seen = seen.lock().expect("a lock").clone();
    assert!(!seen.contains("calm") && seen.contains("odd"), "{seen}");
}

#[test]
fn a_log_that_cannot_be_written_delays_nobody_and_counts_what_it_drops() {
    let (release, go) = mpsc::channel();
    let seen = Arc::new(Mutex::new(String::new()));
    let stuck = Stuck {
        go,
        seen: seen.clone(),
    };
    let layout = Layout {
        main: None,
        per_plugin: false,
        json: false,
        echo: false,
        background: false,
        own: "slated",
    };
    let desk = Desk::quiet(layout, TimeZone::UTC, Box::new(stuck));
    let log = Log::over(desk, Level::Info, false, 4).expect("a log");
    // At most one is with the writer and four wait.
    for n in 0..100 {
        log.put(Record::own(now(), record::INFO, format!("line {n}")));
    }
    drop(release);
    log.flush();
    let seen = seen.lock().expect("a lock").clone();
    let kept = seen.lines().filter(|l| l.contains(" line ")).count();
    assert!((4..=5).contains(&kept), "{seen}");
    let words = format!("{} lines were dropped", 100 - kept);
    assert!(seen.contains(&words), "{seen}");
}

/// Writes a line at each of the given seconds through CPython's own handler.
const CPYTHON: &str = "\
import logging, logging.handlers, sys, time
times = [int(t) for t in sys.argv[2:]]
now = times[0]
time.time = lambda: now
handler = logging.handlers.TimedRotatingFileHandler(sys.argv[1], 'midnight', backupCount=10, delay=True)
handler.setFormatter(logging.Formatter('%(asctime)s - %(name)s - %(levelname)s - %(message)s'))
for now in times:
    handler.handle(logging.makeLogRecord(dict(created=now + 0.25, msecs=250.0, name='plugin.notes',
        levelno=30, levelname='WARNING', msg='a\\nb %s', args=(now,))))
handler.close()
";

#[test]
fn names_and_lines_are_those_of_cpython() -> anyhow::Result<()> {
    let (theirs, ours) = (tempfile::tempdir()?, tempfile::tempdir()?);
    // Not across the end of summer time: there CPython names a file after the day before, over the
    // one that has that name. Two days are silent.
    let noon: Timestamp = "2026-11-02T10:00:00Z".parse()?;
    let days = (0..16).filter(|day| !matches!(day, 3 | 12));
    let times: Vec<i64> = days.map(|day| noon.as_second() + day * 86_400).collect();
    let name = "shotgunEventDaemon";
    let python = slated_testkit::python::interpreter()?;
    let status = std::process::Command::new(python)
        .env("TZ", "Europe/Berlin")
        .args(["-c", CPYTHON])
        .arg(theirs.path().join(name))
        .args(times.iter().map(ToString::to_string))
        .status()?;
    assert!(status.success(), "{status}");

    let layout = layout(ours.path(), false, false);
    let mut desk = Desk::quiet(layout, berlin(), Box::new(std::io::sink()));
    for second in times {
        let at = Timestamp::from_millisecond(second * 1000 + 250)?;
        let record = Record {
            logger: Some("plugin.notes".into()),
            ..Record::own(at, record::WARNING, format!("a\nb {second}"))
        };
        desk.write(&record, at);
    }
    let files = |folder: &Path| -> anyhow::Result<std::collections::BTreeMap<_, _>> {
        let mut files = std::collections::BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            files.insert(entry.file_name(), fs::read_to_string(entry.path())?);
        }
        Ok(files)
    };
    let (theirs, ours) = (files(theirs.path())?, files(ours.path())?);
    assert_eq!(theirs.len(), 11, "{theirs:?}");
    assert_eq!(ours, theirs);
    Ok(())
}
