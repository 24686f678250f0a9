//! Worlds about the head, the ladder and the audit, without kills or with few.

use std::collections::{BTreeMap, HashMap};

use fastrand::Rng;
use slated_core::Mono;
use slated_core::follow::{Follower, Pace, Start};

use crate::disk::Disk;
use crate::drive::{exact, live};
use crate::site::{REAL, TIDY, World, traffic, uniform};

const HOUR: f64 = 3600.0;
/// All worlds here have a state, so no start is looked at.
const NONE: Start = Start::Latest;

/// (b) 200,000 rows behind with 2 % dead ids while traffic goes on, then 20 minutes at the
/// head and a burst of holes.
pub(crate) fn catch_up(seed: u64) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let backlog: Vec<u64> = (1001..205_000).filter(|_| rng.f64() > 0.02).collect();
    let (mut vis, end) = traffic(&mut rng, 205_000, 13_000, 10.0, 0.0, REAL);
    let at = |id| {
        end + if id % 2 == 1 {
            1.0
        } else {
            uniform(&mut rng, 3.0, 9.0)
        }
    };
    let burst: HashMap<u64, f64> = (219_000..219_900).zip((219_000..219_900).map(at)).collect();
    vis.extend(burst.clone());
    let mut w = World::new(rng, vis.clone(), 0.0);
    w.table
        .add(backlog.iter().map(|id| (*id, 0.0)).chain([(1000, 0.0)]));
    w.fail = 0.01;
    let mut disk = Disk::at(1000, Vec::new(), &[]);
    assert!(live(&mut w, &mut disk, end + 60.0, &NONE));

    let (t, requests, polls) = w.caught.expect("it caught up");
    let pages = disk.at.values().filter(|at| **at <= t).count() as f64 / w.page as f64;
    let per_page = requests as f64 / pages;
    let per_tick = (w.requests - requests) as f64 / (w.polls - polls) as f64;
    assert!(
        per_page <= 1.2,
        "{per_page} requests a page while catching up"
    );
    assert!(per_tick <= 1.3, "{per_tick} requests a tick then");
    let settled = vis
        .iter()
        .filter(|(_, at)| **at < end - 700.0)
        .map(|(id, _)| *id);
    let must = settled.chain(backlog).chain(burst.keys().copied());
    exact("log", disk.at.keys().copied(), must, |id| {
        vis.contains_key(&id)
    });
    let slow = *disk.delays(&burst).last().unwrap();
    assert!(slow < 10.0, "a hole of the burst took {slow} s");

    // By row, and by transaction: one with 60 ids must not stand for 60.
    let late: BTreeMap<u64, f64> = disk
        .log
        .iter()
        .filter(|(_, late, _)| *late)
        .map(|(id, ..)| (*id, vis[id]))
        .collect();
    let by_row = disk.delays(&late);
    let mut by_transaction = HashMap::new();
    for (id, at) in &late {
        by_transaction.insert(at.to_bits(), disk.at[id] - at);
    }
    let mut by_transaction: Vec<_> = by_transaction.into_values().collect();
    by_transaction.sort_by(f64::total_cmp);
    for delays in [&by_row, &by_transaction] {
        let p90 = delays[delays.len() * 9 / 10];
        assert!(p90 <= 10.0, "late ids starve: p90 {p90} s");
    }
    (w, by_row)
}

/// (c) Ids jump by 5 million; inside, 40 rows and a burst of 1200 become visible within
/// hours.
pub(crate) fn jump(seed: u64) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let (mut vis, t) = traffic(&mut rng, 1000, 1000, 8.0, 0.0, TIDY);
    vis.extend(traffic(&mut rng, 5_002_000, 1000, 8.0, t, TIDY).0);
    let mut inside = HashMap::new();
    while inside.len() < 40 {
        inside.insert(
            3000 + 7 * rng.u64(..285_000),
            t + uniform(&mut rng, 150.0, 20_000.0),
        );
    }
    inside.extend((2_000_000..2_001_200).map(|id| (id, t + 5000.0)));
    vis.extend(inside.clone());
    let mut w = World::new(rng, vis.clone(), 0.0);
    (w.fail, w.kill, w.down) = (0.02, 0.0005, 60.0);
    let mut disk = Disk::at(999, Vec::new(), &[]);
    assert!(live(&mut w, &mut disk, t + 140.0, &NONE));
    let holes = disk.state().unwrap().holes;
    assert_eq!(holes.len(), 1, "a jump is one range");
    assert!(live(&mut w, &mut disk, t + 21_000.0, &NONE));
    assert_eq!(w.peak, 42, "41 places filled, so 42 ranges");
    exact("log", disk.at.keys().copied(), vis.keys().copied(), |_| {
        false
    });
    let delays = disk.delays(&inside);
    assert!(delays[delays.len() - 1] < 700.0, "{delays:?}");
    (w, delays)
}

