//! Tables: which state counts, and where each plugin starts.

use slated_model::{LaneRow, OldPosition, PluginId};

use super::*;

fn id(path: &str) -> PluginId {
    path.parse().unwrap()
}

fn position(path: &str, last: u64, missing: &[u64]) -> OldPosition {
    OldPosition {
        plugin: id(path),
        last: (last < u64::MAX).then_some(EventId(last)),
        missing: missing.iter().copied().map(EventId).collect(),
    }
}

/// No position.
const NONE: u64 = u64::MAX;

type Entry<'a> = (&'a str, u64, &'a [u64]);

fn old(entries: &[Entry<'_>]) -> OldState {
    let all = entries.iter().map(|(p, last, m)| position(p, *last, m));
    OldState::Plugins(all.collect())
}

/// Plugins whose files are there; `?` behind one that names no `registerCallbacks`.
fn present(paths: &[&str]) -> Vec<Present> {
    let one = |path: &&str| Present {
        plugin: id(path.trim_end_matches('?')),
        registers: !path.ends_with('?'),
    };
    paths.iter().map(one).collect()
}

fn ids(all: &[EventId]) -> Vec<u64> {
    all.iter().map(|id| id.0).collect()
}

/// Returns the lines as people read them, and the cursors and owed ids of the start.
fn check(
    old: &OldState,
    there: &[&str],
    new: NewPlugins,
    lines: &[&str],
    cursors: &[u64],
    asked: &[u64],
) -> Import {
    let import = import(old, &present(there), new);
    let said: Vec<_> = import.lines.iter().map(ToString::to_string).collect();
    assert_eq!(said, lines);
    match &import.start {
        Start::Imported { cursors: c, owed } => {
            assert_eq!((ids(c), ids(owed)), (cursors.to_vec(), asked.to_vec()));
        }
        other => assert!(cursors.is_empty() && asked.is_empty(), "{other:?}"),
    }
    // Whoever has a position has a lane, at the log's beginning, with a floor of its own.
    for lane in &import.lanes {
        assert_eq!(lane.cursor.0, 0);
        assert!(lane.floor.is_some(), "{lane:?}");
        let line = import.lines.iter().find(|line| line.plugin == lane.plugin);
        let Some(At::After { last, owed, .. }) = line.map(|line| &line.at) else {
            assert!(lane.moved_to.is_some() && lane.gone, "{lane:?}");
            continue;
        };
        assert_eq!((lane.floor, &lane.owed), (Some(*last), owed));
    }
    import
}

fn lane<'a>(import: &'a Import, path: &str) -> &'a LaneRow {
    let mut lanes = import.lanes.iter();
    lanes.find(|lane| lane.plugin == id(path)).unwrap()
}

#[test]
fn one_number_is_for_every_plugin() {
    let import = check(
        &OldState::Integer(EventId(500)),
        &["/p/a", "/q/b"],
        NewPlugins::Now,
        &[
            "/p/a starts after event 500: the one number of the file",
            "/q/b starts after event 500: the one number of the file",
        ],
        &[500],
        &[],
    );
    assert_eq!(import.lanes.len(), 2);
    // The Python daemon takes 0 for no position.
    let import = check(
        &OldState::Integer(EventId(0)),
        &["/p/a"],
        NewPlugins::Now,
        &["/p/a starts as a new plugin: the file has no position of it"],
        &[],
        &[],
    );
    assert_eq!((import.lanes, import.start), (vec![], Start::Latest));
}

#[test]
fn each_plugin_has_its_own_position_and_what_it_is_owed() {
    check(
        &old(&[
            ("/p/a", 500, &[480, 400, 480, 500, 777, 0]),
            ("/p/b", 490, &[1, 2, 3, 4, 5, 6, 7]),
            ("/p/c", NONE, &[3]),
            ("/p/zero", 0, &[]),
        ]),
        &["/p/a", "/p/b", "/p/c", "/p/zero", "/p/new"],
        NewPlugins::Now,
        &[
            "/p/a starts after event 500, and still gets 400, 480: its own position",
            "/p/b starts after event 490, and still gets 1, 2, 3, 4, 5 and 2 more: its own position",
            "/p/c starts as a new plugin: the file has no position of it",
            "/p/zero starts as a new plugin: the file has no position of it",
            "/p/new starts as a new plugin: the file does not know it",
        ],
        &[490, 500],
        &[1, 2, 3, 4, 5, 6, 7, 400, 480],
    );
}

