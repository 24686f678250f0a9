//! The durable state of slated: the log, the hole ledger, cursors and outcomes.
//!
//! One trait, [`Store`]; one conformance suite, `conformance`, that every backend
//! passes; one backend so far: SQLite.

mod api;

pub use api::{
    Append, Appended, Attempt, Change, Epoch, Error, HoldRow, LaneRow, LogEnd, OutcomeRow,
    Recorded, Result, Snapshot, Store, WorkerRow,
};
