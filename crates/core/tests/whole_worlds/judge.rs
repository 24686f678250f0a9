//! The judge: holds what the site showed against what callbacks did and what is on record.
//!
//! It keeps its own books, from four things alone: rows that became durable, calls as they begin and
//! end, what became durable of lanes, and rows that were let go. It asks no lane, gate or follower.
//!
//! * P1: each visible row is in the log once.
//! * P2, P3: each unit that a plugin is owed has exactly one outcome in the end, one that what
//!   happened bears out, and nothing with an outcome is called again.
//! * P4: a call is repeated only if something died under it or before its record; for each death of
//!   the daemon that is one event of a plugin, or a window of one that is sent ahead.
//! * P5: events come to a plugin for the first time in the order of the log.
//! * P7: no call goes beyond the policy, nothing is dropped.
//! * Retention: nothing goes that is owed, tried or a dead letter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slated_core::lane::Frame;
use slated_core::retry::{OnError, Worth};
use slated_model::{
    CallbackId, Cause, Change, Discard, EventId, LaneRow, Offset, Outcome, PluginId, Row,
};

use crate::plan::{Callback, End, Plan};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A visible row is not in the log, or a unit never came to its end.
    Lost,
    /// A row is in the log twice, or a call was made again that should not.
    Repeated,
    OutOfOrder,
    /// Called with what it is not owed.
    Foreign,
    /// On record stands what did not happen.
    Untrue,
    /// More calls than the policy has, or more repeated at a death than may be.
    TooMany,
    /// Retention took what is needed.
    Pruned,
    /// Retention left what nobody needs.
    Kept,
    /// The daemon is busy with nothing.
    Busy,
}

/// How the last call of a unit stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    None,
    Runs,
    Done,
    /// Why, and whether it counts for nothing.
    Failed(Option<Cause>, bool),
    /// Its process was ended under it.
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recorded {
    Done,
    Letter,
    Other,
}

#[derive(Debug, Default)]
struct Unit {
    runs: u32,
    last: Last,
    /// The daemon died before the last call was on record.
    unrecorded: bool,
    /// Failures that count, since a person or an edit last ended a hold; and those on record.
    failed: u32,
    failed_on_record: u32,
    deaths: u32,
    deaths_on_record: u32,
    /// Once more than the policy has, since a person wished so.
    wished: u32,
    was_done: bool,
    has_failed: bool,
    /// No other try before this.
    rests_until: f64,
    outcome: Option<Recorded>,
}

/// Where a plugin began.
#[derive(Clone, Debug)]
struct Place {
    cursor: Offset,
    floor: Option<EventId>,
    /// When that was durable; until then a kill undoes it.
    durable: Option<f64>,
}

/// Seconds from a failure to the next try, at least: a second but for its jitter.
const LEAST_REST: f64 = 0.79;

/// A unit: a plugin, an event, and which of its callbacks.
pub(crate) type Key = (usize, EventId, usize);

#[derive(Default)]
pub(crate) struct Judge {
    pub(crate) faults: Vec<(Kind, String)>,
    /// When the log came to be, and the highest id seen then.
    born: Option<(f64, EventId)>,
    log: BTreeMap<EventId, (Arc<Row>, f64)>,
    places: BTreeMap<usize, Place>,
    units: BTreeMap<Key, Unit>,
    /// Units whose last call runs, or is done and not on record.
    open: BTreeSet<Key>,
    /// The furthest event that each plugin was called with.
    furthest: BTreeMap<usize, Offset>,
    /// Every call: when, and of what.
    pub(crate) journal: Vec<(f64, Key)>,
    /// From visible to first called, of rows that were not late, and of those that were.
    pub(crate) delays: Vec<f64>,
    pub(crate) late: Vec<f64>,
    /// Calls in all, and those that a death had repeated.
    pub(crate) calls: u64,
    pub(crate) repeats: u64,
}

impl Judge {
    pub(crate) fn fault(&mut self, kind: Kind, text: impl Into<String>) {
        // The first tell what is wrong.
        if self.faults.len() < 100 {
            self.faults.push((kind, text.into()));
        }
    }

    pub(crate) fn appended(&mut self, now: f64, high: EventId, rows: &[Arc<Row>]) {
        self.born.get_or_insert((now, high));
        for row in rows {
            let id = row.event.id;
            if self.log.insert(id, (row.clone(), now)).is_some() {
                self.fault(Kind::Repeated, format!("{id} is in the log twice"));
            }
        }
    }

    pub(crate) fn placed(&mut self, place: usize, row: &LaneRow) {
        let (cursor, floor) = (row.cursor, row.floor);
        let place_now = Place {
            cursor,
            floor,
            durable: None,
        };
        self.places.insert(place, place_now);
    }

