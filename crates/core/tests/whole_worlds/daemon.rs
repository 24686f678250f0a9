//! A daemon as it stands in memory: what a kill takes away.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use slated_core::Mono;
use slated_core::follow::Follower;
use slated_core::lane::{CallbackSpec, HasLane, Input, Lane};
use slated_core::life::{self, Generation, Life};
use slated_core::order::Gate;
use slated_model::{Change, Offset, PluginId};

use crate::record::TakenUp;

/// A file as it was last read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) sha256: String,
    pub(crate) mtime_ns: i64,
}

/// One process as the daemon knows it.
pub(crate) struct Worker {
    pub(crate) process: u64,
    pub(crate) text: Text,
    pub(crate) loaded: Option<Vec<CallbackSpec>>,
}

/// One plugin in the daemon (`slated/src/daemon/plugin.rs`).
pub(crate) struct Plugin {
    pub(crate) id: PluginId,
    /// Its file was found.
    pub(crate) found: bool,
    pub(crate) text: Text,
    pub(crate) life: Life,
    pub(crate) runs: bool,
    pub(crate) tried: bool,
    pub(crate) known: bool,
    pub(crate) lane: Option<Lane>,
    pub(crate) seen_at: Mono,
    pub(crate) workers: BTreeMap<Generation, Worker>,
    pub(crate) used: Option<Generation>,
    pub(crate) resume_on_use: bool,
}

impl HasLane for Plugin {
    fn lane(&self) -> Option<&Lane> {
        self.lane.as_ref()
    }
    fn lane_mut(&mut self) -> &mut Option<Lane> {
        &mut self.lane
    }
}

impl Plugin {
    pub(crate) fn is_gone(&self) -> bool {
        let row = self.lane.as_ref().map(Lane::record_row);
        self.life.state() == life::State::Gone || (self.known && row.is_some_and(|row| row.gone))
    }
}

/// What lanes want on record (`slated/src/daemon/journal.rs`): one write at a time.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) waiting: Vec<Change>,
    pub(crate) tickets: BTreeMap<usize, u64>,
    /// What is being written, and whom it concerns.
    pub(crate) out: Option<(Vec<Change>, BTreeMap<usize, u64>)>,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
}

impl Journal {
    /// Returns the number of the write after which all that was added so far is durable.
    pub(crate) fn last_write(&self) -> u64 {
        let waits = !self.waiting.is_empty() || !self.tickets.is_empty();
        self.begun + u64::from(waits)
    }
    pub(crate) fn is_idle(&self) -> bool {
        self.out.is_none() && self.waiting.is_empty() && self.tickets.is_empty()
    }
}

/// What a person wishes of dead letters, on its way to the record.
pub(crate) struct Wish {
    pub(crate) write: u64,
    pub(crate) changes: Vec<Change>,
}

pub(crate) struct Daemon {
    pub(crate) follower: Follower,
    pub(crate) asked_at: Mono,
    /// Whether the place in the site's log is known.
    pub(crate) placed: bool,
    pub(crate) failures: u32,
    pub(crate) plugins: Vec<Plugin>,
    pub(crate) order: Vec<usize>,
    pub(crate) gate: Gate,
    pub(crate) begins_by: Mono,
    pub(crate) listed: bool,
    pub(crate) journal: Journal,
    pub(crate) end: Offset,
    /// Rows after here are in memory.
    pub(crate) tail: Offset,
    pub(crate) log_start: Offset,
    pub(crate) going: Option<Offset>,
    pub(crate) site_down: bool,
    pub(crate) good_since: Mono,
    pub(crate) stopping: Option<Mono>,
    pub(crate) recorded: BTreeMap<usize, TakenUp>,
    pub(crate) wishes: Vec<Wish>,
    pub(crate) todo: VecDeque<(usize, Input)>,
    pub(crate) freed: BTreeSet<usize>,
}
