//! Attempts beside the lane's order: the lane went on, the failed callback gets another try.

use std::collections::VecDeque;
use std::sync::Arc;

use slated_model::{Attempt, CallbackId, Change, Discard, EventId, Outcome, Row};

use super::input::{Effect, Note};
use super::trial::Trial;
use super::{Context, Lane};

/// One unit that is tried again aside.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) trial: Trial,
    /// Its event, unless this process has not read it yet.
    row: Option<Arc<Row>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// Its row is being read.
    Recalling,
    Sent,
}

impl Aside {
    pub(super) const fn new(trial: Trial, row: Option<Arc<Row>>) -> Self {
        Self {
            trial,
            row,
            state: State::Waiting,
        }
    }
    pub(super) fn waits(&self) -> bool {
        self.state == State::Waiting
    }
    pub(super) fn row(&self) -> Option<&Arc<Row>> {
        self.row.as_ref()
    }
}

impl Lane {
    /// Sends the attempts whose back-off is over, oldest first.
    pub(super) fn send_asides(
        &mut self,
        at: Context<'_>,
        waited: Option<u64>,
        out: &mut Vec<Effect>,
    ) {
        while self.has_room(at) {
            let due = self
                .aside
                .iter()
                .filter(|(_, a)| a.waits() && a.trial.due <= at.now);
            let Some((key, aside)) = due.min_by_key(|(_, a)| a.trial.due) else {
                return;
            };
            let (key, attempt) = (key.clone(), aside.trial.attempt.failed + 1);
            let n = self.spec(&key.1).map(|c| c.n);
            if let Some((row, n)) = aside.row.clone().zip(n) {
                if !self.may_call(at, waited) {
                    return;
                }
                self.turns(&key, State::Sent);
                self.send(row, VecDeque::from([(n, key.1)]), attempt, true, out);
            } else {
                self.turns(&key, State::Recalling);
                out.push(Effect::Recall { event: key.0 });
            }
        }
    }

    fn turns(&mut self, key: &(EventId, CallbackId), state: State) {
        if let Some(aside) = self.aside.get_mut(key) {
            aside.state = state;
        }
    }

    /// Takes up a dead letter again.
    pub(super) fn retried(&mut self, at: Context<'_>, attempt: Attempt, out: &mut Vec<Effect>) {
        // Ahead of the cursor it counted as finished.
        if let Some(finished) = self.finished.get_mut(&attempt.event) {
            finished.callbacks.retain(|c| *c != attempt.callback);
        }
        let key = (attempt.event, attempt.callback.clone());
        let trial = Trial::restored(attempt, at.now);
        self.aside
            .entry(key)
            .or_insert_with(|| Aside::new(trial, None));
        // An edit may have been quicker than the wish.
        if self.callbacks.is_some() {
            self.discard_gone(at, out);
        }
    }

    /// Takes the row of an attempt that was waiting for it. What the log no longer holds cannot be
    /// tried again.
    pub(super) fn recalled(
        &mut self,
        at: Context<'_>,
        event: EventId,
        row: Option<Row>,
        out: &mut Vec<Effect>,
    ) {
        let row = row.map(Arc::new);
        let mut gone = Vec::new();
        let same = self.aside.iter_mut().filter(|((id, _), _)| *id == event);
        for (key, aside) in same.filter(|(_, a)| a.state == State::Recalling) {
            if row.is_none() {
                gone.push(key.clone());
            }
            aside.row.clone_from(&row);
            aside.state = State::Waiting;
        }
        let mut changes = Vec::new();
        for key in gone {
            let Some(aside) = self.aside.remove(&key) else {
                continue;
            };
            let (reason, failed) = (Discard::RowGone, aside.trial.attempt.failed);
            let outcome = Outcome::Discarded { reason };
            let row = self.outcome_row(at, event, &key.1, failed, outcome);
            changes.push(Change::Outcome(row));
            out.push(Effect::Tell(Note::RowGone {
                event,
                callback: key.1,
            }));
        }
        if !changes.is_empty() {
            self.record(changes, out);
        }
    }

    /// Puts an attempt back to waiting that counts for nothing. Those behind it are still out.
    pub(super) fn unsend_aside(&mut self, unit: &(EventId, CallbackId)) {
        self.turns(unit, State::Waiting);
    }

    /// Puts attempts whose frame was dropped back to waiting.
    pub(super) fn unsend_asides(&mut self) {
        for aside in self.aside.values_mut().filter(|a| a.state == State::Sent) {
            aside.state = State::Waiting;
        }
    }
}
