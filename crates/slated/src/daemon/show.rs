//! How a running daemon shows: its plugins and its site in the shapes of `view`.

use slated_model::Offset;

use super::intake::{IntakeStatus, way_out};
use super::plugin::Plugin;
use crate::view::{CallbackView, HolesView, PluginView, RetryView, SiteState, SiteView};

impl PluginView {
    /// Describes a plugin of a running daemon.
    pub(crate) fn of(plugin: &Plugin, end: Offset) -> Self {
        let worker = plugin.shown_worker();
        let lane = plugin.lane.as_ref();
        let broken = plugin.broken.as_ref();
        Self {
            plugin: plugin.id.clone(),
            state: plugin.state(),
            why: plugin.why(),
            traceback: broken
                .map(|b| b.traceback.clone())
                .filter(|t| !t.is_empty()),
            file: Some(plugin.text.source.file.display().to_string()),
            pid: worker.and_then(|w| w.pid),
            python: worker
                .map(|w| w.runtime.clone())
                .filter(|runtime| !runtime.is_empty()),
            cursor: lane.map(|l| l.cursor().0),
            lag: lane.map(|l| l.cursor().until(end)),
            in_flight: lane.map_or(0, |l| l.in_flight() as u64),
            slow: plugin.slow.as_ref().map(|slow| slow.view.clone()),
            // What a held lane waits for is not tried again by itself.
            retries: lane
                .map(|l| {
                    let own = l.attempts().filter(|a| a.aside || l.hold().is_none());
                    own.map(RetryView::of).collect()
                })
                .unwrap_or_default(),
            callbacks: worker.and_then(|w| w.loaded.as_ref()).map(|loaded| {
                let callbacks = loaded.callbacks.iter();
                callbacks
                    .map(|c| CallbackView {
                        name: c.id.clone(),
                        matcher: c.matcher.clone(),
                        stop_on_error: c.stop_on_error,
                    })
                    .collect()
            }),
            line: None,
            letters: 0,
            done: Some(plugin.done),
            failed: Some(plugin.failed),
            last: plugin.last.clone(),
            last_error: plugin.last_error.clone(),
            held_at: lane.and_then(|l| l.hold()?.event),
        }
    }
}

impl SiteView {
    /// Describes the site of a running daemon.
    pub(crate) fn of(url: &str, status: &IntakeStatus) -> Self {
        let follow = &status.follow;
        let state = match (&follow.lost, &status.trouble, status.read_at_ms) {
            (Some(_), ..) => SiteState::AnchorLost,
            (None, Some(trouble), _) if trouble.refused => SiteState::Refused,
            (None, Some(_), _) => SiteState::Down,
            (None, None, None) => SiteState::Starting,
            (None, None, Some(_)) => SiteState::Ok,
        };
        Self {
            url: url.into(),
            state,
            trouble: match (&follow.lost, &status.trouble) {
                (Some(lost), _) => Some(lost.to_string()),
                (None, trouble) => trouble.as_ref().map(|t| t.text.clone()),
            },
            hint: match (&follow.lost, &status.trouble) {
                (Some(lost), _) => way_out(lost).map(str::to_owned),
                (None, Some(trouble)) => trouble.hint.map(str::to_owned),
                (None, None) => None,
            },
            head: follow.high.0,
            caught_up: follow.caught_up,
            read_at_ms: status.read_at_ms,
            requests: status.requests,
            holes: HolesView::of(follow),
            late: follow.late,
            settling: follow.settling,
            split: follow.split,
        }
    }
}
