//! What the daemon asks of a store: the trait and the rows it speaks of.
//!
//! Invariant: whatever a future of this trait answered with `Ok` survives a crash of the
//! process and a loss of power. Invariant: every write is fenced by the epoch under which
//! the store was opened; after another opening a write answers [`Error::Fenced`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use slated_model::{
    Attempt, Beginning, CallbackId, Change, Event, EventId, LaneRow, LedgerChange, LedgerState,
    Offset, OutcomeRow, PluginId, Row, Voided, WorkerRow,
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
    /// Writes changes of lanes, cursors, outcomes and attempts, in one transaction: lanes
    /// first, cursors next, the rest in the order given. What [`Change::Void`] makes void is in
    /// [`Store::voided`] alone; what was written of it after that would be about another event.
    ///
    /// A lane that stands keeps its cursor, whatever its row says; only [`Change::Cursor`]
    /// moves it, and the cursor of a plugin without a lane is [`Error::Unfit`].
    fn record(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Recorded>>;
    /// Returns up to `limit` rows after `after`, in log order.
    fn rows(&self, after: Offset, limit: usize) -> BoxFuture<'_, Result<Vec<Row>>>;
    /// Returns up to `limit` rows whose event ids are from one up to another, both included, in the
    /// order of their ids.
    fn between(&self, from: EventId, to: EventId, limit: usize) -> BoxFuture<'_, Result<Vec<Row>>>;
    /// Returns the row of an event, if the log holds it.
    fn event(&self, id: EventId) -> BoxFuture<'_, Result<Option<Row>>>;
    /// Returns the row with the highest event id among those up to `through`, if there is one.
    fn highest(&self, through: Offset) -> BoxFuture<'_, Result<Option<Row>>>;
    /// Returns what became of an event, in every plugin and callback, terminal or not.
    fn fate(&self, id: EventId) -> BoxFuture<'_, Result<(Vec<OutcomeRow>, Vec<Attempt>)>>;
    /// Returns up to `limit` newest outcomes of a plugin, newest first; of all plugins for
    /// `None`.
    fn latest(
        &self,
        plugin: Option<PluginId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<OutcomeRow>>>;
    /// Lets old rows go that nobody needs, with what is on record of them; looks at `keep.rows` rows
    /// at most.
    ///
    /// A row stays that a lane has not passed whose plugin is not gone, that has an open attempt or a
    /// dead letter, or that is the newest. And so does the row with the highest id among those that
    /// would go: [`Store::highest`] tells by it what a lane has passed.
    fn prune(&self, keep: Keep) -> BoxFuture<'_, Result<Pruned>>;
    /// Discards dead letters that are too old, or too many of a plugin: then the oldest. Returns how
    /// many.
    ///
    /// A letter's age is the time that was watched since it was written, by the calls of this
    /// (`keep.watched_ms`): no clock is asked. It goes when that is `keep.for_ms`, or up to a
    /// thirtieth of it later, never before.
    fn expire(&self, keep: KeepLetters) -> BoxFuture<'_, Result<u64>>;
    /// Returns a page of dead letters, newest first: of a plugin, or of all for `None`; behind a mark,
    /// or from the newest.
    fn dead_letters(
        &self,
        plugin: Option<PluginId>,
        behind: Option<Mark>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Letters>>;
    /// Counts the dead letters of every plugin that has some.
    fn count_letters(&self) -> BoxFuture<'_, Result<BTreeMap<PluginId, u64>>>;
    /// Returns the outcomes of a plugin for the rows after one offset, up to another, oldest first.
    fn outcomes(
        &self,
        plugin: PluginId,
        after: Offset,
        through: Offset,
    ) -> BoxFuture<'_, Result<Vec<OutcomeRow>>>;
    /// Counts what a [`Change::Void`] above an id would make void.
    fn beyond(&self, above: EventId) -> BoxFuture<'_, Result<Beyond>>;
    /// Counts the rows that are void.
    fn count_void(&self) -> BoxFuture<'_, Result<u64>>;
    /// Returns the rows that stood under an id and are void now, oldest first.
    fn voided(&self, id: EventId) -> BoxFuture<'_, Result<Vec<Voided>>>;
}

/// A place among the dead letters, newest first. It stays where it is, whatever comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(pub u64);

/// A page of dead letters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Letters {
    /// The letters, newest first.
    pub rows: Vec<OutcomeRow>,
    /// Behind which there are more, if there are.
    pub next: Option<Mark>,
}

/// What stands in the log above an id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beyond {
    /// Rows.
    pub rows: u64,
    /// Plugins in which callbacks finished with some of them, and with how many.
    pub done: Vec<(PluginId, u64)>,
    /// Dead letters.
    pub dead_letters: u64,
    /// Open attempts.
    pub attempts: u64,
}

/// The whole durable state but the log's rows and finished outcomes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The opening under which this store writes.
    pub epoch: Epoch,
    /// The site the state is bound to.
    pub site: Option<String>,
    /// How it began, where that was written down.
    pub beginning: Option<Beginning>,
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
    /// slated runs on the state, or ended without having come to its end.
    pub running: bool,
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

/// What retention leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Rows made at this moment or later, as the site writes it: `2026-11-23T09:15:02Z`.
    pub since: String,
    /// A row of this moment or later has no date: it would keep all behind it until that time came.
    pub until: String,
    /// How many rows are looked at, from the oldest.
    pub rows: u64,
    /// Rows after this offset, which a plugin needs: what is on record of it may be older.
    pub needed: Option<(Offset, PluginId)>,
}

/// How many dead letters are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepLetters {
    /// Of a plugin at most.
    pub each: u64,
    /// For so many milliseconds that were watched.
    pub for_ms: u64,
    /// Milliseconds watched since the last time this was asked.
    pub watched_ms: u64,
}

/// What retention let go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows of the log.
    pub events: u64,
    /// Outcomes and attempts of rows that had gone before them; all of them are found in time.
    pub swept: u64,
    /// The offset before the first row that is left.
    pub start: Offset,
    /// The plugin without which more rows would have gone.
    pub held_back_by: Option<PluginId>,
    /// Whether there is more to let go at once.
    pub more: bool,
    /// Bytes in use, without the room that is free to be used again.
    pub bytes: u64,
}

/// What happened to a batch of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Outcomes, and attempts, not written because an outcome stood there: the first stands
    /// (promise P3). And what a person wished of a dead letter that is none, or no longer.
    pub already: Vec<(PluginId, CallbackId, EventId)>,
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
    /// The folder, or a file in it, can be neither made nor opened.
    #[error("the state folder {} cannot be used: {source}", folder.display())]
    Unusable {
        /// The state folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
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
    /// A copy of the state cannot be made; the state itself is as it was.
    #[error("the copy {} cannot be made: {source}", file.display())]
    NoCopy {
        /// The file that was to be made.
        file: PathBuf,
        /// What the system or the database said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file cannot be put in the place of the state, which is as it was.
    #[error("{} is no copy of a state: {what}", file.display())]
    BadCopy {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The state was opened for reading only.
    #[error("the state in {} was opened for reading only", folder.display())]
    ReadOnly {
        /// The state folder.
        folder: PathBuf,
    },
    /// The state has an older format, and was opened for reading only.
    #[error("the state in {} has format {found}; opened for writing, this slated brings it to {known}", folder.display())]
    Older {
        /// The state folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
        /// The format that can be read here.
        known: u32,
    },
    /// The thing asked for can never be stored; nothing was written.
    #[error("cannot be stored: {what}")]
    Unfit {
        /// What, and why.
        what: String,
    },
    /// The store was closed.
    #[error("the state is closed")]
    Closed,
}
