//! Worlds in which a follower starts: from nothing, and from another daemon's state.

use std::collections::BTreeSet;

use fastrand::Rng;
use slated_core::follow::{Pace, Start};
use slated_model::EventId;

use crate::disk::Disk;
use crate::drive::{exact, lane, live};
use crate::site::{REAL, World, traffic};

/// What a first start meets.
pub(crate) struct Traffic {
    ids: u64,
    longest: f64,
    tail: f64,
    fail: f64,
    kill: f64,
    kill_at: u64,
    down: f64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            ids: 6000,
            longest: 60_000.0,
            tail: 600.0,
            fail: 0.02,
            kill: 0.001,
            kill_at: 0,
            down: 900.0,
        }
    }
}

impl Traffic {
    /// A small one in which nothing happens but a kill at point `at`.
    pub(crate) fn killed(at: u64) -> Self {
        Self {
            ids: 300,
            longest: 60.0,
            tail: 60.0,
            fail: 0.0,
            kill: 0.0,
            kill_at: at,
            down: 60.0,
        }
    }
}

/// (a, g) A start in the middle of traffic; ids late by up to 16 hours, failing requests,
/// kills.
pub(crate) fn first_start(seed: u64, with: &Traffic) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let (vis, end) = traffic(&mut rng, 1000, with.ids, 8.0, 0.0, (REAL.0, with.longest));
    let mut w = World::new(rng, vis.clone(), end / 5.0);
    (w.fail, w.kill, w.kill_at, w.down) = (with.fail, with.kill, with.kill_at, with.down);
    let mut disk = Disk::default();
    assert!(live(&mut w, &mut disk, end + with.tail, &Start::Latest));
    // Hours of waiting for the last transaction, at a tick that saves running time.
    w.tick = 15.0;
    let last = vis.values().copied().fold(0.0, f64::max);
    assert!(live(&mut w, &mut disk, last + with.tail, &Start::Latest));
    // A kill in the last step of the ladder would cost more than that step.
    (w.fail, w.kill) = (0.0, 0.0);
    let until = w.now + with.tail + 60.0;
    assert!(live(&mut w, &mut disk, until, &Start::Latest));
    // A start that a kill delayed to the end of the traffic expects 5000 ids, not all.
    let base = disk.first_high.saturating_sub(Pace::default().lookback);
    let must = vis
        .iter()
        .filter(|(id, at)| **at > disk.born && **id > base);
    let must = must.map(|(id, _)| *id);
    let may = |id: u64| vis.get(&id).is_some_and(|at| *at > end / 5.0);
    exact("log", disk.at.keys().copied(), must, may);
    let delays = disk.delays(&vis);
    (w, delays)
}

/// What an import meets.
pub(crate) struct Import {
    ids: u64,
    fail: f64,
    kill: f64,
    kill_at: u64,
}

impl Default for Import {
    fn default() -> Self {
        Self {
            ids: 4000,
            fail: 0.02,
            kill: 0.003,
            kill_at: 0,
        }
    }
}

impl Import {
    /// A small one in which nothing happens but a kill at point `at`.
    pub(crate) fn killed(at: u64) -> Self {
        Self {
            ids: 400,
            fail: 0.0,
            kill: 0.0,
            kill_at: at,
        }
    }
}

/// (d, g) Three cursors, owed ids far below the lowest, ids in flight at the import: each
/// lane gets exactly what it must.
pub(crate) fn take_over(seed: u64, with: &Import) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let (n, top) = (with.ids, 12_000 + with.ids);
    let flying = sample(&mut rng, (1..top).collect(), many(n / 40));
    let mut vis: std::collections::HashMap<_, _> = (1..top)
        .filter(|_| rng.f64() > 0.02)
        .map(|id| (id, 0.0))
        .collect();
    let mut old: Vec<_> = vis
        .keys()
        .copied()
        .filter(|id| !flying.contains(id))
        .collect();
    old.sort_unstable();
    vis.extend(flying.iter().map(|id| (*id, 700.0 + 2300.0 * rng.f64())));
    let near: Vec<_> = old.iter().rev().take(many(n)).copied().collect();
    let cursors = sample(&mut rng, near, 3);
    let lowest = *cursors.first().unwrap();
    vis.extend(traffic(&mut rng, top, n / 4, 8.0, 0.0, (REAL.0, 3000.0)).0);
    let owed: Vec<BTreeSet<u64>> = cursors
        .iter()
        .map(|cursor| {
            let late = flying.iter().copied().collect();
            let mut owed = sample(&mut rng, old.clone(), 30);
            owed.extend(sample(&mut rng, late, flying.len() / 3));
            owed.into_iter()
                .filter(|id| id < cursor && !cursors.contains(id))
                .collect()
        })
        .collect();
    let known: BTreeSet<u64> = owed.iter().flatten().copied().collect();
    let ids = |of: &BTreeSet<u64>| of.iter().map(|id| EventId(*id)).collect();
    let start = Start::Imported {
        cursors: ids(&cursors),
        owed: ids(&known),
    };
    let mut w = World::new(rng, vis.clone(), 0.0);
    (w.fail, w.kill, w.kill_at, w.down) = (with.fail, with.kill, with.kill_at, 30.0);
    let mut disk = Disk::default();
    assert!(live(&mut w, &mut disk, 700.0, &start));
    w.tick = 10.0;
    assert!(live(&mut w, &mut disk, 5000.0, &start));
    // Absent when the import first looked, so holes, and holes that fill are for all lanes.
    let seen = |id: &u64| *id > lowest - Pace::default().lookback || known.contains(id);
    let late: BTreeSet<_> = flying.iter().copied().filter(seen).collect();
    for (cursor, own) in cursors.iter().zip(&owed) {
        let above = vis.keys().copied().filter(|id| id > cursor);
        let must = own.iter().chain(&late).copied().chain(above);
        exact("lane", lane(&disk, *cursor, own), must, |_| false);
    }
    let above = vis.keys().copied().filter(|id| *id > lowest);
    let must = known.iter().chain(&late).copied().chain(above);
    exact("log", disk.at.keys().copied(), must, |_| false);
    let delays = disk.delays(vis.iter().filter(|(id, _)| late.contains(id)));
    (w, delays)
}

fn many(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

/// Draws `n` of `from`.
fn sample(rng: &mut Rng, mut from: Vec<u64>, n: usize) -> BTreeSet<u64> {
    rng.shuffle(&mut from);
    from.into_iter().take(n).collect()
}
