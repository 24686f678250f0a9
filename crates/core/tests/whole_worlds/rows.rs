//! The rows of event-delivery.md, 3 that are about time, by their numbers: what the Python daemon
//! loses or repeats, and what slated makes of it. All times are virtual: a page takes 0.33 s, the
//! site is asked every two seconds.
//!
//! In each world the ids up to 100 stand there before the daemon starts, at 1 s.

use std::time::Duration;

use slated_core::retry::Worth;
use slated_model::Cause;

use crate::draw;
use crate::plan::{Callback, End, Fate, Plan, Plugin};
use crate::world::{Edit, What, World};

/// A late id of less than a minute: five seconds of its ladder, a tick, a request.
const YOUNG: f64 = 5.0 + 2.0 + 0.7;
/// One of less than ten minutes.
const OLDER: f64 = 15.0 + 2.0 + 0.7;

const SWIFT: Duration = Duration::from_millis(5);

fn swift() -> Plugin {
    takes(SWIFT)
}
fn takes(time: Duration) -> Plugin {
    Plugin::new(vec![Callback::takes(time)])
}
fn world(plugins: Vec<Plugin>) -> World {
    let mut world = World::new(1, Plan::new(plugins), 1.0);
    world.grow((1..=100).map(|id| (id, 0.0, Some(0.0))));
    world
}
/// Ids become visible at a time, but for some.
fn show(world: &mut World, ids: impl Iterator<Item = u64>, at: f64, but: &[u64]) {
    world.grow(
        ids.filter(|id| !but.contains(id))
            .map(|id| (id, at, Some(at))),
    );
}
fn show_late(world: &mut World, id: u64, taken: f64, at: f64) {
    world.grow([(id, taken, Some(at))]);
}

/// Lets the world come to its end, in which nothing is lost and nothing repeated.
fn ends_well(world: &mut World) {
    world.heal();
    assert_eq!(world.judge.faults, [], "the judge");
    assert_eq!(world.judge.repeats, 0, "nothing died under a call");
}
/// Every one of so many events was called once by each of so many callbacks.
fn once(world: &mut World, events: usize, callbacks: usize) {
    ends_well(world);
    let logged = world.judge.logged();
    assert_eq!(logged, events, "events in the log");
    assert_eq!(world.judge.journal.len(), events * callbacks, "calls");
}
/// Returns the delay that so many percent do not exceed.
fn delay(delays: &[f64], percent: usize) -> f64 {
    delays[(delays.len() * percent / 100).min(delays.len() - 1)]
}
/// Rows that are not late are called in time.
fn in_time(world: &World) {
    let delays = &world.judge.delays;
    let (half, most) = (delay(delays, 50), delay(delays, 99));
    println!("from visible to called: p50 {half:.2} p99 {most:.2} s");
    assert!(half <= 1.6 && most <= 4.0, "p50 {half} p99 {most} s");
}
/// Returns for how long an id was visible before it was in the log.
fn waited(world: &World, id: u64) -> f64 {
    let at = world.judge.logged_at(id).expect("it is in the log");
    at - world.site.vis[&id]
}

#[test]
fn row_01_a_late_id_repeats_nothing() {
    let mut w = world(vec![swift()]);
    show(&mut w, 101..=120, 10.0, &[105]);
    show_late(&mut w, 105, 10.0, 45.0);
    w.run(60.0);
    once(&mut w, 20, 1);
    assert!(waited(&w, 105) < YOUNG, "{}", waited(&w, 105));
    let slowest = delay(&w.judge.delays, 100);
    assert!(slowest <= 4.0, "{slowest} s");
}

#[test]
fn row_02_a_burst_with_late_ids_runs_once_in_60_requests() {
    let mut w = world(vec![swift(), swift()]);
    w.run(10.0);
    let before = w.requests;
    let late: Vec<u64> = (1..=10).map(|i| 100 + i * 190).collect();
    show(&mut w, 101..=2100, 10.0, &late);
    for (id, i) in late.iter().zip(0..) {
        show_late(&mut w, *id, 10.0, 30.0 + 10.0 * f64::from(i));
    }
    // Until the last of them is visible; that one waits for its step of the ladder.
    w.run(120.0);
    let requests = w.requests - before;
    println!("{requests} requests");
    assert!(requests <= 60, "{requests} requests");
    once(&mut w, 2000, 2);
    let slowest = delay(&w.judge.late, 100);
    assert!(slowest <= OLDER, "a late id took {slowest} s");
}

