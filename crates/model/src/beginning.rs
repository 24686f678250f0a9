//! How a state began: where the site was first read, and what the Python daemon had on record.

use serde::{Deserialize, Serialize};

use crate::{EventId, PluginId};

/// Where to start reading a site when nothing of it is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// After the newest row.
    Latest,
    /// With this id, or after the newest row if that is lower.
    FromId(EventId),
    /// Where another daemon stood (ARCHITECTURE.md, "Where a lane starts").
    Imported {
        /// The highest id each of its lanes has handled. The lowest is the start; the site
        /// must reach the highest. Without any, as `Latest`.
        cursors: Vec<EventId>,
        /// Ids that any lane is still owed. Those at or below the start that are on the
        /// site are appended, and not as late: no lane but the one owed must take them.
        owed: Vec<EventId>,
    },
}

/// How a state began. On record before anything is read, so that a start that was killed begins
/// again at the same place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// Where the site is read from; `None` if the configuration says so.
    pub start: Option<Start>,
    /// The Python daemon's file, as it was then or when a person last chose the state over it;
    /// `None` if there was none.
    pub file: Option<OldFile>,
}

/// An `eventIdFile` that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldFile {
    /// SHA-256 of its content, in hex.
    pub sha256: String,
    /// What it said; `None` if it could not be used.
    pub said: Option<OldState>,
}

/// What the Python daemon has on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldState {
    /// The last event that every plugin has handled.
    Integer(EventId),
    /// A position for each plugin.
    Plugins(Vec<OldPosition>),
}

/// Where the Python daemon stood with one plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldPosition {
    /// Its folder as it was configured then, and its stem.
    pub plugin: PluginId,
    /// The highest id it has handled, if any.
    pub last: Option<EventId>,
    /// Ids below that it was still owed.
    pub missing: Vec<EventId>,
}
