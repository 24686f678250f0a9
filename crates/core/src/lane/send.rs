//! What may be sent now: how far ahead, in which order, and what it waits for.

use std::collections::VecDeque;
use std::sync::Arc;

use slated_model::{CallbackId, Change, Discard, EventId, Offset, Outcome, Row};

use super::input::{CallbackSpec, Effect, Frame, Note};
use super::line::HeldUp;
use super::{Context, Lane, PAGE, READY};

/// A frame on its way through the worker.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) seq: u64,
    pub(super) event: EventId,
    pub(super) offset: Offset,
    /// Which attempt it is, from 1.
    pub(super) attempt: u32,
    /// An attempt beside the order, of one callback.
    pub(super) aside: bool,
    /// Its row is void: what becomes of it counts for nobody.
    pub(super) void: bool,
    /// Callbacks without an answer, in order: the first is to blame for a death.
    pub(super) open: VecDeque<(u32, CallbackId)>,
    /// Microseconds of its callbacks so far.
    pub(super) us: u64,
    /// Ticket of its newest record.
    pub(super) ticket: Option<u64>,
}

/// Whether a plugin is quick: the mean over its last 32 events, all callbacks of an event together,
/// is under a millisecond. Unknown counts as slow.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: VecDeque<u64>,
    sum: u64,
}

impl Pace {
    const EVENTS: usize = 32;
    const QUICK_US: u64 = 1000;

    pub(super) fn ran(&mut self, us: u64) {
        self.last.push_back(us);
        self.sum = self.sum.saturating_add(us);
        if self.last.len() > Self::EVENTS {
            self.sum -= self.last.pop_front().unwrap_or_default();
        }
    }
    fn is_quick(&self) -> bool {
        self.last.len() == Self::EVENTS && self.sum < Self::QUICK_US * Self::EVENTS as u64
    }
}

impl Lane {
    /// A worker is ready: rows are matched against its callbacks, and it gets what has no outcome.
    pub(super) fn ready(
        &mut self,
        at: Context<'_>,
        callbacks: Vec<CallbackSpec>,
        window: usize,
        out: &mut Vec<Effect>,
    ) {
        self.matchers = callbacks.iter().map(|c| c.matcher.clone()).collect();
        self.callbacks = Some(callbacks);
        self.window = window.clamp(1, self.configured_window);
        self.retired = None;
        self.flights.clear();
        self.pace = Pace::default();
        self.turn += 1;
        self.take_again();
        self.discard_gone(at, out);
    }

    /// Ends attempts of callbacks that the plugin no longer has.
    pub(super) fn discard_gone(&mut self, at: Context<'_>, out: &mut Vec<Effect>) {
        let gone = |lane: &Self, id: &CallbackId| lane.spec(id).is_none();
        let asides: Vec<_> = self
            .aside
            .keys()
            .filter(|(_, c)| gone(self, c))
            .cloned()
            .collect();
        let mut attempts: Vec<_> = asides
            .iter()
            .filter_map(|key| self.aside.remove(key))
            .map(|a| a.trial.attempt)
            .collect();
        if self
            .in_place
            .as_ref()
            .is_some_and(|t| gone(self, &t.attempt.callback))
        {
            attempts.extend(self.in_place.take().map(|t| t.attempt));
        }
        if attempts.is_empty() {
            return;
        }
        let mut changes = Vec::new();
        for attempt in attempts {
            let outcome = Outcome::Discarded {
                reason: Discard::CallbackGone,
            };
            let row = self.outcome_row(
                at,
                attempt.event,
                &attempt.callback,
                attempt.failed,
                outcome,
            );
            changes.push(Change::Outcome(row));
            // Should it be registered again before the cursor has passed the event.
            if attempt.offset > self.cursor() {
                let finished = self.finished.entry(attempt.event).or_default();
                finished.offset = Some(attempt.offset);
                finished.callbacks.push(attempt.callback.clone());
            }
            out.push(Effect::Tell(Note::CallbackGone {
                event: attempt.event,
                callback: attempt.callback,
            }));
        }
        self.record(changes, out);
    }

    /// Sends what may be sent, and asks the log for more where that runs short.
    pub(super) fn send_what_may(&mut self, at: Context<'_>, out: &mut Vec<Effect>) {
        // Found anew below, if it still is so.
        let held_up = self.held_up.take();
        let waited = self.leave_queue();
        if !self.may_send() || !self.site_is_back(at) || at.gate.is_paused() {
            return;
        }
        if at.gate.has_begun() {
            self.send_asides(at, waited, out);
        }
        self.send_in_order(at, waited, held_up, out);
        let more = !self.reading && self.read < self.log_end;
        // Counted no further than needed: this runs at every answer, and a page is long.
        let ready = || self.work.values().filter(|w| !w.sent).take(READY).count();
        if more && ready() < READY {
            self.reading = true;
            out.push(Effect::Read {
                after: self.read,
                limit: PAGE,
            });
        }
    }

    pub(super) fn has_room(&self, at: Context<'_>) -> bool {
        if at.gate.is_serial() && !self.flights.is_empty() {
            return false;
        }
        let window = if self.pace.is_quick() { self.window } else { 1 };
        self.in_flight() < window
    }

    fn send_in_order(
        &mut self,
        at: Context<'_>,
        waited: Option<u64>,
        held_up: Option<HeldUp>,
        out: &mut Vec<Effect>,
    ) {
        if self.in_place.as_ref().is_some_and(|t| at.now < t.due) {
            return;
        }
        while self.has_room(at) {
            let Some(work) = self.work.values().find(|w| !w.sent) else {
                return;
            };
            let (row, first) = (work.row.clone(), !work.answered);
            if !self.is_let_through(at, held_up, &row, first, out) {
                return;
            }
            if !self.is_beyond_suspicion(at, row.event.id, row.offset, out) {
                return;
            }
            if !self.may_call(at, waited) {
                return;
            }
            let Some(work) = self.work.get_mut(&row.offset) else {
                return;
            };
            work.sent = true;
            let open: VecDeque<_> = self
                .callbacks
                .iter()
                .flatten()
                .filter(|c| work.open.contains(&c.id))
                .map(|c| (c.n, c.id.clone()))
                .collect();
            let attempt = match &self.in_place {
                Some(t) if t.attempt.event == row.event.id => t.attempt.failed + 1,
                _ => 1,
            };
            self.send(row, open, attempt, false, out);
        }
    }

    pub(super) fn send(
        &mut self,
        row: Arc<Row>,
        open: VecDeque<(u32, CallbackId)>,
        attempt: u32,
        aside: bool,
        out: &mut Vec<Effect>,
    ) {
        self.seq += 1;
        let callbacks = open.iter().map(|(n, _)| *n).collect();
        self.flights.push_back(Flight {
            seq: self.seq,
            event: row.event.id,
            offset: row.offset,
            attempt,
            aside,
            void: false,
            open,
            us: 0,
            ticket: None,
        });
        out.push(Effect::Send(Frame {
            seq: self.seq,
            turn: self.turn,
            callbacks,
            attempt,
            row,
        }));
    }
}
