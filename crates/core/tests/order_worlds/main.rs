//! Plugins in an order, over random schedules of everything that can come between: hangs, holds,
//! a site that is down, reloads of both kinds, reloads to another filter, deaths, late ids, imports
//! with floors and owed ids, skips, slow disks, stops, kills, and starts at which not all are ready.
//!
//! * `studio`, `acts`: what there is, and what happens to it
//! * `books`, `judge`: who answered what and waits since when, and what follows
//! * `stories`, `slots`: one rule each

#![expect(
    clippy::expect_used,
    reason = "a test world that cannot be set up may fail loudly"
)]

mod acts;
mod books;
mod judge;
mod slots;
mod stories;
mod studio;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use proptest::prelude::*;
use slated_core::order::{Order, Rules};
use slated_model::{Cause, EventId};
use studio::{Coming, Kind, Start, Studio};

/// As configured in all worlds.
const WAIT: Duration = Duration::from_secs(10);

/// How many plugins a random world has.
const MANY: usize = 4;

#[derive(Clone, Debug)]
enum Turn {
    /// Events appear.
    Grow(Vec<(Kind, Coming)>),
    /// A plugin's worker answers what is out, so many callbacks of it.
    Run(usize, usize),
    /// All workers answer all they have, in turns.
    RunAll,
    /// A callback fails; its plugin is held, waits for the site, tries it again or goes on.
    Fail(usize, Option<Cause>),
    /// The follower reads the site.
    SiteRead,
    Die(usize),
    /// A new process is ready.
    Ready(usize),
    /// A reload begins, to another filter perhaps, new-first or stop-first.
    Reload(usize, Option<Kind>, bool),
    /// The old process of a reload ends.
    OldEnds(usize),
    Resume(usize),
    /// A person lets a plugin skip the next rows.
    Skip(usize, u64),
    Pass(u64),
    SlowDisk(bool),
    /// The daemon is killed and starts again; not all plugins are ready then.
    Crash([bool; MANY]),
    /// It is stopped, and its workers give so many answers before they end.
    Stop(usize, [bool; MANY]),
}

fn turn() -> impl Strategy<Value = Turn> {
    let one = || 0..MANY;
    let kind = || (0..Kind::MANY).prop_map(Kind);
    let coming = prop_oneof![
        6 => Just(Coming::InTurn),
        1 => Just(Coming::AfterHole),
        1 => Just(Coming::Late),
    ];
    let cause = prop_oneof![
        2 => Just(None),
        1 => Just(Some(Cause::Site)),
        1 => Just(Some(Cause::Transient)),
    ];
    let ready = || prop_oneof![Just([true; MANY]), any::<[bool; MANY]>()];
    prop_oneof![
        12 => prop::collection::vec((kind(), coming), 1..12).prop_map(Turn::Grow),
        24 => (one(), 1usize..6).prop_map(|(p, n)| Turn::Run(p, n)),
        12 => Just(Turn::RunAll),
        5 => (one(), cause).prop_map(|(p, c)| Turn::Fail(p, c)),
        4 => Just(Turn::SiteRead),
        2 => one().prop_map(Turn::Die),
        6 => one().prop_map(Turn::Ready),
        5 => (one(), prop::option::of(kind()), any::<bool>())
            .prop_map(|(p, f, first)| Turn::Reload(p, f, first)),
        5 => one().prop_map(Turn::OldEnds),
        4 => one().prop_map(Turn::Resume),
        1 => (one(), 1u64..5).prop_map(|(p, n)| Turn::Skip(p, n)),
        8 => (1u64..30_000).prop_map(Turn::Pass),
        2 => any::<bool>().prop_map(Turn::SlowDisk),
        1 => ready().prop_map(Turn::Crash),
        1 => (0usize..6, ready()).prop_map(|(n, r)| Turn::Stop(n, r)),
    ]
}

fn play(studio: &mut Studio, turn: Turn) {
    match turn {
        Turn::Grow(events) => studio.appear(&events),
        Turn::Run(plugin, count) => (0..count).for_each(|_| studio.answer(plugin)),
        Turn::RunAll => while studio.answer_all() {},
        Turn::Fail(plugin, cause) => studio.fail(plugin, cause),
        Turn::SiteRead => studio.site_read(),
        Turn::Die(plugin) => studio.die(plugin),
        Turn::Ready(plugin) => studio.ready(plugin),
        Turn::Reload(plugin, filter, stop_first) => studio.reload(plugin, filter, stop_first),
        Turn::OldEnds(plugin) => studio.old_ends(plugin),
        Turn::Resume(plugin) => studio.resume(plugin),
        Turn::Skip(plugin, rows) => studio.skip(plugin, rows),
        Turn::Pass(ms) => studio.pass(Duration::from_millis(ms)),
        Turn::SlowDisk(slow) => studio.slow_disk(slow),
        Turn::Crash(ready) => studio.crash(&ready),
        Turn::Stop(answers, ready) => studio.stop(answers, &ready),
    }
    studio.judge_rest();
}

/// A plugin that begins with the log, or where an import says.
fn start() -> impl Strategy<Value = Start> {
    let filter = prop::collection::vec(0..Kind::MANY, 1..3);
    let import = (1u64..16, any::<u16>(), any::<bool>());
    let import = prop_oneof![2 => Just(None), 1 => import.prop_map(Some)];
    (filter, any::<bool>(), import).prop_map(|(filter, quick, import)| {
        let floor = import.map(|(floor, ..)| EventId(100 + floor));
        let (_, bits, behind) = import.unwrap_or_default();
        let ids = (0..16).filter(|i| bits & (1 << i) != 0);
        let ids = ids.map(|i| EventId(101 + i));
        Start {
            filter,
            quick,
            floor,
            owed: ids.filter(|id| floor.is_some_and(|f| *id <= f)).collect(),
            behind,
        }
    })
}

fn rules(order: Order) -> Rules {
    Rules {
        order,
        wait: Some(WAIT),
        calls: 0,
    }
}

/// The number of worlds: a few in every run, as many as are asked for by name.
fn cases() -> ProptestConfig {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if asked { config.cases } else { 600 };
    ProptestConfig { cases, ..config }
}

proptest! {
    #![proptest_config(cases())]

    /// The judge has nothing to say at any step, and when all heals everything comes to its end.
    #[test]
    fn plugins_keep_their_order(
        turns in prop::collection::vec(turn(), 1..120),
        starts in prop::collection::vec(start(), MANY),
        old in prop::collection::vec((0..Kind::MANY).prop_map(Kind), 0..20),
        order in prop_oneof![
            3 => Just(Order::Pipelined),
            2 => Just(Order::Serial),
            1 => Just(Order::Independent),
        ],
        calls in prop_oneof![1 => Just(0usize), 1 => 1usize..MANY],
        reversed in any::<bool>(),
    ) {
        let rules = Rules { calls, ..rules(order) };
        let mut studio = Studio::new(rules, starts, &old, reversed);
        for turn in turns {
            play(&mut studio, turn);
        }
        studio.heal();
        prop_assert_eq!(studio.unfinished(), vec![]);
    }
}
