//! A lane that a person lets go back.
//!
//! Invariant: nothing is sent before the new place is durable, so a kill leaves the old place or the
//! new one, and what is done by then is known in both.

use slated_model::{Change, Offset, OutcomeRow};

use super::input::{Effect, Note};
use super::{Context, Lane, Pace};
use crate::rewind;

/// Where a lane stood when somebody looked: what was read since holds as long as this is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its cursor.
    pub cursor: Offset,
    ticket: u64,
    seq: u64,
}

impl Lane {
    /// Returns where it stands, if nothing is in hand and all is durable: then the record says all.
    pub fn at_rest(&self) -> Option<Standing> {
        let rests = self.flights.is_empty() && self.undurable.is_empty();
        (rests && self.durable == self.ticket).then(|| Standing {
            cursor: self.cursor(),
            ticket: self.ticket,
            seq: self.seq,
        })
    }

    /// Goes back to an offset before the cursor. `done` are the outcomes behind it that stay.
    pub(super) fn rewind(
        &mut self,
        at: Context<'_>,
        to: Offset,
        again: bool,
        done: &[OutcomeRow],
        out: &mut Vec<Effect>,
    ) {
        let from = self.cursor();
        if to >= from || !self.flights.is_empty() {
            return;
        }
        let held = self.row.hold.is_some();
        rewind::back(&mut self.row, from, to, again, at.wall_ms);
        self.work.clear();
        self.read = to;
        self.reading = false;
        self.floor_ends = None;
        self.in_place = None;
        self.went_ahead = None;
        self.finished = super::finished(done);
        self.flushed = (to, at.now);
        // Slow until shown to be quick: so nothing is sent before this is durable.
        self.pace = Pace::default();
        let rewound = Change::Rewound {
            plugin: self.row.plugin.clone(),
            to,
            again,
        };
        // The record may be behind, and what stands there or before does not go back.
        let stood = Change::Cursor {
            plugin: self.row.plugin.clone(),
            cursor: from,
        };
        let changes = vec![Change::Lane(self.row()), stood, rewound];
        let ticket = self.record(changes, out);
        self.await_durable(Some(ticket));
        out.push(Effect::Tell(Note::Rewound {
            rows: to.until(from),
        }));
        if held {
            out.push(Effect::Tell(Note::Resumed));
        }
    }
}
