//! What stands on record about plugins: the rows that a store keeps and decisions change.

use serde::{Deserialize, Serialize};

use crate::{Beginning, CallbackId, EventId, Failure, LedgerState, Offset, Outcome, PluginId, Row};

/// One change of what a start reads.
#[derive(Clone, Debug)]
pub enum Change {
    /// A lane is new, or anything but its cursor changed: a lane that stands keeps its cursor.
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
    /// A person has a dead letter tried again: this attempt takes its place. Changes nothing where
    /// no dead letter stands.
    Retried(Attempt),
    /// A person is done with a dead letter: this outcome takes its place. Changes nothing where no
    /// dead letter stands.
    Discarded(OutcomeRow),
    /// A worker process was started.
    Worker(WorkerRow),
    /// A worker process is gone.
    WorkerGone {
        /// Its process id.
        pid: u32,
    },
    /// How the state began, or what a person has chosen since; it takes the place of the last.
    Began(Beginning),
    /// A plugin was moved or renamed: its dead letters are the other one's now, but those of units
    /// of which the other one has something on record.
    LettersMoved {
        /// Whose they were.
        from: PluginId,
        /// Whose they are.
        to: PluginId,
    },
    /// A person lets a lane go back: its cursor stands at `to`, and of the events behind that all
    /// outcomes go but those that are done; these, too, with `again`. Attempts in place go as well.
    /// Changes nothing where the cursor stands at `to` or before.
    Rewound {
        /// Whose.
        plugin: PluginId,
        /// The offset before the first row it is to come to again.
        to: Offset,
        /// Whether what is done goes as well.
        again: bool,
    },
    /// slated runs on the state from now on; or it has come to its end, and everything is durable.
    Running(bool),
    /// The site is not the one that was followed, and a person has decided how to go on.
    Void(Void),
    /// A person says that the site the state is bound to has this address now.
    SiteMoved(String),
}

/// What a decision about a site that became another one changes on record.
///
/// Rows with an id above `above` are void: they keep their offsets and free their ids, and no lane
/// takes them any more. What finished stays with them; dead letters and open attempts count as
/// discarded ([`Discard::Void`](crate::Discard::Void)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Void {
    /// The highest id at which the site and the log agree, or up to which nothing is in doubt.
    pub above: EventId,
    /// The ledger that takes the place of the old one, whole.
    pub ledger: LedgerState,
    /// When, in milliseconds since 1970; for people.
    pub at_ms: i64,
}

/// A row that is void, with what became of it.
#[derive(Clone, Debug)]
pub struct Voided {
    /// The row, at its offset still.
    pub row: Row,
    /// When it became void, in milliseconds since 1970; for people.
    pub at_ms: i64,
    /// What was on record of it, in the order it was written.
    pub outcomes: Vec<OutcomeRow>,
}

/// The durable part of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRow {
    /// Whose lane it is.
    pub plugin: PluginId,
    /// Every row up to here is finished for it, or has an open attempt aside.
    pub cursor: Offset,
    /// Events with an id up to here are skipped unless late or owed (ARCHITECTURE.md, "Where a lane starts").
    pub floor: Option<EventId>,
    /// Ids below the floor that it is owed, ascending.
    pub owed: Vec<EventId>,
    /// The offset after which it stands in line (ARCHITECTURE.md, "Order"), or
    /// [`LaneRow::OUT_OF_LINE`].
    pub in_line_from: Offset,
    /// Why it waits for a person, if it does.
    pub hold: Option<HoldRow>,
    /// A person stopped it with `plugin stop`.
    pub stopped: bool,
    /// The plugin's file was gone; or it was never loaded, and may be no plugin.
    pub gone: bool,
    /// SHA-256 of the content that ran last, in hex; empty if none did.
    pub content: String,
    /// When that file was modified, in nanoseconds since 1970; 0 if none ran.
    pub mtime_ns: i64,
    /// Rows that a person let it skip: after the first offset of a pair, up to the second.
    pub skipped: Vec<(Offset, Offset)>,
    /// The plugin that goes on in its place since its file was moved or renamed. Itself, where its
    /// file proved to be a module that others import: then nothing goes on in this place.
    pub moved_to: Option<PluginId>,
    /// Events ahead of it that a person wants it not to get, in no order.
    pub skips: Vec<SkipRow>,
    /// The event that was the first without an outcome when slated ended uncleanly.
    pub suspect: Option<SuspectRow>,
    /// Its process died too often, with this content of its file.
    pub quarantine: Option<QuarantineRow>,
    /// The last time that a person let it go back.
    pub rewound: Option<RewoundRow>,
}

/// An event that a plugin does not get, once its turn comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipRow {
    /// The event.
    pub event: EventId,
    /// Where it stands in the log.
    pub offset: Offset,
    /// What the person said.
    pub reason: String,
}

/// How often an event was the first of its lane without an outcome when slated ended uncleanly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectRow {
    /// The event.
    pub event: EventId,
    /// How often, since that last counted as a death of it.
    pub times: u32,
}

/// Why a plugin's process is not started any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineRow {
    /// SHA-256 of the content that kept dying, in hex.
    pub content: String,
    /// When that file was modified, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// How it ended the last time, in words.
    pub reason: String,
    /// When it was quarantined, in milliseconds since 1970; for people.
    pub at_ms: i64,
}

/// How a person let a lane go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewoundRow {
    /// Where its cursor stood.
    pub from: Offset,
    /// Where it stood then.
    pub to: Offset,
    /// Whether what was done is done again.
    pub again: bool,
    /// When, in milliseconds since 1970; for people.
    pub at_ms: i64,
}

impl LaneRow {
    /// The place in line of a lane that does not stand there: behind every row.
    pub const OUT_OF_LINE: Offset = Offset(i64::MAX.unsigned_abs());

    /// Makes the lane of a plugin that stands at `cursor` and of which nothing else is known.
    pub const fn new(plugin: PluginId, cursor: Offset) -> Self {
        Self {
            plugin,
            cursor,
            floor: None,
            owed: Vec::new(),
            in_line_from: Offset(0),
            hold: None,
            stopped: false,
            gone: false,
            content: String::new(),
            mtime_ns: 0,
            skipped: Vec::new(),
            moved_to: None,
            skips: Vec::new(),
            suspect: None,
            quarantine: None,
            rewound: None,
        }
    }
    /// Tells whether its plugin's file stands where it stood, as far as the record goes.
    pub const fn is_there(&self) -> bool {
        !self.gone && self.moved_to.is_none()
    }
    /// Tells whether nothing shows yet, or any more, that its file is a plugin: it keeps a place for
    /// the case that it is one, and is in no list.
    pub fn is_only_a_place(&self) -> bool {
        (self.gone && !self.has_run()) || self.moved_to.as_ref() == Some(&self.plugin)
    }
    /// Tells whether its file was ever loaded as a plugin.
    pub const fn has_run(&self) -> bool {
        !self.content.is_empty()
    }
    /// Tells whether people see it in lists: it is a plugin's, and no other goes on in its place.
    pub fn is_listed(&self) -> bool {
        self.moved_to.is_none() && !self.is_only_a_place()
    }
}

/// Why a lane is held. An edit, a touch or a person ends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// The event that failed; `None` if a person must choose a start.
    pub event: Option<EventId>,
    /// The callback that failed.
    pub callback: Option<CallbackId>,
    /// In words, for status.
    pub reason: String,
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
