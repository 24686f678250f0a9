//! The dispatcher and people: what they are shown of plugins.

use slated_model::LaneRow;

use super::Dispatcher;
use crate::view::{PluginState, PluginView};

impl Dispatcher {
    /// Shows all plugins in the documented order: those whose files are there, and those on record
    /// whose files are gone or were not found yet.
    pub(super) fn views(&self) -> Vec<PluginView> {
        let end = self.tail.end();
        let away = |row: &LaneRow| row.moved_to.is_some();
        let live = self.plugins.iter().filter(|p| {
            let lane = p.lane.as_ref();
            !p.helper && !lane.is_some_and(|l| away(l.record_row()))
        });
        let absent = self.recorded.values().filter(|(row, ..)| !away(row));
        let absent = absent.map(|(row, attempts, _)| {
            let mut view = PluginView::recorded(row, end, attempts, &[]);
            if view.state == PluginState::Unknown {
                view.state = PluginState::Starting;
                view.why = Some("its file was not found yet".into());
            }
            view
        });
        let mut views: Vec<_> = live.map(|p| PluginView::of(p, end)).chain(absent).collect();
        views.sort_by_cached_key(|view| self.workers.rank(&view.plugin));
        views
    }
}
