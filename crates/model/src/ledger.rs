//! What the follower remembers of ids it has not seen (`core::follow`).

use serde::{Deserialize, Serialize};

use crate::{EventId, Fingerprint};

/// A range of ids that no look has shown: `lo..=hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// The first id.
    pub lo: EventId,
    /// The last id.
    pub hi: EventId,
    /// For how long absence was really observed, in milliseconds; time without an answer
    /// does not count.
    pub age_ms: u64,
    /// How often an answer showed it absent.
    pub looks: u64,
}

/// A row the follower has seen, by which it knows its site again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The row's id.
    pub id: EventId,
    /// Its unchanging fields.
    pub print: Fingerprint,
}

/// The whole ledger as it stands on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerState {
    /// The highest id seen.
    pub high: EventId,
    /// Rows at growing distances below `high`, ascending.
    pub anchors: Vec<Anchor>,
    /// Ids at or below `high` not seen yet, ascending; closed ranges among them.
    pub holes: Vec<Hole>,
    /// The low end of the closed range that the audit asked for last.
    pub audited: EventId,
}

/// A change of the ledger, written in one transaction with the events of the same look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerChange {
    /// The new highest id.
    pub high: EventId,
    /// All anchors.
    pub anchors: Vec<Anchor>,
    /// Where the audit stands.
    pub audited: EventId,
    /// Holes that are no more, by their low end. Taken out before `put` is put in.
    pub removed: Vec<EventId>,
    /// Holes that are new or changed, by their low end.
    pub put: Vec<Hole>,
}
