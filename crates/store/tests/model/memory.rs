//! A store in memory: what the SQLite backend is compared with, as plain as can be.
//!
//! It can be given a flaw, by which the conformance suite is shown to find one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use slated_model::{
    Attempt, Beginning, CallbackId, Change, Discard, Event, EventId, LaneRow, LedgerChange,
    LedgerState, Offset, Outcome, OutcomeRow, PluginId, Row, Void, Voided, WorkerRow,
};
use slated_store::conformance::Place;
use slated_store::{
    Append, Appended, Beyond, Epoch, Error, Keep, KeepLetters, LogEnd, Print, Pruned, Recorded,
    Result, Snapshot, Store,
};

/// What may be wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    LastOutcomeStands,
    AlreadyNotTold,
    OutcomeOfOtherCallback,
    CursorGoesBack,
    LaneMovesCursor,
    CursorMakesNoError,
    DuplicateLeavesHalf,
    DuplicateLeavesLedger,
    DuplicateTaken,
    PutBeforeRemoved,
    HolesForgotten,
    AnchorsForgotten,
    NoFence,
    EpochStays,
    AnySite,
    SiteForgotten,
    AttemptStays,
    AttemptAfterOutcome,
    AheadById,
    AheadEmpty,
    LateForgotten,
    UnreadableParsed,
    LatestByEvent,
    LatestOfAll,
    HighestIsLast,
    HighestOfAll,
    DeadLettersOfAll,
    DeadLettersOldFirst,
    WorkersStay,
    RefusedLeavesHalf,
    HalfWhenDropped,
    LimitByOne,
    HoldForgotten,
    FirstBeginningStands,
    RetriedStaysDead,
    AllAreDead,
    NeedForgotten,
    LetterForgotten,
    VoidStays,
    VoidFreesOffset,
    VoidOutcomeBlocks,
    VoidAttemptStays,
    VoidTakesOneMore,
    VoidKeepsHoles,
    VoidLettersStay,
    MoveForgotten,
}

