//! What a person's `plugin skip EVENT` means: a plugin does not get an event, and that is on record.
//!
//! Invariant: what a worker has in hand is not skipped, and what has an outcome keeps it.

use slated_model::{
    Attempt, CallbackId, Change, Discard, EventId, LaneRow, Outcome, OutcomeRow, Row, SkipRow,
};

/// Why an event is not skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was sent, and has no answer yet.
    #[error("event {0} is with its process right now")]
    InHand(EventId),
    /// Nothing of it is open.
    #[error("it has finished with event {0} already")]
    Finished(EventId),
    /// Nobody wants it.
    #[error("none of its callbacks wants event {0}")]
    Unwanted(EventId),
    /// It lies before the lane's start.
    #[error("event {0} is before its start, so it does not get it anyway")]
    BeforeStart(EventId),
}

/// Tells whether a lane passes a row since that lies before its start.
pub fn is_before_start(lane: &LaneRow, row: &Row) -> bool {
    let below = lane.floor.is_some_and(|floor| row.event.id <= floor);
    below && !row.late && lane.owed.binary_search(&row.event.id).is_err()
}

/// Writes down that a lane does not get a row once it comes to it.
pub(crate) fn at_its_turn(lane: &mut LaneRow, row: &Row, reason: &str) {
    lane.skips.retain(|skip| skip.event != row.event.id);
    lane.skips.push(SkipRow {
        event: row.event.id,
        offset: row.offset,
        reason: reason.to_owned(),
    });
}

/// Returns the outcome of a unit that a person skips, after so many failed attempts.
pub(crate) fn skipped(
    lane: &LaneRow,
    event: EventId,
    callback: CallbackId,
    failed: u32,
    reason: &str,
    wall_ms: i64,
) -> OutcomeRow {
    OutcomeRow {
        plugin: lane.plugin.clone(),
        callback,
        event,
        attempt: failed,
        outcome: Outcome::Discarded {
            reason: Discard::Person {
                reason: reason.to_owned(),
            },
        },
        at_ms: wall_ms,
    }
}

/// Skips a row on what stands on record of a plugin that no lane is open for: changes `lane` and
/// returns what is to be written.
pub fn on_record(
    lane: &mut LaneRow,
    attempts: &[Attempt],
    row: &Row,
    reason: &str,
    wall_ms: i64,
) -> Result<Vec<Change>, Refusal> {
    let event = row.event.id;
    if is_before_start(lane, row) && row.offset > lane.cursor {
        return Err(Refusal::BeforeStart(event));
    }
    let own = attempts
        .iter()
        .filter(|a| a.event == event && a.plugin == lane.plugin);
    let mut changes: Vec<_> = own
        .map(|a| skipped(lane, event, a.callback.clone(), a.failed, reason, wall_ms))
        .map(Change::Outcome)
        .collect();
    if row.offset > lane.cursor {
        at_its_turn(lane, row, reason);
    } else if changes.is_empty() {
        return Err(Refusal::Finished(event));
    }
    lane.hold.take_if(|hold| hold.event == Some(event));
    changes.push(Change::Lane(lane.clone()));
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use slated_model::{Event, Offset, PluginId};

    use super::*;

    #[test]
    fn only_what_a_plugin_would_still_get_is_skipped() {
        // It stands at offset 2, and begins with event 104 at offset 4.
        for (offset, wanted) in [
            (1, Err(Refusal::Finished(EventId(101)))),
            (2, Err(Refusal::Finished(EventId(102)))),
            (3, Err(Refusal::BeforeStart(EventId(103)))),
            (4, Ok(vec![EventId(104)])),
        ] {
            let mut lane = LaneRow::new(PluginId::new("plugins", "p"), Offset(2));
            lane.floor = Some(EventId(103));
            let text = format!(r#"{{"id":{}}}"#, offset + 100);
            let row = Row {
                offset: Offset(offset),
                late: false,
                event: Event::parse(&text).unwrap(),
            };
            let got = on_record(&mut lane, &[], &row, "made by hand", 0);
            let got = got.map(|_| lane.skips.iter().map(|skip| skip.event).collect());
            assert_eq!(got, wanted, "{offset}");
        }
    }
}