/// (f) 150 dead ranges are closed after 72 h; 40 of their ids fill from hour 80 on and are
/// found within a day. Restarts starve none.
pub(crate) fn audit(seed: u64) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let mut dead: Vec<u64> = (1000..1600).filter(|id| id % 4 > 1).collect();
    let mut vis: HashMap<u64, f64> = (1000..=1600)
        .filter(|id| !dead.contains(id))
        .map(|id| (id, 10.0 + id as f64 / 8.0))
        .chain((1..720).map(|i| (1600 + i, 600.0 * i as f64)))
        .collect();
    rng.shuffle(&mut dead);
    let fills: HashMap<u64, f64> = dead[..40]
        .iter()
        .map(|id| (*id, uniform(&mut rng, 80.0, 95.0) * HOUR))
        .collect();
    vis.extend(fills.clone());
    let mut w = World::new(rng, vis.clone(), 200.0);
    (w.fail, w.tick) = (0.01, 20.0);
    let mut disk = Disk::at(999, Vec::new(), &[]);
    for (hour, closed) in [(71.0, 0), (79.0, 150)] {
        assert!(live(&mut w, &mut disk, hour * HOUR, &NONE));
        let next = Follower::start(disk.state(), NONE, Pace::default(), Mono::ZERO);
        assert_eq!(next.status().closed.ranges, closed, "at hour {hour}");
    }
    assert!(live(&mut w, &mut disk, 120.0 * HOUR, &NONE));
    exact("log", disk.at.keys().copied(), vis.keys().copied(), |_| {
        false
    });
    let delays = disk.delays(&fills);
    assert!(delays[delays.len() - 1] < 24.0 * HOUR + 60.0, "{delays:?}");

    let holes: Vec<_> = (1..19)
        .step_by(2)
        .map(|id| (id, id, 300_000, 300))
        .collect();
    let mut disk = Disk::at(19, Vec::new(), &holes);
    let mut often = World::new(Rng::with_seed(seed), [(15, 5.0), (20, 5.0)].into(), 200.0);
    for _ in 0..4 {
        let until = often.now + 1500.0;
        assert!(live(&mut often, &mut disk, until, &NONE));
    }
    assert!(
        disk.at.contains_key(&15),
        "restarts within the hour starve the audit"
    );
    (w, delays)
}

/// (m) Ids commit up to ten seconds late. With a time to settle nothing is lost or delayed by more
/// than that and a look, and fewer rows come after higher ids.
pub(crate) fn settled(seed: u64) -> (World, Vec<f64>) {
    let mut late = Vec::new();
    let mut delays = Vec::new();
    for settle in [0.0, 3.0, 12.0] {
        let mut rng = Rng::with_seed(seed);
        let (mut vis, end) = traffic(&mut rng, 1000, 3000, 8.0, 0.0, (0.02, 10.0));
        // A backlog above a hole that never fills: catching up waits for nothing.
        vis.extend((10_001..20_000).map(|id| (id, end + 60.0)));
        let mut w = World::new(rng, vis.clone(), 0.0);
        w.settle = settle;
        if settle > 3.0 {
            // Nothing of it is on disk.
            w.kill = 0.001;
            w.down = 2.0;
        }
        let mut disk = Disk::at(999, Vec::new(), &[]);
        assert!(live(&mut w, &mut disk, end + 59.0, &NONE));
        let first: BTreeMap<_, _> = disk
            .log
            .iter()
            .filter(|e| !e.1)
            .map(|e| (e.0, vis[&e.0]))
            .collect();
        late.push(disk.log.len() - first.len());
        delays = disk.delays(&first);
        // Two further looks for fresh holes may be under way.
        let longest = settle + w.tick + 3.0 * 0.6;
        if w.kill == 0.0 {
            let worst = *delays.last().unwrap();
            assert!(worst <= longest, "settle {settle}: {worst} s");
        }
        w.kill = 0.0;
        let behind = w.now;
        assert!(live(&mut w, &mut disk, end + 800.0, &NONE));
        let caught = disk.at[&19_999] - behind;
        assert!(
            caught < 1.0 + longest + 21.0 * 0.6,
            "caught up after {caught} s"
        );
        exact("log", disk.at.keys().copied(), vis.keys().copied(), |_| {
            false
        });
    }
    assert!(late[0] > 20, "{late:?}: nothing to settle");
    assert!(late[1] < late[0] && late[2] * 5 < late[0], "{late:?}");
    (
        World::new(Rng::with_seed(seed), HashMap::new(), 0.0),
        delays,
    )
}

