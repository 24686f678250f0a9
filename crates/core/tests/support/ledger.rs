//! The ledger on a disk, changed by one look at a time, whole or not at all. It books every id: up to
//! the highest seen each one is in the log, in a hole, or before the start, and that sum never changes.

use std::collections::BTreeMap;

use slated_model::{Anchor, EventId, Hole, LedgerChange, LedgerState};

#[derive(Default)]
pub(crate) struct Ledger {
    exists: bool,
    high: u64,
    anchors: Vec<Anchor>,
    audited: EventId,
    holes: BTreeMap<u64, Hole>,
    missing: u64,
    /// Events that stand in the log.
    logged: u64,
    sum: Option<i128>,
}

impl Ledger {
    pub(crate) fn state(&self) -> Option<LedgerState> {
        self.exists.then(|| LedgerState {
            high: EventId(self.high),
            anchors: self.anchors.clone(),
            holes: self.holes.values().copied().collect(),
            audited: self.audited,
        })
    }
    /// Writes what a look changed, beside so many events.
    pub(crate) fn write(&mut self, change: LedgerChange, events: usize) {
        assert!(change.high.0 >= self.high, "the highest id went back");
        self.logged += events as u64;
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
        self.balance();
        self.exists = true;
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
        let left = i128::from(self.high) - i128::from(self.missing) - i128::from(self.logged);
        let sum = *self.sum.get_or_insert(left);
        assert_eq!(left, sum, "{} ids forgotten", left - sum);
    }
}