#[test]
fn row_03_a_transaction_of_six_minutes() {
    let mut w = world(vec![swift()]);
    show(&mut w, 101..=120, 10.0, &[105, 106, 107, 108, 109]);
    for id in 105..=109 {
        show_late(&mut w, id, 10.0, 370.0);
    }
    w.run(400.0);
    once(&mut w, 20, 1);
    assert!(waited(&w, 105) <= 15.7, "{}", waited(&w, 105));
}

#[test]
fn row_04_a_slow_callback_and_an_id_two_seconds_late() {
    let mut w = world(vec![takes(Duration::from_secs(4))]);
    show(&mut w, 101..=200, 10.0, &[190]);
    w.run(10.0);
    while w.judge.logged() < 99 {
        let next = w.secs() + 0.01;
        w.run(next);
    }
    let at = w.secs() + 2.0;
    show_late(&mut w, 190, 10.0, at);
    once(&mut w, 100, 1);
    assert!(waited(&w, 190) <= 2.7, "{}", waited(&w, 190));
}

#[test]
fn row_05_a_callback_of_six_minutes_behind_a_hole() {
    let long = |asked: &crate::plan::Asked| {
        Fate::done(if asked.event == 106 {
            Duration::from_mins(6)
        } else {
            SWIFT
        })
    };
    let mut w = world(vec![Plugin::new(vec![Callback::new(long)])]);
    show(&mut w, 101..=106, 10.0, &[105]);
    show_late(&mut w, 105, 10.0, 30.0);
    w.run(60.0);
    assert!(waited(&w, 105) < YOUNG, "nobody waits for the callback");
    once(&mut w, 6, 1);
}

#[test]
fn row_06_six_minutes_down_with_an_id_pending() {
    let mut w = world(vec![swift()]);
    w.plan.down = (360.0, 360.0);
    show(&mut w, 101..=110, 10.0, &[105]);
    show_late(&mut w, 105, 10.0, 200.0);
    w.at(20.0, What::Kill);
    w.run(385.0);
    let after = w.judge.logged_at(105).expect("it is in the log") - w.started_at;
    assert!(after < 1.2, "{after} s after the start");
    once(&mut w, 10, 1);
}

#[test]
fn row_08_the_callback_before_one_that_fails_is_not_repeated() {
    for stops in [false, true] {
        let second = Callback {
            stop_on_error: stops,
            ..Callback::new(|asked| {
                let fails = asked.event == 105 && asked.run <= 2;
                Fate {
                    takes: SWIFT,
                    end: if fails {
                        End::Raise(Some(Cause::Transient))
                    } else {
                        End::Done
                    },
                }
            })
        };
        let mut w = world(vec![Plugin::new(vec![Callback::takes(SWIFT), second])]);
        show(&mut w, 101..=110, 10.0, &[]);
        // A start in the middle changes nothing of that.
        w.at(30.0, What::Stop);
        w.run(1000.0);
        ends_well(&mut w);
        let of = |n: usize| w.judge.journal.iter().filter(|(_, key)| key.2 == n).count();
        assert_eq!((of(0), of(1)), (10, 12), "stopOnError: {stops}");
    }
}

#[test]
fn row_16_a_plugin_added_while_another_catches_up_begins_now() {
    let slow = takes(Duration::from_secs(1));
    let late = Plugin {
        appears: 100.0,
        ..swift()
    };
    let mut w = world(vec![slow, late]);
    show(&mut w, 101..=296, 10.0, &[105]);
    show_late(&mut w, 105, 10.0, 120.0);
    show(&mut w, 297..=300, 150.0, &[]);
    w.run(300.0);
    ends_well(&mut w);
    let journal = w.judge.journal.iter();
    let of: Vec<u64> = journal
        .filter(|(_, key)| key.0 == 1)
        .map(|(_, key)| key.1.0)
        .collect();
    assert_eq!(
        of,
        [105, 297, 298, 299, 300],
        "seen from now on, and no old event"
    );
}

/// What happened while the clock on the wall is off, from a time on.
fn with_clock(off: f64, from: f64) -> Vec<(f64, crate::judge::Key)> {
    let mut w = world(vec![swift(), takes(Duration::from_secs(2))]);
    show(&mut w, 101..=120, 10.0, &[105, 110]);
    show_late(&mut w, 105, 10.0, 45.0);
    show_late(&mut w, 110, 10.0, 400.0);
    w.run(from);
    w.wall_s = off;
    w.run(600.0);
    once(&mut w, 20, 2);
    w.judge.journal
}

