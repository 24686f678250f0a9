//! Stories of a plugin folder, in looks at given milliseconds.

use super::*;

/// A listing from `folder/file.py:stamp` words. A folder alone is empty, `!folder` cannot
/// be listed, and the stamp `?` cannot be read.
fn listing(words: &str) -> Listing {
    let mut folders: Vec<Folder> = Vec::new();
    for word in words.split_whitespace() {
        let (path, rest) = word.split_once('/').unwrap_or((word, ""));
        let (path, entries) = match path.strip_prefix('!') {
            Some(path) => (path, Err("stale handle".to_owned())),
            None => (path, Ok(Vec::new())),
        };
        if folders.last().is_none_or(|f| f.path != path) {
            folders.push(Folder {
                path: path.into(),
                entries,
            });
        }
        if let (
            Some((name, stamp)),
            Some(Folder {
                entries: Ok(entries),
                ..
            }),
        ) = (rest.split_once(':'), folders.last_mut())
        {
            let stat = stamp
                .parse()
                .ok()
                .map(|ns| (name != "dir.py", self::stamp(ns)));
            entries.push(Entry {
                name: name.into(),
                stat,
            });
        }
    }
    Listing { folders }
}
fn stamp(ns: i64) -> Stamp {
    Stamp {
        mtime_ns: ns,
        size: 10,
        inode: 1,
    }
}

/// Plays looks and hashes, and writes down what each led to.
struct Story {
    scan: Scan,
    told: Vec<String>,
}

impl Story {
    fn new(expected: &[(&str, &str)]) -> Self {
        let expected = expected
            .iter()
            .map(|(plugin, content)| (plugin.parse().unwrap(), Some(Content((*content).into()))));
        Self {
            scan: Scan::new(expected),
            told: Vec::new(),
        }
    }
    /// Looks at `ms`; a file has the content that `contents` gives it, and `=plugin`'s
    /// own name otherwise.
    fn look(&mut self, ms: u64, words: &str, contents: &[(&str, &str)]) -> Vec<String> {
        let now = Mono::from_millis(ms);
        let mut effects = self.scan.step(now, &listing(words));
        let mut told = Vec::new();
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                told.push(match effect {
                    Effect::Hash { plugin, stamp } => {
                        let name = plugin.to_string();
                        let content = contents.iter().find(|c| c.0 == name).map_or("-", |c| c.1);
                        let content = match content {
                            "!" => Err("permission denied".to_owned()),
                            text => Ok(Content(text.into())),
                        };
                        effects.extend(self.scan.hashed(now, &plugin, stamp, content));
                        continue;
                    }
                    Effect::Appeared {
                        plugin, content, ..
                    } => format!("+{plugin}={}", content.0),
                    Effect::Moved {
                        from, to, content, ..
                    } => {
                        format!("{from}>{to}={}", content.0)
                    }
                    Effect::Changed {
                        plugin,
                        content,
                        mtime_ns,
                    } => {
                        format!("*{plugin}={}@{mtime_ns}", content.0)
                    }
                    Effect::Touched { plugin, mtime_ns } => format!("~{plugin}@{mtime_ns}"),
                    Effect::Gone { plugin } => format!("-{plugin}"),
                    Effect::FileUnreadable { plugin, reason } => format!("?{plugin}: {reason}"),
                    Effect::FolderUnreadable { folder, reason } => format!("?{folder}: {reason}"),
                    Effect::FolderReadable { folder } => format!("!{folder}"),
                });
            }
        }
        self.told.extend(told.clone());
        told
    }
}

/// Plays (ms, listing, content of a/x, what it leads to).
fn check(name: &str, expected: &[(&str, &str)], looks: &[(u64, &str, &str, &[&str])]) {
    let mut story = Story::new(expected);
    for (ms, words, content, want) in looks {
        let told = story.look(
            *ms,
            words,
            &[("a/x", content), ("b/x", content), ("b/y", "1")],
        );
        assert_eq!(told, *want, "{name}, at {ms} ms");
    }
}

#[test]
fn a_file_counts_when_two_looks_agree() {
    check(
        "still written",
        &[],
        &[
            (0, "a/x.py:1", "1", &[]),
            (249, "a/x.py:1", "1", &[]),
            (300, "a/x.py:2", "2", &[]),
            (549, "a/x.py:2", "2", &[]),
            (550, "a/x.py:2", "2", &["+a/x=2"]),
            (9000, "a/x.py:2", "2", &[]),
        ],
    );
}

