//! The dispatcher and the order between plugins: when dispatch begins, and who waits for whom.

use slated_core::life::State;
use slated_core::{lane, order::Peer as _};
use slated_model::EventId;

use super::Dispatcher;
use crate::daemon::journal::Place;
use crate::tell::Fact;
use crate::view::{LineView, PluginView};

impl Dispatcher {
    /// Lets dispatch begin once every plugin is ready or cannot be, or the time for that is over.
    pub(super) fn begin_when_ready(&mut self) {
        if self.gate.has_begun() || self.stopping.is_some() {
            return;
        }
        let starting = |p: &&crate::daemon::plugin::Plugin| {
            !p.helper && !p.tried && p.life.state() == State::Starting
        };
        let waits: Vec<_> = self.plugins.iter().filter(starting).collect();
        if self.clock.now() >= self.begins_by {
            if !waits.is_empty() {
                let plugins = waits.iter().map(|p| p.id.clone()).collect();
                self.teller.tell(Fact::BeginsWithout { plugins });
            }
        } else if !self.listed || !waits.is_empty() {
            return;
        }
        self.gate.begin();
        self.all_lanes(&lane::Input::Tick);
    }

    /// Tells the lane whether the plugin's process runs, when that has changed.
    pub(super) fn note_running(&mut self, place: Place) {
        let plugin = &mut self.plugins[place];
        let runs = plugin.life.state() == State::Running;
        if std::mem::replace(&mut plugin.runs, runs) != runs {
            self.feed(place, lane::Input::Running(runs));
        }
    }

    /// Tells that a plugin waited long enough for others.
    pub(super) fn went_ahead(&self, place: Place, event: EventId, without: &[Place]) {
        let name = |place: &Place| self.plugins.get(*place).map(|p| p.id.clone());
        self.teller.tell(Fact::WentAhead {
            plugin: self.plugins[place].id.clone(),
            event,
            without: without.iter().filter_map(name).collect(),
        });
    }

    /// Shows a plugin, with whom it waits for.
    pub(super) fn view(&self, place: Place) -> PluginView {
        let plugin = &self.plugins[place];
        let mut view = PluginView::of(plugin, self.tail.end());
        let lane = plugin.lane.as_ref().filter(|_| self.gate.orders());
        view.line = lane.map(|lane| LineView {
            in_line: lane.in_line_from().is_some(),
            at: lane.held_up_at().map(|row| row.event.id),
            waits_for: lane
                .held_up_by()
                .and_then(|other| Some(self.plugins.get(other)?.id.clone())),
        });
        view
    }
}
