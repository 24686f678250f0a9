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
mod slots;
mod stories;
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
