//! The ordered way of one plugin through the log.
//!
//! A lane reads rows, finds which callbacks want them, sends one frame per event to the
//! plugin's worker and turns the answers into records. It is a state machine: [`Lane::step`]
//! takes an [`Input`] and says what to do as [`Effect`]s; it knows no clock, store or process.
//!
//! * `work`: rows that wait for answers, and where the cursor may stand
//! * `send`: what may be sent now
//! * `answer`: what an answer, a failure or a death means
//! * `trial`: a unit that failed before
//! * `aside`: attempts beside the lane's order
//! * `resume`: how it goes on after a hold; `rewind`, `skip`: what else a person wishes
//! * `suspect`: what may have ended slated itself
//! * `resume`: how it goes on after a hold
//! * `void`: what it forgets when the site became another one
//! * `line`: what lanes wait for in each other; `slot`: the limit of calls; `among`: a step with the
//!   others in sight
//!
//! Invariant: a unit (event, callback) gets at most one outcome, and once it has one it is never
//! sent again. Invariant: the cursor stands below every row that has a unit without outcome or
//! attempt aside. Invariant: events that were sent and whose outcomes are not durable yet number
//! at most `window`, and at most one unless the plugin is quick (promise P4).
//!
//! Not here: which process runs the plugin (`life`), what the failure policy says (`retry`), who
//! goes first (`order`).

mod among;
mod answer;
mod aside;
mod input;
mod line;
mod resume;
mod rewind;
mod send;
mod skip;
mod slot;
mod suspect;
#[cfg(test)]
mod tests;
mod trial;
mod void;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use slated_model::{
    Attempt, CallbackId, Change, EventId, HoldRow, LaneRow, Matcher, Offset, OutcomeRow,
};

use crate::dice::Dice;
use crate::order::{Gate, Peers};
use crate::retry::{Policy, SiteHealth};
use crate::time::Mono;

pub use among::{HasLane, Moment, step};
use aside::Aside;
pub use input::{CallbackSpec, Effect, Frame, Input, Leave, Note, Reply, Verdict};
use line::HeldUp;
pub use rewind::Standing;
use send::{Flight, Pace};
use slot::Slot;
use trial::Trial;
pub use void::void_row;
use work::{Finished, Work};

/// A cursor move alone is written after this long: what matched nothing need not be durable at once.
const CURSOR_FLUSH: Duration = Duration::from_secs(1);
/// How many matched events are held ready to be sent.
const READY: usize = 64;
/// How many rows are asked of the log at once.
const PAGE: usize = 500;

/// What surrounds a step: the moment, the wall clock for people, and the other lanes.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The moment.
    pub now: Mono,
    /// Milliseconds since 1970, written beside records for people to read.
    pub wall_ms: i64,
    /// Who goes first.
    pub gate: &'a Gate,
    /// The lanes beside this one; none where the gate heeds none.
    pub peers: Peers<'a>,
    /// How the site looks to the follower.
    pub site: SiteHealth,
}

/// How a lane waits for a site that was down for one of its callbacks. It lasts until a callback
/// finishes.
#[derive(Clone, Copy, Debug)]
struct SiteWait {
    /// When the first callback failed so.
    since: Mono,
    /// How often one was tried again in vain.
    tries: u32,
    stage: SiteStage,
}

#[derive(Clone, Copy, Debug)]
enum SiteStage {
    /// Waits for the follower's next good read.
    ForRead,
    /// Waits a little longer, so that not all lanes fall upon a site that just came back.
    Until(Mono),
    /// The callback is being tried again.
    Trying,
}

/// The lane of one plugin.
#[derive(Debug)]
pub struct Lane {
    row: LaneRow,
    policy: Policy,
    /// Events in flight at most, by configuration and by the worker's own word.
    window: usize,
    configured_window: usize,
    dice: Dice,

    /// The callbacks of the worker that gets the frames; `None` while there is none.
    callbacks: Option<Vec<CallbackSpec>>,
    /// What they want, known also while one worker is replaced by another.
    matchers: Vec<Matcher>,
    /// Since when nothing more is sent to that worker, which still answers.
    retired: Option<Mono>,
    /// The plugin runs, as far as its process goes.
    running: bool,
    /// The daemon ends.
    closed: bool,
    /// Rows up to here were taken from the log.
    read: Offset,
    /// The end of the log as last heard of.
    log_end: Offset,
    /// A read is under way.
    reading: bool,
    /// Rows taken that have unfinished units.
    work: BTreeMap<Offset, Work>,
    /// Units of rows after the cursor that have an outcome.
    finished: BTreeMap<EventId, Finished>,
    /// The first row at or above the floor: the floor falls when the cursor passes it.
    floor_ends: Option<Offset>,

