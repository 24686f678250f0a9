//! Finds the newest row at which the site and the log agree.
//!
//! The anchors come first: they bound the place between one that is as it was and one that is not.
//! Between them the log's rows are asked for by id, some at a time, at the middle of what is left. Two
//! histories of one site are the same up to a restore and differ after it, so a place whose rows the
//! site does not show as they were is above the agreement.
//!
//! After a small restore the new history may write into an old hole before anybody notices; that row
//! is the same on both sides, and lies above rows that were lost. So only a row that entered the log
//! before one that was lost speaks for an agreement: then it was there when the site was restored.
//!
//! Invariant: a row that cannot be read on either side says nothing. Invariant: the agreement is a row
//! that the site has shown as it was. Invariant: no row that was lost lies below it.

use std::collections::BTreeMap;

use slated_model::{Anchor, Event, EventId, Fingerprint, LedgerState, Offset, Row};

use super::super::{Request, anchors};
use super::{Finding, Step};

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
    /// What was held against the site.
    held: BTreeMap<EventId, Held>,
    /// The site is not recognised by its anchors, or does not show the newest.
    strange: bool,
    finding: Finding,
}

/// A row of the log, held against the site's.
#[derive(Debug)]
struct Held {
    /// Where it stands in the log; 0 for one that the log does not hold, which is older.
    offset: Offset,
    print: Fingerprint,
    as_now: AsNow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AsNow {
    Same,
    Another,
    Absent,
}

#[derive(Debug)]
enum Stage {
    Newest,
    /// Where this anchor, and then the next ones, stand in the log.
    Places(usize, Vec<Print>),
    Anchors(Vec<Print>),
    /// Whether few enough rows are left to look at them all.
    Left,
    /// Rows of the log from the middle on.
    Middle(EventId),
    /// These rows are asked for; from the middle, or all that are left.
    Compare(Vec<Print>, Option<EventId>),
    Done,
}

/// What a row is known by.
type Print = (EventId, Offset, Fingerprint);

impl Survey {
    pub(super) fn new(ledger: &LedgerState, page: usize) -> Self {
        Self {
            anchors: ledger.anchors.clone(),
            limit: page.clamp(2, PROBE),
            hi: ledger.high.next(),
            stage: Stage::Newest,
            held: BTreeMap::new(),
            strange: false,
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
        let log = |from, limit| Some(Step::Log { from, limit });
        let ids = |rows: &[Print]| {
            let ids = rows.iter().map(|row| row.0).collect();
            Some(Step::Ask(Request::Ids(ids)))
        };
        match &self.stage {
            Stage::Newest => Some(Step::Ask(Request::Newest)),
            Stage::Places(n, _) => log(self.anchors[*n].id, 1),
            Stage::Left => log(self.low().next(), limit),
            Stage::Middle(from) => log(*from, limit),
            Stage::Anchors(rows) | Stage::Compare(rows, _) => ids(rows),
            Stage::Done => None,
        }
    }

    pub(super) fn log(&mut self, rows: &[Row]) {
        if let Stage::Places(n, known) = &mut self.stage {
            let anchor = &self.anchors[*n];
            let row = rows.iter().find(|row| row.event.id == anchor.id);
            let offset = row.map(|row| row.offset).unwrap_or_default();
            known.push((anchor.id, offset, anchor.print.clone()));
            *n += 1;
            if *n == self.anchors.len() {
                self.stage = Stage::Anchors(std::mem::take(known));
            }
            return;
        }
        let below = rows.iter().filter(|row| row.event.id < self.hi);
        let many = below.clone().count();
        let readable = below.filter(|row| row.event.is_readable());
        let prints = readable.map(|row| (row.event.id, row.offset, row.event.fingerprint()));
        match self.stage {
            Stage::Left if many == 0 => self.stage = Stage::Done,
            Stage::Left if many < self.limit => {
                self.stage = Stage::Compare(prints.collect(), None);
            }
            Stage::Left => {
                let (low, high) = (self.low().0, self.hi.0);
                self.stage = Stage::Middle(EventId(low + (high - low).div_ceil(2)));
            }
            // Nothing of the log stands in the upper half.
            Stage::Middle(from) if many == 0 => self.look_below(from),
            Stage::Middle(from) => self.stage = Stage::Compare(prints.collect(), Some(from)),
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
                    Stage::Places(0, Vec::new())
                };
            }
            Stage::Anchors(known) => {
                let newest = known.last().map(|print| print.0);
                let differs = self.compare(known, rows);
                let newest = newest.and_then(|id| self.held.get(&id));
                self.strange = anchors::judge(&self.anchors, rows).is_err()
                    || newest.is_some_and(|row| row.as_now == AsNow::Absent);
                self.conclude();
                if let Some(differs) = differs {
                    self.hi = self.hi.min(differs);
                }
                self.stage = Stage::Left;
            }
            Stage::Compare(known, from) => {
                let low = self.low();
                let differs = self.compare(known, rows);
                self.conclude();
                let Some(from) = from else {
                    return;
                };
                if self.low() > low {
                    self.hi = differs.map_or(self.hi, |differs| self.hi.min(differs));
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

    /// Takes how rows of the log compare with the site's; returns the lowest that is another one.
    fn compare(&mut self, known: Vec<Print>, rows: &[Event]) -> Option<EventId> {
        let mut differs = None;
        for (id, offset, print) in known {
            let as_now = match rows.iter().find(|row| row.id == id) {
                None => AsNow::Absent,
                Some(row) if !row.is_readable() => continue,
                Some(row) if row.fingerprint() == print => AsNow::Same,
                Some(_) => {
                    differs.get_or_insert(id);
                    AsNow::Another
                }
            };
            let held = Held {
                offset,
                print,
                as_now,
            };
            self.held.insert(id, held);
        }
        differs
    }

    /// Draws what follows from all that was held against the site.
    fn conclude(&mut self) {
        let of = |kind| self.held.iter().filter(move |(_, h)| h.as_now == kind);
        let last = |kind| of(kind).map(|(_, h)| h.offset).max();
        let differs = of(AsNow::Another).map(|(id, _)| *id).next();
        // What is absent may only be hidden, as some rows always are; not so where the site is strange.
        let lost = last(AsNow::Another).or_else(|| last(AsNow::Absent).filter(|_| self.strange));
        let speaks = |(id, held): &(&EventId, &Held)| {
            differs.is_none_or(|differs| **id < differs) && lost.is_none_or(|l| held.offset < l)
        };
        let agree = of(AsNow::Same).rfind(speaks).map(|(id, _)| *id);
        // Of anchors each one tells; of rows between them the newest is enough.
        let mut anchors = Vec::new();
        for (id, held) in of(AsNow::Same) {
            let anchor = Anchor {
                id: *id,
                print: held.print.clone(),
            };
            if Some(*id) == agree || (Some(*id) < agree && self.anchors.contains(&anchor)) {
                anchors.push(anchor);
            }
        }
        (self.finding.agree, self.finding.differs) = (agree, differs);
        self.finding.anchors = anchors;
    }
}
