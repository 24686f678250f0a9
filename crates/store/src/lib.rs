//! The durable state of slated: the log, the hole ledger, cursors and outcomes.
//!
//! One trait, [`Store`]; one conformance suite, [`conformance`], that every backend
//! passes; one backend so far: SQLite. Beside it, the positions that the Python daemon keeps:
//! [`EventIdFile`].

mod api;
pub mod conformance;
mod event_id_file;
mod kill_point;
mod sqlite;

pub use api::{
    Append, Appended, Beyond, Epoch, Error, Keep, KeepLetters, Letters, LogEnd, Mark, Pruned,
    Recorded, Result, Snapshot, Store,
};
pub use event_id_file::{EventIdFile, OldPlugin, Reason, Unusable};
pub use kill_point::kill_point;
pub use slated_model::{Attempt, Change, HoldRow, LaneRow, OutcomeRow, WorkerRow};
pub use sqlite::{Checked, Migrated, Options, Sqlite};
