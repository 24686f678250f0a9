//! What survives a kill: the log, the ledger, and what lanes have on record. Every change of it is
//! one transaction, whole or not at all.
//!
//! It keeps the rules of the store (`store/src/sqlite`: `record`, `prune`), which its own suite
//! proves for the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slated_core::follow::Look;
use slated_model::{
    Attempt, CallbackId, Change, Discard, Event, EventId, LaneRow, Offset, Outcome, OutcomeRow,
    PluginId, Row,
};

use crate::ledger::Ledger;
use crate::plan::Keep;
use crate::support::Disk;

/// A unit of work.
pub(crate) type Unit = (PluginId, CallbackId, EventId);
/// What a lane is taken up with.
pub(crate) type TakenUp = (LaneRow, Vec<Attempt>, Vec<OutcomeRow>);

#[derive(Default)]
pub(crate) struct Record {
    pub(crate) ledger: Ledger,
    pub(crate) log: BTreeMap<Offset, Arc<Row>>,
    /// Where each event stands, or stood.
    pub(crate) at: BTreeMap<EventId, Offset>,
    pub(crate) end: Offset,
    pub(crate) start: Offset,
    pub(crate) lanes: BTreeMap<PluginId, Disk>,
}

/// What a transaction of retention did.
pub(crate) struct Pruned {
    pub(crate) rows: Vec<Arc<Row>>,
    pub(crate) more: bool,
}

impl Record {
    pub(crate) fn append(&mut self, look: Look) -> Vec<Arc<Row>> {
        let Look { events, ledger } = look;
        self.ledger.write(ledger, events.len());
        let events = events.into_iter();
        events.map(|(event, late)| self.put(event, late)).collect()
    }
    pub(crate) fn put(&mut self, event: Event, late: bool) -> Arc<Row> {
        self.end = self.end.next();
        let row = Arc::new(Row {
            offset: self.end,
            late,
            event,
        });
        self.at.insert(row.event.id, row.offset);
        self.log.insert(row.offset, row.clone());
        row
    }

    /// Writes changes, and returns the units of wishes that came too late.
    pub(crate) fn write(&mut self, changes: Vec<Change>) -> BTreeSet<Unit> {
        let mut already = BTreeSet::new();
        // Lanes first: others may speak of one that is new.
        let (lanes, rest): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .partition(|change| matches!(change, Change::Lane(_)));
        for change in lanes.into_iter().chain(rest) {
            let plugin = &match &change {
                Change::Lane(row) => {
                    let new = || Disk::new(row.clone());
                    self.lanes.entry(row.plugin.clone()).or_insert_with(new);
                    row.plugin.clone()
                }
                Change::Cursor { plugin, .. } | Change::Rewound { plugin, .. } => plugin.clone(),
                Change::Outcome(row) | Change::Discarded(row) => row.plugin.clone(),
                Change::Attempt(row) | Change::Retried(row) => row.plugin.clone(),
                // Nothing of it is looked at in these worlds, in which neither plugins nor sites move.
                Change::Worker(_)
                | Change::WorkerGone { .. }
                | Change::Began(_)
                | Change::Running(_)
                | Change::Void(_)
                | Change::SiteMoved(_)
                | Change::LettersMoved { .. } => continue,
            };
            let lane = self.lanes.get_mut(plugin).expect("its lane");
            match change {
                Change::Retried(row) => {
                    let unit = (row.event, row.callback.clone());
                    if !lane.outcomes.get(&unit).is_some_and(is_letter) {
                        already.insert((plugin.clone(), unit.1, unit.0));
                        continue;
                    }
                    lane.outcomes.remove(&unit);
                    lane.attempts.insert(unit, row);
                }
                Change::Discarded(row) => {
                    let unit = (row.event, row.callback.clone());
                    match lane.outcomes.get_mut(&unit) {
                        Some(letter) if is_letter(letter) => *letter = row,
                        _ => drop(already.insert((plugin.clone(), unit.1, unit.0))),
                    }
                }
                change => lane.write(vec![change]),
            }
        }
        already
    }

    pub(crate) fn taken_up(&self, plugin: &PluginId) -> Option<TakenUp> {
        let lane = self.lanes.get(plugin)?;
        Some(lane.taken_up(|event| self.at[&event]))
    }

