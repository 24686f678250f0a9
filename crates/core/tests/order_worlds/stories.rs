//! Stories of the order: one rule each.

use std::time::Duration;

use slated_core::order::{Order, Rules};
use slated_model::Cause;

use super::studio::{Kind, Start, Studio};
use super::{WAIT, rules};

/// A studio of plugins that all want everything, in the documented order.
fn all_want_all(order: Order, plugins: usize) -> Studio {
    of(rules(order), &vec![&[0, 1, 2][..]; plugins])
}

fn of(rules: Rules, filters: &[&[u8]]) -> Studio {
    Studio::new(rules, Start::all(filters), &[], false)
}

#[test]
fn an_event_goes_from_plugin_to_plugin() {
    let mut studio = all_want_all(Order::Pipelined, 3);
    studio.grow(&[Kind(0); 3]);
    assert_eq!(studio.out(), [Some(1), None, None]);
    studio.answer(0);
    assert_eq!(studio.out(), [Some(2), Some(1), None], "both at a time");
    studio.answer(1);
    studio.answer(0);
    assert_eq!(studio.out(), [Some(3), Some(2), Some(1)]);
}

#[test]
fn in_series_one_event_is_through_before_the_next() {
    let mut studio = all_want_all(Order::Serial, 2);
    studio.grow(&[Kind(0); 2]);
    assert_eq!(studio.out(), [Some(1), None]);
    studio.answer(0);
    assert_eq!(studio.out(), [None, Some(1)]);
    studio.answer(1);
    assert_eq!(studio.out(), [Some(2), None]);
}

#[test]
fn nobody_waits_for_a_plugin_that_does_not_want_the_event() {
    let mut studio = of(rules(Order::Pipelined), &[&[0], &[1], &[0, 1]]);
    studio.grow(&[Kind(1), Kind(0)]);
    assert_eq!(studio.out(), [Some(2), Some(1), None]);
    studio.answer(1);
    assert_eq!(studio.out(), [Some(2), None, Some(1)]);
}

#[test]
fn a_hang_costs_the_others_one_wait() {
    let mut studio = all_want_all(Order::Pipelined, 3);
    studio.grow(&[Kind(0); 5]);
    studio.pass(WAIT.checked_sub(Duration::from_millis(1)).unwrap());
    assert_eq!(studio.out(), [Some(1), None, None]);
    studio.pass(Duration::from_millis(1));
    assert_eq!(
        studio.out(),
        [Some(1), Some(1), Some(1)],
        "they wait no more"
    );
    let end = studio.now;
    studio.answer(2);
    assert_eq!(
        studio.out(),
        [Some(1), Some(1), None],
        "the order of the others stands"
    );
    for _ in 0..5 {
        studio.answer(1);
        studio.answer(2);
    }
    assert_eq!(studio.answered(2), 5);
    assert_eq!(studio.now, end, "not a moment more");
    assert!(!studio.in_line(0) && studio.in_line(1));
}

#[test]
fn a_plugin_far_behind_delays_nobody_and_is_back_at_the_end() {
    let mut studio = all_want_all(Order::Pipelined, 2);
    studio.grow(&[Kind(0)]);
    studio.fail(0, None);
    assert!(!studio.in_line(0), "it is held");
    studio.grow(&[Kind(0); 200]);
    while studio.answered(1) < 201 {
        studio.answer(1);
    }
    studio.resume(0);
    studio.grow(&[Kind(0)]);
    assert_eq!(
        studio.out(),
        [Some(1), Some(202)],
        "no wait for the one behind"
    );
    studio.answer(1);
    while studio.answered(0) < 202 {
        assert!(!studio.in_line(0), "work to do does not bring it back");
        studio.answer(0);
    }
    assert!(studio.in_line(0));
    studio.grow(&[Kind(0)]);
    assert_eq!(
        studio.out(),
        [Some(203), None],
        "from here on, it is waited for"
    );
}

#[test]
fn a_slow_plugin_sets_the_pace_and_stays_in_line() {
    let mut studio = all_want_all(Order::Pipelined, 2);
    studio.grow(&[Kind(0); 20]);
    for _ in 0..20 {
        studio.pass(WAIT / 2);
        assert!(studio.in_line(0));
        studio.answer(0);
        studio.answer(1);
    }
    assert_eq!((studio.answered(0), studio.answered(1)), (20, 20));
}

/// Only first tries have an order, whichever process made them.
#[test]
fn a_retry_after_a_restart_waits_for_nobody() {
    let mut studio = of(rules(Order::Pipelined), &[&[1], &[0]]);
    studio.grow(&[Kind(1), Kind(0)]);
    assert_eq!(studio.out(), [Some(1), Some(2)]);
    studio.die(1);
    studio.reload(0, Some(Kind(0)), false);
    studio.crash(&[true; 2]);
    assert_eq!(studio.out(), [Some(2), Some(2)], "both want it now");
}

#[test]
fn for_ever_means_for_ever() {
    let endless = Rules {
        wait: None,
        ..rules(Order::Pipelined)
    };
    let mut studio = of(endless, &[&[0], &[0]]);
    studio.grow(&[Kind(0)]);
    studio.pass(Duration::from_hours(24));
    assert_eq!(studio.out(), [Some(1), None]);
}

#[test]
fn nothing_is_sent_before_dispatch_begins() {
    let mut studio = all_want_all(Order::Pipelined, 2);
    studio.grow(&[Kind(0)]);
    studio.crash(&[true, false]);
    studio.pass(Duration::from_secs(29));
    assert_eq!(studio.out(), [None, None]);
    studio.pass(Duration::from_secs(1));
    assert_eq!(studio.out(), [Some(1), None]);
    studio.crash(&[true, false]);
    studio.ready(1);
    assert_eq!(studio.out(), [Some(1), None], "all are ready");
}

/// Retries wait for the beginning as well, in place and aside.
#[test]
fn nothing_is_tried_again_before_dispatch_begins() {
    let mut studio = of(rules(Order::Pipelined), &[&[1, 0], &[0], &[2]]);
    studio.grow(&[Kind(0)]);
    studio.fail(0, Some(Cause::Transient));
    studio.pass(Duration::from_secs(90));
    studio.die(1);
    studio.stop(0, &[true, true, false]);
    studio.pass(Duration::from_secs(29));
    assert_eq!(studio.out(), [None; 3]);
    studio.pass(Duration::from_secs(1));
    assert_eq!(studio.out(), [Some(1), Some(1), None]);
}