#[test]
fn compat_5_3_content_decides() {
    let start: [(u64, &str, &str, &[&str]); 2] = [
        (0, "a/x.py:5", "1", &[]),
        (1000, "a/x.py:5", "1", &["+a/x=1"]),
    ];
    for (name, looks) in [
        ("newer and other", ["a/x.py:6", "2", "*a/x=2@6"]),
        ("older and other", ["a/x.py:4", "2", "*a/x=2@4"]),
        ("newer and equal: touched", ["a/x.py:6", "1", "~a/x@6"]),
        ("older and equal", ["a/x.py:4", "1", ""]),
    ] {
        let [words, content, want] = looks;
        let want: &[&str] = if want.is_empty() { &[] } else { &[want] };
        let mut all = start.to_vec();
        all.extend([
            (2000, words, content, &[][..]),
            (3000, words, content, want),
        ]);
        all.extend([
            (4000, words, content, &[][..]),
            (9000, words, content, &[][..]),
        ]);
        check(name, &[], &all);
    }
}

#[test]
fn a_change_that_leaves_no_trace_in_the_stamp_is_found() {
    check(
        "within one tick of a coarse clock",
        &[],
        &[
            (0, "a/x.py:5", "1", &[]),
            (1000, "a/x.py:5", "1", &["+a/x=1"]),
            (3999, "a/x.py:5", "2", &[]),
            (4000, "a/x.py:5", "2", &["*a/x=2@5"]),
            (6999, "a/x.py:5", "3", &[]),
            (7000, "a/x.py:5", "3", &["*a/x=3@5"]),
        ],
    );
}

#[test]
fn gone_is_what_two_looks_in_a_readable_folder_do_not_show() {
    let there: &[(u64, &str, &str, &[&str])] = &[
        (0, "a/x.py:5", "1", &[]),
        (1000, "a/x.py:5", "1", &["+a/x=1"]),
    ];
    for (name, looks) in [
        (
            "gone",
            vec![
                (2000, "a", &[][..]),
                (6999, "a", &[]),
                (7000, "a", &["-a/x"]),
                (8000, "a", &[]),
            ],
        ),
        (
            "back in time",
            vec![
                (2000, "a", &[]),
                (6000, "a/x.py:5", &[]),
                (7500, "a", &[]),
                (12_499, "a", &[]),
            ],
        ),
        (
            "a folder that cannot be listed",
            vec![
                (2000, "!a", &["?a: stale handle"]),
                (60_000, "!a", &[]),
                (61_000, "a", &["!a"]),
                (65_999, "a", &[]),
                (66_000, "a", &["-a/x"]),
            ],
        ),
        (
            "it starts the looks over",
            vec![
                (2000, "a", &[]),
                (3000, "!a", &["?a: stale handle"]),
                (8000, "a", &["!a"]),
                (12_999, "a", &[]),
                (13_000, "a", &["-a/x"]),
            ],
        ),
        (
            "a link that dangles for a moment",
            vec![(2000, "a/x.py:?", &[]), (60_000, "a/x.py:?", &[])],
        ),
        (
            "a folder taken out of the configuration",
            vec![(2000, "b", &[]), (7000, "b", &["-a/x"])],
        ),
        (
            "gone and back: a new plugin",
            vec![
                (2000, "a", &[]),
                (7000, "a", &["-a/x"]),
                (8000, "a/x.py:5", &[]),
                (9000, "a/x.py:5", &["+a/x=1"]),
            ],
        ),
    ] {
        let mut all = there.to_vec();
        all.extend(
            looks
                .into_iter()
                .map(|(ms, words, want)| (ms, words, "1", want)),
        );
        check(name, &[], &all);
    }
}

#[test]
fn a_file_that_nobody_was_told_of_leaves_in_silence() {
    check(
        "an editor's copy",
        &[],
        &[
            (0, "a/x.py:5", "1", &[]),
            (100, "a", "1", &[]),
            (9000, "a", "1", &[]),
        ],
    );
}

#[test]
fn a_vanished_plugin_and_a_new_one_of_its_name_or_content_are_a_move() {
    let there: &[(u64, &str, &str, &[&str])] = &[
        (0, "a/x.py:5", "1", &[]),
        (1000, "a/x.py:5 b", "1", &["+a/x=1"]),
    ];
    for (name, looks) in [
        (
            "same name in another folder",
            vec![
                (2000, "a b/x.py:5", &[][..]),
                (3000, "a b/x.py:5", &[]),
                (7000, "a b/x.py:5", &["a/x>b/x=1"]),
            ],
        ),
        (
            "same content under another name",
            vec![
                (2000, "a b/y.py:5", &[]),
                (3000, "a b/y.py:5", &[]),
                (7000, "a b/y.py:5", &["a/x>b/y=1"]),
            ],
        ),
        (
            "content goes before name",
            vec![
                (2000, "a b/x.py:5 b/y.py:5", &[]),
                (3000, "a b/x.py:5 b/y.py:5", &[]),
                (7000, "a b/x.py:5 b/y.py:5", &["a/x>b/y=1", "+b/x=2"]),
            ],
        ),
        (
            "a copy is a plugin of its own",
            vec![
                (2000, "a/x.py:5 b/y.py:5", &[]),
                (3000, "a/x.py:5 b/y.py:5", &["+b/y=1"]),
                (4000, "a b/y.py:5", &[]),
                (9000, "a b/y.py:5", &["-a/x"]),
            ],
        ),
        (
            "the vanished one comes back",
            vec![
                (2000, "a b/y.py:5", &[]),
                (3000, "a b/y.py:5", &[]),
                (4000, "a/x.py:5 b/y.py:5", &["+b/y=1"]),
            ],
        ),
        (
            "another plugin does not wait",
            vec![(2000, "a b/z.py:5", &[]), (3000, "a b/z.py:5", &["+b/z=-"])],
        ),
    ] {
        let mut all = there.to_vec();
        let content = if name.starts_with("content") {
            "2"
        } else {
            "1"
        };
        all.extend(
            looks
                .into_iter()
                .map(|(ms, words, want)| (ms, words, content, want)),
        );
        check(name, &[], &all);
    }
}

