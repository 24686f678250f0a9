//! The dispatcher and a plugin that goes on in another one's place, since its file was moved or renamed.
//!
//! Invariant: what was on record of the old one and is not finished is the new one's, and nothing that has
//! finished runs again under the new name.

use slated_core::lane;
use slated_model::{
    Attempt, CallbackId, Change, Discard, EventId, LaneRow, Outcome, OutcomeRow, PluginId,
};

use super::Dispatcher;
use crate::clock::wall_ms;
use crate::daemon::message::Text;
use crate::tell::Fact;

/// A plugin that was another one before, and waits for its processes to end.
#[derive(Debug)]
pub(super) struct Heir {
    pub(super) from: PluginId,
    pub(super) to: PluginId,
    pub(super) text: Text,
}

impl Dispatcher {
    /// Lets plugins go on where those they were moved from stood, once these have finished what
    /// they were sent: until then the record stands as it is, and a start would find the move anew.
    pub(super) fn inherit(&mut self) {
        let ready = |d: &Self, heir: &Heir| {
            let old = d.plugins.iter().find(|p| p.id == heir.from);
            old.is_none_or(|p| p.workers.is_empty())
        };
        while let Some(i) = self.heirs.iter().position(|heir| ready(self, heir)) {
            let Heir { from, to, text } = self.heirs.swap_remove(i);
            let place = self.place_of(&to).unwrap_or_else(|| self.new_plugin(&to));
            self.take_over(&from, &to);
            self.load(place, text, Some("appeared"));
        }
    }

    /// A plugin was moved or renamed: the new one goes on where the old one stood.
    pub(super) fn take_over(&mut self, from: &PluginId, to: &PluginId) {
        let old = self.place_of(from);
        if let Some(place) = old {
            // Its attempts learn how much of their back-off went by.
            self.feed(place, lane::Input::WriteDown);
        }
        let live = old.and_then(|place| self.plugins[place].lane.as_ref());
        let live = live.map(|lane| {
            let ahead = lane.finished_ahead();
            let ahead = ahead.map(|(event, callback)| finished_before(from, to, event, callback));
            (
                lane.row(),
                lane.attempts().cloned().collect(),
                ahead.collect(),
            )
        });
        let found = live.or_else(|| self.recorded.get(from).cloned());
        self.vanish(from);
        // A plugin that stood there before and was removed makes way, unless it is further on.
        let further = |row: &LaneRow| {
            let there = self.recorded.get(to).map(|(there, ..)| there);
            there.is_some_and(|there| !there.gone || there.cursor > row.cursor)
        };
        let Some((row, attempts, mut ahead)) = found.filter(|(row, ..)| !further(row)) else {
            return;
        };
        self.leave_to(from, to);
        let held = row.hold.as_ref().is_some_and(|hold| hold.event.is_some());
        let row = LaneRow {
            plugin: to.clone(),
            // No rename chooses where it begins.
            hold: row.hold.filter(|hold| hold.event.is_none()),
            gone: false,
            moved_to: None,
            quarantine: None,
            ..row
        };
        self.journal.note(Change::Lane(row.clone()));
        // It may have stood there before, and further back.
        self.journal.note(Change::Cursor {
            plugin: to.clone(),
            cursor: row.cursor,
        });
        self.journal.note(Change::LettersMoved {
            from: from.clone(),
            to: to.clone(),
        });
        let mut taken = Vec::new();
        for mut attempt in attempts {
            self.journal.note(left_to(to, &attempt));
            // A hold ends, so the event that failed begins anew.
            if attempt.aside || !held {
                attempt.plugin = to.clone();
                self.journal.note(Change::Attempt(attempt.clone()));
                taken.push(attempt);
            }
        }
        for outcome in &mut ahead {
            outcome.plugin = to.clone();
            self.journal.note(Change::Outcome(outcome.clone()));
        }
        self.teller.tell(Fact::PluginMoved {
            from: from.clone(),
            to: to.clone(),
        });
        self.recorded.insert(to.clone(), (row, taken, ahead));
    }

    /// Hands an attempt on to the plugin that goes on in the place of its own, if one does: it came to be
    /// on record while the other took over.
    pub(super) fn handed_on(&mut self, mut attempt: Attempt) -> Attempt {
        // It may have moved more than once; each of them is known once.
        for _ in 0..self.plugins.len() + self.recorded.len() {
            let Some(to) = self.moved_to(&attempt.plugin) else {
                break;
            };
            self.journal.note(left_to(&to, &attempt));
            attempt.plugin = to;
            self.journal.note(Change::Attempt(attempt.clone()));
        }
        attempt
    }

    fn moved_to(&self, id: &PluginId) -> Option<PluginId> {
        let place = self.place_of(id);
        let lane = place.and_then(|place| self.plugins[place].lane.as_ref());
        let recorded = self.recorded.get(id).map(|(row, ..)| row);
        let row = lane.map(lane::Lane::record_row).or(recorded)?;
        row.moved_to.clone().filter(|to| to != id)
    }

    /// Puts on record that another plugin goes on in the place of this one.
    fn leave_to(&mut self, from: &PluginId, to: &PluginId) {
        if let Some(place) = self.place_of(from) {
            self.amend(place, |row| row.moved_to = Some(to.clone()));
        } else if let Some((row, ..)) = self.recorded.get_mut(from) {
            row.moved_to = Some(to.clone());
            self.journal.note(Change::Lane(row.clone()));
        }
    }
}

/// Ends an attempt that another plugin takes over.
fn left_to(to: &PluginId, attempt: &Attempt) -> Change {
    Change::Outcome(OutcomeRow {
        plugin: attempt.plugin.clone(),
        callback: attempt.callback.clone(),
        event: attempt.event,
        attempt: attempt.failed,
        outcome: Outcome::Discarded {
            reason: Discard::Person {
                reason: format!("moved to {to}"),
            },
        },
        at_ms: wall_ms(),
    })
}

/// Keeps a callback that has finished under the old name from running again under the new one.
fn finished_before(
    from: &PluginId,
    to: &PluginId,
    event: EventId,
    callback: &CallbackId,
) -> OutcomeRow {
    OutcomeRow {
        plugin: to.clone(),
        callback: callback.clone(),
        event,
        attempt: 0,
        outcome: Outcome::Discarded {
            reason: Discard::Person {
                reason: format!("it has finished as {from}"),
            },
        },
        at_ms: wall_ms(),
    }
}
