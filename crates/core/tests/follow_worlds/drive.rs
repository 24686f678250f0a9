//! Runs a follower against a world and a disk, again after each kill.

use std::collections::{BTreeSet, HashMap};

use slated_core::follow::{Follower, Next, Pace, Request, Start};
use slated_model::Hole;

use crate::disk::Disk;
use crate::site::{Halt, World};

/// Runs until `until`; false if the follower stopped because the site is another one.
pub(crate) fn live(w: &mut World, disk: &mut Disk, until: f64, start: &Start) -> bool {
    let pace = Pace {
        page: w.page,
        tick: std::time::Duration::from_secs_f64(w.tick),
        settle: std::time::Duration::from_secs_f64(w.settle),
        ..Pace::default()
    };
    let (mut running, mut begins) = (None, true);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    while w.now < until {
        let follower = running
            .get_or_insert_with(|| Follower::start(disk.state(), start.clone(), pace, w.mono()));
        let request = match follower.next(w.mono()) {
            Next::Stopped(_) => return false,
            Next::Wait(at) => {
                assert!(at > w.mono(), "waits for the past");
                w.caught = w.caught.or(Some((w.now, w.requests, w.polls)));
                w.now = at.0.as_secs_f64();
                begins = true;
                continue;
            }
            Next::Ask(request) => request,
        };
        // A poll begins after a wait or behind a full page; what else looks is extra.
        let look = matches!(request, Request::Ranges { .. });
        w.polls += u64::from(look && std::mem::take(&mut begins));
        let learned = match w.answer(&request) {
            Ok(rows) => {
                begins |= look && rows.len() >= w.page;
                before.clear();
                before.extend(follower.holes().map(|(hole, _)| hole));
                let look = follower.answer(w.mono(), rows).expect("an orderly page");
                if disk.exists {
                    after.clear();
                    after.extend(follower.holes().map(|(hole, _)| hole));
                    absence_was_seen(w, &before, &after);
                }
                w.peak = w.peak.max(after.len());
                match look {
                    Some(look) => commit(w, disk, look),
                    None => Ok(()),
                }
            }
            Err(halt) => Err(halt),
        };
        begins |= learned.is_err();
        match learned {
            Ok(()) => {}
            Err(Halt::Failed) => {
                follower.failed(w.mono());
                w.now += 5.0;
            }
            Err(Halt::Killed) => {
                running = None;
                w.kills += 1;
                w.now += w.rng.f64() * (w.down - 1.0) + 1.0;
            }
        }
    }
    true
}

fn commit(w: &mut World, disk: &mut Disk, look: slated_core::follow::Look) -> Result<(), Halt> {
    w.point()?;
    w.commits += 1;
    disk.write(look, w.now);
    w.point()
}

/// What is newly taken for absent was absent in the snapshot of the last look.
fn absence_was_seen(w: &World, before: &[Hole], after: &[Hole]) {
    let mut old = before.iter().peekable();
    for hole in after {
        while old.next_if(|o| o.hi < hole.lo).is_some() {}
        if old
            .peek()
            .is_some_and(|o| o.lo <= hole.lo && o.looks == hole.looks)
        {
            continue;
        }
        for (id, _) in w.table.within(hole.lo.0, hole.hi.0) {
            assert!(w.table.vis[id] > w.shown, "{hole:?}: {id} was visible");
        }
    }
}

/// What a lane gets: up to its floor the old state answers, but for owed and unseen ids.
pub(crate) fn lane(disk: &Disk, floor: u64, owed: &BTreeSet<u64>) -> Vec<u64> {
    let wanted = disk
        .log
        .iter()
        .filter(|(id, late, _)| *id > floor || *late || owed.contains(id));
    wanted.map(|(id, ..)| *id).collect()
}

/// Each of `must` was got once, and beyond them only what `may` be.
pub(crate) fn exact(
    who: &str,
    got: impl IntoIterator<Item = u64>,
    must: impl IntoIterator<Item = u64>,
    may: impl Fn(u64) -> bool,
) {
    let mut times = HashMap::<u64, u32>::new();
    for id in got {
        *times.entry(id).or_default() += 1;
    }
    let must: BTreeSet<_> = must.into_iter().collect();
    assert!(!must.is_empty(), "{who}: nothing was to be got");
    let lost: Vec<_> = must.iter().filter(|id| !times.contains_key(id)).collect();
    assert!(
        lost.is_empty(),
        "{who}: {} lost, such as {:?}",
        lost.len(),
        &lost[..1]
    );
    let foreign: Vec<_> = times
        .keys()
        .filter(|id| !must.contains(id) && !may(**id))
        .collect();
    assert!(
        foreign.is_empty(),
        "{who}: {} not wanted, such as {:?}",
        foreign.len(),
        &foreign[..1]
    );
    let again: Vec<_> = times.iter().filter(|(_, n)| **n > 1).collect();
    assert!(
        again.is_empty(),
        "{who}: {} repeated, such as {:?}",
        again.len(),
        &again[..1]
    );
}
