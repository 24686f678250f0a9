//! What a running daemon says of itself, over its control socket.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::http;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The part of `/api/v1/status` that is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// Whether the last look reached the end of the site's log.
    pub(super) caught_up: bool,
    /// Requests made to the site.
    pub(super) requests: u64,
    /// Ids below the head that were not seen yet.
    pub(super) holes: u64,
    /// Whether the site is asked for new and old ids apart.
    pub(super) split: bool,
    /// Events in the log.
    pub(super) end: u64,
    /// Outcomes of all plugins.
    pub(super) done: u64,
    /// Plugins whose lane stands at the log's end with everything durable.
    pub(super) drained: usize,
    /// Plugins that are loaded and have their place in the log.
    pub(super) running: usize,
    /// The plugins' processes.
    pub(super) workers: Vec<u32>,
    /// A plugin that does not run as it should, and why.
    pub(super) trouble: Option<String>,
}

impl Status {
    /// Asks; `None` while nobody listens yet.
    pub(super) fn ask(socket: &Path) -> Result<Option<Self>> {
        let Ok(mut stream) = UnixStream::connect(socket) else {
            return Ok(None);
        };
        stream.set_read_timeout(Some(ANSWER))?;
        let status = http::ask(&mut stream, "/api/v1/status", None)?;
        Ok(Some(Self::of(&status)))
    }

    fn of(status: &Value) -> Self {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let mut seen = Self {
            caught_up: status["site"]["caught_up"] == true,
            requests: number(&status["site"]["requests"]),
            holes: number(&status["site"]["holes"]["open_ids"]),
            split: status["site"]["split"] == true,
            end: number(&status["log"]["end"]),
            ..Self::default()
        };
        for plugin in status["plugins"].as_array().into_iter().flatten() {
            seen.done += number(&plugin["done"]);
            seen.drained += usize::from(plugin["lag"] == 0 && plugin["in_flight"] == 0);
            seen.running += usize::from(plugin["state"] == "running");
            let pid = plugin["pid"]
                .as_u64()
                .and_then(|pid| u32::try_from(pid).ok());
            seen.workers.extend(pid);
            // One that starts says what it waits for, which is no trouble yet.
            let unwell = !plugin["why"].is_null() && plugin["state"] != "starting";
            let wrong = unwell || number(&plugin["failed"]) > 0;
            if wrong && seen.trouble.is_none() {
                seen.trouble = Some(plugin.to_string());
            }
        }
        seen
    }

    /// Tells whether so many plugins have nothing left to do.
    pub(super) fn is_drained(&self, plugins: usize) -> bool {
        self.drained == plugins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_drained_when_everything_is_durable() {
        let status = |in_flight: u64| {
            Status::of(&serde_json::json!({
                "site": {"caught_up": true, "requests": 4, "holes": {"open": 2, "open_ids": 6}},
                "log": {"end": 9},
                "plugins": [
                    {"lag": 0, "in_flight": in_flight, "done": 3, "failed": 0, "why": null, "pid": 7,
                     "state": "running"},
                    {"lag": 0, "in_flight": 0, "done": 2, "failed": 0, "why": null, "pid": 8},
                ],
            }))
        };
        assert!(status(0).is_drained(2));
        assert!(!status(1).is_drained(2));
        assert!(!status(0).is_drained(3));
        assert_eq!((status(0).done, status(0).end), (5, 9));
        assert_eq!((status(0).holes, status(0).split), (6, false));
        assert_eq!(status(0).trouble, None);
        assert_eq!(status(0).workers, [7, 8]);
        assert_eq!(status(0).running, 1);
    }

    #[test]
    fn a_reason_is_trouble_unless_the_plugin_is_only_starting() {
        let trouble = |state: &str| {
            let plugin = serde_json::json!({"state": state, "why": "so", "failed": 0});
            Status::of(&serde_json::json!({"plugins": [plugin]})).trouble
        };
        assert_eq!(trouble("starting"), None);
        assert!(trouble("held").is_some());
    }
}
