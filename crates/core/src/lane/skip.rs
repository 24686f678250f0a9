//! Events that a person wants the plugin not to get.
//!
//! Invariant: the wish is on record until the cursor has passed the event, whatever the callbacks are
//! when its turn comes.

use std::sync::Arc;

use slated_model::{CallbackId, Change, EventId, Offset, Row};

use super::input::{Effect, Note};
use super::{Context, Lane};
use crate::skip::{self, Refusal};

impl Lane {
    /// Tells whether a person may have the plugin skip a row.
    pub fn may_skip(&self, row: &Row) -> Result<(), Refusal> {
        let event = row.event.id;
        if self.flights.iter().any(|flight| flight.event == event) {
            return Err(Refusal::InHand(event));
        }
        if self.attempts().any(|attempt| attempt.event == event) {
            return Ok(());
        }
        if row.offset <= self.cursor() {
            return Err(Refusal::Finished(event));
        }
        if self.is_skipped(row) {
            return Err(Refusal::BeforeStart(event));
        }
        if self.callbacks.is_some() {
            if self.wanting(row).next().is_none() {
                return Err(Refusal::Unwanted(event));
            }
            if self.unfinished(row).next().is_none() {
                return Err(Refusal::Finished(event));
            }
        }
        Ok(())
    }

    /// Skips a row: now, as far as it was taken, and when its turn comes.
    pub(super) fn skip(&mut self, at: Context<'_>, row: &Row, reason: &str, out: &mut Vec<Effect>) {
        if self.may_skip(row).is_err() {
            return;
        }
        let event = row.event.id;
        let mut units: Vec<(CallbackId, u32)> = Vec::new();
        if let Some(trial) = self.in_place.take_if(|t| t.attempt.event == event) {
            units.push((trial.attempt.callback, trial.attempt.failed));
        }
        let aside = self.aside.keys().filter(|(id, _)| *id == event);
        let aside: Vec<_> = aside.cloned().collect();
        for key in aside {
            if let Some(aside) = self.aside.remove(&key) {
                units.push((key.1, aside.trial.attempt.failed));
            }
        }
        if let Some(work) = self.work.remove(&row.offset) {
            for callback in work.open {
                if units.iter().all(|(known, _)| *known != callback) {
                    units.push((callback, 0));
                }
            }
        }
        let held = self
            .row
            .hold
            .take_if(|hold| hold.event == Some(event))
            .is_some();
        let ahead = row.offset > self.cursor();
        if ahead {
            skip::at_its_turn(&mut self.row, row, reason);
        }
        let mut changes = self.discarded(at, (event, row.offset), units, reason, out);
        if ahead || held {
            changes.push(Change::Lane(self.row()));
        }
        if held {
            out.push(Effect::Tell(Note::Resumed));
        }
        let changes = self.with_cursor(at, changes);
        self.record(changes, out);
    }

    /// Returns why the plugin does not get a row, if a person wished so.
    pub(super) fn skip_wish(&self, row: &Row) -> Option<String> {
        let mut wishes = self.row.skips.iter();
        let wish = wishes.find(|skip| skip.event == row.event.id);
        wish.map(|skip| skip.reason.clone())
    }

    /// Passes a row by a person's wish, now that its turn has come.
    pub(super) fn skip_in_turn(
        &mut self,
        at: Context<'_>,
        row: &Arc<Row>,
        open: Vec<CallbackId>,
        reason: &str,
        out: &mut Vec<Effect>,
    ) {
        let units = open.into_iter().map(|callback| (callback, 0)).collect();
        let changes = self.discarded(at, (row.event.id, row.offset), units, reason, out);
        self.record(changes, out);
    }

    /// Finishes units by a person's wish; returns what is to be written.
    fn discarded(
        &mut self,
        at: Context<'_>,
        (event, offset): (EventId, Offset),
        units: Vec<(CallbackId, u32)>,
        reason: &str,
        out: &mut Vec<Effect>,
    ) -> Vec<Change> {
        let finished = self.finished.entry(event).or_default();
        finished.offset = Some(offset);
        finished
            .callbacks
            .extend(units.iter().map(|(callback, _)| callback.clone()));
        let lane = &self.row;
        let outcome = |(callback, failed)| {
            Change::Outcome(skip::skipped(
                lane, event, callback, failed, reason, at.wall_ms,
            ))
        };
        let changes: Vec<_> = units.into_iter().map(outcome).collect();
        if !changes.is_empty() {
            out.push(Effect::Tell(Note::EventSkipped { event }));
        }
        changes
    }
}
