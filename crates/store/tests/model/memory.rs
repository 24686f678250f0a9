//! A store in memory: what the SQLite backend is compared with, as plain as can be.
//!
//! It can be given a flaw, by which the conformance suite is shown to find one.

mod upkeep;
mod void;
mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use slated_model::{
    Attempt, Beginning, CallbackId, Change, Discard, Event, EventId, LaneRow, LedgerChange,
    LedgerState, Offset, Outcome, OutcomeRow, PluginId, Row, Void, Voided, WorkerRow,
};
use slated_store::conformance::Place;
use slated_store::{
    Append, Appended, Beyond, Epoch, Error, Keep, KeepLetters, Letters, LogEnd, Mark, Pruned,
    Recorded, Result, Snapshot, Store,
};

use super::flaw::Flaw;

type Unit = (EventId, PluginId, CallbackId);

#[derive(Clone, Default)]
struct State {
    epoch: u64,
    site: Option<String>,
    beginning: Option<Beginning>,
    ledger: Option<LedgerState>,
    log: Vec<Row>,
    /// The offset before the first row that retention has left.
    start: Offset,
    lanes: BTreeMap<PluginId, LaneRow>,
    /// By the numbers they were written under.
    outcomes: BTreeMap<u64, OutcomeRow>,
    written: u64,
    attempts: BTreeMap<Unit, Attempt>,
    workers: BTreeMap<u32, WorkerRow>,
    running: bool,
    /// Numbers of outcomes, and the time watched since.
    ages: Vec<(u64, u64)>,
    swept: EventId,
    voided: Vec<Voided>,
}

/// Where a state in memory lives.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    state: Arc<Mutex<State>>,
    flaw: Option<Flaw>,
}

/// One opening of it.
pub(crate) struct Opened {
    state: Arc<Mutex<State>>,
    flaw: Option<Flaw>,
    epoch: Epoch,
}

impl Memory {
    pub(crate) fn with(flaw: Option<Flaw>) -> Self {
        Self {
            flaw,
            ..Self::default()
        }
    }

    pub(crate) fn opened(&self) -> Opened {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.flaw != Some(Flaw::EpochStays) {
            state.epoch += 1;
        }
        match self.flaw {
            Some(Flaw::SiteForgotten) => state.site = None,
            Some(Flaw::HolesForgotten) => {
                if let Some(ledger) = &mut state.ledger {
                    ledger.holes.clear();
                }
            }
            _ => {}
        }
        Opened {
            state: Arc::clone(&self.state),
            flaw: self.flaw,
            epoch: Epoch(state.epoch),
        }
    }
}

impl Place for Memory {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Store>>> {
        Box::pin(async { Ok(Box::new(self.opened()) as Box<dyn Store>) })
    }
    fn seize(&self) -> BoxFuture<'_, Result<Box<dyn Store>>> {
        self.open()
    }
}

impl Opened {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn read(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a copy and puts it in place if that went well.
    fn write<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.read();
        if state.epoch != self.epoch.0 && !self.has(Flaw::NoFence) {
            return Err(Error::Fenced {
                ours: self.epoch,
                current: Epoch(state.epoch),
            });
        }
        let mut copy = state.clone();
        let end = change(&mut copy);
        if end.is_ok() || self.has(Flaw::DuplicateLeavesHalf) || self.has(Flaw::RefusedLeavesHalf) {
            *state = copy;
        }
        end
    }

    fn push(&self, state: &mut State, event: &Event, late: bool) -> Result<()> {
        let known = state.log.iter().any(|row| row.event.id == event.id);
        if known && !self.has(Flaw::DuplicateTaken) {
            return Err(Error::Duplicate(event.id));
        }
        let mut event = event.clone();
        if self.has(Flaw::UnreadableParsed) && !event.is_readable() {
            event = Event::parse(&format!("{{\"id\":{}}}", event.id)).unwrap_or(event);
        }
        state.log.push(Row {
            offset: if self.has(Flaw::VoidFreesOffset) {
                let last = state.log.last().map(|row| row.offset);
                last.unwrap_or_default().next()
            } else {
                end(state).next()
            },
            late: late && !self.has(Flaw::LateForgotten),
            event,
        });
        Ok(())
    }

    fn change_ledger(&self, state: &mut State, change: LedgerChange) {
        let ledger = state.ledger.get_or_insert_default();
        ledger.high = change.high;
        ledger.audited = change.audited;
        ledger.anchors = change.anchors;
        if self.has(Flaw::AnchorsForgotten) {
            ledger.anchors.clear();
        }
        let put = |ledger: &mut LedgerState| {
            for hole in &change.put {
                ledger.holes.retain(|old| old.lo != hole.lo);
                ledger.holes.push(*hole);
            }
        };
        if self.has(Flaw::PutBeforeRemoved) {
            put(ledger);
        }
        ledger.holes.retain(|old| !change.removed.contains(&old.lo));
        if !self.has(Flaw::PutBeforeRemoved) {
            put(ledger);
        }
        ledger.holes.sort_by_key(|hole| hole.lo);
    }