impl Flaw {
    pub(crate) const ALL: &[Self] = &[
        Self::LastOutcomeStands,
        Self::AlreadyNotTold,
        Self::OutcomeOfOtherCallback,
        Self::CursorGoesBack,
        Self::LaneMovesCursor,
        Self::CursorMakesNoError,
        Self::DuplicateLeavesHalf,
        Self::DuplicateLeavesLedger,
        Self::DuplicateTaken,
        Self::PutBeforeRemoved,
        Self::HolesForgotten,
        Self::AnchorsForgotten,
        Self::NoFence,
        Self::EpochStays,
        Self::AnySite,
        Self::SiteForgotten,
        Self::AttemptStays,
        Self::AttemptAfterOutcome,
        Self::AheadById,
        Self::AheadEmpty,
        Self::LateForgotten,
        Self::UnreadableParsed,
        Self::LatestByEvent,
        Self::LatestOfAll,
        Self::HighestIsLast,
        Self::HighestOfAll,
        Self::DeadLettersOfAll,
        Self::DeadLettersOldFirst,
        Self::WorkersStay,
        Self::RefusedLeavesHalf,
        Self::HalfWhenDropped,
        Self::LimitByOne,
        Self::HoldForgotten,
        Self::FirstBeginningStands,
        Self::RetriedStaysDead,
        Self::AllAreDead,
        Self::NeedForgotten,
        Self::LetterForgotten,
        Self::VoidStays,
        Self::VoidFreesOffset,
        Self::VoidOutcomeBlocks,
        Self::VoidAttemptStays,
        Self::VoidTakesOneMore,
        Self::VoidKeepsHoles,
        Self::VoidLettersStay,
        Self::MoveForgotten,
    ];
}

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
    outcomes: Vec<OutcomeRow>,
    attempts: BTreeMap<Unit, Attempt>,
    workers: BTreeMap<u32, WorkerRow>,
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
                    let finished = state.outcomes.iter().any(|old| {
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
                                state.outcomes.remove(at);
                            }
                            state.attempts.insert(unit, row);
                        }
                        None => recorded.already.push((unit.1, unit.2, unit.0)),
                    }
                }
                Change::Discarded(row) => {
                    let unit = (row.event, row.plugin.clone(), row.callback.clone());
                    match self.dead_letter(state, &unit) {
                        Some(at) => state.outcomes[at] = row,
                        None => recorded.already.push((unit.1, unit.2, unit.0)),
                    }
                }
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

    fn void(&self, state: &mut State, void: Void) {
        let reason = Outcome::Discarded {
            reason: Discard::Void,
        };
        let one_more = u64::from(self.has(Flaw::VoidTakesOneMore));
        let goes = |id: EventId| id.0 + one_more > void.above.0;
        let (rows, log) = std::mem::take(&mut state.log)
            .into_iter()
            .partition::<Vec<_>, _>(|row| goes(row.event.id));
        state.log = log;
        for row in rows {
            let of = |event| event == row.event.id;
            let ended = state.outcomes.iter().filter(|o| of(o.event)).cloned();
            let mut outcomes: Vec<_> = ended.collect();
            for outcome in &mut outcomes {
                let letter = matches!(outcome.outcome, Outcome::DeadLetter { .. });
                if letter && !self.has(Flaw::VoidLettersStay) {
                    outcome.outcome = reason.clone();
                }
            }
            let open = state.attempts.values().filter(|a| of(a.event));
            outcomes.extend(open.map(|a| OutcomeRow {
                plugin: a.plugin.clone(),
                callback: a.callback.clone(),
                event: a.event,
                attempt: a.failed,
                outcome: reason.clone(),
                at_ms: a.at_ms,
            }));
            if self.has(Flaw::VoidStays) {
                state.log.push(row.clone());
                state.log.sort_by_key(|row| row.offset);
            }
            state.voided.push(Voided {
                row,
                at_ms: void.at_ms,
                outcomes,
            });
        }
        if !self.has(Flaw::VoidOutcomeBlocks) {
            state.outcomes.retain(|o| !goes(o.event));
        }
        if !self.has(Flaw::VoidAttemptStays) {
            state.attempts.retain(|(event, ..), _| !goes(*event));
        }
        let mut ledger = void.ledger;
        ledger.holes.sort_by_key(|hole| hole.lo);
        if self.has(Flaw::VoidKeepsHoles)
            && let Some(old) = &state.ledger
        {
            ledger.holes.clone_from(&old.holes);
        }
        state.ledger = Some(ledger);
    }

    fn dead_letter(&self, state: &State, unit: &Unit) -> Option<usize> {
        let is_dead = |row: &OutcomeRow| {
            matches!(row.outcome, Outcome::DeadLetter { .. }) || self.has(Flaw::AllAreDead)
        };
        state.outcomes.iter().position(|row| {
            (row.event, &row.plugin, &row.callback) == (unit.0, &unit.1, &unit.2) && is_dead(row)
        })
    }

    fn finish(&self, state: &mut State, row: OutcomeRow, recorded: &mut Recorded) {
        let unit = (row.event, row.plugin.clone(), row.callback.clone());
        if !self.has(Flaw::AttemptStays) {
            state.attempts.remove(&unit);
        }
        let old = state.outcomes.iter_mut().find(|old| {
            (old.event, &old.plugin) == (row.event, &row.plugin)
                && (old.callback == row.callback || self.has(Flaw::OutcomeOfOtherCallback))
        });
        match old {
            Some(old) => {
                recorded
                    .already
                    .push((row.plugin.clone(), row.callback.clone(), row.event));
                if self.has(Flaw::LastOutcomeStands) {
                    *old = row;
                }
            }
            None => state.outcomes.push(row),
        }
    }

    fn expire_letters(state: &mut State, keep: KeepLetters) -> u64 {
        let is_dead = |row: &&mut OutcomeRow| matches!(row.outcome, Outcome::DeadLetter { .. });
        let mut counts = BTreeMap::<PluginId, u64>::new();
        let mut letters = 0;
        for row in state.outcomes.iter_mut().rev().filter(is_dead) {
            let nth = counts.entry(row.plugin.clone()).or_default();
            *nth += 1;
            if *nth > keep.each || row.at_ms < keep.since_ms {
                letters += 1;
                row.outcome = Outcome::Discarded {
                    reason: Discard::Expired,
                };
            }
        }
        letters
    }

    fn let_go(&self, state: &mut State, keep: &Keep) -> Pruned {
        let is_dead = |row: &OutcomeRow| matches!(row.outcome, Outcome::DeadLetter { .. });
        let start = state.start;
        let after = state.log.iter().filter(|row| row.offset > start);
        let looked: Vec<_> = after
            .take(usize::try_from(keep.rows).unwrap_or(usize::MAX))
            .collect();
        let young = |row: &&&Row| {
            let made = row.event.head.created_at.as_deref();
            made.is_some_and(|made| keep.since.as_str() <= made && made < keep.until.as_str())
        };
        let first_young = looked.iter().find(young);
        let old = match first_young {
            Some(row) => Offset(row.offset.0 - 1),
            None => looked.last().map_or(start, |row| row.offset),
        };
        let mut more = first_young.is_none() && looked.len() as u64 == keep.rows;
        let mut through = old.min(Offset(end(state).0.saturating_sub(1)));
        let there = state.lanes.values().filter(|lane| !lane.gone);
        let there = there.map(|lane| (lane.cursor, lane.plugin.clone()));
        let mut held_back_by = None;
        if let Some((cursor, plugin)) = there.chain(keep.needed.clone()).min()
            && cursor < through
            && !self.has(Flaw::NeedForgotten)
        {
            through = cursor;
            held_back_by = Some(plugin);
            more = false;
        }
        more = more && through > start;
        through = through.max(start);
        let needed: BTreeSet<EventId> = state
            .outcomes
            .iter()
            .filter(|row| is_dead(row) && !self.has(Flaw::LetterForgotten))
            .map(|row| row.event)
            .chain(state.attempts.values().map(|row| row.event))
            .collect();
        let up_to = state.log.iter().filter(|row| row.offset <= through);
        let highest = up_to.map(|row| row.event.id).max();
        let goes = |row: &Row| {
            let id = row.event.id;
            row.offset <= through && !needed.contains(&id) && Some(id) != highest
        };
        let gone: BTreeSet<_> = state
            .log
            .iter()
            .filter(|row| goes(row))
            .map(|row| row.event.id)
            .collect();
        state.log.retain(|row| !gone.contains(&row.event.id));
        state.outcomes.retain(|row| !gone.contains(&row.event));
        state.voided.retain(|void| void.row.offset > through);
        state.start = through;
        Pruned {
            events: gone.len() as u64,
            start: through,
            held_back_by,
            more,
            bytes: 0,
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
        state.outcomes.iter().filter(is_ahead).cloned().collect()
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
            let outcomes = state.outcomes.iter().filter(|row| row.event == id);
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
            let mut outcomes = self.read().outcomes.clone();
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
        Box::pin(async move { self.write(|state| Ok(Self::expire_letters(state, keep))) })
    }

    fn prune(&self, keep: Keep) -> BoxFuture<'_, Result<Pruned>> {
        Box::pin(async move { self.write(|state| Ok(self.let_go(state, &keep))) })
    }

    fn dead_letters(&self, limit: usize) -> BoxFuture<'_, Result<Vec<OutcomeRow>>> {
        Box::pin(async move {
            let mut outcomes = self.read().outcomes.clone();
            if !self.has(Flaw::DeadLettersOldFirst) {
                outcomes.reverse();
            }
            let dead = |row: &OutcomeRow| {
                matches!(row.outcome, Outcome::DeadLetter { .. })
                    || self.has(Flaw::DeadLettersOfAll)
            };
            Ok(outcomes.into_iter().filter(dead).take(limit).collect())
        })
    }

    fn prints(&self, from: EventId, limit: usize) -> BoxFuture<'_, Result<Vec<Print>>> {
        Box::pin(async move {
            let state = self.read();
            let rows = state.log.iter().filter(|row| row.event.id >= from);
            let mut prints: Vec<Print> = rows
                .map(|row| {
                    let readable = row.event.is_readable();
                    (row.event.id, readable.then(|| row.event.fingerprint()))
                })
                .collect();
            prints.sort_by_key(|print| print.0);
            prints.truncate(limit);
            Ok(prints)
        })
    }

    fn beyond(&self, above: EventId) -> BoxFuture<'_, Result<Beyond>> {
        Box::pin(async move {
            let state = self.read();
            let rows = state.log.iter().map(|row| row.event.id);
            let rows: BTreeSet<_> = rows.filter(|id| *id > above).collect();
            let ended = || state.outcomes.iter().filter(|o| rows.contains(&o.event));
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
