//! The follower: reads a site's event log so that each row is appended exactly once.
//!
//! A site takes an id before its transaction commits, so a lower id may become visible
//! after a higher one, or never. The follower keeps the highest id seen and a ledger of
//! *holes*, the ids below it that no look has shown. One request per poll reads the head
//! and carries along the holes that are due; a hole is asked for ever more rarely, and
//! never given up.
//!
//! Invariant: at every commit, each id up to the highest seen is in the log, in a hole, or
//! before the start. Invariant: only an answer changes anything; a request that failed
//! ages no hole. Invariant: nothing is appended from an answer that does not vouch for its
//! history: it shows the highest row as it was seen, or the anchors are asked first.
//! Invariant: no wall clock and no date of a row takes part.
//!
//! The caller asks [`Follower::next`] what to do, makes the request, and gives the outcome
//! to [`Follower::answer`] or [`Follower::failed`]. A [`Look`] is to be committed, whole,
//! before the next call. There is no way back behind a `Look`: whoever cannot commit one
//! drops the follower and starts another from what is on disk.
//!
//! Not here: HTTP, back-off after failures (the caller waits before it calls `next`),
//! lanes and their floors.
//!
//! * [`Request`], [`Disorder`]: what is asked, and an answer that contradicts it
//! * [`AnchorLost`]: the site is not the one that was followed; [`decide`]: how a person goes on;
//!   [`is_known`]: whether another address may be the same site
//! * [`Status`]: what an operator sees

mod anchors;
pub mod decide;
mod doubt;
mod first;
mod ladder;
mod ledger;
mod request;
mod settle;
mod split;
mod status;

use std::time::Duration;

pub use slated_model::Start;
use slated_model::{Anchor, Event, EventId, Hole, LedgerChange, LedgerState};

pub use self::anchors::{AnchorLost, is_known};
use self::doubt::Doubt;
use self::first::{First, Found, Step};
use self::ladder::Rung;
use self::ledger::{Budget, Ledger};
pub use self::request::{Disorder, Request};
use self::request::{Page, Span};
use self::settle::Settle;
use self::split::Split;
pub use self::status::{Extent, Status};
use crate::Mono;

/// Ages alone are written so often: a kill loses so much of them, and never a hole.
const SAVE_AGES: Duration = Duration::from_mins(1);
/// Further requests in one poll for holes of the first rung.
const EXTRA: u8 = 2;

/// How a site is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Rows per page; at least 2, and never above the site's own limit.
    pub page: usize,
    /// From the start of one poll to the start of the next.
    pub tick: Duration,
    /// How many ids below a start may be in flight then.
    pub lookback: u64,
    /// How long rows above a fresh hole wait for it to fill.
    pub settle: Duration,
}