/// (n) For half an hour the site is slow to answer for the head and old ids at once. The rows that are
/// not late wait for that a few times only; afterwards one request does again.
pub(crate) fn slow_or(seed: u64) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let (mut vis, end) = traffic(&mut rng, 1000, 20_000, 8.0, 0.0, (0.02, 60.0));
    // No row is one that cannot be read: its neighbour would ride along with the head.
    vis.retain(|id, _| id % 7 != 0);
    let mut w = World::new(rng, vis.clone(), 0.0);
    let until = 1800.0;
    w.slow = (8.0, until);
    let mut disk = Disk::at(999, Vec::new(), &[]);
    assert!(live(&mut w, &mut disk, until, &NONE));
    let first: BTreeMap<_, _> = disk
        .log
        .iter()
        .filter(|e| !e.1)
        .map(|e| (e.0, vis[&e.0]))
        .collect();
    let delays = disk.delays(&first);
    let (p50, p90) = (delays[delays.len() / 2], delays[delays.len() * 9 / 10]);
    assert!(p50 < 2.5 && p90 < 6.0, "p50 {p50} s, p90 {p90} s");
    // One is tried again after ten minutes, and stays.
    assert!(live(&mut w, &mut disk, until + 660.0, &NONE));
    let (requests, polls) = (w.requests, w.polls);
    assert!(live(&mut w, &mut disk, end.max(until + 1200.0), &NONE));
    let per_tick = (w.requests - requests) as f64 / (w.polls - polls) as f64;
    assert!(per_tick <= 1.6, "{per_tick} requests a tick");
    let last = w.now + 400.0;
    assert!(live(&mut w, &mut disk, last, &NONE));
    exact("log", disk.at.keys().copied(), vis.keys().copied(), |_| {
        false
    });
    (w, delays)
}

/// (h) Two hours of failing requests: silence ages no hole, so those in flight are still
/// asked for often afterwards.
pub(crate) fn outage(seed: u64) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let (mut vis, t) = traffic(&mut rng, 1000, 1000, 8.0, 0.0, TIDY);
    let flying: HashMap<u64, f64> = (1600..1900)
        .step_by(10)
        .enumerate()
        .map(|(k, id)| (id, t + 7260.0 - k as f64 * 1.9))
        .collect();
    vis.extend(flying.clone());
    let mut w = World::new(rng, vis.clone(), 0.0);
    w.outage = (t + 5.0, t + 7200.0);
    let mut disk = Disk::at(999, Vec::new(), &[]);
    assert!(live(&mut w, &mut disk, t + 9000.0, &NONE));
    exact("log", disk.at.keys().copied(), vis.keys().copied(), |_| {
        false
    });
    let delays = disk.delays(&flying);
    assert!(delays[delays.len() - 1] < 30.0, "{delays:?}");
    (w, delays)
}

/// (j) For half an hour 20 ids a second stay dead, more than requests carry at their steps.
/// 20 holes of the day before fill meanwhile, and are found while the load goes on.
pub(crate) fn young_load(seed: u64) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let end = HOUR / 2.0;
    let young = (0..36_000_u32).map(|k| (100_001 + 2 * u64::from(k), f64::from(k) / 20.0));
    let mut vis: HashMap<u64, f64> = young.collect();
    let holes: Vec<_> = (0..20)
        .map(|k| (1000 + 10 * k, 1000 + 10 * k, 7200, 90))
        .collect();
    let fills: HashMap<u64, f64> = holes
        .iter()
        .map(|h| (h.0, uniform(&mut rng, 100.0, 600.0)))
        .collect();
    vis.extend(fills.clone());
    let mut w = World::new(rng, vis.clone(), 0.0);
    let mut disk = Disk::at(100_000, Vec::new(), &holes);
    assert!(live(&mut w, &mut disk, end, &NONE));
    let follower = Follower::start(disk.state(), NONE, Pace::default(), Mono::ZERO);
    let open = follower.status().open;
    assert!(open.ranges > 10_000, "{open:?}");
    exact(
        "log",
        disk.at.keys().copied(),
        fills.keys().copied(),
        |id| vis.contains_key(&id),
    );
    let mut delays = disk.delays(&fills);
    delays.sort_by(f64::total_cmp);
    (w, delays)
}
