//! What an answer, a failure or a death means for the lane.

use std::sync::Arc;
use std::time::Duration;

use slated_model::{
    CallbackId, Change, Discard, EventId, Failure, FailureKind, HoldRow, Offset, Outcome, Row,
};

use super::aside::Aside;
use super::input::{Effect, Note, Reply, Verdict};
use super::trial::Trial;
use super::{Context, Lane, SiteStage, SiteWait};
use crate::retry::{Decision, OnError};

/// The unit an answer is about.
struct Unit {
    event: EventId,
    offset: Offset,
    callback: CallbackId,
    aside: bool,
}

impl Lane {
    pub(super) fn answer(
        &mut self,
        at: Context<'_>,
        seq: u64,
        n: u32,
        reply: Reply,
        out: &mut Vec<Effect>,
    ) {
        // An answer to a frame that was given up on (a turn that ended) is no news.
        let Some(i) = self.flights.iter().position(|f| f.seq == seq) else {
            return;
        };
        let Some(flight) = self.flights.get_mut(i) else {
            return;
        };
        let Some(k) = flight.open.iter().position(|(m, _)| *m == n) else {
            return;
        };
        let Some((_, callback)) = flight.open.remove(k) else {
            return;
        };
        let unit = Unit {
            event: flight.event,
            offset: flight.offset,
            callback,
            aside: flight.aside,
        };
        self.calling_since = Some(at.now);
        if flight.void {
            match reply {
                Reply::Failed { stop: true, .. } => self.drop_flights(),
                _ => self.land(seq),
            }
            return;
        }
        match reply {
            Reply::Done { us } => {
                flight.us = flight.us.saturating_add(us);
                let ticket = self.done(at, &unit, us, out);
                self.note_ticket(seq, Some(ticket));
            }
            Reply::Failed { failure, stop } => {
                let ticket = self.failed(at, &unit, failure, out);
                self.note_ticket(seq, ticket);
                if stop {
                    self.has_answered(unit.offset, unit.aside);
                    self.drop_flights();
                    return;
                }
            }
        }
        self.land(seq);
    }

    /// The worker is gone: blame falls on the callback after its last answer.
    pub(super) fn gone(&mut self, at: Context<'_>, verdict: Verdict, out: &mut Vec<Effect>) {
        self.blame(at, verdict, out);
        self.callbacks = None;
        self.drop_flights();
    }

    fn blame(&mut self, at: Context<'_>, verdict: Verdict, out: &mut Vec<Effect>) {
        let failure = match verdict {
            Verdict::Ours => return,
            Verdict::Limit(failure) | Verdict::Died(failure) => failure,
        };
        let Some(flight) = self.flights.front().filter(|flight| !flight.void) else {
            return;
        };
        let Some((_, callback)) = flight.open.front().cloned() else {
            return;
        };
        let unit = Unit {
            event: flight.event,
            offset: flight.offset,
            callback,
            aside: flight.aside,
        };
        let seq = flight.seq;
        let ticket = self.failed(at, &unit, failure, out);
        self.note_ticket(seq, ticket);
        self.has_answered(unit.offset, unit.aside);
    }

    /// Notes that there was an answer for every callback of a row that was due.
    fn has_answered(&mut self, offset: Offset, aside: bool) {
        if let Some(work) = self.work.get_mut(&offset).filter(|_| !aside) {
            work.answered = true;
        }
    }

    fn done(&mut self, at: Context<'_>, unit: &Unit, us: u64, out: &mut Vec<Effect>) -> u64 {
        self.site_wait = None;
        let attempt = self.trial_of(unit).map_or(1, |t| t.attempt.failed + 1);
        out.push(Effect::Tell(Note::Done {
            event: unit.event,
            callback: unit.callback.clone(),
            us,
            attempt,
        }));
        self.finish(at, unit, attempt, Outcome::Done { us }, out)
    }