    /// Frames sent and not answered in full, in order.
    flights: VecDeque<Flight>,
    /// Tickets of the last outcome of events whose record is not durable yet.
    undurable: VecDeque<u64>,
    /// Everything up to this ticket is durable.
    durable: u64,
    seq: u64,
    turn: u64,
    ticket: u64,
    pace: Pace,

    /// The unit whose failure the lane waits for.
    in_place: Option<Trial>,
    /// Units that failed and are tried again beside the order.
    aside: BTreeMap<(EventId, CallbackId), Aside>,
    /// The site was down for a callback.
    site_wait: Option<SiteWait>,

    /// When the call that is out began.
    calling_since: Option<Mono>,
    /// The call that is out counts among those that may be.
    occupies: bool,
    /// How it stands to the limit of calls.
    slot: Slot,
    /// What keeps it from sending what it could send.
    held_up: Option<HeldUp>,
    /// The row that it takes though others have not answered it: it waited long enough.
    went_ahead: Option<Offset>,

    /// The cursor as last recorded, and when.
    flushed: (Offset, Mono),
    /// Slated ended uncleanly, and nothing was sent since.
    unclean: bool,
}

/// Gathers the callbacks of outcomes by their events.
fn finished(outcomes: &[OutcomeRow]) -> BTreeMap<EventId, Finished> {
    let mut finished = BTreeMap::<EventId, Finished>::new();
    for outcome in outcomes {
        let of = finished.entry(outcome.event).or_default();
        of.callbacks.push(outcome.callback.clone());
    }
    finished
}

impl Lane {
    /// Takes up a lane where the record says it stands: its row, its open attempts, and the
    /// outcomes of events after its cursor.
    pub fn new(
        row: LaneRow,
        policy: Policy,
        window: usize,
        attempts: Vec<Attempt>,
        ahead: &[OutcomeRow],
        now: Mono,
        seed: u64,
    ) -> Self {
        let mut lane = Self {
            read: row.cursor,
            log_end: row.cursor,
            flushed: (row.cursor, now),
            row,
            policy,
            window: window.max(1),
            configured_window: window.max(1),
            dice: Dice::new(seed),
            callbacks: None,
            matchers: Vec::new(),
            retired: None,
            running: false,
            closed: false,
            reading: false,
            work: BTreeMap::new(),
            finished: finished(ahead),
            floor_ends: None,
            flights: VecDeque::new(),
            undurable: VecDeque::new(),
            durable: 0,
            seq: 0,
            turn: 0,
            ticket: 0,
            pace: Pace::default(),
            in_place: None,
            aside: BTreeMap::new(),
            site_wait: None,
            calling_since: None,
            occupies: false,
            slot: Slot::Idle,
            held_up: None,
            went_ahead: None,
            unclean: false,
        };
        for attempt in attempts {
            let trial = Trial::restored(attempt, now);
            if trial.attempt.aside {
                let key = (trial.attempt.event, trial.attempt.callback.clone());
                lane.aside.insert(key, Aside::new(trial, None));
            } else {
                lane.in_place = Some(trial);
            }
        }
        lane
    }

    /// Judges failures by another policy from now on; what waits for another attempt waits as long as
    /// was said. The window holds for the worker that is ready next.
    pub fn set_policy(&mut self, policy: Policy, window: usize) {
        self.policy = policy;
        self.configured_window = window.max(1);
    }

