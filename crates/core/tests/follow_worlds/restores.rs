//! Worlds in which the site becomes another one, or only seems to.

use std::collections::HashMap;

use fastrand::Rng;
use slated_core::follow::Start;

use crate::disk::Disk;
use crate::drive::live;
use crate::site::{TIDY, World, traffic};

/// How many rows a restore takes back.
const LOSSES: [usize; 12] = [2, 3, 5, 8, 20, 60, 150, 300, 499, 500, 1300, 3900];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The highest row is hidden, and one near it.
    Hidden,
    /// The last rows lag behind for a while, as on a replica.
    Lagging,
    /// Restored while the follower has just read, and overgrown at once.
    Down,
    /// Restored between two polls.
    Between,
    /// Restored, and its ids taken again one a second.
    Slow,
}

/// (e) The site goes back by some rows and takes their ids again: at once or slowly.
/// Hidden or lagging rows stop nothing.
pub(crate) fn restored(seed: u64) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let (vis, end) = traffic(&mut rng, 1000, 8000, 8.0, 0.0, (0.02, 20.0));
    let how = [
        How::Hidden,
        How::Lagging,
        How::Down,
        How::Between,
        How::Slow,
    ][rng.usize(..5)];
    let mut w = World::new(rng, vis, end * 0.8);
    let mut disk = Disk::default();
    assert!(live(&mut w, &mut disk, end + 60.0, &Start::Latest));
    let harmless = matches!(how, How::Hidden | How::Lagging);
    let lost = if harmless {
        3
    } else {
        *LOSSES.get(w.rng.usize(..LOSSES.len())).unwrap()
    };
    let gone: Vec<u64> = w.table.rows[w.table.rows.len() - lost..]
        .iter()
        .map(|r| r.0)
        .collect();
    let (first, high) = (gone[0], gone[lost - 1]);
    let (logged, known) = (disk.log.len(), disk.state().unwrap().anchors);
    let t = w.now + if how == How::Down { 0.0 } else { 9.0 };
    w.plan = Some((
        t,
        Box::new(move |w| {
            w.table.rows.truncate(w.table.rows.len() - lost);
            let from = if harmless { high + 1 } else { first };
            if harmless {
                let back = if how == How::Hidden {
                    vec![gone[1]]
                } else {
                    gone
                };
                w.table.add(back.into_iter().map(|id| (id, t + 5.0)));
            } else {
                (w.table.todo, w.life) = (Vec::new(), 1);
            }
            let at = |id: u64| match how {
                How::Slow => t + (id - from) as f64,
                How::Hidden | How::Lagging => t + 20.0,
                How::Down | How::Between => t,
            };
            let again = (from..high + 300)
                .filter(|_| w.rng.f64() > 0.02)
                .collect::<Vec<_>>();
            w.table.add(again.into_iter().map(|id| (id, at(id))));
        }),
    ));
    let until = t + 400.0 + lost as f64;
    let alive = live(&mut w, &mut disk, until, &Start::Latest);
    let new: Vec<u64> = disk.log[logged..].iter().map(|e| e.0).collect();
    if alive {
        let another =
            |id: u64| w.table.readable(id) && w.table.within(id, id).iter().any(|r| r.1 > 0);
        let told = known.iter().find(|anchor| another(anchor.id.0));
        assert_eq!(told, None, "{how:?}: went on, though an anchor tells");
        let unseen = |(id, life): &&(u64, u32)| (*life > 0 || *id > high) && !new.contains(id);
        let unseen = w.table.rows.iter().filter(unseen).count();
        // When the new history has no readable row where an anchor stood, the end of the old
        // one looks hidden, and the rows that took its ids are not seen: a few at most.
        let blind = if harmless { 0 } else { 4 };
        assert!(
            unseen <= blind,
            "{how:?}: went on, {unseen} new rows were never seen"
        );
        assert!(harmless || lost <= 5, "{how:?}: {lost} rows, not noticed");
        return (w, Vec::new());
    }
    let took = w.now - t;
    assert!(!harmless, "{how:?}: false alarm");
    assert!(
        new.iter().all(|id| *id < high),
        "{how:?}: another history was appended"
    );
    assert!(
        how == How::Slow && lost < 500 || took < 5.0,
        "{how:?}: noticed after {took:.0} s"
    );
    (w, vec![took])
}

/// (i) While the follower is down the site is restored by some rows and grows on past the
/// highest id seen, in which its new history has no row. Old holes fill with new rows too,
/// more than a page of them. Nothing of the other history may be appended.
pub(crate) fn overgrown(seed: u64) -> (World, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let (mut vis, end) = traffic(&mut rng, 1000, 3000, 8.0, 0.0, TIDY);
    let jump = rng.bool();
    if jump {
        // A range that nobody used, below the head.
        vis.extend((9000..9100).map(|id| (id, end)));
    }
    let mut w = World::new(rng, vis, 0.0);
    let mut disk = Disk::at(999, Vec::new(), &[]);
    assert!(live(&mut w, &mut disk, end + 120.0, &Start::Latest));
    let high = w.table.rows[w.table.rows.len() - 1].0;
    assert_eq!(disk.state().unwrap().high.0, high);
    let (lost, grown) = (w.rng.usize(8..60), w.rng.u64(1..2000));
    let kept = w.table.rows.len() - lost;
    let from = w.table.rows[kept].0;
    w.table.rows.truncate(kept);
    w.life = 1;
    let mut new: HashMap<u64, f64> = (from..high)
        .chain(high + 1..high + grown)
        .map(|id| (id, w.now))
        .collect();
    if jump {
        new.extend((5000..9000).map(|id| (id, w.now)));
    }
    w.table.add(new);
    let (since, logged, until) = (w.now, disk.log.len(), w.now + 60.0);
    assert!(
        !live(&mut w, &mut disk, until, &Start::Latest),
        "not noticed"
    );
    let foreign = disk.log[logged..].iter().find(|e| e.2 == 1);
    assert_eq!(foreign, None, "another history was appended");
    let took = w.now - since;
    assert!(took < 5.0, "noticed after {took:.0} s");
    (w, vec![took])
}
