//! The site became another one: what a lane had of void rows reaches nobody's record.

use slated_model::{SkipRow, SuspectRow};

use super::*;

/// Makes events above 101 void, and lets the site have others at 102 to 104.
fn void(w: &mut World) {
    w.disk.outcomes.retain(|(event, _), _| event.0 <= 101);
    w.disk.attempts.retain(|(event, _), _| event.0 <= 101);
    w.log.retain(|row| row.event.id.0 <= 101);
    let new = (5..).zip([102, 103, 104]).map(|(offset, id)| {
        let text = format!(r#"{{"id":{id},"event_type":"A"}}"#);
        Arc::new(Row {
            offset: Offset(offset),
            late: false,
            event: Event::parse(&text).unwrap(),
        })
    });
    w.log.extend(new);
    w.step(Input::Void(EventId(101)));
    w.step(Input::LogGrew(Offset(7)));
}

fn specs(stops: bool) -> Vec<CallbackSpec> {
    vec![spec(0, "f", "A", stops), spec(1, "g", "A", stops)]
}

fn done(w: &World, id: u64) -> bool {
    matches!(w.outcome(id, "f"), Some(Outcome::Done { .. }))
        && matches!(w.outcome(id, "g"), Some(Outcome::Done { .. }))
}

#[test]
fn a_call_that_is_out_counts_for_nobody_and_the_new_event_runs() {
    for end in ["done", "failed", "stopped", "died"] {
        let mut w = World::new(specs(end == "stopped"), &["A"; 4]);
        w.fine();
        w.fine();
        // Of 102 one callback has finished, the other is under way.
        w.fine();
        void(&mut w);
        let out = &w.lane.flights;
        assert!(out.len() == 1 && out.iter().all(|f| w.lane.is_void(f.seq)));
        match end {
            "done" => drop(w.fine()),
            "failed" => w.fail(None, false),
            "stopped" => w.fail(None, true),
            _ => w.die(),
        }
        assert_eq!(w.outcome(102, "g"), None, "{end}");
        assert_eq!(w.lane.hold(), None, "{end}");
        let before = w.runs_of(102);
        while w.fine().is_some() {}
        assert_eq!(w.runs_of(102), before + 2, "{end}");
        assert_eq!((w.runs_of(103), w.runs_of(104)), (2, 2), "{end}");
        assert!([102, 103, 104].iter().all(|id| done(&w, *id)), "{end}");
        assert_eq!(w.disk.row.cursor, Offset(7), "{end}");
        assert_eq!(w.disk.attempts.len(), 0, "{end}");
    }
}

#[test]
fn attempts_and_holds_of_void_rows_end() {
    // Aside.
    let mut w = World::new(specs(false), &["A"; 4]);
    w.fine();
    w.fine();
    w.fail(Some(Cause::Transient), false);
    assert_eq!(w.lane.attempts().count(), 1);
    void(&mut w);
    w.fine();
    w.pass(Duration::from_mins(5));
    while w.fine().is_some() {}
    assert_eq!((w.lane.attempts().count(), w.runs_of(103)), (0, 2));
    assert!(done(&w, 102));

    // In place, until it was held.
    let mut w = World::new(specs(true), &["A"; 4]);
    w.fine();
    w.fine();
    w.fail(None, true);
    assert_eq!(w.lane.hold().unwrap().event, Some(EventId(102)));
    void(&mut w);
    assert_eq!((w.lane.hold(), w.disk.row.hold.as_ref()), (None, None));
    assert!(w.notes.iter().any(|n| matches!(n, Note::Resumed)));
    while w.fine().is_some() {}
    assert!([102, 103, 104].iter().all(|id| done(&w, *id)));
}

#[test]
fn a_call_with_the_agreement_itself_counts() {
    let mut w = World::new(specs(false), &["A"; 4]);
    void(&mut w);
    w.fine();
    assert!(matches!(w.outcome(101, "f"), Some(Outcome::Done { .. })));
    let resumed = |n: &Note| matches!(n, Note::Resumed);
    assert!(!w.notes.iter().any(resumed), "nothing was held");
}

#[test]
fn an_attempt_in_place_or_aside_stays_or_goes_with_its_event() {
    for (stops, fails, stays) in [
        (true, 101, true),
        (true, 102, false),
        (false, 101, true),
        (false, 102, false),
    ] {
        let mut w = World::new(specs(stops), &["A"; 4]);
        for _ in 101..fails {
            w.fine();
            w.fine();
        }
        w.fail(Some(Cause::Transient), stops);
        assert_eq!(w.lane.attempts().count(), 1);
        void(&mut w);
        let about = format!("stops {stops}, {fails} fails");
        assert_eq!(w.lane.attempts().count(), usize::from(stays), "{about}");
        w.pass(Duration::from_mins(5));
        while w.fine().is_some() {}
        assert!(
            [101, 102, 103, 104].iter().all(|id| done(&w, *id)),
            "{about}"
        );
    }
}

#[test]
fn what_the_agreement_covers_stays_as_it_was() {
    let mut w = World::new(specs(true), &["A"; 4]);
    w.fail(None, true);
    void(&mut w);
    assert_eq!(w.lane.hold().unwrap().event, Some(EventId(101)));
    w.step(Input::Resume);
    while w.fine().is_some() {}
    assert_eq!((w.runs_of(101), w.runs_of(102)), (3, 2));
    assert!([101, 102, 103, 104].iter().all(|id| done(&w, *id)));
}

#[test]
fn nothing_the_site_writes_now_is_below_a_floor() {
    let mut row = LaneRow {
        floor: Some(EventId(500)),
        owed: [90, 101, 102].map(EventId).to_vec(),
        ..lane_row()
    };
    assert!(void_row(&mut row, EventId(101)));
    assert_eq!(row.floor, Some(EventId(101)));
    assert_eq!(row.owed, [90, 101].map(EventId));
    assert!(!void_row(&mut row, EventId(101)), "once is enough");
    let choose = HoldRow {
        event: None,
        callback: None,
        reason: "choose".into(),
    };
    row.hold = Some(choose);
    assert!(!void_row(&mut row, EventId(101)), "a person still chooses");
}

#[test]
fn what_a_person_wished_of_a_void_event_is_not_the_wish_about_the_new_one() {
    let mut row = lane_row();
    let skip = |event, offset| SkipRow {
        event: EventId(event),
        offset: Offset(offset),
        reason: "broken".into(),
    };
    row.skips = vec![skip(101, 1), skip(102, 2)];
    let suspect = |event| SuspectRow {
        event: EventId(event),
        times: 2,
    };
    row.suspect = Some(suspect(102));
    assert!(void_row(&mut row, EventId(101)));
    assert_eq!((row.skips.len(), row.skips[0].event), (1, EventId(101)));
    assert_eq!(row.suspect, None);
    row.suspect = Some(suspect(101));
    assert!(!void_row(&mut row, EventId(101)));
}

#[test]
fn a_way_back_that_was_planned_before_is_planned_anew() {
    let mut w = World::new(specs(false), &["A"; 4]);
    while w.fine().is_some() {}
    let planned = w.lane.at_rest().unwrap();
    w.step(Input::Void(EventId(102)));
    let now = w.lane.at_rest().unwrap();
    assert_ne!(now, planned, "what was done then may be void");
    assert_eq!(now.cursor, planned.cursor);
}
