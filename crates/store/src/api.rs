//! What the daemon asks of a store: the trait and the rows it speaks of.
//!
//! Invariant: whatever a future of this trait answered with `Ok` survives a crash of the
//! process and a loss of power. Invariant: every write is fenced by the epoch under which
//! the store was opened; after another opening a write answers [`Error::Fenced`].

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use slated_model::{
    CallbackId, Event, EventId, Failure, LedgerChange, LedgerState, Offset, Outcome, PluginId, Row,
};

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Counts the openings of a store for writing; a write under an older one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Durable state behind one trait, so that a studio can outgrow one machine.
///
/// Futures may be dropped: the write they stand for happens whole or not at all.
pub trait Store: Send + Sync + 'static {
    /// Returns all that a start needs, read in one snapshot.
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot>>;
    /// Binds the state to a site's URL; refused by [`Error::OtherSite`] if bound to another.
    fn bind_site(&self, url: String) -> BoxFuture<'_, Result<()>>;
    /// Appends events in the order given and changes the ledger, in one transaction.
    ///
    /// An event id that the log holds already is [`Error::Duplicate`], and nothing is written.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended>>;
    /// Writes changes of lanes, cursors, outcomes and attempts, in one transaction.
    fn record(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Recorded>>;
    /// Returns up to `limit` rows after `after`, in log order.
    fn rows(&self, after: Offset, limit: usize) -> BoxFuture<'_, Result<Vec<Row>>>;
    /// Returns the row of an event, if the log holds it.
    fn event(&self, id: EventId) -> BoxFuture<'_, Result<Option<Row>>>;
    /// Returns what became of an event, in every plugin and callback, terminal or not.
    fn fate(&self, id: EventId) -> BoxFuture<'_, Result<(Vec<OutcomeRow>, Vec<Attempt>)>>;
    /// Returns up to `limit` newest outcomes of a plugin, newest first; of all plugins for
    /// `None`.
    fn latest(
        &self,
        plugin: Option<PluginId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<OutcomeRow>>>;
}

/// The whole durable state but the log's rows and finished outcomes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The opening under which this store writes.
    pub epoch: Epoch,
    /// The site the state is bound to.
    pub site: Option<String>,
    /// The ledger; `None` before the first start.
    pub ledger: Option<LedgerState>,
    /// The extent of the log.
    pub log: LogEnd,
    /// All lanes, gone ones included.
    pub lanes: Vec<LaneRow>,
    /// All open attempts.
    pub attempts: Vec<Attempt>,
    /// Outcomes of events after their lane's cursor: work that is never run again.
    pub ahead: Vec<OutcomeRow>,
    /// Processes that ran when the state was last written.
    pub workers: Vec<WorkerRow>,
}

/// The extent of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEnd {
    /// The offset before the oldest row kept.
    pub start: Offset,
    /// The offset of the newest row; `start` if there is none.
    pub end: Offset,
}

/// What one look of the follower brings.
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// Events with whether they filled a hole, in arrival order.
    pub events: Vec<(Event, bool)>,
    /// The ledger after this look.
    pub ledger: LedgerChange,
}

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the newest row.
    pub end: Offset,
}

/// What happened to a batch of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Outcomes not written, because one stood there: the first stands (promise P3).
    pub already: Vec<(PluginId, CallbackId, EventId)>,
}

/// One change of what a start reads.
#[derive(Clone, Debug)]
pub enum Change {
    /// A lane is new, or anything but its cursor changed.
    Lane(LaneRow),
    /// A lane's cursor moved. Never backwards.
    Cursor {
        /// Whose.
        plugin: PluginId,
        /// Every row up to here has its outcomes, or an open attempt aside.
        cursor: Offset,
    },
    /// A unit of work is finished. Ends its attempt, if one was open.
    Outcome(OutcomeRow),
    /// An unfinished unit of work failed, or its back-off went on.
    Attempt(Attempt),
    /// A worker process was started.
    Worker(WorkerRow),
    /// A worker process is gone.
    WorkerGone {
        /// Its process id.
        pid: u32,
    },
}

