//! The judge's books of one plugin: what it was told, what it answered, where it stands in line and
//! since when it waits. They are kept from what goes in and out of its lane.
//!
//! The lane is believed where it is not on trial here: that it is held, waits for the site or retries
//! in place (`retry` says so), and how many events are in flight.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use slated_core::Mono;
use slated_core::lane::{Frame, Input};
use slated_model::{CallbackId, Change, EventId, LaneRow, Row};

use super::studio::{Plugin, WINDOW};

#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Offsets after the cursor that it wants and that have a callback without an outcome or an
    /// attempt aside.
    open: BTreeSet<u64>,
    /// Callbacks that have one, for each offset.
    settled: BTreeSet<(u64, CallbackId)>,
    /// What a person let it skip: after the first offset, up to the second.
    skipped: Vec<(u64, u64)>,
    /// Offsets to which its load gave a first answer, for every callback that was due.
    answered: BTreeSet<u64>,
    answers: BTreeSet<u64>,
    /// Microseconds of its last events.
    pace: VecDeque<u64>,
    /// The log's end as it was told, and how far it was given the rows.
    told: u64,
    read: u64,
    /// A worker said what it wants; nobody knows before.
    loaded: bool,
    /// Since when nothing more is sent to its process, which is to end for another.
    pub(super) retired: Option<Mono>,
    pub(super) closed: bool,
    /// The offset after which it stands in line.
    pub(super) line: Option<u64>,
    /// The event that it could be sent but for others, and since when.
    pub(super) waits: Option<(u64, Mono)>,
    /// The event at which it waited long enough.
    pub(super) went_ahead: Option<u64>,
    /// It has a slot among those that may be called.
    pub(super) slot: bool,
    /// It could be sent something but for that, and what others were sent meanwhile, by place.
    pub(super) queues: Option<Vec<usize>>,
}

impl Books {
    pub(crate) const fn line(&self) -> Option<u64> {
        self.line
    }
    pub(crate) fn answers(&self) -> usize {
        self.answers.len()
    }
    pub(crate) fn first_open(&self) -> Option<u64> {
        self.open.first().copied()
    }

    /// There was an answer to an event for every callback that was due; it took so long, if it ended
    /// by itself.
    pub(crate) fn note_answer(&mut self, offset: u64, us: Option<u64>) {
        self.answered.insert(offset);
        self.answers.insert(offset);
        self.pace.extend(us);
        if self.pace.len() > 32 {
            self.pace.pop_front();
        }
    }

    /// Returns the offset up to which everything is finished.
    fn cursor(&self) -> u64 {
        let first = self.open.range(..=self.read).next();
        first.map_or(self.read, |offset| offset - 1)
    }
    pub(super) fn has_caught_up(&self) -> Option<u64> {
        (self.cursor() >= self.told).then_some(self.told)
    }

    pub(super) fn owes(&self, offset: u64) -> bool {
        self.open.contains(&offset) && !self.answered.contains(&offset)
    }
    /// Tells whether it owes an event between two others, or was not given all that stands there.
    pub(super) fn owes_between(&self, from: u64, to: u64) -> bool {
        let mut between = self.open.range(from + 1..to.max(from + 1));
        self.read.max(from) + 1 < to || between.any(|at| !self.answered.contains(at))
    }
    pub(super) fn has_answered(&self, offset: u64) -> bool {
        self.answered.contains(&offset)
    }
}

impl Plugin {
    /// Tells by the filter of its load and its start alone whether something is left to do of a row.
    fn is_open(&self, row: &Row) -> bool {
        let id = row.event.id;
        let below = self.start.floor.is_some_and(|floor| id <= floor);
        let skipped = |range: &(u64, u64)| range.0 < row.offset.0 && row.offset.0 <= range.1;
        if (below && !row.late && !self.start.owed.contains(&id))
            || self.books.skipped.iter().any(skipped)
        {
            return false;
        }
        let kind = row.event.head.event_type.as_deref();
        let mut wants = self.specs.iter().filter(|s| s.matcher.matches(kind, None));
        let unit = |id: &CallbackId| (row.offset.0, id.clone());
        wants.any(|s| !self.books.settled.contains(&unit(&s.id)))
    }

    /// Tells whether a frame is an attempt beside the order.
    pub(crate) fn is_aside(&self, frame: &Frame) -> bool {
        let [n] = frame.callbacks[..] else {
            return false;
        };
        let specs = self.own().callbacks().into_iter().flatten();
        let ids: Vec<_> = specs.filter(|s| s.n == n).map(|s| &s.id).collect();
        let event = frame.row.event.id;
        let mut attempts = self.own().attempts();
        attempts.any(|a| a.aside && a.event == event && ids.contains(&&a.callback))
    }
    /// Tells whether the lane waits until a callback may be tried again.
    pub(super) fn retries(&self) -> bool {
        self.own().attempts().any(|a| !a.aside)
    }
    /// Tells whether nobody needs to wait for it, but for a call that takes long.
    pub(super) fn is_away(&self) -> bool {
        let lane = self.own();
        !self.running || lane.hold().is_some() || lane.awaits_site() || self.retries()
    }

