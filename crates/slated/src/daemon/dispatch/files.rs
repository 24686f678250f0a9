//! The dispatcher and the plugins' files: what appeared, changed, moved or is gone.

use slated_core::{lane, life, resume};
use slated_model::{
    Attempt, CallbackId, Change, Discard, EventId, LaneRow, Offset, Outcome, OutcomeRow, PluginId,
    QuarantineRow,
};

use super::Dispatcher;
use crate::clock::{seed, wall_ms};
use crate::daemon::journal::Place;
use crate::daemon::message::{FileChange, Text};
use crate::daemon::plugin::Plugin;
use crate::tell::Fact;

/// A plugin that was another one before, and waits for its processes to end.
#[derive(Debug)]
pub(super) struct Heir {
    from: PluginId,
    to: PluginId,
    text: Text,
}

impl Dispatcher {
    pub(super) fn file(&mut self, change: FileChange) {
        match change {
            FileChange::Appeared { plugin, text, from } => self.appear(plugin, text, from),
            FileChange::Changed { plugin, text } => {
                if let Some(heir) = self.heirs.iter_mut().find(|h| h.to == plugin) {
                    heir.text = text;
                } else if let Some(place) = self.place_of(&plugin) {
                    self.load(place, text, "changed");
                }
            }
            FileChange::Touched { plugin, mtime_ns } => {
                if let Some(place) = self.place_of(&plugin) {
                    let sha256 = self.plugins[place].text.sha256.clone();
                    self.load(place, Text { sha256, mtime_ns }, "was touched");
                }
            }
            FileChange::Gone { plugin } => {
                // One that has inherited nothing yet leaves the lane where it is.
                if let Some(i) = self.heirs.iter().position(|h| h.to == plugin) {
                    let heir = self.heirs.swap_remove(i);
                    self.vanish(&heir.from);
                } else {
                    self.vanish(&plugin);
                }
            }
        }
    }

    pub(super) fn place_of(&self, id: &PluginId) -> Option<Place> {
        self.plugins.iter().position(|p| p.id == *id)
    }

