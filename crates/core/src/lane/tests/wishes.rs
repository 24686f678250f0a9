//! What a person wishes of a lane, an event that is skipped and a way back; and events that slated
//! itself may have ended with.

use slated_model::Discard;

use super::*;
use crate::{rewind, skip};

fn two(types: &[&str]) -> World {
    World::new(
        vec![spec(0, "f", "A", false), spec(1, "g", "A", true)],
        types,
    )
}

fn skips(w: &mut World, offset: u64) -> Result<(), skip::Refusal> {
    let row = w.log[usize::try_from(offset).unwrap() - 1].clone();
    let may = w.lane.may_skip(&row);
    let reason = "made by hand".into();
    w.step(Input::Skip { row, reason });
    may
}

fn is_skipped(w: &World, id: u64, name: &str) -> bool {
    let reason = Discard::Person {
        reason: "made by hand".into(),
    };
    w.outcome(id, name) == Some(&Outcome::Discarded { reason })
}

fn all(w: &mut World) {
    while w.fine().is_some() {}
}

#[test]
fn the_event_that_holds_a_plugin_is_skipped_and_it_goes_on_behind() {
    for crash in [false, true] {
        let mut w = two(&["A"; 3]);
        w.fail(Some(Cause::Transient), false);
        w.fail(None, true);
        assert_eq!(w.lane.hold().unwrap().event, Some(EventId(101)));
        skips(&mut w, 1).unwrap();
        assert_eq!((w.lane.hold(), &w.disk.row.hold), (None, &None));
        // One that is tried again aside loses its attempt, too.
        assert!(is_skipped(&w, 101, "f") && is_skipped(&w, 101, "g"));
        assert!(w.disk.attempts.is_empty());
        if crash {
            w.crash();
        }
        w.pass(Duration::from_mins(5));
        all(&mut w);
        assert_eq!((w.runs_of(101), w.runs_of(102), w.runs_of(103)), (2, 2, 2));
        assert_eq!((w.disk.row.cursor, &w.disk.row.skips), (Offset(3), &vec![]));
    }
}

#[test]
fn an_event_still_ahead_is_skipped_when_its_turn_comes() {
    for crash in [false, true] {
        let mut w = two(&["A", "A", "B", "A"]);
        // Held at the first, and after a restart it has not read further.
        w.fine();
        w.fail(None, true);
        w.crash();
        skips(&mut w, 4).unwrap();
        assert_eq!(w.disk.row.skips[0].event, EventId(104));
        assert_eq!(w.outcome(104, "f"), None, "its turn has not come");
        if crash {
            w.crash();
        }
        w.step(Input::Resume);
        all(&mut w);
        assert_eq!((w.runs_of(102), w.runs_of(104)), (2, 0));
        assert!(is_skipped(&w, 104, "f") && is_skipped(&w, 104, "g"));
        w.pass(Duration::from_secs(1));
        assert_eq!((w.disk.row.cursor, &w.disk.row.skips), (Offset(4), &vec![]));
    }
}

#[test]
fn what_is_in_hand_finished_or_unwanted_is_not_skipped() {
    let mut w = two(&["A", "A", "B", "A"]);
    assert_eq!(skips(&mut w, 1), Err(skip::Refusal::InHand(EventId(101))));
    w.fine();
    assert_eq!(skips(&mut w, 1), Err(skip::Refusal::InHand(EventId(101))));
    w.fine();
    assert_eq!(skips(&mut w, 1), Err(skip::Refusal::Finished(EventId(101))));
    assert_eq!(skips(&mut w, 3), Err(skip::Refusal::Unwanted(EventId(103))));
    all(&mut w);
    assert_eq!((w.runs_of(101), w.runs_of(102), w.runs_of(104)), (2, 2, 2));
}

#[test]
fn a_skip_without_a_daemon_comes_to_the_same() {
    for offset in [1, 2] {
        let (mut live, mut rest) = (two(&["A"; 3]), two(&["A"; 3]));
        for w in [&mut live, &mut rest] {
            w.fail(Some(Cause::Transient), false);
            w.fail(None, true);
        }
        skips(&mut live, offset).unwrap();
        let attempts: Vec<_> = rest.disk.attempts.values().cloned().collect();
        let mut lane = rest.disk.row.clone();
        let row = rest.log[usize::try_from(offset).unwrap() - 1].clone();
        let changes = skip::on_record(&mut lane, &attempts, &row, "made by hand", 0).unwrap();
        rest.disk.write(changes);
        for w in [&mut live, &mut rest] {
            w.crash();
            w.step(Input::Resume);
            w.pass(Duration::from_mins(5));
            all(w);
            w.pass(Duration::from_secs(1));
        }
        assert_eq!(live.disk.outcomes, rest.disk.outcomes, "{offset}");
        assert_eq!(live.disk.row, rest.disk.row, "{offset}");
        assert!(is_skipped(&live, 100 + offset, "g"));
    }
}

