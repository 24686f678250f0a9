//! The dispatcher and the plugins' files: what appeared, changed, moved or is gone.

use slated_core::life;
use slated_model::{Change, EventId, LaneRow, PluginId};

use super::Dispatcher;
use crate::clock::seed;
use crate::daemon::journal::Place;
use crate::daemon::message::FileChange;
use crate::daemon::plugin::Plugin;
use crate::tell::Fact;

impl Dispatcher {
    pub(super) fn file(&mut self, change: FileChange) {
        let known = |d: &Self, id: &PluginId| d.plugins.iter().position(|p| p.id == *id);
        match change {
            FileChange::Appeared {
                plugin,
                content,
                from,
            } => {
                let place = known(self, &plugin).unwrap_or_else(|| self.new_plugin(&plugin));
                if let Some(from) = from {
                    self.take_over(&from, &plugin);
                }
                self.load(place, content, "appeared");
            }
            FileChange::Changed { plugin, content } => {
                if let Some(place) = known(self, &plugin) {
                    self.load(place, content, "changed");
                }
            }
            FileChange::Touched { plugin } => {
                if let Some(place) = known(self, &plugin) {
                    let content = self.plugins[place].content.clone();
                    self.load(place, content, "was touched");
                }
            }
            FileChange::Gone { plugin } => self.vanish(&plugin),
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
        let live = self
            .plugins
            .iter()
            .find(|p| p.id == *from)
            .and_then(|p| Some(p.lane.as_ref()?.row()));
        let row = live.or_else(|| self.recorded.get(from).map(|(row, ..)| row.clone()));
        self.vanish(from);
        let Some(row) = row.filter(|_| !self.recorded.contains_key(to)) else {
            return;
        };
        let row = LaneRow {
            plugin: to.clone(),
            hold: None,
            gone: false,
            ..row
        };
        self.journal.note(Change::Lane(row.clone()));
        self.teller.tell(Fact::PluginMoved {
            from: from.clone(),
            to: to.clone(),
        });
        self.recorded
            .insert(to.clone(), (row, Vec::new(), Vec::new()));
    }

    pub(super) fn new_plugin(&mut self, id: &PluginId) -> Place {
        let now = self.clock.now();
        let (file, settings) = self.workers.settings(id);
        self.plugins
            .push(Plugin::new(id.clone(), file, settings, seed(), now));
        let mut ranked: Vec<_> = (0..self.plugins.len()).collect();
        ranked.sort_by_key(|place| self.workers.rank(&self.plugins[*place].id));
        self.line = vec![0; ranked.len()];
        for (rank, place) in ranked.into_iter().enumerate() {
            self.line[place] = rank;
        }
        self.plugins.len() - 1
    }

    pub(super) fn load(&mut self, place: Place, content: String, what: &'static str) {
        let first = self.plugins[place].content.is_empty();
        if !first {
            self.tell_file(place, what);
        }
        let plugin = &mut self.plugins[place];
        plugin.content = content;
        plugin.helper = false;
        plugin.resume_on_use = !first;
        if let Some((row, attempts, ahead)) = self.recorded.remove(&plugin.id) {
            // An edit while slated was down ends a hold as an edit while it runs does.
            plugin.resume_on_use |= row.content != plugin.content;
            self.open_lane(place, row, attempts, &ahead);
        } else if plugin.lane.is_none() && self.workers.starts_by_id() {
            // No look at the site is waited for, which could be one tick away.
            self.place_new(place, EventId(0));
        }
        self.amend(place, |row| row.gone = false);
        if self.stopping.is_none() {
            self.live(place, life::Input::Load);
        }
    }

    pub(super) fn tell_file(&self, place: Place, what: &'static str) {
        self.teller.tell(Fact::PluginFile {
            plugin: self.plugins[place].id.clone(),
            what,
        });
    }
}
