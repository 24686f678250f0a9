//! Time as the simulator sees it: one monotonic and one wall reading, taken together.
//!
//! Everything that decides when a row becomes visible takes a [`Moment`] as argument, so a
//! site can run on the machine's clock or on virtual time. Sleeping (latency, hanging
//! requests) is the server's business and always real.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A point in time on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the clock was made. Never goes back.
    pub mono: Duration,
    /// What `created_at` is written from.
    pub wall: Timestamp,
}

/// A [`Moment`] as it is exported, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since the clock was made.
    pub mono_ms: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub wall_ms: i64,
}

impl Moment {
    /// Returns this moment moved into the future.
    pub fn after(self, by: Duration) -> Self {
        Self {
            mono: self.mono.saturating_add(by),
            wall: self.wall.saturating_add(by).unwrap_or(self.wall),
        }
    }
    /// Returns the wall time some time ago, with the monotonic time of the clock's start.
    pub(crate) fn long_ago(self, by: Duration) -> Self {
        Self {
            mono: Duration::ZERO,
            wall: self.wall.saturating_sub(by).unwrap_or(self.wall),
        }
    }
    /// Returns the moment in milliseconds.
    pub fn stamp(self) -> Stamp {
        Stamp {
            mono_ms: u64::try_from(self.mono.as_millis()).unwrap_or(u64::MAX),
            wall_ms: self.wall.as_millisecond(),
        }
    }
    /// Formats the wall time as a `date_time` field: `YYYY-MM-DDThh:mm:ssZ`.
    pub(crate) fn date_time(self) -> String {
        self.wall.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// Where a site takes its time from. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System(Instant),
    Manual(Arc<Mutex<Moment>>),
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self(Kind::System(Instant::now()))
    }
    /// A clock that stands at `wall` until [`Clock::advance`] moves it.
    pub fn manual(wall: Timestamp) -> Self {
        Self(Kind::Manual(Arc::new(Mutex::new(Moment {
            mono: Duration::ZERO,
            wall,
        }))))
    }
    /// Reads the clock.
    pub fn now(&self) -> Moment {
        match &self.0 {
            Kind::System(start) => Moment {
                mono: start.elapsed(),
                wall: Timestamp::now(),
            },
            Kind::Manual(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
    /// Moves a manual clock forward; the machine's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(at) = &self.0 {
            let mut at = at.lock().unwrap_or_else(PoisonError::into_inner);
            *at = at.after(by);
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}