    /// Puts an outcome on record and ends the unit's attempts.
    fn finish(
        &mut self,
        at: Context<'_>,
        unit: &Unit,
        attempt: u32,
        outcome: Outcome,
        out: &mut Vec<Effect>,
    ) -> u64 {
        if self
            .in_place
            .as_ref()
            .is_some_and(|t| t.is_of(unit.event, &unit.callback))
        {
            self.in_place = None;
        }
        self.aside.remove(&(unit.event, unit.callback.clone()));
        let row = self.outcome_row(at, unit.event, &unit.callback, attempt, outcome);
        self.settle(at, unit.offset, &unit.callback, Change::Outcome(row), out)
    }

    /// Slated itself ended too often with an event: that counts as a death of it.
    pub(super) fn ended_slated(
        &mut self,
        at: Context<'_>,
        (event, offset, callback): (EventId, Offset, CallbackId),
        failure: Failure,
        out: &mut Vec<Effect>,
    ) -> Option<u64> {
        let unit = Unit {
            event,
            offset,
            callback,
            aside: false,
        };
        let ticket = self.failed(at, &unit, failure, out);
        self.has_answered(offset, false);
        ticket
    }

    fn trial_of(&self, unit: &Unit) -> Option<&Trial> {
        let aside = self
            .aside
            .get(&(unit.event, unit.callback.clone()))
            .map(|a| &a.trial);
        aside.or_else(|| {
            self.in_place
                .as_ref()
                .filter(|t| t.is_of(unit.event, &unit.callback))
        })
    }