impl Pace {
    /// Returns the pace that suits most sites.
    pub const fn usual() -> Self {
        Self {
            page: 500,
            tick: Duration::from_secs(2),
            lookback: 5000,
            settle: Duration::ZERO,
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::usual()
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make this request, then call `answer` or `failed`.
    Ask(Request),
    /// Call `next` again then.
    Wait(Mono),
    /// Intake has ended; a person must decide.
    Stopped(AnchorLost),
}

/// What one answer brought, to be written in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Events in arrival order, each with whether it filled a hole.
    pub events: Vec<(Event, bool)>,
    /// What changed in the ledger.
    pub ledger: LedgerChange,
}

/// Follows one site.
#[derive(Debug)]
pub struct Follower {
    pace: Pace,
    /// The first read, until it is in.
    first: Option<First>,
    high: EventId,
    /// The newest id the site has shown; it may be above `high`.
    newest: EventId,
    anchors: Vec<Anchor>,
    ledger: Ledger,
    audited: EventId,
    /// Whether the site was recognised since the start.
    recognised: bool,
    lost: Option<AnchorLost>,
    asked: Option<Asked>,
    /// A look that waits for the anchors to vouch for it.
    unproved: Option<Seen>,
    doubt: Doubt,
    /// The poll under way: when it began, and how many extra looks it has left.
    poll: Option<(Mono, u8)>,
    next_poll: Mono,
    next_ride: Mono,
    /// The last ride failed: the head goes alone once, so that a site which cannot answer
    /// for the holes still hands out its new rows.
    alone: bool,
    ages_saved: Mono,
    caught_up: bool,
    settle: Settle,
    split: Split,
    /// When the request under way was made.
    asked_at: Mono,
    /// Holes that this poll asks for behind its head.
    behind: Vec<Span>,
    late: u64,
    audit_hits: u64,
}

/// The request under way.
#[derive(Debug)]
enum Asked {
    First,
    Anchors,
    Look {
        spans: Vec<Span>,
        least: EventId,
        /// Whether it asks for the head, too.
        head: bool,
    },
}

/// An answer to a look.
#[derive(Debug)]
struct Seen {
    page: Page,
    spans: Vec<Span>,
}

impl Follower {
    /// Goes on from `state`, or from `start` if there is none.
    pub fn start(state: Option<LedgerState>, start: Start, pace: Pace, now: Mono) -> Self {
        let pace = Pace {
            page: pace.page.max(2),
            ..pace
        };
        let first = state.is_none().then(|| First::new(start, pace));
        let state = state.unwrap_or_default();
        Self {
            pace,
            first,
            high: state.high,
            newest: EventId::default(),
            anchors: state.anchors,
            ledger: Ledger::load(&state.holes, state.audited, now),
            audited: state.audited,
            recognised: false,
            lost: None,
            asked: None,
            unproved: None,
            doubt: Doubt::default(),
            poll: None,
            next_poll: now,
            next_ride: now,
            alone: false,
            ages_saved: now,
            caught_up: false,
            settle: Settle::default(),
            split: Split::default(),
            asked_at: now,
            behind: Vec::new(),
            late: 0,
            audit_hits: 0,
        }
    }

    /// Says what to do now. Asking again without an answer counts as a failure.
    pub fn next(&mut self, now: Mono) -> Next {
        if self.asked.is_some() {
            self.failed(now);
        }
        self.asked_at = now;
        if let Some(lost) = &self.lost {
            return Next::Stopped(lost.clone());
        }
        if let Some(first) = &self.first {
            self.asked = Some(Asked::First);
            return Next::Ask(first.request());
        }
        if self.anchors.is_empty() {
            self.recognised = true;
        }
        if !self.recognised || self.unproved.is_some() {
            self.asked = Some(Asked::Anchors);
            return Next::Ask(Request::Ids(self.anchors.iter().map(|a| a.id).collect()));
        }
        if let Some((began, extra)) = self.poll {
            let behind = std::mem::take(&mut self.behind);
            if !behind.is_empty() {
                return self.look(behind, false);
            }
            let spans = self.ledger.fresh(began, Budget::of(self.pace.page));
            if extra > 0 && !spans.is_empty() {
                self.poll = Some((began, extra - 1));
                return self.look(spans, !self.split.is_on(now));
            }
            self.poll = None;
            self.next_poll = began + self.pace.tick;
        }
        if now < self.next_poll {
            return Next::Wait(self.next_poll);
        }
        self.poll = Some((now, EXTRA));
        let alone = std::mem::take(&mut self.alone);
        // Behind a full page the head goes alone, so that the site reads no old rows for it.
        let ride = now >= self.next_ride && !alone;
        let spans = if ride {
            self.next_ride = now + self.pace.tick;
            self.ledger.ride(now, Budget::of(self.pace.page))
        } else {
            Vec::new()
        };
        self.behind.clear();
        if self.split.is_on(now) {
            self.behind = spans;
            return self.look(Vec::new(), true);
        }
        self.look(spans, true)
    }

