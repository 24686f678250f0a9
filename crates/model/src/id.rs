//! The two numbers of an event.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The site's id of an EventLogEntry.
///
/// Ids are taken before their transaction commits, so a lower one may become visible
/// after a higher one, or never. Only [`Offset`] counts arrival.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EventId(pub u64);

/// The place of an event in the local log: 1 for the first that arrived. 0 stands before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl EventId {
    /// Returns the id that follows.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
    /// Returns the id before, and 0 before 0.
    pub const fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl Offset {
    /// Returns the offset that follows.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
    /// Returns how many rows stand after `self`, up to and with `end`.
    pub const fn until(self, end: Self) -> u64 {
        end.0.saturating_sub(self.0)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