    /// Returns the ticket of what was put on record, if anything was.
    fn failed(
        &mut self,
        at: Context<'_>,
        unit: &Unit,
        failure: Failure,
        out: &mut Vec<Effect>,
    ) -> Option<u64> {
        let before = self.trial_of(unit).cloned();
        let who = self.row.plugin.clone();
        let names = (&who, &unit.callback, unit.event, unit.offset);
        let trial = Trial::after(before, names, &failure, at.now, at.wall_ms);
        // A death is tried again in place, whatever `stopOnError` says: the lane waits for the new
        // process anyway. An attempt aside stays aside.
        let stops = self.spec(&unit.callback).is_none_or(|c| c.stop_on_error);
        let in_place = !unit.aside && (stops || failure.kind == FailureKind::Death);
        let without_site = self
            .site_wait
            .map_or(Duration::ZERO, |w| at.now.since(w.since));
        let record = trial.record(without_site);
        match self
            .policy
            .decide(&failure, record, at.site, &mut self.dice)
        {
            Decision::AwaitSite => {
                self.await_site(at);
                out.push(Effect::Tell(Note::AwaitsSite {
                    event: unit.event,
                    callback: unit.callback.clone(),
                    failure,
                }));
                if unit.aside {
                    self.unsend_aside(&(unit.event, unit.callback.clone()));
                }
                None
            }
            Decision::Again(wait) => {
                Some(self.again(at, unit, trial, wait, in_place, failure, out))
            }
            // No edit mends an event that cannot be handed over: it holds nobody.
            Decision::GiveUp if stops && !unit.aside && failure.kind != FailureKind::Unreadable => {
                Some(self.hold_at(unit, trial, failure, out))
            }
            Decision::GiveUp => Some(self.give_up(at, unit, trial.attempt.failed, failure, out)),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one failure, told whole")]
    fn again(
        &mut self,
        at: Context<'_>,
        unit: &Unit,
        mut trial: Trial,
        wait: Duration,
        in_place: bool,
        failure: Failure,
        out: &mut Vec<Effect>,
    ) -> u64 {
        out.push(Effect::Tell(Note::Again {
            event: unit.event,
            callback: unit.callback.clone(),
            failure,
            failed: trial.attempt.failed,
            wait,
            aside: !in_place,
        }));
        trial.wait(wait, !in_place);
        let change = Change::Attempt(trial.attempt.clone());
        if in_place {
            self.in_place = Some(trial);
            return self.record(vec![change], out);
        }
        if self
            .in_place
            .as_ref()
            .is_some_and(|t| t.is_of(unit.event, &unit.callback))
        {
            self.in_place = None;
        }
        let key = (unit.event, unit.callback.clone());
        let row = self.row_of(unit);
        self.aside.insert(key, Aside::new(trial, row));
        self.settle(at, unit.offset, &unit.callback, change, out)
    }

    fn hold_at(
        &mut self,
        unit: &Unit,
        trial: Trial,
        failure: Failure,
        out: &mut Vec<Effect>,
    ) -> u64 {
        let hold = HoldRow {
            event: Some(unit.event),
            callback: Some(unit.callback.clone()),
            reason: failure.summary(),
        };
        self.row.hold = Some(hold.clone());
        let changes = vec![
            Change::Attempt(trial.attempt.clone()),
            Change::Lane(self.row()),
        ];
        self.in_place = Some(trial);
        out.push(Effect::Tell(Note::Held {
            failure: Some(failure),
            hold,
        }));
        self.record(changes, out)
    }

    fn give_up(
        &mut self,
        at: Context<'_>,
        unit: &Unit,
        attempt: u32,
        failure: Failure,
        out: &mut Vec<Effect>,
    ) -> u64 {
        let (event, callback) = (unit.event, unit.callback.clone());
        let outcome = match self.policy.on_error {
            OnError::DeadLetter => {
                out.push(Effect::Tell(Note::DeadLetter {
                    event,
                    callback,
                    failure: failure.clone(),
                    attempt,
                }));
                Outcome::DeadLetter {
                    failure: Box::new(failure),
                }
            }
            OnError::Log => {
                let reason = Discard::Logged {
                    error: failure.summary(),
                };
                out.push(Effect::Tell(Note::LoggedOnly {
                    event,
                    callback,
                    failure,
                }));
                Outcome::Discarded { reason }
            }
        };
        self.finish(at, unit, attempt, outcome, out)
    }

    fn row_of(&self, unit: &Unit) -> Option<Arc<Row>> {
        let work = self.work.get(&unit.offset).map(|w| w.row.clone());
        work.or_else(|| {
            self.aside
                .get(&(unit.event, unit.callback.clone()))
                .and_then(|a| a.row().cloned())
        })
    }

    fn note_ticket(&mut self, seq: u64, ticket: Option<u64>) {
        if let Some(flight) = self.flights.iter_mut().find(|f| f.seq == seq) {
            flight.ticket = ticket.or(flight.ticket);
        }
    }

    /// Takes a frame out that has all its answers. What is still open of its row is sent again.
    fn land(&mut self, seq: u64) {
        let Some(i) = self
            .flights
            .iter()
            .position(|f| f.seq == seq && f.open.is_empty())
        else {
            return;
        };
        let Some(flight) = self.flights.remove(i) else {
            return;
        };
        self.await_durable(flight.ticket);
        if !flight.aside && !flight.void {
            self.pace.ran(flight.us);
            if let Some(work) = self.work.get_mut(&flight.offset) {
                work.sent = false;
                work.answered = true;
            }
        }
    }

    /// Gives up on all frames under way: the worker dropped them, or is gone.
    fn drop_flights(&mut self) {
        for flight in std::mem::take(&mut self.flights) {
            self.await_durable(flight.ticket);
        }
        for work in self.work.values_mut() {
            work.sent = false;
        }
        self.unsend_asides();
        self.turn += 1;
    }

    fn await_site(&mut self, at: Context<'_>) {
        let wait = self.site_wait.get_or_insert(SiteWait {
            since: at.now,
            tries: 0,
            stage: SiteStage::ForRead,
        });
        if !matches!(wait.stage, SiteStage::ForRead) {
            wait.tries += 1;
            wait.stage = SiteStage::ForRead;
        }
    }
}