    /// Takes the answer to the request that `next` handed out; returns what is to be
    /// committed before anything else. An error is a request that failed.
    pub fn answer(&mut self, now: Mono, rows: Vec<Event>) -> Result<Option<Look>, Disorder> {
        let taken = match self.asked.take() {
            None => Ok(None),
            Some(Asked::First) => self.first_read(now, rows),
            Some(Asked::Anchors) => Ok(self.vouched(now, &rows)),
            Some(Asked::Look { spans, least, head }) => {
                match Page::new(rows, least, self.pace.page) {
                    Ok(page) => {
                        if !page.full {
                            self.took(now, &spans, head);
                        }
                        Ok(self.looked(now, Seen { page, spans }))
                    }
                    Err(disorder) => {
                        // Put back what was asked: what failed decides what is asked next.
                        self.asked = Some(Asked::Look { spans, least, head });
                        Err(disorder)
                    }
                }
            }
        };
        if taken.is_err() {
            self.failed(now);
        }
        taken
    }

    /// Notes that the request failed: nothing was learned, so nothing changes but when to
    /// ask again, which is at the next call of `next`.
    pub fn failed(&mut self, now: Mono) {
        let held = self.unproved.take().map(|seen| seen.spans);
        let spans = match self.asked.take() {
            Some(Asked::Look { spans, head, .. }) => {
                // One that ran into its time limit says how long it took, too.
                self.took(now, &spans, head);
                spans
            }
            _ => held.unwrap_or_default(),
        };
        self.alone = !spans.is_empty();
        self.poll = None;
        self.next_poll = now;
    }

    /// Returns the highest id seen.
    pub const fn high(&self) -> EventId {
        self.high
    }
    /// Returns the highest id the site is known to have: a start in the past has not seen it yet.
    pub fn head(&self) -> EventId {
        self.high.max(self.newest)
    }
    /// Tells whether the last look reached the end of the site's log.
    pub const fn caught_up(&self) -> bool {
        self.caught_up
    }
    /// Returns all holes, ascending, each with whether it is closed, that is left to the
    /// audit.
    pub fn holes(&self) -> impl Iterator<Item = (Hole, bool)> {
        self.ledger.holes()
    }

    fn first_read(&mut self, now: Mono, rows: Vec<Event>) -> Result<Option<Look>, Disorder> {
        let Some(first) = &mut self.first else {
            return Ok(None);
        };
        let found = match first.answer(rows, now)? {
            Step::More => return Ok(None),
            Step::Lost(lost) => {
                self.lost = Some(lost);
                return Ok(None);
            }
            Step::Done(found) => found,
        };
        let Found {
            high,
            newest,
            anchors,
            ledger,
            events,
        } = found;
        (self.high, self.anchors, self.ledger) = (high, anchors, ledger);
        self.newest = newest;
        self.first = None;
        // The anchors were read a moment ago.
        self.recognised = true;
        Ok(Some(self.commit(
            now,
            events.into_iter().map(|e| (e, false)).collect(),
        )))
    }

    /// Asks for holes, and for the head or the highest row alone, which vouches for the rest.
    fn look(&mut self, spans: Vec<Span>, head: bool) -> Next {
        // The newest anchor is the highest row, unless that one cannot be read.
        let newest = self.anchors.last().filter(|a| a.id < self.high);
        let mut wanted = spans.clone();
        wanted.extend(newest.map(|a| (a.id, a.id)));
        // A head that goes alone is to stay cheap.
        if !(head && spans.is_empty() && self.split.is_on(self.asked_at)) {
            wanted.extend(self.doubt.spans());
        }
        if !head {
            wanted.push((self.high, self.high));
        }
        let least = wanted.iter().map(|s| s.0).fold(self.high, EventId::min);
        let from = head.then_some(self.high);
        let request = request::ask(least, &wanted, from, self.pace.page);
        self.asked = Some(Asked::Look { spans, least, head });
        Next::Ask(request)
    }

    /// Takes note of how long a look took.
    fn took(&mut self, now: Mono, spans: &[Span], head: bool) {
        let took = now.since(self.asked_at);
        if head && spans.is_empty() {
            self.split.head(took);
        } else if head {
            self.alone |= self.split.both(took, now);
        }
    }

