//! Worlds in which the site was restored, the follower has stopped, and a person decides.

use std::collections::BTreeSet;

use fastrand::Rng;
use slated_core::follow::decide::{Choice, Decide, Step};
use slated_core::follow::{Pace, Start};

use crate::disk::Disk;
use crate::drive::{exact, live};
use crate::site::{Halt, World, traffic};

/// How many rows a restore takes back.
const LOSSES: [usize; 9] = [1, 3, 8, 20, 60, 150, 500, 1300, 3900];

/// What a decision meets.
pub(crate) struct Around {
    fail: f64,
    kill: f64,
    kill_at: u64,
}

impl Default for Around {
    fn default() -> Self {
        Self {
            fail: 0.05,
            kill: 0.01,
            kill_at: 0,
        }
    }
}

impl Around {
    /// Nothing but a kill at point `at` after the alarm.
    pub(crate) fn killed(at: u64) -> Self {
        Self {
            fail: 0.0,
            kill: 0.0,
            kill_at: at,
        }
    }
}

/// (k) The site goes back by some rows and grows again, the follower stops, a person decides; requests
/// fail and the process is killed meanwhile. After a rewind every row of the new history is in the log
/// once. After an acceptance none is that was there then, and every one that came later.
pub(crate) fn decided(seed: u64, with: &Around) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let choice = if rng.bool() {
        Choice::Rewind
    } else {
        Choice::Accept
    };
    let (vis, end) = traffic(&mut rng, 1000, 6000, 8.0, 0.0, (0.02, 20.0));
    let mut w = World::new(rng, vis, end * 0.3);
    let mut disk = Disk::default();
    assert!(live(&mut w, &mut disk, end + 60.0, &Start::Latest));
    // What was before the start is not in the log, and no agreement is found among it.
    let followed = w.table.within(disk.first_high + 1, u64::MAX).len();
    let lost = LOSSES[w.rng.usize(..LOSSES.len())].min(followed - 20);
    let kept = w.table.rows.len() - lost;
    let (first, t) = (w.table.rows[kept].0, w.now + 1.0);
    let grown = [1, 30, 700, 4000, 9000][w.rng.usize(..5)];
    w.plan = Some((
        t,
        Box::new(move |w| {
            w.table.rows.truncate(kept);
            (w.table.todo, w.life) = (Vec::new(), 1);
            w.table.vis.retain(|id, _| *id < first);
            // Some of it at once, the rest while the person thinks, and after that.
            let n = 2000 + grown;
            let mut new = Vec::new();
            for id in first..first + n {
                if w.rng.f64() < 0.03 {
                    continue;
                }
                let at = if id < first + grown {
                    t
                } else {
                    t + (id - first - grown) as f64 * 0.2
                };
                let late = w.rng.f64() < 0.02;
                let wait = if late { w.uniform(0.5, 600.0) } else { 0.0 };
                new.push((id, at + wait));
            }
            w.table.add(new);
        }),
    ));
    let high = disk.state().unwrap().high.0;
    if live(&mut w, &mut disk, t + 900.0, &Start::Latest) {
        // Where no id that was seen is taken again, nothing is missed.
        let again = w.table.rows.iter().find(|row| {
            let stood = disk.log.iter().any(|old| old.0 == row.0 && old.2 == 0);
            (first..=high).contains(&row.0) && stood && w.table.readable(row.0)
        });
        assert_eq!(again, None, "{lost} rows lost, {grown} grown: not noticed");
        return (w, vec![]);
    }
    let noticed = w.now - t;
    let old: BTreeSet<u64> = disk.log.iter().map(|e| e.0).collect();
    let late: BTreeSet<u64> = disk.log.iter().filter(|e| e.1).map(|e| e.0).collect();
    // The person thinks.
    w.now += w.uniform(1.0, 100.0);
    (w.fail, w.kill, w.down) = (with.fail, with.kill, 30.0);
    w.kill_at = if with.kill_at > 0 {
        w.points + with.kill_at
    } else {
        0
    };
    let (above, newest) = make(&mut w, &mut disk, choice);
    let until = w.now + 1500.0;
    assert!(
        live(&mut w, &mut disk, until, &Start::Latest),
        "stopped again"
    );
    w.tick = 10.0;
    (w.fail, w.kill) = (0.0, 0.0);
    let last = w.table.vis.values().copied().fold(0.0, f64::max).max(w.now);
    assert!(
        live(&mut w, &mut disk, last + 700.0, &Start::Latest),
        "stopped again"
    );
    // A row before the restore that cannot be read proves nothing, nor does one that may have come after
    // it; the agreement may be below them.
    assert!(above < first, "row {above} is of another history");
    let blind = |id: u64| (above + 1..first).contains(&id);
    let tells = |id: u64| w.table.readable(id) && old.contains(&id) && !late.contains(&id);
    assert!(!(above + 1..first).any(tells), "{above} is too low");
    let below = old.iter().copied().filter(|id| *id <= above);
    let seen = |id: &u64, at: &f64| match choice {
        Choice::Rewind => true,
        // What was absent then is a hole, if the look-back reaches it.
        Choice::Accept => {
            *id > newest.0 || (*at > newest.1 && *id + Pace::default().lookback > newest.0)
        }
    };
    let new = w
        .table
        .vis
        .iter()
        .filter(|(id, at)| **id >= first && seen(id, at));
    let again = old.range(above + 1..first).copied();
    let again = again.filter(|_| choice == Choice::Rewind);
    let must = below.chain(again).chain(new.map(|(id, _)| *id));
    // Rows may become visible while the decision is made.
    let maybe = |id: u64| {
        blind(id)
            || (choice == Choice::Accept && w.table.vis.get(&id).is_some_and(|at| *at >= newest.2))
    };
    exact("log", disk.at.keys().copied(), must, maybe);
    let foreign = disk
        .log
        .iter()
        .find(|e| e.2 == 0 && e.0 >= first && w.table.readable(e.0));
    assert_eq!(
        foreign, None,
        "{choice:?}: a row of the old history is left"
    );
    (w, vec![noticed])
}

