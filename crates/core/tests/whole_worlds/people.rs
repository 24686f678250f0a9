//! What people do, what retention does, and what becomes durable of it: `dispatch/people`,
//! `dispatch/letters`, `retention` and the store's part of a commit.

use std::collections::BTreeSet;

use slated_core::lane::Input;
use slated_core::{letter, life};
use slated_model::{Change, Offset, OutcomeRow};

use crate::daemon::Wish;
use crate::record::Unit;
use crate::world::{Break, Edit, What, World};

impl World {
    /// Writes changes to the disk; `torn`: as the last that a daemon does.
    pub(crate) fn commit(&mut self, mut changes: Vec<Change>, torn: bool) -> BTreeSet<Unit> {
        match self.breaks {
            Some(Break::CursorAlone) if torn => {
                changes.retain(|c| matches!(c, Change::Cursor { .. } | Change::Lane(_)));
            }
            Some(Break::DropOutcome) => {
                let dropped = changes.iter().position(|c| matches!(c, Change::Outcome(_)));
                if let Some(at) = dropped.filter(|_| self.rng.u8(..) < 8) {
                    changes.remove(at);
                }
            }
            Some(Break::LogNothing) => changes.retain(|c| !matches!(c, Change::Attempt(_))),
            _ => {}
        }
        let already = self.record.write(changes.clone());
        let now = self.secs();
        for change in &changes {
            let late = match change {
                Change::Retried(a) => already.contains(&unit(&a.plugin, &a.callback, a.event)),
                Change::Discarded(o) => already.contains(&unit(&o.plugin, &o.callback, o.event)),
                _ => false,
            };
            if !late {
                self.judge.recorded(&self.plan, &self.ids, now, change);
            }
        }
        already
    }

    pub(crate) fn edit(&mut self, place: usize, edit: Edit) {
        if self.plan.plugins[place].appears > self.secs() {
            return;
        }
        let file = &mut self.files[place];
        match edit {
            Edit::Change => (file.edits, file.broken) = (file.edits + 1, false),
            Edit::Break => (file.edits, file.broken) = (file.edits + 1, true),
            Edit::Touch => file.touches += 1,
        }
        self.say(|| format!("the file of p{place}: {edit:?}"));
        // The scan sees it a moment later, unless the first look is still to come.
        if self.daemon.as_ref().is_some_and(|d| d.listed) {
            self.load(place);
        }
    }

    /// A person stops a plugin, or lets it go on.
    pub(crate) fn person_stops(&mut self, place: usize, stop: bool) {
        let Some(d) = self.daemon.as_ref().filter(|d| d.stopping.is_none()) else {
            return;
        };
        let Some(lane) = &d.plugins[place].lane else {
            return;
        };
        let stopped = lane.record_row().stopped;
        if stop && !stopped {
            self.say(|| format!("a person stops p{place}"));
            self.amend(place, |row| row.stopped = true);
            self.live(place, life::Input::Stop);
        } else if !stop {
            self.person_resumes(place);
        }
    }

    /// A person resumes a plugin, whatever keeps it.
    pub(crate) fn person_resumes(&mut self, place: usize) {
        let Some(d) = self.daemon.as_ref().filter(|d| d.stopping.is_none()) else {
            return;
        };
        let plugin = &d.plugins[place];
        let Some(lane) = &plugin.lane else { return };
        let row = lane.record_row();
        let quarantined = plugin.life.state() == life::State::Quarantined;
        let (stopped, held) = (row.stopped, row.hold.is_some());
        if !stopped && !held && !quarantined {
            return;
        }
        self.say(|| format!("a person resumes p{place}"));
        self.resume_lane(place);
        if stopped {
            self.amend(place, |row| row.stopped = false);
        }
        self.live(place, life::Input::Resume);
    }

    /// The lane begins with the event that failed.
    pub(crate) fn resume_lane(&mut self, place: usize) {
        let lane = self.d().plugins[place].lane.as_ref();
        let hold = lane.and_then(|lane| lane.hold().cloned());
        if let Some((event, callback)) = hold.and_then(|hold| hold.event.zip(hold.callback)) {
            let n = callback.name().trim_start_matches('f').parse();
            self.judge.renewed((place, event, n.expect("a callback")));
        }
        self.feed(place, Input::Resume);
    }