    /// Takes one input and returns what to do, in order.
    pub fn step(&mut self, at: Context<'_>, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.mind_the_slot(at);
        match input {
            Input::Ready { callbacks, window } => self.ready(at, callbacks, window, &mut out),
            Input::Retired => self.retire(at),
            Input::Running(running) => self.running = running,
            Input::Answer { seq, n, reply } => self.answer(at, seq, n, reply, &mut out),
            Input::Gone { verdict } => self.gone(at, verdict, &mut out),
            Input::LogGrew(end) => self.log_end = self.log_end.max(end),
            Input::Rows {
                after,
                rows,
                through,
            } if after == self.read => self.take(at, rows, through, &mut out),
            Input::Recalled { event, row } => self.recalled(at, event, row, &mut out),
            Input::Durable(ticket) => {
                self.durable = ticket;
                while self.undurable.front().is_some_and(|t| *t <= self.durable) {
                    self.undurable.pop_front();
                }
            }
            Input::SiteRead => self.site_read(at),
            Input::Retried(attempt) => self.retried(at, attempt, &mut out),
            Input::Resume => self.resume(at, &mut out),
            Input::GoOnAfter(to) => self.go_on_after(at, to, &mut out),
            Input::Skip { row, reason } => self.skip(at, &row, &reason, &mut out),
            Input::Rewind { to, again, done } => self.rewind(at, to, again, &done, &mut out),
            Input::Void(above) => self.void(above, &mut out),
            Input::WriteDown => self.write_down(at, &mut out),
            Input::Close => {
                self.retire(at);
                self.closed = true;
                self.write_down(at, &mut out);
            }
            // An answer to an older question is no news.
            Input::Rows { .. } | Input::Tick => {}
        }
        self.send_what_may(at, &mut out);
        self.mind_the_call(at);
        self.mind_the_line(at, &mut out);
        self.flush_cursor(at, &mut out);
        out
    }

    /// Returns when the next [`Input::Tick`] is due, if nothing happens before.
    pub fn wake_at(&self, now: Mono, gate: &Gate) -> Option<Mono> {
        let patience = self.patience_ends(now, gate);
        let flush = (self.cursor() > self.flushed.0).then(|| self.flushed.1 + CURSOR_FLUSH);
        if !self.may_send() {
            return [flush, patience].into_iter().flatten().min();
        }
        let sends = match self.site_wait.map(|w| w.stage) {
            Some(SiteStage::ForRead) => None,
            Some(SiteStage::Until(due)) => Some(due),
            Some(SiteStage::Trying) | None => {
                let asides = self
                    .aside
                    .values()
                    .filter(|a| a.waits())
                    .map(|a| a.trial.due);
                // What is due already waits for room, not for time.
                asides
                    .chain(self.in_place.as_ref().map(|t| t.due))
                    .filter(|due| *due > now)
                    .min()
            }
        };
        [flush, sends, patience].into_iter().flatten().min()
    }

