//! Going back: what the Python daemon has to know of a lane to go on in its place.
//!
//! That daemon remembers of each plugin the last event it handled and, for five minutes,
//! single ids below it that it still looks for. A lane knows more: what it did not finish on
//! the way, every hole however old, and what it finished ahead. [`position`] says what of
//! this fits, and what does not.
//!
//! Invariant: an event that the lane still has to run is above [`Position::last`], in
//! [`Position::missing`] or in [`Position::left`]. Invariant: an event that it finished is
//! in none of them, unless [`Position::again`] or [`Position::back_to`] says so.
//!
//! Not here: reading the record, the file.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use slated_model::{EventId, Hole, LaneRow, LedgerState};

/// For so long the Python daemon looks for an id that it has not seen.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// How many ids a plugin may be missing. While it is, that daemon reads from the lowest of
/// them at every look.
const MOST: usize = 1_000;

/// What stands on record of a lane.
#[derive(Clone, Copy, Debug)]
pub struct Stand<'a> {
    /// The lane.
    pub lane: &'a LaneRow,
    /// The highest id in the log at or below its cursor.
    pub passed: Option<EventId>,
    /// The log's rows after its cursor, in order, each with whether it filled a hole.
    pub after: &'a [(EventId, bool)],
    /// Events of its open attempts.
    pub attempts: &'a BTreeSet<EventId>,
    /// Ids it is owed that no row shows.
    pub unseen: &'a BTreeSet<EventId>,
    /// Events that some of its callbacks have finished, and that are not behind it yet: after
    /// its cursor, or tried again.
    pub begun: &'a BTreeSet<EventId>,
}

/// What the Python daemon is told of a plugin, and what it cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Position {
    /// It begins after this event.
    pub last: EventId,
    /// Ids up to `last` that it looks for, ascending.
    pub missing: Vec<EventId>,
    /// The lowest missing event that stands in the log. That daemon finds it at once, and its
    /// position goes back there: the plugin gets everything up to `last` again.
    pub back_to: Option<EventId>,
    /// Events still to run that there was no room for, ascending.
    pub left: Vec<EventId>,
    /// How many ids of young holes there was no room for.
    pub unsought: u64,
    /// Events that callbacks have finished and will get once more, ascending: that daemon
    /// knows no callbacks, only plugins.
    pub again: Vec<EventId>,
}

/// Says where the Python daemon goes on in place of a lane; nothing if the lane itself does
/// not know yet, because the site was never read.
pub fn position(stand: &Stand<'_>, ledger: Option<&LedgerState>) -> Option<Position> {
    let last = last(stand, ledger)?;
    let skipped = |id: EventId, late: bool| {
        let lane = stand.lane;
        let below = lane.floor.is_some_and(|floor| id <= floor);
        below && !late && lane.owed.binary_search(&id).is_err()
    };
    let holes = ledger.map_or(&[][..], |ledger| &ledger.holes);
    let in_old_hole = |id: &EventId| {
        let around = |hole: &&Hole| hole.lo <= *id && *id <= hole.hi;
        holes.iter().filter(around).any(is_old)
    };

    let after = stand.after.iter().filter(|(id, late)| !skipped(*id, *late));
    let unseen = stand.unseen.iter().filter(|id| !in_old_hole(id));
    let mut stands: BTreeSet<EventId> = after.map(|(id, _)| *id).collect();
    stands.extend(stand.attempts);
    stands.split_off(&last.next());
    let mut to_run = stands.clone();
    to_run.extend(unseen.filter(|id| **id <= last));

    // The nearest are the likeliest to be read in time, and what exists comes before what may.
    let mut left: Vec<EventId> = to_run.iter().copied().collect();
    let mut missing: BTreeSet<EventId> = left
        .split_off(left.len().saturating_sub(MOST))
        .into_iter()
        .collect();
    let mut unsought = 0;
    for hole in holes.iter().rev().filter(|hole| !is_old(hole)) {
        let (mut id, lo) = (hole.hi.min(last), hole.lo);
        while missing.len() < MOST && id >= lo && id > EventId(0) {
            missing.insert(id);
            id = id.prev();
        }
        if id >= lo && id > EventId(0) {
            unsought += id.0 - lo.0 + 1;
        }
    }

    // Zero is no position over there: it would ask for nothing. An id that it looks for makes
    // it ask, and everything above it comes along.
    if last == EventId(0) {
        missing.insert(last.next());
    }
    let back_to = missing.iter().find(|id| stands.contains(id)).copied();
    let runs = |id: &&EventId| **id > last || missing.contains(id);
    let again = stand.begun.iter().filter(runs).copied().collect();
    Some(Position {
        last,
        missing: missing.into_iter().collect(),
        back_to,
        left,
        unsought,
        again,
    })
}

/// Returns the holes that the Python daemon would have given up.
pub fn old_holes(holes: &[Hole]) -> impl Iterator<Item = &Hole> {
    holes.iter().filter(|hole| is_old(hole))
}

fn last(stand: &Stand<'_>, ledger: Option<&LedgerState>) -> Option<EventId> {
    // Up to its floor a lane has nothing to do but what is late or owed.
    let known = stand.passed.max(stand.lane.floor);
    known.or_else(|| {
        // It stands before the first row. What is late says nothing of where that is.
        let mut rows = stand.after.iter();
        let first = rows.find(|(_, late)| !late).map(|(id, _)| id.prev());
        first.or_else(|| ledger.map(|ledger| ledger.high))
    })
}

fn is_old(hole: &Hole) -> bool {
    Duration::from_millis(hole.age_ms) >= PATIENCE
}
