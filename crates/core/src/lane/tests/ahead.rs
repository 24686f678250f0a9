//! How far a lane goes ahead: in what it reads, and in what it sends a quick plugin.

use super::*;

fn one(rows: usize) -> World {
    World::new(vec![spec(0, "f", "A", true)], &vec!["A"; rows])
}

/// Runs so many events, each for so long.
fn run(w: &mut World, events: usize, us: u64) {
    for _ in 0..events {
        assert!(w.run(Reply::Done { us }).is_some());
    }
}

#[test]
fn a_plugin_is_quick_whose_mean_is_under_a_millisecond() {
    for (us, ahead) in [(999, 4), (1000, 1)] {
        let mut w = one(40);
        run(&mut w, 31, us);
        assert_eq!(w.frames.len(), 1, "unknown counts as slow");
        run(&mut w, 1, us);
        assert_eq!(w.frames.len(), ahead, "{us} us");
    }
}

#[test]
fn a_plugin_is_as_quick_as_its_last_events() {
    let mut w = one(200);
    run(&mut w, 40, 5000);
    run(&mut w, 32, 5);
    assert_eq!(w.frames.len(), 4);
    run(&mut w, 32, 5000);
    assert_eq!(w.frames.len(), 1);
}

#[test]
fn no_more_of_the_log_is_held_than_a_page() {
    let mut w = one(2000);
    assert_eq!(w.lane.read, Offset(500));
    run(&mut w, 500 - READY - 1, 5000);
    assert_eq!(w.lane.read, Offset(500));
    run(&mut w, 1, 5000);
    assert_eq!(w.lane.read, Offset(1000), "before it runs dry");
}

/// One of those that were sent ahead fails and is tried again; the others are sent anew behind it.
#[test]
fn what_is_sent_ahead_behind_another_attempt_is_a_first_one() {
    let mut w = one(40);
    run(&mut w, 32, 5);
    // This disk is so quick that what it lets through is listed first.
    w.frames.sort_by_key(|f| f.seq);
    let first: Vec<_> = w.frames.iter().map(|f| f.seq).collect();
    w.fail(Some(Cause::Transient), true);
    w.pass(Duration::from_secs(40));
    w.frames.sort_by_key(|f| f.seq);
    let sent = |f: &Frame| (f.row.event.id.0, f.attempt);
    let again: Vec<_> = w.frames.iter().map(sent).collect();
    assert_eq!(again, [(133, 2), (134, 1), (135, 1), (136, 1)]);
    let seqs: Vec<_> = first
        .into_iter()
        .chain(w.frames.iter().map(|f| f.seq))
        .collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
}