    fn apply(&self, state: &mut State, mut changes: Vec<Change>) -> Result<Recorded> {
        let mut recorded = Recorded::default();
        changes.sort_by_key(|change| match change {
            Change::Lane(_) => 0,
            Change::Cursor { .. } => 1,
            _ => 2,
        });
        for change in changes {
            match change {
                Change::Lane(mut row) => {
                    if let Some(old) = state.lanes.get(&row.plugin)
                        && !self.has(Flaw::LaneMovesCursor)
                    {
                        row.cursor = old.cursor;
                    }
                    if self.has(Flaw::HoldForgotten) {
                        row.hold = None;
                    }
                    state.lanes.insert(row.plugin.clone(), row);
                }
                Change::Cursor { plugin, cursor } => match state.lanes.get_mut(&plugin) {
                    Some(lane) if self.has(Flaw::CursorGoesBack) => lane.cursor = cursor,
                    Some(lane) => lane.cursor = lane.cursor.max(cursor),
                    None if self.has(Flaw::CursorMakesNoError) => {}
                    None => {
                        let what = format!("the cursor of {plugin}");
                        return Err(Error::Unfit { what });
                    }
                },
                Change::Began(beginning) => {
                    if state.beginning.is_none() || !self.has(Flaw::FirstBeginningStands) {
                        state.beginning = Some(beginning);
                    }
                }
                Change::Void(void) => self.void(state, void),
                Change::SiteMoved(url) => {
                    if !self.has(Flaw::MoveForgotten) {
                        state.site = Some(url);
                    }
                }
                Change::Outcome(row) => self.finish(state, row, &mut recorded),
                Change::Attempt(row) => {
                    let finished = state.outcomes.values().any(|old| {
                        (&old.plugin, &old.callback, old.event)
                            == (&row.plugin, &row.callback, row.event)
                    });
                    if finished && !self.has(Flaw::AttemptAfterOutcome) {
                        recorded.already.push((row.plugin, row.callback, row.event));
                        continue;
                    }
                    let unit = (row.event, row.plugin.clone(), row.callback.clone());
                    state.attempts.insert(unit, row);
                }
                Change::Retried(row) => {
                    let unit = (row.event, row.plugin.clone(), row.callback.clone());
                    match self.dead_letter(state, &unit) {
                        Some(at) => {
                            if !self.has(Flaw::RetriedStaysDead) {
                                state.outcomes.remove(&at);
                            }
                            state.attempts.insert(unit, row);
                        }
                        None => recorded.already.push((unit.1, unit.2, unit.0)),
                    }
                }
                Change::Discarded(row) => {
                    let unit = (row.event, row.plugin.clone(), row.callback.clone());
                    match self.dead_letter(state, &unit) {
                        Some(at) => drop(state.outcomes.insert(at, row)),
                        None => recorded.already.push((unit.1, unit.2, unit.0)),
                    }
                }
                Change::LettersMoved { from, to } => self.move_letters(state, &from, &to),
                Change::Rewound { plugin, to, again } => self.rewind(state, &plugin, to, again)?,
                Change::Running(runs) => state.running = runs || self.has(Flaw::AlwaysRuns),
                Change::Worker(row) => {
                    state.workers.insert(row.pid, row);
                }
                Change::WorkerGone { pid } => {
                    if !self.has(Flaw::WorkersStay) {
                        state.workers.remove(&pid);
                    }
                }
            }
        }
        if self.has(Flaw::AlreadyNotTold) {
            recorded.already.clear();
        }
        Ok(recorded)
    }

    fn finish(&self, state: &mut State, row: OutcomeRow, recorded: &mut Recorded) {
        let unit = (row.event, row.plugin.clone(), row.callback.clone());
        if !self.has(Flaw::AttemptStays) {
            state.attempts.remove(&unit);
        }
        let old = state.outcomes.values_mut().find(|old| {
            (old.event, &old.plugin) == (row.event, &row.plugin)
                && (old.callback == row.callback || self.has(Flaw::OutcomeOfOtherCallback))
        });
        if let Some(old) = old {
            recorded
                .already
                .push((row.plugin.clone(), row.callback.clone(), row.event));
            if self.has(Flaw::LastOutcomeStands) {
                *old = row;
            }
        } else {
            state.written += 1;
            state.outcomes.insert(state.written, row);
        }
    }