    pub(crate) fn rows(&self, after: Offset, limit: usize) -> Vec<Arc<Row>> {
        let rows = self.log.range(after.next()..).take(limit);
        rows.map(|(_, row)| row.clone()).collect()
    }

    pub(crate) fn row_of(&self, event: EventId) -> Option<Row> {
        let row = self.log.get(self.at.get(&event)?)?;
        Some(Row::clone(row))
    }

    /// Returns the dead letters of a plugin.
    pub(crate) fn letters(&self, plugin: &PluginId) -> Vec<OutcomeRow> {
        let lane = self.lanes.get(plugin).into_iter();
        let letters = lane.flat_map(|lane| lane.outcomes.values());
        letters.filter(|row| is_letter(row)).cloned().collect()
    }

    /// Discards dead letters that are too many, the oldest first.
    pub(crate) fn expire(&mut self, each: usize) -> Vec<OutcomeRow> {
        let mut expired = Vec::new();
        let plugins: Vec<_> = self.lanes.keys().cloned().collect();
        for plugin in plugins {
            let letters = self.letters(&plugin);
            let surplus = letters.len().saturating_sub(each);
            for mut row in letters.into_iter().take(surplus) {
                row.outcome = Outcome::Discarded {
                    reason: Discard::Expired,
                };
                expired.push(row.clone());
                self.write(vec![Change::Discarded(row)]);
            }
        }
        expired
    }

    fn is_needed(&self, event: EventId) -> bool {
        let units = units(event);
        self.lanes.values().any(|lane| {
            let mut outcomes = lane.outcomes.range(units.clone());
            lane.attempts.range(units.clone()).next().is_some()
                || outcomes.any(|(_, row)| is_letter(row))
        })
    }

    /// Lets rows go that were made before `since`, up to what `needed` says beside the record.
    /// `surplus` rows go beyond that, which is wrong but for 0.
    pub(crate) fn prune(
        &mut self,
        keep: Keep,
        (since, until): (&str, &str),
        needed: Option<Offset>,
        surplus: u64,
    ) -> Pruned {
        let looked: Vec<_> = self
            .log
            .range(self.start.next()..)
            .take(keep.rows)
            .collect();
        let young = looked.iter().find(|(_, row)| {
            let made = row.event.head.created_at.as_deref();
            made.is_some_and(|made| made >= since && made < until)
        });
        let (old, more) = match (young, looked.last()) {
            (Some((offset, _)), _) => (Offset(offset.0 - 1), false),
            (None, Some((offset, _))) => (**offset, looked.len() == keep.rows),
            (None, None) => (self.start, false),
        };
        let there = self.lanes.values().filter(|lane| !lane.row.gone);
        let needed = there.map(|lane| lane.row.cursor).chain(needed).min();
        let newest = Offset(self.end.0.saturating_sub(1));
        let mut through = old.min(newest);
        let held = needed.is_some_and(|cursor| cursor < through);
        if let Some(cursor) = needed.filter(|_| held) {
            through = Offset(cursor.0 + surplus);
        }
        let more = more && !held && through > self.start;
        self.start = self.start.max(through);
        let upto = || self.log.range(..=self.start);
        let highest = upto().map(|(_, row)| row.event.id).max();
        let free = |row: &&Arc<Row>| Some(row.event.id) != highest && !self.is_needed(row.event.id);
        let rows: Vec<_> = upto().map(|(_, row)| row).filter(free).cloned().collect();
        for row in &rows {
            self.log.remove(&row.offset);
            for lane in self.lanes.values_mut() {
                let units = units(row.event.id);
                let gone: Vec<_> = lane.outcomes.range(units).map(|(u, _)| u.clone()).collect();
                for unit in gone {
                    lane.outcomes.remove(&unit);
                }
            }
        }
        Pruned { rows, more }
    }
}

fn is_letter(row: &OutcomeRow) -> bool {
    matches!(row.outcome, Outcome::DeadLetter { .. })
}

/// All units of an event in a lane.
fn units(event: EventId) -> std::ops::Range<(EventId, CallbackId)> {
    let from = |event| (event, CallbackId::new("", 0));
    from(event)..from(event.next())
}