    /// Takes a look's answer, unless the anchors must vouch for it first.
    fn looked(&mut self, now: Mono, seen: Seen) -> Option<Look> {
        let newest = seen.page.rows.last().map_or(self.high, |row| row.id);
        if let Err(lost) = (self.doubt).look(&seen.page.rows, newest, self.pace.lookback) {
            self.lost = Some(lost);
            return None;
        }
        let proved = self
            .anchors
            .last()
            .is_some_and(|a| self.vouches(a, &seen.page));
        // A new row is above the highest: its page covers that.
        let matters = seen.page.covers(self.high) || self.fills(&seen.page);
        if proved || !matters || self.anchors.is_empty() {
            return self.take(now, seen);
        }
        self.unproved = Some(seen);
        None
    }

    /// Tells whether a page shows the newest anchor as it was, and with it the highest row.
    fn vouches(&self, newest: &Anchor, page: &Page) -> bool {
        let row = page.row(newest.id).and_then(anchors::of);
        // A row that could not be read, and still cannot, is no anchor but is there.
        let high = || page.row(self.high).is_some_and(|r| !r.is_readable());
        row.as_ref() == Some(newest) && (newest.id == self.high || high())
    }

    fn vouched(&mut self, now: Mono, rows: &[Event]) -> Option<Look> {
        if let Err(lost) = anchors::judge(&self.anchors, rows) {
            self.lost = Some(lost);
            self.unproved = None;
            return None;
        }
        self.recognised = true;
        self.doubt = Doubt::of(&self.anchors, rows);
        let seen = self.unproved.take()?;
        self.take(now, seen)
    }

    /// Tells whether a page has rows that fill a hole.
    fn fills(&self, page: &Page) -> bool {
        page.rows.iter().any(|r| self.ledger.contains(r.id))
    }

    fn take(&mut self, now: Mono, seen: Seen) -> Option<Look> {
        let Seen { page, spans } = seen;
        let top = page.rows.last().map(|r| r.id).filter(|_| page.full);
        let mut events = Vec::new();
        let settles = !page.full && !self.pace.settle.is_zero();
        if let Some(newest) = page.rows.last().map(|row| row.id) {
            self.newest = self.newest.max(newest);
            if settles && newest > self.high {
                self.settle.shown(newest, now);
            }
        }
        for row in page.rows {
            if row.id > self.high {
                let fresh = settles && row.id > self.high.next();
                if fresh && self.settle.waits(row.id, self.pace.settle, now) {
                    break;
                }
                if row.id > self.high.next() {
                    self.ledger
                        .open((self.high.next(), row.id.prev()), now, true);
                }
                self.high = row.id;
                events.push((row, false));
            } else if let Some(rung) = self.ledger.fill(row.id) {
                self.late += 1;
                self.audit_hits += u64::from(rung == Rung::Closed);
                events.push((row, true));
            }
        }
        self.settle.taken(self.high);
        if !events.is_empty() {
            // Late rows too: after a small restore one may be all that tells.
            self.anchors
                .extend(events.iter().filter_map(|(row, _)| anchors::of(row)));
            self.anchors.sort_by_key(|a| a.id);
            self.anchors = anchors::thin(std::mem::take(&mut self.anchors));
            self.doubt.stay(&mut self.anchors);
        }
        for span in spans {
            if let Some(lo) = self.ledger.absent(span, top, now) {
                self.audited = lo;
            }
        }
        self.caught_up = !page.full;
        if page.full {
            self.poll = None;
            self.next_poll = now;
        }
        // New holes always come with a new event.
        let ages = self.ledger.is_aged() && now.since(self.ages_saved) >= SAVE_AGES;
        (ages || !events.is_empty()).then(|| self.commit(now, events))
    }

    fn commit(&mut self, now: Mono, events: Vec<(Event, bool)>) -> Look {
        let ages = now.since(self.ages_saved) >= SAVE_AGES;
        if ages {
            self.ages_saved = now;
        }
        let (removed, put) = self.ledger.changes(ages);
        let ledger = LedgerChange {
            high: self.high,
            anchors: self.anchors.clone(),
            audited: self.audited,
            removed,
            put,
        };
        Look { events, ledger }
    }
}

#[cfg(test)]
mod tests;