    fn ahead(&self, state: &State) -> Vec<OutcomeRow> {
        if self.has(Flaw::AheadEmpty) {
            return Vec::new();
        }
        let offset = |id| {
            let row = state.log.iter().find(|row| row.event.id == id)?;
            Some(if self.has(Flaw::AheadById) {
                row.event.id.0
            } else {
                row.offset.0
            })
        };
        let is_ahead = |row: &&OutcomeRow| {
            let lane = state.lanes.get(&row.plugin);
            lane.is_some_and(|lane| offset(row.event).is_some_and(|at| at > lane.cursor.0))
        };
        state.outcomes.values().filter(is_ahead).cloned().collect()
    }
}

fn end(state: &State) -> Offset {
    let void = state.voided.iter().map(|void| &void.row);
    let rows = state.log.iter().chain(void);
    rows.map(|row| row.offset).max().unwrap_or_default()
}

impl Store for Opened {
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot>> {
        Box::pin(async {
            let state = self.read();
            Ok(Snapshot {
                epoch: self.epoch,
                site: state.site.clone(),
                beginning: state.beginning.clone(),
                ledger: state.ledger.clone(),
                log: LogEnd {
                    start: state.start,
                    end: end(&state),
                },
                lanes: state.lanes.values().cloned().collect(),
                attempts: state.attempts.values().cloned().collect(),
                ahead: self.ahead(&state),
                workers: state.workers.values().cloned().collect(),
                running: state.running,
            })
        })
    }