#[test]
fn row_17_a_host_clock_six_minutes_fast_changes_nothing() {
    assert_eq!(with_clock(0.0, 0.5), with_clock(360.0, 0.5));
}

#[test]
fn row_18_a_clock_that_jumps_an_hour_with_an_open_hole_changes_nothing() {
    for off in [3600.0, -3600.0] {
        assert_eq!(with_clock(0.0, 30.0), with_clock(off, 30.0));
    }
}

/// No delivery rests on the clock on the wall: with and without jumps of years all the same happens.
#[test]
fn p10_the_clock_on_the_wall_decides_nothing_about_delivery() {
    let journal = |seed: u64, jumps: f64| {
        let mut world = draw::world(seed, None);
        (world.plan.wall_jumps, world.plan.keep) = (jumps, None);
        world.play();
        assert_eq!(world.judge.faults, [], "seed {seed}");
        world.judge.journal
    };
    let mut calls = 0;
    for seed in 1..=40 {
        let steady = journal(seed, 0.0);
        calls += steady.len();
        assert!(steady == journal(seed, 1e8), "seed {seed}");
    }
    assert!(calls > 1000, "{calls} calls");
}

#[test]
fn row_19_a_dead_id_delays_nobody() {
    let mut w = world(vec![swift()]);
    show(&mut w, 102..=1701, 10.0, &[]);
    show(&mut w, 1702..=1702, 60.0, &[]);
    w.run(320.0);
    let requests = w.requests;
    assert!(requests <= 320 / 2 + 8, "{requests} requests");
    assert!(waited(&w, 1702) <= 2.7, "{}", waited(&w, 1702));
    once(&mut w, 1601, 1);
}

#[test]
fn row_20_ids_in_flight_at_the_first_start() {
    let mut w = World::new(1, Plan::new(vec![swift()]), 1.0);
    let seen = (1..=100).filter(|id| ![97, 98].contains(id));
    w.grow(seen.map(|id| (id, 0.0, Some(0.0))));
    show_late(&mut w, 97, 0.0, 5.0);
    show_late(&mut w, 98, 0.0, 50.0);
    show(&mut w, 101..=103, 60.0, &[]);
    w.run(70.0);
    once(&mut w, 5, 1);
}

#[test]
fn row_21_catching_up_with_an_open_hole() {
    let mut w = world(vec![swift()]);
    w.plan.down = (700.0, 700.0);
    w.at(20.0, What::Kill);
    show(&mut w, 101..=400, 30.0, &[205]);
    show(&mut w, 401..=500, 300.0, &[]);
    show_late(&mut w, 205, 30.0, 740.0);
    w.run(800.0);
    once(&mut w, 400, 1);
    assert!(waited(&w, 205) < 6.0, "{}", waited(&w, 205));
}

#[test]
fn row_27_an_id_jump_is_one_record() {
    let mut w = world(vec![swift()]);
    show(&mut w, 101..=110, 10.0, &[]);
    show(&mut w, 300_111..=300_120, 20.0, &[]);
    w.run(30.0);
    let holes = w.record.ledger.state().expect("a ledger").holes;
    assert_eq!(holes.len(), 1, "{holes:?}");
    show_late(&mut w, 150_000, 20.0, 40.0);
    w.run(60.0);
    let holes = w.record.ledger.state().expect("a ledger").holes;
    assert_eq!(holes.len(), 2, "{holes:?}");
    once(&mut w, 21, 1);
}

#[test]
fn row_30_ids_that_roll_back_delay_nobody() {
    let mut w = world(vec![swift()]);
    // Ten ids a second for ten minutes, and one in 20 s is never seen.
    let id = |i: u64| (101 + i, 10.0 + i as f64 / 10.0);
    let ids = (0..6000).map(id).filter(|(id, _)| id % 200 != 0);
    w.grow(ids.map(|(id, at)| (id, at, Some(at))));
    w.run(620.0);
    let requests = w.requests;
    assert!(requests <= 620 / 2 + 10, "{requests} requests");
    once(&mut w, 5970, 1);
    in_time(&w);
}

#[test]
fn row_32_six_late_ids_and_a_slow_callback() {
    let mut w = world(vec![takes(Duration::from_secs(1))]);
    let late = [110, 120, 130, 140, 150, 160];
    show(&mut w, 101..=200, 10.0, &late);
    for (id, i) in late.iter().zip(1..) {
        show_late(&mut w, *id, 10.0, 10.0 + 15.0 * f64::from(i));
    }
    w.run(200.0);
    once(&mut w, 100, 1);
}