    /// Returns the event that the lane could be sent, were it alone.
    pub(super) fn could_be_sent(&self, serial: bool) -> Option<u64> {
        let (lane, books) = (self.own(), &self.books);
        let quick = books.pace.len() == 32 && books.pace.iter().sum::<u64>() < 32_000;
        let window = if quick { WINDOW } else { 1 };
        let room = lane.in_flight() < window && (!serial || self.calls.is_empty());
        let takes = self.up && books.retired.is_none() && !books.closed;
        if !takes || !room || lane.hold().is_some() || lane.awaits_site() || self.retries() {
            return None;
        }
        let out = |offset: &u64| self.calls.iter().any(|c| !c.aside && c.offset() == *offset);
        let mut open = books.open.range(..=books.read);
        open.find(|offset| !out(offset)).copied()
    }

    pub(crate) fn note_row(&mut self, row: &Row) {
        if self.books.loaded && self.is_open(row) {
            self.books.open.insert(row.offset.0);
        }
    }
    fn note_rows(&mut self, log: &[Arc<Row>]) {
        let read = self.books.read;
        self.books.open.clear();
        for row in log.iter().filter(|row| row.offset.0 > read) {
            self.note_row(row);
        }
    }

    /// The daemon begins with what is on the disk.
    pub(crate) fn take_up_books(&mut self, at: impl Fn(EventId) -> u64) {
        let row = &self.disk.row;
        let from = row.in_line_from;
        let asides = self.disk.attempts.values().filter(|a| a.aside);
        let asides = asides.map(|a| (at(a.event), a.callback.clone()));
        let outcomes = self.disk.outcomes.values();
        let settled = outcomes.map(|o| (at(o.event), o.callback.clone()));
        let in_place = self.disk.attempts.values().filter(|a| !a.aside);
        let skipped = row
            .skipped
            .iter()
            .map(|(after, through)| (after.0, through.0));
        self.books = Books {
            skipped: skipped.collect(),
            settled: settled.chain(asides).collect(),
            answered: in_place.map(|a| at(a.event)).collect(),
            answers: std::mem::take(&mut self.books.answers),
            read: row.cursor.0,
            line: (from < LaneRow::OUT_OF_LINE).then_some(from.0),
            ..Books::default()
        };
    }

    /// Notes what the lane is about to hear, and returns whether it takes its rows anew.
    pub(super) fn note_input(&mut self, now: Mono, input: &Input, log: &[Arc<Row>]) -> bool {
        let is_called = self.calls.iter().any(|call| !call.aside);
        let books = &mut self.books;
        match input {
            Input::LogGrew(end) => books.told = books.told.max(end.0),
            Input::Rows { after, through, .. } if after.0 == books.read && self.up => {
                books.read = books.read.max(through.0);
            }
            Input::Retired => {
                books.retired.get_or_insert(now);
            }
            Input::Close => {
                books.retired.get_or_insert(now);
                books.closed = true;
            }
            Input::Ready { callbacks, .. } => {
                books.read = books.cursor();
                (books.loaded, books.retired) = (true, None);
                books.pace.clear();
                self.specs.clone_from(callbacks);
                self.note_rows(log);
                return true;
            }
            Input::GoOnAfter(to) if !is_called && to.0 > books.cursor() => {
                books.skipped.push((books.cursor(), to.0));
                books.read = to.0;
                self.note_rows(log);
                return true;
            }
            _ => {}
        }
        false
    }
    /// What is taken anew has no answer yet, but for what is retried in place.
    pub(super) fn forget_answers(&mut self) {
        let tried = self.own().attempts().filter(|a| !a.aside);
        let tried: Vec<_> = tried.map(|a| a.offset.0).collect();
        self.books.answered.retain(|offset| tried.contains(offset));
    }
    /// Notes what the lane puts on record.
    pub(super) fn note_record(&mut self, changes: &[Change], log: &[Arc<Row>]) {
        for change in changes {
            let (event, callback) = match change {
                Change::Outcome(o) => (o.event, &o.callback),
                Change::Attempt(a) if a.aside => (a.event, &a.callback),
                _ => continue,
            };
            let Some(row) = log.iter().find(|row| row.event.id == event) else {
                continue;
            };
            self.books.settled.insert((row.offset.0, callback.clone()));
            if !self.is_open(row) {
                self.books.open.remove(&row.offset.0);
            }
        }
    }
}