#[test]
fn a_moved_plugin_takes_over_and_what_is_assumed_is_said() {
    // A folder that the file does not know: the highest of the name, as the Python daemon.
    let import = check(
        &old(&[
            ("/old/a", 500, &[450]),
            ("/older/a", 400, &[]),
            ("/old/b", 480, &[]),
        ]),
        &["/new/a", "/new/b", "/old/b", "/new/c"],
        NewPlugins::Now,
        &[
            "/new/a starts after event 500, and still gets 450: it takes over from /old/a, and is assumed to be that one, moved",
            "/new/b starts after event 480: it takes the position of /old/b, whose name it has in a folder that is new",
            "/old/b starts after event 480: its own position",
            "/new/c starts as a new plugin: the file does not know it",
            "/older/a starts after event 400, once its file is back: its own position",
        ],
        &[400, 500],
        &[450],
    );
    assert_eq!(lane(&import, "/old/a").moved_to, Some(id("/new/a")));
    assert_eq!(lane(&import, "/older/a").moved_to, None);
    // A namesake that stands elsewhere is further on: the moved one does not jump to it.
    check(
        &old(&[("/old/a", 400, &[]), ("/there/a", 500, &[])]),
        &["/new/a", "/there/a"],
        NewPlugins::Now,
        &[
            "/new/a starts after event 400: it takes over from /old/a, and is assumed to be that one, moved",
            "/there/a starts after event 500: its own position",
        ],
        &[400, 500],
        &[],
    );
    // In a folder it knows, a file is new unless it left another one.
    check(
        &old(&[("/p/a", 500, &[]), ("/q/b", 500, &[]), ("/p/c", 499, &[])]),
        &["/p/a", "/q/a", "/q/b", "/q/c"],
        NewPlugins::Now,
        &[
            "/p/a starts after event 500: its own position",
            "/q/a starts as a new plugin: the file does not know it",
            "/q/b starts after event 500: its own position",
            "/q/c starts after event 499: it takes over from /p/c, and is assumed to be that one, moved",
        ],
        &[499, 500],
        &[],
    );
}

#[test]
fn a_plugin_far_behind_waits_for_a_person_and_is_not_read_for() {
    let far = 1_000_000 - 50_001;
    let import = check(
        &old(&[
            ("/p/near", 1_000_000 - 50_000, &[7]),
            ("/p/far", far, &[5]),
            ("/p/top", 1_000_000, &[]),
        ]),
        &["/p/near", "/p/far", "/p/top"],
        NewPlugins::Now,
        &[
            "/p/near starts after event 950000, and still gets 7: its own position",
            "/p/far is held: its own position; event 949999 is 50001 ids behind /p/top; a person must choose where it begins",
            "/p/top starts after event 1000000: its own position",
        ],
        &[950_000, 1_000_000],
        &[7],
    );
    let held = lane(&import, "/p/far");
    assert_eq!((held.floor, ids(&held.owed)), (Some(EventId(far)), vec![5]));
    let hold = held.hold.as_ref().unwrap();
    assert_eq!((hold.event, hold.callback.as_ref()), (None, None));
    assert!(!held.gone);
}

#[test]
fn a_plugin_that_is_gone_keeps_its_place() {
    let import = check(
        &old(&[
            ("/p/a", 10_500, &[]),
            ("/p/level", 10_500, &[300]),
            ("/p/near", 5_500, &[]),
            ("/p/low", 5_499, &[5]),
            ("/p/never", NONE, &[]),
        ]),
        &["/p/a"],
        NewPlugins::Now,
        &[
            "/p/a starts after event 10500: its own position",
            "/p/level starts after event 10500, and still gets 300, once its file is back: its own position",
            "/p/low is held: its own position; its file is not there, it stood at event 5499, and the log begins after event 5500; a person must choose where it begins",
            "/p/near starts after event 5500, once its file is back: its own position",
        ],
        &[5_500, 10_500],
        &[300],
    );
    assert!(lane(&import, "/p/level").gone && lane(&import, "/p/low").gone);
    // Where no file is there, a folder may not be mounted: nothing is lost by reading for all.
    check(
        &old(&[("/p/a", 500, &[]), ("/p/b", 490, &[]), ("/p/c", 3, &[])]),
        &["/p/new"],
        NewPlugins::Now,
        &[
            "/p/new starts as a new plugin: the file does not know it",
            "/p/a starts after event 500, once its file is back: its own position",
            "/p/b starts after event 490, once its file is back: its own position",
            "/p/c starts after event 3, once its file is back: its own position",
        ],
        &[3, 500],
        &[],
    );
}