#[test]
fn a_wish_that_has_come_true_does_not_outlive_a_way_back() {
    let mut w = two(&["A", "A", "A"]);
    w.fine();
    w.fine();
    w.fine();
    w.fail(None, true);
    w.crash();
    skips(&mut w, 3).unwrap();
    skips(&mut w, 2).unwrap();
    // Past both, and its place is not on record yet.
    assert_eq!((w.lane.cursor(), w.disk.row.skips.len()), (Offset(3), 2));
    assert_eq!(w.disk.row.cursor, Offset(1));
    rewind(&mut w, 2, false);
    all(&mut w);
    assert_eq!((w.runs_of(102), w.runs_of(103)), (2, 2));
    assert_eq!(w.disk.row.cursor, Offset(3));
}

/// Event 101 is done, 102 a dead letter of f and done in g, 103 is skipped, 104 is no match.
fn behind() -> World {
    let mut w = two(&["A", "A", "A", "B", "A"]);
    w.fine();
    w.fine();
    w.fail(None, false);
    skips(&mut w, 3).unwrap();
    all(&mut w);
    assert_eq!(w.disk.row.cursor, Offset(5));
    w.runs.clear();
    w
}

fn rewind(w: &mut World, to: u64, again: bool) {
    let standing = w.lane.at_rest().unwrap();
    assert!(standing.cursor > Offset(to));
    let stays = |o: &&OutcomeRow| {
        o.event.0 - 100 > to && !again && matches!(o.outcome, Outcome::Done { .. })
    };
    let done = w.disk.outcomes.values().filter(stays).cloned().collect();
    let to = Offset(to);
    w.step(Input::Rewind { to, again, done });
}

#[test]
fn a_lane_that_goes_back_gives_what_is_not_done() {
    for (again, crash) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut w = behind();
        rewind(&mut w, 0, again);
        let rewound = w.disk.row.rewound.unwrap();
        assert_eq!((rewound.from, rewound.to), (Offset(5), Offset(0)));
        assert_eq!(w.disk.row.in_line_from, LaneRow::OUT_OF_LINE);
        if crash {
            w.crash();
        }
        all(&mut w);
        let seen: Vec<_> = w.runs.iter().map(|(e, c)| (e.0, c.to_string())).collect();
        let units = |list: &[(u64, &str)]| -> Vec<_> {
            list.iter().map(|(e, c)| (*e, (*c).to_owned())).collect()
        };
        let wanted = if again {
            units(&[
                (101, "f"),
                (101, "g"),
                (102, "f"),
                (102, "g"),
                (103, "f"),
                (103, "g"),
                (105, "f"),
                (105, "g"),
            ])
        } else {
            units(&[(102, "f"), (103, "f"), (103, "g")])
        };
        assert_eq!(seen, wanted, "again {again}, crash {crash}");
        for (event, callback) in wanted {
            assert!(matches!(
                w.outcome(event, &callback),
                Some(Outcome::Done { .. })
            ));
        }
        assert_eq!(w.disk.row.cursor, Offset(5));
    }
}

#[test]
fn a_kill_leaves_the_old_place_or_the_new_one_and_nothing_is_sent_before() {
    let mut w = behind();
    w.slow_disk = true;
    rewind(&mut w, 0, false);
    assert!(w.frames.is_empty() && w.lane.at_rest().is_none());
    // Killed before that was durable.
    w.slow_disk = false;
    w.crash();
    all(&mut w);
    assert_eq!((w.disk.row.cursor, w.runs.len()), (Offset(5), 0));
    rewind(&mut w, 1, false);
    assert_eq!(w.frames.len(), 1, "durable: it goes on");
}

