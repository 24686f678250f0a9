//! Finds the newest row at which the site and the log agree.
//!
//! The anchors come first: they bound the place between one that is as it was and one that is not.
//! Between them the log's rows are asked for by id, some at a time, at the middle of what is left. Two
//! histories of one site are the same up to a restore and differ after it, so a place whose rows the
//! site does not show as they were is above the agreement.
//!
//! Invariant: a row that cannot be read on either side says nothing. Invariant: the agreement is a row
//! that the site has shown as it was.

use slated_model::{Anchor, Event, EventId, LedgerState};

use super::super::Request;
use super::{Finding, Print, Step};

/// Rows of the log that are held against the site at once.
const PROBE: usize = 100;

/// A search under way.
#[derive(Debug)]
pub(super) struct Survey {
    anchors: Vec<Anchor>,
    limit: usize,
    /// The lowest id that is known, or taken, to be above the agreement.
    hi: EventId,
    stage: Stage,
    finding: Finding,
}

#[derive(Debug)]
enum Stage {
    Newest,
    Anchors,
    /// Whether few enough rows are left to look at them all.
    Left,
    /// Rows of the log from the middle on.
    Middle(EventId),
    /// These rows are asked for; from the middle, or all that are left.
    Compare(Vec<Print>, Option<EventId>),
    Done,
}

impl Survey {
    pub(super) fn new(ledger: &LedgerState, page: usize) -> Self {
        Self {
            anchors: ledger.anchors.clone(),
            limit: page.clamp(2, PROBE),
            hi: ledger.high.next(),
            stage: Stage::Newest,
            finding: Finding {
                high: ledger.high,
                ..Finding::default()
            },
        }
    }

    pub(super) const fn finding(&self) -> &Finding {
        &self.finding
    }

    /// Says what to do; `None` when the search has ended.
    pub(super) fn next(&self) -> Option<Step> {
        let limit = self.limit;
        let ids = |ids: Vec<EventId>| Some(Step::Ask(Request::Ids(ids)));
        match &self.stage {
            Stage::Newest => Some(Step::Ask(Request::Newest)),
            Stage::Anchors => ids(self.anchors.iter().map(|a| a.id).collect()),
            Stage::Left => Some(Step::Log {
                from: self.low().next(),
                limit,
            }),
            Stage::Middle(from) => Some(Step::Log { from: *from, limit }),
            Stage::Compare(rows, _) => ids(rows.iter().map(|row| row.0).collect()),
            Stage::Done => None,
        }
    }

    pub(super) fn log(&mut self, mut rows: Vec<Print>) {
        rows.retain(|row| row.0 < self.hi);
        match self.stage {
            Stage::Left if rows.is_empty() => self.stage = Stage::Done,
            Stage::Left if rows.len() < self.limit => self.stage = Stage::Compare(rows, None),
            Stage::Left => {
                let (low, high) = (self.low().0, self.hi.0);
                self.stage = Stage::Middle(EventId(low + (high - low).div_ceil(2)));
            }
            // Nothing of the log stands in the upper half.
            Stage::Middle(from) if rows.is_empty() => self.look_below(from),
            Stage::Middle(from) => self.stage = Stage::Compare(rows, Some(from)),
            // Rows that nobody asked for are no news.
            _ => {}
        }
    }

    pub(super) fn site(&mut self, rows: &[Event]) {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Newest => {
                self.finding.newest = rows.iter().map(|r| r.id).max().unwrap_or_default();
                self.stage = if self.anchors.is_empty() {
                    Stage::Left
                } else {
                    Stage::Anchors
                };
            }
            Stage::Anchors => {
                let known: Vec<Print> = self
                    .anchors
                    .iter()
                    .map(|a| (a.id, Some(a.print.clone())))
                    .collect();
                if let Some(differs) = self.compare(&known, rows) {
                    self.hi = self.hi.min(differs);
                }
                self.stage = Stage::Left;
            }
            Stage::Compare(known, from) => {
                let low = self.low();
                let differs = self.compare(&known, rows);
                let Some(from) = from else {
                    return;
                };
                if self.low() > low {
                    self.hi = differs.unwrap_or(self.hi);
                    self.stage = Stage::Left;
                } else {
                    self.look_below(from);
                }
            }
            stage => self.stage = stage,
        }
    }

    /// Returns the newest agreement so far.
    fn low(&self) -> EventId {
        self.finding.agree.unwrap_or_default()
    }

    fn look_below(&mut self, middle: EventId) {
        self.hi = middle;
        self.stage = Stage::Left;
    }

    /// Takes what agrees before the first row that differs, and returns that one.
    fn compare(&mut self, known: &[Print], rows: &[Event]) -> Option<EventId> {
        let mut newest = None;
        for (id, print) in known {
            let row = rows.iter().find(|r| r.id == *id && r.is_readable());
            let (Some(row), Some(print)) = (row, print) else {
                continue;
            };
            if row.fingerprint() != *print {
                let lowest = self.finding.differs.map_or(*id, |known| known.min(*id));
                self.finding.differs = Some(lowest);
                self.keep(newest);
                return Some(*id);
            }
            let anchor = Anchor {
                id: *id,
                print: print.clone(),
            };
            // Of anchors each one tells; of rows between them the newest is enough.
            if self.anchors.contains(&anchor) {
                self.finding.anchors.push(anchor.clone());
            }
            newest = Some(anchor);
        }
        self.keep(newest);
        None
    }

    fn keep(&mut self, newest: Option<Anchor>) {
        let Some(anchor) = newest.filter(|a| a.id > self.low()) else {
            return;
        };
        self.finding.agree = Some(anchor.id);
        self.finding.anchors.push(anchor);
    }
}
