//! When a plugin does not keep up: events wait for long, and do not become fewer.
//!
//! How long the oldest event waits is told by when the log grew past the plugin's cursor, by a clock
//! that no host sets, and not by a date of a row. What stood in the log at the start waits since then.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use slated_model::PluginId;

use crate::Mono;

/// An event that waits so long is late. Below half of it a backlog is none any more.
const LATE: Duration = Duration::from_mins(10);
/// So many events that wait are a backlog though they become fewer.
const MANY: u64 = 1000;
/// How far apart looks are that are compared, to see whether events become fewer.
const STEP: Duration = Duration::from_mins(5);
/// How far apart the ends of the log are that are remembered.
const GRAIN: Duration = Duration::from_secs(30);
/// How many of them are; old ones lie ever further apart.
const ENDS: usize = 128;

/// Dead letters of a plugin that are many, and below which they are not any more.
const LETTERS: (u64, u64) = (100, 50);

/// Tells whether a plugin has many dead letters; `were`: whether it had.
pub const fn many_letters(were: bool, letters: u64) -> bool {
    letters >= LETTERS.0 || (were && letters >= LETTERS.1)
}

/// A plugin that does not keep up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Which.
    pub plugin: PluginId,
    /// How many events of the log wait for it.
    pub events: u64,
    /// How long the oldest of them does, at least.
    pub oldest: Duration,
}

/// Watches how plugins keep up with the log.
#[derive(Debug, Default)]
pub struct Backlogs {
    /// Where the log ended when, at moments that are [`GRAIN`] apart.
    pub(super) ends: VecDeque<(Mono, u64)>,
    /// When it grew last that was looked at, and to where.
    newest: (Mono, u64),
    lanes: BTreeMap<PluginId, Lane>,
}

#[derive(Debug)]
struct Lane {
    /// Events that waited at the last two steps and when, the older first.
    waited: [(Mono, u64); 2],
    is_late: bool,
}

impl Backlogs {
    /// Looks where the log ends, and at the cursors of all plugins that are to get on.
    pub fn look(&mut self, now: Mono, end: u64, cursors: &[(PluginId, u64)]) -> Vec<Backlog> {
        self.ends_at(now, end);
        let here = |plugin: &PluginId| cursors.iter().any(|(known, _)| known == plugin);
        self.lanes.retain(|plugin, _| here(plugin));
        let mut late = Vec::new();
        for (plugin, cursor) in cursors {
            let events = end.saturating_sub(*cursor);
            let oldest = self.waits_since(*cursor).map(|since| now.since(since));
            let oldest = oldest.filter(|_| events > 0).unwrap_or_default();
            let lane = self.lanes.entry(plugin.clone());
            let lane = lane.or_insert_with(|| Lane::new(now, events));
            if lane.look(now, events, oldest) {
                late.push(Backlog {
                    plugin: plugin.clone(),
                    events,
                    oldest,
                });
            }
        }
        late
    }

    fn ends_at(&mut self, now: Mono, end: u64) {
        if end > self.newest.1 {
            self.newest = (now, end);
        }
        let is_news = match self.ends.back() {
            None => true,
            Some((at, known)) => self.newest.1 > *known && now.since(*at) >= GRAIN,
        };
        if is_news {
            self.ends.push_back(self.newest);
        }
        if self.ends.len() > ENDS {
            self.thin(now);
        }
    }

    /// Lets go of one, so that what is left lies the further apart the older it is.
    fn thin(&mut self, now: Mono) {
        let gap = |n: usize| -> Option<f64> {
            let (before, _) = self.ends.get(n.checked_sub(1)?)?;
            let ((at, _), (after, _)) = (self.ends.get(n)?, self.ends.get(n + 1)?);
            Some(after.since(*before).as_secs_f64() / now.since(*at).as_secs_f64().max(1.0))
        };
        let gaps = (1..self.ends.len()).filter_map(|n| Some((n, gap(n)?)));
        if let Some((n, _)) = gaps.min_by(|(_, a), (_, b)| a.total_cmp(b)) {
            self.ends.remove(n);
        }
    }

    /// Returns since when the first event after a cursor is in the log, at least.
    fn waits_since(&self, cursor: u64) -> Option<Mono> {
        let first = self.ends.partition_point(|(_, end)| *end <= cursor);
        let known = self.ends.get(first).copied();
        let newest = (self.newest.1 > cursor).then_some(self.newest);
        known.or(newest).map(|(at, _)| at)
    }
}

impl Lane {
    const fn new(now: Mono, events: u64) -> Self {
        Self {
            waited: [(now, events); 2],
            is_late: false,
        }
    }

    fn look(&mut self, now: Mono, events: u64, oldest: Duration) -> bool {
        let [(_, before), (at, _)] = self.waited;
        if events == 0 {
            *self = Self::new(now, 0);
        } else if self.is_late {
            self.is_late = oldest >= LATE / 2;
        } else {
            // One alone is under way, however long it takes.
            let fewer = events < before && events <= MANY;
            self.is_late = events > 1 && oldest >= LATE && !fewer;
        }
        if now.since(at) >= STEP {
            self.waited = [self.waited[1], (now, events)];
        }
        self.is_late
    }
}
