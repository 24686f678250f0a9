//! What the daemon's tasks say to the dispatcher.

use std::collections::BTreeMap;
use std::sync::Arc;

use slated_config::Config;
use slated_core::resume::From;
use slated_core::scan::Content;
use slated_core::{Mono, lane};
use slated_model::{
    CallbackId, EventId, LaneRow, Matcher, Offset, OutcomeRow, PluginId, Row, Void,
};
use slated_store::{LogEnd, Recorded};
use tokio::sync::oneshot;

use super::interpreters::Interpreters;
use super::journal::Place;
use super::sources::Source;
use crate::view::{Placed, PluginDetail, PluginView, Refusal, WishView};

/// Something the dispatcher must know.
pub(crate) enum Message {
    /// Rows were appended to the log.
    Appended { rows: Vec<Arc<Row>> },
    /// The site was read without error, by a request made at `asked_at`; `head` is the highest id
    /// it is known to have.
    SiteRead { asked_at: Mono, head: EventId },
    /// The site could not be read.
    SiteDown,
    /// Which event of the site a new plugin begins with; none: nothing happened in that time.
    Since {
        place: Place,
        seen_at: Mono,
        now: Start,
        first: Result<Option<EventId>, String>,
    },
    /// Rows that lanes asked for.
    Rows {
        after: Offset,
        rows: Result<Vec<Row>, slated_store::Error>,
        /// The offset up to which they are complete.
        through: Offset,
    },
    /// A row that a lane asked for.
    Recalled {
        place: Place,
        event: EventId,
        row: Result<Option<Row>, slated_store::Error>,
    },
    /// The journal's write has ended.
    Recorded(Result<Recorded, slated_store::Error>),
    /// A write found no room and is tried again; without an error it has gone through.
    NoRoom {
        who: Writes,
        error: Option<slated_store::Error>,
    },
    /// The plugins' files changed.
    Files(Vec<FileChange>),
    /// Retention has let rows go: the log starts after this offset; or it failed, and nothing changed.
    Pruned { start: Option<Offset> },
    /// A person asks.
    Ask(Question),
}

/// Who writes what work waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Writes {
    /// What lanes did.
    Journal,
    /// What the site showed.
    Intake,
}

/// What a person can ask of a running daemon.
pub(crate) enum Question {
    /// How all plugins are.
    Plugins(oneshot::Sender<Roll>),
    /// Which rows must stay: those after the offset, and the plugin that needs them. Until
    /// [`Message::Pruned`] nothing begins before it.
    Needed(oneshot::Sender<Option<(Offset, PluginId)>>),
    /// Rows are void, as a person decided; answered when that is on record.
    Void {
        void: Void,
        reply: oneshot::Sender<()>,
    },
    /// Everything about one plugin; its outcomes are left to the store.
    Plugin { name: String, reply: Reply },
    /// Something is to be done to one plugin; the answer shows what became of it.
    Act {
        name: String,
        act: Act,
        reply: Reply,
    },
    /// How one plugin stands, for a way back.
    Standing {
        name: String,
        reply: oneshot::Sender<Result<Standing, Refusal>>,
    },
    /// What plugins logged in their last calls with an event.
    Lines {
        event: EventId,
        reply: oneshot::Sender<Vec<(PluginId, CallbackId, Vec<String>)>>,
    },
    /// Other settings are to hold; answered with the plugins that are loaded again for it.
    Settings {
        settings: Box<Settings>,
        reply: oneshot::Sender<Vec<PluginId>>,
    },
    /// Something is to be done to dead letters, which stand at these places in the log.
    Letters {
        letters: Placed,
        wish: LetterWish,
        reply: oneshot::Sender<Result<WishView, Refusal>>,
    },
}

/// What plugins are run by, all of it.
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(super) pythons: Interpreters,
}

/// What a person can wish of dead letters.
#[derive(Clone, Debug)]
pub(crate) enum LetterWish {
    /// Each is tried once more.
    Retry,
    /// They are dealt with otherwise.
    Discard { reason: String },
}

/// All that stands in the plugins folders or on record, and the extent of the log.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    pub(crate) plugins: Vec<PluginView>,
    /// How many files are modules that plugins import.
    pub(crate) helpers: usize,
    pub(crate) log: LogEnd,
    /// Why nothing can be written, if so.
    pub(crate) disk: Option<String>,
}

/// Where a question about one plugin is answered.
pub(crate) type Reply = oneshot::Sender<Result<PluginDetail, Refusal>>;

/// What "from now on" is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// The highest id the site is known to have.
    pub(crate) head: EventId,
    /// The log's end.
    pub(crate) end: Offset,
}

/// How a plugin stands, as far as a way back needs it.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// What is on record of it, with its cursor as it is now.
    pub(crate) row: LaneRow,
    /// What is tried again beside the order.
    pub(crate) aside: Vec<(EventId, CallbackId)>,
    /// What its callbacks want, where that is known.
    pub(crate) callbacks: Option<Vec<(CallbackId, Matcher)>>,
    /// Where its lane rests; `None` while something is in hand or not durable.
    pub(crate) rests: Option<Rests>,
    /// The offset after which every row is there and stays.
    pub(crate) log_start: Offset,
}

/// What must be the same when a plugin goes back as when the record was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rests {
    /// It has a lane.
    Lane(lane::Standing),
    /// Its file was not found, and its record says all: where its cursor stands, and how often rows
    /// have become void.
    Record(Offset, usize),
}

/// What a person can do to a plugin.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Callbacks in flight finish; then it stands still until a resume.
    Stop,
    /// It goes on, where it stood if nothing is said.
    Resume(Option<From>),
    /// Its file is loaded anew.
    Reload,
    /// It does not get an event.
    Skip { row: Arc<Row>, reason: String },
    /// It goes back.
    Rewind {
        to: Offset,
        again: bool,
        /// The outcomes that stay.
        done: Vec<OutcomeRow>,
        /// How it stood when they were read.
        rests: Rests,
    },
}

/// What each plugin imported, by path.
pub(crate) type Imports = BTreeMap<PluginId, BTreeMap<String, Content>>;

/// A plugin's file as it was read; of one with a manifest, all its files together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    /// SHA-256 of its content, in hex; empty if it was not read yet.
    pub(crate) sha256: String,
    /// When it was modified, in nanoseconds since 1970.
    pub(crate) mtime_ns: i64,
    /// Which it is, and what runs it.
    pub(crate) source: Source,
}

/// A change of a plugin's file, as the dispatcher hears of it.
#[derive(Clone, Debug)]
pub(crate) enum FileChange {
    /// It is there; `from` if it was another plugin's before.
    Appeared {
        plugin: PluginId,
        text: Text,
        from: Option<PluginId>,
    },
    /// It has another content.
    Changed { plugin: PluginId, text: Text },
    /// It was touched.
    Touched { plugin: PluginId, mtime_ns: i64 },
    /// It is gone.
    Gone { plugin: PluginId },
    /// A module that it imported has another content.
    Helper { plugin: PluginId, path: String },
}

impl FileChange {
    /// Returns the plugin it is about.
    pub(crate) const fn plugin(&self) -> &PluginId {
        match self {
            Self::Appeared { plugin, .. }
            | Self::Changed { plugin, .. }
            | Self::Touched { plugin, .. }
            | Self::Gone { plugin }
            | Self::Helper { plugin, .. } => plugin,
        }
    }
}
