//! What a person wishes.

use super::*;

impl Opened {
    pub(super) fn dead_letter(&self, state: &State, unit: &Unit) -> Option<u64> {
        let is_dead = |row: &OutcomeRow| {
            matches!(row.outcome, Outcome::DeadLetter { .. }) || self.has(Flaw::AllAreDead)
        };
        let mut rows = state.outcomes.iter();
        let found = rows.find(|(_, row)| {
            (row.event, &row.plugin, &row.callback) == (unit.0, &unit.1, &unit.2) && is_dead(row)
        });
        found.map(|(at, _)| *at)
    }

    pub(super) fn move_letters(&self, state: &mut State, from: &PluginId, to: &PluginId) {
        if self.has(Flaw::LettersStay) {
            return;
        }
        let taken = |row: &OutcomeRow| {
            let of =
                |unit: (&PluginId, &CallbackId, EventId)| unit == (to, &row.callback, row.event);
            let mut outcomes = state.outcomes.values();
            let mut attempts = state.attempts.values();
            !self.has(Flaw::LettersTakeOver)
                && (outcomes.any(|o| of((&o.plugin, &o.callback, o.event)))
                    || attempts.any(|a| of((&a.plugin, &a.callback, a.event))))
        };
        let go = |row: &OutcomeRow| {
            row.plugin == *from && matches!(row.outcome, Outcome::DeadLetter { .. }) && !taken(row)
        };
        let moved = state.outcomes.iter().filter(|(_, row)| go(row));
        let moved: Vec<u64> = moved.map(|(at, _)| *at).collect();
        for at in moved {
            if let Some(row) = state.outcomes.get_mut(&at) {
                row.plugin = to.clone();
            }
        }
    }

    pub(super) fn rewind(
        &self,
        state: &mut State,
        plugin: &PluginId,
        to: Offset,
        again: bool,
    ) -> Result<()> {
        let Some(lane) = state.lanes.get_mut(plugin) else {
            let what = format!("the way back of {plugin}");
            return Err(Error::Unfit { what });
        };
        if lane.cursor <= to {
            return Ok(());
        }
        lane.cursor = to;
        let behind = state.log.iter().filter(|row| row.offset > to);
        let behind: BTreeSet<_> = behind.map(|row| row.event.id).collect();
        let all = again || self.has(Flaw::RewoundForgetsDone);
        let goes = |row: &OutcomeRow| {
            row.plugin == *plugin
                && behind.contains(&row.event)
                && (all || !matches!(row.outcome, Outcome::Done { .. }))
        };
        if !self.has(Flaw::RewoundKeepsAll) {
            state.outcomes.retain(|_, row| !goes(row));
        }
        if !self.has(Flaw::RewoundKeepsInPlace) {
            let stays = |a: &Attempt| a.aside || a.plugin != *plugin;
            state.attempts.retain(|_, a| stays(a));
        }
        Ok(())
    }
}