#[test]
fn row_33_an_ordinary_day_runs_everything_once() {
    let mut w = world(vec![swift(), takes(Duration::from_millis(200))]);
    let mut rng = fastrand::Rng::with_seed(33);
    let mut visible = 0;
    for i in 0..7200 {
        let (id, taken) = (101 + i, 10.0 + i as f64 + rng.f64());
        let late = match rng.f64() {
            x if x < 0.002 => None,
            x if x < 0.022 => Some(10.0 + 110.0 * rng.f64()),
            _ => Some(0.0),
        };
        visible += usize::from(late.is_some());
        w.grow([(id, taken, late.map(|late| taken + late))]);
    }
    w.run(7400.0);
    once(&mut w, visible, 2);
    in_time(&w);
    let slowest = delay(&w.judge.late, 100);
    assert!(slowest <= OLDER, "a late id took {slowest} s");
}

#[test]
fn row_34_ids_that_a_script_user_never_sees() {
    let mut w = world(vec![swift()]);
    // Half of all ids belong to projects that it may not see.
    let ids = (0..3000u64).map(|i| (101 + i, 10.0 + i as f64 / 5.0));
    let mut rng = fastrand::Rng::with_seed(34);
    let rows: Vec<_> = ids
        .map(|(id, at)| (id, at, rng.bool().then_some(at)))
        .collect();
    let seen = rows.iter().filter(|(.., at)| at.is_some()).count();
    w.grow(rows);
    w.run(620.0);
    let requests = w.requests;
    assert!(requests <= 620 / 2 + 10, "{requests} requests");
    once(&mut w, seen, 1);
    in_time(&w);
}

#[test]
fn row_42_late_ids_at_the_head_after_200_000_rows() {
    let quick = Plugin {
        quick: true,
        ..takes(Duration::from_micros(50))
    };
    let mut w = world(vec![quick]);
    w.plan.down = (60.0, 60.0);
    w.at(5.0, What::Kill);
    let mut rng = fastrand::Rng::with_seed(42);
    let mut events = 0;
    let mut rows = Vec::new();
    for id in 101..200_101 {
        let seen = rng.f64() >= 0.02;
        events += usize::from(seen);
        rows.push((id, 10.0, seen.then_some(10.0)));
    }
    // 20 minutes of live traffic, four ids a second: most in flight for a moment, some for a minute,
    // few for longer.
    for i in 0..4800 {
        let (id, taken) = (200_101 + i, 70.0 + i as f64 / 4.0);
        let wait = match rng.f64() {
            x if x < 0.9 => 0.5 * rng.f64(),
            x if x < 0.985 => 60.0 * rng.f64(),
            _ => 60.0 + 540.0 * rng.f64(),
        };
        events += 1;
        rows.push((id, taken, Some(taken + wait)));
    }
    w.grow(rows);
    w.run(1900.0);
    once(&mut w, events, 1);
    // Those that filled a hole, after it has caught up.
    let late = |(id, at): &(&u64, &f64)| **id > 200_100 && **at > 400.0 && w.judge.was_late(**id);
    let late = w.site.vis.iter().filter(late);
    let mut waits: Vec<_> = late.map(|(id, _)| waited(&w, *id)).collect();
    waits.sort_by(f64::total_cmp);
    let most = delay(&waits, 90);
    println!("{} late ids at the head: p90 {most:.2} s", waits.len());
    assert!(waits.len() > 100 && most <= 10.0, "p90 {most} s");
}

/// A policy that tries everything again, and a file that is touched, end a hold where it stood.
#[test]
fn a_touched_file_resumes_with_the_event_that_failed() {
    let failing = Callback {
        stop_on_error: true,
        ..Callback::new(|asked| Fate {
            takes: SWIFT,
            end: if asked.event == 103 && asked.run <= 3 {
                End::Raise(None)
            } else {
                End::Done
            },
        })
    };
    let mut plugin = Plugin::new(vec![failing]);
    plugin.policy.worth = Worth::None;
    let mut w = world(vec![plugin]);
    show(&mut w, 101..=105, 10.0, &[]);
    for at in [30.0, 60.0, 90.0] {
        w.at(at, What::Edit(0, Edit::Touch));
    }
    w.run(120.0);
    let ids: Vec<u64> = w.judge.journal.iter().map(|(_, key)| key.1.0).collect();
    assert_eq!(ids, [101, 102, 103, 103, 103, 103, 104, 105]);
    ends_well(&mut w);
}
