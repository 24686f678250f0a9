//! Retention.

use super::*;

impl Opened {
    pub(super) fn expire_letters(&self, state: &mut State, keep: KeepLetters) -> u64 {
        for (_, age) in &mut state.ages {
            *age = age.saturating_add(keep.watched_ms);
        }
        let newest = state.outcomes.keys().last().copied().unwrap_or_default();
        let last = state.ages.last().copied();
        let spaced = last.is_none_or(|(_, age)| age >= keep.for_ms / 30);
        if spaced && newest > last.unwrap_or_default().0 {
            state.ages.push((newest, 0));
        }
        let old = state.ages.iter().filter(|(_, age)| *age >= keep.for_ms);
        let old = old.map(|(at, _)| *at).max().unwrap_or_default();
        state.ages.retain(|(_, age)| *age < keep.for_ms);
        let mut counts = BTreeMap::<PluginId, u64>::new();
        let mut letters = 0;
        for (at, row) in state.outcomes.iter_mut().rev() {
            if !matches!(row.outcome, Outcome::DeadLetter { .. }) {
                continue;
            }
            let nth = counts.entry(row.plugin.clone()).or_default();
            *nth += 1;
            let by_clock = self.has(Flaw::ClockBelieved) && row.at_ms < -99;
            if *nth > keep.each || *at <= old || by_clock {
                letters += 1;
                row.outcome = Outcome::Discarded {
                    reason: Discard::Expired,
                };
            }
        }
        letters
    }

    pub(super) fn sweep(&self, state: &mut State, rows: u64) -> u64 {
        let went = state.log.iter().filter(|row| row.offset <= state.start);
        let Some(gone) = went.map(|row| row.event.id).max() else {
            return 0;
        };
        let from = state.swept;
        let ids: BTreeSet<_> = state.outcomes.values().map(|row| row.event).collect();
        let next = ids.into_iter().filter(|id| *id > from && *id <= gone);
        let looked: Vec<_> = next
            .take(usize::try_from(rows).unwrap_or(usize::MAX))
            .collect();
        let log: BTreeSet<_> = state.log.iter().map(|row| row.event.id).collect();
        let before = state.outcomes.len() + state.attempts.len();
        let dead = |row: &OutcomeRow| matches!(row.outcome, Outcome::DeadLetter { .. });
        if !self.has(Flaw::NothingSwept) {
            state.outcomes.retain(|_, row| {
                !looked.contains(&row.event)
                    || log.contains(&row.event)
                    || (dead(row) && !self.has(Flaw::AllSwept))
            });
            state
                .attempts
                .retain(|_, row| row.event > gone || log.contains(&row.event));
        }
        let all = (looked.len() as u64) < rows;
        let last = looked.last().copied().unwrap_or(from);
        state.swept = if all { EventId(0) } else { last };
        (before - state.outcomes.len() - state.attempts.len()) as u64
    }

    pub(super) fn let_go(&self, state: &mut State, keep: &Keep) -> Pruned {
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
            .values()
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
        state.outcomes.retain(|_, row| !gone.contains(&row.event));
        state.voided.retain(|void| void.row.offset > through);
        state.start = through;
        Pruned {
            swept: self.sweep(state, keep.rows),
            events: gone.len() as u64,
            start: through,
            held_back_by,
            more,
            bytes: 0,
        }
    }
}