    /// A person has the dead letters of a plugin tried again, or is done with them.
    pub(crate) fn person_wishes(&mut self, place: usize, again: bool) {
        if self.daemon.as_ref().is_none_or(|d| d.stopping.is_some()) {
            return;
        }
        let letters = self.record.letters(&self.ids[place]);
        let wall_ms = self.wall_ms();
        let wished: BTreeSet<Unit> = {
            let wishes = self.d().wishes.iter();
            wishes
                .flat_map(|w| w.changes.iter().filter_map(unit_of))
                .collect()
        };
        let at = |letter: &OutcomeRow| self.record.at[&letter.event];
        let open = |letter: &&OutcomeRow| {
            !wished.contains(&unit(&letter.plugin, &letter.callback, letter.event))
        };
        let change = |letter: &OutcomeRow| {
            if again {
                letter::retry(letter, at(letter), wall_ms).map(Change::Retried)
            } else {
                letter::discard(letter, "seen", wall_ms).map(Change::Discarded)
            }
        };
        let changes: Vec<_> = letters.iter().filter(open).filter_map(change).collect();
        if changes.is_empty() {
            return;
        }
        self.say(|| format!("a person wishes of {} letters of p{place}", changes.len()));
        let journal = &mut self.d().journal;
        journal.waiting.extend(changes.iter().cloned());
        let write = journal.last_write();
        self.d().wishes.push(Wish { write, changes });
    }

    pub(crate) fn take_up_wishes(&mut self, already: &BTreeSet<Unit>) {
        for wish in std::mem::take(&mut self.d().wishes) {
            if self.d().journal.ended < wish.write {
                self.d().wishes.push(wish);
                continue;
            }
            for change in wish.changes {
                if unit_of(&change).is_some_and(|unit| already.contains(&unit)) {
                    continue;
                }
                if let Change::Retried(attempt) = change {
                    let place = self.ids.iter().position(|id| *id == attempt.plugin);
                    let place = place.expect("a plugin");
                    let d = self.d();
                    if d.plugins[place].lane.is_some() {
                        self.feed(place, Input::Retried(attempt));
                    } else if let Some((_, attempts, ahead)) = d.recorded.get_mut(&place) {
                        let unit = (attempt.event, &attempt.callback);
                        ahead.retain(|o| (o.event, &o.callback) != unit);
                        attempts.push(attempt);
                    }
                }
            }
        }
    }

    // Retention.

    pub(crate) fn prune_begins(&mut self) {
        let Some(keep) = self.plan.keep else { return };
        let now = self.secs();
        for row in self.record.expire(keep.letters) {
            self.say(|| format!("the letter of {} with {} is too old", row.plugin, row.event));
            let change = Change::Discarded(row);
            self.judge.recorded(&self.plan, &self.ids, now, &change);
        }
        self.prune_ask();
    }

    /// The dispatcher says what lanes need.
    pub(crate) fn prune_ask(&mut self) {
        let d = self.d();
        let here = d.plugins.iter().filter(|p| p.found && !p.is_gone());
        let here = here.filter_map(|p| Some(p.lane.as_ref()?.cursor()));
        let absent = d.recorded.values().filter(|(row, ..)| row.is_there());
        let needed = here.chain(absent.map(|(row, ..)| row.cursor)).min();
        d.going = Some(needed.unwrap_or(d.end));
        let takes = self.draw(0.0, 0.05);
        self.soon(takes, What::PruneNow(needed));
    }

    pub(crate) fn prune(&mut self, needed: Option<Offset>) {
        let pruned = self.prune_once(needed);
        let start = self.record.start;
        let d = self.d();
        (d.log_start, d.going) = (start, None);
        let rest = if pruned { 0.1 } else { self.draw(10.0, 40.0) };
        let what = if pruned { What::PruneRest } else { What::Prune };
        self.soon(rest, what);
    }

    /// One transaction of retention; tells whether there is more to do.
    pub(crate) fn prune_once(&mut self, needed: Option<Offset>) -> bool {
        let Some(keep) = self
            .plan
            .keep
            .filter(|_| self.breaks != Some(Break::NeverPrune))
        else {
            return false;
        };
        let since = self.dated(-keep.events.as_secs_f64());
        let until = self.dated(24.0 * 3600.0);
        let surplus = u64::from(self.breaks == Some(Break::PruneTooMuch));
        let pruned = self.record.prune(keep, (&since, &until), needed, surplus);
        if !pruned.rows.is_empty() {
            let start = self.record.start;
            self.say(|| format!("{} rows up to {start} are let go", pruned.rows.len()));
        }
        self.judge.pruned(&self.plan, &pruned.rows);
        pruned.more
    }
}

fn unit(
    plugin: &slated_model::PluginId,
    callback: &slated_model::CallbackId,
    event: slated_model::EventId,
) -> Unit {
    (plugin.clone(), callback.clone(), event)
}

fn unit_of(change: &Change) -> Option<Unit> {
    match change {
        Change::Retried(a) => Some(unit(&a.plugin, &a.callback, a.event)),
        Change::Discarded(o) => Some(unit(&o.plugin, &o.callback, o.event)),
        _ => None,
    }
}
