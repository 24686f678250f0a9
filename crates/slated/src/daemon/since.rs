//! `new_plugins = "ago:…"`: which event of the site a moment of the past is, by the site's own dates.
//!
//! Asked once for each plugin that is new. The answer goes on record as the floor of its lane, so
//! that the clock never decides again.

use std::time::Duration;

use slated_config::{Config, NewPlugins};
use slated_model::EventId;
use slated_site::{Client, Error};

use crate::clock::{as_the_site_writes, wall_ms};

/// Asks a site for the first event of the time just gone by.
#[derive(Clone)]
pub(crate) struct Since {
    client: Client,
    ago: Duration,
}

impl Since {
    /// Returns what asks, where the configuration wants it.
    pub(crate) fn of(config: &Config, client: &Client) -> Option<Self> {
        match config.state.new_plugins {
            NewPlugins::Ago(ago) => Some(Self {
                client: client.clone(),
                ago,
            }),
            NewPlugins::Now | NewPlugins::Id(_) => None,
        }
    }

    /// Returns the lowest id of the events made since; none if nothing was.
    pub(crate) async fn first(&self) -> Result<Option<EventId>, Error> {
        self.client.first_after(&before(wall_ms(), self.ago)).await
    }
}

/// Returns the last second before the time, as api3 writes dates. It has no "greater or equal".
fn before(now_ms: i64, ago: Duration) -> String {
    let ago = i64::try_from(ago.as_secs()).unwrap_or(i64::MAX);
    let second = (now_ms / 1000).saturating_sub(ago).saturating_sub(1);
    let at = jiff::Timestamp::from_second(second.max(0)).unwrap_or_default();
    as_the_site_writes(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_begins_behind_the_second_before_it() {
        let now = 1_767_225_600_500;
        let check = |ago, wanted| assert_eq!(before(now, Duration::from_secs(ago)), wanted);
        check(0, "2025-12-31T23:59:59Z");
        check(7200, "2025-12-31T21:59:59Z");
        check(u64::MAX, "1970-01-01T00:00:00Z");
    }
}
