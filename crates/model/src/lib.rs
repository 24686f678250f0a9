//! The vocabulary of slated: what every other room calls things.
//!
//! Pure values: no I/O, no async, no clock, no environment. A type stands here when
//! two rooms speak of it; what only one room knows stays there.
//!
//! * [`EventId`], [`Offset`]: the site's number of an event, and ours for its arrival
//! * [`Event`]: one EventLogEntry, as a typed head over the untouched text
//! * [`PluginId`], [`CallbackId`]: names that outlive a restart
//! * [`Matcher`]: which events a callback asked for
//! * [`Outcome`], [`Failure`]: what became of an event in a callback
//! * [`Hole`], [`Anchor`], [`LedgerChange`]: what the follower remembers
//! * [`Start`], [`Beginning`]: how a state began
//! * [`Change`], [`LaneRow`], [`OutcomeRow`], [`Attempt`]: what stands on record

mod beginning;
mod event;
mod id;
mod ledger;
mod matcher;
mod outcome;
mod plugin;
mod record;

pub use beginning::{Beginning, OldFile, OldPosition, OldState, Start};
pub use event::{Body, Event, Fingerprint, Head, Row, Unreadable};
pub use id::{EventId, Offset};
pub use ledger::{Anchor, Hole, LedgerChange, LedgerState};
pub use matcher::{AttributeRule, Matcher};
pub use outcome::{Cause, Discard, Failure, FailureKind, Outcome};
pub use plugin::{CallbackId, ParseIdError, PluginId};
pub use record::{
    Attempt, Change, HoldRow, LaneRow, OutcomeRow, QuarantineRow, RewoundRow, SkipRow, SuspectRow,
    Void, Voided, WorkerRow,
};
