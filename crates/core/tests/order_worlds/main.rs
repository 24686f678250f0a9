//! Plugins in an order, over random schedules of everything that can come between: hangs, holds,
//! a site that is down, reloads of both kinds, reloads to another filter, deaths, late ids, floors,
//! slow disks and restarts.
//!
//! The judge (`judge`) keeps its own books of who answered what, and says at each frame whether a
//! plugin was passed over that stands before, in line, and owes an answer.

#![expect(
    clippy::expect_used,
    reason = "a test world that cannot be set up may fail loudly"
)]

mod judge;
mod studio;

use std::time::Duration;

use proptest::prelude::*;
use slated_core::order::{Order, Rules};
use studio::{Kind, Studio};

/// As configured in all worlds.
const WAIT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
enum Turn {
    /// Events appear.
    Grow(Vec<Kind>),
    /// A plugin's worker answers what is out, so many callbacks of it.
    Run(usize, usize),
    /// All workers answer all they have, in turns.
    RunAll,
    /// A callback raises; its plugin is held or goes on.
    Fail(usize),
    /// A callback finds the site down.
    NoSite(usize),
    /// The follower reads the site.
    SiteRead,
    Die(usize),
    /// A new process is ready.
    Ready(usize),
    /// A new-first reload begins, to another filter perhaps.
    Replace(usize, Option<Kind>),
    /// A stop-first reload begins.
    StopFirst(usize, Option<Kind>),
    /// The old process of a reload ends.
    OldEnds(usize),
    Resume(usize),
    Pass(u64),
    SlowDisk(bool),
    /// The daemon is killed and starts again.
    Crash,
}

fn turn(plugins: usize) -> impl Strategy<Value = Turn> {
    let one = 0..plugins;
    let kinds = prop::collection::vec(0..Kind::MANY, 1..12);
    let filter = prop::option::of((0..Kind::MANY).prop_map(Kind));
    prop_oneof![
        6 => kinds.prop_map(|k| Turn::Grow(k.into_iter().map(Kind).collect())),
        12 => (one.clone(), 1usize..6).prop_map(|(p, n)| Turn::Run(p, n)),
        6 => Just(Turn::RunAll),
        2 => one.clone().prop_map(Turn::Fail),
        1 => one.clone().prop_map(Turn::NoSite),
        2 => Just(Turn::SiteRead),
        1 => one.clone().prop_map(Turn::Die),
        2 => one.clone().prop_map(Turn::Ready),
        2 => (one.clone(), filter.clone()).prop_map(|(p, f)| Turn::Replace(p, f)),
        1 => (one.clone(), filter).prop_map(|(p, f)| Turn::StopFirst(p, f)),
        2 => one.clone().prop_map(Turn::OldEnds),
        2 => one.prop_map(Turn::Resume),
        4 => (1u64..30_000).prop_map(Turn::Pass),
        1 => any::<bool>().prop_map(Turn::SlowDisk),
        1 => Just(Turn::Crash),
    ]
}

fn play(studio: &mut Studio, turn: Turn) {
    match turn {
        Turn::Grow(kinds) => studio.grow(&kinds),
        Turn::Run(plugin, count) => (0..count).for_each(|_| studio.answer(plugin)),
        Turn::RunAll => while studio.answer_all() {},
        Turn::Fail(plugin) => studio.fail(plugin),
        Turn::NoSite(plugin) => studio.no_site(plugin),
        Turn::SiteRead => studio.site_read(),
        Turn::Die(plugin) => studio.die(plugin),
        Turn::Ready(plugin) => studio.ready(plugin),
        Turn::Replace(plugin, filter) => studio.replace(plugin, filter),
        Turn::StopFirst(plugin, filter) => studio.stop_first(plugin, filter),
        Turn::OldEnds(plugin) => studio.old_ends(plugin),
        Turn::Resume(plugin) => studio.resume(plugin),
        Turn::Pass(ms) => studio.pass(Duration::from_millis(ms)),
        Turn::SlowDisk(slow) => studio.slow_disk(slow),
        Turn::Crash => studio.crash(),
    }
}

fn rules(order: Order) -> Rules {
    Rules {
        order,
        wait: Some(WAIT),
        calls: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// No plugin in line is passed over but by one that waited `order_wait`, none waits longer, and
    /// when all heals everything comes to its end.
    #[test]
    fn plugins_keep_their_order(
        turns in prop::collection::vec(turn(4), 1..120),
        filters in prop::collection::vec(prop::collection::vec(0..Kind::MANY, 1..3), 4),
        floors in prop::collection::vec(prop_oneof![4 => Just(0u64), 1 => 1u64..8], 4),
        serial in any::<bool>(),
        quick in any::<[bool; 4]>(),
        calls in prop_oneof![3 => Just(0usize), 1 => 1usize..4],
        seed in any::<u64>(),
    ) {
        let order = if serial { Order::Serial } else { Order::Pipelined };
        let rules = Rules { calls, ..rules(order) };
        let mut studio = Studio::new(rules, &filters, &floors, quick, seed);
        for turn in turns {
            play(&mut studio, turn);
        }
        studio.heal();
        prop_assert_eq!(studio.unfinished(), vec![]);
    }
}

/// A studio of plugins that all want everything, in the documented order.
fn all_want_all(order: Order, plugins: usize) -> Studio {
    let filters = vec![vec![0, 1, 2]; plugins];
    Studio::new(rules(order), &filters, &vec![0; plugins], [false; 4], 1)
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
    let filters = [vec![0], vec![1], vec![0, 1]];
    let mut studio = Studio::new(rules(Order::Pipelined), &filters, &[0; 3], [false; 4], 1);
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
    let end = studio.now();
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
    assert_eq!(studio.now(), end, "not a moment more");
    assert!(!studio.in_line(0) && studio.in_line(1));
}

#[test]
fn a_plugin_far_behind_delays_nobody_and_is_back_at_the_end() {
    let mut studio = all_want_all(Order::Pipelined, 2);
    studio.grow(&[Kind(0)]);
    studio.fail(0);
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

#[test]
fn for_ever_means_for_ever() {
    let endless = Rules {
        wait: None,
        ..rules(Order::Pipelined)
    };
    let mut studio = Studio::new(endless, &[vec![0], vec![0]], &[0; 2], [false; 4], 1);
    studio.grow(&[Kind(0)]);
    studio.pass(Duration::from_hours(24));
    assert_eq!(studio.out(), [Some(1), None]);
}

#[test]
fn nothing_is_sent_before_dispatch_begins() {
    let mut studio = all_want_all(Order::Pipelined, 2);
    studio.grow(&[Kind(0)]);
    studio.crash_without_beginning();
    assert_eq!(studio.out(), [None, None]);
    studio.begin();
    assert_eq!(studio.out(), [Some(1), None]);
}

#[test]
fn as_many_are_called_at_a_time_as_may_be() {
    let two = Rules {
        order: Order::Independent,
        wait: Some(WAIT),
        calls: 2,
    };
    let mut studio = Studio::new(two, &vec![vec![0]; 4], &[0; 4], [false; 4], 1);
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
