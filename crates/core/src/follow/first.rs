//! The first read: where to start, and which ids below the start are still in flight.
//!
//! Invariant: an id below the start is judged once. Present means before the start; absent
//! means a hole, since its transaction may yet commit. Nothing is handed out before the
//! whole read is in, so it is written in one commit or not at all.

use std::collections::BTreeSet;

use slated_model::{Anchor, Event, EventId};

use super::anchors::{self, AnchorLost};
use super::ledger::{Budget, Ledger};
use super::request::{Disorder, Page, Request, Span, ask};
use super::{Pace, Start};
use crate::Mono;

/// A first read under way.
#[derive(Debug)]
pub(super) struct First {
    start: Start,
    /// Nothing up to here is judged: it was followed before.
    above: EventId,
    pace: Pace,
    read: Option<Read>,
}

/// What is read once the site's newest id is known.
#[derive(Debug)]
struct Read {
    high: EventId,
    owed: BTreeSet<EventId>,
    /// The ranges to read, ascending, and how many of them are done.
    spans: Vec<Span>,
    done: usize,
    least: EventId,
    found: Found,
}

/// What a first read found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) high: EventId,
    /// The site's newest id when the read began.
    pub(super) newest: EventId,
    pub(super) anchors: Vec<Anchor>,
    pub(super) ledger: Ledger,
    /// Rows that lanes of another daemon were owed.
    pub(super) events: Vec<Event>,
}

/// What an answer led to.
#[derive(Debug)]
pub(super) enum Step {
    /// There is more to ask.
    More,
    /// The whole read is in.
    Done(Found),
    /// The site ends before a position taken over.
    Lost(AnchorLost),
}

impl First {
    pub(super) fn new(start: Start, pace: Pace) -> Self {
        Self::above(start, EventId::default(), pace)
    }
    /// Reads a start above an id that was followed up to already.
    pub(super) fn above(start: Start, above: EventId, pace: Pace) -> Self {
        Self {
            start,
            above,
            pace,
            read: None,
        }
    }
    pub(super) fn request(&self) -> Request {
        match &self.read {
            None => Request::Newest,
            Some(read) => {
                let spans = read.chunk(self.pace);
                let least = spans.first().map_or(read.least, |s| s.0.max(read.least));
                ask(least, spans, None, self.pace.page)
            }
        }
    }
    pub(super) fn answer(&mut self, rows: Vec<Event>, now: Mono) -> Result<Step, Disorder> {
        let page = self.pace.page;
        if let Some(read) = &mut self.read {
            let page = Page::new(rows, read.least, page)?;
            read.take(&page, self.pace);
        } else {
            let newest = rows.iter().map(|r| r.id).max().unwrap_or_default();
            match Read::plan(&self.start, self.above, newest, self.pace, now) {
                Ok(read) => self.read = Some(read),
                Err(lost) => return Ok(Step::Lost(lost)),
            }
        }
        match &mut self.read {
            Some(read) if read.done >= read.spans.len() => {
                Ok(Step::Done(std::mem::take(&mut read.found)))
            }
            _ => Ok(Step::More),
        }
    }
}

impl Read {
    fn plan(
        start: &Start,
        above: EventId,
        newest: EventId,
        pace: Pace,
        now: Mono,
    ) -> Result<Self, AnchorLost> {
        let (high, owed) = match start {
            Start::Latest => (newest, BTreeSet::new()),
            Start::FromId(id) => (id.prev().min(newest), BTreeSet::new()),
            Start::Imported { cursors, owed } => {
                let furthest = cursors.iter().max().copied().unwrap_or_default();
                if newest < furthest {
                    let cursor = furthest;
                    return Err(AnchorLost::Behind { newest, cursor });
                }
                // Owed ids above the start are met by the ordinary polls.
                let high = cursors.iter().min().copied().unwrap_or(newest);
                (
                    high,
                    owed.iter().filter(|id| **id <= high).copied().collect(),
                )
            }
        };
        let base = EventId(high.0.saturating_sub(pace.lookback)).max(above);
        let far = owed.range(..=base).map(|id| (*id, *id));
        let near = (base < high).then(|| (base.next(), high));
        let spans: Vec<Span> = far.chain(near).collect();
        let mut ledger = Ledger::default();
        for span in &spans {
            ledger.open(*span, now, false);
        }
        Ok(Self {
            high,
            owed,
            spans,
            done: 0,
            least: EventId::default(),
            found: Found {
                high,
                newest,
                ledger,
                ..Found::default()
            },
        })
    }
    fn chunk(&self, pace: Pace) -> &[Span] {
        let end = self.spans.len().min(self.done + Budget::of(pace.page).open);
        self.spans.get(self.done..end).unwrap_or_default()
    }
    fn take(&mut self, page: &Page, pace: Pace) {
        for row in page.rows.iter().filter(|r| r.id <= self.high) {
            if self.found.ledger.fill(row.id).is_none() {
                continue;
            }
            self.found.anchors.extend(anchors::of(row));
            if self.owed.contains(&row.id) {
                self.found.events.push(row.clone());
            }
        }
        match page.rows.last() {
            // By key, so that each id is judged in one snapshot.
            Some(last) if page.full => self.least = last.id.next(),
            _ => {
                self.done += self.chunk(pace).len();
                self.least = EventId::default();
            }
        }
        if self.done >= self.spans.len() {
            let anchors = std::mem::take(&mut self.found.anchors);
            self.found.anchors = anchors::thin(anchors);
        }
    }
}