#[test]
fn a_hold_ends_and_what_is_tried_aside_goes_on_beside() {
    let mut w = two(&["A", "A", "A"]);
    w.fine();
    w.fine();
    w.fail(Some(Cause::Transient), false);
    w.fail(None, true);
    assert!(w.lane.hold().is_some());
    rewind(&mut w, 0, false);
    assert!(w.lane.hold().is_none() && w.disk.row.hold.is_none());
    let open: Vec<_> = w.disk.attempts.values().map(|a| a.aside).collect();
    assert_eq!(open, [true], "the one it waited for begins anew");
    w.runs.clear();
    all(&mut w);
    w.pass(Duration::from_mins(1));
    all(&mut w);
    assert_eq!((w.runs_of(101), w.runs_of(102), w.runs_of(103)), (0, 2, 2));
    // Nothing goes back under a worker that has something in hand.
    let mut w = two(&["A", "A"]);
    w.fine();
    w.fine();
    assert!(w.lane.at_rest().is_none());
    let (to, again, done) = (Offset(0), true, Vec::new());
    w.step(Input::Rewind { to, again, done });
    assert_eq!(w.disk.row.rewound, None);
}

#[test]
fn a_way_back_without_a_daemon_leaves_the_same_on_record() {
    for again in [false, true] {
        let (mut live, mut rest) = (behind(), behind());
        live.slow_disk = true;
        rewind(&mut live, 1, again);
        live.sync();
        let mut row = rest.disk.row.clone();
        rest.disk
            .write(rewind::on_record(&mut row, Offset(1), again, 0));
        assert_eq!(rest.disk.row, row);
        assert_eq!(rest.disk.row, live.disk.row);
        assert_eq!(rest.disk.outcomes, live.disk.outcomes);
    }
}

#[test]
fn what_the_log_lost_is_not_tried_again_for_ever() {
    let mut w = two(&["A"]);
    w.fail(Some(Cause::Transient), false);
    w.fine();
    w.crash();
    w.log.clear();
    w.pass(Duration::from_mins(5));
    let reason = Discard::RowGone;
    assert_eq!(w.outcome(101, "f"), Some(&Outcome::Discarded { reason }));
    assert!(w.disk.attempts.is_empty() && w.frames.is_empty());
}

/// Slated is gone without having come to its end, and starts again.
fn ends_uncleanly(w: &mut World) {
    w.frames.clear();
    w.waiting.clear();
    let (row, attempts, ahead) = w.disk.taken_up(|id| Offset(id.0 - 100));
    w.lane = Lane::new(row, policy(), 4, attempts, &ahead, w.now, 2);
    w.lane.after_unclean_end();
    w.begin();
}

#[test]
fn an_event_that_slated_ends_with_time_and_again_is_given_up() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A", "A"]);
    let mut ends = 0;
    while w.outcome(101, "f").is_none() {
        ends += 1;
        assert!(ends < 20);
        ends_uncleanly(&mut w);
        w.pass(Duration::from_mins(5));
        if ends == 4 {
            // A clean stop makes nothing of it.
            w.crash();
            assert_eq!(w.disk.row.suspect.map(|s| s.times), Some(1));
        }
    }
    assert_eq!(ends, 9, "three deaths of three ends each");
    assert!(matches!(
        w.outcome(101, "f"),
        Some(Outcome::DeadLetter { failure }) if failure.kind == FailureKind::Death
    ));
    assert_eq!(w.disk.row.suspect, None);
    // The next one is as good as any.
    assert_eq!(w.frames[0].row.event.id, EventId(102));
    all(&mut w);
    assert_eq!(w.disk.row.cursor, Offset(2));
}

#[test]
fn a_suspicion_is_durable_before_the_event_is_sent_and_ends_with_it() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A", "A"]);
    w.slow_disk = true;
    ends_uncleanly(&mut w);
    assert!(w.frames.is_empty());
    w.sync();
    assert_eq!(w.frames.len(), 1);
    let suspect = w.disk.row.suspect.unwrap();
    assert_eq!((suspect.event, suspect.times), (EventId(101), 1));
    w.slow_disk = false;
    all(&mut w);
    assert_eq!((w.disk.row.suspect, w.runs.len()), (None, 2));
    // A held lane sends nothing, so nothing of it is suspect.
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"]);
    w.fail(None, true);
    for _ in 0..9 {
        ends_uncleanly(&mut w);
    }
    assert_eq!(w.disk.row.suspect, None);
}
