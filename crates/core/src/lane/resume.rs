//! How a lane goes on after it stood still: a hold ends, and a person may let it skip rows.
//!
//! Invariant: nothing is skipped that a worker has in hand, and what is skipped is on record.

use slated_model::{Change, Offset};

use super::input::{Effect, Note};
use super::{Context, Lane};
use crate::resume::skipped;

impl Lane {
    /// Ends the hold: the lane begins with the event that failed. Where no event failed, a person
    /// must choose where it begins, and only [`Lane::go_on_after`] ends the hold.
    pub(super) fn resume(&mut self, at: Context<'_>, out: &mut Vec<Effect>) {
        if self.row.hold.take_if(|hold| hold.event.is_some()).is_none() {
            return;
        }
        let mut changes = vec![Change::Lane(self.row())];
        if let Some(trial) = &mut self.in_place {
            trial.renew(at.now);
            changes.push(Change::Attempt(trial.attempt.clone()));
        }
        out.push(Effect::Tell(Note::Resumed));
        self.record(changes, out);
    }

    /// Ends whatever hold there is, and skips the rows up to `to`. The attempt that the lane waited
    /// for is discarded if it is among them; attempts aside go on.
    pub(super) fn go_on_after(&mut self, at: Context<'_>, to: Offset, out: &mut Vec<Effect>) {
        if self.is_calling() {
            return;
        }
        let held = self.row.hold.take().is_some();
        let cursor = self.cursor();
        if to > cursor {
            self.row.skipped.push((cursor, to));
            self.work.clear();
            self.read = to;
            self.reading = false;
            self.floor_ends = None;
            self.finished
                .retain(|_, f| f.offset.is_none_or(|offset| offset > to));
            out.push(Effect::Tell(Note::Skipped {
                rows: cursor.until(to),
            }));
        }
        let mut changes = vec![Change::Lane(self.row())];
        if let Some(trial) = self.in_place.take_if(|t| t.attempt.offset <= to) {
            let tried = trial.attempt;
            changes.push(Change::Outcome(skipped(&tried, at.wall_ms)));
        } else if let Some(trial) = &mut self.in_place {
            trial.renew(at.now);
            changes.push(Change::Attempt(trial.attempt.clone()));
        }
        if held {
            out.push(Effect::Tell(Note::Resumed));
        }
        let changes = self.with_cursor(at, changes);
        self.record(changes, out);
    }

    /// Tells whether a worker has a frame in hand that the cursor waits for.
    pub fn is_calling(&self) -> bool {
        self.flights.iter().any(|flight| !flight.aside)
    }
}
