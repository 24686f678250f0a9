//! The dispatcher and the plugins' files: what appeared, changed or is gone.

use slated_core::life::Generation;
use slated_core::scan::Content;
use slated_core::{lane, life, resume};
use slated_host::wire::Import;
use slated_model::{Change, LaneRow, Offset, PluginId, QuarantineRow};

use super::Dispatcher;
use super::heirs::Heir;
use crate::clock::seed;
use crate::daemon::journal::Place;
use crate::daemon::message::{FileChange, Text};
use crate::daemon::plugin::Plugin;
use crate::tell::Fact;

impl Dispatcher {
    pub(super) fn file(&mut self, change: FileChange) {
        match change {
            FileChange::Appeared { plugin, text, from } => self.appear(plugin, text, from),
            FileChange::Changed { plugin, text } => {
                if let Some(heir) = self.heirs.iter_mut().find(|h| h.to == plugin) {
                    heir.text = text;
                } else if let Some(place) = self.place_of(&plugin) {
                    self.load(place, text, Some("changed"));
                }
            }
            FileChange::Touched { plugin, mtime_ns } => {
                if let Some(place) = self.place_of(&plugin) {
                    let known = self.plugins[place].text.clone();
                    self.load(place, Text { mtime_ns, ..known }, Some("was touched"));
                }
            }
            FileChange::Helper { plugin, path } => {
                if let Some(place) = self.place_of(&plugin)
                    && !self.plugins[place].is_gone()
                {
                    self.teller.tell(Fact::HelperChanged { plugin, path });
                    let text = self.plugins[place].text.clone();
                    self.load(place, text, None);
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
            return self.load(place, text, Some("appeared"));
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

    /// A plugin's file is gone: it stops, and its cursor stays on record.
    pub(super) fn vanish(&mut self, id: &PluginId) {
        if let Some(place) = self.plugins.iter().position(|p| p.id == *id) {
            self.tell_file(place, "is gone");
            self.amend(place, |row| row.gone = true);
            self.forget_imports(place);
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

    pub(super) fn new_plugin(&mut self, id: &PluginId) -> Place {
        let now = self.clock.now();
        let settings = self.workers.config().effective(id);
        self.plugins
            .push(Plugin::new(id.clone(), settings, seed(), now));
        self.order = (0..self.plugins.len()).collect();
        let rank = |place: &Place| self.workers.rank(&self.plugins[*place].id);
        self.order.sort_by_cached_key(rank);
        self.plugins.len() - 1
    }

    /// Loads a plugin anew; `what` has become of its file, if that is why.
    pub(super) fn load(&mut self, place: Place, text: Text, what: Option<&'static str>) {
        let first = self.plugins[place].text == Text::default();
        if let Some(what) = what.filter(|_| !first) {
            self.tell_file(place, what);
        }
        let now = self.clock.now();
        let plugin = &mut self.plugins[place];
        plugin.text = text;
        plugin.recycles = false;
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

    /// Takes what a process of a plugin imported: of one that is ready, all that counts from now on.
    pub(super) fn imported(
        &mut self,
        place: Place,
        generation: Generation,
        imports: Vec<Import>,
        all: bool,
    ) {
        let plugin = &mut self.plugins[place];
        // One that is replaced says nothing of what runs from now on.
        if generation < plugin.imported_by {
            return;
        }
        plugin.imported_by = generation;
        if all {
            plugin.imports.clear();
        }
        let files = imports.into_iter();
        plugin
            .imports
            .extend(files.map(|file| (file.path, Content(file.sha256))));
        let (id, files) = (plugin.id.clone(), plugin.imports.clone());
        self.imported.send_modify(|known| {
            known.insert(id, files);
        });
    }

    /// Nothing that this plugin imported matters any more.
    pub(super) fn forget_imports(&mut self, place: Place) {
        let plugin = &mut self.plugins[place];
        plugin.imports.clear();
        let id = plugin.id.clone();
        self.imported.send_modify(|known| {
            known.remove(&id);
        });
    }

    pub(super) fn tell_file(&self, place: Place, what: &'static str) {
        self.teller.tell(Fact::PluginFile {
            plugin: self.plugins[place].id.clone(),
            what,
        });
    }
}
