//! What comes again after a failure, an end of the process or a restart, and what does not.

use super::*;

fn three(types: &[&str]) -> World {
    let spec = |n, name| spec(n, name, "A", false);
    World::new(vec![spec(0, "f"), spec(1, "g"), spec(2, "h")], types)
}

/// The process is ended on purpose and another one takes its place.
fn replace(w: &mut World) {
    w.frames.clear();
    w.step(Input::Gone {
        verdict: Verdict::Ours,
    });
    w.step(Input::Ready {
        callbacks: w.specs.clone(),
        window: 16,
    });
}

/// Rows that were asked for before a person let the lane skip them are skipped.
#[test]
fn an_answer_of_the_log_to_an_older_question_brings_nothing() {
    let mut w = three(&[]);
    w.log = (1..=2).map(|i| Arc::new(row(i, "A"))).collect();
    let gate = w.gate.clone();
    let effects = w.lane.step(w.context(&gate), Input::LogGrew(Offset(2)));
    assert!(matches!(
        effects[..],
        [Effect::Read {
            after: Offset(0),
            ..
        }]
    ));
    w.step(Input::GoOnAfter(Offset(2)));
    w.step(Input::Rows {
        after: Offset(0),
        rows: w.log.clone(),
        through: Offset(2),
    });
    assert!(w.frames.is_empty());
    assert_eq!(w.lane.cursor(), Offset(2));
}

#[test]
fn a_new_process_gets_the_rest_of_an_event_at_once() {
    let mut w = three(&["A"]);
    w.fine();
    replace(&mut w);
    assert_eq!(w.frames[0].callbacks, [1, 2]);
}

#[test]
fn an_attempt_aside_that_went_down_with_its_process_is_made_again() {
    let mut w = three(&["A"]);
    w.fail(Some(Cause::Transient), false);
    w.fine();
    w.fine();
    w.pass(Duration::from_secs(40));
    assert_eq!(w.frames.len(), 1);
    replace(&mut w);
    assert_eq!((w.frames.len(), w.frames[0].attempt), (1, 2));
    w.fine();
    let outcome = w
        .disk
        .outcomes
        .values()
        .find(|o| o.callback.to_string() == "f");
    assert_eq!(outcome.unwrap().attempt, 2);
}

/// `f` is a dead letter and tried again while `h` is still out; `g` has finished with the event.
#[test]
fn a_wish_for_one_callback_runs_no_other_again() {
    let mut w = three(&["A"]);
    w.fail(None, false);
    w.fine();
    w.retry(0);
    replace(&mut w);
    while w.fine().is_some() {}
    let of = |name| w.runs.iter().filter(|(_, c)| c.to_string() == name).count();
    assert_eq!((of("f"), of("g"), of("h")), (2, 1, 1));
}

/// The worker drops frames of the turn that failed: a new one must be told apart.
#[test]
fn a_failure_that_stops_the_plugin_begins_a_new_turn() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"]);
    let turn = w.frames[0].turn;
    w.fail(Some(Cause::Transient), true);
    w.pass(Duration::from_secs(40));
    assert!(w.frames[0].turn > turn);
}

#[test]
fn the_floor_stands_until_the_cursor_is_past_it() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &[]);
    w.disk.row.floor = Some(EventId(103));
    w.disk.row.owed = vec![EventId(101), EventId(102)];
    w.log = (1..=4).map(|i| Arc::new(row(i, "A"))).collect();
    w.crash();
    w.fine();
    assert_eq!(w.disk.row.floor, Some(EventId(103)));
    w.crash();
    while w.fine().is_some() {}
    let seen: Vec<_> = w.runs.iter().map(|(e, _)| e.0).collect();
    assert_eq!((&seen[..], w.disk.row.floor), (&[101, 102, 104][..], None));
}

#[test]
fn a_wish_to_skip_stands_until_its_own_turn() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"; 4]);
    w.fail(None, true);
    w.crash();
    for offset in [2, 4] {
        let row = w.log[offset - 1].clone();
        let reason = "made by hand".into();
        w.step(Input::Skip { row, reason });
    }
    w.step(Input::Resume);
    w.fine();
    assert_eq!(w.lane.cursor(), Offset(2));
    let left: Vec<_> = w.disk.row.skips.iter().map(|s| s.event.0).collect();
    assert_eq!(left, [104]);
}

