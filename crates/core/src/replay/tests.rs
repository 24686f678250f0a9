//! Ranges and answers, as tables.

use super::*;

fn span(from: u64, to: u64) -> Span {
    Span {
        from: EventId(from),
        to: EventId(to),
    }
}

fn lacking(all: Span, log: &[u64]) -> Asking {
    let mut lacking = Lacking::of(all);
    for id in log {
        lacking.has(EventId(*id));
    }
    lacking.asked()
}

#[test]
fn what_the_log_lacks_is_asked_of_the_site_and_nothing_else() {
    let check = |all: (u64, u64), log: &[u64], wanted: &[(u64, u64)]| {
        let wanted: Vec<_> = wanted.iter().map(|(a, b)| span(*a, *b)).collect();
        assert_eq!(
            lacking(span(all.0, all.1), log).ask(),
            wanted,
            "{all:?} {log:?}"
        );
    };
    check((10, 12), &[10, 11, 12], &[]);
    check((10, 12), &[], &[(10, 12)]);
    // Before its start, in the middle, after its end.
    check((10, 20), &[13, 14, 17, 18], &[(10, 12), (15, 16), (19, 20)]);
    check((10, 20), &[10, 20], &[(11, 19)]);
    check((10, 10), &[10], &[]);
    check((10, 9), &[], &[]);
    // Rows outside say nothing.
    check((10, 12), &[1, 11, 13], &[(10, 10), (12, 12)]);
    check((u64::MAX, u64::MAX), &[u64::MAX], &[]);
    check((0, u64::MAX), &[0], &[(1, u64::MAX)]);
}

#[test]
fn a_full_page_goes_on_behind_its_last_row_and_any_other_is_the_end() {
    let mut asking = lacking(span(1, 100), &[10, 20, 30]);
    assert_eq!(
        asking.ask(),
        [span(1, 9), span(11, 19), span(21, 29), span(31, 100)]
    );
    asking.answered(Some(EventId(15)), true);
    assert_eq!(asking.ask(), [span(16, 19), span(21, 29), span(31, 100)]);
    // The last row may be one that the log has: ranges are asked for one id wider.
    asking.answered(Some(EventId(20)), true);
    assert_eq!(asking.ask(), [span(21, 29), span(31, 100)]);
    asking.answered(Some(EventId(100)), true);
    assert_eq!(asking.ask(), []);

    let mut asking = lacking(span(1, 100), &[50]);
    asking.ask();
    asking.answered(Some(EventId(60)), false);
    assert_eq!(asking.ask(), [], "not full: the site has no more");
}

#[test]
fn many_holes_are_asked_for_in_several_requests() {
    let log: Vec<_> = (1..=500).filter(|id| id % 2 == 0).collect();
    let mut asking = lacking(span(1, 500), &log);
    let mut asked = Vec::new();
    for requests in 0.. {
        let spans = asking.ask();
        if spans.is_empty() {
            assert_eq!(requests, 3);
            break;
        }
        assert!(spans.len() <= RANGES);
        asked.extend(spans);
        asking.answered(None, false);
    }
    let odd: Vec<_> = (1..=500)
        .filter(|id| id % 2 == 1)
        .map(|id| span(id, id))
        .collect();
    assert_eq!(asked, odd);
}

#[test]
fn types_and_projects_narrow_what_is_replayed() {
    let head = |kind: Option<&str>| Head {
        event_type: kind.map(Into::into),
        ..Head::default()
    };
    let wanted = |types: &[&str], projects: &[u64]| Wanted {
        types: types.iter().map(ToString::to_string).collect(),
        projects: projects.iter().copied().collect(),
    };
    for (types, projects, kind, project, takes) in [
        (&[][..], &[][..], None, None, true),
        (&["A", "B"], &[], Some("B"), None, true),
        (&["A"], &[], Some("AB"), None, false),
        (&["A"], &[], None, None, false),
        (&[], &[1, 2], Some("A"), Some(2), true),
        (&[], &[1], Some("A"), Some(2), false),
        (&[], &[1], Some("A"), None, false),
        (&["A"], &[1], Some("A"), Some(1), true),
        (&["B"], &[1], Some("A"), Some(1), false),
    ] {
        let found = wanted(types, projects).takes(&head(kind), project);
        assert_eq!(found, takes, "{types:?} {projects:?} {kind:?} {project:?}");
    }
}