#[test]
fn what_had_a_lane_before_the_start_is_missed() {
    check(
        "gone while the daemon was down",
        &[("a/x", "1")],
        &[(0, "a", "1", &[]), (5000, "a", "1", &["-a/x"])],
    );
    check(
        "moved while the daemon was down",
        &[("a/x", "1")],
        &[
            (0, "a b/y.py:5", "1", &[]),
            (1000, "a b/y.py:5", "1", &[]),
            (5000, "a b/y.py:5", "1", &["a/x>b/y=1"]),
        ],
    );
    check(
        "still there, edited or not",
        &[("a/x", "1")],
        &[
            (0, "a/x.py:5", "2", &[]),
            (1000, "a/x.py:5", "2", &["+a/x=2"]),
        ],
    );
    check(
        "its folder is not mounted yet",
        &[("a/x", "1")],
        &[
            (0, "!a", "1", &["?a: stale handle"]),
            (9000, "!a", "1", &[]),
            (10_000, "a/x.py:5", "1", &["!a"]),
            (11_000, "a/x.py:5", "1", &["+a/x=1"]),
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told_once_and_keeps_what_runs() {
    check(
        "unreadable",
        &[],
        &[
            (0, "a/x.py:5", "1", &[]),
            (1000, "a/x.py:5", "1", &["+a/x=1"]),
            (2000, "a/x.py:6", "!", &[]),
            (3000, "a/x.py:6", "!", &["?a/x: permission denied"]),
            (4000, "a/x.py:6", "!", &[]),
            (5000, "a/x.py:6", "2", &["*a/x=2@6"]),
        ],
    );
}

#[test]
fn compat_5_2_plugins_come_in_the_documented_order() {
    let mut story = Story::new(&[]);
    let words = "b/z.py:1 b/a.py:1 a/q.py:1 a/q-1.py:1 a/.q.py:1 a/.py:1 a/q.pyc:1 a/dir.py:1";
    assert!(story.look(0, words, &[]).is_empty());
    let told = story.look(1000, words, &[]);
    assert_eq!(told, ["+b/a=-", "+b/z=-", "+a/q-1=-", "+a/q=-"]);
    let order: Vec<_> = story.scan.order().iter().map(ToString::to_string).collect();
    assert_eq!(order, ["b/a", "b/z", "a/q-1", "a/q"]);
    // A folder that cannot be listed keeps its plugins and their place.
    story.look(2000, "!b a/q.py:1 a/q-1.py:1", &[]);
    assert_eq!(story.scan.order().len(), 4);
}

#[test]
fn a_hash_that_comes_too_late_is_not_believed() {
    let mut scan = Scan::default();
    let x: PluginId = "a/x".parse().unwrap();
    let look = |scan: &mut Scan, ms, ns| {
        scan.step(Mono::from_millis(ms), &listing(&format!("a/x.py:{ns}")))
    };
    look(&mut scan, 0, 1);
    assert_eq!(scan.look_again(), Some(Mono::from_millis(250)));
    let hash = Effect::Hash {
        plugin: x.clone(),
        stamp: stamp(1),
    };
    assert_eq!(look(&mut scan, 1000, 1), [hash]);
    assert_eq!(look(&mut scan, 1100, 1), [], "it is being hashed");
    assert_eq!(scan.look_again(), None);
    look(&mut scan, 1200, 2);
    let late = scan.hashed(
        Mono::from_millis(1300),
        &x,
        stamp(1),
        Ok(Content("1".into())),
    );
    assert_eq!(late, []);
    let hash = Effect::Hash {
        plugin: x.clone(),
        stamp: stamp(2),
    };
    assert_eq!(look(&mut scan, 2000, 2), [hash]);
    let told = scan.hashed(
        Mono::from_millis(2000),
        &x,
        stamp(2),
        Ok(Content("2".into())),
    );
    assert!(matches!(&told[..], [Effect::Appeared { content, .. }] if content.0 == "2"));
    assert_eq!(scan.look_again(), None);
}