    fn bind_site(&self, url: String) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.write(|state| match &state.site {
                Some(bound) if *bound != url && !self.has(Flaw::AnySite) => {
                    let bound = bound.clone();
                    Err(Error::OtherSite { bound, asked: url })
                }
                _ => {
                    state.site = Some(url);
                    Ok(())
                }
            })
        })
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended>> {
        Box::pin(async move {
            if self.has(Flaw::HalfWhenDropped) {
                let mut events = append.events.into_iter();
                if let Some((event, late)) = events.next() {
                    self.write(|state| self.push(state, &event, late))?;
                    tokio::task::yield_now().await;
                }
                for (event, late) in events {
                    self.write(|state| self.push(state, &event, late))?;
                }
                return self.write(|state| {
                    self.change_ledger(state, append.ledger);
                    Ok(Appended { end: end(state) })
                });
            }
            if self.has(Flaw::DuplicateLeavesLedger) {
                self.write(|state| {
                    self.change_ledger(state, append.ledger.clone());
                    Ok(())
                })?;
            }
            self.write(|state| {
                for (event, late) in &append.events {
                    self.push(state, event, *late)?;
                }
                self.change_ledger(state, append.ledger);
                Ok(Appended { end: end(state) })
            })
        })
    }

    fn record(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Recorded>> {
        Box::pin(async move { self.write(|state| self.apply(state, changes)) })
    }

    fn rows(&self, after: Offset, limit: usize) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(async move {
            let limit = limit.saturating_add(self.has(Flaw::LimitByOne).into());
            let state = self.read();
            let later = state.log.iter().filter(|row| row.offset > after);
            Ok(later.take(limit).cloned().collect())
        })
    }

    fn event(&self, id: EventId) -> BoxFuture<'_, Result<Option<Row>>> {
        Box::pin(async move {
            let state = self.read();
            Ok(state.log.iter().find(|row| row.event.id == id).cloned())
        })
    }

    fn between(&self, lo: EventId, hi: EventId, most: usize) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(async move {
            let mut rows = self.read().log.clone();
            rows.retain(|row| lo <= row.event.id && row.event.id <= hi);
            if !self.has(Flaw::BetweenByArrival) {
                rows.sort_by_key(|row| row.event.id);
            }
            Ok(rows.into_iter().take(most).collect())
        })
    }

    fn highest(&self, through: Offset) -> BoxFuture<'_, Result<Option<Row>>> {
        Box::pin(async move {
            let state = self.read();
            let up_to = |row: &&Row| row.offset <= through || self.has(Flaw::HighestOfAll);
            let mut rows = state.log.iter().filter(up_to);
            let row = if self.has(Flaw::HighestIsLast) {
                rows.next_back()
            } else {
                rows.max_by_key(|row| row.event.id)
            };
            Ok(row.cloned())
        })
    }

    fn fate(&self, id: EventId) -> BoxFuture<'_, Result<(Vec<OutcomeRow>, Vec<Attempt>)>> {
        Box::pin(async move {
            let state = self.read();
            let outcomes = state.outcomes.values().filter(|row| row.event == id);
            let attempts = state.attempts.values().filter(|row| row.event == id);
            Ok((outcomes.cloned().collect(), attempts.cloned().collect()))
        })
    }

    fn latest(
        &self,
        plugin: Option<PluginId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<OutcomeRow>>> {
        Box::pin(async move {
            let mut outcomes: Vec<_> = self.read().outcomes.values().cloned().collect();
            if self.has(Flaw::LatestByEvent) {
                outcomes.sort_by_key(|row| row.event);
            }
            let wanted = |row: &OutcomeRow| {
                self.has(Flaw::LatestOfAll) || plugin.as_ref().is_none_or(|p| row.plugin == *p)
            };
            let newest = outcomes.into_iter().rev().filter(wanted);
            Ok(newest.take(limit).collect())
        })
    }

    fn expire(&self, keep: KeepLetters) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move { self.write(|state| Ok(self.expire_letters(state, keep))) })
    }

    fn prune(&self, keep: Keep) -> BoxFuture<'_, Result<Pruned>> {
        Box::pin(async move { self.write(|state| Ok(self.let_go(state, &keep))) })
    }

    fn dead_letters(
        &self,
        plugin: Option<PluginId>,
        behind: Option<Mark>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Letters>> {
        Box::pin(async move {
            let behind = behind.map_or(u64::MAX, |mark| mark.0);
            let behind = behind.saturating_add(self.has(Flaw::PagesOverlap).into());
            let mut outcomes: Vec<_> = self.read().outcomes.clone().into_iter().collect();
            if !self.has(Flaw::DeadLettersOldFirst) {
                outcomes.reverse();
            }
            let dead = |row: &OutcomeRow| {
                matches!(row.outcome, Outcome::DeadLetter { .. })
                    || self.has(Flaw::DeadLettersOfAll)
            };
            outcomes.retain(|(at, row)| {
                *at < behind && dead(row) && plugin.as_ref().is_none_or(|p| row.plugin == *p)
            });
            let more = outcomes.len() > limit;
            outcomes.truncate(limit);
            let last = outcomes.last().map(|(at, _)| Mark(*at));
            Ok(Letters {
                rows: outcomes.into_iter().map(|(_, row)| row).collect(),
                next: last.filter(|_| more),
            })
        })
    }

    fn count_letters(&self) -> BoxFuture<'_, Result<BTreeMap<PluginId, u64>>> {
        Box::pin(async move {
            let mut counts = BTreeMap::new();
            for row in self.read().outcomes.values() {
                if matches!(row.outcome, Outcome::DeadLetter { .. }) || self.has(Flaw::CountsAll) {
                    *counts.entry(row.plugin.clone()).or_default() += 1;
                }
            }
            Ok(counts)
        })
    }

    fn outcomes(
        &self,
        plugin: PluginId,
        after: Offset,
        through: Offset,
    ) -> BoxFuture<'_, Result<Vec<OutcomeRow>>> {
        Box::pin(async move {
            let state = self.read();
            let between = state
                .log
                .iter()
                .filter(|row| row.offset > after && row.offset <= through);
            let ids: BTreeSet<_> = between.map(|row| row.event.id).collect();
            let rows = state.outcomes.values();
            let rows = rows.filter(|row| row.plugin == plugin && ids.contains(&row.event));
            Ok(rows.cloned().collect())
        })
    }

    fn beyond(&self, above: EventId) -> BoxFuture<'_, Result<Beyond>> {
        Box::pin(async move {
            let state = self.read();
            let rows = state.log.iter().map(|row| row.event.id);
            let rows: BTreeSet<_> = rows.filter(|id| *id > above).collect();
            let ended = || {
                let outcomes = state.outcomes.values();
                outcomes.filter(|o| rows.contains(&o.event))
            };
            let mut done = BTreeMap::<PluginId, BTreeSet<EventId>>::new();
            for outcome in ended().filter(|o| matches!(o.outcome, Outcome::Done { .. })) {
                let of = done.entry(outcome.plugin.clone()).or_default();
                of.insert(outcome.event);
            }
            let letters = ended().filter(|o| matches!(o.outcome, Outcome::DeadLetter { .. }));
            let attempts = state.attempts.values();
            let attempts = attempts.filter(|a| rows.contains(&a.event));
            Ok(Beyond {
                rows: rows.len() as u64,
                done: done
                    .into_iter()
                    .map(|(p, ids)| (p, ids.len() as u64))
                    .collect(),
                dead_letters: letters.count() as u64,
                attempts: attempts.count() as u64,
            })
        })
    }

    fn count_void(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move { Ok(self.read().voided.len() as u64) })
    }

    fn voided(&self, id: EventId) -> BoxFuture<'_, Result<Vec<Voided>>> {
        Box::pin(async move {
            let state = self.read();
            let mut voided = state
                .voided
                .iter()
                .filter(|void| void.row.event.id == id)
                .cloned()
                .collect::<Vec<_>>();
            voided.sort_by_key(|void| void.row.offset);
            Ok(voided)
        })
    }
}
