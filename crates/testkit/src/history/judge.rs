//! The judgement itself: one pass for each promise.

use std::collections::{BTreeMap, BTreeSet};

use slated_model::{CallbackId, EventId, PluginId};

use super::bodies::{Bodies, Body};
use super::input::{History, Lane, Recorded, Shown};
use super::repeats::{Excuse, excuse};
use super::verdict::{Delay, Fault, FaultKind, Verdict};

/// Holds a history against the promises.
pub fn judge(history: &History) -> Verdict {
    let case = Case::open(history);
    let mut verdict = Verdict {
        events: history.shown.len(),
        bodies: case.bodies.all.len(),
        ..Verdict::default()
    };
    case.journal(&mut verdict);
    case.capture(&mut verdict);
    let mut delays = Vec::new();
    for lane in &history.lanes {
        let bodies = case.bodies_of(lane);
        case.delivery(lane, &bodies, &mut verdict);
        overlap(lane, &bodies, &mut verdict);
        // What nobody is owed is a fault already, whenever and however often it ran.
        let owed = case.owed(lane, bodies);
        case.repeats(lane, &owed, &mut verdict);
        case.order(lane, &owed, &mut verdict);
        let mut of_lane = case.delays(&owed);
        verdict
            .delays
            .insert(lane.plugin.clone(), Delay::of(&mut of_lane));
        delays.extend(of_lane);
    }
    verdict.delay = Delay::of(&mut delays);
    verdict
}

/// A callback's place among those of its plugin, and an event.
type Unit = (usize, EventId);

struct Case<'a> {
    history: &'a History,
    shown: BTreeMap<EventId, &'a Shown>,
    bodies: Bodies<'a>,
    /// The place of each event in the order that deliveries must follow.
    order: BTreeMap<EventId, usize>,
}

impl<'a> Case<'a> {
    fn open(history: &'a History) -> Self {
        let in_order = history
            .log
            .clone()
            .unwrap_or_else(|| punctual(&history.shown));
        let mut order = BTreeMap::new();
        for (place, id) in in_order.into_iter().enumerate() {
            order.entry(id).or_insert(place);
        }
        Self {
            history,
            shown: history
                .shown
                .iter()
                .map(|event| (event.id, event))
                .collect(),
            bodies: Bodies::read(&history.journal),
            order,
        }
    }