/// The durable part of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRow {
    /// Whose lane it is.
    pub plugin: PluginId,
    /// Every row up to here is finished for it, or has an open attempt aside.
    pub cursor: Offset,
    /// Events with an id up to here are skipped unless late or owed (design.md 2.13).
    pub floor: Option<EventId>,
    /// Ids below the floor that it is owed, ascending.
    pub owed: Vec<EventId>,
    /// The offset from which it stands in line (design.md 2.7).
    pub in_line_from: Offset,
    /// Why it waits for a person, if it does.
    pub hold: Option<HoldRow>,
    /// A person stopped it with `plugin stop`.
    pub stopped: bool,
    /// The plugin's file was gone.
    pub gone: bool,
    /// SHA-256 of the content that ran last, in hex; empty if none did.
    pub content: String,
}

/// Why a lane is held, and at what content: a changed or touched file ends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// The event that failed; `None` if a person must choose a start.
    pub event: Option<EventId>,
    /// The callback that failed.
    pub callback: Option<CallbackId>,
    /// In words, for status.
    pub reason: String,
    /// The file's modification time when it was held, in nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// One finished unit of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRow {
    /// The plugin.
    pub plugin: PluginId,
    /// The callback.
    pub callback: CallbackId,
    /// The event.
    pub event: EventId,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// When, in milliseconds since 1970; for people, no decision reads it.
    pub at_ms: i64,
}

/// One unfinished unit of work that failed before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The plugin.
    pub plugin: PluginId,
    /// The callback.
    pub callback: CallbackId,
    /// The event.
    pub event: EventId,
    /// Where the event stands in the log.
    pub offset: Offset,
    /// Whether the lane goes on meanwhile (`aside`), or waits (`in place`).
    pub aside: bool,
    /// Attempts that failed so far.
    pub failed: u32,
    /// How many of them ended with the process dead.
    pub deaths: u32,
    /// Milliseconds since its first failure, counted while the daemon ran.
    pub since_ms: u64,
    /// Milliseconds of back-off left when this was written.
    pub left_ms: u64,
    /// The last failure.
    pub failure: Failure,
    /// When it was written, in milliseconds since 1970; for people.
    pub at_ms: i64,
}

/// A worker process, so that a start after a crash can find and end it first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRow {
    /// The plugin it runs.
    pub plugin: PluginId,
    /// Its process id.
    pub pid: u32,
    /// Its start time in clock ticks since boot (field 22 of `/proc/PID/stat`), or 0.
    pub started: u64,
}

/// Why a store did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process holds the state.
    #[error("the state in {} is in use by another slated (pid {})", folder.display(), pid.map_or_else(|| "unknown".into(), |p| p.to_string()))]
    InUse {
        /// The state folder.
        folder: PathBuf,
        /// The holder, as far as known.
        pid: Option<u32>,
    },
    /// The state was written by a newer slated.
    #[error("the state in {} has format {found}; this slated reads up to {known}. It was written by slated {version}", folder.display())]
    Newer {
        /// The state folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
        /// The version that wrote it.
        version: String,
    },
    /// The folder stands on a network file system.
    #[error("the state folder {} stands on {kind}, where SQLite cannot keep it safe", folder.display())]
    NetworkFolder {
        /// The state folder.
        folder: PathBuf,
        /// Such as `NFS`.
        kind: &'static str,
    },
    /// The state belongs to another site.
    #[error("the state belongs to {bound}, not to {asked}")]
    OtherSite {
        /// The site it is bound to.
        bound: String,
        /// The site asked for.
        asked: String,
    },
    /// The state was opened again elsewhere since.
    #[error("the state was taken over by another slated (epoch {current}, ours {ours})", ours = ours.0, current = current.0)]
    Fenced {
        /// The epoch this store writes under.
        ours: Epoch,
        /// The epoch that stands.
        current: Epoch,
    },
    /// An event id stands in the log already.
    #[error("event {0} stands in the log already")]
    Duplicate(EventId),
    /// Something read back is not what was written.
    #[error("the state in {} is damaged: {what}", folder.display())]
    Damaged {
        /// The state folder.
        folder: PathBuf,
        /// Which row, and how it shows.
        what: String,
    },
    /// There is no state here yet.
    #[error("there is no state in {}", folder.display())]
    Absent {
        /// The state folder.
        folder: PathBuf,
    },
    /// The disk is full or read-only: nothing was written; it may heal.
    #[error("the state in {} cannot be written: {source}", folder.display())]
    NoRoom {
        /// The state folder.
        folder: PathBuf,
        /// What the database said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A read, write or sync failed: what is on disk is uncertain until it is opened again.
    #[error("the state in {} failed: {source}", folder.display())]
    Failed {
        /// The state folder.
        folder: PathBuf,
        /// What the system or the database said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store was closed.
    #[error("the state is closed")]
    Closed,
}
