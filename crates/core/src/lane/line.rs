//! The lane in line: what others may wait for, and what it waits for itself
//! (ARCHITECTURE.md, "Order").
//!
//! Invariant: work still to do takes no lane out of the line. Invariant: one that left is back when
//! its cursor reaches the log's end, from there on.

use slated_model::{Change, LaneRow, Offset, Row};

use super::input::{Effect, Leave, Note};
use super::{Context, Lane};
use crate::order::{Gate, Peer};
use crate::time::Mono;

/// What keeps a lane from sending an event that it could send by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldUp {
    offset: Offset,
    since: Mono,
    /// The lane whose answer is waited for, by its place; `None`: dispatch has not begun.
    by: Option<usize>,
}

impl Peer for Lane {
    fn in_line_from(&self) -> Option<Offset> {
        let from = self.row.in_line_from;
        // One whose file went elsewhere may have been closed in line, and goes nowhere any more.
        (from < LaneRow::OUT_OF_LINE && self.row.moved_to.is_none()).then_some(from)
    }
    fn owes(&self, row: &Row) -> bool {
        if row.offset <= self.read {
            return self.work.get(&row.offset).is_some_and(|w| !w.answered);
        }
        let head = &row.event.head;
        let (kind, attribute) = (head.event_type.as_deref(), head.attribute_name.as_deref());
        // What is matched is what its worker asks for now, or asked for until it is replaced.
        row.event.is_readable()
            && !self.is_skipped(row)
            && self.skip_wish(row).is_none()
            && self.matchers.iter().any(|m| m.matches(kind, attribute))
    }
    fn owes_between(&self, from: Offset, to: Offset) -> bool {
        let unread = self.read.max(from).next() < to;
        let mut taken = self.work.iter().skip_while(|(offset, _)| **offset <= from);
        unread || taken.any(|(offset, work)| *offset < to && !work.answered)
    }
    fn calling_since(&self) -> Option<Mono> {
        self.calling_since
    }
    fn queues_at(&self) -> Option<u64> {
        self.number()
    }
}

impl Lane {
    /// Tells whether a row, or the first try of it, may be sent now as far as other lanes go.
    pub(super) fn is_let_through(
        &mut self,
        at: Context<'_>,
        before: Option<HeldUp>,
        row: &Row,
        first: bool,
        out: &mut Vec<Effect>,
    ) -> bool {
        let since = before
            .filter(|held| held.offset == row.offset && held.by.is_some())
            .map_or(at.now, |held| held.since);
        let held_up = |by| HeldUp {
            offset: row.offset,
            since,
            by,
        };
        if !at.gate.has_begun() {
            self.held_up = Some(held_up(None));
            return false;
        }
        // Only first tries have an order. And it may have waited long enough, then for something else.
        if !first || self.went_ahead == Some(row.offset) {
            return true;
        }
        // The nearest before it answers last, as a rule: its answer alone need wake this lane.
        let Some(last) = at.gate.waits_for(at.peers, row).last() else {
            return true;
        };
        if !at.gate.is_long(at.now, since) {
            self.held_up = Some(held_up(Some(last)));
            return false;
        }
        self.went_ahead = Some(row.offset);
        out.push(Effect::WentAhead {
            event: row.event.id,
            without: at.gate.waits_for(at.peers, row).collect(),
        });
        true
    }

    /// Leaves the line or comes back to it, where it is time to.
    pub(super) fn mind_the_line(&mut self, at: Context<'_>, out: &mut Vec<Effect>) {
        // A stop of the daemon finds and leaves everybody where they stand.
        if self.closed || !at.gate.has_begun() {
            return;
        }
        let why = self.unfit_for_line(at);
        let (from, note) = match (self.in_line_from(), why) {
            (Some(_), Some(why)) => (LaneRow::OUT_OF_LINE, Note::LeftLine(why)),
            (None, None) if self.cursor() >= self.log_end => (self.log_end, Note::InLine),
            _ => return,
        };
        self.row.in_line_from = from;
        self.record(vec![Change::Lane(self.row())], out);
        if why != Some(Leave::NoOrder) {
            out.push(Effect::Tell(note));
        }
    }

    fn unfit_for_line(&self, at: Context<'_>) -> Option<Leave> {
        if !at.gate.orders() {
            Some(Leave::NoOrder)
        } else if !self.running || self.row.hold.is_some() || self.awaits_site() {
            Some(Leave::NotRunning)
        } else if self.in_place.is_some() {
            Some(Leave::Retries)
        } else if self.call_is_long(at) {
            Some(Leave::LongCall)
        } else if self
            .retired
            .is_some_and(|since| at.gate.is_long(at.now, since))
        {
            Some(Leave::SlowEnd)
        } else {
            None
        }
    }

    /// Returns the place of the lane whose answer this one waits for.
    pub fn held_up_by(&self) -> Option<usize> {
        self.held_up.and_then(|held| held.by)
    }
    /// Returns the row at which it waits for others.
    pub fn held_up_at(&self) -> Option<&Row> {
        let held = self.held_up?;
        self.work.get(&held.offset).map(|w| &*w.row)
    }
    /// Returns when the lane has waited, or been waited for, long enough.
    pub(super) fn patience_ends(&self, now: Mono, gate: &Gate) -> Option<Mono> {
        let waits = self.held_up.filter(|h| h.by.is_some()).map(|h| h.since);
        let moments = [waits, self.calling_since, self.retired]
            .into_iter()
            .flatten();
        let ends = moments.filter_map(|since| gate.patience_ends(since));
        ends.filter(|end| *end > now).min()
    }
}