    fn bodies_of(&self, lane: &Lane) -> Vec<&Body<'a>> {
        self.bodies
            .all
            .iter()
            .filter(|body| *body.plugin == lane.plugin)
            .collect()
    }

    fn owed<'b>(&self, lane: &Lane, bodies: Vec<&'b Body<'a>>) -> Vec<&'b Body<'a>> {
        let owed = |body: &&Body<'_>| {
            self.not_owed(lane, lane.place(body.callback), body.event)
                .is_none()
        };
        bodies.into_iter().filter(owed).collect()
    }

    /// Says why an event is owed to no callback at this place, if so.
    fn not_owed(&self, lane: &Lane, place: Option<usize>, event: EventId) -> Option<&'static str> {
        let start = self.history.start;
        match (place, self.shown.get(&event)) {
            (None, _) => Some("the plugin registers no such callback"),
            (_, None) => Some("the site never showed it"),
            (_, Some(shown)) if !lane.owes(start, shown) => Some("it lies before the start"),
            (Some(place), Some(shown)) => {
                let wanted = lane.wanting(shown).any(|wanting| wanting == place);
                (!wanted).then_some("the callback does not want it")
            }
        }
    }

    /// Judges the journal: lines that make no sense, and bodies of no known plugin.
    fn journal(&self, verdict: &mut Verdict) {
        for note in &self.bodies.nonsense {
            verdict.fault(FaultKind::Journal, EventId::default(), None, note.clone());
        }
        for body in &self.bodies.all {
            if !self
                .history
                .lanes
                .iter()
                .any(|lane| lane.plugin == *body.plugin)
            {
                let note = format!("no lane of {}", body.plugin);
                verdict.fault(FaultKind::Foreign, body.event, None, note);
            }
        }
    }

    /// Judges P1: each event that is owed stands in the log once, those in time by id.
    fn capture(&self, verdict: &mut Verdict) {
        let Some(log) = &self.history.log else { return };
        let mut seen = BTreeSet::new();
        for id in log {
            if !seen.insert(*id) {
                verdict.fault(FaultKind::CapturedTwice, *id, None, "");
            }
            if !self.shown.contains_key(id) {
                verdict.fault(FaultKind::Foreign, *id, None, "in the log, never shown");
            }
        }
        for event in &self.history.shown {
            if self.history.start.owes(event) && !seen.contains(&event.id) {
                verdict.fault(FaultKind::NotCaptured, event.id, None, "");
            }
        }
        let mut before = None;
        for id in punctual(&self.history.shown) {
            let Some(place) = self.order.get(&id) else {
                continue;
            };
            if before.is_some_and(|before| before > place) {
                let note = "stands in the log before a lower id that came in time";
                verdict.fault(FaultKind::OutOfOrder, id, None, note);
            }
            before = before.max(Some(place));
        }
    }

    /// Judges P2 and P3, and that nothing unwanted was called.
    fn delivery(&self, lane: &Lane, bodies: &[&Body<'_>], verdict: &mut Verdict) {
        let mut finished: BTreeSet<Unit> = BTreeSet::new();
        for body in bodies {
            let place = lane.place(body.callback);
            if let Some(why) = self.not_owed(lane, place, body.event) {
                verdict.fault(FaultKind::Foreign, body.event, at(lane, body.callback), why);
            } else if let (Some(place), true) = (place, body.finished()) {
                finished.insert((place, body.event));
            }
        }
        let records = self.records_of(lane, verdict);
        let start = self.history.start;
        let shown = self.history.shown.iter();
        for event in shown.filter(|event| lane.owes(start, event)) {
            for place in lane.wanting(event) {
                let Some((callback, _)) = lane.callbacks.get(place) else {
                    continue;
                };
                let unit = (place, event.id);
                let ran = finished.contains(&unit);
                let recorded = records.get(&unit).map_or(&[][..], Vec::as_slice);
                let parked = recorded.iter().any(|outcome| *outcome != Recorded::Done);
                verdict.units += 1;
                verdict.finished += usize::from(ran);
                verdict.parked += usize::from(parked);
                let mut fault = |kind, note: &str| {
                    verdict.fault(kind, event.id, at(lane, callback), note);
                };
                let begun = || {
                    bodies
                        .iter()
                        .any(|b| b.event == event.id && b.callback == callback)
                };
                match (ran, recorded) {
                    (_, [_, _, ..]) => {
                        fault(FaultKind::Record, &format!("{} records", recorded.len()));
                    }
                    (true, []) if self.history.records.is_some() => {
                        fault(FaultKind::Record, "it returned, and nothing is on record");
                    }
                    (false, [Recorded::Done]) => {
                        fault(FaultKind::Lost, "on record as done, and no body returned");
                    }
                    (false, []) if begun() => fault(FaultKind::Lost, "begun, never finished"),
                    (false, []) => fault(FaultKind::Lost, "never begun"),
                    (true, []) | (_, [_]) => {}
                }
            }
        }
    }

    /// Collects the records of a lane; those of units that nobody is owed are faults.
    fn records_of(&self, lane: &Lane, verdict: &mut Verdict) -> BTreeMap<Unit, Vec<Recorded>> {
        let mut records: BTreeMap<Unit, Vec<Recorded>> = BTreeMap::new();
        let all = self.history.records.iter().flatten();
        for record in all.filter(|record| record.plugin == lane.plugin) {
            let place = lane.place(&record.callback);
            if let Some(why) = self.not_owed(lane, place, record.event) {
                let note = format!("on record, but {why}");
                verdict.fault(
                    FaultKind::Foreign,
                    record.event,
                    at(lane, &record.callback),
                    note,
                );
            } else if let Some(place) = place {
                records
                    .entry((place, record.event))
                    .or_default()
                    .push(record.outcome);
            }
        }
        records
    }

    /// Judges P4.
    fn repeats(&self, lane: &Lane, bodies: &[&Body<'_>], verdict: &mut Verdict) {
        let mut last: BTreeMap<(&CallbackId, EventId), &Body<'_>> = BTreeMap::new();
        for body in bodies {
            let Some(first) = last.insert((body.callback, body.event), body) else {
                continue;
            };
            match excuse(&self.bodies, lane, first, body) {
                Ok(Excuse::Retried) => verdict.repeats.retried += 1,
                Ok(Excuse::Resumed) => verdict.repeats.resumed += 1,
                Ok(Excuse::DaemonDied) => verdict.repeats.daemon_died += 1,
                Ok(Excuse::WorkerDied) => verdict.repeats.worker_died += 1,
                Err(note) => {
                    verdict.fault(
                        FaultKind::Repeated,
                        body.event,
                        at(lane, body.callback),
                        note,
                    );
                }
            }
        }
    }

    /// Judges P5: first bodies by log, then by registration.
    fn order(&self, lane: &Lane, bodies: &[&Body<'_>], verdict: &mut Verdict) {
        let mut met: BTreeSet<Unit> = BTreeSet::new();
        let mut furthest: Option<((usize, usize), EventId)> = None;
        for body in bodies {
            let Some(place) = lane.place(body.callback) else {
                continue;
            };
            let Some(row) = self.order.get(&body.event) else {
                continue;
            };
            if !met.insert((place, body.event)) {
                continue;
            }
            let key = (*row, place);
            match furthest {
                Some((far, event)) if key < far => {
                    let note = format!("first begun after event {event}");
                    verdict.fault(
                        FaultKind::OutOfOrder,
                        body.event,
                        at(lane, body.callback),
                        note,
                    );
                }
                _ => furthest = Some((key, body.event)),
            }
        }
    }

    /// Returns for each event of a lane how long it took until its first body.
    fn delays(&self, owed: &[&Body<'_>]) -> Vec<u64> {
        let mut met = BTreeSet::new();
        let first = owed.iter().filter(|body| met.insert(body.event));
        let visible = |id| self.shown.get(id).map(|shown| shown.visible_at_ms);
        first
            .filter_map(|body| Some(body.at_ms.saturating_sub(visible(&body.event)?)))
            .collect()
    }
}

/// Returns the ids of the events that no higher id preceded: a follower that reads in pages
/// can only meet them in this order.
fn punctual(shown: &[Shown]) -> Vec<EventId> {
    let mut highest = EventId::default();
    let ids = shown.iter().map(|event| event.id);
    ids.filter(|id| {
        let punctual = *id > highest;
        highest = highest.max(*id);
        punctual
    })
    .collect()
}

/// Judges that a plugin runs one body at a time, over all its processes.
fn overlap(lane: &Lane, bodies: &[&Body<'_>], verdict: &mut Verdict) {
    let mut running: Option<&Body<'_>> = None;
    for body in bodies {
        if let Some(before) = running
            && before.end.is_some_and(|(end, _)| end > body.from)
        {
            let note = format!("begun while event {} ran", before.event);
            verdict.fault(
                FaultKind::Overlap,
                body.event,
                at(lane, body.callback),
                note,
            );
        }
        // A body without an end died with its process, nobody knows when.
        let ends_later = |other: &Body<'_>| body.end.map(|e| e.0) > other.end.map(|e| e.0);
        if running.is_none_or(ends_later) {
            running = Some(body);
        }
    }
}

fn at(lane: &Lane, callback: &CallbackId) -> (PluginId, CallbackId) {
    (lane.plugin.clone(), callback.clone())
}

impl Verdict {
    fn fault(
        &mut self,
        kind: FaultKind,
        event: EventId,
        at: impl Into<Option<(PluginId, CallbackId)>>,
        note: impl Into<String>,
    ) {
        self.faults.push(Fault {
            kind,
            event,
            at: at.into(),
            note: note.into(),
        });
    }
}
