//! What a lane forgets when the site became another one: rows above an id are void.
//!
//! Invariant: nothing that a void row had, an outcome, an attempt or a call that is out, reaches the
//! record of the event that has its id now. A call that is out finishes, and its answer counts for
//! nobody.

use slated_model::{Change, EventId, LaneRow};

use super::Lane;
use super::input::{Effect, Note};

/// Brings what is on record of a lane in line; tells whether it changed.
///
/// What the site writes above the id is seen from now on, so it is below nobody's floor.
pub fn void_row(row: &mut LaneRow, above: EventId) -> bool {
    let before = row.clone();
    row.floor = row.floor.map(|floor| floor.min(above));
    row.owed.retain(|id| *id <= above);
    row.hold.take_if(|hold| hold.event > Some(above));
    row.skips.retain(|skip| skip.event <= above);
    row.suspect.take_if(|suspect| suspect.event > above);
    *row != before
}

impl Lane {
    /// Tells whether a frame that is under way has a row that is void: what it says belongs to no event.
    pub fn is_void(&self, seq: u64) -> bool {
        self.flights.iter().any(|f| f.seq == seq && f.void)
    }

    pub(super) fn void(&mut self, above: EventId, out: &mut Vec<Effect>) {
        self.work.retain(|_, work| work.row.event.id <= above);
        self.finished.retain(|event, _| *event <= above);
        self.aside.retain(|(event, _), _| *event <= above);
        self.in_place.take_if(|trial| trial.attempt.event > above);
        for flight in self.flights.iter_mut().filter(|f| f.event > above) {
            flight.void = true;
        }
        let held = self.row.hold.is_some();
        void_row(&mut self.row, above);
        // Written even where it did not change: what somebody read of the record before holds no more
        // (`rewind`).
        let row = self.row();
        self.record(vec![Change::Lane(row)], out);
        if held && self.row.hold.is_none() {
            out.push(Effect::Tell(Note::Resumed));
        }
    }
}