/// Plays one letter after the other and returns what came of it, in words:
///
/// `2` begins an event with two callbacks; `d` one is done, `f` failed, `s` failed by the site; `.`
/// the frame is over; `x` the process died in a call, `l` a limit ended it, `i` it died in none;
/// `c` a person wishes the end. Events count from 1; behind an end stands the one to go on with.
fn play(stop_on_error: bool, script: &str) -> String {
    let mut replay = Replay::new(stop_on_error);
    let mut told = Vec::new();
    let mut event = 0;
    for act in script.chars() {
        match act {
            'd' => drop(replay.answered(Answer::Done)),
            'f' => drop(replay.answered(Answer::Failed { site: false })),
            's' => drop(replay.answered(Answer::Failed { site: true })),
            'c' => replay.stop(),
            'x' | 'l' | 'i' => {
                let how = if act == 'l' { Lost::Limit } else { Lost::Died };
                let blamed = replay.lost(how, act != 'i');
                told.push(blamed.map_or_else(|| "nobody".into(), |id| id.to_string()));
                told.push(word(&replay, event));
            }
            '.' => told.push(word(&replay, event)),
            n => {
                let n = n.to_digit(10).unwrap();
                event += 1;
                replay.begin(
                    EventId(event),
                    (0..n).map(|k| CallbackId::new(format!("f{k}"), 1)),
                );
            }
        }
    }
    told.join(" ")
}

fn word(replay: &Replay, event: u64) -> String {
    match replay.next() {
        Next::Event => "event".into(),
        Next::Rest => format!("rest:{}", replay.due().count()),
        Next::End(why) => {
            let go_on = replay.go_on(Some(EventId(event + 1))).unwrap();
            format!("{why:?}:{go_on}")
        }
    }
}

#[test]
fn each_answer_has_one_consequence() {
    for (stop_on_error, script, told) in [
        (false, "1d.1d.", "event event"),
        // A failure is told, and the next event comes.
        (false, "1f.1d.", "event event"),
        // A callback that stops its plugin drops the rest of the frame, which is sent again.
        (false, "3f.dd.", "rest:2 event"),
        (false, "3df.d.1d.", "rest:1 event event"),
        // To end at an error is to end behind the event: all of its callbacks have run.
        (true, "1d.2f.d.", "event rest:1 Failed:3"),
        (true, "2x", "f0 rest:1"),
        (true, "2xd.", "f0 rest:1 Failed:2"),
        (true, "1l", "f0 Failed:2"),
        // A person's wish waits for the event, too.
        (false, "2cf.d.", "rest:1 Stopped:2"),
        (false, "1dc.", "Stopped:2"),
        // Who died is not run again; the rest is.
        (false, "2x", "f0 rest:1"),
        (false, "1x1d.", "f0 event event"),
        (false, "2i", "nobody rest:2"),
        // The fifth death is the last, wherever it was.
        (
            false,
            "1x1x1x1x1x",
            "f0 event f0 event f0 event f0 event f0 Deaths:6",
        ),
        (
            false,
            "2xd.1x1x1x3x",
            "f0 rest:1 event f0 event f0 event f0 event f0 Deaths:5",
        ),
        (
            false,
            "1iiiii",
            "nobody rest:1 nobody rest:1 nobody rest:1 nobody rest:1 nobody Deaths:1",
        ),
        // Limits are failures, and no deaths.
        (
            false,
            "1l1l1l1l1l1l",
            "f0 event f0 event f0 event f0 event f0 event f0 event",
        ),
        // A site that does not come back ends it; what it left is still due.
        (false, "1s.1s.1s.", "event event Site:1"),
        (false, "2s.s.2s.", "rest:1 event Site:1"),
        (false, "1s.1s.1d.1s.1s.", "event event event event event"),
        (false, "1s.1f.1s.1s.", "event event event Site:1"),
    ] {
        assert_eq!(play(stop_on_error, script), told, "{script}");
    }
}
