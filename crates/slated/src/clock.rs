//! The only place that reads clocks: decisions get time as a parameter.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use slated_core::Mono;

/// A clock that never goes back, and the wall's for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts at zero.
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
    /// Returns the moment.
    pub(crate) fn now(self) -> Mono {
        Mono(self.origin.elapsed())
    }
    /// Returns the instant of a moment, for timers.
    pub(crate) fn instant(self, at: Mono) -> tokio::time::Instant {
        let far = Duration::from_hours(24);
        tokio::time::Instant::from_std(self.origin + at.0.min(self.origin.elapsed() + far))
    }
}

/// Returns milliseconds since 1970 by the wall clock, for people to read.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Returns the local time after a span, as clocks on the wall will show it.
pub(crate) fn local_in(span: Duration) -> jiff::civil::DateTime {
    let now = jiff::Zoned::now();
    // Beyond the calendar there is no such time, and no such machine.
    now.checked_add(span).unwrap_or(now).datetime()
}

/// Returns a seed for jitter.
pub(crate) fn seed() -> u64 {
    fastrand::u64(..)
}

/// Writes a moment as the site does: `2026-11-23T09:15:02Z`.
pub(crate) fn as_the_site_writes(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
