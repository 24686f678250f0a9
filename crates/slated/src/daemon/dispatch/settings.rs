//! The dispatcher and the settings of plugins: others hold from now on.

use std::path::PathBuf;

use slated_core::lane::{self, Lane};
use slated_model::PluginId;

use super::Dispatcher;
use crate::daemon::journal::Place;
use crate::daemon::message::Settings;

impl Dispatcher {
    /// Lets other settings hold. Returns the plugins that are loaded again: those whose processes were
    /// told what no longer holds.
    pub(super) fn apply(&mut self, settings: Settings) -> Vec<PluginId> {
        let python = |this: &Self, id: &PluginId| -> Option<PathBuf> {
            let python = this.workers.python_of(id);
            python.ok().map(|python| python.path.clone())
        };
        let ids = self.plugins.iter().map(|plugin| &plugin.id);
        let before: Vec<_> = ids.map(|id| python(self, id)).collect();
        let all = self.workers.apply(settings);
        self.gate.set_limits(self.workers.rules());
        let mut outdated: Vec<Place> = Vec::new();
        for place in self.order.clone() {
            let id = &self.plugins[place].id;
            let other_python = python(self, id) != before[place];
            let settings = self.workers.config().effective(id);
            let plugin = &mut self.plugins[place];
            let told = plugin.settings.told_to_process() != settings.told_to_process();
            plugin.obey(settings);
            let lane = plugin.lane.as_ref().map(Lane::record_row);
            let rests = plugin.helper || plugin.is_gone() || lane.is_some_and(|row| row.stopped);
            // What was in its way may be out of it.
            let unstartable = plugin.broken.as_ref().is_some_and(|b| b.unstartable);
            if (all || told || other_python || unstartable) && !rests {
                outdated.push(place);
            }
        }
        for &place in &outdated {
            let text = self.plugins[place].text.clone();
            self.load(
                place,
                text,
                Some("is loaded again, its settings have changed"),
            );
        }
        // Who waits may have waited long enough, or have room now.
        self.all_lanes(&lane::Input::Tick);
        let ids = outdated.iter().map(|&place| self.plugins[place].id.clone());
        ids.collect()
    }
}