    fn appear(&mut self, plugin: PluginId, text: Text, from: Option<PluginId>) {
        let Some(from) = from else {
            let place = self.place_of(&plugin);
            let place = place.unwrap_or_else(|| self.new_plugin(&plugin));
            return self.load(place, text, "appeared");
        };
        // Moved on before it had inherited.
        if let Some(heir) = self.heirs.iter_mut().find(|h| h.to == from) {
            (heir.to, heir.text) = (plugin, text);
            return;
        }
        let old = self.place_of(&from);
        self.heirs.push(Heir {
            from,
            to: plugin,
            text,
        });
        if let Some(place) = old {
            self.live(place, life::Input::Vanished);
        }
        self.inherit();
    }

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
            self.load(place, text, "appeared");
        }
    }

    /// A plugin's file is gone: it stops, and its cursor stays on record.
    pub(super) fn vanish(&mut self, id: &PluginId) {
        if let Some(place) = self.plugins.iter().position(|p| p.id == *id) {
            self.tell_file(place, "is gone");
            self.amend(place, |row| row.gone = true);
            self.live(place, life::Input::Vanished);
        } else if let Some((row, ..)) = self.recorded.get_mut(id) {
            row.gone = true;
            self.journal.note(Change::Lane(row.clone()));
            self.teller.tell(Fact::PluginFile {
                plugin: id.clone(),
                what: "is gone",
            });
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

    pub(super) fn new_plugin(&mut self, id: &PluginId) -> Place {
        let now = self.clock.now();
        let (file, settings) = self.workers.settings(id);
        self.plugins
            .push(Plugin::new(id.clone(), file, settings, seed(), now));
        self.order = (0..self.plugins.len()).collect();
        let rank = |place: &Place| self.workers.rank(&self.plugins[*place].id);
        self.order.sort_by_cached_key(rank);
        self.plugins.len() - 1
    }

    pub(super) fn load(&mut self, place: Place, text: Text, what: &'static str) {
        let first = self.plugins[place].text == Text::default();
        if !first {
            self.tell_file(place, what);
        }
        let now = self.clock.now();
        let plugin = &mut self.plugins[place];
        plugin.text = text;
        if std::mem::replace(&mut plugin.helper, false) {
            plugin.seen_at = now;
        }
        plugin.resume_on_use = !first;
        // What stood here went elsewhere: this is another plugin of the same name.
        let moved = |row: &LaneRow| row.moved_to.is_some();
        if plugin.lane.as_ref().is_some_and(|l| moved(l.record_row())) {
            (plugin.lane, plugin.seen_at) = (None, now);
        }
        let recorded = self.recorded.remove(&plugin.id);
        if let Some((mut row, attempts, ahead)) = recorded.filter(|(row, ..)| !moved(row)) {
            // What was done to the file while slated was down ends a hold, as it does while it runs;
            // under a `.conf` a restart does, as with the Python daemon.
            let text = &plugin.text;
            plugin.resume_on_use |= row.content != text.sha256
                || row.mtime_ns < text.mtime_ns
                || self.workers.config().conf.is_some();
            self.hold_out_of_log(&mut row);
            let plugin = &mut self.plugins[place];
            if row.is_only_a_place() {
                plugin.begins_after = row.floor;
            } else {
                plugin.known = true;
            }
            let unclean = self.unclean.remove(&row.plugin);
            self.open_lane(place, row, attempts, &ahead);
            if let Some(lane) = self.plugins[place].lane.as_mut().filter(|_| unclean) {
                lane.after_unclean_end();
            }
        } else if plugin.is_gone()
            && let Some(lane) = &plugin.lane
        {
            // Retention does not wait for one that is gone.
            let mut row = lane.row();
            self.hold_out_of_log(&mut row);
            self.amend(place, |now| now.hold = row.hold);
        } else {
            self.place_first(place);
        }
        if self.plugins[place].known {
            self.amend(place, |row| row.gone = false);
        }
        if self.stopping.is_some() {
            return;
        }
        let lane = self.plugins[place].lane.as_ref();
        let row = lane.map(lane::Lane::record_row);
        if row.is_some_and(|row| row.stopped) {
            self.live(place, life::Input::Stop);
        } else if let Some(quarantine) = row
            .and_then(|row| row.quarantine.clone())
            .filter(|_| first)
            .filter(|quarantine| self.still_quarantined(place, quarantine))
        {
            let plugin = &mut self.plugins[place];
            plugin.note_error(None, None, quarantine.reason);
            let plugin = plugin.id.clone();
            self.teller.tell(Fact::StillQuarantined { plugin });
            self.live(place, life::Input::StillQuarantined);
        } else {
            self.live(place, life::Input::Load);
        }
    }

    /// Tells whether a quarantine on record outlives the restart: nothing has changed since. Under a
    /// `.conf` a restart ends it, as it ends a hold there: it is what people do to try again.
    fn still_quarantined(&self, place: Place, quarantine: &QuarantineRow) -> bool {
        let text = &self.plugins[place].text;
        self.workers.config().conf.is_none()
            && quarantine.content == text.sha256
            && quarantine.mtime_ns >= text.mtime_ns
    }

    /// Gives a new plugin the place that is configured. No look at the site is waited for, which could
    /// be one tick away; but for rows that are on their way out.
    pub(super) fn place_first(&mut self, place: Place) {
        let plugin = &self.plugins[place];
        if plugin.lane.is_none()
            && !plugin.helper
            && self.going.is_none()
            && let Some(id) = self.workers.first_id()
        {
            self.place_at(place, id);
        }
    }

    /// Holds a plugin that returns after the log went past it: nobody but a person knows what it may
    /// miss.
    fn hold_out_of_log(&self, row: &mut LaneRow) {
        let chosen = row.hold.as_ref().is_some_and(|hold| hold.event.is_none());
        let Some(hold) = resume::out_of_log(row.cursor, self.first_offset()).filter(|_| !chosen)
        else {
            return;
        };
        row.hold = Some(hold.clone());
        self.teller.tell(Fact::PluginHeld {
            plugin: row.plugin.clone(),
            hold,
            failure: None,
        });
    }

    /// Returns the offset after which every row is there and stays.
    pub(super) fn first_offset(&self) -> Offset {
        self.log_start.max(self.going.unwrap_or_default())
    }

    /// Returns the offset after which plugins need rows, and whose is the first.
    pub(super) fn needed(&self) -> Option<(Offset, PluginId)> {
        let here = self.plugins.iter().filter(|p| !p.is_gone());
        let here = here.filter_map(|p| Some((p.lane.as_ref()?.cursor(), p.id.clone())));
        let absent = self.recorded.values().map(|(row, ..)| row);
        let absent = absent.filter(|row| row.is_there());
        here.chain(absent.map(|row| (row.cursor, row.plugin.clone())))
            .min()
    }

    pub(super) fn tell_file(&self, place: Place, what: &'static str) {
        self.teller.tell(Fact::PluginFile {
            plugin: self.plugins[place].id.clone(),
            what,
        });
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
