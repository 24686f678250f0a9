//! Stories of one lane in line: what takes it out, and what does not.

use super::*;
use crate::order::Peer as _;

/// How long others wait for it.
const WAIT: Duration = Duration::from_secs(10);

/// A lane under an order in which dispatch has not begun; its plugin is ready.
fn world(types: &[&str]) -> World {
    let mut w = World::new(vec![spec(0, "f", "A", false)], types);
    w.gate = Gate::new(Rules {
        order: Order::Pipelined,
        wait: Some(WAIT),
        calls: 0,
    });
    w.lane = Lane::new(lane_row(), policy(), 4, vec![], &[], w.now, 1);
    w.disk = Disk::new(lane_row());
    w.frames.clear();
    w.begin();
    w.step(Input::Running(true));
    w
}

fn in_line(w: &World) -> bool {
    w.lane.in_line_from().is_some()
}

#[test]
fn what_is_written_down_before_dispatch_begins_keeps_no_lane_in_line() {
    let mut w = world(&["A", "B"]);
    // Its file was renamed: its process ends, and what it knows goes to another lane.
    w.step(Input::Retired);
    w.step(Input::Running(false));
    w.step(Input::Gone {
        verdict: Verdict::Ours,
    });
    w.step(Input::WriteDown);
    assert!(in_line(&w), "nobody leaves before dispatch begins");
    w.gate.begin();
    w.step(Input::Tick);
    assert!(!in_line(&w), "the others wait for nothing");
    // It comes back, and is a lane like any other.
    w.step(Input::Running(true));
    w.step(Input::Ready {
        callbacks: w.specs.clone(),
        window: 16,
    });
    while w.fine().is_some() {}
    assert!(in_line(&w));
    // A stop of the daemon leaves it where it is.
    w.step(Input::Close);
    w.step(Input::Running(false));
    assert!(in_line(&w));
}

#[test]
fn the_back_off_that_went_by_can_be_written_down_at_any_time() {
    let mut w = world(&["A", "A"]);
    w.gate.begin();
    w.step(Input::Tick);
    w.fail(Some(Cause::Transient), false);
    let left = |w: &World| w.disk.attempts.values().next().map(|a| a.left_ms);
    let before = left(&w).unwrap_or_default();
    w.now = w.now + Duration::from_secs(3);
    w.step(Input::WriteDown);
    assert_eq!(left(&w), Some(before - 3000));
    w.pass(WAIT * 6);
    assert_eq!(w.disk.outcomes.len(), 0);
    while w.fine().is_some() {}
    assert_eq!(w.disk.outcomes.len(), 2, "it goes on as before");
}

#[test]
fn a_replaced_process_that_hangs_at_its_end_is_not_waited_for() {
    for (takes, stays) in [(WAIT / 2, true), (WAIT, false)] {
        let mut w = world(&["A", "B"]);
        w.gate.begin();
        w.step(Input::Tick);
        while w.fine().is_some() {}
        w.pass(Duration::from_secs(1));
        // An edit: the next process is ready, and the old one has nothing more to do.
        w.step(Input::Retired);
        assert_eq!(w.wake_at(), Some(w.now + WAIT));
        w.log.push(Arc::new(row(3, "A")));
        w.step(Input::LogGrew(Offset(3)));
        w.pass(takes);
        assert!(w.frames.is_empty());
        assert_eq!(in_line(&w), stays);
        let left = |note: &Note| matches!(note, Note::LeftLine(Leave::SlowEnd));
        assert_eq!(
            w.notes.iter().filter(|n| left(n)).count(),
            usize::from(!stays)
        );
        w.step(Input::Gone {
            verdict: Verdict::Ours,
        });
        w.step(Input::Ready {
            callbacks: w.specs.clone(),
            window: 16,
        });
        while w.fine().is_some() {}
        assert!(in_line(&w), "it has caught up");
        assert_eq!(w.disk.outcomes.len(), 2);
    }
}