#[test]
fn a_helper_module_holds_nobody_back() {
    let import = check(
        &old(&[
            ("/p/a", 9_500, &[]),
            ("/p/lib", 20, &[9]),
            ("/p/tool", 9_000, &[]),
        ]),
        &["/p/a", "/p/lib?", "/p/tool?"],
        NewPlugins::Now,
        &[
            "/p/a starts after event 9500: its own position",
            "/p/lib is held: its own position; it names no registerCallbacks, it stood at event 20, and the log begins after event 9000; a person must choose where it begins",
            "/p/tool starts after event 9000, if it is a plugin (it names no registerCallbacks): its own position",
        ],
        &[9_000, 9_500],
        &[],
    );
    assert_eq!(import.lanes.len(), 3);
}

#[test]
fn a_start_by_id_is_read_for_too() {
    let state = old(&[("/p/a", 500, &[])]);
    let line = "/p/a starts after event 500: its own position";
    let new = "/p/new starts as a new plugin: the file does not know it";
    let from = NewPlugins::Id(EventId(300));
    check(
        &state,
        &["/p/a", "/p/new"],
        from,
        &[line, new],
        &[299, 500],
        &[],
    );
    check(&state, &["/p/a"], from, &[line], &[500], &[]);
    let later = NewPlugins::Id(EventId(900));
    check(
        &state,
        &["/p/a", "/p/new"],
        later,
        &[line, new],
        &[500],
        &[],
    );
    let import = check(&old(&[]), &["/p/new"], from, &[new], &[], &[]);
    assert_eq!(import.start, Start::FromId(EventId(300)));
    let import = check(&old(&[]), &["/p/new"], NewPlugins::Now, &[new], &[], &[]);
    assert_eq!(import.start, Start::Latest);
}

#[test]
fn what_is_written_twice_counts_once() {
    check(
        &old(&[
            ("/p/a", 500, &[1]),
            ("/p//a", 400, &[2]),
            ("/p/a", 450, &[3]),
        ]),
        &["/p/a"],
        NewPlugins::Now,
        &["/p/a starts after event 500, and still gets 1: its own position"],
        &[500],
        &[1],
    );
}

fn file(sha256: &str, said: Option<OldState>) -> OldFile {
    OldFile {
        sha256: sha256.into(),
        said,
    }
}

fn asked(state: Option<StateChoice>, from: Option<Chosen>) -> Asked {
    Asked {
        state,
        from,
        site_moved: false,
    }
}

const KEEP: Option<StateChoice> = Some(StateChoice::Keep);
const IMPORT: Option<StateChoice> = Some(StateChoice::Import);
const LATEST: Option<Chosen> = Some(Chosen::Latest);

#[test]
fn a_first_start_takes_the_file_or_what_a_person_says() {
    let five = OldState::Integer(EventId(5));
    let good = file("a", Some(five.clone()));
    let bad = file("b", None);
    let begin = |with| Verdict::Begin { aside: false, with };
    for (file, from, wanted) in [
        (None, None, begin(With::Nothing)),
        (Some(&good), None, begin(With::Import(&five))),
        (Some(&bad), None, Verdict::Refuse(Refusal::Unusable)),
        (None, LATEST, begin(With::Chosen(Chosen::Latest))),
        (Some(&good), LATEST, begin(With::Chosen(Chosen::Latest))),
        (Some(&bad), LATEST, begin(With::Chosen(Chosen::Latest))),
    ] {
        // There is no state to choose.
        for state in [None, KEEP, IMPORT] {
            assert_eq!(judge(None, file, asked(state, from)), wanted, "{file:?}");
        }
    }
}

