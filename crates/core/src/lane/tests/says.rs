//! What a lane says of itself, and when it wants to be woken.

use super::*;

fn one(stop_on_error: bool, types: &[&str]) -> World {
    World::new(vec![spec(0, "f", "A", stop_on_error)], types)
}

#[test]
fn a_call_that_is_out_is_named_until_its_answer() {
    let mut w = World::new(
        vec![spec(0, "f", "A", true), spec(1, "g", "A", true)],
        &["A", "A"],
    );
    let (f, g) = (CallbackId::new("f", 1), CallbackId::new("g", 1));
    let seq = w.frames[0].seq;
    assert_eq!(w.lane.callbacks().map(<[_]>::len), Some(2));
    assert!(w.lane.is_busy());
    assert_eq!(w.lane.event_of(seq), Some(EventId(101)));
    assert_eq!(w.lane.call(), Some((EventId(101), &f, 1)));
    w.fine();
    assert_eq!(w.lane.call_of(seq), Some((EventId(101), &g, 1)));
    w.fail(Some(Cause::Transient), true);
    // The frame is dropped; the lane waits for another try.
    assert!(!w.lane.is_busy() && w.lane.call().is_none());
    assert_eq!((w.lane.event_of(seq), w.lane.call_of(seq)), (None, None));
    w.pass(Duration::from_secs(40));
    assert_eq!(w.lane.call(), Some((EventId(101), &g, 2)));
}

#[test]
fn open_attempts_are_told_in_place_and_aside() {
    for stop in [true, false] {
        let mut w = one(stop, &["A"]);
        w.fail(Some(Cause::Transient), stop);
        let open: Vec<_> = w.lane.attempts().map(|a| (a.event, a.aside)).collect();
        assert_eq!(open, [(EventId(101), !stop)]);
        let told = w.notes.iter().any(|n| match n {
            Note::Again { failed, aside, .. } => (*failed, *aside) == (1, !stop),
            _ => false,
        });
        assert!(told, "{:?}", w.notes);
    }
}

#[test]
fn its_place_is_told_before_it_is_on_record() {
    let mut w = one(true, &["B", "B", "A", "A"]);
    let row = w.lane.row();
    assert_eq!((row.cursor, w.disk.row.cursor), (Offset(2), Offset(0)));
    assert_eq!(w.lane.lag(), 2);
    w.fine();
    assert_eq!(w.lane.lag(), 1);
}

#[test]
fn an_attempt_wakes_the_lane_when_it_is_due_and_not_once_it_waits_for_room() {
    for stop in [true, false] {
        let mut w = one(stop, &["A"]);
        w.fail(Some(Cause::Transient), stop);
        let due = w.wake_at().unwrap();
        assert!(due > w.now && w.frames.is_empty());
        w.now = due;
        assert_eq!(w.wake_at(), None);
        w.step(Input::Tick);
        assert_eq!(w.frames.len(), 1, "it is due to the moment");
    }
}

#[test]
fn without_a_worker_only_the_cursor_wakes_the_lane() {
    let mut w = one(true, &["A"]);
    w.fail(Some(Cause::Transient), true);
    w.step(Input::Gone {
        verdict: Verdict::Ours,
    });
    assert_eq!(w.wake_at(), None);
}

/// It asks once a little after the site is back, ever later where that was in vain.
#[test]
fn a_site_that_is_back_is_asked_after_a_pause_that_grows() {
    let mut w = one(true, &["A"]);
    w.site = SiteHealth::Down;
    let mut pauses = Vec::new();
    for _ in 0..12 {
        w.fail(Some(Cause::Site), true);
        w.step(Input::SiteRead);
        let due = w.wake_at().unwrap();
        pauses.push(due.since(w.now));
        w.now = Mono(due.0.saturating_sub(Duration::from_millis(1))).max(w.now);
        w.step(Input::Tick);
        assert!(w.frames.is_empty(), "it is too early");
        w.now = due;
        w.step(Input::Tick);
        assert_eq!(w.frames.len(), 1);
    }
    assert!(pauses[0] <= Duration::from_secs(1), "{pauses:?}");
    let longest = pauses.iter().max().unwrap();
    assert!(*longest > Duration::from_secs(8), "{pauses:?}");
    assert!(*longest <= Duration::from_secs(32), "{pauses:?}");
}

/// What others wait for is a first answer, and an error or a death is one.
#[test]
fn an_event_that_failed_is_owed_to_nobody_any_more() {
    let mut w = one(true, &["A"]);
    let row = w.log[0].clone();
    assert!(w.lane.owes(&row));
    w.fail(Some(Cause::Transient), true);
    assert!(!w.lane.owes(&row));
    let mut w = one(true, &["A"]);
    w.die();
    assert!(!w.lane.owes(&row));
}