    /// Returns the durable part as it stands now.
    pub fn row(&self) -> LaneRow {
        LaneRow {
            cursor: self.cursor(),
            ..self.row.clone()
        }
    }
    /// Returns what is on record about the lane itself; its cursor may be behind.
    pub const fn record_row(&self) -> &LaneRow {
        &self.row
    }
    /// Returns the offset below which everything is finished, or tried aside.
    pub fn cursor(&self) -> Offset {
        self.work
            .first_key_value()
            .map_or(self.read, |(offset, _)| Offset(offset.0 - 1))
    }
    /// Returns how many rows of the log stand after the cursor.
    pub fn lag(&self) -> u64 {
        self.cursor().until(self.log_end)
    }
    /// Tells whether the lane waits for the site, on account of a callback that needs it.
    pub const fn awaits_site(&self) -> bool {
        match self.site_wait {
            Some(wait) => matches!(wait.stage, SiteStage::ForRead | SiteStage::Until(_)),
            None => false,
        }
    }
    /// Returns why the lane waits for a person, if it does.
    pub const fn hold(&self) -> Option<&HoldRow> {
        self.row.hold.as_ref()
    }
    /// Returns the attempts that are open: the one the lane waits for, and those aside.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        let aside = self.aside.values().map(|a| &a.trial.attempt);
        self.in_place.iter().map(|t| &t.attempt).chain(aside)
    }
    /// Returns what has an outcome though the cursor has not passed its event.
    pub fn finished_ahead(&self) -> impl Iterator<Item = (EventId, &CallbackId)> {
        let units = self.finished.iter();
        let units = units.flat_map(|(event, f)| f.callbacks.iter().map(|c| (*event, c)));
        let open = |unit: &(EventId, &CallbackId)| {
            self.attempts()
                .any(|attempt| (attempt.event, &attempt.callback) == *unit)
        };
        units.filter(move |unit| !open(unit))
    }
    /// Returns how many events are in flight: sent, and their outcomes not durable yet.
    pub fn in_flight(&self) -> usize {
        self.flights.len() + self.undurable.len()
    }
    /// Tells whether a worker has frames it has not answered in full.
    pub fn is_busy(&self) -> bool {
        !self.flights.is_empty()
    }
    /// Returns the call that a frame is in: its event, its callback, and which attempt it is.
    pub fn call_of(&self, seq: u64) -> Option<(EventId, &CallbackId, u32)> {
        let flight = self.flights.iter().find(|f| f.seq == seq)?;
        let (_, callback) = flight.open.front()?;
        Some((flight.event, callback, flight.attempt))
    }
    /// Returns the call that its worker is in: that of the first frame.
    pub fn call(&self) -> Option<(EventId, &CallbackId, u32)> {
        self.call_of(self.flights.front()?.seq)
    }
    /// Returns the event of a frame that is under way.
    pub fn event_of(&self, seq: u64) -> Option<EventId> {
        self.flights.iter().find(|f| f.seq == seq).map(|f| f.event)
    }
    /// Returns the callbacks of the worker in use.
    pub fn callbacks(&self) -> Option<&[CallbackSpec]> {
        self.callbacks.as_deref()
    }

    /// Changes what is on record about the lane itself.
    pub fn amend(&mut self, change: impl FnOnce(&mut LaneRow)) -> Vec<Effect> {
        change(&mut self.row);
        let mut out = Vec::new();
        self.record(vec![Change::Lane(self.row())], &mut out);
        out
    }

    fn record(&mut self, changes: Vec<Change>, out: &mut Vec<Effect>) -> u64 {
        self.ticket += 1;
        out.push(Effect::Record {
            ticket: self.ticket,
            changes,
        });
        self.ticket
    }

    /// Appends the cursor to `changes` if it moved since it was last recorded, and lets the floor
    /// fall once the cursor is past it.
    fn with_cursor(&mut self, at: Context<'_>, mut changes: Vec<Change>) -> Vec<Change> {
        let cursor = self.cursor();
        if cursor <= self.flushed.0 {
            return changes;
        }
        self.flushed = (cursor, at.now);
        if self.floor_ends.is_some_and(|end| cursor >= end) {
            self.floor_ends = None;
            self.row.floor = None;
            self.row.owed.clear();
            changes.push(Change::Lane(self.row()));
        }
        if self.row.skips.iter().any(|skip| skip.offset <= cursor) {
            self.row.skips.retain(|skip| skip.offset > cursor);
            changes.push(Change::Lane(self.row()));
        }
        changes.push(Change::Cursor {
            plugin: self.row.plugin.clone(),
            cursor,
        });
        changes
    }

    fn retire(&mut self, at: Context<'_>) {
        self.retired.get_or_insert(at.now);
    }

    /// Puts on record what only this process knows.
    fn write_down(&mut self, at: Context<'_>, out: &mut Vec<Effect>) {
        let asides = self.aside.values_mut().map(|a| &mut a.trial);
        let trials = self.in_place.iter_mut().chain(asides);
        let changes = trials.filter_map(|trial| {
            trial
                .wait_on(at.now)
                .then(|| Change::Attempt(trial.attempt.clone()))
        });
        let changes = changes.collect();
        let changes = self.with_cursor(at, changes);
        if !changes.is_empty() {
            self.record(changes, out);
        }
    }

    fn flush_cursor(&mut self, at: Context<'_>, out: &mut Vec<Effect>) {
        if self.cursor() > self.flushed.0 && at.now >= self.flushed.1 + CURSOR_FLUSH {
            let changes = self.with_cursor(at, Vec::new());
            self.record(changes, out);
        }
    }

    /// Tells whether there is a worker to send to and nobody forbade it.
    fn may_send(&self) -> bool {
        self.callbacks.is_some() && self.retired.is_none() && self.row.hold.is_none()
    }

    /// Takes a good read of the follower as a sign that callbacks may reach the site again.
    fn site_read(&mut self, at: Context<'_>) {
        if let Some(wait) = &mut self.site_wait
            && matches!(wait.stage, SiteStage::ForRead)
        {
            let longest = Duration::from_secs(1 << wait.tries.min(5));
            wait.stage = SiteStage::Until(at.now + self.dice.spread(longest, 0.0));
        }
    }

    fn site_is_back(&mut self, at: Context<'_>) -> bool {
        let Some(wait) = &mut self.site_wait else {
            return true;
        };
        match wait.stage {
            SiteStage::ForRead => return false,
            SiteStage::Until(due) if at.now < due => return false,
            SiteStage::Until(_) => wait.stage = SiteStage::Trying,
            SiteStage::Trying => {}
        }
        true
    }

    /// Counts an event as in flight until its last record is durable.
    fn await_durable(&mut self, ticket: Option<u64>) {
        self.undurable.extend(ticket.filter(|t| *t > self.durable));
    }

    fn spec(&self, callback: &CallbackId) -> Option<&CallbackSpec> {
        self.callbacks.iter().flatten().find(|c| c.id == *callback)
    }
}
