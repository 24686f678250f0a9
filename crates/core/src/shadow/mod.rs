//! What the Python daemon did, beside what a shadow saw: its timing log held against the events that
//! became visible meanwhile.
//!
//! Times are milliseconds since 1970, as parameters: those of the book by the clock of the shadow's
//! machine, those of calls by that of the Python daemon's. Nothing of this has a say in delivery.
//!
//! Invariant: nothing is called missed that the Python daemon may still be about to call. That daemon
//! reads pages in the order of ids, so a call of a higher id that became visible afterwards shows
//! that the lower one was there to be read and was not called. Whoever saw no such call says
//! "still to come".

mod judge;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use slated_model::EventId;

pub use judge::judge;

/// Milliseconds since 1970.
pub type Ms = i64;

/// From one seeing to a later one, so that a look between them has read the first.
pub const APART: Ms = 10_000;
/// Calls missed at the least, and for how long, before a callback counts as off.
pub const SILENT_LEAST: usize = 3;
/// See [`SILENT_LEAST`].
pub const SILENT_FOR: Ms = 5 * 60_000;

/// What a shadow wrote down.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// When it began to look.
    pub began: Ms,
    /// When it last looked and the site answered.
    pub until: Ms,
    /// The highest id of the site when it began: what stood below it is not its business.
    pub head: EventId,
    /// Callbacks by their places, as the timing log names them: `plugin.function`.
    pub callbacks: Vec<Callback>,
    /// Events in the order in which they were seen.
    pub sightings: Vec<Sighting>,
}

/// A callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The plugin's stem.
    pub plugin: String,
    /// `plugin.function`.
    pub name: String,
}

/// An event that became visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Which.
    pub event: EventId,
    /// When it was seen: it was visible by then.
    pub at: Ms,
    /// Whether its id became visible after higher ones.
    pub late: bool,
    /// Whose business it is.
    pub wants: Vec<Want>,
    /// Callbacks that may want it or not: they were being loaded anew. They are not judged.
    pub unsure: Vec<usize>,
}

/// A callback that wants an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Its place in [`Book::callbacks`].
    pub callback: usize,
    /// How often that name is registered for it: twice where two folders have a plugin of one name.
    pub times: u32,
    /// Whether a failure stops the plugin.
    pub stops: bool,
}

/// A line of the timing log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The event it was called with.
    pub event: EventId,
    /// `plugin.function`.
    pub callback: String,
    /// When it began.
    pub start: Ms,
    /// When it ended.
    pub end: Ms,
    /// Whether it raised.
    pub failed: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Judge events that were seen at this moment or later.
    pub from: Option<Ms>,
    /// Judge events that were seen at this moment or before.
    pub to: Option<Ms>,
    /// A call that begins more than this after its event was seen is late.
    pub late_after: Ms,
}

/// Why nothing can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Apart {
    /// The timing log has no calls.
    NoCalls,
    /// The shadow has not read the site yet.
    NoLooks,
    /// They do not overlap within what was asked for.
    NoOverlap {
        /// When the shadow looked first and last.
        shadow: (Ms, Ms),
        /// When the first call of the log began and the last ended.
        log: (Ms, Ms),
    },
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The events that are judged were seen between these.
    pub from: Ms,
    /// See [`Report::from`].
    pub to: Ms,
    /// Events seen in that time.
    pub events: usize,
    /// Those whose id became visible late.
    pub late_ids: usize,
    /// Calls that were due, an event for a callback that wants it: of each callback, by place.
    pub due: Vec<usize>,
    /// Those that were made once, in time and without an error: of each callback.
    pub good: Vec<usize>,
    /// Those that the Python daemon may still have been about to make when the log ended: of each.
    pub to_come: Vec<usize>,
    /// What was not good, in the order of events. One that was due may stand in it several times:
    /// late and repeated.
    pub findings: Vec<Finding>,
    /// What was off.
    pub off: Vec<Off>,
    /// Calls of events that the shadow does not know, with when they began.
    pub unknown: Vec<(EventId, String, Ms)>,
    /// Calls that, by what was registered, were not asked for: how many of each callback, and one of
    /// the events.
    pub unasked: BTreeMap<String, (usize, EventId)>,
}

/// Something that was not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The event.
    pub event: EventId,
    /// Its callback, by place.
    pub callback: usize,
    /// When the event was seen.
    pub at: Ms,
    /// Whether its id became visible late.
    pub late_id: bool,
    /// Whether it became visible while its plugin was off for a while.
    pub while_off: bool,
    /// What was wrong.
    pub fault: Fault,
}

/// What was wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It was never made, so many times.
    Missed {
        /// How often.
        times: u32,
    },
    /// It was made again though it had succeeded.
    Repeated {
        /// How often beyond what was due.
        times: u32,
    },
    /// It began long after the event was there.
    Late {
        /// Milliseconds after it was seen.
        by: Ms,
    },
    /// It raised.
    Failed {
        /// How often.
        times: u32,
        /// Whether it succeeded in the end.
        mended: bool,
    },
    /// It was not made, since the plugin was off, and still is at the log's end.
    Off,
}

/// A plugin or a callback that is off to the log's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Off {
    /// The plugin's stem.
    pub plugin: String,
    /// The callback, where it alone is silent.
    pub callback: Option<usize>,
    /// Since when; `None` if the log has no call of it.
    pub since: Option<Ms>,
    /// What it failed at, if it did: the event and the callback.
    pub failed_at: Option<(EventId, usize)>,
    /// Calls that were due since then.
    pub calls: usize,
}

impl Report {
    /// Counts the findings of a kind.
    pub fn count(&self, is: impl Fn(&Fault) -> bool) -> usize {
        self.findings.iter().filter(|f| is(&f.fault)).count()
    }
}
