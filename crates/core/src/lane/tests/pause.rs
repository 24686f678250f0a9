//! A lane whose outcomes cannot be written: nothing is sent until they can.

use super::*;

#[test]
fn in_a_pause_nothing_is_sent_not_even_another_attempt() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A"; 3]);
    w.fail(Some(Cause::Transient), false);
    w.gate.pause();
    // What was out ends, and is no reason to send more.
    w.fine();
    assert!(w.frames.is_empty());
    w.pass(Duration::from_secs(30));
    assert!(w.frames.is_empty(), "the attempt is due");
    assert_eq!(w.wake_at(), None, "time alone ends no pause");
    w.step(Input::Ready {
        callbacks: w.specs.clone(),
        window: 16,
    });
    assert!(w.frames.is_empty(), "a new worker is no reason either");
    w.gate.go_on();
    w.step(Input::Tick);
    while w.fine().is_some() {}
    assert_eq!((w.runs_of(101), w.runs_of(102), w.runs_of(103)), (2, 1, 1));
    assert_eq!(w.disk.outcomes.len(), 3);
}

#[test]
fn a_site_that_is_back_in_a_pause_wakes_nobody_again_and_again() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"]);
    w.site = SiteHealth::Down;
    w.fail(Some(Cause::Site), true);
    w.gate.pause();
    w.site = SiteHealth::WellFor(Duration::ZERO);
    w.step(Input::SiteRead);
    for _ in 0..3 {
        w.pass(Duration::from_secs(40));
        let wakes = w.wake_at();
        assert!(wakes.is_none_or(|at| at > w.now), "{wakes:?}");
    }
    w.gate.go_on();
    w.step(Input::Tick);
    assert!(w.fine().is_some());
}
