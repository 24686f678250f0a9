//! How long a callback has failed: from its first failure on, and anew after a person's word.

use super::*;

#[test]
fn attempts_end_with_their_time_however_many_there_may_be() {
    for stop in [true, false] {
        let mut w = World::new(vec![spec(0, "f", "A", stop)], &["A"]);
        w.lane.policy.attempts = 1000;
        let begun = w.now;
        for _ in 0..200 {
            w.fail(Some(Cause::Transient), stop);
            let Some(due) = w.wake_at() else {
                break;
            };
            w.now = due;
            w.step(Input::Tick);
        }
        let tried = w.now.since(begun);
        assert_eq!(w.lane.hold().is_some(), stop);
        assert_eq!(w.outcome(101, "f").is_some(), !stop);
        let minute = Duration::from_mins(1);
        assert!(tried <= minute && tried > minute.mul_f64(0.5), "{tried:?}");
    }
}

#[test]
fn after_a_hold_the_time_counts_from_the_next_failure() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"]);
    w.fail(None, true);
    w.pass(Duration::from_hours(1));
    w.step(Input::Resume);
    // The call itself takes longer than attempts are made for.
    w.pass(Duration::from_mins(2));
    w.fail(Some(Cause::Transient), true);
    assert_eq!(w.lane.hold(), None);
    w.pass(Duration::from_secs(40));
    assert!(w.fine().is_some());
}

#[test]
fn a_clean_end_and_a_start_go_on_with_the_time_that_went_by() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A"]);
    w.fail(Some(Cause::Transient), false);
    let since = |w: &World| w.disk.attempts.values().next().unwrap().since_ms;
    for seconds in [3, 5] {
        w.now = w.now + Duration::from_secs(seconds);
        w.step(Input::WriteDown);
    }
    assert_eq!(since(&w), 8000);
    w.crash();
    w.pass(Duration::from_secs(10));
    w.fail(Some(Cause::Transient), false);
    assert_eq!(since(&w), 18_000);
}
