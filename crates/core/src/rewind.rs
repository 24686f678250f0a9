//! What a person's `plugin rewind` means: a lane goes back in the log, and gives what has no outcome.
//!
//! What is done is not done again by that; with `again` it is, which is the person's wish and on
//! record. Everything else there is about an event goes, as if it were new: dead letters, what was
//! discarded, the attempt that the lane waits for. Attempts aside go on beside it.

use slated_model::{Change, EventId, LaneRow, Offset, RewoundRow};

/// How many rows a lane goes back at most: what is done of them must fit in memory.
pub const MOST: u64 = 100_000;

/// Why a lane does not go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The event is still ahead.
    #[error("it has not come to event {0} yet")]
    Ahead(EventId),
    /// The log does not hold the event.
    #[error("the log does not hold event {0}")]
    NotInLog(EventId),
    /// The log no longer holds what came after the event.
    #[error("event {0} is older than the log")]
    OlderThanLog(EventId),
    /// It is too many rows.
    #[error("event {0} is {1} events back, and {MOST} is the most")]
    TooFar(EventId, u64),
    /// A callback is under way.
    #[error("a callback of it is under way")]
    Busy,
}

/// Finds where a lane that stands at `cursor` goes back to for an event at `stands`, in a log that
/// begins after `start`.
pub fn place(
    id: EventId,
    stands: Option<Offset>,
    cursor: Offset,
    start: Offset,
) -> Result<Offset, Refusal> {
    match stands {
        Some(offset) if offset > cursor => Err(Refusal::Ahead(id)),
        Some(offset) if offset > start => {
            let to = Offset(offset.0 - 1);
            match to.until(cursor) {
                rows if rows > MOST => Err(Refusal::TooFar(id, rows)),
                _ => Ok(to),
            }
        }
        None => Err(Refusal::NotInLog(id)),
        // Rows before its start are kept for an attempt or a dead letter alone.
        Some(_) => Err(Refusal::OlderThanLog(id)),
    }
}

/// Takes a lane back from `from` to `to`, as far as its row goes.
pub(crate) fn back(lane: &mut LaneRow, from: Offset, to: Offset, again: bool, wall_ms: i64) {
    lane.cursor = to;
    // The person chose where it goes on.
    lane.hold = None;
    lane.floor = None;
    lane.owed.clear();
    // What was skipped was skipped; what is still ahead will be.
    lane.skips.retain(|skip| skip.offset > from);
    lane.in_line_from = LaneRow::OUT_OF_LINE;
    for range in &mut lane.skipped {
        range.1 = range.1.min(to);
    }
    lane.skipped.retain(|(after, through)| after < through);
    lane.rewound = Some(RewoundRow {
        from,
        to,
        again,
        at_ms: wall_ms,
    });
}

/// Takes a plugin back on record that no lane is open for: changes `lane` and returns what is to be
/// written.
pub fn on_record(lane: &mut LaneRow, to: Offset, again: bool, wall_ms: i64) -> Vec<Change> {
    let from = lane.cursor;
    back(lane, from, to, again, wall_ms);
    let rewound = Change::Rewound {
        plugin: lane.plugin.clone(),
        to,
        again,
    };
    vec![Change::Lane(lane.clone()), rewound]
}

#[cfg(test)]
mod tests {
    use slated_model::{PluginId, SkipRow};

    use super::*;

    #[test]
    fn a_lane_goes_back_to_an_event_that_the_log_holds() {
        let id = EventId(7);
        for (stands, cursor, start, wanted) in [
            (Some(5), 9, 0, Ok(Offset(4))),
            (Some(9), 9, 0, Ok(Offset(8))),
            (Some(10), 9, 0, Err(Refusal::Ahead(id))),
            (Some(5), 9, 4, Ok(Offset(4))),
            (Some(5), 9, 5, Err(Refusal::OlderThanLog(id))),
            (None, 9, 0, Err(Refusal::NotInLog(id))),
            (Some(1), MOST, 0, Ok(Offset(0))),
            (Some(1), MOST + 1, 0, Err(Refusal::TooFar(id, MOST + 1))),
        ] {
            let got = place(id, stands.map(Offset), Offset(cursor), Offset(start));
            assert_eq!(got, wanted, "{stands:?} {cursor} {start}");
        }
    }

    #[test]
    fn what_was_skipped_behind_the_new_place_is_forgotten_and_what_is_ahead_is_not() {
        let wish = |offset| SkipRow {
            event: EventId(100 + offset),
            offset: Offset(offset),
            reason: "made by hand".into(),
        };
        let ranges = |of: &[(u64, u64)]| -> Vec<_> {
            of.iter().map(|(a, b)| (Offset(*a), Offset(*b))).collect()
        };
        let mut lane = LaneRow::new(PluginId::new("plugins", "p"), Offset(9));
        lane.skips = vec![wish(12), wish(9)];
        lane.skipped = ranges(&[(1, 3), (3, 5), (4, 7), (5, 6), (6, 8)]);
        let changes = on_record(&mut lane, Offset(5), false, 0);
        assert_eq!(lane.skips, [wish(12)]);
        assert_eq!(lane.skipped, ranges(&[(1, 3), (3, 5), (4, 5)]));
        assert!(matches!(&changes[0], Change::Lane(row) if *row == lane));
    }
}
