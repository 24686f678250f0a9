//! A lane that stood still goes on: with the event that failed, or past what a person skips.

use slated_model::Discard;

use super::*;
use crate::resume::{Step, on_record};

/// Held at event 102, with 103 and 104 behind it.
fn held() -> World {
    let mut w = World::new(
        vec![spec(0, "f", "A", false), spec(1, "g", "A", true)],
        &["A"; 4],
    );
    w.fine();
    w.fine();
    w.fail(Some(Cause::Transient), false);
    w.fail(None, true);
    assert_eq!(w.lane.hold().unwrap().event, Some(EventId(102)));
    w
}

fn go_on_after(w: &mut World, to: u64) {
    w.step(Input::GoOnAfter(Offset(to)));
}

fn row_on_disk(w: &World) -> &LaneRow {
    &w.disk.row
}

#[test]
fn a_person_skips_to_the_end_and_what_is_skipped_is_on_record() {
    let mut w = held();
    go_on_after(&mut w, 4);
    let row = row_on_disk(&w);
    assert_eq!((row.cursor, &row.hold), (Offset(4), &None));
    assert_eq!(row.skipped, [(Offset(1), Offset(4))]);
    let discarded = Outcome::Discarded {
        reason: Discard::Person {
            reason: "skipped by a resume".into(),
        },
    };
    assert_eq!(w.outcome(102, "g"), Some(&discarded));
    assert!(
        w.notes
            .iter()
            .any(|n| matches!(n, Note::Skipped { rows: 3 }))
    );
    // What is tried again aside goes on; the rest is never run, not even after a crash.
    w.crash();
    w.pass(Duration::from_secs(40));
    while w.fine().is_some() {}
    assert!(matches!(w.outcome(102, "f"), Some(Outcome::Done { .. })));
    assert_eq!((w.runs_of(102), w.runs_of(103), w.runs_of(104)), (3, 0, 0));
    w.log.push(Arc::new(row_of(5)));
    w.step(Input::LogGrew(Offset(5)));
    while w.fine().is_some() {}
    assert_eq!(w.runs_of(105), 2);
}

fn row_of(offset: u64) -> Row {
    row(offset, "A")
}

#[test]
fn a_person_skips_some_or_nothing() {
    let mut w = held();
    go_on_after(&mut w, 3);
    while w.fine().is_some() {}
    assert_eq!((w.runs_of(103), w.runs_of(104)), (0, 2));
    assert_eq!(row_on_disk(&w).skipped, [(Offset(1), Offset(3))]);
    // Where it stands: the same as a resume.
    let mut w = held();
    go_on_after(&mut w, 1);
    assert!(row_on_disk(&w).skipped.is_empty());
    assert_eq!(w.fine().unwrap().1.to_string(), "g");
    while w.fine().is_some() {}
    assert_eq!((w.runs_of(103), w.runs_of(104)), (2, 2));
}

#[test]
fn nothing_is_skipped_that_a_worker_has_in_hand() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"; 3]);
    w.step(Input::Retired);
    assert!(w.lane.is_calling());
    go_on_after(&mut w, 3);
    assert!(row_on_disk(&w).skipped.is_empty());
    w.fine();
    assert!(!w.lane.is_calling());
    go_on_after(&mut w, 3);
    assert_eq!(row_on_disk(&w).skipped, [(Offset(1), Offset(3))]);
    assert_eq!(row_on_disk(&w).cursor, Offset(3));
}

#[test]
fn an_edit_does_not_choose_for_a_person() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"; 3]);
    let hold = HoldRow {
        event: None,
        callback: None,
        reason: "far behind".into(),
    };
    w.disk.row.hold = Some(hold);
    w.crash();
    assert!(w.frames.is_empty());
    w.step(Input::Resume);
    assert!(w.lane.hold().is_some() && w.frames.is_empty());
    go_on_after(&mut w, 2);
    assert_eq!(w.lane.hold(), None);
    assert_eq!(w.fine().unwrap().0, EventId(103));
}

#[test]
fn a_resume_without_a_daemon_leaves_the_same_on_record() {
    for step in [
        Step::GoOn,
        Step::GoOnAfter(Offset(4)),
        Step::GoOnAfter(Offset(1)),
    ] {
        let (mut live, mut rest) = (held(), held());
        match step {
            Step::GoOnAfter(to) => live.step(Input::GoOnAfter(to)),
            _ => live.step(Input::Resume),
        }
        let attempts: Vec<_> = rest.disk.attempts.values().cloned().collect();
        let mut row = rest.disk.row.clone();
        row.stopped = true;
        rest.disk.write(on_record(&mut row, &attempts, step, 0));
        assert_eq!(rest.disk.row, live.disk.row, "{step:?}");
        assert_eq!(rest.disk.row, row, "{step:?}");
        assert_eq!(rest.disk.outcomes, live.disk.outcomes, "{step:?}");
        assert_eq!(rest.disk.attempts, live.disk.attempts, "{step:?}");
    }
}
