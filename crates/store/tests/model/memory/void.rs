//! Void rows.

use super::*;

impl Opened {
    pub(super) fn void(&self, state: &mut State, void: Void) {
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
            let ended = state.outcomes.values().filter(|o| of(o.event)).cloned();
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
            state.outcomes.retain(|_, o| !goes(o.event));
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
}
