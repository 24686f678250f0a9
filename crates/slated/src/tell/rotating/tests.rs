//! Days, summer time, crashes and logrotate, by a clock of our own.

use std::time::SystemTime;

use jiff::civil::DateTime;

use super::*;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("the system's time zones")
}

fn at(local: &str) -> Timestamp {
    let local: DateTime = local.parse().expect("a local time");
    local.to_zoned(berlin()).expect("a moment").timestamp()
}

fn open(folder: &Path, now: Timestamp) -> RotatingFile {
    RotatingFile::open(folder.join("log"), berlin(), now).expect("a log file")
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = names
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    names.sort();
    names
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).expect("a file")
}

/// One line an hour through the change of the clocks: every file has the lines of its local day.
#[test]
fn a_week_with_a_change_of_the_clocks_has_a_file_for_each_local_day() {
    for (from, short, hours) in [
        ("2026-03-26T00:00", "2026-03-29", 23),
        ("2026-10-22T00:00", "2026-10-25", 25),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let start = at(from);
        let mut file = open(folder.path(), start);
        for hour in 0..7 * 24 {
            let now = start + Duration::from_hours(hour);
            let day = date(now, &berlin());
            let written = file.write(&format!("{day}\n"), now);
            assert_eq!(written, Written::default());
        }
        let names = names(folder.path());
        assert!(names.len() >= 7, "{names:?}");
        for name in names.iter().filter(|name| *name != "log") {
            let day = name.strip_prefix("log.").expect("a day");
            let text = text(folder.path(), name);
            let expected = if day == short { hours } else { 24 };
            assert_eq!(text.lines().count(), expected, "{day}");
            assert!(text.lines().all(|line| line == day), "{day}: {text}");
        }
    }
}

#[test]
fn a_day_without_lines_has_no_file_and_ten_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = at("2026-11-01T12:00");
    fs::write(folder.path().join("log.timing.2020-01-01"), "another log's").expect("a file");
    fs::write(folder.path().join("log.notes"), "no day").expect("a file");
    let mut file = open(folder.path(), start);
    for day in (0..20).filter(|day| *day != 15) {
        let now = start + Duration::from_hours(24 * day);
        assert_eq!(file.write(&format!("{day}\n"), now), Written::default());
    }
    let mut expected: Vec<String> = (9..20)
        .filter(|day| *day != 16)
        .map(|day| format!("log.2026-11-{day:02}"))
        .collect();
    expected.insert(0, "log".into());
    expected.extend(["log.notes".into(), "log.timing.2020-01-01".into()]);
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn lines_from_before_a_stop_keep_their_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    fs::write(&path, "before\n").expect("a file");
    let modified: SystemTime = at("2026-11-20T18:00").into();
    let file = File::options().append(true).open(&path).expect("a file");
    file.set_modified(modified).expect("its time");

    let now = at("2026-11-23T09:00");
    let mut file = open(folder.path(), now);
    file.write("after\n", now);
    assert_eq!(text(folder.path(), "log.2026-11-20"), "before\n");
    assert_eq!(text(folder.path(), "log"), "after\n");
}

#[test]
fn nothing_is_written_over_where_the_name_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("log.2026-11-20"), "theirs\n").expect("a file");
    let mut file = open(folder.path(), at("2026-11-20T09:00"));
    file.write("ours\n", at("2026-11-20T09:00"));
    file.write("next\n", at("2026-11-21T00:00"));
    assert_eq!(text(folder.path(), "log.2026-11-20"), "theirs\n");
    assert_eq!(text(folder.path(), "log.2026-11-20.2"), "ours\n");
}

#[test]
fn a_clock_that_is_set_back_over_midnight_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = open(folder.path(), at("2026-11-20T23:59"));
    for (line, now) in [
        ("a\n", "2026-11-20T23:59"),
        ("b\n", "2026-11-21T00:01"),
        ("c\n", "2026-11-20T23:59"),
        ("d\n", "2026-11-21T00:01"),
    ] {
        assert_eq!(file.write(line, at(now)), Written::default());
    }
    assert_eq!(text(folder.path(), "log.2026-11-20"), "a\n");
    assert_eq!(text(folder.path(), "log"), "b\nc\nd\n");
}

#[test]
fn after_logrotate_a_reopened_file_is_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = Timestamp::now();
    let mut file = open(folder.path(), now);
    file.write("one\n", now);
    fs::rename(folder.path().join("log"), folder.path().join("taken")).expect("a rename");
    file.write("two\n", now);
    assert_eq!(file.reopen(now), None);
    file.write("three\n", now);
    assert_eq!(text(folder.path(), "taken"), "one\ntwo\n");
    assert_eq!(text(folder.path(), "log"), "three\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_once_and_what_was_lost_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
    let now = at("2026-11-20T09:00");
    let mut file = open(folder.path(), now);
    let first = file.write("1\n", now).trouble.unwrap_or_default();
    assert!(first.contains("lines are lost"), "{first}");
    let later = now + 2 * RETRY;
    assert_eq!(file.write("2\n", later), Written::default());
    fs::remove_file(&path).expect("the link");
    // It is not tried again at once.
    assert_eq!(file.write("3\n", later), Written::default());
    let healed = file.write("4\n", later + RETRY);
    assert_eq!((healed.healed, healed.trouble), (3, None));
    assert_eq!(text(folder.path(), "log"), "4\n");
}

/// A name that has no room for the day stands for every reason a rename fails.
#[test]
fn a_rename_that_fails_is_told_once_and_the_file_is_written_further() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "n".repeat(250);
    let open = RotatingFile::open(folder.path().join(&name), berlin(), at("2026-11-20T09:00"));
    let mut file = open.expect("a log file");
    file.write("a\n", at("2026-11-20T09:00"));
    let told = file.write("b\n", at("2026-11-21T09:00")).trouble;
    assert!(told.unwrap_or_default().contains("cannot be renamed"));
    assert_eq!(
        file.write("c\n", at("2026-11-21T10:00")),
        Written::default()
    );
    assert_eq!(text(folder.path(), &name), "a\nb\nc\n");
}