    fn owes(&self, place: usize, row: &Row, callback: &Callback) -> bool {
        let Some(from) = self.places.get(&place) else {
            return false;
        };
        let id = row.event.id;
        let below = from.floor.is_some_and(|floor| id <= floor);
        row.offset > from.cursor
            && (row.late || !below)
            && (!row.event.is_readable() || callback.wants(id.0))
    }

    /// A call begins; returns how many there were of the unit.
    pub(crate) fn begins(
        &mut self,
        plan: &Plan,
        now: f64,
        vis: Option<f64>,
        key: Key,
        frame: &Frame,
    ) -> u32 {
        let (place, event, n) = key;
        let row = &*frame.row;
        self.calls += 1;
        self.journal.push((now, key));
        let plugin = &plan.plugins[place];
        let who = format!("plugin {place} f{n} with {event}");
        if !self.owes(place, row, &plugin.callbacks[n]) {
            self.fault(Kind::Foreign, format!("{who}: it is not owed"));
        }
        let first = self
            .units
            .range((place, event, 0)..=(place, event, usize::MAX));
        if first.clone().all(|(_, unit)| unit.last == Last::None) {
            let furthest = self.furthest.entry(place).or_default();
            if row.offset <= *furthest {
                let text = format!("{who}: at {} after {furthest}", row.offset);
                self.fault(Kind::OutOfOrder, text);
            } else {
                *furthest = row.offset;
            }
            let delays = if row.late {
                &mut self.late
            } else {
                &mut self.delays
            };
            delays.extend(vis.map(|vis| now - vis));
        }
        let policy = &plugin.policy;
        let unit = self.units.entry(key).or_default();
        let worth = |cause: Option<Cause>| match policy.worth {
            Worth::None => cause == Some(Cause::Site),
            Worth::Transient => cause.is_some(),
            Worth::All => true,
        };
        let wrong = match unit.last {
            _ if unit.outcome.is_some() => Some((Kind::Repeated, "it has an outcome")),
            Last::Runs => Some((Kind::Repeated, "it runs")),
            Last::Done if !unit.unrecorded => Some((Kind::Repeated, "it was done")),
            Last::Failed(..) if now < unit.rests_until && !unit.unrecorded => {
                Some((Kind::TooMany, "it is tried again without a rest"))
            }
            _ if frame.attempt <= unit.failed + unit.deaths => {
                Some((Kind::Untrue, "it is told that it was tried less often"))
            }
            _ if unit.deaths >= policy.deaths && unit.wished == 0 => {
                Some((Kind::TooMany, "its process died too often"))
            }
            _ if unit.failed >= policy.attempts + unit.wished => {
                Some((Kind::TooMany, "it has failed too often"))
            }
            Last::Failed(cause, false) if !worth(cause) && !unit.unrecorded => {
                let wished = unit.wished > 0 || unit.failed == 0;
                (!wished).then_some((Kind::TooMany, "that failure is worth no other try"))
            }
            _ => None,
        };
        let repeats = unit.last == Last::Cut || unit.unrecorded;
        (unit.last, unit.unrecorded) = (Last::Runs, false);
        unit.runs += 1;
        let runs = unit.runs;
        self.repeats += u64::from(repeats);
        self.open.insert(key);
        if let Some((kind, why)) = wrong {
            self.fault(kind, format!("{who}: {why}"));
        }
        runs
    }

    /// A call has ended.
    pub(crate) fn ends(&mut self, key: Key, end: End) {
        let unit = self.units.entry(key).or_default();
        unit.last = match end {
            End::Done => {
                unit.was_done = true;
                Last::Done
            }
            End::Raise(cause) => Last::Failed(cause, true),
            End::Interrupted | End::Hung | End::Die => Last::Failed(None, true),
        };
        unit.has_failed |= end != End::Done;
        unit.deaths += u32::from(end == End::Die);
        if end != End::Done {
            self.open.remove(&key);
        }
    }

    /// The daemon hears of a failure that counts: not on account of the site.
    pub(crate) fn counts(&mut self, now: f64, key: Key) {
        let unit = self.units.entry(key).or_default();
        if let Last::Failed(_, free) = &mut unit.last {
            *free = false;
        }
        (unit.failed, unit.rests_until) = (unit.failed + 1, now + LEAST_REST);
    }

    /// The process was ended under a call; alone, or after its daemon.
    pub(crate) fn cut(&mut self, key: Key, alone: bool) {
        self.units.entry(key).or_default().last = Last::Cut;
        if alone {
            self.open.remove(&key);
        }
    }

