//! Stories of the limit of calls: who gets a slot, and when it is given back.

use std::time::Duration;

use slated_core::order::{Order, Rules};

use super::studio::{Kind, Start, Studio, WINDOW};
use super::{WAIT, rules};

fn of(rules: Rules, filters: &[&[u8]]) -> Studio {
    Studio::new(rules, Start::all(filters), &[], false)
}
fn quick(rules: Rules, filters: &[&[u8]]) -> Studio {
    Studio::new(rules, Start::quick(Start::all(filters)), &[], false)
}

fn limit(calls: usize, order: Order) -> Rules {
    Rules {
        calls,
        ..rules(order)
    }
}

#[test]
fn as_many_are_called_at_a_time_as_may_be() {
    let two = limit(2, Order::Independent);
    let mut studio = of(two, &[&[0][..]; 4]);
    studio.grow(&[Kind(0); 2]);
    assert_eq!(studio.out(), [Some(1), Some(1), None, None]);
    studio.pass(Duration::from_millis(1));
    studio.answer(1);
    assert_eq!(
        studio.out(),
        [Some(1), None, Some(1), None],
        "who waits goes first"
    );
    studio.answer(2);
    assert_eq!(studio.out(), [Some(1), None, None, Some(1)]);
    studio.pass(WAIT);
    assert_eq!(
        studio.out(),
        [Some(1), Some(2), Some(2), Some(1)],
        "calls that take long give their place back"
    );
}

/// A plugin that is sent ahead and has a backlog has always something out.
#[test]
fn plugins_that_never_run_dry_share_the_slots() {
    for (plugins, calls) in [(2, 1), (4, 1), (4, 2), (4, 3)] {
        let rules = limit(calls, Order::Independent);
        let mut studio = quick(rules, &vec![&[0][..]; plugins]);
        // Only now are they known to be quick.
        studio.grow(&[Kind(0); 32]);
        while studio.answer_all() {}
        studio.grow(&[Kind(0); 600]);
        let mut apart = 0;
        while studio.answer_next() {
            studio.pass(Duration::from_micros(50));
            let through = (0..plugins).map(|rank| studio.answered(rank));
            let (least, most) = (through.clone().min(), through.max());
            apart = apart.max(most.unwrap() - least.unwrap());
        }
        assert!((0..plugins).all(|rank| studio.answered(rank) == 632));
        assert!(
            apart <= WINDOW * 2,
            "{plugins} share {calls}: {apart} apart"
        );
    }
}

#[test]
fn a_plugin_that_nobody_waits_for_is_sent_ahead_without_a_pause() {
    let rules = limit(1, Order::Independent);
    let mut studio = quick(rules, &[&[0], &[1]]);
    studio.grow(&[Kind(0); 200]);
    for _ in 0..32 {
        studio.answer(0);
    }
    while studio.answered(0) < 200 - WINDOW {
        assert_eq!(studio.ahead(0), WINDOW);
        studio.answer(0);
    }
    // Once one waits, what is out is answered and no more is sent.
    studio.grow(&[Kind(0); 20]);
    studio.grow(&[Kind(1)]);
    for left in (0..WINDOW).rev() {
        studio.answer(0);
        assert_eq!(studio.ahead(0), left);
    }
    assert_eq!(studio.out(), [None, Some(221)]);
    studio.answer(1);
    assert_eq!(studio.ahead(0), WINDOW);
}

/// The answer of a call that took too long gives nothing back of what it lost.
#[test]
fn one_that_hung_waits_for_a_slot_like_others() {
    let rules = limit(1, Order::Independent);
    let mut studio = quick(rules, &[&[0], &[0]]);
    studio.grow(&[Kind(0); 100]);
    // Both are quick, and the first has a window out.
    while studio.answered(0) < 40 || studio.answered(1) < 40 || studio.ahead(0) < WINDOW {
        let place = usize::from(studio.ahead(0) == 0);
        studio.answer(place);
    }
    let (ahead, through) = (studio.ahead(0), studio.answered(0));
    studio.pass(WAIT);
    assert_eq!(studio.ahead(1), WINDOW, "the second goes on");
    for _ in 0..ahead {
        studio.answer(0);
    }
    assert_eq!(studio.answered(0), through + ahead);
    assert_eq!(studio.ahead(0), 0, "its turn is over");
    for _ in 0..WINDOW {
        studio.answer(1);
    }
    assert_eq!((studio.ahead(0), studio.ahead(1)), (WINDOW, 0));
}

#[test]
fn one_that_hangs_is_sent_no_more_before_its_answer() {
    let rules = limit(1, Order::Independent);
    let mut studio = quick(rules, &[&[0], &[1]]);
    studio.grow(&[Kind(0); 40]);
    while studio.answer_all() {}
    studio.grow(&[Kind(0)]);
    studio.pass(WAIT);
    studio.grow(&[Kind(0), Kind(0)]);
    assert_eq!(studio.ahead(0), 1);
    studio.answer(0);
    assert_eq!(studio.ahead(0), 2);
}

/// The third waits for a slot when the second is loaded with another filter, and so comes before it:
/// what it gives up with its place in the queue wakes those behind.
#[test]
fn one_that_wants_no_slot_any_more_makes_room() {
    let rules = limit(1, Order::Pipelined);
    let mut studio = of(rules, &[&[2], &[0], &[1], &[2]]);
    studio.grow(&[Kind(2)]);
    studio.answer(0);
    for kind in [0, 1, 2] {
        studio.grow(&[Kind(kind)]);
    }
    assert_eq!(studio.out(), [None, None, None, Some(1)]);
    studio.reload(1, Some(Kind(1)), false);
    studio.old_ends(1);
    studio.answer(3);
    assert_eq!(studio.out(), [Some(4), None, None, None]);
    studio.answer(0);
    assert_eq!(studio.out(), [None, Some(3), None, None]);
    studio.answer(1);
    assert_eq!(studio.out(), [None, None, None, Some(4)], "it came before");
    studio.answer(3);
    assert_eq!(studio.out(), [None, None, Some(3), None]);
}
