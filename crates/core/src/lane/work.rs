//! Rows that wait for answers, and where the cursor may stand.

use std::sync::Arc;

use slated_model::{
    CallbackId, Change, EventId, Failure, FailureKind, Offset, Outcome, OutcomeRow, Row,
};

use super::input::{CallbackSpec, Effect, Note};
use super::{Context, Lane};
use crate::skip::is_before_start;

/// One row with its unfinished units.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) row: Arc<Row>,
    /// Callbacks without an outcome or an attempt aside, in order of registration.
    pub(super) open: Vec<CallbackId>,
    /// A frame with it is under way.
    pub(super) sent: bool,
    /// There was a first answer to it: other lanes do not wait for it any more.
    pub(super) answered: bool,
}

/// Callbacks that have an outcome for an event after the cursor: what is taken again skips them.
#[derive(Debug, Default)]
pub(super) struct Finished {
    /// Where the event stands, once its row was read.
    pub(super) offset: Option<Offset>,
    pub(super) callbacks: Vec<CallbackId>,
}

impl Lane {
    /// Takes rows from the log: what nobody wants is passed at once.
    pub(super) fn take(
        &mut self,
        at: Context<'_>,
        rows: Vec<Arc<Row>>,
        through: Offset,
        out: &mut Vec<Effect>,
    ) {
        self.reading = false;
        if self.callbacks.is_none() {
            return;
        }
        for row in rows {
            self.read = row.offset;
            self.meet_floor(&row);
            if self.is_skipped(&row) {
                continue;
            }
            let open = self.wanted(&row);
            if open.is_empty() {
                continue;
            }
            if let Some(reason) = self.skip_wish(&row) {
                self.skip_in_turn(at, &row, open, &reason, out);
                continue;
            }
            if row.event.is_readable() {
                // What is tried again had its answer, in this process or the one before.
                let tried = self.in_place.as_ref().map(|t| t.attempt.event);
                let answered = tried == Some(row.event.id);
                self.work.insert(
                    row.offset,
                    Work {
                        row,
                        open,
                        sent: false,
                        answered,
                    },
                );
            } else {
                self.set_aside_unreadable(at, &row, open, out);
            }
        }
        self.read = self.read.max(through);
    }

    /// Forgets rows that were taken, and takes them again: the callbacks have changed.
    pub(super) fn take_again(&mut self) {
        self.read = self.cursor();
        self.work.clear();
        self.floor_ends = None;
        self.reading = false;
    }

    fn meet_floor(&mut self, row: &Row) {
        if let Some(floor) = self.row.floor
            && self.floor_ends.is_none()
            && !row.late
            && row.event.id >= floor
        {
            self.floor_ends = Some(row.offset);
        }
    }

    pub(super) fn is_skipped(&self, row: &Row) -> bool {
        is_before_start(&self.row, row)
    }

    /// Returns the callbacks that want the row and have not finished with it.
    fn wanted(&mut self, row: &Row) -> Vec<CallbackId> {
        if let Some(finished) = self.finished.get_mut(&row.event.id) {
            finished.offset = Some(row.offset);
        }
        self.unfinished(row).map(|c| c.id.clone()).collect()
    }

    /// Returns the callbacks that want a row.
    pub(super) fn wanting<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a CallbackSpec> {
        let head = &row.event.head;
        let wants = |c: &&CallbackSpec| {
            // Nobody can tell what an unreadable row is, so everybody gets to know of it.
            !row.event.is_readable()
                || c.matcher
                    .matches(head.event_type.as_deref(), head.attribute_name.as_deref())
        };
        self.callbacks.iter().flatten().filter(wants)
    }

    /// Returns those that have not finished with it, and do not try it again aside.
    pub(super) fn unfinished<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a CallbackSpec> {
        let finished = self.finished.get(&row.event.id);
        self.wanting(row).filter(move |c| {
            !finished.is_some_and(|f| f.callbacks.contains(&c.id))
                && !self.aside.contains_key(&(row.event.id, c.id.clone()))
        })
    }

    fn set_aside_unreadable(
        &mut self,
        at: Context<'_>,
        row: &Row,
        callbacks: Vec<CallbackId>,
        out: &mut Vec<Effect>,
    ) {
        let failure = Failure {
            kind: FailureKind::Unreadable,
            error: "unreadable row".into(),
            message: format!(
                "the site's row of event {} is not readable JSON",
                row.event.id
            ),
            traceback: String::new(),
            locals: None,
            cause: None,
            us: None,
            log: Vec::new(),
        };
        // Should it be taken again before the cursor has passed it.
        let finished = self.finished.entry(row.event.id).or_default();
        finished.offset = Some(row.offset);
        finished.callbacks.extend(callbacks.iter().cloned());
        let mut changes = Vec::new();
        for callback in callbacks {
            let outcome = Outcome::DeadLetter {
                failure: Box::new(failure.clone()),
            };
            changes.push(Change::Outcome(self.outcome_row(
                at,
                row.event.id,
                &callback,
                1,
                outcome,
            )));
            out.push(Effect::Tell(Note::DeadLetter {
                event: row.event.id,
                callback,
                failure: failure.clone(),
                attempt: 1,
            }));
        }
        self.record(changes, out);
    }

    pub(super) fn outcome_row(
        &self,
        at: Context<'_>,
        event: EventId,
        callback: &CallbackId,
        attempt: u32,
        outcome: Outcome,
    ) -> OutcomeRow {
        OutcomeRow {
            plugin: self.row.plugin.clone(),
            callback: callback.clone(),
            event,
            attempt,
            outcome,
            at_ms: at.wall_ms,
        }
    }

    /// Settles a unit of the row at `offset`, with its record: the cursor passes the row with the
    /// last one. Returns the ticket.
    pub(super) fn settle(
        &mut self,
        at: Context<'_>,
        offset: Offset,
        callback: &CallbackId,
        change: Change,
        out: &mut Vec<Effect>,
    ) -> u64 {
        let mut cleared = None;
        if let Some(work) = self.work.get_mut(&offset) {
            work.open.retain(|c| c != callback);
            if work.open.is_empty() {
                let done = self.work.remove(&offset);
                cleared = done.and_then(|work| self.clear_suspect(work.row.event.id));
            }
        }
        if let Change::Outcome(row) = &change {
            let finished = self.finished.entry(row.event).or_default();
            finished.offset = Some(offset);
            finished.callbacks.push(callback.clone());
        }
        let cursor = self.cursor();
        self.finished
            .retain(|_, f| f.offset.is_none_or(|offset| offset > cursor));
        let changes = [change].into_iter().chain(cleared).collect();
        let changes = self.with_cursor(at, changes);
        self.record(changes, out)
    }
}