    /// A hold has ended: the event that failed begins anew.
    pub(crate) fn renewed(&mut self, key: Key) {
        let unit = self.units.entry(key).or_default();
        (unit.failed, unit.failed_on_record) = (0, 0);
        (unit.deaths, unit.deaths_on_record) = (0, 0);
        unit.rests_until = 0.0;
    }

    /// The daemon is dead, and so are its processes.
    pub(crate) fn died(&mut self, plan: &Plan) {
        let mut events = BTreeMap::<usize, BTreeSet<EventId>>::new();
        for key in std::mem::take(&mut self.open) {
            events.entry(key.0).or_default().insert(key.1);
            self.units.entry(key).or_default().unrecorded = true;
        }
        for unit in self.units.values_mut() {
            // What is not on record did not happen, for the next.
            let on_record = (unit.failed_on_record, unit.deaths_on_record);
            if (unit.failed, unit.deaths) != on_record {
                unit.unrecorded |= unit.outcome.is_none();
                (unit.failed, unit.deaths) = on_record;
            }
        }
        for (place, events) in events {
            let most = plan.plugins[place].ahead();
            if events.len() > most {
                let text = format!("plugin {place}: {} events at a death", events.len());
                self.fault(Kind::TooMany, text);
            }
        }
        self.places.retain(|_, place| place.durable.is_some());
    }

    /// The daemon has ended as it should.
    pub(crate) fn stopped(&mut self, plan: &Plan) {
        let done = |key: &&Key| self.units[*key].last == Last::Done;
        let done: Vec<_> = self.open.iter().filter(done).copied().collect();
        for key in done {
            self.fault(Kind::Lost, format!("{key:?} is done and not on record"));
        }
        self.died(plan);
    }

    /// Something became durable.
    pub(crate) fn recorded(&mut self, plan: &Plan, ids: &[PluginId], now: f64, change: &Change) {
        let place = |plugin: &PluginId| ids.iter().position(|id| id == plugin).expect("a plugin");
        let n = |callback: &CallbackId| {
            let number = callback.name().trim_start_matches('f');
            number.parse::<usize>().expect("a callback")
        };
        match change {
            Change::Lane(row) => {
                if let Some(place) = self.places.get_mut(&place(&row.plugin)) {
                    place.durable.get_or_insert(now);
                }
            }
            Change::Outcome(row) | Change::Discarded(row) => {
                let key = (place(&row.plugin), row.event, n(&row.callback));
                self.open.remove(&key);
                let readable = self.log[&row.event].0.event.is_readable();
                let on_error = plan.plugins[key.0].policy.on_error;
                let unit = self.units.entry(key).or_default();
                let failed = unit.has_failed || !readable;
                let (is, true_) = match &row.outcome {
                    Outcome::Done { .. } => (Recorded::Done, unit.was_done),
                    Outcome::DeadLetter { .. } => (Recorded::Letter, failed),
                    Outcome::Discarded { reason } => {
                        let logged = matches!(reason, Discard::Logged { .. });
                        let fits = !logged || on_error == OnError::Log;
                        (Recorded::Other, failed && fits)
                    }
                };
                let before = unit.outcome.replace(is);
                let person = matches!(change, Change::Discarded(_));
                if before.is_some() && !(person && before == Some(Recorded::Letter)) {
                    self.fault(Kind::Repeated, format!("{key:?} ended twice"));
                }
                if !true_ {
                    self.fault(Kind::Untrue, format!("{key:?} is {is:?} on record"));
                }
            }
            Change::Attempt(row) => {
                let key = (place(&row.plugin), row.event, n(&row.callback));
                let unit = self.units.entry(key).or_default();
                unit.failed_on_record = unit.failed.min(row.failed);
                unit.deaths_on_record = unit.deaths.min(row.deaths);
                if row.failed > 0 && !unit.has_failed {
                    self.fault(Kind::Untrue, format!("{key:?} failed on record"));
                }
            }
            Change::Retried(row) => {
                let key = (place(&row.plugin), row.event, n(&row.callback));
                let unit = self.units.entry(key).or_default();
                unit.wished += 1;
                unit.rests_until = 0.0;
                if unit.outcome.take() != Some(Recorded::Letter) {
                    self.fault(Kind::Untrue, format!("{key:?} was no dead letter"));
                }
            }
            _ => {}
        }
    }

    /// Rows were let go.
    pub(crate) fn pruned(&mut self, plan: &Plan, rows: &[Arc<Row>]) {
        for row in rows {
            let open = self.open_of(plan, row);
            let (who, letter) = (open.first().copied(), self.is_letter(plan, row));
            if who.is_some() || letter {
                let id = row.event.id;
                self.fault(Kind::Pruned, format!("{id} is gone, and {who:?} needs it"));
            }
        }
    }

