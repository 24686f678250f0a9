//! `slated replay`: what is asked of the site, and what follows each answer of a callback.
//!
//! A replay is no lane. It has no cursor and nothing of it is on record, so nothing is retried or
//! held: what failed is told, and the next event comes. It may end between two events alone, so that
//! `--from` goes on without repeating or leaving out a callback; only where its process cannot be
//! relied on, or the site is away, does it end within one, and begins with that again.

use std::collections::{BTreeSet, VecDeque};

use slated_model::{CallbackId, EventId, Head};

#[cfg(test)]
mod tests;

/// How many events are replayed at once at most: they stand in memory, so that they can be counted
/// before the first one is run.
pub const MOST: usize = 100_000;

/// Deaths of its process after which a replay gives up.
pub const DEATHS: u32 = 5;

/// Calls in a row that fail on account of the site after which a replay gives up.
pub const SITE_FAILURES: u32 = 3;

/// How many ranges a request holds at most, as with the follower's.
const RANGES: usize = 100;

/// Ids from a first to a last one, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub from: EventId,
    /// The last; none are in it where it is below the first.
    pub to: EventId,
}

impl Span {
    /// Tells whether an id is one of them.
    pub fn holds(&self, id: EventId) -> bool {
        self.from <= id && id <= self.to
    }
}

/// Finds the ids that the log lacks, as its rows are read in ascending order of ids.
#[derive(Debug)]
pub struct Lacking {
    /// What no row was read of yet.
    rest: Option<Span>,
    found: Vec<Span>,
}

impl Lacking {
    /// Begins with all ids of a span.
    pub const fn of(span: Span) -> Self {
        Self {
            rest: Some(span),
            found: Vec::new(),
        }
    }
    /// The log has this id, and none between it and the one before.
    pub fn has(&mut self, id: EventId) {
        let Some(rest) = self.rest.filter(|rest| rest.holds(id)) else {
            return;
        };
        if rest.from < id {
            self.found.push(Span {
                from: rest.from,
                to: id.prev(),
            });
        }
        self.rest = (id < rest.to).then(|| Span {
            from: id.next(),
            ..rest
        });
    }
    /// Returns what is asked of the site, now that the log has no more.
    pub fn asked(mut self) -> Asking {
        self.found
            .extend(self.rest.filter(|rest| rest.from <= rest.to));
        Asking {
            left: self.found.into(),
            asked: 0,
        }
    }
}

/// Asks a site for spans of ids, a page at a time, in ascending order.
#[derive(Debug)]
pub struct Asking {
    left: VecDeque<Span>,
    /// How many of them stand in the request that is out.
    asked: usize,
}

impl Asking {
    /// Returns the spans of the next request; none are left where it is empty.
    pub fn ask(&mut self) -> Vec<Span> {
        self.asked = self.left.len().min(RANGES);
        self.left.iter().take(self.asked).copied().collect()
    }
    /// Takes note of the answer: the highest id in it, if there was one, and whether the site may
    /// hold more of what was asked for.
    pub fn answered(&mut self, last: Option<EventId>, full: bool) {
        let Some(last) = last.filter(|_| full) else {
            self.left.drain(..self.asked);
            return;
        };
        while self.left.front().is_some_and(|span| span.to <= last) {
            self.left.pop_front();
        }
        if let Some(span) = self.left.front_mut() {
            span.from = span.from.max(last.next());
        }
    }
}

/// Which events a person wants, of those that callbacks want.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Types of events; every type where there are none.
    pub types: BTreeSet<String>,
    /// Ids of projects; every project, and events without one, where there are none.
    pub projects: BTreeSet<u64>,
}

impl Wanted {
    /// Tells whether an event of a project is wanted.
    pub fn takes(&self, head: &Head, project: Option<u64>) -> bool {
        let kind = head.event_type.as_deref();
        (self.types.is_empty() || kind.is_some_and(|kind| self.types.contains(kind)))
            && (self.projects.is_empty() || project.is_some_and(|p| self.projects.contains(&p)))
    }
}

/// How a callback ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It returned.
    Done,
    /// It failed; `site`: because the site cannot be reached.
    Failed {
        /// Whether the site is to blame.
        site: bool,
    },
}

/// How a process was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It died.
    Died,
    /// A limit of the call ended it: a failed callback, and no death.
    Limit,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next event.
    Event,
    /// What is still [due](Replay::due) of this one.
    Rest,
    /// Nothing more.
    End(Why),
}

/// Why a replay ends before its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A person wished it.
    Stopped,
    /// A callback failed, and a person wished it to end then.
    Failed,
    /// The site cannot be reached.
    Site,
    /// Its process died too often.
    Deaths,
}

/// One replay: the event in hand, and what has been seen so far.
#[derive(Debug, Default)]
pub struct Replay {
    stop_on_error: bool,
    event: EventId,
    due: VecDeque<CallbackId>,
    deaths: u32,
    site_failures: u32,
    /// The event in which the site failed the first of those calls.
    site_since: Option<EventId>,
    failed: bool,
    stopped: bool,
}

impl Replay {
    /// Begins. With `stop_on_error` it ends after the first event in which a callback failed.
    pub fn new(stop_on_error: bool) -> Self {
        Self {
            stop_on_error,
            ..Self::default()
        }
    }
    /// Begins an event with the callbacks that want it, in their order.
    pub fn begin(&mut self, event: EventId, due: impl IntoIterator<Item = CallbackId>) {
        self.event = event;
        self.due = due.into_iter().collect();
    }
    /// Returns the callbacks that have no answer yet.
    pub fn due(&self) -> impl Iterator<Item = &CallbackId> {
        self.due.iter()
    }
    /// A person wishes it to end.
    pub const fn stop(&mut self) {
        self.stopped = true;
    }
    /// The first callback that is due ended; returns it.
    pub fn answered(&mut self, answer: Answer) -> Option<CallbackId> {
        match answer {
            Answer::Done => (self.site_failures, self.site_since) = (0, None),
            Answer::Failed { site: true } => {
                self.site_failures += 1;
                self.site_since.get_or_insert(self.event);
            }
            // It may have failed before it asked the site.
            Answer::Failed { site: false } => {}
        }
        self.failed |= answer != Answer::Done;
        self.due.pop_front()
    }
    /// The process was lost; returns the callback that is to blame, if one was under way. That one
    /// is not run again.
    pub fn lost(&mut self, how: Lost, under_way: bool) -> Option<CallbackId> {
        self.deaths += u32::from(how == Lost::Died);
        let blamed = if under_way {
            self.due.pop_front()
        } else {
            None
        };
        self.failed |= blamed.is_some();
        blamed
    }
    /// Returns the event with which another replay goes on where this one ends before its last:
    /// `next` is the one behind the event in hand.
    pub fn go_on(&self, next: Option<EventId>) -> Option<EventId> {
        match self.next() {
            Next::End(Why::Site) => self.site_since,
            _ if !self.due.is_empty() => Some(self.event),
            _ => next,
        }
    }
    /// The frame in hand is dealt with, or its process is gone: says what comes next.
    pub fn next(&self) -> Next {
        if self.deaths >= DEATHS {
            return Next::End(Why::Deaths);
        }
        if self.site_failures >= SITE_FAILURES {
            return Next::End(Why::Site);
        }
        if !self.due.is_empty() {
            return Next::Rest;
        }
        if self.stop_on_error && self.failed {
            return Next::End(Why::Failed);
        }
        if self.stopped {
            return Next::End(Why::Stopped);
        }
        Next::Event
    }
}
