//! The dispatcher and a site that became another one: void rows leave memory, lanes and the record
//! together.
//!
//! Invariant: no lane is given a row that is void, from wherever it was on its way.

use slated_core::lane::{self, void_row};
use slated_model::{Change, EventId, Offset, Row, Void};
use tokio::sync::oneshot;

use super::Dispatcher;
use crate::daemon::tail::Tail;

/// Rows that are void: with an id above the second, of those up to the first.
pub(super) type Gone = (Offset, EventId);

/// Somebody who waits for void rows to be void on record.
#[derive(Debug)]
pub(super) struct Voided {
    write: u64,
    reply: oneshot::Sender<()>,
}

impl Dispatcher {
    /// Makes rows void; answers when that is durable.
    pub(super) fn void(&mut self, void: Void, reply: oneshot::Sender<()>) {
        let above = void.above;
        let end = self.tail.end();
        self.void.push((end, above));
        // What they hold may be void; the store has the rest.
        self.tail = Tail::new(end);
        self.pages.forget();
        for (row, attempts, ahead) in self.recorded.values_mut() {
            attempts.retain(|attempt| attempt.event <= above);
            ahead.retain(|outcome| outcome.event <= above);
            if void_row(row, above) {
                self.journal.note(Change::Lane(row.clone()));
            }
        }
        for plugin in &mut self.plugins {
            plugin.calls.forget(above);
        }
        self.all_lanes(&lane::Input::Void(above));
        // Behind what was noted of these rows until now, and before anything of those to come.
        self.journal.note(Change::Void(void));
        self.voided.push(Voided {
            write: self.journal.last_write(),
            reply,
        });
    }

    pub(super) fn is_void(&self, offset: Offset, event: EventId) -> bool {
        let gone = |(through, above): &Gone| offset <= *through && event > *above;
        self.void.iter().any(gone)
    }

    /// Leaves out rows that were read before they became void.
    pub(super) fn without_void(&self, mut rows: Vec<Row>) -> Vec<Row> {
        rows.retain(|row| !self.is_void(row.offset, row.event.id));
        rows
    }

    /// Answers those whose rows are void on record.
    pub(super) fn answer_voided(&mut self) {
        for voided in std::mem::take(&mut self.voided) {
            if self.journal.has_ended(voided.write) {
                // Whoever asked may have gone; it is done all the same.
                voided.reply.send(()).unwrap_or_default();
            } else {
                self.voided.push(voided);
            }
        }
    }
}
