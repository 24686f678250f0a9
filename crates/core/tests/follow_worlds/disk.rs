//! What survives a kill: the log and the ledger, changed by one look at a time, whole or
//! not at all. It books every id: up to the highest seen each one is in the log, in a hole,
//! or before the start, and that sum never changes.

use std::collections::{BTreeMap, HashMap};

use slated_core::follow::Look;
use slated_core::follow::decide::{Change, Print};
use slated_model::{Anchor, EventId, Hole, LedgerState};

use crate::site::{UNREADABLE, life, print};

/// An appended event: id, whether it was late, and the history of the site it is from.
pub(crate) type Logged = (u64, bool, u32);

#[derive(Default)]
pub(crate) struct Disk {
    exists: bool,
    high: u64,
    anchors: Vec<Anchor>,
    audited: EventId,
    holes: BTreeMap<u64, Hole>,
    missing: u64,
    pub(crate) log: Vec<Logged>,
    /// When each event was appended.
    pub(crate) at: HashMap<u64, f64>,
    /// When the state came to be.
    pub(crate) born: f64,
    /// The highest id seen then.
    pub(crate) first_high: u64,
    sum: Option<i128>,
}

impl Disk {
    /// Starts with a state that has seen `high`, and holes of (lo, hi, age in s, looks).
    pub(crate) fn at(high: u64, anchors: Vec<Anchor>, holes: &[(u64, u64, u64, u64)]) -> Self {
        let mut disk = Self {
            exists: true,
            high,
            anchors,
            ..Self::default()
        };
        for &(lo, hi, age, looks) in holes {
            disk.put(Hole {
                lo: EventId(lo),
                hi: EventId(hi),
                age_ms: age * 1000,
                looks,
            });
        }
        disk.balance();
        disk
    }
    pub(crate) fn state(&self) -> Option<LedgerState> {
        self.exists.then(|| LedgerState {
            high: EventId(self.high),
            anchors: self.anchors.clone(),
            holes: self.holes.values().copied().collect(),
            audited: self.audited,
        })
    }
    pub(crate) fn state_exists(&self) -> bool {
        self.exists
    }
    pub(crate) fn holes(&self) -> usize {
        self.holes.len()
    }
    pub(crate) fn write(&mut self, look: Look, now: f64) {
        for (event, late) in look.events {
            let id = event.id.0;
            assert!(self.at.insert(id, now).is_none(), "{id} appended twice");
            self.log.push((id, late, life(&event)));
        }
        let change = look.ledger;
        assert!(change.high.0 >= self.high, "the highest id went back");
        self.high = change.high.0;
        self.anchors = change.anchors;
        self.audited = change.audited;
        for lo in change.removed {
            let gone = self.holes.remove(&lo.0).expect("a removed hole was there");
            self.missing -= gone.hi.0 - gone.lo.0 + 1;
        }
        for hole in change.put {
            self.put(hole);
        }
        if !self.exists {
            (self.exists, self.born, self.first_high) = (true, now, self.high);
        }
        self.balance();
    }
    /// Returns what the log's rows are known by, in order of ids.
    pub(crate) fn prints(&self, from: u64, limit: usize) -> Vec<Print> {
        let mut rows: Vec<_> = self.log.iter().filter(|row| row.0 >= from).collect();
        rows.sort_unstable_by_key(|row| row.0);
        // A row that cannot be read is of no history.
        let print = |row: &&Logged| {
            let known = (row.2 != UNREADABLE).then(|| print(row.2));
            (EventId(row.0), known)
        };
        rows.iter().take(limit).map(print).collect()
    }
    /// Makes rows void, and puts another ledger in place.
    pub(crate) fn void(&mut self, change: Change) {
        self.log.retain(|row| row.0 <= change.above.0);
        self.at.retain(|id, _| *id <= change.above.0);
        let LedgerState {
            high,
            anchors,
            holes,
            audited,
        } = change.ledger;
        (self.high, self.anchors, self.audited) = (high.0, anchors, audited);
        (self.holes, self.missing) = (BTreeMap::new(), 0);
        for hole in holes {
            self.put(hole);
        }
        for (id, ..) in &self.log {
            let below = self.holes.range(..=id).next_back();
            assert!(
                below.is_none_or(|(_, h)| h.hi.0 < *id),
                "{id} is in the log and a hole"
            );
        }
        // What counts as handled elsewhere is before the start from now on.
        self.sum = None;
        self.balance();
    }
    /// Returns what the log holds of the ids whose time is in `when`, as delays.
    pub(crate) fn delays<'a>(
        &self,
        when: impl IntoIterator<Item = (&'a u64, &'a f64)>,
    ) -> Vec<f64> {
        let at = |(id, t): (&u64, &f64)| self.at.get(id).map(|a| a - t);
        let mut delays: Vec<_> = when.into_iter().filter_map(at).collect();
        delays.sort_by(f64::total_cmp);
        delays
    }

    fn put(&mut self, hole: Hole) {
        let (lo, hi) = (hole.lo.0, hole.hi.0);
        assert!(lo <= hi && hi <= self.high, "{hole:?} above {}", self.high);
        if let Some(old) = self.holes.insert(lo, hole) {
            self.missing -= old.hi.0 - old.lo.0 + 1;
        }
        self.missing += hi - lo + 1;
        let below = self.holes.range(..lo).next_back();
        assert!(
            below.is_none_or(|(_, h)| h.hi.0 < lo),
            "{hole:?} overlaps {below:?}"
        );
        let above = self.holes.range(lo + 1..).next();
        assert!(
            above.is_none_or(|(above, _)| *above > hi),
            "{hole:?} overlaps {above:?}"
        );
    }
    fn balance(&mut self) {
        let left = i128::from(self.high) - i128::from(self.missing) - self.log.len() as i128;
        let sum = *self.sum.get_or_insert(left);
        assert_eq!(left, sum, "{} ids forgotten", left - sum);
    }
}
