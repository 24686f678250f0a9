//! What an operator sees of the follower.

use std::time::Duration;

use slated_model::{EventId, Hole, LedgerState};

use super::ladder::Rung;
use super::{AnchorLost, Follower};

/// Where a follower stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The highest id seen.
    pub high: EventId,
    /// Whether the last look reached the end of the site's log.
    pub caught_up: bool,
    /// Ids up to the newest shown that wait for a fresh hole to fill.
    pub settling: u64,
    /// Whether the head and the holes are asked for separately: the site is slow to answer both.
    pub split: bool,
    /// Ranges that are asked for by the ladder.
    pub open: Extent,
    /// Ranges left to the audit.
    pub closed: Extent,
    /// Events that filled a hole since the start of this process.
    pub late: u64,
    /// Those of them that filled a closed range.
    pub audit_hits: u64,
    /// Why the intake has ended, if it has.
    pub lost: Option<AnchorLost>,
}

/// How much some holes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// How many ranges.
    pub ranges: u64,
    /// How many ids in them.
    pub ids: u64,
    /// The observed age of the oldest.
    pub oldest: Duration,
}

impl Follower {
    /// Returns where the follower stands. Walks all holes: for a page of status, not for
    /// every event.
    pub fn status(&self) -> Status {
        let mut status = Status {
            high: self.high,
            caught_up: self.caught_up,
            settling: self
                .settle
                .top()
                .map_or(0, |top| top.0.saturating_sub(self.high.0)),
            split: self.split.is_on(self.asked_at),
            late: self.late,
            audit_hits: self.audit_hits,
            lost: self.lost.clone(),
            ..Status::default()
        };
        status.count(self.holes());
        status
    }
}

impl Status {
    /// Returns where a follower stands that does not run, by its ledger on record.
    pub fn recorded(ledger: &LedgerState) -> Self {
        let mut status = Self {
            high: ledger.high,
            ..Self::default()
        };
        let holes = ledger.holes.iter();
        status.count(holes.map(|hole| (*hole, is_closed(hole))));
        status
    }

    fn count(&mut self, holes: impl Iterator<Item = (Hole, bool)>) {
        for (hole, closed) in holes {
            let of = if closed {
                &mut self.closed
            } else {
                &mut self.open
            };
            of.ranges += 1;
            of.ids = of
                .ids
                .saturating_add((hole.hi.0 - hole.lo.0).saturating_add(1));
            of.oldest = of.oldest.max(Duration::from_millis(hole.age_ms));
        }
    }
}

/// Tells whether a hole is left to the audit.
fn is_closed(hole: &Hole) -> bool {
    Rung::of(Duration::from_millis(hole.age_ms), hole.looks) == Rung::Closed
}