/// Makes a decision, again after each kill; returns the agreement, and the highest id, the end and the
/// beginning of what an acceptance read.
fn make(w: &mut World, disk: &mut Disk, choice: Choice) -> (u64, (u64, f64, f64)) {
    let pace = Pace::default();
    'anew: loop {
        let began = w.now;
        let mut decide = Decide::new(disk.state().unwrap(), choice, true, pace);
        loop {
            match decide.step() {
                Step::Done => break,
                Step::Log { from, limit } => decide.log(&disk.by_id(from.0, limit)),
                Step::Ask(request) => match w.answer(&request) {
                    Ok(rows) => decide.site(rows).expect("an orderly page"),
                    Err(Halt::Failed) => w.now += 5.0,
                    Err(Halt::Killed) => {
                        stopped_still(w, disk);
                        continue 'anew;
                    }
                },
            }
        }
        let change = decide.change().expect("a way to go on");
        if w.point().is_err() {
            stopped_still(w, disk);
            continue 'anew;
        }
        let above = change.above.0;
        let high = change.ledger.high.0;
        disk.void(change);
        if w.point().is_err() {
            w.kills += 1;
        }
        return (above, (high, w.now, began));
    }
}

/// A decision that was not written is none.
fn stopped_still(w: &mut World, disk: &mut Disk) {
    w.kills += 1;
    let (fail, kill) = (w.fail, w.kill);
    (w.fail, w.kill) = (0.0, 0.0);
    let until = w.now + 30.0;
    assert!(
        !live(w, disk, until, &Start::Latest),
        "it goes on though nobody decided"
    );
    (w.fail, w.kill) = (fail, kill);
}

/// (l) Most of what was seen is hidden for a while, as by a change of permissions, and the site goes on:
/// the follower stops, a person accepts, and every row that came meanwhile is in the log once.
pub(crate) fn hidden(seed: u64) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let (mut vis, end) = traffic(&mut rng, 1000, 3000, 8.0, 0.0, (0.02, 20.0));
    let (more, last) = traffic(&mut rng, 4100, 3000, 8.0, end + 30.0, (0.02, 60.0));
    vis.extend(more);
    let mut w = World::new(rng, vis.clone(), end * 0.3);
    let mut disk = Disk::default();
    assert!(live(&mut w, &mut disk, end + 20.0, &Start::Latest));
    let high = disk.state().unwrap().high.0;
    // One in sixty stays visible; what is to come is not hidden.
    let (t, seen) = (w.now, disk.log.len());
    w.plan = Some((
        t,
        Box::new(move |w| w.table.rows.retain(|r| r.0 > high || r.0 % 60 == 3)),
    ));
    if w.rng.bool() {
        // While the follower is down the site goes on.
        w.now += w.uniform(1.0, 200.0);
    }
    let until = w.now + 10.0;
    assert!(
        !live(&mut w, &mut disk, until, &Start::Latest),
        "most anchors are hidden, and it goes on"
    );
    assert_eq!(disk.log.len(), seen);
    // Before the site goes on it looks like one that was restored and wrote nothing since.
    w.now = w.now.max(end + 60.0);
    let logged = disk.log.len();
    let (above, _) = make(&mut w, &mut disk, Choice::Accept);
    assert_eq!(
        disk.log.len(),
        logged,
        "rows are void, though none is another one"
    );
    assert_eq!(above, disk.state().unwrap().high.0);
    assert!(
        live(&mut w, &mut disk, last + 400.0, &Start::Latest),
        "stopped again"
    );
    let born = disk.born;
    let must = vis
        .iter()
        .filter(|(id, at)| **at > born && (**id > high || disk.at.contains_key(id)));
    let may = |id: u64| vis.contains_key(&id);
    exact("log", disk.at.keys().copied(), must.map(|(id, _)| *id), may);
    (w, vec![1.0])
}
