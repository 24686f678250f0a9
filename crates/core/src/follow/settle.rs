//! Waiting for a fresh hole to fill before what stands above it is taken (`site.settle`).
//!
//! What is not taken is not remembered either: the highest id seen stays below the hole, and the next
//! look shows the rows again, the hole's among them if they came. So a row is taken at most one look
//! after the time to settle, and nothing here survives a restart or needs to.
//!
//! Invariant: a full page settles nothing, or catching up would crawl; nor does anything where the time
//! is zero.

use std::collections::VecDeque;
use std::time::Duration;

use slated_model::EventId;

use crate::Mono;

/// When holes above the highest id seen were met.
#[derive(Debug, Default)]
pub(super) struct Settle {
    /// Up to which id a look has shown rows, and when it was the first to: what is absent below was
    /// met then. Both ascending.
    met: VecDeque<(EventId, Mono)>,
}

impl Settle {
    /// Notes how far a look has shown rows.
    pub(super) fn shown(&mut self, top: EventId, now: Mono) {
        if self.met.back().is_none_or(|(known, _)| *known < top) {
            self.met.push_back((top, now));
        }
    }
    /// Tells whether the hole right below a row was met less than `settle` ago.
    pub(super) fn waits(&self, row: EventId, settle: Duration, now: Mono) -> bool {
        let met = self.met.iter().find(|(top, _)| *top >= row);
        met.is_some_and(|(_, met)| now.since(*met) < settle)
    }
    /// Returns up to which id rows were shown and not taken.
    pub(super) fn top(&self) -> Option<EventId> {
        self.met.back().map(|(top, _)| *top)
    }
    /// Forgets what was taken.
    pub(super) fn taken(&mut self, high: EventId) {
        while self.met.front().is_some_and(|(top, _)| *top <= high) {
            self.met.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_as_old_as_the_first_row_above_it() {
        let at = Mono::from_secs;
        let mut settle = Settle::default();
        settle.shown(EventId(105), at(10));
        settle.shown(EventId(105), at(12));
        settle.shown(EventId(109), at(14));
        let four = Duration::from_secs(4);
        for (row, now, waits) in [
            (103, 13, true),
            (103, 14, false),
            (105, 13, true),
            (105, 14, false),
            (106, 17, true),
            (109, 18, false),
            (110, 14, false),
        ] {
            let found = settle.waits(EventId(row), four, at(now));
            assert_eq!(found, waits, "below {row} at {now} s");
        }
        settle.taken(EventId(105));
        assert_eq!(settle.met, [(EventId(109), at(14))]);
    }
}