    fn is_letter(&self, plan: &Plan, row: &Row) -> bool {
        let mut units = self.keys(plan, row).into_iter();
        units.any(|key| {
            let unit = self.units.get(&key);
            unit.is_some_and(|unit| unit.outcome == Some(Recorded::Letter))
        })
    }
    /// Returns all units of a row.
    fn keys(&self, plan: &Plan, row: &Row) -> Vec<Key> {
        let mut keys = Vec::new();
        for (place, plugin) in plan.plugins.iter().enumerate() {
            for (n, callback) in plugin.callbacks.iter().enumerate() {
                if self.owes(place, row, callback) {
                    keys.push((place, row.event.id, n));
                }
            }
        }
        keys
    }
    /// Returns the units of a row without an outcome.
    fn open_of(&self, plan: &Plan, row: &Row) -> Vec<Key> {
        let mut keys = self.keys(plan, row);
        let ended = |key: &Key| self.units.get(key).is_some_and(|u| u.outcome.is_some());
        keys.retain(|key| !ended(key));
        keys
    }

    /// Tells whether an id must be in the log in the end: it became visible after the start, and at
    /// most `lookback` ids below it.
    fn must(&self, id: u64, vis: f64, lookback: u64) -> bool {
        self.born
            .is_some_and(|(born, high)| vis > born && id > high.0.saturating_sub(lookback))
    }

    /// Returns what is not yet as it must be in the end.
    pub(crate) fn unfinished(&self, plan: &Plan, vis: &[(u64, f64)], lookback: u64) -> Vec<String> {
        let absent = |(id, vis): &&(u64, f64)| {
            self.must(*id, *vis, lookback) && !self.log.contains_key(&EventId(*id))
        };
        let absent = vis.iter().filter(absent);
        let mut all: Vec<_> = absent
            .map(|(id, vis)| format!("{id}, visible at {vis:.1}, is not in the log"))
            .collect();
        for (row, _) in self.log.values() {
            let open = self.open_of(plan, row).into_iter();
            all.extend(open.map(|key| {
                let unit = self.units.get(&key);
                format!("{key:?} has no outcome: {:?}", unit.map(|u| u.last))
            }));
        }
        all
    }

    /// Judges the end. `kept`: the rows that the log still holds, if retention has done all it may.
    pub(crate) fn ends_well(
        &mut self,
        plan: &Plan,
        vis: &[(u64, f64)],
        lookback: u64,
        kept: Option<&[Arc<Row>]>,
    ) {
        for text in self.unfinished(plan, vis, lookback) {
            self.fault(Kind::Lost, text);
        }
        let times: BTreeMap<u64, f64> = vis.iter().copied().collect();
        let mut wrong = Vec::new();
        for (id, (row, at)) in &self.log {
            if times.get(&id.0).is_none_or(|vis| vis > at) {
                wrong.push((
                    Kind::Untrue,
                    format!("{id} is in the log, and was not visible"),
                ));
            }
            // What became visible after its place was on record is a plugin's, whatever that says.
            for (place, from) in &self.places {
                let after = |vis: &f64| from.durable.is_some_and(|durable| *vis > durable);
                let below = from.floor.is_some_and(|floor| *id <= floor) && !row.late;
                let skipped = row.offset <= from.cursor || below;
                if times.get(&id.0).is_some_and(after) && skipped {
                    wrong.push((Kind::Lost, format!("{id} is not for plugin {place}")));
                }
            }
        }
        let last = kept.and_then(|rows| rows.last()).map(|row| row.offset);
        let before = kept
            .into_iter()
            .flatten()
            .filter(|row| Some(row.offset) < last);
        let highest = before.map(|row| row.event.id).max();
        for row in kept.into_iter().flatten() {
            let id = row.event.id;
            if Some(row.offset) != last && Some(id) != highest && !self.is_letter(plan, row) {
                wrong.push((Kind::Kept, format!("{id} is kept for nobody")));
            }
        }
        for (kind, text) in wrong {
            self.fault(kind, text);
        }
        self.delays.sort_by(f64::total_cmp);
        self.late.sort_by(f64::total_cmp);
    }

    pub(crate) fn logged(&self) -> usize {
        self.log.len()
    }
    /// Tells whether an event filled a hole.
    pub(crate) fn was_late(&self, id: u64) -> bool {
        self.log.get(&EventId(id)).is_some_and(|(row, _)| row.late)
    }
    /// Returns when an event entered the log.
    pub(crate) fn logged_at(&self, id: u64) -> Option<f64> {
        self.log.get(&EventId(id)).map(|(_, at)| *at)
    }
}
