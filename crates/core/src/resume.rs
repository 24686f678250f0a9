//! What a person's `plugin resume` means for a plugin that stands still: whether it may go on, and
//! where.
//!
//! [`Standing::resume`] says what to do. Where a person names an event, [`find`] and [`begins`] tell
//! which row that is, while somebody else reads the log. Rows that a plugin has passed are never
//! run again by a resume: their outcomes are on record.

use slated_model::{
    Attempt, Change, Discard, EventId, HoldRow, LaneRow, Offset, Outcome, OutcomeRow, Row,
};

#[cfg(test)]
mod tests;

/// Where a person lets a plugin begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the event that failed, or where it stood.
    Failed,
    /// With what comes after the end of the log.
    Latest,
    /// With the row after this offset.
    After(Offset),
}

/// How a plugin stands, as far as a resume goes.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// A person stopped it.
    pub stopped: bool,
    /// Why it waits for a person.
    pub hold: Option<&'a HoldRow>,
    /// Its process died too often.
    pub quarantined: bool,
    /// A callback is still under way.
    pub calling: bool,
    /// The end of the log.
    pub end: Offset,
}

/// What a resume does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it goes on already.
    Nothing,
    /// The plugin goes on where it stands, with the event that failed.
    GoOn,
    /// It goes on after this offset; rows before it that it has not passed are skipped.
    GoOnAfter(Offset),
}

/// Why a resume is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A person must choose where it begins, and named nothing.
    #[error("a person must choose where it begins")]
    Choose,
    /// It was told to begin with a failed event, and none failed.
    #[error("no event failed: a person must choose where it begins")]
    NoneFailed,
    /// It was told where to begin, and does not stand still.
    #[error("it is not stopped, held or quarantined, so it cannot be told where to begin")]
    Runs,
    /// It was told where to begin while a callback is under way.
    #[error("a callback of it is still under way")]
    Calling,
    /// The event is behind the cursor.
    #[error("it has passed event {0} already")]
    Passed(EventId),
    /// The event is older than the log.
    #[error("event {0} is older than the log, which begins with event {1}")]
    OlderThanLog(EventId, EventId),
    /// The event is newer than the log.
    #[error("the log holds no event from {0} on yet")]
    NotYet(EventId),
}

impl Standing<'_> {
    /// Decides what a resume does. Without `from` a plugin begins with the event that failed.
    pub fn resume(&self, from: Option<From>) -> Result<Step, Refusal> {
        if !self.stopped && self.hold.is_none() && !self.quarantined {
            return match from {
                None => Ok(Step::Nothing),
                Some(_) => Err(Refusal::Runs),
            };
        }
        let none_failed = self.hold.is_some_and(|hold| hold.event.is_none());
        match from {
            None if none_failed => Err(Refusal::Choose),
            Some(From::Failed) if none_failed => Err(Refusal::NoneFailed),
            None | Some(From::Failed) => Ok(Step::GoOn),
            Some(_) if self.calling => Err(Refusal::Calling),
            Some(From::Latest) => Ok(Step::GoOnAfter(self.end)),
            Some(From::After(offset)) => Ok(Step::GoOnAfter(offset.min(self.end))),
        }
    }
}

/// Finds where a plugin at `cursor` begins with event `id`: `stands` is the event's offset, if the
/// log holds it, `last` the row at the cursor, if the log still holds that. `None` means after the
/// cursor, before the first row that [`begins`].
pub fn find(
    id: EventId,
    cursor: Offset,
    stands: Option<Offset>,
    last: Option<&Row>,
) -> Result<Option<Offset>, Refusal> {
    match stands {
        Some(offset) if offset > cursor => Ok(Some(Offset(offset.0 - 1))),
        Some(_) => Err(Refusal::Passed(id)),
        // What fills a hole tells nothing about the rows around it.
        None if last.is_some_and(|row| begins(id, row)) => Err(Refusal::Passed(id)),
        None => Ok(None),
    }
}

/// Refuses an event that stands before `first`, the first row after the cursor, where the log holds
/// nothing older: `last` is the row at the cursor, if it does.
pub fn reaches(id: EventId, last: Option<&Row>, first: &Row) -> Result<(), Refusal> {
    if last.is_none() && !first.late && first.event.id > id {
        return Err(Refusal::OlderThanLog(id, first.event.id));
    }
    Ok(())
}

/// Tells whether a plugin that is to begin with event `id`, which the log does not hold, begins with
/// this row if it is the first.
pub fn begins(id: EventId, row: &Row) -> bool {
    !row.late && row.event.id >= id
}

/// Returns why a lane cannot begin at its cursor: the log no longer holds what comes next.
pub fn out_of_log(cursor: Offset, log_start: Offset) -> Option<HoldRow> {
    (cursor < log_start).then(|| HoldRow {
        event: None,
        callback: None,
        reason: format!(
            "it stands {} events before the oldest that the log still holds; a person must choose where it begins",
            cursor.until(log_start)
        ),
    })
}

/// Carries a step out on what stands on record of a plugin that no lane is open for: changes `row`
/// and returns what is to be written. A stop ends, too.
pub fn on_record(row: &mut LaneRow, attempts: &[Attempt], step: Step, wall_ms: i64) -> Vec<Change> {
    row.stopped = false;
    row.quarantine = None;
    let to = match step {
        Step::GoOnAfter(to) => to,
        Step::GoOn | Step::Nothing => row.cursor,
    };
    let chosen = matches!(step, Step::GoOnAfter(_));
    let held = row
        .hold
        .take_if(|hold| chosen || hold.event.is_some())
        .is_some();
    let mut changes = Vec::new();
    if to > row.cursor {
        row.skipped.push((row.cursor, to));
        row.cursor = to;
        changes.push(Change::Cursor {
            plugin: row.plugin.clone(),
            cursor: to,
        });
    }
    let in_place = attempts.iter().filter(|a| !a.aside);
    for attempt in in_place.filter(|_| chosen || held) {
        changes.push(if attempt.offset <= to {
            Change::Outcome(skipped(attempt, wall_ms))
        } else {
            Change::Attempt(Attempt {
                failed: 0,
                deaths: 0,
                since_ms: 0,
                left_ms: 0,
                ..attempt.clone()
            })
        });
    }
    changes.push(Change::Lane(row.clone()));
    changes
}

/// Returns the outcome of an attempt that a person skips.
pub(crate) fn skipped(attempt: &Attempt, wall_ms: i64) -> OutcomeRow {
    OutcomeRow {
        plugin: attempt.plugin.clone(),
        callback: attempt.callback.clone(),
        event: attempt.event,
        attempt: attempt.failed,
        outcome: Outcome::Discarded {
            reason: Discard::Person {
                reason: "skipped by a resume".into(),
            },
        },
        at_ms: wall_ms,
    }
}
