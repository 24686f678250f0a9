//! The answers to a resume, as a table.

use slated_model::{CallbackId, Event, Failure, FailureKind, PluginId};

use super::*;

const END: Offset = Offset(9);

fn hold(event: Option<u64>) -> HoldRow {
    HoldRow {
        event: event.map(EventId),
        callback: event.map(|_| CallbackId::new("f", 1)),
        reason: "Oops".into(),
    }
}

#[test]
fn a_plugin_that_stands_still_goes_on_where_it_may() {
    let failed = hold(Some(105));
    let choose = hold(None);
    let runs = Standing {
        stopped: false,
        hold: None,
        quarantined: false,
        calling: false,
        end: END,
    };
    let stopped = Standing {
        stopped: true,
        ..runs
    };
    let ending = Standing {
        calling: true,
        ..stopped
    };
    let quarantined = Standing {
        quarantined: true,
        ..runs
    };
    let held = Standing {
        hold: Some(&failed),
        ..runs
    };
    let lost = Standing {
        hold: Some(&choose),
        ..runs
    };
    let stopped_and_lost = Standing {
        stopped: true,
        ..lost
    };
    let (latest, there) = (Some(From::Latest), Some(From::After(Offset(7))));
    let beyond = Some(From::After(Offset(12)));
    for (standing, from, wanted) in [
        (runs, None, Ok(Step::Nothing)),
        (runs, Some(From::Failed), Err(Refusal::Runs)),
        (runs, latest, Err(Refusal::Runs)),
        (stopped, None, Ok(Step::GoOn)),
        (stopped, Some(From::Failed), Ok(Step::GoOn)),
        (stopped, latest, Ok(Step::GoOnAfter(END))),
        (stopped, there, Ok(Step::GoOnAfter(Offset(7)))),
        (stopped, beyond, Ok(Step::GoOnAfter(END))),
        (ending, None, Ok(Step::GoOn)),
        (ending, latest, Err(Refusal::Calling)),
        (ending, there, Err(Refusal::Calling)),
        (quarantined, None, Ok(Step::GoOn)),
        (quarantined, latest, Ok(Step::GoOnAfter(END))),
        (held, None, Ok(Step::GoOn)),
        (held, Some(From::Failed), Ok(Step::GoOn)),
        (held, latest, Ok(Step::GoOnAfter(END))),
        (lost, None, Err(Refusal::Choose)),
        (lost, Some(From::Failed), Err(Refusal::NoneFailed)),
        (lost, latest, Ok(Step::GoOnAfter(END))),
        (lost, there, Ok(Step::GoOnAfter(Offset(7)))),
        (stopped_and_lost, None, Err(Refusal::Choose)),
    ] {
        assert_eq!(standing.resume(from), wanted, "{standing:?} {from:?}");
    }
}

fn row(offset: u64, id: u64, late: bool) -> Row {
    Row {
        offset: Offset(offset),
        late,
        event: Event::parse(&format!(r#"{{"id":{id}}}"#)).unwrap(),
    }
}

#[test]
fn an_event_is_found_by_its_place_or_by_its_neighbours() {
    // The plugin stands at offset 3, which is event 103, or late event 90.
    let (regular, late) = (row(3, 103, false), row(3, 90, true));
    for (id, stands, last, wanted) in [
        // The log holds it: a late row after the cursor is ahead, whatever its id.
        (105, Some(5), Some(&regular), Ok(Some(4))),
        (80, Some(6), Some(&regular), Ok(Some(5))),
        (103, Some(3), Some(&regular), Err(())),
        (101, Some(1), Some(&regular), Err(())),
        // It does not.
        (104, None, Some(&regular), Ok(None)),
        (103, None, Some(&regular), Err(())),
        (50, None, Some(&regular), Err(())),
        (50, None, Some(&late), Ok(None)),
        (50, None, None, Ok(None)),
    ] {
        let found = find(EventId(id), Offset(3), stands.map(Offset), last);
        let wanted = wanted.map(|o| o.map(Offset));
        assert_eq!(
            found,
            wanted.map_err(|()| Refusal::Passed(EventId(id))),
            "{id} {stands:?}"
        );
    }
    // What is older than the log is not to be had.
    let ask = |id, last, late| reaches(EventId(id), last, &row(4, 110, late));
    assert_eq!(ask(104, Some(&regular), false), Ok(()));
    assert_eq!(ask(110, None, false), Ok(()));
    assert_eq!(ask(104, None, true), Ok(()));
    let older = Refusal::OlderThanLog(EventId(104), EventId(110));
    assert_eq!(ask(104, None, false), Err(older));
    assert!(begins(EventId(104), &row(4, 105, false)));
    assert!(!begins(EventId(104), &row(4, 103, false)));
    assert!(!begins(EventId(104), &row(4, 110, true)));
}

#[test]
fn a_cursor_older_than_the_log_waits_for_a_person() {
    assert_eq!(out_of_log(Offset(5), Offset(5)), None);
    assert_eq!(out_of_log(Offset(0), Offset(0)), None);
    let hold = out_of_log(Offset(3), Offset(5)).unwrap();
    assert_eq!(hold.event, None);
    assert!(hold.reason.contains("2 events before"), "{}", hold.reason);
}

#[test]
fn the_event_that_failed_begins_anew_without_a_daemon_too() {
    let plugin = PluginId::new("plugins", "p");
    let mut lane = LaneRow::new(plugin.clone(), Offset(4));
    lane.hold = Some(hold(Some(105)));
    let failed = Attempt {
        plugin,
        callback: CallbackId::new("f", 1),
        event: EventId(105),
        offset: Offset(5),
        aside: false,
        failed: 4,
        deaths: 3,
        since_ms: 2,
        left_ms: 1,
        failure: Failure {
            kind: FailureKind::Raised,
            error: "Oops".into(),
            message: String::new(),
            traceback: String::new(),
            locals: None,
            cause: None,
            us: None,
            log: Vec::new(),
        },
        at_ms: 0,
    };
    let anew = Attempt {
        failed: 0,
        deaths: 0,
        since_ms: 0,
        left_ms: 0,
        ..failed.clone()
    };
    let changes = on_record(&mut lane, &[failed], Step::GoOn, 7);
    assert_eq!(lane.hold, None);
    let [Change::Attempt(attempt), Change::Lane(row)] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!((attempt, row), (&anew, &lane));
}