#[test]
fn a_file_that_changed_is_not_guessed_about() {
    let six = OldState::Integer(EventId(6));
    let was = file("a", Some(OldState::Integer(EventId(5))));
    let now = file("b", Some(six.clone()));
    let cut = file("c", None);
    let began = |file: Option<&OldFile>| Beginning {
        start: None,
        file: file.cloned(),
    };
    let ours = |beginning| Ours {
        beginning,
        placed: true,
    };
    let anew = |with| Verdict::Begin { aside: true, with };
    let refuse = Verdict::Refuse;
    let known = began(Some(&was));
    let unknown = began(None);
    let damaged = began(Some(&cut));
    for (beginning, file, state, from, wanted) in [
        // Unchanged, or gone: no question, and a flag left in a unit file does nothing twice.
        (Some(&known), Some(&was), None, None, Verdict::GoOn),
        (Some(&known), None, None, None, Verdict::GoOn),
        (Some(&known), Some(&was), IMPORT, None, Verdict::GoOn),
        (Some(&known), None, IMPORT, None, Verdict::GoOn),
        (Some(&known), Some(&was), KEEP, None, Verdict::GoOn),
        (Some(&unknown), None, None, None, Verdict::GoOn),
        (Some(&damaged), Some(&cut), None, None, Verdict::GoOn),
        (None, None, None, None, Verdict::GoOn),
        // Changed, or come since.
        (
            Some(&known),
            Some(&now),
            None,
            None,
            refuse(Refusal::Changed),
        ),
        (
            Some(&known),
            Some(&cut),
            None,
            None,
            refuse(Refusal::Changed),
        ),
        (
            Some(&known),
            Some(&now),
            None,
            LATEST,
            refuse(Refusal::Changed),
        ),
        (
            Some(&unknown),
            Some(&was),
            None,
            None,
            refuse(Refusal::Changed),
        ),
        (
            Some(&damaged),
            Some(&now),
            None,
            None,
            refuse(Refusal::Changed),
        ),
        (None, Some(&was), None, None, refuse(Refusal::Changed)),
        (Some(&known), Some(&now), KEEP, None, Verdict::Keep),
        (Some(&known), Some(&cut), KEEP, None, Verdict::Keep),
        (
            Some(&known),
            Some(&now),
            KEEP,
            LATEST,
            refuse(Refusal::HasBegun),
        ),
        (
            Some(&known),
            Some(&now),
            IMPORT,
            None,
            anew(With::Import(&six)),
        ),
        (
            Some(&known),
            Some(&cut),
            IMPORT,
            None,
            refuse(Refusal::NothingToImport),
        ),
        (
            Some(&known),
            Some(&cut),
            IMPORT,
            LATEST,
            anew(With::Chosen(Chosen::Latest)),
        ),
        // A start is for a state that has none.
        (
            Some(&known),
            Some(&was),
            None,
            LATEST,
            refuse(Refusal::HasBegun),
        ),
        (
            Some(&known),
            Some(&was),
            IMPORT,
            LATEST,
            refuse(Refusal::HasBegun),
        ),
        (
            Some(&unknown),
            None,
            None,
            LATEST,
            refuse(Refusal::HasBegun),
        ),
    ] {
        let verdict = judge(Some(ours(beginning)), file, asked(state, from));
        assert_eq!(verdict, wanted, "{beginning:?} {file:?} {state:?} {from:?}");
    }
}

#[test]
fn other_bytes_that_say_the_same_are_no_change() {
    let state = old(&[("/p/a", 5, &[3])]);
    let beginning = Beginning {
        start: None,
        file: Some(file("a", Some(state.clone()))),
    };
    let ours = Ours {
        beginning: Some(&beginning),
        placed: true,
    };
    let same = file("b", Some(state));
    assert_eq!(
        judge(Some(ours), Some(&same), Asked::default()),
        Verdict::GoOn
    );
    // Two that could not be read say nothing, so they are not the same.
    let cut = file("c", None);
    let beginning = Beginning {
        file: Some(file("d", None)),
        ..beginning
    };
    let ours = Ours {
        beginning: Some(&beginning),
        placed: true,
    };
    let verdict = judge(Some(ours), Some(&cut), Asked::default());
    assert_eq!(verdict, Verdict::Refuse(Refusal::Changed));
}

#[test]
fn a_start_that_was_killed_may_be_told_again_where() {
    let began = |start| Beginning { start, file: None };
    let id = |n| Some(Chosen::Id(EventId(n)));
    let five = began(Some(Start::FromId(EventId(5))));
    let latest = began(Some(Start::Latest));
    let by_configuration = began(None);
    for (beginning, from, goes_on) in [
        (&five, id(5), true),
        (&five, id(6), false),
        (&five, LATEST, false),
        (&latest, LATEST, true),
        (&by_configuration, LATEST, false),
    ] {
        for placed in [false, true] {
            let ours = Ours {
                beginning: Some(beginning),
                placed,
            };
            let wanted = if goes_on && !placed {
                Verdict::GoOn
            } else {
                Verdict::Refuse(Refusal::HasBegun)
            };
            let verdict = judge(Some(ours), None, asked(None, from));
            assert_eq!(verdict, wanted, "{beginning:?} {from:?} {placed}");
        }
    }
}

#[test]
fn plugins_wait_for_none_that_has_far_to_go_and_one_that_is_gone_is_listed() {
    let old = old(&[
        ("/p/a", 1000, &[]),
        ("/p/b", 500, &[]),
        ("/p/c", 499, &[]),
        ("/p/gone", 1000, &[]),
    ]);
    let import = import(&old, &present(&["/p/a", "/p/b", "/p/c"]), NewPlugins::Now);
    for (path, in_line, has_run) in [
        ("/p/a", true, false),
        ("/p/b", true, false),
        ("/p/c", false, false),
        ("/p/gone", true, true),
    ] {
        let lane = lane(&import, path);
        let from = lane.in_line_from;
        assert_eq!(from != LaneRow::OUT_OF_LINE, in_line, "{path}");
        assert_eq!(
            (lane.has_run(), lane.is_listed()),
            (has_run, true),
            "{path}"
        );
    }
}