/// An edit takes `f` away while `g` is still out, and the next one brings it back.
#[test]
fn a_callback_that_was_gone_for_a_while_does_not_get_the_event_after_all() {
    let mut w = three(&["A"]);
    w.fail(Some(Cause::Transient), false);
    let all = w.specs.clone();
    w.specs.remove(0);
    replace(&mut w);
    assert!(matches!(
        w.outcome(101, "f"),
        Some(Outcome::Discarded { .. })
    ));
    w.specs = all;
    replace(&mut w);
    assert_eq!(w.frames[0].callbacks, [1, 2]);
}

/// The rows behind the one that is skipped are taken again, and this one has its outcome.
#[test]
fn an_unreadable_row_is_one_dead_letter_though_a_person_skips_what_is_before_it() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A", "A"]);
    let bad = Event::unreadable(EventId(103), "{oops");
    w.log.push(Arc::new(Row {
        event: bad,
        ..row(3, "A")
    }));
    w.step(Input::LogGrew(Offset(3)));
    w.fail(None, true);
    w.step(Input::GoOnAfter(Offset(1)));
    while w.fine().is_some() {}
    assert_eq!((w.runs_of(101), w.runs_of(102)), (1, 1));
    assert_eq!(w.lane.cursor(), Offset(3));
    let letters = w.notes.iter();
    let letters = letters.filter(|n| matches!(n, Note::DeadLetter { .. }));
    assert_eq!(letters.count(), 1);
}

#[test]
fn a_wish_to_skip_the_event_that_failed_goes_for_callbacks_that_had_no_turn() {
    let mut w = World::new(
        vec![spec(0, "f", "A", true), spec(1, "g", "A", true)],
        &["A"],
    );
    w.fail(None, true);
    let (row, reason) = (w.log[0].clone(), "made by hand".into());
    w.step(Input::Skip { row, reason });
    for name in ["f", "g"] {
        let outcome = w.outcome(101, name);
        assert!(
            matches!(outcome, Some(Outcome::Discarded { .. })),
            "{name}: {outcome:?}"
        );
    }
    assert_eq!((w.lane.hold(), w.lane.cursor()), (None, Offset(1)));
    let told = |n: &Note| matches!(n, Note::EventSkipped { event } if *event == EventId(101));
    assert!(w.notes.iter().any(told), "{:?}", w.notes);
}

#[test]
fn a_wish_to_skip_what_is_tried_again_aside_leaves_nothing_behind() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A"]);
    w.fail(Some(Cause::Transient), false);
    let (row, reason) = (w.log[0].clone(), "made by hand".into());
    w.step(Input::Skip { row, reason });
    assert!(matches!(
        w.outcome(101, "f"),
        Some(Outcome::Discarded { .. })
    ));
    assert_eq!((&w.disk.row.skips, w.wake_at()), (&vec![], None));
}

#[test]
fn a_suspicion_goes_with_its_event_and_not_with_the_one_behind() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A", "A"]);
    let (row, attempts, ahead) = w.disk.taken_up(|id| Offset(id.0 - 100));
    w.frames.clear();
    w.lane = Lane::new(row, policy(), 4, attempts, &ahead, w.now, 2);
    w.lane.after_unclean_end();
    w.begin();
    assert_eq!(w.disk.row.suspect.map(|s| s.event), Some(EventId(101)));
    w.fine();
    assert_eq!((w.disk.row.suspect, w.lane.cursor()), (None, Offset(1)));
}

#[test]
fn an_attempt_aside_that_succeeds_ends_no_other_attempt() {
    let mut w = World::new(
        vec![spec(0, "f", "A", false), spec(1, "g", "A", true)],
        &["A"],
    );
    w.fail(Some(Cause::Transient), false);
    w.now = w.now + Duration::from_secs(5);
    w.fail(Some(Cause::Transient), true);
    w.pass(Duration::from_secs(5));
    assert_eq!(w.fine().unwrap().1.to_string(), "f");
    let open: Vec<_> = w.lane.attempts().map(|a| (a.failed, a.aside)).collect();
    assert_eq!(open, [(1, false)]);
    assert!(w.frames.is_empty(), "its back-off goes on");
    w.pass(Duration::from_secs(5));
    assert_eq!(w.frames[0].attempt, 2);
}

#[test]
fn what_was_read_ahead_goes_to_the_callbacks_of_the_newest_load() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A", "B"]);
    assert_eq!(w.lane.read, Offset(2));
    w.specs = vec![spec(0, "g", "A", false), spec(1, "h", "B", false)];
    replace(&mut w);
    while w.fine().is_some() {}
    let seen: Vec<_> = w.runs.iter().map(|(e, c)| (e.0, c.to_string())).collect();
    assert_eq!(seen, [(101, "g".into()), (102, "h".into())]);
}
